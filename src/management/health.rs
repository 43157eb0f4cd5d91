//! Whether all is well: for load balancers, supervisors and people on call.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::{Value, json};

use super::access::{InVhost, OfVhost, Viewer};
use super::api::Api;
use super::path::Path;
use super::reply::{ApiError, Reply, found};
use super::routes::Routes;

/// `/health/checks`, and what there was before it.
pub fn routes() -> Routes {
    Router::new()
        .merge(queue_checks())
        .route("/health/checks/alarms", get(alarms))
        .route("/health/checks/local-alarms", get(local_alarms))
        .route(
            "/health/checks/certificate-expiration/{within}/{unit}",
            get(certificates),
        )
        .route("/health/checks/port-listener/{port}", get(port))
        .route(
            "/health/checks/protocol-listener/{protocols}",
            get(protocols),
        )
        .route("/health/checks/virtual-hosts", get(well))
        .route("/health/checks/metadata-store/initialized", get(well))
        .route(
            "/health/checks/metadata-store/initialized/with-data",
            get(well),
        )
        .route("/health/checks/reached-target-cluster-size", get(well))
        .route("/health/checks/is-in-service", get(in_service))
        .route("/health/checks/ready-to-serve-clients", get(ready))
        .route(
            "/health/checks/below-node-connection-limit",
            get(below_limit),
        )
        .route("/aliveness-test/{vhost}", get(alive))
        .route("/healthchecks/node", get(well))
        .route("/healthchecks/node/{node}", get(node_well))
}

/// On one node, every queue has its leader while the node is up.
fn queue_checks() -> Routes {
    const PATH: &str = "/health/checks/quorum-queues-without-elected-leaders";
    Router::new()
        .route(
            "/health/checks/node-is-quorum-critical",
            get(quorum_critical),
        )
        .route(&format!("{PATH}/all-vhosts"), get(well))
        .route(&format!("{PATH}/all-vhosts/pattern/{{pattern}}"), get(well))
        .route(&format!("{PATH}/vhost/{{vhost}}"), get(vhost_well))
        .route(
            &format!("{PATH}/vhost/{{vhost}}/pattern/{{pattern}}"),
            get(vhost_well),
        )
}

fn ok() -> Reply {
    found(json!({ "status": "ok" }))
}

/// 503 with a reason, and what else there is to say.
fn failed(reason: &str, mut more: Value) -> Reply {
    more["status"] = "failed".into();
    more["reason"] = reason.into();
    Ok((StatusCode::SERVICE_UNAVAILABLE, Json(more)).into_response())
}

async fn well(_: Viewer) -> Reply {
    ok()
}

async fn vhost_well(_: OfVhost) -> Reply {
    ok()
}

async fn alive(_: InVhost) -> Reply {
    ok()
}

async fn node_well(State(api): State<Arc<Api>>, _: Viewer, Path(node): Path<String>) -> Reply {
    if node == api.node() {
        return ok();
    }
    Err(ApiError::not_found())
}

async fn quorum_critical(_: Viewer) -> Reply {
    found(json!({ "status": "ok", "reason": "single node cluster" }))
}

async fn alarms(State(api): State<Arc<Api>>, _: Viewer) -> Reply {
    tell_alarms(&api, "There are alarms in effect in the cluster")
}

async fn local_alarms(State(api): State<Arc<Api>>, _: Viewer) -> Reply {
    tell_alarms(&api, "There are alarms in effect on the node")
}

fn tell_alarms(api: &Api, reason: &str) -> Reply {
    let alarms = &api.shared.alarms;
    let on = [("memory", alarms.memory()), ("disk", alarms.disk())];
    let on = on.iter().filter(|(_, is_on)| *is_on);
    let on: Vec<_> = on
        .map(|(resource, _)| json!({ "node": api.node(), "resource": resource }))
        .collect();
    if on.is_empty() {
        return ok();
    }
    failed(reason, json!({ "alarms": on }))
}

const DAY_SECS: u64 = 24 * 60 * 60;

