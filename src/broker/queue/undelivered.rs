//! Dead letters that nothing takes, where none may be lost: they stay with the
//! queue they died in and are tried again (`semantics` 12, at-least-once).
//!
//! The store has them as the queue's messages until somebody takes them, so after
//! a restart they are ready again, to die once more.

use std::collections::VecDeque;

use super::backlog::Entry;
use super::core::QueueCore;
use super::dead_letter::DeathReason;
use crate::base::clock::Now;
use crate::base::limits::DEAD_LETTER_RETRY_MS;
use crate::broker::weight::Weight;

/// How many are tried at a time: when all of them are taken, more are.
const TRIED_TOGETHER: usize = 256;

/// Dead letters that wait to be tried again.
#[derive(Debug, Default)]
pub(super) struct Undelivered {
    letters: VecDeque<(Entry, DeathReason)>,
    weight: Weight,
    /// When the first ones are tried, milliseconds since 1970.
    at: u64,
}

impl Undelivered {
    /// When to try again.
    pub(super) fn next_due(&self) -> u64 {
        self.at
    }

    /// Those that wait.
    pub(super) fn letters(&self) -> impl Iterator<Item = &Entry> {
        self.letters.iter().map(|(entry, _)| entry)
    }

    fn keep(&mut self, entry: Entry, reason: DeathReason, now: u64) {
        self.weight += entry.weight();
        // Behind the others: what is in the way of one may not be in theirs.
        self.letters.push_back((entry, reason));
        if self.at <= now {
            self.at = now.saturating_add(DEAD_LETTER_RETRY_MS);
        }
    }

    fn take(&mut self) -> Option<(Entry, DeathReason)> {
        let letter = self.letters.pop_front()?;
        self.weight = self.weight.without(letter.0.weight());
        Some(letter)
    }
}

impl QueueCore {
    /// How many dead letters there are that nothing took, and what they weigh.
    pub(super) fn undelivered(&self) -> (u64, Weight) {
        let undelivered = self.undelivered.as_ref();
        undelivered.map_or_else(Default::default, |all| {
            (all.letters.len() as u64, all.weight)
        })
    }

    /// Keeps a dead letter that nothing took.
    pub fn keep_undelivered(&mut self, entry: Entry, reason: DeathReason, now: Now) {
        if !self.deleted {
            let undelivered = self.undelivered.get_or_insert_default();
            undelivered.keep(entry, reason, now.unix_ms);
        }
    }

    /// Has those dead letters tried again whose time has come.
    pub fn retry_undelivered(&mut self, now: Now) {
        let Some(undelivered) = &mut self.undelivered else {
            return;
        };
        if undelivered.next_due() > now.unix_ms {
            return;
        }
        for _ in 0..TRIED_TOGETHER {
            let Some(letter) = undelivered.take() else {
                self.undelivered = None;
                return;
            };
            self.dying.push(letter);
        }
    }

    /// Drops those dead letters.
    pub(super) fn purge_undelivered(&mut self) {
        for (entry, _) in self.undelivered.take().into_iter().flat_map(|u| u.letters) {
            self.forget(&entry);
        }
    }
}
