//! The one thread that writes the log.
//!
//! It takes everything that was gathered while it was busy, writes it, syncs,
//! and lets go of all who waited: the sync's own duration forms the batches,
//! there is no timer. What the batch means for the database and for the life of
//! segments is worked out after that, while the next batch gathers.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::catalogue::{Catalogue, Place};
use super::changes::decode_change;
use super::error::StoreError;
use super::frame;
use super::gather::{Frames, Gather, Taken};
use super::index::Index;
use super::keeper::{Keeper, Prepared};
use super::moves::Moves;
use super::pager::Pager;
use super::records::{Entries, Entry};
use super::recovery::Closed;
use super::segment::{HEADER_LEN, LogDir};
use super::summary::{self, About};
use crate::base::clock::Stopwatch;
use crate::base::limits::LOG_SPARE_SEGMENTS;
use crate::broker::change::Change;

/// How long a full disk is left alone before the next try.
const DISK_FULL_PAUSE: Duration = Duration::from_millis(250);

/// With writes of this many octets and more it doesn't pay to fill a segment
/// with zeros first: what the file system has to note besides costs less.
const LARGE_WRITE: u64 = 128 * 1024;

/// What the thread owns.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) gather: Arc<Gather>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) pager: Arc<Pager>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) dir: LogDir,
    pub(super) segment_size: u64,
    pub(super) index: Arc<Mutex<Index>>,
    /// Segments that aren't written to any more, oldest first.
    pub(super) closed: VecDeque<Closed>,
    /// The number for the next segment.
    pub(super) next_segment: u64,
    /// The oldest segment with changes that the database may not have on disk.
    pub(super) unflushed: Option<u64>,
    pub(super) active: Option<Active>,
    /// Frames written whose records aren't entered in the index yet.
    pub(super) unentered: VecDeque<(Range<usize>, Place)>,
    /// The segment that was emptied last.
    pub(super) emptied: Option<u64>,
}

/// The segment being written.
#[derive(Debug)]
pub(super) struct Active {
    segment: Prepared,
    offset: u64,
    writes: u64,
    /// Where the last frame with changes of topology is.
    topology: Option<u64>,
    /// Something written isn't synced.
    dirty: bool,
}

impl Committer {
    /// Works until the store is closed and everything gathered is on disk.
    ///
    /// # Errors
    /// The first [`StoreError`]. Nothing is reported as synced after it.
    pub(super) fn run(mut self) -> Result<(), StoreError> {
        let mut spare = Frames::new();
        let mut moved = Frames::new();
        self.retire_prefix();
        self.reclaim();
        while let Some(taken) = self.gather.take(spare) {
            let Taken {
                mut frames,
                batch,
                since,
                records,
                moves,
            } = taken;
            if let Some(moves) = &moves {
                self.move_on(moves, &mut moved)?;
            }
            self.write(&mut frames)?;
            self.sync()?;
            if let Some(batch) = batch {
                self.gather.publish_synced(batch);
                let commits = self.gather.commits();
                commits.batches.add(records as u64);
                if let Some(since) = since {
                    commits.waits.add(since.microseconds());
                }
                self.enter(&frames)?;
                self.pager.indexed(batch);
            }
            if moves.is_some() {
                self.pager.moved();
            }
            self.retire_prefix();
            self.reclaim();
            if let Some(failure) = self.keeper.take_failure() {
                return Err(failure);
            }
            spare = frames;
            // Where processors are short, those who append come first: what they
            // append shares the next sync.
            std::thread::yield_now();
        }
        self.close_segment();
        Ok(())
    }

    /// Writes messages again. Ahead of the batch: what that settles comes after.
    fn move_on(&mut self, moves: &Moves, frames: &mut Frames) -> Result<(), StoreError> {
        frames.clear();
        moves.put(&self.index.lock(), frames);
        self.write(frames)?;
        self.enter(frames)
    }

