//! How often somebody tried to log in.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::access::{Administrator, Monitor};
use super::api::Api;
use super::path::Path;
use super::reply::{ApiError, Reply, done, found, merge};
use super::routes::Routes;
use crate::server::attempts::{Protocol, Tally};

/// `/auth/attempts`.
pub fn routes() -> Routes {
    Router::new()
        .route("/auth/attempts/{node}", get(all).delete(reset))
        .route(
            "/auth/attempts/{node}/source",
            get(by_source).delete(reset_sources),
        )
}

fn check_node(api: &Api, node: &str) -> Result<(), ApiError> {
    if node == api.node() {
        return Ok(());
    }
    Err(ApiError::not_found())
}

fn shown(protocol: Protocol, tally: Tally) -> Value {
    json!({
        "protocol": protocol.name(),
        "auth_attempts": tally.succeeded + tally.failed,
        "auth_attempts_failed": tally.failed,
        "auth_attempts_succeeded": tally.succeeded,
    })
}

async fn all(State(api): State<Arc<Api>>, _: Monitor, Path(node): Path<String>) -> Reply {
    check_node(&api, &node)?;
    let tallies = Protocol::ALL.map(|protocol| (protocol, api.shared.attempts.tally(protocol)));
    let tried = tallies
        .iter()
        .filter(|(_, tally)| *tally != Tally::default());
    found(
        tried
            .map(|(protocol, tally)| shown(*protocol, *tally))
            .collect(),
    )
}

async fn by_source(State(api): State<Arc<Api>>, _: Monitor, Path(node): Path<String>) -> Reply {
    check_node(&api, &node)?;
    let sources = api.shared.attempts.by_source().into_iter();
    let rows = sources.map(|(source, tally)| {
        let mut row = shown(source.protocol, tally);
        let from = source.address.to_canonical().to_string();
        merge(
            &mut row,
            json!({ "remote_address": from, "username": source.user }),
        );
        row
    });
    found(rows.collect())
}

async fn reset(State(api): State<Arc<Api>>, _: Administrator, Path(node): Path<String>) -> Reply {
    check_node(&api, &node)?;
    api.shared.attempts.reset();
    done()
}

async fn reset_sources(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(node): Path<String>,
) -> Reply {
    check_node(&api, &node)?;
    api.shared.attempts.reset_sources();
    done()
}
