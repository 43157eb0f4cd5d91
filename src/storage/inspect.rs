//! Looking into a data directory that no broker has, without changing it.
//!
//! Everything is read, whatever the summaries say. The database is opened from
//! a copy, since opening sled writes.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::catalogue::{self, Catalogue};
use super::changes::decode_change;
use super::error::StoreError;
use super::files::{DiskFiles, Files, LogFile};
use super::frame;
use super::index::Index;
use super::paging;
use super::read_only::{Copied, ReadOnly};
use super::reading::SegmentReader;
use super::records::{Entries, Entry};
use super::segment::{self, HEADER_LEN, Header, LogDir, Named};
use super::summary;
use crate::base::clock::Now;
use crate::base::ids::{Batch, Position, QueueId};
use crate::broker::change::Change;
use crate::broker::queue::{WINDOW_LANE, deduplicates};
use crate::broker::spec::QueueSpec;
use crate::broker::store::{Load, Page, Receiver, Remainder, Stored};

/// Octets of messages read at a time.
const PAGE: usize = 512 * 1024;

/// A data directory that was looked into.
#[derive(Debug)]
pub struct Inspection {
    /// What was found of each segment, oldest first.
    pub segments: Vec<SegmentReport>,
    /// Numbers of segments that are missing between others.
    pub missing: Vec<u64>,
    /// What is wrong with the database, if anything is: a broker would set it
    /// aside and make it again from the log.
    pub database: Option<String>,
    /// How many virtual hosts there are.
    pub vhosts: usize,
    /// How many users there are.
    pub users: usize,
    /// How many runtime parameters there are.
    pub parameters: usize,
    /// The durable queues and what they hold.
    pub queues: Vec<QueueReport>,
    reader: SegmentReader,
    index: Mutex<Index>,
    /// Locks the directory as long as it is looked at.
    _lock: Option<Box<dyn LogFile>>,
}

/// One segment of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// Its file.
    pub path: PathBuf,
    /// Octets of the file.
    pub size: u64,
    /// Whether its header is as it should be.
    pub header: bool,
    /// Whole frames.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Where octets lie between frames that are none: offset, how many.
    pub damaged: Vec<(u64, u64)>,
    /// Where a frame was begun and not ended, behind all others: a crash does
    /// that, and nothing of it was confirmed.
    pub torn: Option<u64>,
    /// Messages in it that are in a queue still.
    pub live: u64,
}

/// A durable queue and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueReport {
    /// The virtual host.
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// What is stored of it, lane by lane: messages of one priority each.
    pub lanes: Vec<(QueueId, Remainder)>,
}

impl QueueReport {
    /// How many messages are stored, in all lanes.
    pub fn messages(&self) -> u64 {
        self.lanes.iter().map(|(_, lane)| lane.messages).sum()
    }

    /// What they take, the sum of [`Message::stored_len`](crate::broker::message::Message::stored_len).
    pub fn bytes(&self) -> u64 {
        self.lanes.iter().map(|(_, lane)| lane.bytes).sum()
    }
}

impl Inspection {
    /// Reads all of the data directory `dir`.
    ///
    /// # Errors
    /// [`StoreError`] when a broker has it, another version wrote it, or it
    /// can't be read at all. Damage is no error here but what is reported.
    pub fn of(dir: &Path) -> Result<Self, StoreError> {
        let lock = lock(dir)?;
        let copy = Copied::of(&dir.join("sled"))?;
        let files: Arc<dyn Files> = Arc::new(DiskFiles);
        let catalogue = Catalogue::open_strictly(copy.path(), &files);
        let (catalogue, complaint) = match catalogue {
            Ok(catalogue) => {
                let complaint = copy.complaint().filter(|_| catalogue.is_new());
                (catalogue, complaint)
            }
            Err(error @ StoreError::UnknownVersion { .. }) => return Err(error),
            Err(error) => (
                Catalogue::open(copy.path(), Arc::clone(&files))?,
                Some(error.to_string()),
            ),
        };
        let mut inspector = Inspector {
            reader: SegmentReader {
                files: Arc::new(ReadOnly),
                dir: LogDir::within(dir),
            },
            applied: catalogue.applied()?,
            catalogue,
            index: Index::default(),
            segments: Vec::new(),
        };
        let numbers = inspector.numbers()?;
        for number in &numbers {
            inspector.segment(*number)?;
        }
        inspector.tell_torn_from_damaged();
        let missing = missing(&numbers, &inspector.catalogue.summarized()?);
        let changes = inspector.catalogue.changes()?;
        inspector
            .index
            .retain_queues(&catalogue::queue_ids(&changes));
        for (report, number) in inspector.segments.iter_mut().zip(&numbers) {
            report.live = inspector.index.live_in(*number);
        }
        Ok(Self {
            segments: inspector.segments,
            missing,
            database: complaint,
            vhosts: count(&changes, |change| {
                matches!(
                    change,
                    Change::VhostCreated { .. } | Change::VhostSet { .. }
                )
            }),
            users: count(&changes, |change| matches!(change, Change::UserSet { .. })),
            parameters: count(&changes, |change| {
                matches!(change, Change::ParameterSet { .. })
            }),
            queues: queues(&changes, &inspector.index),
            reader: inspector.reader,
            index: Mutex::new(inspector.index),
            _lock: lock,
        })
    }

