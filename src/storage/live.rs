//! Which stored messages are still in their queues, and in which segment.
//!
//! A queue's positions are cut into blocks of [`BLOCK`]. A block whose live
//! positions are one range, as first-in-first-out makes them, costs 32 octets;
//! one with holes costs a bit for each position besides. So the index of a
//! backlog of 100 million messages takes about a megabyte, and never more than
//! a bit for each position.

use std::collections::VecDeque;

use hashbrown::{HashMap, HashSet};

use crate::base::ids::{Position, QueueId};

/// Positions in a block.
const BLOCK: u64 = 4096;
const WORDS: usize = (BLOCK / 64) as usize;

/// The live messages of every queue and their number in every segment.
#[derive(Debug, Default)]
pub(super) struct LiveIndex {
    queues: HashMap<QueueId, VecDeque<Block>, ahash::RandomState>,
    /// Segments, oldest first, with the number of live messages in each.
    segments: VecDeque<(u64, u64)>,
}

impl LiveIndex {
    /// Takes note of a new segment, with a higher number than all before.
    pub(super) fn add_segment(&mut self, segment: u64) {
        self.segments.push_back((segment, 0));
    }

    /// Forgets the oldest segment.
    pub(super) fn drop_oldest_segment(&mut self) {
        self.segments.pop_front();
    }

    /// Forgets the newest segment, which has nothing in it.
    pub(super) fn drop_newest_segment(&mut self) {
        self.segments.pop_back();
    }

    /// Live messages in `segment`.
    pub(super) fn live_in(&self, segment: u64) -> u64 {
        let found = self.segments.binary_search_by_key(&segment, |s| s.0);
        found.ok().map_or(0, |at| self.segments[at].1)
    }

    /// Starts to count messages of `queue`.
    pub(super) fn add_queue(&mut self, queue: QueueId) {
        self.queues.entry(queue).or_default();
    }

    /// A message was written to `segment`. One of a queue that isn't counted
    /// is dead from the start.
    pub(super) fn publish(&mut self, queue: QueueId, position: Position, segment: u64) {
        let Some(blocks) = self.queues.get_mut(&queue) else {
            return;
        };
        if put(blocks, position.0, segment) {
            change(&mut self.segments, segment, |live| live + 1);
        }
    }

    /// The messages from `first` to `last`, both included, left the queue.
    /// Those that aren't there don't matter.
    pub(super) fn settle(&mut self, queue: QueueId, first: u64, last: u64) {
        let Some(blocks) = self.queues.get_mut(&queue) else {
            return;
        };
        let mut at = blocks.partition_point(|block| block.number < first / BLOCK);
        while let Some(block) = blocks.get_mut(at) {
            if block.number > last / BLOCK {
                break;
            }
            let start = block.number * BLOCK;
            let from = first.saturating_sub(start) as u16;
            let to = (last - start).min(BLOCK - 1) as u16;
            let gone = block.live.remove(from, to);
            if gone > 0 {
                change(&mut self.segments, block.segment, |live| live - gone);
            }
            if block.live.count() == 0 {
                blocks.remove(at);
            } else {
                at += 1;
            }
        }
    }

    /// The queue went, with all its messages.
    pub(super) fn drop_queue(&mut self, queue: QueueId) {
        for block in self.queues.remove(&queue).unwrap_or_default() {
            let gone = block.live.count();
            change(&mut self.segments, block.segment, |live| live - gone);
        }
    }

    /// Drops every queue but `known`.
    pub(super) fn retain_queues(&mut self, known: &HashSet<QueueId>) {
        let gone = self.queues.keys().filter(|queue| !known.contains(*queue));
        let gone: Vec<_> = gone.copied().collect();
        for queue in gone {
            self.drop_queue(queue);
        }
    }

    /// Whether the message as written to `segment` is live.
    pub(super) fn contains(&self, queue: QueueId, position: Position, segment: u64) -> bool {
        let Some(blocks) = self.queues.get(&queue) else {
            return false;
        };
        let key = (position.0 / BLOCK, segment);
        let found = blocks.binary_search_by_key(&key, Block::key);
        found.is_ok_and(|at| blocks[at].live.contains((position.0 % BLOCK) as u16))
    }
}

fn change(segments: &mut VecDeque<(u64, u64)>, segment: u64, to: impl FnOnce(u64) -> u64) {
    // The newest segment is by far the likeliest.
    let at = match segments.back() {
        Some(&(newest, _)) if newest == segment => segments.len() - 1,
        _ => match segments.binary_search_by_key(&segment, |s| s.0) {
            Ok(at) => at,
            Err(_) => return,
        },
    };
    segments[at].1 = to(segments[at].1);
}

/// Marks a position as live; whether it wasn't.
fn put(blocks: &mut VecDeque<Block>, position: u64, segment: u64) -> bool {
    let key = (position / BLOCK, segment);
    let place = (position % BLOCK) as u16;
    let at = match blocks.back() {
        Some(last) if last.key() == key => Ok(blocks.len() - 1),
        Some(last) if last.key() > key => blocks.binary_search_by_key(&key, Block::key),
        _ => Err(blocks.len()),
    };
    match at {
        Ok(at) => blocks[at].live.insert(place),
        Err(at) => {
            let live = Live::Range(place, place);
            let (number, segment) = key;
            blocks.insert(
                at,
                Block {
                    number,
                    segment,
                    live,
                },
            );
            true
        }
    }
}

