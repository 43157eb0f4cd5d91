//! What has passed the whole broker, by protocol and type of queue; and what
//! RabbitMQ has no count of.

use super::channels::ChannelRow;
use super::page::{Labels, Page};
use super::queues::Row;
use crate::broker::queue::DeathReason;
use crate::management::api::Api;
use crate::server::shared::Shared;

const PROTOCOL: (&str, &str) = ("protocol", "amqp091");

const fn type_name(is_quorum: bool) -> &'static str {
    if is_quorum {
        "rabbit_quorum_queue"
    } else {
        "rabbit_classic_queue"
    }
}

/// What publishers sent, and who publishes and consumes.
pub fn published(page: &mut Page, shared: &Shared, channels: &[(Labels, ChannelRow)]) {
    let labels = Labels::of(&[PROTOCOL]);
    let sum = |of: fn(&ChannelRow) -> u64| -> u64 { channels.iter().map(|(_, row)| of(row)).sum() };
    let confirmed = sum(|row| row.traffic.confirmed);
    let counters = [
        (
            "global_messages_received_total",
            "Messages published",
            sum(|row| row.traffic.published),
        ),
        (
            "global_messages_received_confirm_total",
            "Messages published that are confirmed, or will be",
            confirmed + sum(|row| row.unconfirmed),
        ),
        (
            "global_messages_confirmed_total",
            "Messages confirmed",
            confirmed,
        ),
        (
            "global_messages_routed_total",
            "Messages that queues got of those, one that went to two counted twice",
            routed(shared),
        ),
        (
            "global_messages_unroutable_returned_total",
            "Messages that went nowhere and came back",
            sum(|row| row.traffic.returned),
        ),
        (
            "global_messages_unroutable_dropped_total",
            "Messages that went nowhere and were dropped",
            sum(|row| row.traffic.dropped),
        ),
    ];
    for (name, help, count) in counters {
        page.counter(name, help, &[(labels.clone(), count as f64)]);
    }
    let publishers = sum(|row| u64::from(row.is_open && row.traffic.published > 0));
    let consumers = sum(|row| row.consumers as u64);
    let gauges = [
        (
            "global_publishers",
            "Channels that have published",
            publishers,
        ),
        ("global_consumers", "Consumers", consumers),
    ];
    for (name, help, count) in gauges {
        page.gauge(name, help, &[(labels.clone(), count as f64)]);
    }
}

fn routed(shared: &Shared) -> u64 {
    let vhosts = shared.vhosts.all();
    let each = vhosts.iter().flat_map(|vhost| {
        let exchanges = vhost.exchanges().into_iter();
        exchanges.filter_map(|exchange| vhost.exchange_traffic(&exchange.name))
    });
    each.map(|traffic| traffic.routed()).sum()
}

/// The name of a count, what it is, and where it is.
type OfQueues = (&'static str, &'static str, fn(&Row) -> u64);

const HANDED_OUT: [OfQueues; 8] = [
    (
        "global_messages_delivered_total",
        "Messages handed out",
        |row| {
            let traffic = &row.status.traffic;
            let pushed = traffic.delivered + traffic.delivered_no_ack;
            pushed + traffic.got + traffic.got_no_ack
        },
    ),
    (
        "global_messages_delivered_consume_auto_ack_total",
        "Messages handed to consumers that don't acknowledge",
        |row| row.status.traffic.delivered_no_ack,
    ),
    (
        "global_messages_delivered_consume_manual_ack_total",
        "Messages handed to consumers that acknowledge",
        |row| row.status.traffic.delivered,
    ),
    (
        "global_messages_delivered_get_auto_ack_total",
        "Messages asked for and not to be acknowledged",
        |row| row.status.traffic.got_no_ack,
    ),
    (
        "global_messages_delivered_get_manual_ack_total",
        "Messages asked for and to be acknowledged",
        |row| row.status.traffic.got,
    ),
    (
        "global_messages_get_empty_total",
        "Times a message was asked for while there was none",
        |row| row.status.traffic.get_empty,
    ),
    (
        "global_messages_redelivered_total",
        "Messages handed out that had been before",
        |row| row.status.traffic.redelivered,
    ),
    (
        "global_messages_acknowledged_total",
        "Messages acknowledged",
        |row| row.status.traffic.acknowledged,
    ),
];

