//! Where a connection is tapped for the firehose and for traces: what is published
//! on it, and what it is handed.

use std::sync::Arc;

use super::session::Session;
use crate::base::clock::Now;
use crate::broker::announcements::{Peer, Switch};
use crate::broker::firehose::Firehose;
use crate::broker::message::MessageView;
use crate::broker::queue::{Incoming, Queue};
use crate::broker::routing::RoutingKeys;
use crate::broker::trace::{Happening, Tracer};
use crate::broker::vhost::Vhost;

/// A connection's way to the firehose of its virtual host, and to the tracer.
#[derive(Debug)]
pub struct Tap {
    /// Looked at with every delivery, so it is kept at hand.
    switch: Arc<Switch>,
    firehose: Arc<Firehose>,
    vhost: Arc<str>,
    tracer: Arc<Tracer>,
    /// Whose connection it is.
    pub peer: Peer,
}

impl Tap {
    /// The way there of the connection of `peer`, which is in `vhost`.
    pub fn new(vhost: &Vhost, peer: Peer) -> Self {
        Self {
            switch: Arc::clone(vhost.firehose().switch()),
            firehose: Arc::clone(vhost.firehose()),
            vhost: Arc::clone(vhost.name()),
            tracer: Arc::clone(vhost.tracer()),
            peer,
        }
    }

    /// Whether messages have to be looked at.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.switch.is_tapped()
    }

    /// Takes down a copy of a message that was just routed, if copies are wanted;
    /// whether they are.
    pub fn published(
        &self,
        channel: u16,
        message: &MessageView<'_>,
        keys: &RoutingKeys<'_>,
        (queues, replies): (&[Arc<Queue>], &[&str]),
    ) -> bool {
        let is_on = self.switch.is_on();
        if is_on {
            let queues = queues.iter().map(|queue| &**queue.name());
            let routed = queues.chain(replies.iter().copied());
            self.firehose
                .published(&self.peer, channel, message, keys, routed);
        }
        is_on
    }

    /// Takes down what is handed out on a channel.
    #[cold]
    pub fn delivered(&self, channel: u16, handed: &Handed<'_>, now: Now) {
        let (queue, message) = (handed.queue, handed.message);
        if self.switch.is_on() {
            self.firehose
                .delivered(&self.peer, channel, queue, message, handed.redelivered);
        }
        let happening = || Happening::Delivered {
            queue: queue.into(),
            to: self.peer.clone(),
            channel,
            consumer: handed.consumer.map(Into::into),
            redelivered: handed.redelivered,
            to_settle: handed.to_settle,
        };
        self.tracer.note_of(message, &self.vhost, now, happening);
    }
}

/// A message that is handed out.
#[derive(Debug, Clone, Copy)]
pub struct Handed<'a> {
    /// The message.
    pub message: &'a MessageView<'a>,
    /// The queue it comes from, or the address of a direct reply.
    pub queue: &'a str,
    /// The tag of the consumer that it goes to, if one asked for it.
    pub consumer: Option<&'a str>,
    /// Whether it may have been handed out before.
    pub redelivered: bool,
    /// Whether it is to be acknowledged.
    pub to_settle: bool,
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
        if tap.published(channel, &incoming.view(), keys, (queues, replies)) {
            self.vhost.publish_copies(usize::MAX, &mut self.effects);
        }
    }

    /// Has a message that was just routed traced, if a rule wants that: what it is
    /// to have for its blind copies then.
    pub(super) fn trace_publish(
        &self,
        channel: u16,
        incoming: &Incoming<'_>,
        keys: &RoutingKeys<'_>,
        (queues, replies): (&[Arc<Queue>], &[&str]),
    ) -> Option<Vec<u8>> {
        let tap = self.outbox.open_tap()?;
        let by = (&tap.peer, channel);
        let now = self.effects.now();
        self.vhost
            .choose(by, incoming, keys, (queues, replies), now)
    }

    /// Takes down that a queue refused a message, if it is traced.
    pub(super) fn trace_refused(&self, incoming: &Incoming<'_>) {
        let (vhost, now) = (&self.vhost, self.effects.now());
        let refused = || Happening::Refused;
        vhost
            .tracer()
            .note_of(&incoming.view(), vhost.name(), now, refused);
    }
}
