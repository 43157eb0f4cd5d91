//! What is there of queues, and what has passed them.

use std::sync::Arc;

use super::page::Kind::{Counter, Gauge};
use super::page::{Labels, Metric};
use crate::broker::queue::{DeathReason, Queue, QueueStatus};
use crate::broker::traffic::QueueTraffic;
use crate::server::shared::Shared;

/// The argument that says what type of queue it is.
const QUEUE_TYPE: &str = "x-queue-type";

/// A queue, or what has passed those that are gone.
#[derive(Debug)]
pub struct Row {
    /// What is there of it.
    pub status: QueueStatus,
    /// Whether it is of type `quorum`.
    pub is_quorum: bool,
    /// What becomes of what dies in it, as RabbitMQ calls that.
    pub strategy: &'static str,
    /// Whether it stands for those that are gone.
    pub is_past: bool,
    /// Milliseconds that its oldest message has waited.
    pub age_ms: u64,
}

impl Row {
    /// Messages that died of `reason`.
    pub fn died(&self, reason: DeathReason) -> f64 {
        let died = self.status.traffic.died.get(reason as usize);
        died.copied().unwrap_or_default() as f64
    }

    fn of(queue: &Queue, now_ms: u64) -> Self {
        let status = queue.status();
        let settings = queue.settings();
        let strategy = match &settings.dead_letter {
            None => "disabled",
            Some(_) if settings.keeps_dead_letters => "at_least_once",
            Some(_) => "at_most_once",
        };
        let kind = queue.spec().arguments.get(QUEUE_TYPE);
        let age = status.oldest.map(|since| now_ms.saturating_sub(since));
        Self {
            is_quorum: kind.and_then(|kind| kind.as_str()) == Some("quorum"),
            strategy,
            is_past: false,
            age_ms: age.unwrap_or_default(),
            status,
        }
    }

    /// What has passed queues that are gone.
    pub fn of_past(is_quorum: bool, traffic: QueueTraffic) -> Self {
        Self {
            status: QueueStatus {
                traffic,
                ..QueueStatus::default()
            },
            is_quorum,
            strategy: "disabled",
            is_past: true,
            age_ms: 0,
        }
    }
}

/// Which queues are asked for; none is any.
#[derive(Debug, Default)]
pub struct Which {
    /// Those in these virtual hosts.
    pub vhosts: Vec<String>,
    /// Those of these names.
    pub queues: Vec<String>,
}

fn is_among(wanted: &[String], name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|one| one == name)
}

/// The queues asked for. Each is locked for as long as it takes to copy its
/// numbers.
pub fn rows(shared: &Shared, which: &Which) -> Vec<(Labels, Row)> {
    let now = shared.now().unix_ms;
    let mut vhosts = shared.vhosts.all();
    vhosts.retain(|vhost| is_among(&which.vhosts, vhost.name()));
    let queues = vhosts.iter().flat_map(|vhost| vhost.queues());
    let wanted = |queue: &Arc<Queue>| {
        let is_own = queue.holds_for().or(queue.remembers_for()).is_some();
        !is_own && is_among(&which.queues, queue.name())
    };
    let row = |queue: Arc<Queue>| {
        let labels = Labels::of(&[("vhost", queue.vhost()), ("queue", queue.name())]);
        (labels, Row::of(&queue, now))
    };
    queues.filter(wanted).map(row).collect()
}

const COARSE: &str = "queue_coarse_metrics";
const CONSUMERS: &str = "queue_consumer_count";
const METRICS: &str = "queue_metrics";
const DELIVERY: &str = "queue_delivery_metrics";
/// The family of what RabbitMQ doesn't have.
pub const OWN: &str = "harrier_queue_metrics";

macro_rules! metrics {
    ($($family:ident $kind:ident $name:literal $help:literal = $value:expr;)*) => {
        &[$(Metric {
            name: $name,
            family: $family,
            kind: $kind,
            help: $help,
            value: $value,
        }),*]
    };
}

