//! Where the stored messages are that are still in their queues.
//!
//! A queue's positions are cut into blocks of [`BLOCK`]. A block has, for one
//! segment, the positions that are live and the stretches of the segment that
//! hold them. A block whose positions are one range, written one after the
//! other, takes about 150 octets: 6 MB for a backlog of 20 million messages.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use hashbrown::{HashMap, HashSet};

use super::block::Block;
use super::notes::Notes;
use super::positions::{BLOCK, Positions};
use super::records::{Entry, Published};
use crate::base::ids::{Position, QueueId};
use crate::broker::attempts::Attempts;
use crate::broker::store::Remainder;
use crate::broker::weight::{Gone, Weight};

/// The live messages of every queue, and what they take in every segment.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) queues: HashMap<QueueId, QueueIndex, ahash::RandomState>,
    /// Segments, oldest first.
    segments: VecDeque<Used>,
    /// What happened since the newest segment was begun.
    pub(super) notes: HashMap<QueueId, Notes, ahash::RandomState>,
}

/// What is live of one segment.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    segment: u64,
    messages: u64,
    bytes: u64,
}

/// What is known of one queue.
#[derive(Debug, Default)]
pub(super) struct QueueIndex {
    /// The highest lane used besides this one, which is number 0.
    last_lane: u8,
    /// By number and segment.
    pub(super) blocks: VecDeque<Block>,
    /// The highest position used.
    pub(super) last: u64,
    /// The positions up to this one were handed out.
    pub(super) delivered: u64,
    /// What its live messages weigh.
    pub(super) weight: Weight,
    /// How many of those are yet to be found while a log is read: they were in
    /// segments that went since they were weighed, and were written again later, or
    /// left.
    unfound: u64,
    /// Its weight is an estimate.
    pub(super) estimated: bool,
    /// How live messages fared that came back.
    pub(super) attempts: BTreeMap<u64, Attempts>,
}

impl Index {
    /// Takes note of a new segment, with a higher number than all before.
    pub(super) fn add_segment(&mut self, segment: u64) {
        self.notes.clear();
        self.segments.push_back(Used {
            segment,
            ..Used::default()
        });
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
        let found = self.segments.binary_search_by_key(&segment, |s| s.segment);
        found.ok().map_or(0, |at| self.segments[at].messages)
    }

    /// Octets of all live messages.
    pub(super) fn live_bytes(&self) -> u64 {
        self.segments.iter().map(|used| used.bytes).sum()
    }

    /// Starts to count messages of `queue`, in all of its lanes.
    pub(super) fn add_queue(&mut self, queue: QueueId) {
        self.queues.entry(queue.queue()).or_default();
    }

    /// Starts to count messages of a lane, if those of its queue are counted.
    /// Lanes are made when they are used: most queues use one of those they may
    /// have.
    fn add_lane(&mut self, lane: QueueId) {
        if lane.lane() > 0
            && !self.queues.contains_key(&lane)
            && let Some(plainest) = self.queues.get_mut(&lane.queue())
        {
            plainest.last_lane = plainest.last_lane.max(lane.lane());
            self.queues.insert(lane, QueueIndex::default());
        }
    }

    /// What is known of a lane of a queue, if that is counted.
    pub(super) fn known(&mut self, lane: QueueId) -> Option<&mut QueueIndex> {
        self.add_lane(lane);
        self.queues.get_mut(&lane)
    }

    /// Takes note of a record of `frame` in `segment`, the newest one. One about
    /// a queue that isn't counted means nothing.
    pub(super) fn enter(&mut self, entry: &Entry<'_>, segment: u64, frame: &Range<u64>) {
        match *entry {
            Entry::Publish(published) => {
                let queue = published.queue;
                self.publish(&published, segment, frame);
                if published.attempts.returns > 0 {
                    self.give_back(queue, published.position.0, published.attempts);
                }
            }
            Entry::Settle {
                queue,
                first,
                last,
                gone,
            } => {
                self.settle(queue, first, last, Some(gone));
                if self.queues.contains_key(&queue) {
                    self.notes.entry(queue).or_default().settled(first, last);
                }
            }
            Entry::Deliver { queue, up_to } => self.deliver(queue, up_to),
            Entry::Return {
                queue,
                position,
                attempts,
            } => self.give_back(queue, position, attempts),
            Entry::Topology(_) => {}
        }
    }

