//! What is asked of the broker as a whole.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get, post};
use serde_json::json;

use super::access::{Administrator, Viewer};
use super::api::{Api, CLUSTER_NAME_PARAMETER};
use super::body::{Body, unexpected};
use super::parameters;
use super::path::Path;
use super::reply::{ApiError, Reply, done, found};
use super::routes::Routes;
use crate::broker::parameters::ParameterKey;

/// Odd paths that clients try.
pub fn routes() -> Routes {
    Router::new()
        .route("/cluster-name", get(cluster_name).put(name_cluster))
        .route("/extensions", get(extensions))
        .route("/rebalance/queues", post(rebalance))
        .route("/reset", delete(reset))
        .route("/reset/{node}", delete(reset_node))
}

async fn cluster_name(State(api): State<Arc<Api>>, _: Viewer) -> Reply {
    found(json!({ "name": api.cluster_name() }))
}

async fn name_cluster(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    body: Body,
) -> Reply {
    let [name] = body.required(["name"])?;
    if !name.is_string() {
        return Err(unexpected("name", "a string", name));
    }
    let key = ParameterKey::Global {
        name: CLUSTER_NAME_PARAMETER.into(),
    };
    let set = parameters::set(&api.shared, key, name, acting.name());
    let applied = set.map_err(ApiError::bad_request)?;
    api.synced(applied.batch).await;
    done()
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
