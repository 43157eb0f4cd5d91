//! The broker at a glance.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Map, Value, json};

use super::access::Viewer;
use super::api::{Api, Listener};
use super::counters::{self, CHANNEL, CHURN, NODE_CHANNELS, NODE_CHURN, QUEUE, QUEUE_LENGTHS};
use super::listing::Listing;
use super::rates::{Ages, Subject};
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

async fn overview(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    ages: Ages,
    listing: Listing,
) -> Reply {
    let vhosts = acting.visible_vhosts();
    let totals = Totals::of(&vhosts);
    let exchanges: usize = vhosts.iter().map(|vhost| vhost.exchanges().len()).sum();
    let mut overview = identity(&api);
    let more = json!({
        "message_stats": message_stats(&api, ages),
        "churn_rates": churn(&api, ages),
        "queue_totals": queue_totals(&api, &totals, ages),
        "object_totals": {
            "connections": api.shared.roster.len(),
            "channels": channels(&api),
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

/// Channels of all connections.
fn channels(api: &Api) -> usize {
    let connections = api.shared.roster.connections();
    connections.iter().map(|one| one.channel_count()).sum()
}

/// What has passed all channels, with how fast it does.
fn message_stats(api: &Api, ages: Ages) -> Map<String, Value> {
    let mut stats = Map::new();
    let values = counters::of_channel(&api.shared.roster.traffic());
    if values.iter().any(|value| *value > 0) {
        let counters = (&CHANNEL[..], &values[..]);
        let rates = &api.rates;
        rates.put(
            &mut stats,
            &Subject::Node,
            NODE_CHANNELS,
            counters,
            ages.messages,
        );
    }
    stats
}

fn churn(api: &Api, ages: Ages) -> Map<String, Value> {
    let mut churn = Map::new();
    let values = counters::of_churn(&api.shared);
    let counters = (&CHURN[..], &values[..]);
    let rates = &api.rates;
    rates.put(&mut churn, &Subject::Node, NODE_CHURN, counters, ages.node);
    churn
}

fn queue_totals(api: &Api, totals: &Totals, ages: Ages) -> Map<String, Value> {
    let mut shown = Map::new();
    let values = [
        totals.ready + totals.unacknowledged,
        totals.ready,
        totals.unacknowledged,
    ];
    let counters = (&QUEUE[..QUEUE_LENGTHS], &values[..]);
    let rates = &api.rates;
    rates.put(&mut shown, &Subject::Node, 0, counters, ages.lengths);
    shown
}

/// The types of exchanges there are.
pub fn exchange_types() -> Value {
    let types = EXCHANGE_TYPES.iter().map(
        |(name, description)| json!({ "name": name, "description": description, "enabled": true }),
    );
    types.collect()
}

/// What this is, for clients that look before they ask for more.
fn identity(api: &Api) -> Value {
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
        "exchange_types": exchange_types(),
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
    json!({
        "listeners": api.listeners.iter().map(listener).collect::<Vec<_>>(),
        "contexts": contexts(api),
    })
}

/// Where HTTP is served.
pub fn contexts(api: &Api) -> Value {
    let node = api.node();
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
    web.map(context).collect()
}
