//! What happens in several queues and goes to the store as one: all of it
//! survives a crash, or nothing.
//!
//! No two queues are locked at once. Each message is given its place first;
//! then the store is told everything in one append; then the messages come to
//! their places. What the store would show of them in between is passed over.

use std::sync::Arc;

use super::effects::Effects;
use super::queue::{DeadLetter, Entry, Incoming, Queue, Settlement};
use super::store::{Record, Store};
use super::subscriber::HeldSlot;

/// Operations on queues that are carried out together.
#[derive(Debug, Default)]
pub struct Unit {
    arrivals: Vec<(Arc<Queue>, Entry)>,
    records: Vec<Record<'static>>,
    /// Queues that messages were taken from, with those to be put back.
    served: Vec<(Arc<Queue>, Vec<Entry>)>,
}

impl Unit {
    /// Publishes a message to a queue.
    pub fn publish(&mut self, queue: &Arc<Queue>, incoming: &Incoming<'_>, effects: &Effects) {
        if let Some(entry) = queue.reserve(incoming, effects) {
            self.arrivals.push((Arc::clone(queue), entry));
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

    /// Carries it all out.
    pub fn commit(self, store: &dyn Store, effects: &mut Effects) {
        let stored = self.arrivals.iter().filter(|(_, entry)| entry.stored);
        let mut records: Vec<Record<'_>> = stored
            .map(|(queue, entry)| entry.publish(queue.id(), false))
            .collect();
        records.extend(self.records);
        let batch = (!records.is_empty()).then(|| store.append(&records));
        if let Some(batch) = batch {
            effects.stored(batch);
        }
        drop(records);
        for (queue, entry) in self.arrivals {
            queue.arrive(entry, batch, effects);
        }
        for (queue, returned) in self.served {
            queue.put_back(returned, effects);
        }
    }
}
