//! Queues: seen, declared, deleted, emptied.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get, post};
use serde_json::json;

use super::access::{InVhost, Viewer};
use super::api::Api;
use super::body::Body;
use super::fields;
use super::listing::Listing;
use super::path::Path;
use super::query::Query;
use super::queue_view::QueueView;
use super::reply::{ApiError, Reply, done, found, listed_in_part, put};
use super::routes::Routes;
use super::row::Wanted;
use crate::broker::queue::Queue;
use crate::wire::method::QueueDeclare;

/// `/queues`.
pub fn routes() -> Routes {
    Router::new()
        .route("/queues", get(all))
        .route("/queues/detailed", get(all_detailed))
        .route("/queues/{vhost}", get(of_vhost))
        .route(
            "/queues/{vhost}/{queue}",
            get(one).put(declare).delete(remove),
        )
        .route("/queues/{vhost}/{queue}/contents", delete(purge))
        .route("/queues/{vhost}/{queue}/actions", post(act))
}

async fn all(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    query: Query,
    listing: Listing,
) -> Reply {
    let vhosts = acting.vhosts();
    let queues = vhosts.iter().flat_map(|vhost| vhost.queues()).collect();
    list(QueueView::new(&api, &query, false), listing, queues).await
}

async fn all_detailed(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    query: Query,
    listing: Listing,
) -> Reply {
    let vhosts = acting.vhosts();
    let queues = vhosts.iter().flat_map(|vhost| vhost.queues()).collect();
    list(QueueView::new(&api, &query, true), listing, queues).await
}

async fn of_vhost(
    State(api): State<Arc<Api>>,
    place: InVhost,
    query: Query,
    listing: Listing,
) -> Reply {
    let view = QueueView::new(&api, &query, false);
    list(view, listing, place.vhost.queues()).await
}

async fn list(view: QueueView, listing: Listing, queues: Vec<Arc<Queue>>) -> Reply {
    let shown = move |queue: &Arc<_>, wanted: &Wanted<'_>| view.shown(queue, wanted);
    listed_in_part(listing, queues, name, shown).await
}

fn name(queue: &Arc<Queue>) -> &str {
    queue.name()
}

async fn one(
    State(api): State<Arc<Api>>,
    place: InVhost,
    Path((_, name)): Path<(String, String)>,
    query: Query,
    listing: Listing,
) -> Reply {
    let queue = place.queue(&name)?;
    let view = QueueView::new(&api, &query, true);
    found(listing.project(view.shown(&queue, &listing.wanted())))
}

async fn declare(
    State(api): State<Arc<Api>>,
    place: InVhost,
    Path((_, name)): Path<(String, String)>,
    body: Body,
) -> Reply {
    check_node(&api, &body)?;
    let method = QueueDeclare {
        queue: &name,
        durable: body.flag("durable")?.unwrap_or(false),
        auto_delete: body.flag("auto_delete")?.unwrap_or(false),
        arguments: fields::arguments(&body)?,
        ..QueueDeclare::default()
    };
    let mut direct = place.direct(&api);
    let created = direct.declare_queue(&method)?;
    api.synced(direct.take_batch()).await;
    put(created)
}

/// The node that a body names has to be this one: there are no others.
pub fn check_node(api: &Api, body: &Body) -> Result<(), ApiError> {
    match body.text("node")? {
        Some(node) if node != api.node() => Err(ApiError::bad_request(format!(
            "Node {node} is not a cluster member"
        ))),
        _ => Ok(()),
    }
}

async fn remove(
    State(api): State<Arc<Api>>,
    place: InVhost,
    Path((_, name)): Path<(String, String)>,
    query: Query,
) -> Reply {
    place.queue(&name)?;
    let mut direct = place.direct(&api);
    direct.delete_queue(&name, query.flag("if-unused"), query.flag("if-empty"))?;
    api.synced(direct.take_batch()).await;
    done()
}

async fn purge(
    State(api): State<Arc<Api>>,
    place: InVhost,
    Path((_, name)): Path<(String, String)>,
) -> Reply {
    place.queue(&name)?;
    let mut direct = place.direct(&api);
    direct.purge(&name)?;
    api.synced(direct.take_batch()).await;
    done()
}

/// What could be done with mirrored queues, of which there are none any more.
async fn act(place: InVhost, Path((_, name)): Path<(String, String)>, body: Body) -> Reply {
    if place.queue(&name).is_err() {
        return Err(ApiError::missing("queue_not_found"));
    }
    let [action] = body.required(["action"])?;
    Err(ApiError::because(json!(["unknown", action])))
}