    /// Whether something is lost or may be, or the database has to be made again.
    pub fn is_damaged(&self) -> bool {
        let is_damaged = |segment: &SegmentReport| !segment.header || !segment.damaged.is_empty();
        self.database.is_some() || !self.missing.is_empty() || self.segments.iter().any(is_damaged)
    }

    /// The queue of that name, if it is there.
    pub fn queue(&self, vhost: &str, name: &str) -> Option<&QueueReport> {
        let mut queues = self.queues.iter();
        queues.find(|queue| queue.vhost == vhost && queue.name == name)
    }

    /// Hands out the messages of a queue, lane by lane and in order within each,
    /// with what is known of the lane, until `take` has enough.
    pub fn messages(&self, queue: &QueueReport, mut take: impl FnMut(&Remainder, Stored) -> bool) {
        for (lane, remainder) in &queue.lanes {
            let mut from = remainder.first;
            while from <= remainder.last {
                let load = Load {
                    queue: *lane,
                    from,
                    to: remainder.last,
                    bytes: PAGE,
                    batch: Batch(0),
                    receiver: Arc::new(Nobody),
                };
                let page = paging::read(&self.reader, &self.index, &load, |_| {});
                for message in page.messages {
                    if !take(remainder, message) {
                        return;
                    }
                }
                from = Position(page.through.0.saturating_add(1));
            }
        }
    }
}

struct Inspector {
    reader: SegmentReader,
    catalogue: Catalogue,
    applied: catalogue::Place,
    index: Index,
    segments: Vec<SegmentReport>,
}