/// The live positions of one block that were written to one segment.
#[derive(Debug)]
struct Block {
    number: u64,
    segment: u64,
    live: Live,
}

impl Block {
    fn key(&self) -> (u64, u64) {
        (self.number, self.segment)
    }
}

#[derive(Debug)]
enum Live {
    /// From the first to the last, both included; never empty between calls.
    Range(u16, u16),
    /// Nothing is left.
    Nothing,
    /// One bit for each position, and how many are set.
    Bits(Box<[u64; WORDS]>, u16),
}

impl Live {
    fn count(&self) -> u64 {
        match *self {
            Self::Nothing => 0,
            Self::Range(first, last) => u64::from(last - first) + 1,
            Self::Bits(_, count) => count.into(),
        }
    }

    fn contains(&self, place: u16) -> bool {
        match self {
            Self::Nothing => false,
            Self::Range(first, last) => (*first..=*last).contains(&place),
            Self::Bits(words, _) => words[usize::from(place / 64)] & (1 << (place % 64)) != 0,
        }
    }

    fn insert(&mut self, place: u16) -> bool {
        if self.contains(place) {
            return false;
        }
        match self {
            Self::Nothing => *self = Self::Range(place, place),
            Self::Range(_, last) if place == *last + 1 => *last = place,
            Self::Range(first, _) if place + 1 == *first => *first = place,
            _ => {
                let (words, count) = self.bits();
                words[usize::from(place / 64)] |= 1 << (place % 64);
                *count += 1;
            }
        }
        true
    }

    /// Removes from `from` to `to`, both included; returns how many were there.
    fn remove(&mut self, from: u16, to: u16) -> u64 {
        let before = self.count();
        match self {
            Self::Nothing => {}
            Self::Range(first, last) if to < *first || from > *last => {}
            Self::Range(first, last) => match (from <= *first, to >= *last) {
                (true, true) => *self = Self::Nothing,
                (true, false) => *first = to + 1,
                (false, true) => *last = from - 1,
                (false, false) => self.clear(from, to),
            },
            Self::Bits(..) => self.clear(from, to),
        }
        before - self.count()
    }

    fn clear(&mut self, from: u16, to: u16) {
        let (words, count) = self.bits();
        for place in from..=to {
            let word = &mut words[usize::from(place / 64)];
            *count -= (*word >> (place % 64) & 1) as u16;
            *word &= !(1 << (place % 64));
        }
    }

    /// The same positions as bits.
    fn bits(&mut self) -> (&mut [u64; WORDS], &mut u16) {
        if !matches!(self, Self::Bits(..)) {
            let mut words = Box::new([0; WORDS]);
            let count = self.count() as u16;
            if let Self::Range(first, last) = *self {
                for place in first..=last {
                    words[usize::from(place / 64)] |= 1 << (place % 64);
                }
            }
            *self = Self::Bits(words, count);
        }
        match self {
            Self::Bits(words, count) => (words, count),
            _ => unreachable!("made bits above"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const Q: QueueId = QueueId(1);

    #[derive(Debug, Clone)]
    enum Step {
        Publish(u64),
        Settle(u64, u64),
        Rotate,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let place = 4000..4200_u64;
        let step = prop_oneof![
            8 => place.clone().prop_map(Step::Publish),
            6 => (place, 0..3_u64).prop_map(|(first, more)| Step::Settle(first, first + more)),
            1 => Just(Step::Rotate),
        ];
        proptest::collection::vec(step, 0..300)
    }

    proptest! {
        #[test]
        fn counts_as_a_plain_map_does(steps in steps()) {
            let mut index = LiveIndex::default();
            let mut model = BTreeMap::new();
            let mut segment = 1;
            index.add_segment(segment);
            index.add_queue(Q);
            for step in steps {
                match step {
                    Step::Publish(p) if model.contains_key(&p) => {}
                    Step::Publish(p) => {
                        index.publish(Q, Position(p), segment);
                        model.insert(p, segment);
                    }
                    Step::Settle(first, last) => {
                        index.settle(Q, first, last);
                        model.retain(|p, _| !(first..=last).contains(p));
                    }
                    Step::Rotate => {
                        segment += 1;
                        index.add_segment(segment);
                    }
                }
            }
            for s in 1..=segment {
                let live = model.values().filter(|&&in_segment| in_segment == s).count();
                prop_assert_eq!(index.live_in(s), live as u64);
            }
            for p in 4000..4210 {
                let live = model.get(&p).copied();
                prop_assert_eq!((1..=segment).find(|&s| index.contains(Q, Position(p), s)), live);
            }
            index.drop_queue(Q);
            prop_assert!((1..=segment).all(|s| index.live_in(s) == 0));
        }
    }

    #[test]
    fn a_long_backlog_costs_little() {
        let mut index = LiveIndex::default();
        index.add_segment(1);
        index.add_queue(Q);
        for p in 1..=1_000_000 {
            index.publish(Q, Position(p), 1);
        }
        assert_eq!(index.queues[&Q].len(), 245);
        assert!(size_of::<Block>() <= 32);
        index.settle(Q, 1, u64::MAX);
        assert_eq!((index.live_in(1), index.queues[&Q].len()), (0, 0));
    }

    #[test]
    fn a_queue_that_is_not_known_is_not_counted() {
        let mut index = LiveIndex::default();
        index.add_segment(1);
        index.publish(Q, Position(1), 1);
        index.settle(Q, 1, 1);
        assert_eq!(index.live_in(1), 0);
    }
}
