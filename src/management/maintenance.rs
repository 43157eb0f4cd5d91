//! What is asked of the broker as a whole.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get, post};
use serde_json::json;

use super::access::{Administrator, Viewer};
use super::api::Api;
use super::path::Path;
use super::reply::{ApiError, Reply, done, found};
use super::routes::Routes;

/// Odd paths that clients try.
pub fn routes() -> Routes {
    Router::new()
        .route("/cluster-name", get(cluster_name))
        .route("/extensions", get(extensions))
        .route("/rebalance/queues", post(rebalance))
        .route("/reset", delete(reset))
        .route("/reset/{node}", delete(reset_node))
}

async fn cluster_name(State(api): State<Arc<Api>>, _: Viewer) -> Reply {
    found(json!({ "name": api.cluster_name() }))
}

/// What adds to RabbitMQ's own web interface: there is none.
async fn extensions(_: Viewer) -> Reply {
    found(json!([]))
}

/// One node has all queues: they are balanced.
async fn rebalance(_: Administrator) -> Reply {
    done()
}

async fn reset(State(api): State<Arc<Api>>, _: Administrator) -> Reply {
    api.rates.reset();
    done()
}

async fn reset_node(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(node): Path<String>,
) -> Reply {
    if node != api.node() {
        return Err(ApiError::not_found());
    }
    api.rates.reset();
    done()
}
