//! What a segment holds and did, in short: so that a restart needn't read it.
//!
//! Made when the segment is full, kept in the database. One that is missing
//! costs nothing but the reading of the segment.

use super::block::{Block, Extent};
use super::codec::{CodecError, Reader, put_number};
use super::index::{Index, QueueIndex};
use super::notes::Notes;
use super::positions::{BLOCK, Positions};
use super::records;
use crate::base::ids::QueueId;
use crate::broker::weight::Weight;

/// What stands at the start of a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct About {
    /// Where the last frame ends.
    pub(super) end: u64,
    /// Where the last frame with changes of topology starts.
    pub(super) topology: Option<u64>,
}

/// The summary of `segment`, the newest that `index` knows; `None` when it would
/// be too long to be one, or some of it is an estimate.
pub(super) fn encode(index: &Index, segment: u64, about: About) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    put_number(&mut out, about.end);
    put_number(&mut out, about.topology.unwrap_or_default());
    let none = Notes::default();
    for (queue, known) in &index.queues {
        let notes = index.notes.get(queue);
        let blocks: Vec<_> = known
            .blocks
            .iter()
            .filter(|b| b.segment == segment)
            .collect();
        if notes.is_some() || !blocks.is_empty() {
            put_number(&mut out, queue.0);
            put_queue(&mut out, known, notes.unwrap_or(&none), &blocks)?;
        }
    }
    Some(out)
}

fn put_queue(
    out: &mut Vec<u8>,
    known: &QueueIndex,
    notes: &Notes,
    blocks: &[&Block],
) -> Option<()> {
    if known.estimated {
        // Read again, it counts.
        return None;
    }
    let settled = notes.ranges()?;
    let mut put = |number| put_number(out, number);
    put(known.last);
    put(known.delivered);
    put(known.weight.bodies);
    put(known.weight.properties);
    put(known.counted());
    put(settled.len() as u64);
    for (first, last) in settled {
        put(first);
        put(last - first);
    }
    put(blocks.len() as u64);
    for block in blocks {
        put(block.number);
        put(block.bytes);
        let ranges = block.live.ranges();
        put(ranges.len() as u64);
        for (first, last) in ranges {
            put(first.into());
            put((last - first).into());
        }
        put(block.extents.len() as u64);
        for extent in &block.extents {
            put(extent.start);
            put(extent.end - extent.start);
            put(extent.last.into());
        }
    }
    put(notes.returned.len() as u64);
    for (position, attempts) in &notes.returned {
        put(*position);
        records::numbers_of(*attempts)
            .into_iter()
            .for_each(&mut put);
    }
    Some(())
}

/// What stands at the start of a summary.
///
/// # Errors
/// [`CodecError`] when it can't be read.
pub(super) fn about(octets: &[u8]) -> Result<About, CodecError> {
    let mut input = Reader(octets);
    read_about(&mut input)
}

fn read_about(input: &mut Reader<'_>) -> Result<About, CodecError> {
    Ok(About {
        end: input.number()?,
        topology: Some(input.number()?).filter(|at| *at > 0),
    })
}

/// Enters what a summary of `segment`, the newest one, says into `index`.
///
/// # Errors
/// [`CodecError`] when it can't be read. Some of it may be entered then.
pub(super) fn restore(octets: &[u8], segment: u64, index: &mut Index) -> Result<(), CodecError> {
    let mut input = Reader(octets);
    read_about(&mut input)?;
    while !input.is_empty() {
        let queue = QueueId(input.number()?);
        restore_queue(&mut input, queue, segment, index)?;
    }
    Ok(())
}

fn restore_queue(
    input: &mut Reader<'_>,
    queue: QueueId,
    segment: u64,
    index: &mut Index,
) -> Result<(), CodecError> {
    index.add_queue(queue);
    let (last, delivered) = (input.number()?, input.number()?);
    let weight = Weight {
        bodies: input.number()?,
        properties: input.number()?,
    };
    let counted = input.number()?;
    for _ in 0..input.number()? {
        let first = input.number()?;
        let last = first.checked_add(input.number()?).ok_or(CodecError)?;
        // What of it the segment itself had is gone already.
        index.settle(queue, first, last, None);
    }
    for _ in 0..input.number()? {
        let block = read_block(input, segment)?;
        index.restore(queue, block);
    }
    for _ in 0..input.number()? {
        let position = input.number()?;
        let attempts = records::read_attempts(&mut *input)?;
        index.give_back(queue, position, attempts);
    }
    if let Some(known) = index.known(queue) {
        known.last = known.last.max(last);
        known.delivered = known.delivered.max(delivered);
        known.weigh(weight, counted);
    }
    Ok(())
}

