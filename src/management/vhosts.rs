//! Virtual hosts.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Map, Value, json};

use super::access::{Administrator, Viewer};
use super::api::Api;
use super::counters::{self, QUEUE, QUEUE_LENGTHS};
use super::listing::Listing;
use super::path::Path;
use super::rates::{Ages, Subject};
use super::reply::{ApiError, Reply, found, listed, merge};
use super::routes::Routes;
use crate::broker::vhost::Vhost;

/// `/vhosts`.
pub fn routes() -> Routes {
    Router::new()
        .route("/vhosts", get(all))
        .route("/vhosts/{vhost}", get(one))
}

async fn all(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    ages: Ages,
    listing: Listing,
) -> Reply {
    let vhosts = acting.visible_vhosts();
    listed(listing, vhosts, name, move |vhost| shown(&api, vhost, ages)).await
}

async fn one(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(name): Path<String>,
    ages: Ages,
    listing: Listing,
) -> Reply {
    let vhost = api.shared.vhosts.get(&name);
    let vhost = vhost.ok_or_else(ApiError::not_found)?;
    found(listing.project(shown(&api, &vhost, ages)))
}

fn name(vhost: &Arc<Vhost>) -> &str {
    vhost.name()
}

fn shown(api: &Api, vhost: &Arc<Vhost>, ages: Ages) -> Value {
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
    merge(&mut shown, counted(api, vhost, ages).into());
    shown
}

/// What is in its queues, and what has passed those there are.
fn counted(api: &Api, vhost: &Vhost, ages: Ages) -> Map<String, Value> {
    let values = counters::of_vhost(vhost);
    let (lengths, passed) = values.split_at(QUEUE_LENGTHS);
    let (length_names, passed_names) = QUEUE.split_at(QUEUE_LENGTHS);
    let subject = Subject::Vhost(Arc::clone(vhost.name()));
    let rates = &api.rates;
    let mut shown = Map::new();
    let counters = (length_names, lengths);
    rates.put(&mut shown, &subject, 0, counters, ages.lengths);
    if passed.iter().any(|value| *value > 0) {
        let mut stats = Map::new();
        let counters = (passed_names, passed);
        rates.put(&mut stats, &subject, QUEUE_LENGTHS, counters, ages.messages);
        shown.insert("message_stats".to_owned(), stats.into());
    }
    shown
}
