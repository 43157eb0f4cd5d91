//! The latest events, as many as there is room for.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Event, Happening, TraceId};

/// The latest events: the oldest go when there are too many, or they take too
/// much memory.
#[derive(Debug)]
pub struct Ring {
    events: VecDeque<Arc<Event>>,
    octets: usize,
    events_max: usize,
    octets_max: usize,
    /// The number of the last event.
    last: u64,
}

/// How full a ring is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RingStatus {
    /// Events in it.
    pub events: usize,
    /// Octets they take, about.
    pub octets: usize,
    /// Events that had to go for others since the broker was started.
    pub gone: u64,
}

impl Ring {
    /// An empty ring for so many events of so many octets together.
    pub fn new(events_max: usize, octets_max: usize) -> Self {
        Self {
            events: VecDeque::new(),
            octets: 0,
            events_max,
            octets_max,
            last: 0,
        }
    }

    /// Adds an event.
    pub fn push(&mut self, trace: TraceId, at: u64, vhost: &Arc<str>, what: Happening) {
        self.last += 1;
        self.octets += what.weight();
        self.events.push_back(Arc::new(Event {
            number: self.last,
            trace,
            at,
            vhost: Arc::clone(vhost),
            what,
        }));
        while self.events.len() > self.events_max || self.octets > self.octets_max {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.octets -= oldest.what.weight();
        }
    }

    /// The events after the one of that number, oldest first, at most `count`.
    pub fn after(&self, number: u64, count: usize) -> Vec<Arc<Event>> {
        let first = self.events.front().map_or(0, |event| event.number);
        // They are numbered without gaps.
        let skipped = number.saturating_add(1).saturating_sub(first);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let rest = self.events.range(skipped.min(self.events.len())..);
        rest.take(count).cloned().collect()
    }

    /// The number of the last event there ever was.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Forgets all events; their numbers aren't given again.
    pub fn clear(&mut self) {
        self.events = VecDeque::new();
        self.octets = 0;
    }

    /// How full it is.
    pub fn status(&self) -> RingStatus {
        let first = self.events.front().map_or(self.last, |e| e.number - 1);
        RingStatus {
            events: self.events.len(),
            octets: self.octets,
            gone: first,
        }
    }
}
