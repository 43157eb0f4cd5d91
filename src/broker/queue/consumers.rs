//! The consumers of a queue: who is served next.
//!
//! With a single active consumer the others wait for it to go. On quorum queues
//! one of higher priority takes over as soon as the active one has settled what
//! it holds; on classic ones it waits like the rest (`semantics` 9.3).

use std::collections::VecDeque;
use std::sync::Arc;

use slab::Slab;

use crate::broker::arguments::{self, QueueType};
use crate::broker::subscriber::Subscriber;
use crate::wire::{FieldTable, FieldValue};

const SINGLE_ACTIVE: &str = "x-single-active-consumer";

/// Names a consumer within its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConsumerSlot {
    slot: u32,
    /// Tells it from others that had or will have the same slot.
    serial: u32,
}

impl ConsumerSlot {
    /// A number that no other consumer has at the same time.
    pub fn index(self) -> u32 {
        self.slot
    }
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
    /// Milliseconds it may hold a message, as it asks for; 0 is no limit.
    pub timeout: Option<u64>,
    /// The same when neither it nor the queue says.
    pub usual_timeout: Option<u64>,
}

/// A consumer and what it holds.
#[derive(Debug)]
pub struct Consumer {
    serial: u32,
    spec: ConsumerSpec,
    subscriber: Arc<dyn Subscriber>,
    unacked: u32,
    /// Milliseconds it may hold a message.
    timeout: Option<u64>,
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

    /// Milliseconds it may hold a message, if there is a limit.
    pub fn timeout(&self) -> Option<u64> {
        self.timeout
    }

    /// Counts a delivery that is to be settled.
    pub fn hold(&mut self) {
        self.unacked += 1;
    }

    /// Goes by the timeout of its queue where it has none of its own.
    fn configure(&mut self, queue_timeout: Option<u64>) {
        let spec = &self.spec;
        let timeout = spec.timeout.or(queue_timeout).or(spec.usual_timeout);
        self.timeout = timeout.filter(|timeout| *timeout > 0 && !spec.no_ack);
    }

    /// How many messages it would take now.
    fn room(&self) -> u64 {
        match self.spec.prefetch {
            _ if !self.has_credit() || !self.subscriber.accepts() => 0,
            0 => u64::MAX,
            _ if self.spec.no_ack => u64::MAX,
            prefetch => u64::from(prefetch).saturating_sub(self.unacked.into()),
        }
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

/// Who is served while the others wait.
#[derive(Debug, Default)]
struct SingleActive {
    consumer: Option<ConsumerSlot>,
    /// It gets nothing more, because one of higher priority waits for it to
    /// settle what it holds.
    is_leaving: bool,
}

/// What a consumer's going means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detached {
    /// It was gone before.
    Before,
    /// Others are served as they were.
    OneOfMany,
    /// The queue has a new active consumer, who is to be served.
    Succeeded,
    /// It was the last one.
    Last,
}

/// All consumers of a queue.
#[derive(Debug, Default)]
pub struct Consumers {
    slots: Slab<Consumer>,
    /// Highest priority first. A ring is kept when it empties: priorities are few.
    rings: Vec<Ring>,
    next_serial: u32,
    exclusive: bool,
    is_quorum: bool,
    single: Option<SingleActive>,
    /// Milliseconds that the queue gives its consumers.
    timeout: Option<u64>,
}

impl Consumers {
    /// None yet, of a queue with these arguments and this timeout for consumers.
    pub fn new(arguments: &FieldTable, timeout: Option<u64>) -> Self {
        Self {
            is_quorum: arguments::queue_type(arguments) == Some(QueueType::Quorum),
            timeout,
            single: has_single_active(arguments).then(SingleActive::default),
            ..Self::default()
        }
    }

    /// Goes by another timeout from now on.
    pub fn configure(&mut self, timeout: Option<u64>) {
        self.timeout = timeout;
        for (_, consumer) in &mut self.slots {
            consumer.configure(timeout);
        }
    }

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
        // Quorum queues take no notice of exclusive use.
        let exclusive = spec.exclusive && !self.is_quorum;
        let is_shared = self.single.is_some() || !self.slots.is_empty();
        if self.exclusive || (exclusive && is_shared) {
            return None;
        }
        self.exclusive = exclusive;
        let serial = self.next_serial;
        self.next_serial = self.next_serial.wrapping_add(1);
        let mut consumer = Consumer {
            serial,
            spec,
            subscriber,
            unacked: 0,
            timeout: None,
            in_ring: false,
        };
        consumer.configure(self.timeout);
        let slot = self.slots.insert(consumer) as u32;
        let named = ConsumerSlot { slot, serial };
        self.enter_ring(named);
        if self.single.is_some() {
            self.rank();
        }
        Some(named)
    }

