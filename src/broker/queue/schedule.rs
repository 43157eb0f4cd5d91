//! Messages that wait for their time: what an `x-delayed-message` exchange holds
//! back (`semantics` 7).
//!
//! ```text
//!   (time, place)     (12:00, 7)  (12:00, 9)  (12:30, 2)  (18:00, 4)  ...
//!                      in memory   in memory    stored      stored
//! ```
//!
//! A message that the store has costs the pair here once there are many, however
//! large it is; it is read back when its time has come.

use std::collections::BTreeMap;

use super::backlog::{Entry, Wanted, restored};
use crate::base::ids::{Batch, Position};
use crate::base::limits::{QUEUE_PAGE, QUEUE_RESIDENT_HIGH};
use crate::broker::store::{Page, Remainder};

/// How many messages are let go at a time.
const RELEASE_BUDGET: usize = 1024;

/// A message that waits: itself, or nothing when it is left to the store.
type Slot = Option<Box<Entry>>;

/// A part of what an earlier run left that has to be looked through for times.
#[derive(Debug, Clone, Copy)]
struct Unread {
    next: Position,
    last: Position,
    messages: u64,
}

/// The messages that wait, by their time and then by their place.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    waiting: BTreeMap<(u64, Position), Slot>,
    unread: Option<Unread>,
    /// The place where the page on its way begins.
    loading: Option<Position>,
    /// Octets of messages in memory that the store has, too.
    resident: u64,
    /// The last batch that one of them went to.
    batch: Batch,
    /// The time it was last looked at.
    now: u64,
}

impl Schedule {
    /// How many wait.
    pub(super) fn len(&self) -> u64 {
        let unread = self.unread.map_or(0, |unread| unread.messages);
        self.waiting.len() as u64 + unread
    }

    /// Adds a message that waits until its deadline, which is when it goes on.
    pub(super) fn keep(&mut self, entry: Entry, batch: Batch) {
        self.batch = self.batch.max(batch);
        let key = (due(&entry), entry.position);
        let slot = self.make_slot(entry);
        self.waiting.insert(key, slot);
    }

    fn make_slot(&mut self, entry: Entry) -> Slot {
        if entry.is_stored() {
            if self.resident >= QUEUE_RESIDENT_HIGH {
                return None;
            }
            self.resident += entry.stored_len();
        }
        Some(Box::new(entry))
    }

    /// Takes out those whose time has come, as far as they are in memory.
    pub(super) fn take_due(&mut self, now: u64) -> Vec<Entry> {
        self.now = now;
        let mut due = Vec::new();
        while due.len() < RELEASE_BUDGET
            && let Some(first) = self.waiting.first_entry()
            && first.key().0 <= now
            && first.get().is_some()
        {
            let Some(entry) = first.remove() else {
                break;
            };
            if entry.is_stored() {
                self.resident = self.resident.saturating_sub(entry.stored_len());
            }
            due.push(*entry);
        }
        due
    }

    /// When to look again. Nothing is due while it is on its way from the store.
    pub(super) fn next_due(&self) -> Option<u64> {
        let ((due, _), slot) = self.waiting.first_key_value()?;
        (slot.is_some() || self.loading.is_none()).then_some(*due)
    }

    /// What is to be read back now. It counts as on its way from then on.
    pub(super) fn wanted(&mut self) -> Option<Wanted> {
        if self.loading.is_some() {
            return None;
        }
        let (from, to) = match self.unread {
            Some(unread) => (unread.next, unread.last),
            None => self.due_on_disk()?,
        };
        self.loading = Some(from);
        Some(Wanted {
            from,
            to,
            bytes: QUEUE_PAGE as usize,
            batch: self.batch,
        })
    }

    /// The first message that is due and not in memory, and those behind it as
    /// far as they have the next places.
    fn due_on_disk(&self) -> Option<(Position, Position)> {
        let mut due = self.waiting.range(..=(self.now, Position(u64::MAX)));
        let ((_, first), slot) = due.next()?;
        if slot.is_some() {
            return None;
        }
        let mut last = *first;
        for ((_, place), slot) in due {
            if slot.is_some() || place.0 != last.0 + 1 {
                break;
            }
            last = *place;
        }
        Some((*first, last))
    }

    /// Takes what was read back. Returns how many messages turn out to be missing.
    pub(super) fn receive(&mut self, page: Page) -> u64 {
        if self.loading != Some(page.from) {
            return 0;
        }
        self.loading = None;
        match self.unread {
            Some(unread) => self.read(unread, page),
            None => self.fetch(page),
        }
    }

    fn read(&mut self, mut unread: Unread, page: Page) -> u64 {
        for stored in page.messages {
            unread.messages = unread.messages.saturating_sub(1);
            let entry = restored(stored, 0, Position(0));
            let key = (due(&entry), entry.position);
            let slot = self.make_slot(entry);
            self.waiting.insert(key, slot);
        }
        unread.next = Position(page.through.0.saturating_add(1));
        let is_over = unread.next > unread.last;
        self.unread = (!is_over).then_some(unread);
        if is_over { unread.messages } else { 0 }
    }

    fn fetch(&mut self, page: Page) -> u64 {
        for stored in page.messages {
            let entry = restored(stored, 0, Position(0));
            let key = (due(&entry), entry.position);
            // It may be gone, with its queue purged in the meantime.
            if let Some(slot @ None) = self.waiting.get_mut(&key) {
                self.resident += entry.stored_len();
                *slot = Some(Box::new(entry));
            }
        }
        self.drop_missing(page.from, page.through)
    }

    /// Gives up those that the store turns out not to have: due, and still not
    /// there after everything between two places was read.
    fn drop_missing(&mut self, from: Position, through: Position) -> u64 {
        let due = self.waiting.range(..=(self.now, Position(u64::MAX)));
        let missing =
            due.filter(|((_, place), slot)| slot.is_none() && (from..=through).contains(place));
        let missing: Vec<_> = missing.map(|(key, _)| *key).collect();
        for key in &missing {
            self.waiting.remove(key);
        }
        missing.len() as u64
    }

    /// Leaves to the store what it was found to have: it has to be read once, for
    /// the times.
    pub(super) fn restore(&mut self, remainder: Remainder) {
        self.unread = (remainder.messages > 0).then_some(Unread {
            next: remainder.first,
            last: remainder.last,
            messages: remainder.messages,
        });
    }
}

fn due(entry: &Entry) -> u64 {
    entry.deadline.map_or(0, u64::from)
}
