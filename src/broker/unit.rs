//! What happens in several queues and goes to the store as one: all of it
//! survives a crash, or nothing.
//!
//! No two queues are locked at once. Each message is given its place first;
//! then the store is told everything in one append; then the messages come to
//! their places. What the store would show of them in between is passed over.

use std::sync::Arc;

use super::effects::Effects;
use super::queue::{DeadLetter, Entry, Incoming, Pushed, Queue, Settlement};
use super::store::{Record, Store};
use super::subscriber::HeldSlot;
use crate::base::ids::QueueId;

/// Operations on queues that are carried out together.
#[derive(Debug, Default)]
pub struct Unit {
    /// Each with what it is stored under.
    arrivals: Vec<(Arc<Queue>, QueueId, Entry)>,
    records: Vec<Record<'static>>,
    /// Queues that messages were taken from, with those to be put back.
    served: Vec<(Arc<Queue>, Vec<Entry>)>,
}

impl Unit {
    /// Publishes a message to a queue, unless that refuses it.
    pub fn publish(
        &mut self,
        queue: &Arc<Queue>,
        incoming: &Incoming<'_>,
        effects: &mut Effects,
    ) -> Pushed {
        match queue.reserve(incoming, effects) {
            Ok((lane, entry)) => {
                self.arrivals.push((Arc::clone(queue), lane, entry));
                Pushed::Taken
            }
            Err(otherwise) => otherwise,
        }
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

    /// Carries nothing out of what was published; nothing was settled.
    pub fn abandon(self) {
        for (queue, _, entry) in self.arrivals {
            queue.release(&entry);
        }
    }

    /// Carries it all out.
    pub fn commit(self, store: &dyn Store, effects: &mut Effects) {
        let stored = self.arrivals.iter().filter(|(_, _, entry)| entry.stored);
        let mut records: Vec<Record<'_>> = stored
            .map(|(_, lane, entry)| entry.publish(*lane, false))
            .collect();
        records.extend(self.records);
        let batch = (!records.is_empty()).then(|| store.append(&records));
        if let Some(batch) = batch {
            effects.stored(batch);
        }
        drop(records);
        for (queue, _, entry) in self.arrivals {
            queue.arrive(entry, batch, effects);
        }
        for (queue, returned) in self.served {
            queue.put_back(returned, effects);
        }
    }
}
