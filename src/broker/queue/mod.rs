//! Queues: a state machine each, behind a lock each.

mod backlog;
mod consumers;
mod core;
mod dead_letter;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

pub use self::consumers::{ConsumerSlot, ConsumerSpec};
pub use self::core::{Incoming, QueueCore, Settlement};
pub use self::dead_letter::{DeadLetter, DeadLetterTarget, DeathReason};

use super::effects::Effects;
use super::spec::QueueSpec;
use super::store::{Remainder, Store};
use super::subscriber::{Delivery, HeldSlot, Subscriber};
use crate::base::ids::{ConnectionId, QueueId};
use crate::wire::{Refusal, ReplyCode};

/// How many messages are delivered before the lock is given to somebody else.
const DISPATCH_BUDGET: usize = 512;

/// How full a queue is and who uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueCounts {
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages handed out and not settled yet.
    pub unacked: u64,
    /// Consumers attached.
    pub consumers: u64,
}

/// A queue: what it was declared as, and its state behind its lock.
#[derive(Debug)]
pub struct Queue {
    id: QueueId,
    vhost: Arc<str>,
    spec: QueueSpec,
    owner: Option<ConnectionId>,
    dead_letter: Option<DeadLetterTarget>,
    store: Arc<dyn Store>,
    deleted: AtomicBool,
    core: Mutex<QueueCore>,
}

impl Queue {
    /// An empty queue. `owner` is the connection an exclusive queue belongs to.
    pub fn new(
        id: QueueId,
        vhost: Arc<str>,
        spec: QueueSpec,
        owner: Option<ConnectionId>,
        store: Arc<dyn Store>,
    ) -> Self {
        let dead_letter = DeadLetterTarget::from_arguments(&spec.arguments);
        let core = QueueCore::new(id, spec.durable);
        Self {
            id,
            vhost,
            spec,
            owner,
            dead_letter,
            store,
            deleted: AtomicBool::new(false),
            core: Mutex::new(core),
        }
    }

