//! When queues want to be called: the one structure behind everything that
//! happens at a time of its own.
//!
//! A queue stands here at most once, with the first time at which something is
//! to happen in it, however many of its messages wait for something. A message
//! that waits costs nothing here.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::subscriber::Wake;
use crate::base::ids::QueueId;

/// Who is to be called when, by the wall clock: milliseconds since 1970.
///
/// Its lock is a leaf: a queue sets its time while it is locked itself.
#[derive(Debug)]
pub struct Timers<T> {
    due: Mutex<BTreeMap<(u64, QueueId), Weak<T>>>,
    /// Woken when the first time of all has become an earlier one.
    sleeper: Mutex<Option<Arc<dyn Wake>>>,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self {
            due: Mutex::default(),
            sleeper: Mutex::default(),
        }
    }
}

impl<T> Timers<T> {
    /// Names who is woken when something is due earlier than all there was.
    pub fn set_sleeper(&self, sleeper: Arc<dyn Wake>) {
        *self.sleeper.lock() = Some(sleeper);
    }

    /// Has `who` called at `at` instead of at `before`, if it was set.
    pub fn set(&self, id: QueueId, before: Option<u64>, at: u64, who: Weak<T>) {
        let mut due = self.due.lock();
        if let Some(before) = before {
            due.remove(&(before, id));
        }
        due.insert((at, id), who);
        let is_first = due
            .first_key_value()
            .is_some_and(|(key, _)| *key == (at, id));
        drop(due);
        if is_first && let Some(sleeper) = &*self.sleeper.lock() {
            Arc::clone(sleeper).wake();
        }
    }

    /// Has nobody called at `at` for `id` after all.
    pub fn cancel(&self, id: QueueId, at: u64) {
        self.due.lock().remove(&(at, id));
    }

    /// The first time at which somebody is to be called.
    pub fn next(&self) -> Option<u64> {
        self.due.lock().first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes out the first who is to be called by `now`. Those that are gone are
    /// passed over.
    pub fn take_due(&self, now: u64) -> Option<Arc<T>> {
        let mut due = self.due.lock();
        while let Some(first) = due.first_entry() {
            if first.key().0 > now {
                return None;
            }
            if let Some(who) = first.remove().upgrade() {
                return Some(who);
            }
        }
        None
    }

    /// How many times are set.
    pub fn len(&self) -> usize {
        self.due.lock().len()
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.due.lock().is_empty()
    }
}
