//! What happens in a queue at a time of its own: messages expire, others are
//! tried again, and the queue itself goes when nobody uses it.

use std::num::NonZeroU64;

use super::backlog::Entry;
use super::core::QueueCore;
use super::dead_letter::DeathReason;
use super::incoming::Incoming;
use crate::base::clock::Now;
use crate::broker::delay::delay_of;
use crate::wire::Properties;

impl QueueCore {
    /// Whether anything here happens at a time of its own.
    pub fn is_timed(&self) -> bool {
        self.has_deadlines
            || self.settings.expires.is_some()
            || self.retries.len() > 0
            || self.undelivered.is_some()
            || self.schedule.is_some()
    }

    /// Whether a consumer may be late before the queue is called.
    pub fn wants_alarm(&self) -> bool {
        self.timeouts
            .first()
            .is_some_and(|first| self.alarm.is_none_or(|alarm| first < alarm))
    }

    /// When the queue is to be called next, if that is earlier than what was
    /// last asked for: the time before and the time from now on.
    pub fn new_alarm(&mut self) -> Option<(Option<u64>, u64)> {
        if self.deleted || !(self.is_timed() || self.wants_alarm()) {
            return None;
        }
        let at = self.next_due()?;
        self.alarm_at(at)
    }

    /// The same for a time that the caller knows.
    pub fn alarm_at(&mut self, at: u64) -> Option<(Option<u64>, u64)> {
        if self.alarm.is_some_and(|alarm| alarm <= at) {
            return None;
        }
        Some((self.alarm.replace(at), at))
    }

    fn next_due(&mut self) -> Option<u64> {
        let deadline = self.ready.next_deadline();
        if deadline.is_none() && self.ready.is_empty() {
            self.has_deadlines = false;
        }
        let unused = self.unused_at();
        let late = self.timeouts.first();
        let scheduled = self.schedule.as_ref().and_then(|s| s.next_due());
        let undelivered = self.undelivered.as_ref().map(|u| u.next_due());
        let retry = self.retries.next_due();
        [deadline, retry, unused, late, scheduled, undelivered]
            .into_iter()
            .flatten()
            .min()
    }

    /// When it would have been called: that has happened now, or isn't to.
    pub fn take_alarm(&mut self) -> Option<u64> {
        self.alarm.take()
    }

    /// Puts back the messages that have waited long enough to be tried again.
    pub fn retry(&mut self, now: Now) {
        let due = self.retries.take_due(now.unix_ms);
        if !due.is_empty() {
            self.put_in_place(due);
        }
    }

    /// A message that is to wait for as long as it says, with its place; `None`
    /// when it doesn't say.
    pub(super) fn enter_schedule(&mut self, incoming: &Incoming<'_>, now: Now) -> Option<Entry> {
        let headers = Properties::parse(incoming.view().properties).ok()?;
        let delay = delay_of(&headers.headers_table().ok()?)?;
        let mut entry = self.enter(incoming, now);
        entry.deadline = NonZeroU64::new(now.unix_ms.saturating_add(delay));
        Some(entry)
    }

    /// Has a message wait for its time.
    pub(super) fn put_on_schedule(&mut self, entry: Entry) {
        if let Some(schedule) = &mut self.schedule {
            schedule.keep(entry, self.batch);
        }
    }

    /// Lets messages go whose time has come.
    pub fn release_due(&mut self, now: Now) {
        if let Some(schedule) = &mut self.schedule {
            let due = schedule.take_due(now.unix_ms).into_iter();
            self.dying
                .extend(due.map(|entry| (entry, DeathReason::Due)));
        }
    }

    /// Takes away up to `budget` messages whose time is over; whether there may
    /// be more.
    pub fn expire(&mut self, budget: usize, now: Now) -> bool {
        for _ in 0..budget {
            let Some(entry) = self.ready.pop_expired(now) else {
                return false;
            };
            self.bury(entry, DeathReason::Expired);
        }
        true
    }

    /// Notes that the queue is used: declared, got from, left by a consumer.
    pub fn touch(&mut self, now: Now) {
        self.last_use = now.unix_ms;
    }

    /// When the queue goes, if nobody uses it until then.
    fn unused_at(&self) -> Option<u64> {
        let expires = self.settings.expires?;
        (self.consumers.len() == 0).then(|| self.last_use.saturating_add(expires))
    }

    /// Whether the queue is to go because nobody has used it for too long.
    pub fn is_unused(&self, now: Now) -> bool {
        self.unused_at().is_some_and(|at| at <= now.unix_ms)
    }
}
