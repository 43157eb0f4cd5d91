//! The messages of a block of positions, as far as one segment has them.

use std::ops::Range;

use super::positions::{BLOCK, Positions};
use crate::base::ids::Position;

/// Stretches are joined when no more than this lies between them.
const GAP_MAX: u64 = 64 * 1024;
/// A stretch that has this much isn't joined with the next.
const EXTENT_FULL: u64 = 256 * 1024;
/// Stretches of a block; those closest to each other are joined if there are more.
const EXTENTS_MAX: usize = 24;

/// The live messages of a block of positions that one segment holds.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) number: u64,
    pub(super) segment: u64,
    pub(super) live: Positions,
    /// What they take.
    pub(super) bytes: u64,
    pub(super) extents: Vec<Extent>,
}

/// A stretch of a segment: whole frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) start: u64,
    pub(super) end: u64,
    /// The highest of the block's positions in it.
    pub(super) last: u16,
}

impl Block {
    pub(super) fn key(&self) -> (u64, u64) {
        (self.number, self.segment)
    }

    /// The position that a place in the block stands for.
    pub(super) fn position(&self, place: u16) -> Position {
        Position(self.number * BLOCK + u64::from(place))
    }

    /// Whether it has the message in that place.
    pub(super) fn holds(&self, position: Position) -> bool {
        position.0 / BLOCK == self.number && self.live.contains((position.0 % BLOCK) as u16)
    }

    /// Adds a message written with a frame.
    pub(super) fn put(&mut self, position: Position, bytes: u64, frame: &Range<u64>) {
        let place = (position.0 % BLOCK) as u16;
        self.live.insert(place);
        self.bytes += bytes;
        match self.extents.last_mut() {
            Some(last) if last.end >= frame.end => last.last = last.last.max(place),
            Some(last)
                if frame.start - last.end <= GAP_MAX && frame.end - last.start <= EXTENT_FULL =>
            {
                last.end = frame.end;
                last.last = last.last.max(place);
            }
            _ => self.add_extent(Extent {
                start: frame.start,
                end: frame.end,
                last: place,
            }),
        }
    }

    fn add_extent(&mut self, extent: Extent) {
        self.extents.push(extent);
        if self.extents.len() <= EXTENTS_MAX {
            return;
        }
        let span = |at: &usize| self.extents[at + 1].end - self.extents[*at].start;
        if let Some(at) = (0..EXTENTS_MAX).min_by_key(span) {
            let joined = self.extents.remove(at + 1);
            self.extents[at].end = joined.end;
            self.extents[at].last = self.extents[at].last.max(joined.last);
        }
    }

    /// Removes positions; returns how many there were and what they took: `bytes`
    /// if that is known, else what is usual here. The last one takes it all.
    pub(super) fn remove(&mut self, from: u16, to: u16, bytes: Option<u64>) -> (u64, u64) {
        let before = self.live.count();
        let gone = self.live.remove(from, to);
        let freed = match bytes {
            _ if gone == before => self.bytes,
            _ if gone == 0 => 0,
            Some(bytes) => bytes.min(self.bytes),
            None => self.bytes * gone / before,
        };
        self.bytes -= freed;
        (gone, freed)
    }
}
