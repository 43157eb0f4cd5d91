//! Reading back what a data directory holds.
//!
//! The log is read twice: once to find the frames that are whole, what of the
//! messages in them is still live, and which changes of topology the database
//! doesn't have; then once more to take the live messages out. So a message
//! that was settled costs nothing but the reading.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use hashbrown::HashMap;

use super::catalogue::{self, Catalogue};
use super::codec::{self, Entries, Entry};
use super::error::StoreError;
use super::files::Files;
use super::frame;
use super::live::LiveIndex;
use super::segment::{self, HEADER_LEN, Header, LogDir, Named};
use crate::base::ids::{Position, QueueId};
use crate::broker::message::Message;
use crate::broker::store::Recovered;

/// A segment that is full, or that an earlier run wrote to.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) number: u64,
    /// It holds changes of topology.
    pub(super) topology: bool,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) recovered: Recovered,
    pub(super) live: LiveIndex,
    /// The segments there are, oldest first.
    pub(super) segments: VecDeque<Closed>,
    /// The number for the next segment.
    pub(super) next_segment: u64,
}

/// Reads all of the log in `dir` and brings the database up to it.
///
/// # Errors
/// [`StoreError`] when something can't be read, or only by another version.
/// Damage isn't an error: it is reported, and a copy of it set aside.
pub(super) fn replay(
    files: &dyn Files,
    dir: &LogDir,
    catalogue: &Catalogue,
) -> Result<Replayed, StoreError> {
    let applied = catalogue.applied()?;
    let mut replay = Replay {
        files,
        dir,
        catalogue,
        applied,
        live: LiveIndex::default(),
        segments: VecDeque::new(),
        last_queue_id: catalogue.last_queue_id()?,
    };
    for number in replay.list()? {
        replay.first_pass(number)?;
    }
    replay.cut_tail()?;
    let changes = catalogue.changes()?;
    replay.live.retain_queues(&catalogue::queue_ids(&changes));
    // Every queue that is known is counted from now on, those without a message too.
    for queue in catalogue::queue_ids(&changes) {
        replay.live.add_queue(queue);
    }
    let messages = replay.second_pass()?;
    let last = replay.segments.back().map_or(0, |segment| segment.number);
    let closed = |scanned: Scanned| Closed {
        number: scanned.number,
        topology: scanned.topology,
    };
    Ok(Replayed {
        recovered: Recovered {
            changes,
            queues: messages
                .into_iter()
                .map(|(id, m)| {
                    (
                        id,
                        crate::broker::store::Remainder {
                            messages: m.len() as u64,
                            ..Default::default()
                        },
                    )
                })
                .collect(),
            last_queue_id: replay.last_queue_id.max(catalogue.last_queue_id()?),
        },
        live: replay.live,
        segments: replay.segments.into_iter().map(closed).collect(),
        next_segment: last.max(applied.0) + 1,
    })
}

/// The messages of a queue and their places.
type Messages = Vec<(Position, Message)>;

#[derive(Debug)]
struct Scanned {
    number: u64,
    /// Where the frames are that are whole.
    frames: Vec<Range<usize>>,
    /// Octets of the file.
    size: usize,
    topology: bool,
    /// A frame was begun behind the last whole one.
    torn: bool,
}

impl Scanned {
    /// Where the last whole frame ends.
    fn end(&self) -> usize {
        self.frames.last().map_or(HEADER_LEN, |frame| frame.end)
    }
}

struct Replay<'a> {
    files: &'a dyn Files,
    dir: &'a LogDir,
    catalogue: &'a Catalogue,
    applied: catalogue::Place,
    live: LiveIndex,
    segments: VecDeque<Scanned>,
    last_queue_id: QueueId,
}

