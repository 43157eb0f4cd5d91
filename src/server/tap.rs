//! Where the firehose taps a connection: what is published on it, and what it
//! is handed.

use std::sync::Arc;

use super::session::Session;
use crate::broker::announcements::{Peer, Switch};
use crate::broker::firehose::Firehose;
use crate::broker::message::MessageView;
use crate::broker::queue::{Incoming, Queue};
use crate::broker::routing::RoutingKeys;

/// A connection's way to the firehose of its virtual host.
#[derive(Debug)]
pub struct Tap {
    /// Looked at with every delivery, so it is kept at hand.
    switch: Arc<Switch>,
    firehose: Arc<Firehose>,
    /// Whose connection it is.
    pub peer: Peer,
}

impl Tap {
    /// The way there of the connection of `peer`.
    pub fn new(firehose: &Arc<Firehose>, peer: Peer) -> Self {
        Self {
            switch: Arc::clone(firehose.switch()),
            firehose: Arc::clone(firehose),
            peer,
        }
    }

    /// Whether copies are wanted.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.switch.is_on()
    }

    /// Takes down a copy of what comes from `queue` on a channel.
    #[cold]
    pub fn delivered(
        &self,
        channel: u16,
        queue: &str,
        message: &MessageView<'_>,
        redelivered: bool,
    ) {
        self.firehose
            .delivered(&self.peer, channel, queue, message, redelivered);
    }
}

impl Session {
    /// Publishes a copy of a message that was just routed, if copies are wanted.
    pub(super) fn tap_publish(
        &mut self,
        channel: u16,
        incoming: &Incoming<'_>,
        keys: &RoutingKeys<'_>,
        queues: &[Arc<Queue>],
        replies: &[&str],
    ) {
        let Some(tap) = self.outbox.open_tap() else {
            return;
        };
        let queues = queues.iter().map(|queue| &**queue.name());
        let routed = queues.chain(replies.iter().copied());
        let view = incoming.view();
        tap.firehose
            .published(&tap.peer, channel, &view, keys, routed);
        self.vhost.publish_copies(usize::MAX, &mut self.effects);
    }
}
