//! What the broker can do and what of it will go, by the names that clients look
//! for. Nothing here can be switched: all of it is on from the start.

use axum::Router;
use axum::routing::{get, put};
use serde_json::{Value, json};

use super::access::{Administrator, Viewer};
use super::listing::Listing;
use super::path::Path;
use super::reply::{ApiError, Reply, done, found, listed};
use super::routes::Routes;

/// The feature flags of RabbitMQ 4.3 that stand for something that is so here,
/// or that clients wouldn't do without, and what that is.
const FLAGS: &[(&str, &str)] = &[
    (
        "classic_mirrored_queue_version",
        "Classic queues have a version of their storage",
    ),
    (
        "classic_queue_type_delivery_support",
        "Deliveries of classic queues go by their type",
    ),
    ("detailed_queues_endpoint", "/api/queues/detailed is there"),
    (
        "direct_exchange_routing_v2",
        "Direct exchanges find queues by an index",
    ),
    (
        "drop_unroutable_metric",
        "Messages dropped as unroutable are counted",
    ),
    (
        "empty_basic_get_metric",
        "Gets from empty queues are counted",
    ),
    (
        "feature_flags_v2",
        "Feature flags are listed with their stability",
    ),
    (
        "implicit_default_bindings",
        "Bindings of the default exchange aren't stored",
    ),
    ("khepri_db", "What is declared survives a loss of power"),
    ("listener_records_in_ets", "Listeners aren't stored"),
    (
        "maintenance_mode_status",
        "Nodes say whether they are being drained",
    ),
    (
        "message_containers",
        "Messages are kept as they were published",
    ),
    (
        "message_containers_deaths_v2",
        "Dead letters keep their history in one place",
    ),
    ("quorum_queue", "Queues of type quorum"),
    (
        "quorum_queue_non_voters",
        "Members of a quorum queue say what they are",
    ),
    (
        "rabbit_exchange_type_local_random",
        "Exchanges of type x-local-random",
    ),
    ("rabbitmq_4.0.0", "What clients of RabbitMQ 4.0 count on"),
    ("rabbitmq_4.1.0", "What clients of RabbitMQ 4.1 count on"),
    ("rabbitmq_4.2.0", "What clients of RabbitMQ 4.2 count on"),
    ("rabbitmq_4.3.0", "What clients of RabbitMQ 4.3 count on"),
    (
        "restart_streams",
        "Required by clients that ask for streams",
    ),
    (
        "stream_filtering",
        "Required by clients that ask for streams",
    ),
    ("stream_queue", "Required by clients that ask for streams"),
    (
        "stream_single_active_consumer",
        "Required by clients that ask for streams",
    ),
    (
        "tracking_records_in_ets",
        "Connections and channels aren't stored",
    ),
    (
        "user_limits",
        "Users have limits of connections and channels",
    ),
    (
        "virtual_host_metadata",
        "Virtual hosts have descriptions and tags",
    ),
];

/// What is deprecated in RabbitMQ, whether it works here, and when it goes there.
const DEPRECATED: &[(&str, &str, &str, &str)] = &[
    (
        "classic_queue_mirroring",
        "denied",
        "removed",
        "Classic queues aren't copied to other nodes",
    ),
    (
        "global_qos",
        "permitted",
        "denied_by_default",
        "A prefetch that the consumers of a channel share, see global_qos of the configuration",
    ),
    (
        "management_metrics_collection",
        "permitted",
        "permitted_by_default",
        "Rates and totals over the management API",
    ),
    (
        "queue_master_locator",
        "denied",
        "denied_by_default",
        "A choice of the node that a queue is on",
    ),
    (
        "ram_node_type",
        "denied",
        "removed",
        "Nodes that store nothing",
    ),
    (
        "transient_nonexcl_queues",
        "permitted",
        "permitted_by_default",
        "Queues that don't survive a restart and belong to no connection",
    ),
];

/// `/feature-flags` and `/deprecated-features`.
pub fn routes() -> Routes {
    Router::new()
        .route("/feature-flags", get(flags))
        .route("/feature-flags/{name}/enable", put(enable))
        .route("/deprecated-features", get(deprecated))
        .route("/deprecated-features/used", get(used))
}

/// The one of them that RabbitMQ 4.3 could run without, the others being required:
/// clients tell the series by it.
const STABLE: &str = "rabbitmq_4.3.0";

async fn flags(_: Viewer, listing: Listing) -> Reply {
    let shown = |(name, what): &(&str, &str)| {
        let (stability, require_level) = match *name {
            STABLE => ("stable", "none"),
            _ => ("required", "hard"),
        };
        json!({
            "name": name,
            "desc": what,
            "doc_url": "",
            "state": "enabled",
            "stability": stability,
            "require_level": require_level,
            "experiment_level": "supported",
            "callbacks": [],
            "provided_by": "rabbit",
        })
    };
    listed(listing, FLAGS.to_vec(), |(name, _)| name, shown).await
}

async fn enable(_: Administrator, Path(name): Path<String>) -> Reply {
    if FLAGS.iter().any(|(known, _)| *known == name) {
        return done();
    }
    Err(ApiError::bad_request("unsupported"))
}

async fn deprecated(_: Viewer, listing: Listing) -> Reply {
    let shown = |(name, state, phase, what): &(&str, &str, &str, &str)| {
        json!({
            "name": name,
            "state": state,
            "desc": what,
            "deprecation_phase": phase,
            "doc_url": "",
            "provided_by": "rabbit",
        })
    };
    listed(listing, DEPRECATED.to_vec(), |(name, ..)| name, shown).await
}

/// What is used isn't kept account of.
async fn used(_: Viewer) -> Reply {
    found(Value::Array(Vec::new()))
}
