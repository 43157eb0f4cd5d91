//! Where messages went: rules, and what was taken down by them. RabbitMQ has
//! nothing like it, so all of it is below `/harrier`.

mod json;
mod rules;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::access::{Acting, Administrator, Monitor};
use super::api::Api;
use super::path::Path;
use super::query::Query;
use super::reply::{ApiError, Reply, done, found};
use super::routes::Routes;
use crate::base::limits::TRACE_STORIES;
use crate::broker::trace::{Event, Search, Story, TraceId};

/// `/harrier/traces`, `/harrier/trace-events`, `/harrier/trace-rules`.
pub fn routes() -> Routes {
    Router::new()
        .route("/harrier/traces", get(search).delete(forget))
        .route("/harrier/traces/{id}", get(story))
        .route("/harrier/trace-events", get(events))
        .merge(rules::routes())
}

/// Stories, those that began last first.
async fn search(State(api): State<Arc<Api>>, Monitor(acting): Monitor, query: Query) -> Reply {
    let text = |key| query.get(key).map(str::to_owned);
    let search = Search {
        correlation_id: text("correlation_id"),
        message_id: text("message_id"),
        queue: text("queue"),
        exchange: query
            .get("exchange")
            .map(|name| super::path::exchange_name(name).to_owned()),
        since: number(&query, "since")?,
        until: number(&query, "until")?,
    };
    let (usual, most) = TRACE_STORIES;
    let limit = number(&query, "limit")?.unwrap_or(usual).min(most);
    let vhost = text("vhost");
    let work = move || {
        let mut events = visible(&api, &acting);
        if let Some(wanted) = &vhost {
            events.retain(|event| *event.vhost == **wanted);
        }
        let found = search.find(Story::all(events));
        let count = found.len();
        let items: Vec<_> = found.iter().take(limit).map(json::summary).collect();
        json!({ "items": items, "found": count, "ring": json::ring(api.tracer()) })
    };
    found(spawn_blocking(work).await.map_err(ApiError::internal)?)
}

/// One story, with all its events.
async fn story(
    State(api): State<Arc<Api>>,
    Monitor(acting): Monitor,
    Path(id): Path<String>,
) -> Reply {
    let trace: TraceId = id.parse().map_err(ApiError::bad_request)?;
    let work = move || Story::of(trace, visible(&api, &acting));
    let told = spawn_blocking(work).await.map_err(ApiError::internal)?;
    let missing = || ApiError::missing(format!("no events of trace '{id}' are kept"));
    found(json::story(&told.ok_or_else(missing)?))
}

/// Events in the order in which they happened, for who follows them.
async fn events(State(api): State<Arc<Api>>, Monitor(acting): Monitor, query: Query) -> Reply {
    let (usual, most) = TRACE_STORIES;
    let limit = number(&query, "limit")?.unwrap_or(usual).min(most);
    let tracer = api.tracer();
    let Some(after) = number(&query, "after")? else {
        // Whoever begins to follow isn't told what has been.
        return found(json!({ "events": [], "last": tracer.last() }));
    };
    let events = tracer.after(after, limit);
    let last = events.last().map_or(after, |event| event.number);
    let mut told = Vec::new();
    for event in events {
        if may_see(&api, &acting, &event) {
            told.push(json::event(&event));
        }
    }
    found(json!({ "events": told, "last": last }))
}

async fn forget(State(api): State<Arc<Api>>, _: Administrator) -> Reply {
    api.tracer().clear();
    done()
}

/// What is kept of the virtual hosts that somebody may enter.
fn visible(api: &Api, acting: &Acting) -> Vec<Arc<Event>> {
    let entered = acting.vhosts();
    let mut events = api.tracer().events();
    events.retain(|event| entered.iter().any(|vhost| *vhost.name() == event.vhost));
    events
}

fn may_see(api: &Api, acting: &Acting, event: &Event) -> bool {
    let vhost = api.shared.vhosts.get(&event.vhost);
    vhost.is_some_and(|vhost| acting.may_enter(&vhost))
}

/// A number that is given as `key`, if one is.
fn number<T: std::str::FromStr>(query: &Query, key: &str) -> Result<Option<T>, ApiError> {
    let Some(text) = query.get(key) else {
        return Ok(None);
    };
    let expected = || {
        let found = Value::from(text);
        super::body::unexpected(key, "a whole number", &found)
    };
    text.parse().map(Some).map_err(|_| expected())
}
