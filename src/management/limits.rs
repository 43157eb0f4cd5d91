//! What may be in a virtual host, and what a user may have open.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use serde_json::{Value, json};

use super::access::{Administrator, OfVhost, Viewer};
use super::api::Api;
use super::body::Body;
use super::definitions::export::{user_limits, vhost_limits};
use super::listing::Listing;
use super::path::Path;
use super::reply::{ApiError, Reply, done, listed};
use super::routes::Routes;
use super::term::term;
use crate::base::ids::Batch;
use crate::broker::vhost::Vhost;
use crate::server::shared::Shared;

/// `/vhost-limits` and `/user-limits`.
pub fn routes() -> Routes {
    Router::new()
        .route("/vhost-limits", get(of_vhosts))
        .route("/vhost-limits/{vhost}", get(of_vhost))
        .route(
            "/vhost-limits/{vhost}/{limit}",
            put(limit_vhost).delete(unlimit_vhost),
        )
        .route("/user-limits", get(of_users))
        .route("/user-limits/{user}", get(of_user))
        .route(
            "/user-limits/{user}/{limit}",
            put(limit_user).delete(unlimit_user),
        )
}

/// A request that says its body is JSON, which RabbitMQ asks for here.
pub struct SaysJson;

impl<S: Send + Sync> FromRequestParts<S> for SaysJson {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let given = parts.headers.get(CONTENT_TYPE);
        let kind = given.and_then(|given| given.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next());
        if kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
            return Ok(Self);
        }
        Err(StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response())
    }
}

/// One with limits, and what they are.
type Row = (Arc<str>, Value);

async fn list(listing: Listing, whose: &'static str, rows: Vec<Row>) -> Reply {
    let shown = move |(name, value): &Row| json!({ (whose): name, "value": value });
    let limited = rows.into_iter().filter(|(_, value)| is_any(value));
    listed(listing, limited.collect(), |(name, _)| name, shown).await
}

fn is_any(limits: &Value) -> bool {
    limits.as_object().is_some_and(|limits| !limits.is_empty())
}

fn row(vhost: &Arc<Vhost>) -> Row {
    let limits = vhost.settings().limits;
    (Arc::clone(vhost.name()), vhost_limits(limits))
}

async fn of_vhosts(Viewer(acting): Viewer, listing: Listing) -> Reply {
    let vhosts = acting.visible_vhosts();
    list(listing, "vhost", vhosts.iter().map(row).collect()).await
}

async fn of_vhost(within: OfVhost, listing: Listing) -> Reply {
    list(listing, "vhost", vec![row(&within.vhost)]).await
}

async fn of_users(State(api): State<Arc<Api>>, _: Administrator, listing: Listing) -> Reply {
    let users = api.shared.access.users();
    let rows = users
        .iter()
        .map(|user| (Arc::clone(&user.name), user_limits(user.limits)));
    list(listing, "user", rows.collect()).await
}

/// Everybody may know their own.
async fn of_user(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path(name): Path<String>,
    listing: Listing,
) -> Reply {
    if !acting.is_monitor() && **acting.name() != *name {
        return Err(ApiError::not_authorised(
            "User not authorised to access object",
        ));
    }
    let user = api.shared.access.user(&name);
    let user = user.ok_or_else(ApiError::not_found)?;
    let row = (Arc::clone(&user.name), user_limits(user.limits));
    list(listing, "user", vec![row]).await
}

async fn limit_vhost(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path((vhost, limit)): Path<(String, String)>,
    _: SaysJson,
    body: Body,
) -> Reply {
    known_vhost(&api.shared, &vhost)?;
    let [value] = body.required(["value"])?;
    let value = number(&limit, value).map_err(invalid)?;
    let batch = change_vhost(&api.shared, (&vhost, &limit), Some(value), acting.name())?;
    api.synced(batch).await;
    done()
}

/// A limit that there isn't is lifted, too.
async fn unlimit_vhost(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path((vhost, limit)): Path<(String, String)>,
) -> Reply {
    known_vhost(&api.shared, &vhost)?;
    if let Ok(batch) = change_vhost(&api.shared, (&vhost, &limit), None, acting.name()) {
        api.synced(batch).await;
    }
    done()
}

fn known_vhost(shared: &Shared, name: &str) -> Result<Arc<Vhost>, ApiError> {
    let vhost = shared.vhosts.get(name);
    vhost.ok_or_else(|| ApiError::missing("vhost_not_found"))
}

fn change_vhost(
    shared: &Shared,
    (vhost, limit): (&str, &str),
    value: Option<i64>,
    by: &str,
) -> Result<Option<Batch>, ApiError> {
    let changed = shared.change_vhost(vhost, by, |settings| settings.limits.set(limit, value));
    Ok(changed.map_err(|error| invalid(error.to_string()))?.batch)
}

fn invalid(why: String) -> ApiError {
    ApiError::bad_request(format!("Validation failed\n\n{why}\n"))
}

async fn limit_user(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path((user, limit)): Path<(String, String)>,
    _: SaysJson,
    body: Body,
) -> Reply {
    let [value] = body.required(["value"])?;
    let value = number(&limit, value).map_err(ApiError::bad_request)?;
    let batch = change_user(&api.shared, (&user, &limit), Some(value), acting.name())?;
    api.synced(batch).await;
    done()
}

async fn unlimit_user(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path((user, limit)): Path<(String, String)>,
) -> Reply {
    if api.shared.access.user(&user).is_none() {
        return Err(ApiError::missing("user_not_found"));
    }
    if let Ok(batch) = change_user(&api.shared, (&user, &limit), None, acting.name()) {
        api.synced(batch).await;
    }
    done()
}

fn change_user(
    shared: &Shared,
    (user, limit): (&str, &str),
    value: Option<i64>,
    by: &str,
) -> Result<Option<Batch>, ApiError> {
    if shared.access.user(user).is_none() {
        let reason = json!(["no_such_user", user]);
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "bad_request",
            reason,
        ));
    }
    let changed = shared.set_user_limit(user, limit, value, by);
    Ok(changed.map_err(ApiError::bad_request)?.batch)
}

/// The number that a limit is to be.
fn number(limit: &str, value: &Value) -> Result<i64, String> {
    let number = value.as_i64();
    number.ok_or_else(|| format!("{limit} should be a number, actually was {}", term(value)))
}
