//! What a segment holds and did, in short: so that a restart needn't read it.
//!
//! Made when the segment is full, kept in the database. One that is missing
//! costs nothing but the reading of the segment.

use super::codec::{CodecError, Reader, put_number};
use super::index::{Block, Extent, Index, Notes, QueueIndex};
use super::positions::{BLOCK, Positions};
use crate::base::ids::QueueId;

/// What stands at the start of a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct About {
    /// Where the last frame ends.
    pub(super) end: u64,
    /// Where the last frame with changes of topology starts.
    pub(super) topology: Option<u64>,
}

/// The summary of `segment`, the newest that `index` knows.
pub(super) fn encode(index: &Index, segment: u64, about: About) -> Vec<u8> {
    let mut out = Vec::new();
    put_number(&mut out, about.end);
    put_number(&mut out, about.topology.unwrap_or_default());
    let none = Notes::default();
    for (queue, known) in &index.queues {
        let notes = index.notes.get(queue);
        let blocks: Vec<_> = known.blocks.iter().filter(|b| b.segment == segment).collect();
        if notes.is_some() || !blocks.is_empty() {
            put_number(&mut out, queue.0);
            put_queue(&mut out, known, notes.unwrap_or(&none), &blocks);
        }
    }
    out
}

fn put_queue(out: &mut Vec<u8>, known: &QueueIndex, notes: &Notes, blocks: &[&Block]) {
    let mut put = |number| put_number(out, number);
    put(known.last);
    put(known.delivered);
    put(notes.settled.len() as u64);
    for (first, last, bytes) in &notes.settled {
        put(*first);
        put(last - first);
        put(*bytes);
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
    for (position, returns) in &notes.returned {
        put(*position);
        put((*returns).into());
    }
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
    for _ in 0..input.number()? {
        let first = input.number()?;
        let last = first.checked_add(input.number()?).ok_or(CodecError)?;
        index.settle(queue, first, last, input.number()?);
    }
    for _ in 0..input.number()? {
        let block = read_block(input, segment)?;
        index.restore(queue, block);
    }
    for _ in 0..input.number()? {
        let position = input.number()?;
        let returns = u32::try_from(input.number()?).map_err(|_| CodecError)?;
        index.give_back(queue, position, returns);
    }
    if let Some(known) = index.queues.get_mut(&queue) {
        known.last = known.last.max(last);
        known.delivered = known.delivered.max(delivered);
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
