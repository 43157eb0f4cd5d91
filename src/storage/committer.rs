//! The one thread that writes the log.
//!
//! It takes everything that was gathered while it was busy, writes it as one
//! frame, syncs, and lets go of all who waited: the sync's own duration forms
//! the batches, there is no timer. What the batch means for the database and
//! for the life of segments is worked out after that, while the next batch
//! gathers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::catalogue::{Catalogue, Place};
use super::codec::{self, Entries, Entry};
use super::error::StoreError;
use super::frame;
use super::gather::Gather;
use super::keeper::{Keeper, Prepared};
use super::live::LiveIndex;
use super::recovery::Closed;
use super::segment::{HEADER_LEN, LogDir};
use crate::broker::change::Change;

/// How long a full disk is left alone before the next try.
const DISK_FULL_PAUSE: Duration = Duration::from_millis(250);

/// With frames of this many octets and more it doesn't pay to fill a segment
/// with zeros first: what the file system has to note besides costs less.
const LARGE_FRAME: u64 = 128 * 1024;

/// What the thread owns.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) gather: Arc<Gather>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) dir: LogDir,
    pub(super) segment_size: u64,
    pub(super) live: LiveIndex,
    /// Segments that aren't written to any more, oldest first.
    pub(super) closed: VecDeque<Closed>,
    /// The number for the next segment.
    pub(super) next_segment: u64,
    /// The oldest segment with changes that the database may not have on disk.
    pub(super) unflushed: Option<u64>,
    pub(super) active: Option<Active>,
}

/// The segment being written.
#[derive(Debug)]
pub(super) struct Active {
    segment: Prepared,
    offset: u64,
    frames: u64,
    topology: bool,
}

impl Committer {
    /// Works until the store is closed and everything gathered is on disk.
    ///
    /// # Errors
    /// The first [`StoreError`]. Nothing is reported as synced after it.
    pub(super) fn run(mut self) -> Result<(), StoreError> {
        let mut buffer = Vec::new();
        self.retire_prefix();
        while let Some(batch) = self.gather.take(&mut buffer) {
            let size = buffer.len();
            let place = self.write(&mut buffer)?;
            self.gather.publish_synced(batch);
            self.account(place, &buffer[frame::HEAD_LEN..size])?;
            self.retire_prefix();
            if let Some(failure) = self.keeper.take_failure() {
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Puts the frame on disk; returns where.
    fn write(&mut self, buffer: &mut Vec<u8>) -> Result<Place, StoreError> {
        let padded = buffer.len().next_multiple_of(frame::ALIGNMENT) as u64;
        let mut active = self.segment_for(padded)?;
        let place = (active.segment.number, active.offset);
        frame::seal(buffer, active.segment.number);
        self.put_on_disk(&mut active, buffer)?;
        if active.offset > self.segment_size / 2 {
            let small = active.frames * LARGE_FRAME > active.offset;
            self.keeper.order(self.next_segment, small);
        }
        self.active = Some(active);
        Ok(place)
    }

    /// Writes the frame. A full disk is waited for: what was written of the
    /// frame so far is written again, and nothing of it was reported.
    #[expect(
        clippy::disallowed_methods,
        reason = "the committer has its own thread"
    )]
    fn write_all(&self, active: &Active, octets: &[u8]) -> Result<(), StoreError> {
        let path = self.dir.segment(active.segment.number);
        loop {
            let written = active.segment.file.write_all_at(octets, active.offset);
            match written.map_err(StoreError::io("write", &path)) {
                Err(error) if error.is_disk_full() => {
                    if !self.gather.disk_full() {
                        tracing::warn!(%error, "disk full: nothing is confirmed until there is room");
                    }
                    self.gather.set_disk_full(true);
                    std::thread::sleep(DISK_FULL_PAUSE);
                }
                result => {
                    self.gather.set_disk_full(false);
                    return result;
                }
            }
        }
    }

    /// The segment that the next frame of `len` octets goes to. A frame larger
    /// than a segment gets one for itself, which grows.
    fn segment_for(&mut self, len: u64) -> Result<Active, StoreError> {
        match self.active.take() {
            Some(active) if active.offset + len <= self.segment_size => return Ok(active),
            Some(full) => self.closed.push_back(Closed {
                number: full.segment.number,
                topology: full.topology,
            }),
            None => {}
        }
        let number = self.next_segment;
        let told = |full| self.gather.set_disk_full(full);
        let segment = self.keeper.fetch(number, told)?;
        self.next_segment = number + 1;
        self.live.add_segment(number);
        let mut active = Active {
            segment,
            offset: HEADER_LEN as u64,
            frames: 0,
            topology: false,
        };
        self.write_checkpoint(&mut active)?;
        Ok(active)
    }

    /// Starts a segment with all that is declared, so that the database can be
    /// made again from the segments there are.
    fn write_checkpoint(&self, active: &mut Active) -> Result<(), StoreError> {
        let mut buffer = vec![0; frame::HEAD_LEN];
        self.catalogue.put_checkpoint(&mut buffer)?;
        if buffer.len() == frame::HEAD_LEN {
            return Ok(());
        }
        frame::seal(&mut buffer, active.segment.number);
        self.put_on_disk(active, &buffer)
    }

    fn put_on_disk(&self, active: &mut Active, frame: &[u8]) -> Result<(), StoreError> {
        self.write_all(active, frame)?;
        let synced = active.segment.file.sync_data();
        let path = || self.dir.segment(active.segment.number);
        synced.map_err(|error| StoreError::io("sync", &path())(error))?;
        active.offset += frame.len() as u64;
        active.frames += 1;
        Ok(())
    }

    /// Works out what the records of a synced frame mean.
    fn account(&mut self, place: Place, records: &[u8]) -> Result<(), StoreError> {
        let (number, _) = place;
        let mut topology = false;
        for entry in Entries::new(records) {
            // This thread's own encoding, read back from memory.
            let Ok(entry) = entry else {
                debug_assert!(false, "an encoded record can't be read");
                break;
            };
            match entry {
                Entry::Publish {
                    queue, position, ..
                } => self.live.publish(queue, position, number),
                Entry::Settle { queue, first, last } => self.live.settle(queue, first, last),
                Entry::Topology(change) => {
                    topology = true;
                    if let Ok(change) = codec::decode_change(change) {
                        self.apply(&change)?;
                    }
                }
            }
        }
        if topology {
            self.catalogue.set_applied(place)?;
            self.unflushed.get_or_insert(number);
            if let Some(active) = &mut self.active {
                active.topology = true;
            }
        }
        Ok(())
    }

    fn apply(&mut self, change: &Change) -> Result<(), StoreError> {
        if let Change::QueueDeclared { id, .. } = change {
            self.live.add_queue(*id);
        }
        for queue in self.catalogue.apply(change)? {
            self.live.drop_queue(queue);
        }
        Ok(())
    }

    /// Lets go of the oldest segments as long as nothing in them is live. Only
    /// ever the oldest: a settle may not go before the message it settles.
    fn retire_prefix(&mut self) {
        while let Some(oldest) = self.closed.front() {
            if self.live.live_in(oldest.number) > 0 {
                return;
            }
            let number = oldest.number;
            let unflushed = self.unflushed.is_some_and(|from| from <= number);
            self.keeper.retire(number, oldest.topology && unflushed);
            if oldest.topology && unflushed {
                self.unflushed = None;
            }
            self.live.drop_oldest_segment();
            self.closed.pop_front();
        }
    }
}
