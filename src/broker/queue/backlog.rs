//! The ready messages of a queue, in order of their places.

use std::collections::VecDeque;

use crate::base::ids::Position;
use crate::broker::message::Message;

/// A message in a queue.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place, kept for life.
    pub position: Position,
    /// The message.
    pub message: Message,
    /// Whether it was handed out before.
    pub redelivered: bool,
    /// Whether the store has it.
    pub stored: bool,
}

/// The messages that wait, lowest place first.
#[derive(Debug, Default)]
pub struct Backlog {
    entries: VecDeque<Entry>,
}

impl Backlog {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a message whose place is higher than any given out before.
    pub fn push(&mut self, entry: Entry) {
        self.entries.push_back(entry);
    }

    /// Takes the message with the lowest place.
    pub fn pop(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    /// Puts messages back where they were. Those that were handed out lately
    /// belong near the head, so going from the highest place down makes each
    /// insertion move only what waits before it.
    pub fn put_back(&mut self, mut returned: Vec<Entry>) {
        returned.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.position));
        for entry in returned {
            let at = self
                .entries
                .partition_point(|waiting| waiting.position < entry.position);
            self.entries.insert(at, entry);
        }
    }

    /// Takes everything out, and gives the memory back.
    pub fn take(&mut self) -> VecDeque<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// Gives memory back once a long backlog has gone.
    pub fn shrink(&mut self) {
        if self.entries.is_empty() && self.entries.capacity() > 1024 {
            self.entries = VecDeque::new();
        }
    }
}
