//! The broker as such: who it is, what it uses, what has come and gone.

use std::fs;

use super::page::{Labels, Page};
use crate::management::api::Api;
use crate::server::attempts::{Protocol, Tally};
use crate::server::shared::COMPATIBLE_VERSION;

/// What `rabbitmq_endpoint` says on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// Sums.
    Aggregated,
    /// All there is of each object.
    PerObject,
    /// Some families of each object.
    Detailed,
    /// Memory alone.
    Memory,
}

impl Endpoint {
    const fn name(self) -> &'static str {
        match self {
            Self::Aggregated => "aggregated",
            Self::PerObject => "per-object",
            Self::Detailed => "detailed",
            Self::Memory => "memory-breakdown",
        }
    }

    /// What RabbitMQ calls what a page is made from.
    pub const fn registry(self) -> &'static str {
        match self {
            Self::Aggregated => "default",
            other => other.name(),
        }
    }
}

/// Who it is: RabbitMQ's dashboards join all else with this.
pub fn identity(page: &mut Page, api: &Api, endpoint: Endpoint) {
    let cluster = api.cluster_name();
    let id = format!("{cluster}-{}", api.node());
    let labels = Labels::of(&[
        ("rabbitmq_node", api.node()),
        ("rabbitmq_cluster", &cluster),
        ("rabbitmq_cluster_permanent_id", &id),
        ("rabbitmq_endpoint", endpoint.name()),
    ]);
    page.gauge("identity_info", "Which node this is", &[(labels, 1.0)]);
    let own = env!("CARGO_PKG_VERSION");
    let labels = Labels::of(&[
        ("rabbitmq_version", COMPATIBLE_VERSION),
        ("prometheus_plugin_version", COMPATIBLE_VERSION),
        ("prometheus_client_version", own),
        ("erlang_version", "none"),
        ("harrier_version", own),
    ]);
    page.gauge("build_info", "Which version this is", &[(labels, 1.0)]);
}

fn one(value: u64) -> [(Labels, f64); 1] {
    [(Labels::default(), value as f64)]
}

/// What the process uses of the machine, and how much there is.
pub fn resources(page: &mut Page, api: &Api) {
    let resources = api.shared.resources();
    let uptime_ms = api.shared.now().monotonic_ms;
    let uptime_ms = uptime_ms.saturating_sub(api.started.monotonic_ms);
    let gauges = [
        ("process_open_fds", "Open file descriptors", open_files()),
        (
            "process_max_fds",
            "Most file descriptors that may be open",
            most_open_files(),
        ),
        (
            "process_resident_memory_bytes",
            "Memory in use",
            resources.memory,
        ),
        (
            "resident_memory_limit_bytes",
            "Memory at which publishers are blocked",
            resources.memory_limit,
        ),
        (
            "disk_space_available_bytes",
            "Room on the disk of the data directory",
            resources.disk_free,
        ),
        (
            "disk_space_available_limit_bytes",
            "Room below which publishers are blocked",
            Some(resources.disk_free_limit),
        ),
        (
            "erlang_uptime_seconds",
            "Time since the broker was started",
            Some(uptime_ms / 1000),
        ),
    ];
    for (name, help, value) in gauges {
        // What can't be read isn't said.
        if let Some(value) = value {
            page.gauge(name, help, &one(value));
        }
    }
}

/// Whether publishers are blocked, and why.
pub fn alarms(page: &mut Page, api: &Api) {
    let alarms = &api.shared.alarms;
    let on = [
        (
            "alarms_memory_used_watermark",
            "1 while publishers are blocked for want of memory",
            alarms.memory(),
        ),
        (
            "alarms_free_disk_space_watermark",
            "1 while publishers are blocked for want of room on the disk",
            alarms.disk(),
        ),
    ];
    for (name, help, is_on) in on {
        page.gauge(name, help, &one(is_on.into()));
    }
    let none = "Always 0: there is one node";
    page.gauge("unreachable_cluster_peers_count", none, &one(0));
}

/// How many there are of everything, and what has come and gone.
pub fn churn(page: &mut Page, api: &Api, (channels, consumers, queues): (u64, u64, u64)) {
    let past = api.shared.roster.past();
    let connections = api.shared.roster.len() as u64;
    for (name, count) in [
        ("connections", connections),
        ("channels", channels),
        ("consumers", consumers),
        ("queues", queues),
    ] {
        page.gauge(name, "How many there are", &one(count));
    }
    let (opened, closed) = past.connections();
    let (channels_opened, channels_closed) = past.channel_churn();
    let [declared, created, deleted] = api.shared.vhosts.totals().churn();
    for (name, help, count) in [
        ("connections_opened_total", "Connections opened", opened),
        ("connections_closed_total", "Connections closed", closed),
        ("channels_opened_total", "Channels opened", channels_opened),
        ("channels_closed_total", "Channels closed", channels_closed),
        ("queues_declared_total", "Declarations of queues", declared),
        ("queues_created_total", "Queues made", created),
        ("queues_deleted_total", "Queues deleted", deleted),
    ] {
        page.counter(name, help, &one(count));
    }
}

/// A counter of logins: its name, what it is, and how it comes from a tally.
type OfLogins = (&'static str, &'static str, fn(&Tally) -> u64);

/// Who tried to log in, and whether it worked.
pub fn logins(page: &mut Page, api: &Api) {
    let tallies = Protocol::ALL.map(|protocol| (protocol, api.shared.attempts.tally(protocol)));
    let counters: [OfLogins; 3] = [
        ("auth_attempts_total", "Logins tried", |tally| {
            tally.succeeded + tally.failed
        }),
        (
            "auth_attempts_succeeded_total",
            "Those that worked",
            |tally| tally.succeeded,
        ),
        ("auth_attempts_failed_total", "Those that didn't", |tally| {
            tally.failed
        }),
    ];
    for (name, help, of) in counters {
        let samples = tallies.each_ref().map(|(protocol, tally)| {
            let labels = Labels::of(&[("protocol", protocol.name())]);
            (labels, of(tally) as f64)
        });
        page.counter(name, help, &samples);
    }
}

fn open_files() -> Option<u64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}

fn most_open_files() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
