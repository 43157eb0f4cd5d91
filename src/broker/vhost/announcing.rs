//! What happens in a virtual host, told; and what is told, published.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Vhost;
use crate::base::clock::Now;
use crate::broker::announcements::{Announcement, Peer};
use crate::broker::effects::Effects;
use crate::broker::message::put_trace;
use crate::broker::queue::{Incoming, Queue};
use crate::broker::routing::{RawTraits, RoutingKeys};
use crate::broker::spec::ExchangeSpec;
use crate::broker::topology::Topology;

impl Vhost {
    /// Publishes an announcement to whoever is bound.
    pub fn announce(&self, announcement: &Announcement, effects: &mut Effects) {
        let properties = announcement.properties(effects.now());
        let incoming = Incoming::new(announcement.content(&properties));
        let view = incoming.view();
        let mut queues = Vec::new();
        // Its exchange is always there.
        let _missing = self.route(
            announcement.exchange,
            RoutingKeys::one(view.routing_key),
            &mut RawTraits::of(&incoming),
            &mut queues,
        );
        for queue in &queues {
            queue.push(&incoming, effects);
        }
    }

    /// Publishes the firehose's oldest copies, at most `count`; how many there
    /// were. To be called with nothing locked.
    pub fn publish_copies(&self, count: usize, effects: &mut Effects) -> usize {
        self.firehose
            .publish(count, |copy| self.announce(copy, effects))
    }

    /// Switches the firehose on or off, until the next restart.
    pub fn set_tracing(&self, on: bool) {
        self.firehose.switch().enable(on);
        // Routes that are kept don't look at the switch.
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Says whether rules have messages traced.
    pub(in crate::broker) fn set_ruled(&self, ruled: bool) {
        self.firehose.switch().trace(ruled);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Has a message that was just routed traced, if a rule wants that: what it is
    /// to have for its blind copies then. `by` is who publishes it, on which channel.
    pub fn choose(
        &self,
        by: (&Peer, u16),
        incoming: &Incoming<'_>,
        keys: &RoutingKeys<'_>,
        to: (&[Arc<Queue>], &[&str]),
        now: Now,
    ) -> Option<Vec<u8>> {
        if !self.firehose.switch().is_traced() {
            return None;
        }
        let view = incoming.view();
        let ways = || {
            let exchange = str::from_utf8(view.exchange).unwrap_or_default();
            let mut traits = RawTraits::new(view.properties);
            self.ways(exchange, keys, &mut traits, to.0)
        };
        let tracer = self.tracer();
        let trace = tracer.choose(&self.name, by, &view, to, ways, now)?;
        Some(put_trace(trace, view.blind_copies))
    }

    /// Whether the firehose is switched on.
    pub fn is_traced(&self) -> bool {
        self.firehose.switch().is_enabled()
    }

    /// Has the bindings that are about to be removed noted, if anybody wants to
    /// know of them.
    pub(super) fn note_removed(&self, topology: &mut Topology) {
        if self.herald.has_listeners() {
            topology.note_removed();
        }
    }

    /// Tells of the bindings that were removed.
    pub(super) fn tell_removed(&self, topology: &mut Topology, by: &str) {
        for binding in topology.take_removed() {
            self.herald.binding_deleted(&self.name, &binding, by);
        }
    }

    /// Tells of the exchanges that are gone, and of their bindings.
    pub(super) fn tell_gone(&self, topology: &mut Topology, gone: &[ExchangeSpec], by: &str) {
        for exchange in gone {
            self.herald.exchange_deleted(&self.name, &exchange.name, by);
        }
        self.tell_removed(topology, by);
    }
}
