//! The state machine of a queue.
//!
//! ```text
//!              push                     deliver, get
//!   publisher ------> ready (Backlog) ---------------> held (one slot each)
//!                       ^      |                         |     |      |
//!                       |      | purge           requeue |     | ack  | discard
//!                       +------|-------------------------+     v      v
//!                              v                             gone   dead letter
//!                            gone
//! ```
//!
//! A message that finds a consumer ready and nothing waiting before it skips
//! the backlog, and is never copied if that consumer doesn't acknowledge.

use std::num::NonZeroU64;
use std::sync::Arc;

use slab::Slab;

use super::backlog::{Backlog, Entry, Wanted};
use super::consumers::{ConsumerSlot, ConsumerSpec, Consumers, Detached};
use super::dead_letter::DeathReason;
use super::incoming::Incoming;
use super::notices::Notices;
use super::residency::Residency;
use super::{Got, QueueCounts};
use crate::base::ids::{Batch, Position, QueueId};
use crate::broker::effects::Effects;
use crate::broker::spec::QueueSpec;
use crate::broker::store::{Page, Record, Remainder, Store};
use crate::broker::subscriber::{Delivery, HeldSlot, Subscriber, Wake};
use crate::wire::FieldValue;

/// What becomes of messages that were handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// They are done.
    Acknowledge,
    /// They go back to their places.
    Requeue,
    /// They are dead-lettered if the queue says where to, else dropped.
    Discard(DeathReason),
}

/// A message handed out, and to whom.
#[derive(Debug)]
struct Held {
    entry: Entry,
    /// `None` for one taken by `basic.get`.
    consumer: Option<ConsumerSlot>,
}

/// The state of a queue. Same calls, same state: no clock, no randomness; only
/// what is in memory of it depends on how much others have there.
///
/// What the store is to be told gathers in `notices`: whoever holds the lock
/// sends them before it lets go.
#[derive(Debug)]
pub struct QueueCore {
    id: QueueId,
    durable: bool,
    message_ttl: Option<u64>,
    last_position: Position,
    /// The highest place of a stored message handed out, and how much of that
    /// the store knows.
    delivered: Position,
    delivered_told: Position,
    /// The last batch that a message went to.
    batch: Batch,
    ready: Backlog,
    held: Slab<Held>,
    consumers: Consumers,
    /// Those who asked for a message while it was on its way from the store.
    waiting: Vec<Arc<dyn Wake>>,
    notices: Notices,
    deleted: bool,
}

impl QueueCore {
    /// An empty queue; `durable` ones give persistent messages to the store.
    pub fn new(id: QueueId, spec: &QueueSpec, residency: Arc<Residency>) -> Self {
        let message_ttl = spec.arguments.get("x-message-ttl");
        let message_ttl = message_ttl.and_then(FieldValue::as_i64);
        Self {
            id,
            durable: spec.durable,
            message_ttl: message_ttl.and_then(|ms| u64::try_from(ms).ok()),
            last_position: Position(0),
            delivered: Position(0),
            delivered_told: Position(0),
            batch: Batch::default(),
            ready: Backlog::new(residency),
            held: Slab::new(),
            consumers: Consumers::new(&spec.arguments),
            waiting: Vec::new(),
            notices: Notices::new(id),
            deleted: false,
        }
    }

    /// How full it is and who uses it.
    pub fn counts(&self) -> QueueCounts {
        QueueCounts {
            ready: self.ready.len(),
            unacked: self.held.len() as u64,
            consumers: self.consumers.len() as u64,
        }
    }

    /// Takes a message: hands it to a waiting consumer or keeps it.
    pub fn push(&mut self, incoming: &Incoming<'_>, store: &dyn Store, effects: &mut Effects) {
        if self.deleted {
            return;
        }
        if self.ready.is_empty()
            && let Some((slot, consumer)) = self.consumers.next()
        {
            let mut delivery = Delivery {
                message: incoming.view(),
                redelivered: false,
                held: None,
            };
            if consumer.no_ack() {
                self.last_position.0 += 1;
                consumer.subscriber().deliver(&delivery, effects);
                return;
            }
            consumer.hold();
            let subscriber = Arc::clone(consumer.subscriber());
            let entry = self.enter(incoming, effects);
            self.keep(&entry, true, store, effects);
            delivery.held = Some(hold(&mut self.held, entry, Some(slot)));
            subscriber.deliver(&delivery, effects);
            return;
        }
        let entry = self.enter(incoming, effects);
        self.keep(&entry, false, store, effects);
        self.ready.push(entry, self.batch);
        if !self.ready.is_paging() {
            self.ready.trim(self.delivered, self.batch);
        }
    }

