//! What a queue has to tell its store, gathered over one hold of its lock.

use crate::base::ids::{Position, QueueId};
use crate::broker::attempts::Attempts;
use crate::broker::effects::Effects;
use crate::broker::store::{Record, Store};
use crate::broker::weight::Gone;

/// Notices for the store. Memory for them is kept from one time to the next.
#[derive(Debug, Default)]
pub(super) struct Notices {
    records: Vec<Record<'static>>,
}

/// Notices to be kept room for when there are none.
const KEPT: usize = 256;

impl Notices {
    /// Stored messages are gone. What follows on what was noted before becomes
    /// one notice with it.
    pub(super) fn settled(&mut self, lane: QueueId, from: Position, to: Position, those: Gone) {
        if let Some(Record::Settle {
            queue, last, gone, ..
        }) = self.records.last_mut()
            && *queue == lane
            && last.0 + 1 == from.0
            && those.messages > 0
        {
            *last = to;
            *gone += those;
            return;
        }
        self.records.push(Record::Settle {
            queue: lane,
            first: from,
            last: to,
            gone: those,
        });
    }

    /// A stored message came back, and how it has fared so far.
    pub(super) fn returned(&mut self, lane: QueueId, position: Position, attempts: Attempts) {
        self.records.push(Record::Return {
            queue: lane,
            position,
            attempts,
        });
    }

    /// Stored messages up to a place were handed out.
    pub(super) fn delivered(&mut self, lane: QueueId, up_to: Position) {
        self.records.push(Record::Deliver { queue: lane, up_to });
    }

    /// What others have to tell.
    pub(super) fn add(&mut self, from: &mut Vec<Record<'static>>) {
        self.records.append(from);
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
