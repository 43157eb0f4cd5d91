//! What the consumers of a channel may hold together: a prefetch that is global.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The messages that the consumers of a channel hold, and how many those may be.
#[derive(Debug, Default)]
pub struct Window {
    /// 0 is no limit.
    limit: u16,
    held: u32,
    /// Deliveries that were agreed to and are about to come.
    promised: u32,
    /// Consumers that were passed over since there was no room, next one first.
    passed_over: VecDeque<Arc<str>>,
}

impl Window {
    /// Sets how many messages may be held; 0 is no limit.
    pub fn set_limit(&mut self, limit: u16) {
        self.limit = limit;
    }

    /// Whether there is a limit.
    pub fn is_limited(&self) -> bool {
        self.limit > 0
    }

    /// Counts a delivery, if one is held.
    pub fn add(&mut self, held: bool) {
        self.held += u32::from(held);
    }

    /// Counts a settlement, of what was counted.
    pub fn sub(&mut self, counted: bool) {
        self.held -= u32::from(counted);
    }

    /// Agrees to one delivery to the consumer `tag` at `place`, or has it wait.
    pub fn promise(&mut self, tag: &Arc<str>, place: &Place) -> bool {
        if place.promised.load(Ordering::Relaxed) {
            return true;
        }
        if self.is_open() {
            self.promised += 1;
            place.promised.store(true, Ordering::Relaxed);
            return true;
        }
        if !place.passed_over.swap(true, Ordering::Relaxed) {
            self.passed_over.push_back(Arc::clone(tag));
        }
        false
    }

    /// The delivery that was agreed to has come, or never comes.
    pub fn redeem(&mut self, place: &Place) {
        if place.promised.swap(false, Ordering::Relaxed) {
            self.promised -= 1;
        }
    }

    /// Forgets a consumer.
    pub fn leave(&mut self, tag: &str, place: &Place) {
        self.redeem(place);
        if place.passed_over.load(Ordering::Relaxed) {
            self.passed_over.retain(|waiting| **waiting != *tag);
        }
    }

    /// The next consumer that was passed over, if there is room.
    pub fn next(&mut self) -> Option<Arc<str>> {
        if self.is_open() {
            return self.passed_over.pop_front();
        }
        None
    }

    fn is_open(&self) -> bool {
        self.limit == 0 || self.held + self.promised < u32::from(self.limit)
    }
}

/// How a consumer stands with its channel's window. Written only under the lock
/// that the window is under, but for coming forward again.
#[derive(Debug, Default)]
pub struct Place {
    promised: AtomicBool,
    passed_over: AtomicBool,
}

impl Place {
    /// Whether a delivery was agreed to.
    pub fn is_promised(&self) -> bool {
        self.promised.load(Ordering::Relaxed)
    }

    /// Waits no longer. To be called before its queue is asked to serve it.
    pub fn come_forward(&self) {
        self.passed_over.store(false, Ordering::Relaxed);
    }
}
