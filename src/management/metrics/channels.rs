//! Channels and connections.

use super::page::Kind::{Counter, Gauge};
use super::page::{Labels, Metric};
use crate::server::roster::ConnectionView;
use crate::server::shared::Shared;
use crate::server::traffic::ChannelTraffic;

const CHANNEL: &str = "channel_metrics";
const CONNECTION_COARSE: &str = "connection_coarse_metrics";
const CONNECTION: &str = "connection_metrics";

/// A channel.
#[derive(Debug, Default)]
pub struct ChannelRow {
    /// What has passed it.
    pub traffic: ChannelTraffic,
    /// Its consumers.
    pub consumers: usize,
    /// Whether it is open, or stands for those that are closed.
    pub is_open: bool,
    unacked: u64,
    /// Publishes that are not confirmed yet.
    pub unconfirmed: u64,
    uncommitted: u64,
    acks_uncommitted: u64,
    prefetch: u32,
    global_prefetch: u32,
}

/// A connection.
#[derive(Debug)]
pub struct ConnectionRow {
    octets: (u64, u64),
    packets: (u64, u64),
    pending: usize,
    channels: usize,
}

/// All channels there are.
pub fn channels(shared: &Shared) -> Vec<(Labels, ChannelRow)> {
    let mut rows = Vec::new();
    for connection in shared.roster.connections() {
        for channel in connection.channels() {
            let name = format!("{} ({})", connection.name, channel.number);
            let row = ChannelRow {
                traffic: channel.traffic(),
                consumers: channel.consumer_count(),
                unacked: channel.unacked(),
                unconfirmed: channel.unconfirmed(),
                uncommitted: channel.uncommitted(),
                acks_uncommitted: channel.acks_uncommitted(),
                prefetch: channel.prefetch(),
                global_prefetch: channel.global_prefetch(),
                is_open: true,
            };
            rows.push((Labels::of(&[("channel", &name)]), row));
        }
    }
    rows
}

/// What has passed the channels that are closed.
pub fn past(shared: &Shared, open: &[(Labels, ChannelRow)]) -> ChannelRow {
    let all = shared.roster.traffic();
    let sum = |of: fn(&ChannelTraffic) -> u64| {
        let now: u64 = open.iter().map(|(_, row)| of(&row.traffic)).sum();
        of(&all).saturating_sub(now)
    };
    let mut traffic = ChannelTraffic {
        published: sum(|all| all.published),
        confirmed: sum(|all| all.confirmed),
        returned: sum(|all| all.returned),
        dropped: sum(|all| all.dropped),
        get_empty: sum(|all| all.get_empty),
        ..ChannelTraffic::default()
    };
    let handed = &mut traffic.handed;
    handed.delivered = sum(|all| all.handed.delivered);
    handed.delivered_no_ack = sum(|all| all.handed.delivered_no_ack);
    handed.got = sum(|all| all.handed.got);
    handed.got_no_ack = sum(|all| all.handed.got_no_ack);
    handed.redelivered = sum(|all| all.handed.redelivered);
    handed.settled = sum(|all| all.handed.settled);
    ChannelRow {
        traffic,
        ..ChannelRow::default()
    }
}

/// All connections there are.
pub fn connections(shared: &Shared) -> Vec<(Labels, ConnectionRow)> {
    let row = |connection: &ConnectionView| ConnectionRow {
        octets: connection.octets(),
        packets: connection.packets(),
        pending: connection.pending(),
        channels: connection.channel_count(),
    };
    let all = shared.roster.connections();
    let named = all.iter().map(|connection| {
        let labels = Labels::of(&[("connection", &connection.name)]);
        (labels, row(connection))
    });
    named.collect()
}

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

/// Those of channels.
pub const CHANNELS: &[Metric<ChannelRow>] = metrics! {
    CHANNEL Gauge "channel_consumers" "Consumers on a channel"
        = |row| row.consumers as f64;
    CHANNEL Gauge "channel_messages_unacked" "Messages handed out and not settled yet"
        = |row| row.unacked as f64;
    CHANNEL Gauge "channel_messages_unconfirmed" "Messages published and not confirmed yet"
        = |row| row.unconfirmed as f64;
    CHANNEL Gauge "channel_messages_uncommitted" "Messages that wait for their transaction"
        = |row| row.uncommitted as f64;
    CHANNEL Gauge "channel_acks_uncommitted" "Acknowledgements that wait for their transaction"
        = |row| row.acks_uncommitted as f64;
    CHANNEL Gauge "consumer_prefetch" "Most messages that a consumer made from now on holds"
        = |row| f64::from(row.prefetch);
    CHANNEL Gauge "channel_prefetch" "Most messages that all consumers of a channel hold"
        = |row| f64::from(row.global_prefetch);
    CHANNEL Counter "channel_process_reductions_total" "Always 0: channels have no processes here"
        = |_| 0.0;
    CHANNEL Counter "channel_messages_published_total" "Messages published"
        = |row| row.traffic.published as f64;
    CHANNEL Counter "channel_messages_confirmed_total" "Messages confirmed"
        = |row| row.traffic.confirmed as f64;
    CHANNEL Counter "channel_messages_unroutable_returned_total" "Messages that went nowhere and came back"
        = |row| row.traffic.returned as f64;
    CHANNEL Counter "channel_messages_unroutable_dropped_total" "Messages that went nowhere and were dropped"
        = |row| row.traffic.dropped as f64;
    CHANNEL Counter "channel_messages_delivered_total" "Messages handed to consumers that don't acknowledge"
        = |row| row.traffic.handed.delivered_no_ack as f64;
    CHANNEL Counter "channel_messages_delivered_ack_total" "Messages handed to consumers that acknowledge"
        = |row| row.traffic.handed.delivered as f64;
    CHANNEL Counter "channel_messages_redelivered_total" "Messages handed out that had been before"
        = |row| row.traffic.handed.redelivered as f64;
    CHANNEL Counter "channel_messages_acked_total" "Messages acknowledged"
        = |row| row.traffic.handed.settled as f64;
    CHANNEL Counter "channel_get_total" "Messages asked for and not to be acknowledged"
        = |row| row.traffic.handed.got_no_ack as f64;
    CHANNEL Counter "channel_get_ack_total" "Messages asked for and to be acknowledged"
        = |row| row.traffic.handed.got as f64;
    CHANNEL Counter "channel_get_empty_total" "Times a message was asked for while there was none"
        = |row| row.traffic.get_empty as f64;
};

/// Those of connections.
pub const CONNECTIONS: &[Metric<ConnectionRow>] = metrics! {
    CONNECTION_COARSE Counter "connection_incoming_bytes_total" "Octets read"
        = |row| row.octets.0 as f64;
    CONNECTION_COARSE Counter "connection_outgoing_bytes_total" "Octets written"
        = |row| row.octets.1 as f64;
    CONNECTION_COARSE Counter "connection_process_reductions_total" "Always 0: connections have no processes here"
        = |_| 0.0;
    CONNECTION Counter "connection_incoming_packets_total" "Times something was read"
        = |row| row.packets.0 as f64;
    CONNECTION Counter "connection_outgoing_packets_total" "Times something was written"
        = |row| row.packets.1 as f64;
    CONNECTION Gauge "connection_pending_packets" "Octets that wait to be written"
        = |row| row.pending as f64;
    CONNECTION Gauge "connection_channels" "Channels of a connection"
        = |row| row.channels as f64;
};