    /// A message was written to `segment`: a new one, or one that was live in
    /// an older segment and is to be found here from now on.
    fn publish(&mut self, published: &Published<'_>, segment: u64, frame: &Range<u64>) {
        self.add_lane(published.queue);
        let Some(known) = self.queues.get_mut(&published.queue) else {
            return;
        };
        let position = published.position;
        let is_new = position.0 > known.last;
        known.last = known.last.max(position.0);
        let former = (!is_new).then(|| known.take_out(position)).flatten();
        match former {
            Some((segment, bytes)) => shrink(&mut self.segments, segment, 1, bytes),
            None if published.moved && known.unfound > 0 => known.unfound -= 1,
            None => known.weight += published.weight(),
        }
        if published.delivered {
            known.delivered = known.delivered.max(position.0);
        }
        let bytes = published.bytes();
        known.block(position, segment).put(position, bytes, frame);
        grow(&mut self.segments, segment, 1, bytes);
    }

    /// The messages from `first` to `last`, both included, left the queue.
    /// Those that aren't there don't matter. What they took is estimated where
    /// `all` isn't known; what they weighed isn't looked at then.
    pub(super) fn settle(&mut self, queue: QueueId, first: u64, last: u64, all: Option<Gone>) {
        self.add_lane(queue);
        let Some(known) = self.queues.get_mut(&queue) else {
            return;
        };
        known.last = known.last.max(last);
        let mut counted = 0;
        // What one of several blocks has of the octets isn't known.
        let number = first / BLOCK;
        let is_one = number == last / BLOCK && known.of_number(number).len() == 1;
        let mut at = known
            .blocks
            .partition_point(|block| block.number < first / BLOCK);
        while let Some(block) = known.blocks.get_mut(at) {
            if block.number > last / BLOCK {
                break;
            }
            let start = block.number * BLOCK;
            let from = first.saturating_sub(start) as u16;
            let to = (last - start).min(BLOCK - 1) as u16;
            let bytes = all.filter(|_| is_one).map(|all| all.octets);
            let (gone, freed) = block.remove(from, to, bytes);
            counted += gone;
            shrink(&mut self.segments, block.segment, gone, freed);
            if block.live.is_empty() {
                known.blocks.remove(at);
            } else {
                at += 1;
            }
        }
        if let Some(all) = all {
            known.lighten(all, counted);
        }
        while let Some((&position, _)) = known.attempts.range(first..=last).next() {
            known.attempts.remove(&position);
        }
    }

    fn deliver(&mut self, queue: QueueId, up_to: u64) {
        if let Some(known) = self.known(queue) {
            known.delivered = known.delivered.max(up_to);
            self.notes.entry(queue).or_default();
        }
    }

    /// A message came back to its queue.
    pub(super) fn give_back(&mut self, queue: QueueId, position: u64, attempts: Attempts) {
        if let Some(known) = self.queues.get_mut(&queue)
            && known.holds(position)
        {
            known.attempts.insert(position, attempts);
            self.notes
                .entry(queue)
                .or_default()
                .returned
                .insert(position, attempts);
        }
    }

    /// The queue went, with all its messages.
    pub(super) fn drop_queue(&mut self, queue: QueueId) {
        let last_lane = self.queues.get(&queue).map_or(0, |known| known.last_lane);
        for lane in 0..=last_lane {
            self.drop_lane(queue.with_lane(lane));
        }
    }

    fn drop_lane(&mut self, queue: QueueId) {
        self.notes.remove(&queue);
        for block in self.queues.remove(&queue).unwrap_or_default().blocks {
            shrink(
                &mut self.segments,
                block.segment,
                block.live.count(),
                block.bytes,
            );
        }
    }

    /// Drops every queue but `known`, and counts those from now on.
    pub(super) fn retain_queues(&mut self, known: &HashSet<QueueId>) {
        let gone = |lane: &&QueueId| !known.contains(&lane.queue());
        let gone: Vec<_> = self.queues.keys().filter(gone).copied().collect();
        for lane in gone {
            self.drop_lane(lane);
        }
        for queue in known {
            self.add_queue(*queue);
        }
        for lane in self.queues.values_mut() {
            lane.give_up_unfound();
        }
    }

    /// The blocks of the queues whose weight is an estimate.
    pub(super) fn estimated(&self) -> Vec<(QueueId, Block)> {
        let queues = self.queues.iter().filter(|(_, known)| known.estimated);
        let blocks = queues.flat_map(|(queue, known)| known.blocks.iter().map(|b| (*queue, b)));
        blocks
            .map(|(queue, block)| (queue, block.clone()))
            .collect()
    }