/// Days of a unit of time, as RabbitMQ counts them.
fn days_of(unit: &str) -> Option<u64> {
    match unit {
        "days" => Some(1),
        "weeks" => Some(7),
        "months" => Some(30),
        "years" => Some(365),
        _ => None,
    }
}

async fn certificates(
    State(api): State<Arc<Api>>,
    _: Viewer,
    Path((within, unit)): Path<(String, String)>,
) -> Reply {
    let Ok(within) = within.parse::<u32>() else {
        return Err(ApiError::bad_request("Invalid expiration value."));
    };
    let Some(days) = days_of(&unit) else {
        return Err(ApiError::bad_request(
            "Time unit not recognised. Supported units: days, weeks, months, years.",
        ));
    };
    let certificates = api.shared.certificates.as_ref();
    let expires = certificates.and_then(|certificates| certificates.expires());
    let until = api.shared.now().unix_secs() + u64::from(within) * days * DAY_SECS;
    let Some(expires) = expires.filter(|expires| *expires <= until) else {
        return ok();
    };
    let concerned = api.listeners.iter().filter(|listener| listener.tls);
    let expired: Vec<_> = concerned
        .map(|listener| {
            json!({
                "node": api.node(),
                "protocol": listener.protocol,
                "interface": listener.address.ip().to_string(),
                "port": listener.address.port(),
                "certfile": api.shared.config.tls.certfile,
                "certfile_expires_on": expires,
            })
        })
        .collect();
    failed("Certificates expiring", json!({ "expired": expired }))
}

async fn port(State(api): State<Arc<Api>>, _: Viewer, Path(port): Path<String>) -> Reply {
    let Ok(port) = port.parse::<u16>() else {
        return Err(ApiError::bad_request("Invalid port"));
    };
    let listeners = api.listeners.iter();
    let ports: Vec<_> = listeners.map(|one| one.address.port()).collect();
    if ports.contains(&port) {
        return found(json!({ "status": "ok", "port": port }));
    }
    failed(
        "No active listener",
        json!({ "missing": port, "ports": ports }),
    )
}

/// The name that listeners have for a protocol that is asked for by another.
fn canonical(protocol: &str) -> String {
    let name = protocol.trim().to_lowercase();
    match &*name {
        "amqp091" | "amqp0.9.1" | "amqp0-9-1" | "amqp-0-9-1" => "amqp".into(),
        "amqps" | "amqp091/ssl" => "amqp/ssl".into(),
        "prometheus" => "http/prometheus".into(),
        "api" => "http".into(),
        _ => name,
    }
}

async fn protocols(State(api): State<Arc<Api>>, _: Viewer, Path(wanted): Path<String>) -> Reply {
    let mut active: Vec<_> = api.listeners.iter().map(|one| one.protocol).collect();
    active.sort_unstable();
    active.dedup();
    let is_missing = |protocol: &&str| !active.contains(&&*canonical(protocol));
    let missing: Vec<_> = wanted.split(',').filter(is_missing).collect();
    if missing.is_empty() {
        return found(json!({ "status": "ok", "protocols": active }));
    }
    let more = json!({ "missing": missing, "protocols": active });
    failed("No active listener", more)
}

async fn in_service(State(api): State<Arc<Api>>, _: Viewer) -> Reply {
    if api.shared.is_stopping() {
        return failed("this node is being stopped", json!({}));
    }
    ok()
}

async fn below_limit(State(api): State<Arc<Api>>, _: Viewer) -> Reply {
    let (open, limit) = (api.shared.connections(), api.shared.config.connections_max);
    if open < limit {
        return ok();
    }
    failed(
        "node connection limit is reached",
        json!({ "connections": open, "limit": limit }),
    )
}

async fn ready(state: State<Arc<Api>>, viewer: Viewer) -> Reply {
    if state.shared.connections() < state.shared.config.connections_max {
        return in_service(state, viewer).await;
    }
    below_limit(state, viewer).await
}
