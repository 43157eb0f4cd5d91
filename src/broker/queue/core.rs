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

use std::cell::OnceCell;
use std::sync::Arc;

use slab::Slab;

use super::QueueCounts;
use super::backlog::{Backlog, Entry};
use super::consumers::{ConsumerSlot, ConsumerSpec, Consumers};
use super::dead_letter::DeathReason;
use crate::base::ids::{Position, QueueId};
use crate::broker::effects::Effects;
use crate::broker::message::{Content, Message, MessageView};
use crate::broker::store::{Record, Remainder, Store};
use crate::broker::subscriber::{Delivery, HeldSlot, Subscriber};

/// A message on its way into queues.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// Just read: the first queue that has to keep it detaches it from the
    /// read buffer, for all of them.
    Read {
        /// What was read.
        content: Content<'a>,
        /// The same, once it is detached.
        detached: OnceCell<Message>,
    },
    /// Detached already, because something held it back before.
    Kept(Message),
}

impl<'a> Incoming<'a> {
    /// A message just read.
    pub fn new(content: Content<'a>) -> Self {
        Self::Read {
            content,
            detached: OnceCell::new(),
        }
    }

    /// What a delivery needs of it.
    pub fn view(&self) -> MessageView<'_> {
        match self {
            Self::Read { content, .. } => content.view(),
            Self::Kept(message) => message.view(),
        }
    }

    /// The message, detached.
    pub fn message(&self) -> &Message {
        match self {
            Self::Read { content, detached } => detached.get_or_init(|| Message::new(content)),
            Self::Kept(message) => message,
        }
    }

    fn is_persistent(&self) -> bool {
        match self {
            Self::Read { content, .. } => content.persistent,
            Self::Kept(message) => message.is_persistent(),
        }
    }
}

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

/// The state of a queue. Same calls, same state: no clock, no randomness.
#[derive(Debug)]
pub struct QueueCore {
    id: QueueId,
    durable: bool,
    last_position: Position,
    ready: Backlog,
    held: Slab<Held>,
    consumers: Consumers,
    deleted: bool,
}

impl QueueCore {
    /// An empty queue; `durable` ones give persistent messages to the store.
    pub fn new(id: QueueId, durable: bool) -> Self {
        Self {
            id,
            durable,
            last_position: Position(0),
            ready: Backlog::default(),
            held: Slab::new(),
            consumers: Consumers::default(),
            deleted: false,
        }
    }

    /// How full it is and who uses it.
    pub fn counts(&self) -> QueueCounts {
        QueueCounts {
            ready: self.ready.len() as u64,
            unacked: self.held.len() as u64,
            consumers: self.consumers.len() as u64,
        }
    }

    /// Takes a message: hands it to a waiting consumer or keeps it.
    pub fn push(&mut self, incoming: &Incoming<'_>, store: &dyn Store, effects: &mut Effects) {
        if self.deleted {
            return;
        }
        self.last_position.0 += 1;
        if self.ready.is_empty()
            && let Some((slot, consumer)) = self.consumers.next()
        {
            let mut delivery = Delivery {
                message: incoming.view(),
                redelivered: false,
                held: None,
            };
            if consumer.no_ack() {
                consumer.subscriber().deliver(&delivery, effects);
                return;
            }
            consumer.hold();
            let subscriber = Arc::clone(consumer.subscriber());
            let entry = self.keep(incoming, store, effects);
            delivery.held = Some(hold(&mut self.held, entry, Some(slot)));
            subscriber.deliver(&delivery, effects);
            return;
        }
        let entry = self.keep(incoming, store, effects);
        self.ready.push(entry);
    }

    /// Detaches the message and gives it to the store if it has to survive.
    fn keep(&self, incoming: &Incoming<'_>, store: &dyn Store, effects: &mut Effects) -> Entry {
        let entry = Entry {
            position: self.last_position,
            message: incoming.message().clone(),
            redelivered: false,
            stored: self.durable && incoming.is_persistent(),
        };
        if entry.stored {
            effects.stored(store.append(&[Record::Publish {
                queue: self.id,
                position: entry.position,
                message: &entry.message,
                deadline: None,
                delivered: false,
            }]));
        }
        entry
    }

