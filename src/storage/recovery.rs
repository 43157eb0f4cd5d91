//! Reading back what a data directory holds.
//!
//! Of a segment that has a summary nothing is read but its header. What has
//! none (the one written last, if the process was killed) is read from its
//! start: which frames are whole, what of the messages in them is still live,
//! which changes of topology the database doesn't have. Messages themselves
//! stay where they are until somebody wants them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;

use super::catalogue::{self, Catalogue};
use super::changes::decode_change;
use super::error::StoreError;
use super::files::Files;
use super::index::Index;
use super::losses::Losses;
use super::reading::SegmentReader;
use super::records::{Entries, Entry};
use super::segment::{self, HEADER_LEN, Header, LogDir, Named};
use super::summary::{self, About};
use super::walk::Piece;
use crate::base::ids::QueueId;
use crate::broker::store::Recovered;
use crate::broker::weight::Weight;

/// A segment that is full, or that an earlier run wrote to.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) number: u64,
    /// It holds changes of topology.
    pub(super) topology: bool,
    /// Octets of its file.
    pub(super) size: u64,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) recovered: Recovered,
    pub(super) index: Index,
    /// The segments there are, oldest first.
    pub(super) segments: VecDeque<Closed>,
    /// The number for the next segment.
    pub(super) next_segment: u64,
}

/// Reads the log in `dir` and brings the database up to it.
///
/// # Errors
/// [`StoreError`] when something can't be read, or only by another version.
/// Damage isn't an error: it is reported, and a copy of it set aside.
pub(super) fn replay(
    files: &Arc<dyn Files>,
    dir: &LogDir,
    catalogue: &Catalogue,
) -> Result<Replayed, StoreError> {
    let applied = catalogue.applied()?;
    let mut replay = Replay {
        reader: SegmentReader {
            files: Arc::clone(files),
            dir: dir.clone(),
        },
        catalogue,
        applied,
        index: Index::default(),
        segments: VecDeque::new(),
        last_queue_id: catalogue.last_queue_id()?,
        losses: Losses::default(),
    };
    let numbers = replay.list()?;
    if catalogue.is_new() && !numbers.is_empty() {
        tracing::warn!(
            segments = numbers.len(),
            "the database is missing or empty: it is made again from the log"
        );
    }
    replay.look_for_missing(&numbers)?;
    catalogue.retain_summaries(&numbers)?;
    for number in numbers {
        replay.segment(number)?;
    }
    replay.cut_tail()?;
    let changes = catalogue.changes()?;
    replay.losses.report(&changes, dir);
    replay.index.retain_queues(&catalogue::queue_ids(&changes));
    replay.weigh_estimated()?;
    let last = replay.segments.back().map_or(0, |segment| segment.number);
    let closed = |scanned: Scanned| Closed {
        number: scanned.number,
        topology: scanned.about.topology.is_some(),
        size: scanned.size,
    };
    Ok(Replayed {
        recovered: Recovered {
            changes,
            queues: replay.index.remainders(),
            last_queue_id: replay.last_queue_id.max(catalogue.last_queue_id()?),
        },
        index: replay.index,
        segments: replay.segments.into_iter().map(closed).collect(),
        next_segment: last.max(applied.0) + 1,
    })
}

#[derive(Debug)]
struct Scanned {
    number: u64,
    about: About,
    /// Octets of the file.
    size: u64,
    /// A frame was begun behind the last whole one.
    torn: bool,
}

struct Replay<'a> {
    reader: SegmentReader,
    catalogue: &'a Catalogue,
    applied: catalogue::Place,
    index: Index,
    segments: VecDeque<Scanned>,
    last_queue_id: QueueId,
    losses: Losses,
}

