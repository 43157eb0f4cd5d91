//! The messages of one priority, with places of their own.

use std::sync::Arc;

use super::arrivals::Arrivals;
use super::backlog::{Backlog, Entry, Wanted};
use super::notices::Notices;
use super::residency::Residency;
use crate::base::ids::{Batch, Position, QueueId};
use crate::broker::store::{Page, Remainder};
use crate::broker::weight::Gone;

/// The messages of one priority that are ready, and what is known of those that
/// were. Most queues have one such lane.
#[derive(Debug)]
pub(super) struct Lane {
    /// What they are stored under.
    pub(super) id: QueueId,
    /// Their priority.
    pub(super) priority: u8,
    pub(super) backlog: Backlog,
    last_position: Position,
    arrivals: Arrivals,
    /// The highest place of a stored message handed out, and how much of that
    /// the store knows.
    delivered: Position,
    delivered_told: Position,
    /// The highest place of a message that others went before.
    passed_over: Position,
}

impl Lane {
    pub(super) fn new(id: QueueId, priority: u8, residency: Arc<Residency>) -> Self {
        Self {
            id,
            priority,
            backlog: Backlog::new(id, priority, residency),
            last_position: Position(0),
            arrivals: Arrivals::default(),
            delivered: Position(0),
            delivered_told: Position(0),
            passed_over: Position(0),
        }
    }

    /// The place of the next message, which comes at `now`, milliseconds since
    /// 1970.
    #[inline]
    pub(super) fn next_position(&mut self, now: u64) -> Position {
        self.last_position.0 += 1;
        let (next, backlog) = (self.last_position, &self.backlog);
        self.arrivals.note(next, now, || backlog.first());
        next
    }

    /// Has what is there have come at `now`, milliseconds since 1970: when it
    /// came to an earlier run isn't known.
    pub(super) fn begin(&mut self, now: u64) {
        if let Some(first) = self.backlog.first() {
            self.arrivals.note(first, now, || None);
        }
    }

    /// When the oldest message that waits came, as far as that is known,
    /// milliseconds since 1970.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.arrivals.of(self.backlog.first()?)
    }

    /// A stored message was handed out.
    pub(super) fn handed_out(&mut self, position: Position) {
        self.delivered = self.delivered.max(position);
    }

    /// A message was handed out as it was stored, which the store knows.
    pub(super) fn handed_out_at_once(&mut self, position: Position) {
        self.delivered = position;
        self.delivered_told = position;
    }

    /// Takes the first one because others go before it.
    pub(super) fn pass_over(&mut self) -> Option<Entry> {
        let entry = self.backlog.pop()?;
        self.passed_over = self.passed_over.max(entry.position);
        Some(entry)
    }

    /// Leaves the back to the store when more is in memory than should be.
    pub(super) fn trim(&mut self, batch: Batch) {
        // What was passed over is in memory: reading it back would make two of it.
        let not_there = self.delivered.max(self.passed_over);
        self.backlog.trim(not_there, batch);
    }

    /// What is to be read back from the store now.
    pub(super) fn wanted(&mut self) -> Option<(QueueId, Wanted)> {
        Some((self.id, self.backlog.wanted()?))
    }

    /// Takes what was read back. Returns what turns out to be missing; `None` when
    /// nobody waits for that page any more.
    pub(super) fn receive(&mut self, page: Page) -> Option<Gone> {
        self.backlog.receive(page, self.delivered)
    }

    /// The highest place given out.
    pub(super) fn last_position(&self) -> Position {
        self.last_position
    }

    /// Messages up to this place were handed out before.
    pub(super) fn delivered(&self) -> Position {
        self.delivered
    }

    /// Takes note of which places were used, by messages that wait elsewhere.
    pub(super) fn note_past(&mut self, remainder: Remainder) {
        self.last_position = remainder.last;
    }

    /// Takes note of what a store held.
    pub(super) fn restore(&mut self, remainder: Remainder) {
        self.last_position = remainder.last;
        self.delivered = remainder.delivered;
        self.delivered_told = remainder.delivered;
        self.backlog.restore(remainder);
    }

    /// Notes for the store how far messages were handed out.
    pub(super) fn note_delivered(&mut self, notices: &mut Notices) {
        if self.delivered > self.delivered_told {
            self.delivered_told = self.delivered;
            notices.delivered(self.id, self.delivered);
        }
    }

    /// Notes for the store that a message is gone.
    pub(super) fn forget(&self, entry: &Entry, notices: &mut Notices) {
        let position = entry.position;
        notices.settled(self.id, position, position, Gone::one(&entry.message));
    }
}
