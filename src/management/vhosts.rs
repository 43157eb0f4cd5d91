//! Virtual hosts.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::access::{Administrator, Viewer};
use super::api::Api;
use super::listing::Listing;
use super::path::Path;
use super::reply::{ApiError, Reply, found, listed, merge};
use super::routes::Routes;
use super::totals::Totals;
use crate::broker::vhost::Vhost;

/// `/vhosts`.
pub fn routes() -> Routes {
    Router::new()
        .route("/vhosts", get(all))
        .route("/vhosts/{vhost}", get(one))
}

async fn all(State(api): State<Arc<Api>>, Viewer(acting): Viewer, listing: Listing) -> Reply {
    let vhosts = acting.visible_vhosts();
    listed(listing, vhosts, name, move |vhost| shown(&api, vhost)).await
}

async fn one(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(name): Path<String>,
    listing: Listing,
) -> Reply {
    let vhost = api.shared.vhosts.get(&name);
    let vhost = vhost.ok_or_else(ApiError::not_found)?;
    found(listing.project(shown(&api, &vhost)))
}

fn name(vhost: &Arc<Vhost>) -> &str {
    vhost.name()
}

fn shown(api: &Api, vhost: &Arc<Vhost>) -> Value {
    let settings = vhost.settings();
    let tags: Vec<&str> = settings.tags.iter().map(|tag| &**tag).collect();
    let mut shown = json!({
        "name": &**vhost.name(),
        "description": &*settings.description,
        "tags": tags,
        "default_queue_type": settings.default_queue_type.as_deref(),
        "protected_from_deletion": settings.protected,
        "metadata": {
            "description": &*settings.description,
            "tags": tags,
            "default_queue_type": settings.default_queue_type.as_deref(),
        },
        "tracing": vhost.firehose().switch().is_enabled(),
        "cluster_state": { api.node(): "running" },
    });
    merge(&mut shown, Totals::of([vhost]).messages());
    shown
}
