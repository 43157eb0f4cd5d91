//! Shovels, as RabbitMQ's plugin shows them. They are set as parameters.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get};
use serde_json::{Value, json};

use super::access::{InVhost, OfVhost, Policymaker, Viewer};
use super::api::Api;
use super::listing::Listing;
use super::path::Path;
use super::reply::{ApiError, Reply, done, found, listed};
use super::routes::Routes;
use super::shovel::{COMPONENT, Status, without_logins};
use crate::broker::parameters::ParameterKey;

/// `/shovels`.
pub fn routes() -> Routes {
    let restarted = delete(restart).put(restart);
    Router::new()
        .route("/shovels", get(all))
        .route("/shovels/{vhost}", get(of_vhost))
        .route("/shovels/vhost/{vhost}/{name}", get(one).delete(clear))
        .route("/shovels/vhost/{vhost}/{name}/restart", restarted)
}

async fn all(State(api): State<Arc<Api>>, Viewer(acting): Viewer, listing: Listing) -> Reply {
    let visible = acting.visible_vhosts();
    let mut shovels = api.shovels.list(None);
    shovels.retain(|shovel| visible.iter().any(|vhost| **vhost.name() == *shovel.vhost));
    listed(listing, shovels, name, shown).await
}

async fn of_vhost(State(api): State<Arc<Api>>, of: OfVhost, listing: Listing) -> Reply {
    let shovels = api.shovels.list(Some(of.vhost.name()));
    listed(listing, shovels, name, shown).await
}

fn name(status: &Status) -> &str {
    &status.name
}

fn shown(status: &Status) -> Value {
    json!(status)
}

/// The parameter, without users and passwords.
async fn one(
    State(api): State<Arc<Api>>,
    of: OfVhost,
    Path((_, name)): Path<(String, String)>,
) -> Reply {
    let vhost = of.vhost.name();
    let key = key(vhost, &name);
    let text = api.shared.vhosts.parameters().get(&key);
    let text = text.ok_or_else(ApiError::not_found)?;
    let value: Value = serde_json::from_str(&text).map_err(ApiError::internal)?;
    found(json!({
        "value": without_logins(value), "vhost": &**vhost, "component": COMPONENT, "name": name,
    }))
}

/// RabbitMQ answers the same whether there was one or not.
async fn clear(
    State(api): State<Arc<Api>>,
    Policymaker(acting): Policymaker,
    within: InVhost,
    Path((_, name)): Path<(String, String)>,
) -> Reply {
    let key = key(within.vhost.name(), &name);
    let cleared = api.shared.clear_parameter(&key, acting.name());
    api.synced(cleared).await;
    done()
}

async fn restart(
    State(api): State<Arc<Api>>,
    _: Policymaker,
    within: InVhost,
    Path((_, name)): Path<(String, String)>,
) -> Reply {
    match api.shovels.restart(within.vhost.name(), &name) {
        true => done(),
        false => Err(ApiError::not_found()),
    }
}

fn key(vhost: &Arc<str>, name: &str) -> ParameterKey {
    ParameterKey::Of {
        component: COMPONENT.into(),
        vhost: Arc::clone(vhost),
        name: name.into(),
    }
}
