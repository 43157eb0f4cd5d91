//! Looking at a queue's messages over HTTP.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::{Value, json};

use super::account::Account;
use super::filter::{Filter, unknown};
use super::letter::Letter;
use super::payload::Payloads;
use super::readable;
use super::scan::{Scan, find};
use super::summary::Summary;
use super::transfer;
use crate::broker::queue::{Cursor, Queue};
use crate::management::access::{InVhost, Peer};
use crate::management::api::Api;
use crate::management::audit::Deed;
use crate::management::path::Path;
use crate::management::reply::{ApiError, Reply, found};
use crate::management::routes::Routes;

/// Messages of a page, unless told otherwise, and at most.
const PAGE: usize = 50;
const PAGE_MAX: usize = 500;
/// Messages looked at for a page before it is given out as it is.
const EXAMINED_MAX: usize = 20_000;
/// Messages that a summary is made of, unless told otherwise.
const SUMMARISED: usize = 200_000;

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/harrier/queues/{vhost}/{queue}/messages", get(page))
        .route(
            "/harrier/queues/{vhost}/{queue}/messages/summary",
            get(summary),
        )
        .route(
            "/harrier/queues/{vhost}/{queue}/messages/export",
            get(export),
        )
        .route("/harrier/queues/{vhost}/{queue}/messages/{id}", get(one))
}

type Pairs = Query<Vec<(String, String)>>;

/// What is asked for besides which messages are meant.
struct Asked {
    filter: Filter,
    cursor: Cursor,
    limit: Option<usize>,
    payloads: Payloads,
    error_headers: Vec<String>,
}

impl Asked {
    fn parse(pairs: &[(String, String)]) -> Result<Self, ApiError> {
        let mut filter = Filter::default();
        let (mut cursor, mut limit) = (Cursor::Start, None);
        let (mut shown, mut truncate) = (None, None);
        let mut error_headers = Vec::new();
        for (key, value) in pairs {
            match &**key {
                "cursor" => cursor = value.parse().map_err(ApiError::bad_request)?,
                "limit" => limit = Some(number(key, value)?),
                "truncate" => truncate = Some(number(key, value)?),
                "payload" => shown = Some(&**value),
                "error_header" => error_headers.push(value.clone()),
                _ if filter.add(key, value)? => {}
                _ => {
                    let others = "cursor, limit, payload, truncate, error_header";
                    return Err(unknown(key, others));
                }
            }
        }
        Ok(Self {
            filter,
            cursor,
            limit,
            payloads: Payloads::parse(shown, truncate)?,
            error_headers,
        })
    }
}

fn number(key: &str, value: &str) -> Result<usize, ApiError> {
    let number = value.parse();
    number.map_err(|_| ApiError::bad_request(format!("{key} is '{value}': expected a number")))
}

async fn page(
    State(api): State<Arc<Api>>,
    asked: InVhost,
    Path((_, name)): Path<(String, String)>,
    Query(pairs): Pairs,
) -> Reply {
    let (queue, _) = readable(&api, &asked, &name)?;
    let asked = Asked::parse(&pairs)?;
    let limit = asked.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let now = api.shared.now().unix_secs();
    let mut scan = Scan::new(&queue, asked.cursor);
    let (mut items, mut examined) = (Vec::new(), 0);
    let mut next = None;
    'page: while let Some(seen) = scan.next(256.min(limit.max(16))).await? {
        for seen in &seen {
            examined += 1;
            let letter = Letter::of(seen);
            if asked.filter.takes(&letter, now) {
                if items.len() == limit {
                    break 'page;
                }
                items.push(letter.shown(asked.payloads));
            }
            next = Some(seen.cursor());
        }
        next = scan.cursor();
        if examined >= EXAMINED_MAX {
            break;
        }
    }
    found(json!({
        "items": items,
        "next_cursor": next.map(|cursor| cursor.to_string()),
        "examined": examined,
        "counts": counts(&queue),
    }))
}

/// How many messages there are, those included that can't be looked at.
fn counts(queue: &Queue) -> Value {
    let counts = queue.counts();
    json!({
        "ready": counts.ready,
        "unacknowledged": counts.unacked,
        "delayed": counts.delayed,
        "undelivered_dead_letters": counts.undelivered,
    })
}

async fn one(
    State(api): State<Arc<Api>>,
    asked: InVhost,
    Path((_, name, id)): Path<(String, String, String)>,
    Query(pairs): Pairs,
) -> Reply {
    let (queue, _) = readable(&api, &asked, &name)?;
    let mut asked = Asked::parse(&pairs)?;
    if !pairs.iter().any(|(key, _)| key == "truncate") {
        asked.payloads.truncate = usize::MAX;
    }
    let place = id.parse().map_err(ApiError::bad_request)?;
    let seen = find(&queue, place).await?;
    found(Letter::of(&seen).shown(asked.payloads))
}

async fn summary(
    State(api): State<Arc<Api>>,
    asked: InVhost,
    Path((_, name)): Path<(String, String)>,
    Query(pairs): Pairs,
) -> Reply {
    let (queue, _) = readable(&api, &asked, &name)?;
    let asked = Asked::parse(&pairs)?;
    let most = asked.limit.unwrap_or(SUMMARISED);
    let now = api.shared.now().unix_secs();
    let mut scan = Scan::new(&queue, asked.cursor);
    let mut summary = Summary::new(asked.error_headers);
    let mut examined = 0;
    while examined < most
        && let Some(seen) = scan.next(512).await?
    {
        examined += seen.len();
        for seen in &seen {
            let letter = Letter::of(seen);
            if asked.filter.takes(&letter, now) {
                summary.count(&letter);
            }
        }
    }
    let mut shown = summary.shown();
    shown["examined"] = examined.into();
    shown["counts"] = counts(&queue);
    let next = scan.cursor().map(|cursor| cursor.to_string());
    shown["next_cursor"] = next.into();
    found(shown)
}

/// Whoever reads them may hang up, so it is written down twice: that they were
/// asked for, and how many went out.
async fn export(
    State(api): State<Arc<Api>>,
    asked: InVhost,
    Extension(peer): Extension<Peer>,
    Path((_, name)): Path<(String, String)>,
    Query(pairs): Pairs,
) -> Reply {
    let (queue, _) = readable(&api, &asked, &name)?;
    let Asked { filter, .. } = Asked::parse(&pairs)?;
    let account = Account {
        deed: Deed::Export,
        user: Arc::clone(asked.acting.name()),
        from: peer.0.to_string(),
        about: json!({ "vhost": &**asked.vhost.name(), "queue": name, "request": pairs }),
    };
    account.clone().write(&api, 0, "started").await;
    let now = api.shared.now().unix_secs();
    let lines = transfer::export(&queue, filter, now, move |count, outcome| async move {
        account.write(&api, count, outcome).await;
    });
    let headers = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (CONTENT_DISPOSITION, "attachment; filename=messages.ndjson"),
    ];
    Ok((headers, lines).into_response())
}