/// Those of RabbitMQ, by its names.
pub const QUEUES: &[Metric<Row>] = metrics! {
    COARSE Gauge "queue_messages_ready" "Messages that wait for a consumer"
        = |row| row.status.counts.ready as f64;
    COARSE Gauge "queue_messages_unacked" "Messages handed out and not settled yet"
        = |row| row.status.counts.unacked as f64;
    COARSE Gauge "queue_messages" "Messages ready and unacknowledged"
        = |row| (row.status.counts.ready + row.status.counts.unacked) as f64;
    COARSE Counter "queue_process_reductions_total" "Always 0: queues have no processes here"
        = |_| 0.0;
    CONSUMERS Gauge "queue_consumers" "Consumers"
        = |row| row.status.counts.consumers as f64;
    METRICS Gauge "queue_messages_bytes" "Octets of the bodies of messages"
        = |row| (row.status.octets.ready + row.status.octets.unacked) as f64;
    METRICS Gauge "queue_messages_ready_bytes" "Octets of those ready"
        = |row| row.status.octets.ready as f64;
    METRICS Gauge "queue_messages_unacked_bytes" "Octets of those unacknowledged"
        = |row| row.status.octets.unacked as f64;
    METRICS Counter "queue_messages_published_total" "Messages that came in"
        = |row| row.status.traffic.published as f64;
    METRICS Counter "queue_disk_reads_total" "Messages read back from the store"
        = |row| row.status.traffic.read_back as f64;
    METRICS Counter "queue_disk_writes_total" "Messages given to the store"
        = |row| row.status.traffic.stored as f64;
    DELIVERY Counter "queue_messages_delivered_total" "Messages handed to consumers that don't acknowledge"
        = |row| row.status.traffic.delivered_no_ack as f64;
    DELIVERY Counter "queue_messages_delivered_ack_total" "Messages handed to consumers that acknowledge"
        = |row| row.status.traffic.delivered as f64;
    DELIVERY Counter "queue_messages_redelivered_total" "Messages handed out that had been before"
        = |row| row.status.traffic.redelivered as f64;
    DELIVERY Counter "queue_messages_acked_total" "Messages acknowledged"
        = |row| row.status.traffic.acknowledged as f64;
    DELIVERY Counter "queue_get_total" "Messages asked for and not to be acknowledged"
        = |row| row.status.traffic.got_no_ack as f64;
    DELIVERY Counter "queue_get_ack_total" "Messages asked for and to be acknowledged"
        = |row| row.status.traffic.got as f64;
    DELIVERY Counter "queue_get_empty_total" "Times a message was asked for while there was none"
        = |row| row.status.traffic.get_empty as f64;
};

/// How long the oldest message of each queue has waited, which can't be summed.
pub const AGES: &[Metric<Row>] = metrics! {
    OWN Gauge "queue_oldest_message_age_seconds" "Time that the oldest message has waited; 0 where none waits"
        = |row| row.age_ms as f64 / 1000.0;
};

/// Those that RabbitMQ doesn't have.
pub const OWN_QUEUES: &[Metric<Row>] = metrics! {
    OWN Gauge "queue_consumer_lag_messages" "Messages published and not settled yet: ready, unacknowledged and waiting to be tried again"
        = |row| {
            let counts = &row.status.counts;
            (counts.ready + counts.unacked + counts.delayed) as f64
        };
    OWN Gauge "queue_messages_delayed" "Messages that came back and wait to be tried again"
        = |row| row.status.counts.delayed as f64;
    OWN Gauge "queue_dead_letters_undelivered" "Dead letters that nothing took and that are tried again"
        = |row| row.status.counts.undelivered as f64;
    OWN Counter "queue_messages_returned_total" "Messages that came back: rejected, or held by a channel that closed"
        = |row| row.status.traffic.returned as f64;
    OWN Counter "queue_messages_duplicate_total" "Messages dropped because they had come before"
        = |row| row.status.counts.duplicates as f64;
    OWN Counter "queue_messages_rejected_total" "Messages that died because a consumer refused them"
        = |row| row.died(DeathReason::Rejected);
    OWN Counter "queue_messages_expired_total" "Messages that died because their time was over"
        = |row| row.died(DeathReason::Expired);
    OWN Counter "queue_messages_maxlen_total" "Messages that died because there was no room for them"
        = |row| row.died(DeathReason::MaxLength);
    OWN Counter "queue_messages_delivery_limit_total" "Messages that died because they failed too often"
        = |row| row.died(DeathReason::DeliveryLimit);
};
