//! What has passed channels, and what has come and gone on a node.

use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::roster::ChannelView;
use crate::broker::traffic::ExchangeTraffic;

/// What was handed out on a channel, in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Handed {
    /// To consumers that acknowledge.
    pub delivered: u64,
    /// To consumers that don't.
    pub delivered_no_ack: u64,
    /// Asked for, and to be acknowledged.
    pub got: u64,
    /// Asked for, and not to be acknowledged.
    pub got_no_ack: u64,
    /// Of all those, the ones that had been handed out before.
    pub redelivered: u64,
    /// Acknowledged or rejected.
    pub settled: u64,
}

/// What has passed a channel, in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChannelTraffic {
    /// Published.
    pub published: u64,
    /// Confirmed.
    pub confirmed: u64,
    /// Came back to their publisher, because they went nowhere.
    pub returned: u64,
    /// Went nowhere, and nobody wanted to know.
    pub dropped: u64,
    /// Asked for while there was none.
    pub get_empty: u64,
    /// Handed out.
    pub handed: Handed,
}

impl AddAssign for ChannelTraffic {
    fn add_assign(&mut self, other: Self) {
        self.published += other.published;
        self.confirmed += other.confirmed;
        self.returned += other.returned;
        self.dropped += other.dropped;
        self.get_empty += other.get_empty;
        let (own, others) = (&mut self.handed, other.handed);
        own.delivered += others.delivered;
        own.delivered_no_ack += others.delivered_no_ack;
        own.got += others.got;
        own.got_no_ack += others.got_no_ack;
        own.redelivered += others.redelivered;
        own.settled += others.settled;
    }
}

/// What has come and gone on a node.
#[derive(Debug, Default)]
pub struct NodeTraffic {
    connections_opened: AtomicU64,
    connections_closed: AtomicU64,
    channels_opened: AtomicU64,
    channels_closed: AtomicU64,
    /// What passed the channels that are closed.
    channels: Mutex<ChannelTraffic>,
}

impl NodeTraffic {
    /// Connections opened and closed.
    pub fn connections(&self) -> (u64, u64) {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (get(&self.connections_opened), get(&self.connections_closed))
    }

    /// Channels opened and closed.
    pub fn channel_churn(&self) -> (u64, u64) {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (get(&self.channels_opened), get(&self.channels_closed))
    }

    pub(super) fn channels(&self) -> ChannelTraffic {
        *self.channels.lock()
    }

    pub(super) fn connection_opened(&self) {
        self.connections_opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn connection_closed(&self) {
        self.connections_closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn channel_opened(&self) {
        self.channels_opened.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds what passed without a channel.
    pub(super) fn passed(&self, traffic: ChannelTraffic) {
        *self.channels.lock() += traffic;
    }

    pub(super) fn channel_closed(&self, traffic: ChannelTraffic) {
        self.channels_closed.fetch_add(1, Ordering::Relaxed);
        *self.channels.lock() += traffic;
    }
}

/// What is published within a batch of work, until it is added up: mostly on
/// one channel to one exchange.
#[derive(Debug, Default)]
pub(super) struct Tally {
    channel: u16,
    exchange: Option<Arc<ExchangeTraffic>>,
    published: u64,
    routed: u64,
    returned: u64,
    dropped: u64,
}

impl Tally {
    /// Whether what is counted is of that channel and exchange.
    #[inline(always)]
    pub(super) fn is_of(&self, channel: u16, exchange: &Arc<ExchangeTraffic>) -> bool {
        self.channel == channel
            && self
                .exchange
                .as_ref()
                .is_some_and(|own| Arc::ptr_eq(own, exchange))
    }

    /// Counts for another channel or exchange from now on; what was counted is
    /// to be added up before.
    pub(super) fn turn_to(&mut self, channel: u16, exchange: &Arc<ExchangeTraffic>) {
        self.channel = channel;
        self.exchange = Some(Arc::clone(exchange));
    }

    /// Counts a publish that went to so many queues.
    #[inline(always)]
    pub(super) fn add(&mut self, queues: usize) {
        self.published += 1;
        self.routed += queues as u64;
    }

    /// Notes that one of those counted went nowhere.
    pub(super) fn went_nowhere(&mut self, mandatory: bool) {
        if mandatory {
            self.returned += 1;
        } else {
            self.dropped += 1;
        }
    }

    /// The channel that something was published on since this was last added up.
    #[inline]
    pub(super) fn channel(&self) -> Option<u16> {
        (self.published > 0).then_some(self.channel)
    }

    /// Adds it up, for the channel if it is still there. `now` is in milliseconds
    /// since 1970.
    pub(super) fn settle(&mut self, channel: Option<&ChannelView>, now: u64) {
        if let Some(exchange) = &self.exchange {
            exchange.add(self.published, self.routed);
        }
        if let Some(view) = channel {
            view.published.add(self.published);
            view.last_use.set(now);
            if self.returned + self.dropped > 0 {
                view.returned.add(self.returned);
                view.dropped.add(self.dropped);
            }
        }
        (self.published, self.routed, self.returned, self.dropped) = (0, 0, 0, 0);
    }
}