impl Inspector {
    fn numbers(&self) -> Result<Vec<u64>, StoreError> {
        let path = self.reader.dir.path();
        let names = self.reader.files.list(path);
        let names = names.map_err(StoreError::io("list", path))?;
        let number = |name: &String| match LogDir::named(name) {
            Named::Segment(number) => Some(number),
            _ => None,
        };
        let mut numbers: Vec<_> = names.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn segment(&mut self, number: u64) -> Result<(), StoreError> {
        let path = self.reader.dir.segment(number);
        let head = self.reader.head(number)?;
        let header = segment::read_header(&head);
        if let Header::Version(found) = header {
            return Err(StoreError::UnknownVersion {
                path,
                found: found.into(),
                known: segment::VERSION.into(),
            });
        }
        let start = HEADER_LEN as u64;
        let stretch = self.reader.read_whole(number, start)?;
        self.index.add_segment(number);
        let mut records = 0;
        for frame in &stretch.frames {
            let offset = start + frame.start as u64;
            let extent = offset..offset + frame.len() as u64;
            records += self.enter((number, offset), &extent, stretch.records(frame))?;
        }
        let end = stretch.frames.last().map_or(0, |frame| frame.end);
        let rest = stretch.octets.get(end..).unwrap_or_default();
        let end = start + end as u64;
        let damaged = stretch.damaged.iter();
        let damaged = damaged.map(|range| (start + range.start as u64, range.len() as u64));
        // Full segments have a note of where they ended.
        let noted = self.catalogue.summary(number)?;
        let noted = noted.and_then(|summary| summary::about(&summary).ok());
        let lost = noted.map_or(0, |about| about.end.saturating_sub(end));
        self.segments.push(SegmentReport {
            path,
            size: start + stretch.octets.len() as u64,
            header: header == Header::Generation(number),
            frames: stretch.frames.len() as u64,
            records,
            damaged: damaged.chain((lost > 0).then_some((end, lost))).collect(),
            torn: (lost == 0 && frame::begins(rest, number)).then_some(end),
            live: 0,
        });
        Ok(())
    }

    /// Only behind the last frame of all may one have been begun and not ended:
    /// what a crash leaves elsewhere is cut off by the next start. A segment
    /// without frames was made ready, and not written yet.
    fn tell_torn_from_damaged(&mut self) {
        let written = |segment: &SegmentReport| segment.frames > 0;
        let earlier = self.segments.iter().rposition(written).unwrap_or_default();
        for segment in self.segments.iter_mut().take(earlier) {
            if let Some(at) = segment.torn.take() {
                segment.damaged.push((at, segment.size.saturating_sub(at)));
            }
        }
    }

    /// Enters the records of a frame; returns how many there are.
    fn enter(
        &mut self,
        place: catalogue::Place,
        extent: &std::ops::Range<u64>,
        records: &[u8],
    ) -> Result<u64, StoreError> {
        let unknown = || StoreError::UnknownRecord {
            path: self.reader.dir.segment(place.0),
            offset: place.1,
        };
        let mut count = 0;
        for entry in Entries::new(records) {
            let entry = entry.map_err(|_| unknown())?;
            count += 1;
            match entry {
                Entry::Topology(change) if place > self.applied => {
                    let change = decode_change(change).map_err(|_| unknown())?;
                    self.catalogue.apply(&change)?;
                }
                Entry::Publish(published) => self.index.add_queue(published.queue),
                Entry::Settle { queue, .. }
                | Entry::Deliver { queue, .. }
                | Entry::Return { queue, .. } => self.index.add_queue(queue),
                Entry::Topology(_) => {}
            }
            self.index.enter(&entry, place.0, extent);
        }
        Ok(count)
    }
}

/// The segments that should be among those there are, or behind them: those
/// before were not needed any more.
fn missing(there: &[u64], summarized: &[u64]) -> Vec<u64> {
    let (Some(first), Some(last)) = (there.first(), there.last()) else {
        return Vec::new();
    };
    let within = (*first..=*last).filter(|number| there.binary_search(number).is_err());
    let behind = summarized.iter().copied().filter(|number| number > last);
    within.chain(behind).collect()
}

fn count(changes: &[Change], is_meant: impl Fn(&Change) -> bool) -> usize {
    changes.iter().filter(|change| is_meant(change)).count()
}

/// Without the lane of what the queue remembers, if it does.
fn message_lanes(
    lanes: Option<&Vec<(QueueId, Remainder)>>,
    spec: &QueueSpec,
) -> Vec<(QueueId, Remainder)> {
    let remembers = deduplicates(&spec.arguments);
    let mut lanes = lanes.cloned().unwrap_or_default();
    lanes.retain(|(lane, _)| !remembers || lane.lane() != WINDOW_LANE);
    lanes
}

fn queues(changes: &[Change], index: &Index) -> Vec<QueueReport> {
    let mut lanes = HashMap::<QueueId, Vec<_>>::new();
    for (lane, remainder) in index.remainders() {
        lanes
            .entry(lane.queue())
            .or_default()
            .push((lane, remainder));
    }
    let report = |vhost: &Arc<str>, id: QueueId, spec: &QueueSpec| QueueReport {
        vhost: vhost.to_string(),
        name: spec.name.to_string(),
        lanes: message_lanes(lanes.get(&id), spec),
    };
    let declared = changes.iter().filter_map(|change| match change {
        Change::QueueDeclared { vhost, id, spec } => Some(report(vhost, *id, spec)),
        _ => None,
    });
    declared.collect()
}

/// Locks the directory, if it can be locked at all.
fn lock(dir: &Path) -> Result<Option<Box<dyn LogFile>>, StoreError> {
    let path = dir.join("lock");
    if !path.exists() {
        let log = dir.join("log");
        let found = fs::metadata(&log).map(|_| None);
        return found.map_err(StoreError::io("find a log in", dir));
    }
    let locked = DiskFiles.lock(&path);
    let locked = locked.map_err(StoreError::io("lock", &path))?;
    let locked = locked.ok_or_else(|| StoreError::Locked {
        dir: dir.to_path_buf(),
    });
    locked.map(Some)
}

/// Wants nothing: pages are returned to whoever inspects.
#[derive(Debug)]
struct Nobody;

impl Receiver for Nobody {
    fn receive(self: Arc<Self>, _: Page, _: Now) {}
}