    /// Gives a message its place, detached.
    fn enter(&mut self, incoming: &Incoming<'_>, effects: &Effects) -> Entry {
        self.last_position.0 += 1;
        let ttl = match (incoming.expiration(), self.message_ttl) {
            (Some(own), Some(queue)) => Some(own.min(queue)),
            (own, queue) => own.or(queue),
        };
        Entry {
            position: self.last_position,
            message: incoming.message().clone(),
            deadline: ttl.and_then(|ms| NonZeroU64::new(effects.now().unix_ms.saturating_add(ms))),
            returns: 0,
            redelivered: false,
            stored: self.durable && incoming.is_persistent(),
        }
    }

    /// Gives a message to the store if it has to survive.
    fn keep(&mut self, entry: &Entry, delivered: bool, store: &dyn Store, effects: &mut Effects) {
        if !entry.stored {
            return;
        }
        self.batch = store.append(&[entry.publish(self.id, delivered)]);
        effects.stored(self.batch);
        if delivered {
            self.delivered = entry.position;
            self.delivered_told = entry.position;
        }
    }

    /// Gives a message its place, to which it comes with [`QueueCore::arrive`]
    /// once it is in the store. `None` when the queue is gone.
    pub fn reserve(&mut self, incoming: &Incoming<'_>, effects: &Effects) -> Option<Entry> {
        if self.deleted {
            return None;
        }
        let entry = self.enter(incoming, effects);
        if entry.stored {
            self.ready.reserve(entry.position);
        }
        Some(entry)
    }

    /// Takes a message that had its place given; `batch` is what it went to
    /// the store with, if it did.
    pub fn arrive(&mut self, entry: Entry, batch: Option<Batch>) {
        if self.deleted {
            return;
        }
        self.batch = self.batch.max(batch.unwrap_or_default());
        self.ready.release(entry.position);
        self.ready.push(entry, self.batch);
        self.ready.trim(self.delivered, self.batch);
    }

    /// Hands out up to `budget` messages; whether it stopped for that reason.
    pub fn dispatch(&mut self, budget: usize, effects: &mut Effects) -> bool {
        for _ in 0..budget {
            if !self.ready.has_head() {
                self.ready.shrink();
                return false;
            }
            let Some((slot, consumer)) = self.consumers.next() else {
                return false;
            };
            let Some(entry) = self.ready.pop() else {
                return false;
            };
            if consumer.no_ack() {
                consumer
                    .subscriber()
                    .deliver(&delivery_of(&entry, None), effects);
                self.forget(&entry);
                continue;
            }
            consumer.hold();
            let vacant = self.held.vacant_entry();
            let held = Some(HeldSlot(vacant.key() as u32));
            consumer
                .subscriber()
                .deliver(&delivery_of(&entry, held), effects);
            if entry.stored {
                self.delivered = self.delivered.max(entry.position);
            }
            vacant.insert(Held {
                entry,
                consumer: Some(slot),
            });
        }
        true
    }

    /// Settles messages as done.
    pub fn acknowledge(&mut self, held: &[HeldSlot]) {
        for slot in held {
            if let Some(entry) = self.release(*slot) {
                self.forget(&entry);
            }
        }
    }

    /// Takes messages back, to be put back to their places.
    pub fn take_back(&mut self, held: &[HeldSlot]) -> Vec<Entry> {
        let mut returned = Vec::with_capacity(held.len());
        for slot in held {
            let Some(mut entry) = self.release(*slot) else {
                continue;
            };
            entry.redelivered = true;
            entry.returns = entry.returns.saturating_add(1);
            if entry.stored {
                self.notices.returned(entry.position, entry.returns);
            }
            returned.push(entry);
        }
        returned
    }

    /// Puts messages back to their places.
    pub fn put_back(&mut self, returned: Vec<Entry>) {
        if !self.deleted {
            self.ready.put_back(returned);
            self.ready.trim(self.delivered, self.batch);
        }
    }

    /// Takes messages out for good. With `dead_letter` they are returned, still
    /// in the store: they leave it together with their copies' arrival.
    pub fn discard(&mut self, held: &[HeldSlot], dead_letter: bool) -> Vec<Entry> {
        if dead_letter {
            return held.iter().filter_map(|slot| self.release(*slot)).collect();
        }
        self.acknowledge(held);
        Vec::new()
    }