    /// Writes frames where they belong, in as few pieces as the segments allow.
    fn write(&mut self, frames: &mut Frames) -> Result<(), StoreError> {
        let mut from = 0;
        while let Some(first) = frames.done.get(from).cloned() {
            let mut active = self.segment_for(padded(&first), frames)?;
            let room = self.segment_size.saturating_sub(active.offset);
            let fits = |frame: &Range<usize>| (padded_end(frame) - first.start) as u64 <= room;
            let rest = frames.done.iter().skip(from);
            let count = rest.take_while(|frame| fits(frame)).count().max(1);
            for frame in &frames.done[from..from + count] {
                frame::seal(&mut frames.octets[frame.clone()], active.segment.number);
                let offset = active.offset + (frame.start - first.start) as u64;
                let place = (active.segment.number, offset);
                self.unentered.push_back((frame.clone(), place));
            }
            from += count;
            let end = padded_end(&frames.done[from - 1]);
            self.put(&mut active, &frames.octets[first.start..end])?;
            self.active = Some(active);
        }
        Ok(())
    }

    /// Writes octets to the active segment. A full disk is waited for: what was
    /// written of them so far is written again, and nothing of it was reported.
    #[expect(
        clippy::disallowed_methods,
        reason = "the committer has its own thread"
    )]
    fn put(&self, active: &mut Active, octets: &[u8]) -> Result<(), StoreError> {
        let path = self.dir.segment(active.segment.number);
        loop {
            let written = active.segment.file.write_all_at(octets, active.offset);
            match written.map_err(StoreError::io("write", &path)) {
                // What isn't on disk by now was never confirmed.
                Err(error) if error.is_disk_full() && !self.gather.is_closed() => {
                    if !self.gather.disk_full() {
                        tracing::warn!(%error, "disk full: nothing is confirmed until there is room");
                    }
                    self.gather.set_disk_full(true);
                    std::thread::sleep(DISK_FULL_PAUSE);
                }
                result => {
                    result?;
                    break;
                }
            }
        }
        self.gather.set_disk_full(false);
        self.gather.commits().add_octets(octets.len() as u64);
        active.offset += octets.len() as u64;
        active.writes += 1;
        active.dirty = true;
        Ok(())
    }

    /// Puts on disk what was written, and orders the next segment in time.
    fn sync(&mut self) -> Result<(), StoreError> {
        let Some(active) = self.active.as_mut().filter(|active| active.dirty) else {
            return Ok(());
        };
        let begun = Stopwatch::start();
        let synced = active.segment.file.sync_data();
        self.gather.commits().syncs.add(begun.microseconds());
        let path = || self.dir.segment(active.segment.number);
        synced.map_err(|error| StoreError::io("sync", &path())(error))?;
        active.dirty = false;
        if active.offset > self.segment_size / 2 {
            let small = active.writes * LARGE_WRITE > active.offset;
            self.keeper.order(self.next_segment, small);
        }
        Ok(())
    }

    /// The segment that the next frame of `len` octets goes to. A frame larger
    /// than a segment gets one for itself, which grows.
    fn segment_for(&mut self, len: u64, frames: &Frames) -> Result<Active, StoreError> {
        match self.active.take() {
            Some(active) if active.offset + len <= self.segment_size => return Ok(active),
            full => self.active = full,
        }
        self.sync()?;
        self.enter(frames)?;
        self.close_segment();
        let number = self.next_segment;
        let told = |full| self.gather.set_disk_full(full);
        let segment = self.keeper.fetch(number, told)?;
        self.next_segment = number + 1;
        self.index.lock().add_segment(number);
        let mut active = Active {
            segment,
            offset: HEADER_LEN as u64,
            writes: 0,
            topology: None,
            dirty: false,
        };
        self.write_checkpoint(&mut active)?;
        Ok(active)
    }

    /// Ends the active segment: its summary spares a restart the reading.
    fn close_segment(&mut self) {
        let Some(full) = self.active.take() else {
            return;
        };
        let number = full.segment.number;
        let about = About {
            end: full.offset,
            topology: full.topology,
        };
        let summary = summary::encode(&self.index.lock(), number, about);
        if let Some(summary) = summary {
            self.keeper.full(number, summary);
        }
        self.closed.push_back(Closed {
            number,
            topology: full.topology.is_some(),
            size: full.offset.max(self.segment_size),
        });
    }

    /// Starts a segment with all that is declared, so that the database can be
    /// made again from the segments there are.
    fn write_checkpoint(&self, active: &mut Active) -> Result<(), StoreError> {
        let mut frames = Frames::new();
        self.catalogue.put_checkpoint(&mut frames.octets)?;
        frames.end();
        for frame in &frames.done {
            frame::seal(&mut frames.octets[frame.clone()], active.segment.number);
            self.put(active, &frames.octets[frame.start..padded_end(frame)])?;
        }
        Ok(())
    }

    /// Works out what the records mean of the frames just written.
    fn enter(&mut self, frames: &Frames) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        let mut index = self.index.lock();
        while let Some((frame, place)) = self.unentered.pop_front() {
            let extent = place.1..place.1 + padded(&frame);
            for entry in Entries::new(frames.records(&frame)) {
                // This thread's own encoding, read back from memory.
                let Ok(entry) = entry else {
                    debug_assert!(false, "an encoded record can't be read");
                    break;
                };
                if let Entry::Topology(change) = entry {
                    if let Ok(change) = decode_change(change) {
                        if let Change::QueueDeclared { id, .. } = change {
                            index.add_queue(id);
                        }
                        changes.push((change, place));
                    }
                } else {
                    index.enter(&entry, place.0, &extent);
                }
            }
        }
        drop(index);
        self.apply(&changes)
    }

    fn apply(&mut self, changes: &[(Change, Place)]) -> Result<(), StoreError> {
        for (change, _) in changes {
            for queue in self.catalogue.apply(change)? {
                self.index.lock().drop_queue(queue);
            }
        }
        if let Some((_, place)) = changes.last() {
            self.catalogue.set_applied(*place)?;
            self.unflushed.get_or_insert(place.0);
            if let Some(active) = self.active.as_mut() {
                active.topology = Some(place.1);
            }
        }
        Ok(())
    }

    /// Lets go of the oldest segments as long as nothing in them is live. Only
    /// ever the oldest: a settle may not go before the message it settles.
    fn retire_prefix(&mut self) {
        while let Some(oldest) = self.closed.front() {
            let mut index = self.index.lock();
            if index.live_in(oldest.number) > 0 {
                return;
            }
            index.drop_oldest_segment();
            drop(index);
            let number = oldest.number;
            let unflushed = self.unflushed.is_some_and(|from| from <= number);
            self.keeper.retire(number, oldest.topology && unflushed);
            if oldest.topology && unflushed {
                self.unflushed = None;
            }
            self.closed.pop_front();
        }
    }

    /// Has the oldest segment emptied when the log takes more than twice what
    /// is live in it, and some segments.
    fn reclaim(&mut self) {
        let Some(oldest) = self.closed.front() else {
            return;
        };
        let log: u64 = self.closed.iter().map(|closed| closed.size).sum();
        let live = self.index.lock().live_bytes();
        let allowed = 2 * live + LOG_SPARE_SEGMENTS * self.segment_size;
        // One that was emptied and is still there can't be read.
        if log > allowed && self.emptied != Some(oldest.number) && self.pager.empty(oldest.number) {
            self.emptied = Some(oldest.number);
        }
    }
}

/// Where the next frame begins behind this one.
fn padded_end(frame: &Range<usize>) -> usize {
    frame.end.next_multiple_of(frame::ALIGNMENT)
}

/// Octets that a frame takes.
fn padded(frame: &Range<usize>) -> u64 {
    (padded_end(frame) - frame.start) as u64
}