    /// Hands out up to `budget` messages; whether it stopped for that reason.
    pub fn dispatch(&mut self, budget: usize, store: &dyn Store, effects: &mut Effects) -> bool {
        for _ in 0..budget {
            if self.ready.is_empty() {
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
                self.forget(&[entry], store, effects);
                continue;
            }
            consumer.hold();
            let vacant = self.held.vacant_entry();
            let held = Some(HeldSlot(vacant.key() as u32));
            consumer
                .subscriber()
                .deliver(&delivery_of(&entry, held), effects);
            vacant.insert(Held {
                entry,
                consumer: Some(slot),
            });
        }
        true
    }

    /// Settles messages as done.
    pub fn acknowledge(&mut self, held: &[HeldSlot], store: &dyn Store, effects: &mut Effects) {
        for slot in held {
            if let Some(entry) = self.release(*slot) {
                self.forget(std::slice::from_ref(&entry), store, effects);
            }
        }
    }

    /// Puts messages back to their places.
    pub fn requeue(&mut self, held: &[HeldSlot]) {
        let returned = held
            .iter()
            .filter_map(|slot| self.release(*slot))
            .map(|entry| Entry {
                redelivered: true,
                ..entry
            })
            .collect();
        self.ready.put_back(returned);
    }

    /// Takes messages out for good. With `dead_letter` they are returned, still
    /// in the store: they leave it together with their copies' arrival.
    pub fn discard(
        &mut self,
        held: &[HeldSlot],
        dead_letter: bool,
        store: &dyn Store,
        effects: &mut Effects,
    ) -> Vec<Entry> {
        let entries: Vec<_> = held.iter().filter_map(|slot| self.release(*slot)).collect();
        if dead_letter {
            return entries;
        }
        self.forget(&entries, store, effects);
        Vec::new()
    }

    /// Hands the first ready message to `take`, with how many remain ready.
    pub fn get<R>(
        &mut self,
        no_ack: bool,
        store: &dyn Store,
        effects: &mut Effects,
        take: impl FnOnce(&Delivery<'_>, u64) -> R,
    ) -> Option<R> {
        let entry = self.ready.pop()?;
        let remaining = self.ready.len() as u64;
        if no_ack {
            let taken = take(&delivery_of(&entry, None), remaining);
            self.forget(&[entry], store, effects);
            return Some(taken);
        }
        let vacant = self.held.vacant_entry();
        let held = Some(HeldSlot(vacant.key() as u32));
        let taken = take(&delivery_of(&entry, held), remaining);
        vacant.insert(Held {
            entry,
            consumer: None,
        });
        Some(taken)
    }

    /// Drops every ready message; returns how many there were.
    pub fn purge(&mut self, store: &dyn Store, effects: &mut Effects) -> u64 {
        let mut purged = self.ready.take();
        self.forget(purged.make_contiguous(), store, effects);
        purged.len() as u64
    }

    /// Attaches a consumer; `None` when exclusive use stands against it.
    pub fn attach(
        &mut self,
        spec: ConsumerSpec,
        subscriber: Arc<dyn Subscriber>,
    ) -> Option<ConsumerSlot> {
        self.consumers.attach(spec, subscriber)
    }

    /// Takes a consumer off; whether it was the last one.
    pub fn detach(&mut self, slot: ConsumerSlot) -> bool {
        self.consumers.detach(slot) && self.consumers.len() == 0
    }

    /// Lets a consumer that turned a delivery away be considered again.
    pub fn resume(&mut self, slot: ConsumerSlot) {
        self.consumers.enter_ring(slot);
    }

    /// Takes note of what a store held.
    pub fn restore(&mut self, remainder: Remainder) {
        self.last_position = self.last_position.max(remainder.last);
    }

    /// Empties the queue for good; its consumers are to be told.
    pub fn delete(&mut self, effects: &mut Effects) -> u64 {
        self.deleted = true;
        for consumer in self.consumers.take() {
            effects.cancel_later(consumer.into_subscriber());
        }
        self.held = Slab::new();
        self.ready.take().len() as u64
    }

    fn release(&mut self, slot: HeldSlot) -> Option<Entry> {
        let held = self.held.try_remove(slot.0 as usize)?;
        if let Some(consumer) = held.consumer {
            self.consumers.release(consumer);
        }
        Some(held.entry)
    }

    /// Tells the store about messages that are gone.
    fn forget(&self, entries: &[Entry], store: &dyn Store, effects: &mut Effects) {
        for entry in entries.iter().filter(|entry| entry.stored) {
            effects.stored(store.append(&[Record::Settle {
                queue: self.id,
                first: entry.position,
                last: entry.position,
                bytes: entry.message.stored_len() as u64,
            }]));
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
