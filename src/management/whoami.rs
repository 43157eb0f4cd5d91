//! Who asks.

use axum::Router;
use axum::routing::get;
use serde_json::json;

use super::access::Viewer;
use super::reply::{Reply, found};
use super::routes::Routes;

/// `/whoami`.
pub fn routes() -> Routes {
    Router::new().route("/whoami", get(whoami))
}

async fn whoami(Viewer(acting): Viewer) -> Reply {
    let tags: Vec<&str> = acting.tags().iter().map(|tag| &**tag).collect();
    found(json!({
        "name": &**acting.name(),
        "tags": tags,
        "is_internal_user": acting.is_internal(),
    }))
}