    /// Has the queues weigh what they were found to whose weight is an estimate.
    pub(super) fn weigh(&mut self, found: &HashMap<QueueId, Weight>) {
        for (queue, known) in &mut self.queues {
            if std::mem::take(&mut known.estimated) {
                known.weight = found.get(queue).copied().unwrap_or_default();
            }
        }
    }

    /// Whether the message as written to `segment` is live.
    pub(super) fn contains(&self, queue: QueueId, position: Position, segment: u64) -> bool {
        let key = (position.0 / BLOCK, segment);
        self.queues.get(&queue).is_some_and(|known| {
            let found = known.blocks.binary_search_by_key(&key, Block::key);
            found.is_ok_and(|at| known.blocks[at].live.contains((position.0 % BLOCK) as u16))
        })
    }

    /// Whether the message is live, wherever it is.
    pub(super) fn is_live(&self, queue: QueueId, position: Position) -> bool {
        self.queues
            .get(&queue)
            .is_some_and(|known| known.holds(position.0))
    }

    /// Whether the message was handed out, and how it fared.
    pub(super) fn history(&self, queue: QueueId, position: Position) -> (bool, Attempts) {
        self.queues
            .get(&queue)
            .map_or((false, Attempts::default()), |known| {
                let attempts = known.attempts.get(&position.0).copied();
                (position.0 <= known.delivered, attempts.unwrap_or_default())
            })
    }

    /// The blocks with the live messages between two places: as many as it
    /// takes to have `bytes`, but never only a part of the segments of one.
    pub(super) fn blocks(&self, queue: QueueId, from: u64, to: u64, bytes: u64) -> Vec<Block> {
        let mut found: Vec<Block> = Vec::new();
        let Some(known) = self.queues.get(&queue) else {
            return found;
        };
        let start = known
            .blocks
            .partition_point(|block| block.number < from / BLOCK);
        let mut gathered = 0;
        for block in known.blocks.range(start..) {
            let is_next = found.last().is_none_or(|last| last.number != block.number);
            if block.number > to / BLOCK || (is_next && gathered >= bytes) {
                break;
            }
            let mut wanted = block.clone();
            let first = wanted.number * BLOCK;
            if from > first {
                wanted.live.remove(0, (from - first - 1) as u16);
            }
            if to - first < BLOCK - 1 {
                wanted
                    .live
                    .remove((to - first + 1) as u16, BLOCK as u16 - 1);
            }
            if !wanted.live.is_empty() {
                gathered += block.bytes * wanted.live.count() / block.live.count();
                found.push(wanted);
            }
        }
        found
    }

    /// The blocks of a segment that have live messages.
    pub(super) fn blocks_in(&self, segment: u64) -> Vec<(QueueId, Block)> {
        let of_queue = |(id, known): (&QueueId, &QueueIndex)| {
            let inside = known.blocks.iter().filter(|block| block.segment == segment);
            inside.map(|block| (*id, block.clone())).collect::<Vec<_>>()
        };
        self.queues.iter().flat_map(of_queue).collect()
    }

    /// What is left of every queue.
    pub(super) fn remainders(&self) -> Vec<(QueueId, Remainder)> {
        let used = self.queues.iter().filter(|(_, known)| known.last > 0);
        let mut all: Vec<_> = used.map(|(id, known)| (*id, known.remainder())).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// Puts back a block as a summary has it.
    pub(super) fn restore(&mut self, queue: QueueId, block: Block) {
        self.add_queue(queue);
        self.add_lane(queue);
        let Some(known) = self.queues.get_mut(&queue) else {
            return;
        };
        let last = known.last;
        let moved = block.live.iter().map(|place| block.position(place));
        for position in moved.take_while(|position| position.0 <= last) {
            if let Some(former) = known.take_out(position) {
                shrink(&mut self.segments, former.0, 1, former.1);
            }
        }
        grow(
            &mut self.segments,
            block.segment,
            block.live.count(),
            block.bytes,
        );
        let at = known
            .blocks
            .partition_point(|other| other.key() < block.key());
        known.blocks.insert(at, block);
    }
}

impl QueueIndex {
    fn remainder(&self) -> Remainder {
        let sum = |of: fn(&Block) -> u64| self.blocks.iter().map(of).sum();
        let number = self.blocks.front().map(|block| block.number);
        let lowest = self
            .blocks
            .iter()
            .take_while(|block| Some(block.number) == number);
        let first = lowest.filter_map(|block| block.live.first().map(|p| block.position(p)));
        Remainder {
            messages: sum(|block| block.live.count()),
            bytes: sum(|block| block.bytes),
            weight: self.weight,
            first: first.min().unwrap_or_default(),
            last: Position(self.last),
            delivered: Position(self.delivered),
        }
    }