    /// Whether one is among those that are served.
    pub fn is_active(&self, named: ConsumerSlot) -> bool {
        let single = self.single.as_ref();
        single.is_none_or(|single| single.consumer == Some(named))
    }

    /// Removes a consumer.
    pub fn detach(&mut self, named: ConsumerSlot) -> Detached {
        if self.find(named).is_none() {
            return Detached::Before;
        }
        self.leave_ring(named);
        self.slots.remove(named.slot as usize);
        self.exclusive = false;
        if self.slots.is_empty() {
            self.single.as_mut().map(std::mem::take);
            return Detached::Last;
        }
        let Some(single) = &self.single else {
            return Detached::OneOfMany;
        };
        // The active one may have been about to leave for this one.
        if single.consumer != Some(named) && !single.is_leaving {
            return Detached::OneOfMany;
        }
        self.rank();
        Detached::Succeeded
    }

    /// Has the active consumer go on or leave for one that comes before it, or
    /// finds one if there is none.
    fn rank(&mut self) {
        let active = self.single.as_ref().and_then(|single| single.consumer);
        let found = active.and_then(|active| Some((active, self.find(active)?)));
        let Some((active, found)) = found else {
            return self.activate_first();
        };
        let (priority, holds) = (found.spec.priority, found.unacked > 0);
        let is_better = |(_, other): (usize, &Consumer)| other.spec.priority > priority;
        let is_leaving = self.is_quorum && self.slots.iter().any(is_better);
        if let Some(single) = &mut self.single {
            single.is_leaving = is_leaving;
        }
        if !is_leaving {
            return self.enter_ring(active);
        }
        self.leave_ring(active);
        if !holds {
            self.activate_first();
        }
    }

    /// Makes the one with the highest priority active, the oldest of them.
    fn activate_first(&mut self) {
        let first = self
            .slots
            .iter()
            .min_by_key(|(_, found)| (-i64::from(found.spec.priority), found.serial));
        let first = first.map(|(slot, found)| ConsumerSlot {
            slot: slot as u32,
            serial: found.serial,
        });
        self.single = Some(SingleActive {
            consumer: first,
            is_leaving: false,
        });
        if let Some(first) = first {
            self.enter_ring(first);
        }
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

    /// How many messages they would take now.
    pub fn room(&self) -> u64 {
        let slots = self.rings.iter().flat_map(|ring| &ring.slots);
        let consumers = slots.filter_map(|slot| self.slots.get(*slot as usize));
        consumers.map(Consumer::room).fold(0, u64::saturating_add)
    }

    fn next_slot(&mut self) -> Option<u32> {
        for ring in &mut self.rings {
            while let Some(&slot) = ring.slots.front() {
                let consumer = self.slots.get_mut(slot as usize);
                let Some(consumer) = consumer else {
                    ring.slots.pop_front();
                    continue;
                };
                if consumer.has_credit() && consumer.subscriber.accepts() {
                    // One alone is always next.
                    if ring.slots.len() > 1 {
                        ring.slots.rotate_left(1);
                    }
                    return Some(slot);
                }
                consumer.in_ring = false;
                ring.slots.pop_front();
            }
        }
        None
    }

    /// Counts a delivery as settled, which may give its consumer credit again.
    pub fn release(&mut self, named: ConsumerSlot) {
        if let Some(consumer) = self.find(named) {
            consumer.unacked = consumer.unacked.saturating_sub(1);
            self.enter_ring(named);
            let is_leaving = |single: &SingleActive| single.is_leaving;
            if self.single.as_ref().is_some_and(is_leaving) {
                self.rank();
            }
        }
    }

    /// Puts a consumer back in its ring, at the end, if it may be served.
    pub fn enter_ring(&mut self, named: ConsumerSlot) {
        if let Some(single) = &self.single
            && (single.is_leaving || single.consumer != Some(named))
        {
            return;
        }
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

    fn leave_ring(&mut self, named: ConsumerSlot) {
        let Some(consumer) = self.find(named) else {
            return;
        };
        consumer.in_ring = false;
        let priority = consumer.spec.priority;
        if let Some(ring) = self.rings.iter_mut().find(|r| r.priority == priority) {
            ring.slots.retain(|slot| *slot != named.slot);
        }
    }

    /// A consumer, if it is still there.
    pub fn get(&self, named: ConsumerSlot) -> Option<&Consumer> {
        self.slots
            .get(named.slot as usize)
            .filter(|consumer| consumer.serial == named.serial)
    }

    fn find(&mut self, named: ConsumerSlot) -> Option<&mut Consumer> {
        self.slots
            .get_mut(named.slot as usize)
            .filter(|consumer| consumer.serial == named.serial)
    }
}

/// Whether a queue with these arguments has a single active consumer.
pub fn has_single_active(arguments: &FieldTable) -> bool {
    matches!(arguments.get(SINGLE_ACTIVE), Some(FieldValue::Bool(true)))
}