/// What was handed out, by type of queue.
pub fn handed_out(page: &mut Page, queues: &[(Labels, Row)]) {
    for (name, help, of) in HANDED_OUT {
        let samples = [false, true].map(|is_quorum| {
            let own = queues.iter().filter(|(_, row)| row.is_quorum == is_quorum);
            let count: u64 = own.map(|(_, row)| of(row)).sum();
            let labels = Labels::of(&[PROTOCOL, ("queue_type", type_name(is_quorum))]);
            (labels, count as f64)
        });
        page.counter(name, help, &samples);
    }
}

const DEATHS: [(DeathReason, &str); 4] = [
    (DeathReason::Rejected, "rejected"),
    (DeathReason::Expired, "expired"),
    (DeathReason::MaxLength, "maxlen"),
    (DeathReason::DeliveryLimit, "delivery_limit"),
];

/// What died, by type of queue and what was to become of it.
pub fn dead_lettered(page: &mut Page, queues: &[(Labels, Row)]) {
    for (reason, name) in DEATHS {
        let mut samples = Vec::new();
        for is_quorum in [false, true] {
            for strategy in ["disabled", "at_most_once", "at_least_once"] {
                let own = queues
                    .iter()
                    .filter(|(_, row)| row.is_quorum == is_quorum && row.strategy == strategy);
                let count: f64 = own.map(|(_, row)| row.died(reason)).sum();
                let kind = ("queue_type", type_name(is_quorum));
                let labels = Labels::of(&[kind, ("dead_letter_strategy", strategy)]);
                samples.push((labels, count));
            }
        }
        let name = format!("global_messages_dead_lettered_{name}_total");
        page.counter(&name, "Messages that died of it", &samples);
    }
}

/// What RabbitMQ has no count of, about the whole broker.
pub fn own(page: &mut Page, api: &Api, queues: &[(Labels, Row)]) {
    let samples = DEATHS.map(|(reason, name)| {
        let count = queues.iter().map(|(_, row)| row.died(reason)).sum();
        (Labels::of(&[("reason", name)]), count)
    });
    let help = "Messages that died, by what of, whether or not they went on";
    page.counter("dead_letters_total", help, &samples);
    let oldest = queues.iter().map(|(_, row)| row.age_ms).max();
    let age = oldest.unwrap_or_default() as f64 / 1000.0;
    let help = "Time that the oldest message of all has waited";
    page.gauge(
        "oldest_message_age_seconds",
        help,
        &[(Labels::default(), age)],
    );
    let Some(commits) = api.shared.store.commits() else {
        return;
    };
    page.histogram(
        "confirm_latency_seconds",
        "Time from the first message of a batch to when the batch is on disk and its publishers \
         are confirmed: the longest that any of them waits; each batch counts once",
        &commits.waits.counted(),
        MICROSECONDS,
    );
    page.histogram(
        "store_sync_seconds",
        "Time that a sync of the log took",
        &commits.syncs.counted(),
        MICROSECONDS,
    );
    page.histogram(
        "store_batch_records",
        "Records that went to the disk together",
        &commits.batches.counted(),
        1.0,
    );
    let octets = [(Labels::default(), commits.octets() as f64)];
    page.counter(
        "store_written_bytes_total",
        "Octets written to the log",
        &octets,
    );
    let pending = [(Labels::default(), api.shared.store.pending_bytes() as f64)];
    let help = "Octets that wait for the disk";
    page.gauge("store_pending_bytes", help, &pending);
    let blocked = api.shared.roster.connections();
    let blocked = blocked.iter().filter(|connection| connection.is_blocked());
    let blocked = [(Labels::default(), blocked.count() as f64)];
    let help = "Connections that aren't read because an alarm is on";
    page.gauge("connections_blocked", help, &blocked);
}

const MICROSECONDS: f64 = 1e6;