    /// How many messages its weight is that of.
    pub(super) fn counted(&self) -> u64 {
        let live = self.blocks.iter().map(|block| block.live.count());
        live.sum::<u64>() + self.unfound
    }

    /// Takes note of what so many messages weighed when a segment was full. Those of
    /// older segments that aren't there have been written again since, or left.
    pub(super) fn weigh(&mut self, weight: Weight, messages: u64) {
        self.unfound = 0;
        self.unfound = messages.saturating_sub(self.counted());
        self.weight = weight;
        self.estimated = false;
    }

    /// Takes off what left; `found` is how many of it were still there.
    fn lighten(&mut self, gone: Gone, found: u64) {
        let unfound = gone.messages.saturating_sub(found).min(self.unfound);
        self.unfound -= unfound;
        let weight = match found + unfound {
            // A message takes some: what these did isn't known.
            some if gone.messages > 0 && gone.octets == 0 => {
                self.weight.share(some, self.counted() + some)
            }
            all if gone.messages == 0 || gone.messages == all => gone.weight,
            // The others went with segments before those there are, and no summary
            // knows of them.
            some => {
                self.estimated = true;
                gone.weight.share(some, gone.messages)
            }
        };
        self.weight = match self.blocks.is_empty() && self.unfound == 0 {
            true => Weight::default(),
            false => self.weight.without(weight),
        };
    }

    /// Weighs no more what wasn't found in the whole log: it is lost.
    fn give_up_unfound(&mut self) {
        let lost = self.weight.share(self.unfound, self.counted());
        self.weight = self.weight.without(lost);
        self.unfound = 0;
    }

    fn holds(&self, position: u64) -> bool {
        let mut of_number = self.of_number(position / BLOCK);
        of_number.any(|at| self.blocks[at].live.contains((position % BLOCK) as u16))
    }

    fn of_number(&self, number: u64) -> Range<usize> {
        let start = self.blocks.partition_point(|block| block.number < number);
        let rest = self.blocks.range(start..);
        start..start + rest.take_while(|block| block.number == number).count()
    }

    /// Removes a position from wherever it is: the segment, and its octets.
    fn take_out(&mut self, position: Position) -> Option<(u64, u64)> {
        let place = (position.0 % BLOCK) as u16;
        let mut of_number = self.of_number(position.0 / BLOCK);
        let at = of_number.find(|at| self.blocks[*at].live.contains(place))?;
        let block = &mut self.blocks[at];
        let (_, freed) = block.remove(place, place, None);
        let segment = block.segment;
        if block.live.is_empty() {
            self.blocks.remove(at);
        }
        Some((segment, freed))
    }

    /// The block for a position in a segment, made if there is none.
    fn block(&mut self, position: Position, segment: u64) -> &mut Block {
        let key = (position.0 / BLOCK, segment);
        let at = match self.blocks.back() {
            // New messages by far the most often belong to the last.
            Some(last) if last.key() == key => Ok(self.blocks.len() - 1),
            Some(last) if last.key() > key => self.blocks.binary_search_by_key(&key, Block::key),
            _ => Err(self.blocks.len()),
        };
        let at = at.unwrap_or_else(|at| {
            self.blocks.insert(
                at,
                Block {
                    number: key.0,
                    segment,
                    live: Positions::Nothing,
                    bytes: 0,
                    extents: Vec::new(),
                },
            );
            at
        });
        &mut self.blocks[at]
    }
}

fn grow(segments: &mut VecDeque<Used>, segment: u64, messages: u64, bytes: u64) {
    change(segments, segment, |used| {
        used.messages += messages;
        used.bytes += bytes;
    });
}

fn shrink(segments: &mut VecDeque<Used>, segment: u64, messages: u64, bytes: u64) {
    change(segments, segment, |used| {
        used.messages = used.messages.saturating_sub(messages);
        used.bytes = used.bytes.saturating_sub(bytes);
    });
}

fn change(segments: &mut VecDeque<Used>, segment: u64, to: impl FnOnce(&mut Used)) {
    // The newest segment is by far the likeliest.
    let at = match segments.back() {
        Some(newest) if newest.segment == segment => segments.len() - 1,
        _ => match segments.binary_search_by_key(&segment, |used| used.segment) {
            Ok(at) => at,
            Err(_) => return,
        },
    };
    to(&mut segments[at]);
}
