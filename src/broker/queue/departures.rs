//! Which messages left a queue out of turn of late.
//!
//! Places up to the first waiting one are known to be done with; those taken from
//! among messages that are left to the store aren't. Who looked at one and wants
//! to take it out has to hear that somebody else has done so.

use std::collections::VecDeque;

use crate::base::ids::Position;

/// How many are remembered: many times what is looked at in one go.
const REMEMBERED: usize = 4096;

/// The last messages that were taken out, by when.
#[derive(Debug, Default)]
pub(super) struct Departures {
    forgotten: u64,
    recent: VecDeque<Position>,
}

impl Departures {
    /// How many there were, ever.
    pub(super) fn count(&self) -> u64 {
        self.forgotten + self.recent.len() as u64
    }

    /// Notes one.
    pub(super) fn note(&mut self, position: Position) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
            self.forgotten += 1;
        }
        self.recent.push_back(position);
    }

    /// Whether the message in a place may have left since there were `count`.
    pub(super) fn may_include(&self, position: Position, count: u64) -> bool {
        let Some(known) = count.checked_sub(self.forgotten) else {
            return true;
        };
        let mut since = self.recent.iter().skip(known as usize);
        since.any(|departed| *departed == position)
    }

    /// Gives memory back. What was looked at before counts as gone.
    pub(super) fn forget(&mut self) {
        self.forgotten = self.count();
        self.recent = VecDeque::new();
    }
}