    /// The number its messages are stored under.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.spec.name
    }

    /// The virtual host it lives in.
    pub fn vhost(&self) -> &Arc<str> {
        &self.vhost
    }

    /// What it was declared as.
    pub fn spec(&self) -> &QueueSpec {
        &self.spec
    }

    /// The connection it belongs to, if it is exclusive.
    pub fn owner(&self) -> Option<ConnectionId> {
        self.owner
    }

    /// Where its dead letters go, if anywhere.
    pub fn dead_letter(&self) -> Option<&DeadLetterTarget> {
        self.dead_letter.as_ref()
    }

    /// How full it is and who uses it.
    pub fn counts(&self) -> QueueCounts {
        self.core.lock().counts()
    }

    /// Whether it was deleted; what still holds it lets go soon.
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Takes a message: hands it to a waiting consumer or keeps it.
    pub fn push(&self, incoming: &Incoming<'_>, effects: &mut Effects) {
        self.core.lock().push(incoming, &*self.store, effects);
    }

    /// Settles messages that were handed out, then serves whoever became ready.
    pub fn settle(
        self: &Arc<Self>,
        held: &[HeldSlot],
        settlement: Settlement,
        effects: &mut Effects,
    ) {
        let mut core = self.core.lock();
        match settlement {
            Settlement::Acknowledge => core.acknowledge(held, &*self.store, effects),
            Settlement::Requeue => core.requeue(held),
            Settlement::Discard(reason) => {
                let letters = core.discard(held, self.dead_letter.is_some(), &*self.store, effects);
                for entry in letters {
                    effects.dead_letter(DeadLetter::new(self, entry, reason));
                }
            }
        }
        let more = core.dispatch(DISPATCH_BUDGET, &*self.store, effects);
        drop(core);
        if more {
            self.serve(effects);
        }
    }

    /// Hands out what can be handed out, giving way to others in between.
    pub fn serve(&self, effects: &mut Effects) {
        while self
            .core
            .lock()
            .dispatch(DISPATCH_BUDGET, &*self.store, effects)
        {}
    }

    /// Attaches a consumer and serves it.
    ///
    /// # Errors
    /// 403 when the queue is in exclusive use, or would have to be; 404 when
    /// it is being deleted (`semantics` 9.1).
    pub fn attach(
        &self,
        consumer: ConsumerSpec,
        subscriber: Arc<dyn Subscriber>,
        ready: impl FnOnce(),
        effects: &mut Effects,
    ) -> Result<ConsumerSlot, Refusal> {
        let mut core = self.core.lock();
        if self.is_deleted() {
            return Err(self.not_found());
        }
        let slot = core.attach(consumer, subscriber).ok_or_else(|| {
            let text = format!(
                "queue '{}' in vhost '{}' in exclusive use",
                self.spec.name, self.vhost
            );
            Refusal::new(ReplyCode::AccessRefused, text)
        })?;
        ready();
        let more = core.dispatch(DISPATCH_BUDGET, &*self.store, effects);
        drop(core);
        if more {
            self.serve(effects);
        }
        Ok(slot)
    }

    /// Takes a consumer off. What it holds stays held until it is settled.
    pub fn detach(self: &Arc<Self>, slot: ConsumerSlot, effects: &mut Effects) {
        let last = self.core.lock().detach(slot);
        if last && self.spec.auto_delete && !self.is_deleted() {
            effects.unused(Arc::clone(self));
        }
    }

    /// Lets a consumer that turned deliveries away be considered again.
    pub fn resume(&self, slot: ConsumerSlot, effects: &mut Effects) {
        let mut core = self.core.lock();
        core.resume(slot);
        let more = core.dispatch(DISPATCH_BUDGET, &*self.store, effects);
        drop(core);
        if more {
            self.serve(effects);
        }
    }

    /// Hands the first ready message to `take`, with how many remain ready.
    pub fn get<R>(
        &self,
        no_ack: bool,
        effects: &mut Effects,
        take: impl FnOnce(&Delivery<'_>, u64) -> R,
    ) -> Option<R> {
        self.core.lock().get(no_ack, &*self.store, effects, take)
    }

    /// Drops every ready message; returns how many there were.
    pub fn purge(&self, effects: &mut Effects) -> u64 {
        self.core.lock().purge(&*self.store, effects)
    }

    /// Puts back what a store held. For recovery, before anybody uses the queue.
    pub fn restore(&self, remainder: Remainder) {
        self.core.lock().restore(remainder);
    }

    /// Deletes the queue: its messages are gone, its consumers are to be told.
    /// Returns how many messages were ready.
    pub fn delete(&self, effects: &mut Effects) -> u64 {
        let mut core = self.core.lock();
        self.deleted.store(true, Ordering::Release);
        core.delete(effects)
    }

    /// Deletes the queue if it is unused and empty, as far as that is asked for.
    ///
    /// # Errors
    /// 406 when it isn't (`semantics` 6.6).
    pub fn delete_if(
        &self,
        if_unused: bool,
        if_empty: bool,
        effects: &mut Effects,
    ) -> Result<u64, Refusal> {
        let mut core = self.core.lock();
        let counts = core.counts();
        let refuse = |what| {
            let text = format!(
                "queue '{}' in vhost '{}' {what}",
                self.spec.name, self.vhost
            );
            Err(Refusal::new(ReplyCode::PreconditionFailed, text))
        };
        if if_unused && counts.consumers > 0 {
            return refuse("in use");
        }
        if if_empty && counts.ready > 0 {
            return refuse("not empty");
        }
        self.deleted.store(true, Ordering::Release);
        Ok(core.delete(effects))
    }

    fn not_found(&self) -> Refusal {
        let text = format!("no queue '{}' in vhost '{}'", self.spec.name, self.vhost);
        Refusal::new(ReplyCode::NotFound, text)
    }
}
