//! Messages that are written again, so that the segment they are in can go.

use std::ops::Range;

use super::gather::Frames;
use super::index::Index;
use super::reading::Stretch;
use super::records::{self, Entries, Entry, Published};
use crate::base::ids::{Position, QueueId};

/// Octets handed over at a time: what one batch is held up by.
const MOVES_FULL: usize = 256 * 1024;

/// Messages read from a segment, live when they were looked at.
#[derive(Debug)]
pub(super) struct Moves {
    segment: u64,
    octets: Vec<u8>,
    messages: Vec<Moved>,
}

#[derive(Debug)]
struct Moved {
    queue: QueueId,
    position: Position,
    deadline: Option<u64>,
    message: Range<usize>,
    body: Option<Range<usize>>,
}

impl Moves {
    fn add(&mut self, published: &Published<'_>) {
        let mut keep = |octets: &[u8]| {
            let start = self.octets.len();
            self.octets.extend_from_slice(octets);
            start..self.octets.len()
        };
        let message = keep(published.message);
        let body = published.body.map(keep);
        self.messages.push(Moved {
            queue: published.queue,
            position: published.position,
            deadline: published.deadline,
            message,
            body,
        });
    }

    /// Appends those that are live still, as they are now.
    pub(super) fn put(&self, index: &Index, frames: &mut Frames) {
        for moved in &self.messages {
            if !index.contains(moved.queue, moved.position, self.segment) {
                continue;
            }
            let (delivered, attempts) = index.history(moved.queue, moved.position);
            let octets = |range: &Range<usize>| self.octets.get(range.clone()).unwrap_or_default();
            let published = Published {
                queue: moved.queue,
                position: moved.position,
                message: octets(&moved.message),
                body: moved.body.as_ref().map(octets),
                deadline: moved.deadline,
                attempts,
                delivered,
                moved: true,
            };
            frames.end_if_full();
            records::put_publish(&mut frames.octets, &published);
        }
        frames.end();
    }
}

/// A segment on its way to be emptied.
#[derive(Debug)]
pub(super) struct Mover {
    segment: u64,
    stretch: Stretch,
    next: usize,
}

impl Mover {
    /// Begins with what was read of a segment.
    pub(super) fn new(segment: u64, stretch: Stretch) -> Self {
        Self {
            segment,
            stretch,
            next: 0,
        }
    }

    /// Some of the messages that are live, whole frames of them; `None` when
    /// there are no more.
    pub(super) fn next(&mut self, index: &Index) -> Option<Moves> {
        let mut moves = Moves {
            segment: self.segment,
            octets: Vec::new(),
            messages: Vec::new(),
        };
        while moves.octets.len() < MOVES_FULL {
            let Some(frame) = self.stretch.frames.get(self.next) else {
                break;
            };
            self.next += 1;
            for entry in Entries::new(self.stretch.records(frame)) {
                if let Ok(Entry::Publish(published)) = entry
                    && index.contains(published.queue, published.position, self.segment)
                {
                    moves.add(&published);
                }
            }
        }
        (!moves.messages.is_empty()).then_some(moves)
    }
}
