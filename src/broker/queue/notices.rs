//! What a queue has to tell its store, gathered over one hold of its lock.

use crate::base::ids::{Position, QueueId};
use crate::broker::effects::Effects;
use crate::broker::store::{Record, Store};

/// Notices for the store. Memory for them is kept from one time to the next.
#[derive(Debug)]
pub(super) struct Notices {
    queue: QueueId,
    records: Vec<Record<'static>>,
}

/// Notices to be kept room for when there are none.
const KEPT: usize = 256;

impl Notices {
    pub(super) fn new(queue: QueueId) -> Self {
        Self {
            queue,
            records: Vec::new(),
        }
    }

    /// Stored messages are gone. What follows on what was noted before becomes
    /// one notice with it.
    pub(super) fn settled(&mut self, from: Position, to: Position, octets: u64) {
        if let Some(Record::Settle { last, bytes, .. }) = self.records.last_mut()
            && last.0 + 1 == from.0
        {
            *last = to;
            *bytes += octets;
            return;
        }
        self.records.push(Record::Settle {
            queue: self.queue,
            first: from,
            last: to,
            bytes: octets,
        });
    }

    /// A stored message came back for the `returns`th time.
    pub(super) fn returned(&mut self, position: Position, returns: u32) {
        self.records.push(Record::Return {
            queue: self.queue,
            position,
            returns,
        });
    }

    /// Stored messages up to a place were handed out.
    pub(super) fn delivered(&mut self, up_to: Position) {
        self.records.push(Record::Deliver {
            queue: self.queue,
            up_to,
        });
    }

    /// Tells the store, all in one.
    pub(super) fn send(&mut self, store: &dyn Store, effects: &mut Effects) {
        if !self.records.is_empty() {
            effects.stored(store.append(&self.records));
            self.records.clear();
            self.records.shrink_to(KEPT);
        }
    }

    /// Has somebody else tell the store.
    pub(super) fn hand_over(&mut self, to: &mut Vec<Record<'static>>) {
        to.append(&mut self.records);
    }
}