    /// Hands the first ready message to `take`, with how many remain ready.
    /// While it is on its way from the store, `who` is noted to be woken.
    pub fn get<R, W: Wake + 'static>(
        &mut self,
        no_ack: bool,
        who: &Arc<W>,
        take: impl FnOnce(&Delivery<'_>, u64) -> R,
    ) -> Got<R> {
        let Some(entry) = self.ready.pop() else {
            if self.ready.is_empty() {
                return Got::Nothing;
            }
            self.note_waiting(who);
            return Got::NotYet;
        };
        let remaining = self.ready.len();
        if no_ack {
            let taken = take(&delivery_of(&entry, None), remaining);
            self.forget(&entry);
            return Got::Message(taken);
        }
        let vacant = self.held.vacant_entry();
        let held = Some(HeldSlot(vacant.key() as u32));
        let taken = take(&delivery_of(&entry, held), remaining);
        if entry.stored {
            self.delivered = self.delivered.max(entry.position);
        }
        vacant.insert(Held {
            entry,
            consumer: None,
        });
        Got::Message(taken)
    }

    /// Notes somebody to be woken, once: who is woken for something else asks again.
    fn note_waiting<W: Wake + 'static>(&mut self, who: &Arc<W>) {
        let own = Arc::as_ptr(who).cast::<()>();
        let is_own = |other: &Arc<dyn Wake>| Arc::as_ptr(other).cast::<()>() == own;
        if !self.waiting.iter().any(is_own) {
            self.waiting.push(Arc::clone(who) as Arc<dyn Wake>);
        }
    }

    fn wake_waiting(&mut self, effects: &mut Effects) {
        for who in self.waiting.drain(..) {
            effects.wake_later(who);
        }
    }

    /// Drops every ready message; returns how many there were.
    pub fn purge(&mut self, effects: &mut Effects) -> u64 {
        self.wake_waiting(effects);
        self.ready.purge(&mut self.notices)
    }

    /// What is to be read back from the store now, for [`QueueCore::receive`].
    pub fn wanted(&mut self) -> Option<Wanted> {
        self.ready.wanted()
    }

    /// Takes what was read back from the store. Returns how many messages turn
    /// out to be missing there.
    pub fn receive(&mut self, page: Page, effects: &mut Effects) -> u64 {
        let Some(missing) = self.ready.receive(page, self.delivered) else {
            return 0;
        };
        self.wake_waiting(effects);
        missing
    }

    /// Attaches a consumer; `None` when exclusive use stands against it.
    pub fn attach(
        &mut self,
        spec: ConsumerSpec,
        subscriber: Arc<dyn Subscriber>,
    ) -> Option<ConsumerSlot> {
        self.consumers.attach(spec, subscriber)
    }

    /// Takes a consumer off.
    pub fn detach(&mut self, slot: ConsumerSlot) -> Detached {
        self.consumers.detach(slot)
    }

    /// Lets a consumer that turned a delivery away be considered again.
    pub fn resume(&mut self, slot: ConsumerSlot) {
        self.consumers.enter_ring(slot);
    }

    /// Takes note of what a store held.
    pub fn restore(&mut self, remainder: Remainder) {
        self.last_position = remainder.last;
        self.delivered = remainder.delivered;
        self.delivered_told = remainder.delivered;
        self.ready.restore(remainder);
    }

    /// Empties the queue for good; its consumers are to be told.
    pub fn delete(&mut self, effects: &mut Effects) -> u64 {
        self.deleted = true;
        for consumer in self.consumers.take() {
            effects.cancel_later(consumer.into_subscriber());
        }
        self.held = Slab::new();
        self.wake_waiting(effects);
        let ready = self.ready.len();
        self.ready.clear();
        ready
    }

    /// Tells the store what has gathered to be told.
    pub fn notify(&mut self, store: &dyn Store, effects: &mut Effects) {
        self.note_delivered();
        self.notices.send(store, effects);
    }

    /// The same, with somebody else to tell it.
    pub fn hand_over_notices(&mut self, to: &mut Vec<Record<'static>>) {
        self.note_delivered();
        self.notices.hand_over(to);
    }

    fn note_delivered(&mut self) {
        if self.delivered > self.delivered_told {
            self.delivered_told = self.delivered;
            self.notices.delivered(self.delivered);
        }
    }

    fn release(&mut self, slot: HeldSlot) -> Option<Entry> {
        let held = self.held.try_remove(slot.0 as usize)?;
        if let Some(consumer) = held.consumer {
            self.consumers.release(consumer);
        }
        Some(held.entry)
    }

    /// Notes for the store that a message is gone.
    fn forget(&mut self, entry: &Entry) {
        if entry.stored {
            let position = entry.position;
            self.notices.settled(position, position, entry.stored_len());
        }
    }
}

fn hold(held: &mut Slab<Held>, entry: Entry, consumer: Option<ConsumerSlot>) -> HeldSlot {
    HeldSlot(held.insert(Held { entry, consumer }) as u32)
}

fn delivery_of(entry: &Entry, held: Option<HeldSlot>) -> Delivery<'_> {
    Delivery {
        message: entry.message.view(),
        redelivered: entry.redelivered,
        held,
    }
}
