//! The replicas of quorum queues, of which each has one, on this node: what may be
//! asked of that one, and what can't be done to it.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use serde_json::json;

use super::access::{Administrator, InVhost, Monitor};
use super::api::Api;
use super::body::Body;
use super::path::Path;
use super::reply::{ApiError, Reply, done, found};
use super::routes::Routes;

/// `/queues/quorum`.
pub fn routes() -> Routes {
    Router::new()
        .route("/queues/quorum/{vhost}/{queue}/status", get(status))
        .route("/queues/quorum/{vhost}/{queue}/replicas/add", post(add))
        .route(
            "/queues/quorum/{vhost}/{queue}/replicas/delete",
            delete(remove),
        )
        .route("/queues/quorum/replicas/on/{node}/grow", post(grow))
        .route("/queues/quorum/replicas/on/{node}/shrink", delete(shrink))
}

/// What RabbitMQ calls a queue that has no replicas.
const CLASSIC: &str = "classic_queue_not_supported";

fn unavailable(reason: &str) -> ApiError {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    ApiError::new(status, "service_unavailable", reason)
}

/// A queue's share of the log that replicates it: what one node has to say.
async fn status(
    State(api): State<Arc<Api>>,
    _: Monitor,
    place: InVhost,
    Path((_, name)): Path<(String, String)>,
) -> Reply {
    let queue = place.queue(&name)?;
    if !queue.settings().quorum {
        let failed = json!({ "status": "failed", "reason": CLASSIC });
        return Ok((StatusCode::SERVICE_UNAVAILABLE, Json(failed)).into_response());
    }
    let last = api.shared.store.synced().0;
    found(json!([{
        "Node Name": api.node(),
        "Raft State": "leader",
        "Membership": "voter",
        "Last Log Index": last,
        "Last Written": last,
        "Last Applied": last,
        "Commit Index": last,
        "Snapshot Index": -1,
        "Term": 1,
        "Machine Version": 1,
    }]))
}

/// The node that a body names has to be this one.
fn check_member(api: &Api, body: &Body) -> Result<(), ApiError> {
    let [node] = body.required(["node"])?;
    if node == api.node() {
        return Ok(());
    }
    Err(ApiError::bad_request("Node is not a cluster member"))
}

/// Done already: this node has it.
async fn add(
    State(api): State<Arc<Api>>,
    _: Administrator,
    place: InVhost,
    Path((_, name)): Path<(String, String)>,
    body: Body,
) -> Reply {
    check_member(&api, &body)?;
    match place.queue(&name) {
        Err(_) => Err(unavailable("not_found")),
        Ok(queue) if !queue.settings().quorum => Err(unavailable(CLASSIC)),
        Ok(_) => done(),
    }
}

/// A queue has to be somewhere.
async fn remove(
    State(api): State<Arc<Api>>,
    _: Administrator,
    place: InVhost,
    Path((_, name)): Path<(String, String)>,
    body: Body,
) -> Reply {
    let queue = place.queue(&name)?;
    check_member(&api, &body)?;
    let reason = if queue.settings().quorum {
        "last_node"
    } else {
        CLASSIC
    };
    Err(unavailable(reason))
}

async fn grow(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(node): Path<String>,
    body: Body,
) -> Reply {
    let [_, _, strategy] = body.required(["vhost_pattern", "queue_pattern", "strategy"])?;
    if node != api.node() {
        return Err(ApiError::not_found());
    }
    if strategy != "all" && strategy != "even" {
        let wrong = format!("strategy is {strategy}: expected \"all\" or \"even\"");
        return Err(ApiError::bad_request(wrong));
    }
    done()
}

async fn shrink(State(api): State<Arc<Api>>, _: Administrator, Path(node): Path<String>) -> Reply {
    if node != api.node() {
        return Err(ApiError::not_found());
    }
    Err(unavailable("last_node"))
}
