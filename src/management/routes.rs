//! All routes. A file with routes of its own adds itself to `api`.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};

use super::api::Api;
use super::reply::ApiError;
use super::{
    attempts, audited, bindings, channels, connections, consumers, definition_routes, exchanges,
    features, front, health, limits, maintenance, messages, metrics, nodes, overview,
    parameter_routes, permissions, policies, queues, replicas, shovels, traces, ui, users,
    vhost_routes, vhosts, whoami, workbench,
};
use crate::base::limits::HTTP_BODY_MAX;

/// Routes of some kind of thing, their paths below `/api`: `/queues/{vhost}`.
pub type Routes = Router<Arc<Api>>;

/// All that is below `/api`.
fn api() -> Routes {
    Router::new()
        .merge(attempts::routes())
        .merge(bindings::routes())
        .merge(channels::routes())
        .merge(connections::routes())
        .merge(consumers::routes())
        .merge(definition_routes::routes())
        .merge(exchanges::routes())
        .merge(features::routes())
        .merge(health::routes())
        .merge(limits::routes())
        .merge(maintenance::routes())
        .merge(messages::routes())
        .merge(nodes::routes())
        .merge(overview::routes())
        .merge(parameter_routes::routes())
        .merge(permissions::routes())
        .merge(policies::routes())
        .merge(queues::routes())
        .merge(replicas::routes())
        .merge(shovels::routes())
        .merge(traces::routes())
        .merge(users::routes())
        .merge(vhost_routes::routes())
        .merge(vhosts::routes())
        .merge(whoami::routes())
        .merge(workbench::routes())
        .fallback(async || ApiError::not_found())
}

/// Metrics alone, which anybody may read.
pub fn metrics(api: &Arc<Api>) -> Router {
    let routes = metrics::open_routes().fallback(async || ApiError::not_found());
    let routes = routes.with_state(Arc::clone(api));
    Router::new()
        .fallback_service(routes)
        .layer(from_fn(front::pass))
}

/// All there is.
pub fn all(api: &Arc<Api>) -> Router {
    let routes = Router::new()
        .nest("/api", self::api())
        .merge(metrics::routes())
        .merge(ui::routes())
        .layer(DefaultBodyLimit::max(HTTP_BODY_MAX))
        .layer(from_fn_with_state(Arc::clone(api), audited::note))
        .with_state(Arc::clone(api));
    // Around the routes, not of them: what is in front may change the path.
    Router::new()
        .fallback_service(routes)
        .layer(from_fn(front::pass))
}
