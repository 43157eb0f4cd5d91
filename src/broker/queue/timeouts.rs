//! Consumers that keep a message for too long lose it, and their place
//! (`semantics` 9.6).
//!
//! What is held carries the second it was handed out in; nothing is kept in order
//! of that. Only when the first one may be overdue are they all looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::consumers::ConsumerSlot;
use super::core::QueueCore;
use crate::base::clock::Now;
use crate::broker::subscriber::{HeldSlot, Subscriber};

/// The second that follows, since 1970: so that nobody has less time than said.
pub(super) fn next_second(now: Now) -> u32 {
    u32::try_from(now.unix_ms.div_ceil(1000)).unwrap_or(u32::MAX)
}

fn due(since: u32, timeout: u64) -> u64 {
    (u64::from(since) * 1000).saturating_add(timeout)
}

/// When it is worth looking at what consumers hold.
#[derive(Debug, Default)]
pub(super) struct Timeouts {
    /// Nothing is overdue before then, milliseconds since 1970; `None` when
    /// nothing ever will be.
    first: Option<u64>,
}

impl Timeouts {
    /// Notes a message handed out in the second `since`, to be settled within
    /// `timeout` milliseconds.
    pub(super) fn note(&mut self, since: u32, timeout: u64) {
        let at = due(since, timeout);
        if self.first.is_none_or(|first| at < first) {
            self.first = Some(at);
        }
    }

    /// When something may be overdue first.
    pub(super) fn first(&self) -> Option<u64> {
        self.first
    }
}

/// A consumer that is late.
#[derive(Debug)]
pub struct Late {
    /// Which one.
    pub consumer: ConsumerSlot,
    /// Its receiving end.
    pub subscriber: Arc<dyn Subscriber>,
    /// Milliseconds it had.
    pub timeout: u64,
    /// What it has kept for longer.
    pub held: Vec<HeldSlot>,
}

impl QueueCore {
    /// The consumers that are late, with what they should have settled.
    pub fn late(&mut self, now: Now) -> Vec<Late> {
        if self.timeouts.first.is_none_or(|first| first > now.unix_ms) {
            return Vec::new();
        }
        self.timeouts.first = None;
        let mut late: BTreeMap<u32, Late> = BTreeMap::new();
        for (slot, held) in &self.held {
            let Some((named, consumer)) = held
                .consumer
                .and_then(|named| Some((named, self.consumers.get(named)?)))
            else {
                continue;
            };
            let Some(timeout) = consumer.timeout() else {
                continue;
            };
            if due(held.since, timeout) > now.unix_ms {
                self.timeouts.note(held.since, timeout);
                continue;
            }
            let late = late.entry(named.index()).or_insert_with(|| Late {
                consumer: named,
                subscriber: Arc::clone(consumer.subscriber()),
                timeout,
                held: Vec::new(),
            });
            late.held.push(HeldSlot(slot as u32));
        }
        late.into_values().collect()
    }
}
