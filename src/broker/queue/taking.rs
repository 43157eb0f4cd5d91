//! Taking chosen messages out of a queue, wherever they wait.
//!
//! ```text
//!   waiting --take_out--> taken --depart--> gone    once the store is told
//!      ^                    |
//!      +-----give_back------+
//! ```
//!
//! While a message is taken the store still has it: its place counts as given out
//! to one that hasn't come yet, so that reading it back doesn't make two of it.

use std::sync::Arc;

use super::Queue;
use super::backlog::Entry;
use super::browse::{Cursor, Place, Seen};
use super::core::QueueCore;
use crate::base::ids::{Batch, QueueId};
use crate::broker::effects::Effects;
use crate::broker::message::Message;
use crate::broker::store::Record;

/// A message taken out of its queue, to go or to be given back.
#[derive(Debug)]
pub struct Taken {
    pub(super) entry: Entry,
    /// What it is stored under, if it is.
    lane: QueueId,
    /// Where it waited.
    from: Cursor,
}

impl Taken {
    /// The message.
    pub fn message(&self) -> &Message {
        &self.entry.message
    }

    /// What the store is told once it is gone, if it has it.
    pub(in crate::broker) fn settled(&self) -> Option<Record<'static>> {
        self.entry.settled(self.lane)
    }
}

impl QueueCore {
    /// Takes out a message that was looked at, if it still waits.
    fn take_out(&mut self, seen: &Seen) -> Option<Taken> {
        if self.deleted {
            return None;
        }
        let delayed = self.take_delayed(seen);
        let (entry, from) = delayed.or_else(|| self.ready.take_out(seen))?;
        let lane = self.ready.lane(entry.priority()).id;
        Some(Taken { entry, lane, from })
    }

    fn take_delayed(&mut self, seen: &Seen) -> Option<(Entry, Cursor)> {
        let Cursor::Delayed(key) = seen.cursor else {
            return None;
        };
        Some((self.retries.remove(key, seen.place())?, seen.cursor))
    }

    /// Puts a message back to where it waited.
    fn give_back(&mut self, taken: Taken) {
        if self.deleted {
            return;
        }
        match taken.from {
            Cursor::Delayed(key) => self.retries.keep(key.due, taken.entry),
            from => {
                self.has_deadlines |= taken.entry.deadline.is_some();
                self.ready.give_back(taken.entry, from);
            }
        }
    }

    /// A message is gone for good; the store hears of it with `batch`.
    fn depart(&mut self, taken: &Taken, batch: Batch) {
        self.batch = self.batch.max(batch);
        if taken.entry.is_stored() {
            let lane = self.ready.lane(taken.entry.priority());
            lane.backlog.depart(taken.entry.position, batch);
        }
    }

    /// Whether a message is handed out and not settled yet.
    pub(super) fn is_held(&self, place: Place) -> bool {
        let mut held = self.held.iter();
        held.any(|(_, held)| Place::of(held.entry()) == place)
    }
}

impl Queue {
    /// Takes out a message that was looked at; `None` when it doesn't wait any
    /// more: it was handed out, or is gone.
    pub(in crate::broker) fn take_out(
        self: &Arc<Self>,
        seen: &Seen,
        effects: &mut Effects,
    ) -> Option<Taken> {
        let mut core = self.core.lock();
        let taken = core.take_out(seen)?;
        // Nobody knows what is wanted next once it was taken from the front.
        self.let_go(core, effects);
        Some(taken)
    }

    /// Puts a message back that stays after all.
    pub(in crate::broker) fn give_back(self: &Arc<Self>, taken: Taken, effects: &mut Effects) {
        let mut core = self.core.lock();
        core.give_back(taken);
        self.serve(core, effects);
    }

    /// Messages are gone for good, as the store was told with `batch`.
    pub(in crate::broker) fn depart(
        self: &Arc<Self>,
        taken: &[Taken],
        batch: Option<Batch>,
        effects: &mut Effects,
    ) {
        let mut core = self.core.lock();
        for taken in taken {
            core.depart(taken, batch.unwrap_or_default());
        }
        self.let_go(core, effects);
    }
}