impl Replay<'_> {
    /// The numbers of the segments there are, oldest first; clears away what
    /// was being made or waited to be used again.
    fn list(&self) -> Result<Vec<u64>, StoreError> {
        let path = self.dir.path();
        let names = self.files.list(path);
        let mut numbers = Vec::new();
        for name in names.map_err(StoreError::io("list", path))? {
            match LogDir::named(&name) {
                Named::Segment(number) => numbers.push(number),
                Named::Leftover => self.remove(&path.join(name))?,
                Named::Other => {}
            }
        }
        numbers.sort_unstable();
        for pair in numbers.windows(2) {
            if let [before, after] = *pair
                && after != before + 1
            {
                tracing::error!(
                    after = %self.dir.segment(before).display(),
                    missing = after - before - 1,
                    "segments of the log are missing: messages are lost or come back"
                );
            }
        }
        Ok(numbers)
    }

    fn remove(&self, path: &std::path::Path) -> Result<(), StoreError> {
        let removed = self.files.remove(path);
        removed.map_err(StoreError::io("remove", path))
    }

    fn first_pass(&mut self, number: u64) -> Result<(), StoreError> {
        let path = self.dir.segment(number);
        let octets = segment::read_whole(self.files, &path)?;
        self.live.add_segment(number);
        let mut scanned = Scanned {
            number,
            frames: Vec::new(),
            size: octets.len(),
            topology: false,
            torn: false,
        };
        match segment::read_header(&octets) {
            Header::Generation(generation) if generation == number => {
                self.scan(&octets, &mut scanned)?;
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
                self.scan(&octets, &mut scanned)?;
                let lost = scanned.frames.first().map_or(octets.len(), |_| HEADER_LEN);
                self.set_aside(number, &octets, 0..lost)?;
            }
        }
        self.segments.push_back(scanned);
        Ok(())
    }

    fn scan(&mut self, octets: &[u8], scanned: &mut Scanned) -> Result<(), StoreError> {
        let number = scanned.number;
        let mut at = HEADER_LEN;
        loop {
            let rest = octets.get(at..).unwrap_or_default();
            if let Some((records, taken)) = frame::read(rest, number) {
                scanned.topology |= self.replay_frame(number, at, records)?;
                scanned.frames.push(at..at + taken);
                at += taken;
            } else if let Some(next) = frame::find(octets, at, number) {
                self.set_aside(number, octets, at..next)?;
                at = next;
            } else {
                scanned.torn = frame::begins(rest, number);
                return Ok(());
            }
        }
    }

    /// Whether the frame has changes of topology.
    fn replay_frame(
        &mut self,
        number: u64,
        offset: usize,
        records: &[u8],
    ) -> Result<bool, StoreError> {
        let place = (number, offset as u64);
        let mut topology = false;
        for entry in Entries::new(records) {
            match entry.map_err(|_| self.unknown(number, offset))? {
                Entry::Publish {
                    queue, position, ..
                } => {
                    // A database made again doesn't know the queues deleted
                    // before, whose messages may still be here.
                    self.last_queue_id = self.last_queue_id.max(queue);
                    self.live.add_queue(queue);
                    self.live.publish(queue, position, number);
                }
                Entry::Settle { queue, first, last } => self.live.settle(queue, first, last),
                Entry::Topology(change) => {
                    topology = true;
                    if place > self.applied {
                        let change = codec::decode_change(change);
                        let change = change.map_err(|_| self.unknown(number, offset))?;
                        self.catalogue.apply(&change)?;
                    }
                }
            }
        }
        if topology && place > self.applied {
            self.catalogue.set_applied(place)?;
        }
        Ok(topology)
    }

    /// Keeps a copy of what can't be read.
    fn set_aside(&self, number: u64, octets: &[u8], range: Range<usize>) -> Result<(), StoreError> {
        let copy = self.dir.damaged(number, range.start);
        tracing::error!(
            segment = %self.dir.segment(number).display(),
            offset = range.start,
            octets = range.len(),
            copy = %copy.display(),
            "the log is damaged: what was recorded there is lost, a copy is set aside"
        );
        let file = self.files.create(&copy);
        let written = file.and_then(|file| {
            file.write_all_at(&octets[range], 0)?;
            file.sync_data()
        });
        written.map_err(StoreError::io("write", &copy))
    }

    /// Clears away what a crash left behind the last whole frame of all, so
    /// that it isn't taken for damage once more was written.
    fn cut_tail(&mut self) -> Result<(), StoreError> {
        while let Some(last) = self.segments.pop_back() {
            let path = self.dir.segment(last.number);
            if last.torn {
                tracing::warn!(
                    segment = %path.display(),
                    offset = last.end(),
                    "the log ends in a frame that was cut off: none of it was confirmed"
                );
            }
            if last.frames.is_empty() {
                self.remove(&path)?;
                self.live.drop_newest_segment();
                continue;
            }
            if last.end() < last.size {
                let file = self.files.open(&path);
                let cut = file.and_then(|file| {
                    file.set_size(last.end() as u64)?;
                    file.sync_data()
                });
                cut.map_err(StoreError::io("cut", &path))?;
            }
            self.segments.push_back(last);
            break;
        }
        let path = self.dir.path();
        let synced = self.files.sync_dir(path);
        synced.map_err(StoreError::io("sync", path))
    }

    fn second_pass(&self) -> Result<Vec<(QueueId, Messages)>, StoreError> {
        let mut queues = HashMap::new();
        for scanned in &self.segments {
            if self.live.live_in(scanned.number) == 0 {
                continue;
            }
            let octets = segment::read_whole(self.files, &self.dir.segment(scanned.number))?;
            for range in &scanned.frames {
                let frame = octets.get(range.clone()).unwrap_or_default();
                let records = frame.get(frame::HEAD_LEN..).unwrap_or_default();
                self.take_messages(scanned.number, range.start, records, &mut queues)?;
            }
        }
        let mut queues: Vec<_> = queues.into_iter().collect();
        queues.sort_unstable_by_key(|(queue, _)| *queue);
        for (_, messages) in &mut queues {
            messages.sort_by_key(|(position, _)| *position);
        }
        Ok(queues)
    }

    fn take_messages(
        &self,
        number: u64,
        offset: usize,
        records: &[u8],
        queues: &mut HashMap<QueueId, Messages>,
    ) -> Result<(), StoreError> {
        for entry in Entries::new(records) {
            let Ok(Entry::Publish {
                queue,
                position,
                record,
                chained,
            }) = entry
            else {
                continue;
            };
            if self.live.contains(queue, position, number) {
                let message = Message::from_record(record, chained.map(Bytes::copy_from_slice));
                let message = message.map_err(|_| self.unknown(number, offset))?;
                queues.entry(queue).or_default().push((position, message));
            }
        }
        Ok(())
    }

    fn unknown(&self, number: u64, offset: usize) -> StoreError {
        StoreError::UnknownRecord {
            path: self.dir.segment(number),
            offset,
        }
    }
}
