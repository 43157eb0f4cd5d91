//! The broker at a glance.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::access::Viewer;
use super::api::{Api, Listener};
use super::listing::Listing;
use super::reply::{Reply, found, merge};
use super::routes::Routes;
use super::totals::Totals;
use crate::server::shared::COMPATIBLE_VERSION;

/// The types of exchanges there are, and what RabbitMQ says of each.
const EXCHANGE_TYPES: &[(&str, &str)] = &[
    (
        "direct",
        "AMQP direct exchange, as per the AMQP specification",
    ),
    (
        "fanout",
        "AMQP fanout exchange, as per the AMQP specification",
    ),
    (
        "headers",
        "AMQP headers exchange, as per the AMQP specification",
    ),
    (
        "topic",
        "AMQP topic exchange, as per the AMQP specification",
    ),
    ("x-consistent-hash", "Consistent Hashing Exchange"),
    ("x-delayed-message", "Delayed Message Exchange."),
    (
        "x-local-random",
        "Picks one random local binding (queue) to route via (to).",
    ),
    ("x-message-deduplication", "Message Deduplication Exchange."),
    ("x-modulus-hash", "Modulus Hashing Exchange"),
    (
        "x-random",
        "Randomly picks a binding (queue) to route via (to).",
    ),
    ("x-recent-history", "Recent History Exchange."),
];

/// `/overview` and what else there is to say of the broker as such.
pub fn routes() -> Routes {
    Router::new()
        .route("/overview", get(overview))
        .route("/version", get(version))
}

async fn version(_: Viewer) -> Reply {
    found(COMPATIBLE_VERSION.into())
}

async fn overview(State(api): State<Arc<Api>>, Viewer(acting): Viewer, listing: Listing) -> Reply {
    let vhosts = acting.visible_vhosts();
    let totals = Totals::of(&vhosts);
    let exchanges: usize = vhosts.iter().map(|vhost| vhost.exchanges().len()).sum();
    let mut overview = identity(&api);
    let more = json!({
        "message_stats": {},
        "churn_rates": {
            "connection_created": 0, "connection_closed": 0,
            "channel_created": 0, "channel_closed": 0,
            "queue_declared": 0, "queue_created": 0, "queue_deleted": 0,
        },
        "queue_totals": totals.messages(),
        "object_totals": {
            "connections": api.shared.connections(),
            "channels": 0,
            "consumers": totals.consumers,
            "queues": totals.queues,
            "exchanges": exchanges,
        },
    });
    merge(&mut overview, more);
    if acting.is_monitor() {
        merge(&mut overview, places(&api));
    }
    found(listing.project(overview))
}

/// What this is, for clients that look before they ask for more.
fn identity(api: &Api) -> Value {
    let types = EXCHANGE_TYPES.iter().map(
        |(name, description)| json!({ "name": name, "description": description, "enabled": true }),
    );
    json!({
        "management_version": COMPATIBLE_VERSION,
        "rabbitmq_version": COMPATIBLE_VERSION,
        "product_name": "RabbitMQ",
        "product_version": COMPATIBLE_VERSION,
        "harrier_version": env!("CARGO_PKG_VERSION"),
        "rates_mode": "basic",
        "sample_retention_policies": {
            "global": [600, 3600, 28800, 86400],
            "basic": [600, 3600],
            "detailed": [600],
        },
        "exchange_types": types.collect::<Vec<_>>(),
        "cluster_name": api.cluster_name(),
        "cluster_tags": {},
        "node_tags": {},
        "erlang_version": "",
        "erlang_full_version": "",
        "crypto_lib_version": "aws-lc-rs",
        "disable_stats": false,
        "default_queue_type": api.shared.config.default_queue_type,
        "is_op_policy_updating_enabled": true,
        "enable_queue_totals": false,
        "require_definition_json_extension": false,
        "statistics_db_event_queue": 0,
        "node": api.node(),
    })
}

/// Where the broker is served.
fn places(api: &Api) -> Value {
    let node = api.node();
    let listener = |listener: &Listener| {
        json!({
            "node": node,
            "protocol": listener.protocol,
            "ip_address": listener.address.ip().to_string(),
            "port": listener.address.port(),
            "socket_opts": { "nodelay": true },
            "tls": listener.tls,
        })
    };
    let is_web = |listener: &&Listener| listener.protocol.starts_with("http");
    let context = |listener: &Listener| {
        json!({
            "ssl_opts": [],
            "node": node,
            "description": "RabbitMQ Management",
            "path": "/",
            "ip": listener.address.ip().to_string(),
            "port": listener.address.port().to_string(),
        })
    };
    let web = api.listeners.iter().filter(is_web);
    json!({
        "listeners": api.listeners.iter().map(listener).collect::<Vec<_>>(),
        "contexts": web.map(context).collect::<Vec<_>>(),
    })
}
