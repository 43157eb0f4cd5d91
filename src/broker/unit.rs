//! What happens in several queues and goes to the store as one: all of it
//! survives a crash, or nothing.
//!
//! No two queues are locked at once. Each message is given its place first;
//! then the store is told everything in one append; then the messages come to
//! their places. What the store would show of them in between is passed over.

use std::sync::Arc;

use super::effects::Effects;
use super::queue::{
    DeadLetter, Entry, Incoming, MessageKey, Pushed, Queue, Reserved, Settlement, Taken,
};
use super::store::{Record, Store};
use super::subscriber::HeldSlot;

/// Operations on queues that are carried out together.
#[derive(Debug, Default)]
pub struct Unit {
    arrivals: Vec<(Arc<Queue>, Reserved)>,
    records: Vec<Record<'static>>,
    /// Queues that messages were taken from, with those to be put back.
    served: Vec<(Arc<Queue>, Vec<Entry>)>,
    /// Queues that chosen messages leave.
    left: Vec<(Arc<Queue>, Vec<Taken>)>,
}

impl Unit {
    /// Publishes a message to a queue, unless that refuses it.
    pub fn publish(
        &mut self,
        queue: &Arc<Queue>,
        incoming: &Incoming<'_>,
        effects: &mut Effects,
    ) -> Pushed {
        match self.reserve(queue, incoming, effects) {
            Ok(()) => Pushed::Taken,
            Err(otherwise) => otherwise,
        }
    }

    /// The same for who wants to know whether the message comes.
    ///
    /// # Errors
    /// What becomes of it when it doesn't.
    pub(super) fn reserve(
        &mut self,
        queue: &Arc<Queue>,
        incoming: &Incoming<'_>,
        effects: &mut Effects,
    ) -> Result<(), Pushed> {
        let is_own = |key| self.brings(queue, key);
        let reserved = queue.reserve(incoming, &is_own, effects)?;
        self.arrivals.push((Arc::clone(queue), reserved));
        Ok(())
    }

    /// How many messages come to queues.
    pub fn len(&self) -> usize {
        self.arrivals.len()
    }

    /// Whether none come.
    pub fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    /// Has those not come that were published after there were `len`.
    pub fn take_back(&mut self, len: usize) {
        for (queue, reserved) in self.arrivals.drain(len.min(self.arrivals.len())..) {
            queue.release(&reserved);
        }
    }

    /// Whether a message known by `key` comes to a queue.
    fn brings(&self, queue: &Arc<Queue>, key: MessageKey) -> bool {
        let mut own = self.arrivals.iter();
        own.any(|(to, reserved)| {
            Arc::ptr_eq(to, queue) && reserved.mark.as_ref().is_some_and(|m| m.key() == key)
        })
    }

    /// Settles messages that were handed out. Those that are to be dead-lettered
    /// are noted in `effects`.
    pub fn settle(
        &mut self,
        queue: &Arc<Queue>,
        held: &[HeldSlot],
        settlement: Settlement,
        effects: &mut Effects,
    ) {
        let returned = queue.settle_within(held, settlement, &mut self.records, effects);
        self.served.push((Arc::clone(queue), returned));
    }

    /// Takes a dead letter out of the queue where it died.
    pub fn bury(&mut self, letter: &DeadLetter) {
        self.records.extend(letter.settled());
    }

    /// Has messages leave the queue where they waited.
    pub(super) fn depart(&mut self, queue: &Arc<Queue>, taken: Vec<Taken>) {
        self.records.extend(taken.iter().filter_map(Taken::settled));
        self.left.push((Arc::clone(queue), taken));
    }

    /// Carries nothing out of what was published; nothing was settled.
    pub fn abandon(mut self) {
        self.take_back(0);
    }

    /// Carries it all out.
    pub fn commit(self, store: &dyn Store, effects: &mut Effects) {
        let mut records: Vec<Record<'_>> = Vec::with_capacity(self.arrivals.len());
        for (_, reserved) in &self.arrivals {
            records.extend(reserved.records());
        }
        records.extend(self.records);
        let batch = (!records.is_empty()).then(|| store.append(&records));
        if let Some(batch) = batch {
            effects.stored(batch);
        }
        drop(records);
        for (queue, taken) in self.left {
            queue.depart(&taken, batch, effects);
        }
        for (queue, reserved) in self.arrivals {
            queue.arrive(reserved, batch, effects);
        }
        for (queue, returned) in self.served {
            queue.put_back(returned, effects);
        }
    }
}