fn read_block(input: &mut Reader<'_>, segment: u64) -> Result<Block, CodecError> {
    let (number, bytes) = (input.number()?, input.number()?);
    let mut live = Positions::Nothing;
    for _ in 0..input.number()? {
        let first = input.number()?;
        let last = first.checked_add(input.number()?).ok_or(CodecError)?;
        if last >= BLOCK {
            return Err(CodecError);
        }
        for place in first..=last {
            live.insert(place as u16);
        }
    }
    let mut extents = Vec::new();
    for _ in 0..input.number()? {
        let start = input.number()?;
        let end = start.checked_add(input.number()?).ok_or(CodecError)?;
        let last = u16::try_from(input.number()?).map_err(|_| CodecError)?;
        extents.push(Extent { start, end, last });
    }
    if live.is_empty() || number.checked_mul(BLOCK).is_none() {
        return Err(CodecError);
    }
    Ok(Block {
        number,
        segment,
        live,
        bytes,
        extents,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::base::ids::Position;
    use crate::broker::attempts::{Attempts, ReturnCause};
    use crate::broker::weight::Gone;
    use crate::storage::records::{Entry, Published};

    const QUEUE: QueueId = QueueId(1);
    /// Octets of a message.
    const SIZE: u64 = 20;

    /// A message: all are as long, but have more or less of a body.
    fn message(position: u64) -> [u8; SIZE as usize] {
        let mut record = [0; SIZE as usize];
        record[7] = (position % 7) as u8;
        record
    }

    #[derive(Debug, Clone)]
    enum Step {
        Publish,
        PublishLate,
        Move(u64),
        Settle(u64, u64),
        Deliver(u64),
        Return(u64),
        Rotate,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let place = 500..700_u64;
        let step = prop_oneof![
            8 => Just(Step::Publish),
            2 => Just(Step::PublishLate),
            2 => place.clone().prop_map(Step::Move),
            6 => (place.clone(), 0..4_u64).prop_map(|(first, more)| Step::Settle(first, first + more)),
            1 => place.clone().prop_map(Step::Deliver),
            1 => place.prop_map(Step::Return),
            1 => Just(Step::Rotate),
        ];
        proptest::collection::vec(step, 0..300)
    }

    /// An index, what it should say, and the summaries made so far.
    struct Life {
        index: Index,
        /// The segment of each live message, and how it fared.
        model: BTreeMap<u64, (u64, Attempts)>,
        last: u64,
        skipped: Option<u64>,
        delivered: u64,
        segment: u64,
        offset: u64,
        summaries: Vec<Vec<u8>>,
    }

    impl Life {
        fn new() -> Self {
            let mut index = Index::default();
            index.add_segment(1);
            index.add_queue(QUEUE);
            Self {
                index,
                model: BTreeMap::new(),
                last: 499,
                skipped: None,
                delivered: 0,
                segment: 1,
                offset: 32,
                summaries: Vec::new(),
            }
        }

        fn publish(&mut self, position: u64) {
            let moved = self.model.contains_key(&position);
            let (delivered, attempts) = self.index.history(QUEUE, Position(position));
            self.enter(&Entry::Publish(Published {
                queue: QUEUE,
                position: Position(position),
                message: &message(position),
                body: None,
                deadline: None,
                attempts,
                delivered,
                moved,
            }));
            self.model.insert(position, (self.segment, attempts));
        }

        fn enter(&mut self, entry: &Entry<'_>) {
            let frame = self.offset..self.offset + 40;
            self.index.enter(entry, self.segment, &frame);
            self.offset = frame.end + 30_000;
        }

        fn step(&mut self, step: &Step) {
            match *step {
                Step::Publish => {
                    // The next but one comes first now and then.
                    self.last += 1;
                    if self.skipped.is_none() && self.last.is_multiple_of(5) {
                        self.skipped = Some(self.last);
                        self.last += 1;
                    }
                    self.publish(self.last);
                }
                Step::PublishLate => {
                    if let Some(position) = self.skipped.take() {
                        self.publish(position);
                    }
                }
                Step::Move(position) => {
                    let place = self.model.get(&position);
                    if place.is_some_and(|(segment, _)| *segment < self.segment) {
                        self.publish(position);
                    }
                }
                Step::Settle(first, last) => self.settle(first, last),
                Step::Deliver(up_to) => {
                    let up_to = up_to.min(self.last);
                    self.delivered = self.delivered.max(up_to);
                    self.enter(&Entry::Deliver {
                        queue: QUEUE,
                        up_to,
                    });
                }
                Step::Return(position) => self.give_back(position),
                Step::Rotate => self.rotate(),
            }
        }

        fn settle(&mut self, first: u64, last: u64) {
            if last > self.last || self.skipped.is_some_and(|p| (first..=last).contains(&p)) {
                return;
            }
            let all = first..=last;
            let gone = self
                .model
                .extract_if(all, |_, _| true)
                .map(|(place, _)| place);
            let mut those = Gone::default();
            for position in gone {
                those += Gone {
                    messages: 1,
                    octets: message(position).len() as u64,
                    weight: Weight::of_record(&message(position), None),
                };
            }
            self.enter(&Entry::Settle {
                queue: QUEUE,
                first,
                last,
                gone: those,
            });
        }

        fn give_back(&mut self, position: u64) {
            if let Some((_, attempts)) = self.model.get_mut(&position) {
                attempts.count(ReturnCause::Rejected);
                let attempts = *attempts;
                self.enter(&Entry::Return {
                    queue: QUEUE,
                    position,
                    attempts,
                });
            }
        }

        fn rotate(&mut self) {
            let about = About {
                end: self.offset,
                topology: None,
            };
            let summary = encode(&self.index, self.segment, about);
            self.summaries.extend(summary);
            self.segment += 1;
            self.offset = 32;
            self.index.add_segment(self.segment);
        }

        fn check(&self, index: &Index) -> Result<(), TestCaseError> {
            for segment in 1..=self.segment {
                let live = self.model.values().filter(|(of, _)| *of == segment);
                prop_assert_eq!(index.live_in(segment), live.count() as u64);
            }
            for position in 490..720 {
                let expected = self.model.get(&position);
                let place = Position(position);
                let found = (1..=self.segment).find(|s| index.contains(QUEUE, place, *s));
                prop_assert_eq!(found, expected.map(|(segment, _)| *segment));
                let (delivered, attempts) = index.history(QUEUE, place);
                prop_assert_eq!(delivered, position <= self.delivered);
                let expected = expected.map(|(_, attempts)| *attempts);
                prop_assert_eq!(attempts, expected.unwrap_or_default());
            }
            let found = index.remainders();
            let (_, remainder) = found.first().copied().unwrap_or_default();
            prop_assert_eq!(remainder.messages, self.model.len() as u64);
            prop_assert_eq!(remainder.bytes, self.model.len() as u64 * SIZE);
            prop_assert_eq!(index.live_bytes(), remainder.bytes);
            let mut weight = Weight::default();
            for position in self.model.keys() {
                weight += Weight::of_record(&message(*position), None);
            }
            prop_assert_eq!(remainder.weight, weight);
            let first = self.model.keys().next().copied().unwrap_or_default();
            prop_assert_eq!(remainder.first.0, first);
            for block in index.blocks(QUEUE, 0, u64::MAX, u64::MAX) {
                prop_assert!(!block.extents.is_empty());
                prop_assert!(block.extents.is_sorted_by(|a, b| a.end <= b.start));
            }
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn summaries_say_what_the_index_knew(steps in steps()) {
            let mut life = Life::new();
            for step in &steps {
                life.step(step);
            }
            life.check(&life.index)?;
            life.rotate();
            let mut restored = Index::default();
            for (segment, summary) in (1..).zip(&life.summaries) {
                restored.add_segment(segment);
                prop_assert_eq!(restore(summary, segment, &mut restored), Ok(()));
            }
            restored.add_segment(life.segment);
            life.check(&restored)?;
            life.index.drop_queue(QUEUE);
            prop_assert_eq!(life.index.live_bytes(), 0);
        }
    }

    #[test]
    fn a_cut_summary_is_an_error() {
        let mut life = Life::new();
        for position in 500..600 {
            life.publish(position);
        }
        life.rotate();
        let whole = &life.summaries[0];
        for end in 0..whole.len() {
            let mut index = Index::default();
            index.add_segment(1);
            let cut = restore(&whole[..end], 1, &mut index);
            // Behind what stands at the start, four octets and one, is the first queue.
            assert!(cut.is_err() || end == 5, "{end}");
        }
    }

    #[test]
    fn a_long_backlog_costs_little() {
        let mut index = Index::default();
        index.add_segment(1);
        index.add_queue(QUEUE);
        for position in 1..=1_000_000 {
            let frame = position / 1000 * 100_000;
            let entry = Entry::Publish(Published {
                queue: QUEUE,
                position: Position(position),
                message: &[],
                body: None,
                deadline: None,
                attempts: Attempts::default(),
                delivered: false,
                moved: false,
            });
            index.enter(&entry, 1, &(frame..frame + 100_000));
        }
        let blocks = &index.queues[&QUEUE].blocks;
        assert_eq!(blocks.len(), 1954);
        let extents: usize = blocks.iter().map(|block| block.extents.capacity()).sum();
        assert!(size_of::<Block>() <= 72 && extents <= 4 * blocks.len());
    }
}
