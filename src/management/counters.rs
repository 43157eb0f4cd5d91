//! Counters by RabbitMQ's names, each list in the order in which history is
//! kept of it.

use crate::broker::queue::QueueStatus;
use crate::broker::traffic::ExchangeTraffic;
use crate::broker::vhost::Vhost;
use crate::server::roster::ConnectionView;
use crate::server::shared::Shared;
use crate::server::traffic::ChannelTraffic;

/// Of a queue: what is there, then what has passed.
pub const QUEUE: [&str; 12] = [
    "messages",
    "messages_ready",
    "messages_unacknowledged",
    "publish",
    "deliver",
    "deliver_no_ack",
    "get",
    "get_no_ack",
    "get_empty",
    "deliver_get",
    "ack",
    "redeliver",
];
/// How many of these are of what is there.
pub const QUEUE_LENGTHS: usize = 3;

/// Those of a queue.
pub fn of_queue(status: &QueueStatus) -> [u64; 12] {
    let (counts, passed) = (&status.counts, &status.traffic);
    let all = [
        passed.delivered,
        passed.delivered_no_ack,
        passed.got,
        passed.got_no_ack,
    ];
    [
        counts.ready + counts.unacked,
        counts.ready,
        counts.unacked,
        passed.published,
        passed.delivered,
        passed.delivered_no_ack,
        passed.got,
        passed.got_no_ack,
        passed.get_empty,
        all.iter().sum(),
        passed.acknowledged,
        passed.redelivered,
    ]
}

/// Those of all queues of a virtual host.
pub fn of_vhost(vhost: &Vhost) -> [u64; 12] {
    let mut sum = [0; 12];
    for queue in vhost.queues() {
        let values = of_queue(&queue.status());
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum += value;
        }
    }
    sum
}

/// Of an exchange.
pub const EXCHANGE: [&str; 2] = ["publish_in", "publish_out"];

/// Those of an exchange.
pub fn of_exchange(traffic: &ExchangeTraffic) -> [u64; 2] {
    [traffic.published(), traffic.routed()]
}

/// Of a connection.
pub const CONNECTION: [&str; 2] = ["recv_oct", "send_oct"];

/// Those of a connection.
pub fn of_connection(connection: &ConnectionView) -> [u64; 2] {
    let (read, written) = connection.octets();
    [read, written]
}

/// Of a channel, and of all of them together.
pub const CHANNEL: [&str; 12] = [
    "publish",
    "confirm",
    "return_unroutable",
    "drop_unroutable",
    "deliver",
    "deliver_no_ack",
    "get",
    "get_no_ack",
    "get_empty",
    "deliver_get",
    "ack",
    "redeliver",
];

/// Those of a channel.
pub fn of_channel(traffic: &ChannelTraffic) -> [u64; 12] {
    let handed = &traffic.handed;
    let all = [
        handed.delivered,
        handed.delivered_no_ack,
        handed.got,
        handed.got_no_ack,
    ];
    [
        traffic.published,
        traffic.confirmed,
        traffic.returned,
        traffic.dropped,
        handed.delivered,
        handed.delivered_no_ack,
        handed.got,
        handed.got_no_ack,
        traffic.get_empty,
        all.iter().sum(),
        handed.settled,
        handed.redelivered,
    ]
}

/// Of what comes and goes.
pub const CHURN: [&str; 7] = [
    "connection_created",
    "connection_closed",
    "channel_created",
    "channel_closed",
    "queue_declared",
    "queue_created",
    "queue_deleted",
];

/// Those of what comes and goes.
pub fn of_churn(shared: &Shared) -> [u64; 7] {
    let past = shared.roster.past();
    let (opened, closed) = past.connections();
    let (channels_opened, channels_closed) = past.channel_churn();
    let [declared, created, deleted] = shared.vhosts.totals().churn();
    [
        opened,
        closed,
        channels_opened,
        channels_closed,
        declared,
        created,
        deleted,
    ]
}

/// Where the counters of channels are among those of the node; those of queues
/// come before.
pub const NODE_CHANNELS: usize = QUEUE.len();
/// Where those of what comes and goes are.
pub const NODE_CHURN: usize = NODE_CHANNELS + CHANNEL.len();

/// Those of the node but for its queues'.
pub fn of_node(shared: &Shared) -> Vec<u64> {
    let channels = of_channel(&shared.roster.traffic());
    channels.into_iter().chain(of_churn(shared)).collect()
}
