//! What happened to a queue while a segment was written.

use std::collections::BTreeMap;

use crate::broker::attempts::Attempts;

/// Ranges that are put in order once there are so many.
const RANGES_SORTED: usize = 4096;
/// Ranges that aren't worth keeping: reading the segment takes no longer.
const RANGES_MAX: usize = 128 * 1024;

/// What happened to a queue while a segment was written, besides what that
/// segment holds.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The first and the last of what was settled, in any order.
    settled: Vec<(u64, u64)>,
    /// How many of them were left when they were put in order last.
    sorted: usize,
    /// There were too many.
    incomplete: bool,
    /// How messages fared that came back.
    pub(super) returned: BTreeMap<u64, Attempts>,
}

impl Notes {
    /// Messages were settled, from the first to the last.
    pub(super) fn settled(&mut self, first: u64, last: u64) {
        match self.settled.last_mut() {
            _ if self.incomplete => {}
            Some((_, end)) if end.checked_add(1) == Some(first) => *end = last,
            _ => self.settled.push((first, last)),
        }
        // Several consumers settle a queue in turns: what they leave between
        // them is mostly settled soon after.
        if self.settled.len() >= RANGES_SORTED.max(2 * self.sorted) {
            self.sort();
        }
    }

    /// What was settled, as few ranges as it takes; `None` when they are too many.
    pub(super) fn ranges(&self) -> Option<Vec<(u64, u64)>> {
        (!self.incomplete).then(|| joined(self.settled.clone()))
    }

    fn sort(&mut self) {
        self.settled = joined(std::mem::take(&mut self.settled));
        self.sorted = self.settled.len();
        if self.sorted > RANGES_MAX {
            self.incomplete = true;
            self.settled = Vec::new();
            self.sorted = 0;
        }
    }
}

/// The same ranges, in order, those that touch made one.
fn joined(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    ranges.dedup_by(|next, before| {
        let touches = next.0 <= before.1.saturating_add(1);
        if touches {
            before.1 = before.1.max(next.1);
        }
        touches
    });
    ranges.shrink_to(RANGES_SORTED);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_consumers_settle_in_turns_becomes_one_range() {
        let mut notes = Notes::default();
        for consumer in 0..10 {
            for turn in 0..10_000 {
                let position = turn * 10 + consumer + 1;
                notes.settled(position, position);
            }
        }
        assert_eq!(notes.ranges(), Some(vec![(1, 100_000)]));
        assert!(notes.settled.capacity() <= 64 * 1024);
    }

    #[test]
    fn ranges_without_end_are_given_up() {
        let mut notes = Notes::default();
        for position in 0..2 * RANGES_MAX as u64 {
            notes.settled(2 * position, 2 * position);
        }
        assert_eq!(notes.ranges(), None);
        assert_eq!(notes.settled.capacity(), 0);
    }
}
