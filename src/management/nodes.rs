//! The node, of which there is one.

use std::fs;
use std::sync::Arc;
use std::thread::available_parallelism;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Map, Value, json};

use super::access::Monitor;
use super::api::Api;
use super::counters::{self, CHURN, NODE_CHURN};
use super::listing::Listing;
use super::overview;
use super::path::Path;
use super::query::Query;
use super::rates::{Ages, Subject};
use super::reply::{ApiError, Reply, found, merge};
use super::routes::Routes;
use crate::server::shared::COMPATIBLE_VERSION;

/// `/nodes`.
pub fn routes() -> Routes {
    Router::new()
        .route("/nodes", get(all))
        .route("/nodes/{node}", get(one))
        .route("/nodes/{node}/memory", get(memory))
        .route("/nodes/{node}/memory/relative", get(memory_relative))
}

async fn all(State(api): State<Arc<Api>>, _: Monitor, ages: Ages, listing: Listing) -> Reply {
    found(listing.project(json!([shown(&api, ages)])))
}

async fn one(
    State(api): State<Arc<Api>>,
    _: Monitor,
    Path(name): Path<String>,
    ages: Ages,
    query: Query,
    listing: Listing,
) -> Reply {
    check(&api, &name)?;
    let mut shown = shown(&api, ages);
    if query.flag("memory") {
        merge(&mut shown, json!({ "memory": breakdown(&api) }));
    }
    found(listing.project(shown))
}

fn check(api: &Api, name: &str) -> Result<(), ApiError> {
    if name == api.node() {
        return Ok(());
    }
    Err(ApiError::not_found())
}

async fn memory(State(api): State<Arc<Api>>, _: Monitor, Path(name): Path<String>) -> Reply {
    check(&api, &name)?;
    found(json!({ "memory": breakdown(&api) }))
}

async fn memory_relative(
    State(api): State<Arc<Api>>,
    _: Monitor,
    Path(name): Path<String>,
) -> Reply {
    check(&api, &name)?;
    let mut parts = parts(&api);
    let total: u64 = parts.iter().map(|(_, octets)| octets).sum();
    for (_, octets) in &mut parts {
        *octets = *octets * 100 / total.max(1);
    }
    let shown: Map<_, _> = parts.into_iter().map(named).collect();
    found(json!({ "memory": shown }))
}

fn named((name, octets): (&str, u64)) -> (String, Value) {
    (name.to_owned(), octets.into())
}

/// What Erlang's memory goes to, of which here is but this: what connections
/// have to write, what messages take, and the rest.
fn parts(api: &Api) -> Vec<(&'static str, u64)> {
    let resident = api.shared.resources().memory.unwrap_or_default();
    let connections = api.shared.roster.connections();
    let writers: usize = connections.iter().map(|one| one.pending()).sum();
    let history = api.rates.octets() as u64;
    let known = writers as u64 + history;
    let mut parts = vec![
        ("connection_writers", writers as u64),
        ("mgmt_db", history),
        ("other_system", resident.saturating_sub(known)),
    ];
    parts.extend(NOTHING.iter().map(|name| (*name, 0)));
    parts
}

/// Parts of Erlang's memory that clients look for and that aren't here.
const NOTHING: &[&str] = &[
    "connection_readers",
    "connection_channels",
    "connection_other",
    "stream_queue_procs",
    "stream_queue_replica_reader_procs",
    "stream_queue_coordinator_procs",
    "queue_procs",
    "quorum_queue_procs",
    "quorum_queue_dlx_procs",
    "plugins",
    "metadata_store",
    "other_proc",
    "metrics",
    "quorum_ets",
    "mnesia",
    "metadata_store_ets",
    "other_ets",
    "binary",
    "msg_index",
    "code",
    "atom",
    "allocated_unused",
    "reserved_unallocated",
];

fn breakdown(api: &Api) -> Value {
    let resident = api.shared.resources().memory.unwrap_or_default();
    let mut shown: Map<_, _> = parts(api).into_iter().map(named).collect();
    shown.insert("strategy".to_owned(), "rss".into());
    let total = json!({ "erlang": resident, "rss": resident, "allocated": resident });
    shown.insert("total".to_owned(), total);
    shown.into()
}

fn shown(api: &Api, ages: Ages) -> Value {
    let mut shown = described(api);
    merge(&mut shown, resources(api));
    merge(&mut shown, placeholders());
    let mut churn = Map::new();
    let values = counters::of_churn(&api.shared);
    let counters = (&CHURN[..], &values[..]);
    let rates = &api.rates;
    rates.put(&mut churn, &Subject::Node, NODE_CHURN, counters, ages.node);
    merge(&mut shown, churn.into());
    shown
}

fn described(api: &Api) -> Value {
    let config = &api.shared.config;
    let settings = api.shared.settings(true);
    let mechanisms = settings.mechanisms.split(' ').map(
        |name| json!({ "name": name, "description": format!("SASL {name}"), "enabled": true }),
    );
    json!({
        "name": api.node(),
        "type": "disc",
        "running": true,
        "being_drained": false,
        "partitions": [],
        "cluster_links": [],
        "os_pid": std::process::id().to_string(),
        "rates_mode": "basic",
        "uptime": api.shared.now().monotonic_ms.saturating_sub(api.started.monotonic_ms),
        "processors": available_parallelism().map_or(1, usize::from),
        "exchange_types": overview::exchange_types(),
        "auth_mechanisms": mechanisms.collect::<Vec<_>>(),
        "applications": [{
            "name": "harrier",
            "description": env!("CARGO_PKG_DESCRIPTION"),
            "version": env!("CARGO_PKG_VERSION"),
        }],
        "contexts": overview::contexts(api),
        "log_files": ["<stderr>"],
        "db_dir": config.data_dir.display().to_string(),
        "config_files": [],
        "enabled_plugins": ["rabbitmq_management"],
        "rabbitmq_version": COMPATIBLE_VERSION,
        "harrier_version": env!("CARGO_PKG_VERSION"),
        "erlang_version": "",
        "erlang_full_version": "",
        "crypto_lib_version": "aws-lc-rs",
    })
}

fn resources(api: &Api) -> Value {
    let resources = api.shared.resources();
    json!({
        "mem_used": resources.memory,
        "mem_limit": resources.memory_limit,
        "mem_alarm": resources.memory_alarm,
        "mem_calculation_strategy": "rss",
        "disk_free": resources.disk_free,
        "disk_free_limit": resources.disk_free_limit,
        "disk_free_alarm": resources.disk_alarm,
        "fd_used": entries("/proc/self/fd"),
        "fd_total": open_files_max(),
        // Threads, the nearest thing to Erlang's processes.
        "proc_used": entries("/proc/self/task"),
        "proc_total": threads_max(),
        "sockets_used": api.shared.roster.len(),
        "sockets_total": api.shared.config.connections_max,
    })
}

/// Erlang's own, which clients of RabbitMQ read all the same.
fn placeholders() -> Value {
    json!({
        "run_queue": 0,
        "net_ticktime": 0,
        "gc_num": 0,
        "gc_bytes_reclaimed": 0,
        "context_switches": 0,
        "metrics_gc_queue_length": {},
        "ra_open_file_metrics": {},
    })
}

fn entries(directory: &str) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}

/// How many files the process may have open.
fn open_files_max() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let mut lines = limits.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// How many threads the system has room for; no limit of the process's own is usual.
fn threads_max() -> Option<u64> {
    let text = fs::read_to_string("/proc/sys/kernel/threads-max").ok()?;
    text.trim().parse().ok()
}
