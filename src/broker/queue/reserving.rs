//! Messages that get their places before they come: what a unit publishes is in
//! the store first.

use super::Pushed;
use super::backlog::Entry;
use super::core::QueueCore;
use super::deduplication::{Mark, MessageKey};
use super::incoming::Incoming;
use crate::base::ids::{Batch, QueueId};
use crate::broker::effects::Effects;
use crate::broker::store::Record;
use crate::broker::weight::Gone;

/// A place given to a message that is to come.
#[derive(Debug)]
pub struct Reserved {
    /// What it is stored under.
    pub lane: QueueId,
    /// The message in its place, unless it is only remembered.
    pub entry: Option<Entry>,
    /// What is remembered of it.
    pub mark: Option<Mark>,
}

impl Reserved {
    /// What the store is told of it.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let stored = self.entry.as_ref().filter(|entry| entry.is_stored());
        let message = stored.map(|entry| entry.publish(self.lane, false));
        let mark = self.mark.as_ref().and_then(Mark::record);
        message.into_iter().chain(mark)
    }
}

impl QueueCore {
    /// Gives a message its place, to which it comes with [`QueueCore::arrive`]
    /// once it is in the store. `is_own` says whether one of that id comes in the
    /// same unit.
    ///
    /// # Errors
    /// What became of it when it doesn't get one: the queue is gone, has no room,
    /// or has had it already.
    pub fn reserve(
        &mut self,
        incoming: &Incoming<'_>,
        is_own: &dyn Fn(MessageKey) -> bool,
        effects: &mut Effects,
    ) -> Result<Reserved, Pushed> {
        if self.deleted {
            return Err(Pushed::Taken);
        }
        if self.schedule.is_some() {
            let entry = self.enter_schedule(incoming, effects.now());
            let entry = entry.ok_or(Pushed::Taken)?;
            return Ok(self.reserved(entry));
        }
        if self.remembers_only() {
            return self.reserve_mark(incoming, is_own, effects);
        }
        if self.checks_arrivals
            && let Some(pushed) = self.check_room(incoming, is_own, effects)
        {
            return Err(pushed);
        }
        let entry = self.enter(incoming, effects.now());
        if entry.is_stored() {
            self.ready.reserve(entry.priority(), entry.position);
        }
        self.coming += Gone::one(&entry.message);
        self.note_full();
        Ok(self.reserved(entry))
    }

    fn reserved(&mut self, entry: Entry) -> Reserved {
        Reserved {
            lane: self.ready.lane(entry.priority()).id,
            entry: Some(entry),
            mark: self.take_mark(),
        }
    }

    /// Takes a place back that was given to a message that doesn't come.
    pub fn release_place(&mut self, reserved: &Reserved) {
        if let Some(entry) = &reserved.entry {
            let lane = self.ready.lane(entry.priority());
            lane.backlog.release(entry.position);
            self.came(entry);
            self.note_full();
        }
        if let Some(mark) = &reserved.mark {
            self.release_mark(mark);
        }
    }

    fn came(&mut self, entry: &Entry) {
        self.coming = self.coming.without(Gone::one(&entry.message));
    }

    /// Takes a message that had its place given; `batch` is what it went to
    /// the store with, if it did.
    pub fn arrive(&mut self, reserved: Reserved, batch: Option<Batch>) {
        if self.deleted {
            return;
        }
        self.batch = self.batch.max(batch.unwrap_or_default());
        self.traffic.stored += u64::from(batch.is_some());
        let Reserved { entry, mark, .. } = reserved;
        if let Some(mark) = mark {
            self.mark_arrived(&mark);
        }
        let Some(entry) = entry else {
            return;
        };
        self.traffic.published += 1;
        if self.schedule.is_some() {
            return self.put_on_schedule(entry);
        }
        self.came(&entry);
        self.has_deadlines |= entry.deadline.is_some();
        self.ready.arrive(entry, self.batch);
    }
}
