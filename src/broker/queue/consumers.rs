//! The consumers of a queue: who is served next.

use std::collections::VecDeque;
use std::sync::Arc;

use slab::Slab;

use crate::broker::subscriber::Subscriber;

/// Names a consumer within its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConsumerSlot {
    slot: u32,
    /// Tells it from others that had or will have the same slot.
    serial: u32,
}

/// How a consumer wants to be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConsumerSpec {
    /// Most messages it holds unsettled; 0 is no limit.
    pub prefetch: u16,
    /// Deliveries count as settled when they are sent.
    pub no_ack: bool,
    /// Wants to be the only one.
    pub exclusive: bool,
    /// Served before those with a lower one.
    pub priority: i32,
}

/// A consumer and what it holds.
#[derive(Debug)]
pub struct Consumer {
    serial: u32,
    spec: ConsumerSpec,
    subscriber: Arc<dyn Subscriber>,
    unacked: u32,
    /// Whether it stands in a ring; one that couldn't take a delivery doesn't.
    in_ring: bool,
}

impl Consumer {
    /// Whether deliveries count as settled when they are sent.
    pub fn no_ack(&self) -> bool {
        self.spec.no_ack
    }

    /// The receiving end, for good.
    pub fn into_subscriber(self) -> Arc<dyn Subscriber> {
        self.subscriber
    }

    /// The receiving end.
    pub fn subscriber(&self) -> &Arc<dyn Subscriber> {
        &self.subscriber
    }

    /// Counts a delivery that is to be settled.
    pub fn hold(&mut self) {
        self.unacked += 1;
    }

    fn has_credit(&self) -> bool {
        self.spec.no_ack || self.spec.prefetch == 0 || self.unacked < u32::from(self.spec.prefetch)
    }
}

/// Consumers of one priority that may be served, next one first.
#[derive(Debug)]
struct Ring {
    priority: i32,
    slots: VecDeque<u32>,
}

/// All consumers of a queue.
#[derive(Debug, Default)]
pub struct Consumers {
    slots: Slab<Consumer>,
    /// Highest priority first. A ring is kept when it empties: priorities are few.
    rings: Vec<Ring>,
    next_serial: u32,
    exclusive: bool,
}

impl Consumers {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Adds a consumer; `None` when exclusive use stands against it.
    pub fn attach(
        &mut self,
        spec: ConsumerSpec,
        subscriber: Arc<dyn Subscriber>,
    ) -> Option<ConsumerSlot> {
        if self.exclusive || (spec.exclusive && !self.slots.is_empty()) {
            return None;
        }
        self.exclusive = spec.exclusive;
        let serial = self.next_serial;
        self.next_serial = self.next_serial.wrapping_add(1);
        let slot = self.slots.insert(Consumer {
            serial,
            spec,
            subscriber,
            unacked: 0,
            in_ring: false,
        }) as u32;
        let named = ConsumerSlot { slot, serial };
        self.enter_ring(named);
        Some(named)
    }

    /// Removes a consumer; whether it was there.
    pub fn detach(&mut self, named: ConsumerSlot) -> bool {
        let Some(consumer) = self.find(named) else {
            return false;
        };
        let priority = consumer.spec.priority;
        self.slots.remove(named.slot as usize);
        self.exclusive = false;
        if let Some(ring) = self.rings.iter_mut().find(|r| r.priority == priority) {
            ring.slots.retain(|slot| *slot != named.slot);
        }
        true
    }

    /// Removes them all.
    pub fn take(&mut self) -> impl Iterator<Item = Consumer> + use<> {
        self.rings.clear();
        std::mem::take(&mut self.slots)
            .into_iter()
            .map(|(_, consumer)| consumer)
    }

    /// The consumer whose turn it is. One that can't take a delivery leaves its
    /// ring until it is released or resumed, so that nobody looks at it in vain.
    pub fn next(&mut self) -> Option<(ConsumerSlot, &mut Consumer)> {
        let slot = self.next_slot()?;
        let consumer = self.slots.get_mut(slot as usize)?;
        let serial = consumer.serial;
        Some((ConsumerSlot { slot, serial }, consumer))
    }

    fn next_slot(&mut self) -> Option<u32> {
        for ring in &mut self.rings {
            while let Some(slot) = ring.slots.pop_front() {
                let Some(consumer) = self.slots.get_mut(slot as usize) else {
                    continue;
                };
                if consumer.has_credit() && consumer.subscriber.accepts() {
                    ring.slots.push_back(slot);
                    return Some(slot);
                }
                consumer.in_ring = false;
            }
        }
        None
    }

    /// Counts a delivery as settled, which may give its consumer credit again.
    pub fn release(&mut self, named: ConsumerSlot) {
        if let Some(consumer) = self.find(named) {
            consumer.unacked = consumer.unacked.saturating_sub(1);
            self.enter_ring(named);
        }
    }

    /// Puts a consumer back in its ring, at the end.
    pub fn enter_ring(&mut self, named: ConsumerSlot) {
        let Some(consumer) = self.find(named) else {
            return;
        };
        if std::mem::replace(&mut consumer.in_ring, true) {
            return;
        }
        let priority = consumer.spec.priority;
        let at = self.rings.partition_point(|r| r.priority > priority);
        match self.rings.get_mut(at) {
            Some(ring) if ring.priority == priority => ring.slots.push_back(named.slot),
            _ => self.rings.insert(
                at,
                Ring {
                    priority,
                    slots: VecDeque::from([named.slot]),
                },
            ),
        }
    }

    fn find(&mut self, named: ConsumerSlot) -> Option<&mut Consumer> {
        self.slots
            .get_mut(named.slot as usize)
            .filter(|consumer| consumer.serial == named.serial)
    }
}