impl Replay<'_> {
    /// The numbers of the segments there are, oldest first; clears away what
    /// was being made or waited to be used again.
    fn list(&self) -> Result<Vec<u64>, StoreError> {
        let dir = &self.reader.dir;
        let path = dir.path();
        let names = self.reader.files.list(path);
        let mut numbers = Vec::new();
        for name in names.map_err(StoreError::io("list", path))? {
            match LogDir::named(&name) {
                Named::Segment(number) => numbers.push(number),
                Named::Leftover => self.remove(&path.join(name))?,
                Named::Other => {}
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Reports segments that aren't there. Those before the first are done with.
    fn look_for_missing(&mut self, numbers: &[u64]) -> Result<(), StoreError> {
        let dir = &self.reader.dir;
        for pair in numbers.windows(2) {
            if let [before, after] = *pair
                && after != before + 1
            {
                tracing::error!(
                    after = %dir.segment(before).display(),
                    missing = after - before - 1,
                    "segments of the log are missing: messages are lost or come back"
                );
            }
        }
        let first = numbers.first().copied().unwrap_or_default();
        let last = numbers.last().copied().unwrap_or_default();
        for number in self.catalogue.summarized()? {
            if number < first || numbers.contains(&number) {
                continue;
            }
            if number > last {
                let missing = dir.segment(number);
                tracing::error!(missing = %missing.display(), "a segment of the log is missing");
            }
            if let Some(summary) = self.catalogue.summary(number)? {
                self.losses.add(number, &summary, &Index::default());
            }
        }
        Ok(())
    }

    fn remove(&self, path: &std::path::Path) -> Result<(), StoreError> {
        let removed = self.reader.files.remove(path);
        removed.map_err(StoreError::io("remove", path))
    }

    /// Enters a segment, by its summary or by all that is in it.
    fn segment(&mut self, number: u64) -> Result<(), StoreError> {
        let path = self.reader.dir.segment(number);
        let file = self.reader.files.open(&path);
        let size = file.and_then(|file| file.size());
        let size = size.map_err(StoreError::io("read", &path))?;
        let head = self.reader.head(number)?;
        self.index.add_segment(number);
        match segment::read_header(&head) {
            Header::Generation(generation) if generation == number => {
                if let Some(about) = self.summarized(number, size)? {
                    self.segments.push_back(Scanned {
                        number,
                        about,
                        size,
                        torn: false,
                    });
                    return Ok(());
                }
                self.scan(number, size)?;
            }
            Header::Version(found) => {
                return Err(StoreError::UnknownVersion {
                    path,
                    found: found.into(),
                    known: segment::VERSION.into(),
                });
            }
            Header::Generation(_) | Header::Unreadable => {
                // Its name gives the generation as well.
                if self.scan(number, size)? > 0 {
                    self.reader.set_aside(number, 0, &head)?;
                } else {
                    let start = HEADER_LEN as u64;
                    let all = self.reader.read(number, start, size)?;
                    self.reader.set_aside(number, start, &all.octets)?;
                }
            }
        }
        Ok(())
    }

    /// Enters what the summary of a segment says, if there is one that says all
    /// and the database has the changes of topology in it.
    fn summarized(&mut self, number: u64, size: u64) -> Result<Option<About>, StoreError> {
        let Some(summary) = self.catalogue.summary(number)? else {
            return Ok(None);
        };
        let Ok(about) = summary::about(&summary) else {
            return Ok(None);
        };
        if about.end > size {
            tracing::error!(
                segment = %self.reader.dir.segment(number).display(),
                octets = about.end - size,
                "the end of a segment is missing: what was recorded there is lost"
            );
            self.scan(number, size)?;
            self.losses.add(number, &summary, &self.index);
            return Ok(self.segments.pop_back().map(|scanned| scanned.about));
        }
        if about.topology.is_some_and(|at| (number, at) > self.applied) {
            return Ok(None);
        }
        let restored = summary::restore(&summary, number, &mut self.index);
        restored.map_err(|_| self.catalogue.strange())?;
        Ok(Some(about))
    }

    /// Reads a whole segment; returns how many frames are in it.
    fn scan(&mut self, number: u64, size: u64) -> Result<u64, StoreError> {
        let mut walk = self.reader.walk(number, size)?;
        let mut frames = 0;
        let mut about = About {
            end: HEADER_LEN as u64,
            topology: None,
        };
        while let Some(piece) = walk.next()? {
            match piece {
                Piece::Frame(extent) => {
                    frames += 1;
                    about.end = extent.end;
                    if self.replay_frame(number, &extent, walk.records(&extent))? {
                        about.topology = Some(extent.start);
                    }
                }
                Piece::Damaged(extent) => {
                    let octets = walk.octets(&extent)?;
                    self.reader.set_aside(number, extent.start, octets)?;
                }
            }
        }
        if frames > 0 {
            // The next restart needn't read it again.
            if let Some(summary) = summary::encode(&self.index, number, about) {
                self.catalogue.put_summary(number, &summary)?;
            }
        }
        self.segments.push_back(Scanned {
            number,
            about,
            size,
            torn: walk.begins(about.end)?,
        });
        Ok(frames)
    }

    /// Whether the frame has changes of topology.
    fn replay_frame(
        &mut self,
        number: u64,
        extent: &Range<u64>,
        records: &[u8],
    ) -> Result<bool, StoreError> {
        let place = (number, extent.start);
        let mut topology = false;
        for entry in Entries::new(records) {
            let entry = entry.map_err(|_| self.unknown(place))?;
            match entry {
                Entry::Topology(change) => {
                    topology = true;
                    if place > self.applied {
                        let change = decode_change(change);
                        let change = change.map_err(|_| self.unknown(place))?;
                        self.catalogue.apply(&change)?;
                    }
                    continue;
                }
                // A database made again doesn't know the queues deleted before,
                // whose messages may still be here.
                Entry::Publish(published) => self.know(published.queue),
                Entry::Settle { queue, .. }
                | Entry::Deliver { queue, .. }
                | Entry::Return { queue, .. } => self.know(queue),
            }
            self.index.enter(&entry, number, extent);
        }
        if topology && place > self.applied {
            self.catalogue.set_applied(place)?;
        }
        Ok(topology)
    }

    fn know(&mut self, queue: QueueId) {
        self.last_queue_id = self.last_queue_id.max(queue.queue());
        self.index.add_queue(queue);
    }

    /// Clears away what a crash left behind the last whole frame of all, so
    /// that it isn't taken for damage once more was written.
    fn cut_tail(&mut self) -> Result<(), StoreError> {
        while let Some(last) = self.segments.pop_back() {
            let path = self.reader.dir.segment(last.number);
            if last.torn {
                tracing::warn!(
                    segment = %path.display(),
                    offset = last.about.end,
                    "the log ends in a frame that was cut off: none of it was confirmed"
                );
            }
            if last.about.end <= HEADER_LEN as u64 {
                self.remove(&path)?;
                self.index.drop_newest_segment();
                continue;
            }
            if last.about.end < last.size {
                let file = self.reader.files.open(&path);
                let cut = file.and_then(|file| {
                    file.set_size(last.about.end)?;
                    file.sync_data()
                });
                cut.map_err(StoreError::io("cut", &path))?;
            }
            self.segments.push_back(last);
            break;
        }
        let path = self.reader.dir.path();
        let synced = self.reader.files.sync_dir(path);
        synced.map_err(StoreError::io("sync", path))
    }

    /// Reads the messages of queues again whose weight is only estimated: after a
    /// power cut that took the summaries of segments that had gone.
    fn weigh_estimated(&mut self) -> Result<(), StoreError> {
        let mut found = HashMap::new();
        for (queue, block) in self.index.estimated() {
            for extent in &block.extents {
                let segment = block.segment;
                let stretch = self.reader.read(segment, extent.start, extent.end)?;
                for frame in &stretch.frames {
                    for entry in Entries::new(stretch.records(frame)).flatten() {
                        if let Entry::Publish(published) = entry
                            && published.queue == queue
                            && block.holds(published.position)
                        {
                            let weight: &mut Weight = found.entry(queue).or_default();
                            *weight += published.weight();
                        }
                    }
                }
            }
        }
        self.index.weigh(&found);
        Ok(())
    }

    fn unknown(&self, place: catalogue::Place) -> StoreError {
        StoreError::UnknownRecord {
            path: self.reader.dir.segment(place.0),
            offset: place.1,
        }
    }
}
