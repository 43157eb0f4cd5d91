//! When the messages of a lane came, roughly.
//!
//! Nobody needs to know of each message, and the oldest one that waits tells
//! how far consumers are behind. So a mark is made now and then, of a place and
//! the time it was given out; there are never more than some of them, however
//! long the backlog: when there would be, every other one goes.

use std::collections::VecDeque;

use crate::base::ids::Position;

/// Most marks of one lane.
const MARKS_MAX: usize = 64;
/// Milliseconds between two marks at first.
const INTERVAL_MS: u64 = 1000;

#[derive(Debug, Clone, Copy)]
struct Mark {
    position: Position,
    /// Milliseconds since 1970.
    at: u64,
}

/// Marks of places and the times they were given out.
#[derive(Debug)]
pub(super) struct Arrivals {
    marks: VecDeque<Mark>,
    interval: u64,
    /// When the next mark is due, milliseconds since 1970.
    next: u64,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            marks: VecDeque::new(),
            interval: INTERVAL_MS,
            next: 0,
        }
    }
}

impl Arrivals {
    /// Notes that a place is given out at `now`, milliseconds since 1970; `first`
    /// is the lowest place of a message that waits.
    #[inline(always)]
    pub(super) fn note(
        &mut self,
        position: Position,
        now: u64,
        first: impl FnOnce() -> Option<Position>,
    ) {
        if now >= self.next {
            self.mark(position, now, first().unwrap_or(position));
        }
    }

    #[cold]
    fn mark(&mut self, position: Position, now: u64, first: Position) {
        // The last one before the first message still says when that came.
        while self.marks.get(1).is_some_and(|m| m.position <= first) {
            self.marks.pop_front();
        }
        if self.marks.len() < MARKS_MAX / 4 {
            self.interval = INTERVAL_MS;
        }
        if self.marks.len() >= MARKS_MAX {
            let mut kept = false;
            self.marks.retain(|_| {
                kept = !kept;
                kept
            });
            self.interval *= 2;
        }
        self.marks.push_back(Mark { position, at: now });
        self.next = now.saturating_add(self.interval);
    }

    /// When the message at `position` came, not before then and seldom much
    /// later; `None` when it was there before the first mark.
    pub(super) fn of(&self, position: Position) -> Option<u64> {
        let after = self.marks.partition_point(|m| m.position <= position);
        let before = after.checked_sub(1)?;
        Some(self.marks.get(before)?.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_came_with_the_mark_before_it() {
        let mut arrivals = Arrivals::default();
        for n in 1..=1000u64 {
            arrivals.note(Position(n), 10_000 + n * 100, || Some(Position(1)));
        }
        for n in [1, 2, 11, 500, 1000u64] {
            let at = arrivals.of(Position(n)).unwrap();
            assert!(at <= 10_000 + n * 100, "{n}: {at}");
            assert!(at + 8_000 > 10_000 + n * 100, "{n}: {at}");
        }
        assert_eq!(arrivals.of(Position(0)), None);
    }

    #[test]
    fn marks_are_few_however_long_it_takes() {
        let mut arrivals = Arrivals::default();
        for n in 1..=1_000_000u64 {
            arrivals.note(Position(n), n * 1000, || Some(Position(1)));
        }
        assert!(arrivals.marks.len() <= MARKS_MAX);
        assert_eq!(arrivals.of(Position(1)), Some(1000));
    }

    #[test]
    fn marks_go_with_the_messages() {
        let mut arrivals = Arrivals::default();
        for n in 1..=1000u64 {
            arrivals.note(Position(n), n * 1000, || Some(Position(n)));
        }
        assert!(arrivals.marks.len() <= 2);
    }
}
