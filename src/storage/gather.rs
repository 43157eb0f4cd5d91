//! Where records are gathered until the committer takes them, and where those
//! who wait for the disk are woken.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

use parking_lot::{Condvar, Mutex};

use super::frame;
use super::moves::Moves;
use super::records::{self, Published};
use crate::base::clock::Stopwatch;
use crate::base::ids::{Batch, QueueId};
use crate::base::limits::STORE_BUFFER_KEPT;
use crate::broker::store::Record;
use crate::broker::traffic::CommitTraffic;
use crate::broker::weight::Gone;

/// How many of those who came last are looked at for one who waits already:
/// a connection asks again after everything it reads.
const WAITING_LOOKED_AT: usize = 16;

/// A frame that has this many octets is ended before the next append: who
/// wants a message back reads a whole frame.
const FRAME_FULL: usize = 128 * 1024;

/// What appenders and the committer share.
#[derive(Debug)]
pub(super) struct Gather {
    pending: Mutex<Pending>,
    arrived: Condvar,
    /// Octets gathered and not yet taken.
    gathered: AtomicUsize,
    /// Octets taken and not yet synced.
    taken: AtomicUsize,
    synced: AtomicU64,
    waiting: Mutex<Vec<(Batch, Waker)>>,
    disk_full: AtomicBool,
    commits: CommitTraffic,
}

/// A batch on its way to the disk.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The frames, to be sealed where they are.
    pub(super) frames: Frames,
    /// The batch, unless nothing was appended.
    pub(super) batch: Option<Batch>,
    /// When the first of its records came, and how many there are.
    pub(super) since: Option<Stopwatch>,
    pub(super) records: usize,
    /// Messages to be written again.
    pub(super) moves: Option<Moves>,
}

/// Frames being put together, one behind the other in one buffer.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pub(super) octets: Vec<u8>,
    /// Where the frames are that are done, without their padding.
    pub(super) done: Vec<Range<usize>>,
    /// Where the one starts that records are added to.
    start: usize,
}

#[derive(Debug)]
struct Pending {
    frames: Frames,
    /// Settled positions that will become one record.
    run: Option<Run>,
    moves: Option<Moves>,
    /// The committer is to have a look, though there is nothing to write.
    nudged: bool,
    /// The number of the batch being gathered.
    /// When the first record of the batch came, and how many there are.
    since: Option<Stopwatch>,
    records: usize,
    batch: u64,
    /// The committer sleeps until somebody appends.
    idle: bool,
    /// Nothing more is taken in.
    closed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    queue: QueueId,
    first: u64,
    last: u64,
    gone: Gone,
}

impl Gather {
    pub(super) fn new() -> Self {
        Self {
            pending: Mutex::new(Pending {
                frames: Frames::new(),
                run: None,
                moves: None,
                nudged: false,
                since: None,
                records: 0,
                batch: 1,
                idle: false,
                closed: false,
            }),
            arrived: Condvar::new(),
            gathered: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            synced: AtomicU64::new(0),
            waiting: Mutex::new(Vec::new()),
            disk_full: AtomicBool::new(false),
            commits: CommitTraffic::default(),
        }
    }

    /// Adds records to the batch being gathered, all to the same frame. After
    /// [`Gather::close`] they are dropped, and the batch returned is never synced.
    pub(super) fn append(&self, records: &[Record<'_>]) -> Batch {
        let mut pending = self.pending.lock();
        if records.is_empty() && pending.is_empty() {
            return Batch(pending.batch - 1);
        }
        let batch = Batch(pending.batch);
        if pending.closed {
            return batch;
        }
        if pending.frames.current_len() >= FRAME_FULL {
            pending.end_run();
            pending.frames.end();
        }
        // One look at the clock a batch.
        pending.since.get_or_insert_with(Stopwatch::start);
        pending.records += records.len();
        for record in records {
            pending.put(record);
        }
        self.gathered
            .store(pending.frames.octets.len(), Ordering::Relaxed);
        let wake = std::mem::take(&mut pending.idle);
        drop(pending);
        if wake {
            self.arrived.notify_one();
        }
        batch
    }

    /// Hands messages over that are to be written again. What was handed over
    /// before has to be taken by now.
    pub(super) fn offer(&self, moves: Moves) {
        let mut pending = self.pending.lock();
        pending.moves = Some(moves);
        pending.idle = false;
        drop(pending);
        self.arrived.notify_one();
    }

    /// Has the committer look at the state of the log.
    pub(super) fn nudge(&self) {
        let mut pending = self.pending.lock();
        pending.nudged = true;
        pending.idle = false;
        drop(pending);
        self.arrived.notify_one();
    }

    /// Waits for records and takes all there are. `frames`, whose content is
    /// dropped, is used for the next. `None` when closed and nothing is left.
    pub(super) fn take(&self, mut frames: Frames) -> Option<Taken> {
        frames.clear();
        let mut pending = self.pending.lock();
        while pending.is_empty() && pending.moves.is_none() && !pending.nudged {
            if pending.closed {
                return None;
            }
            pending.idle = true;
            self.arrived.wait(&mut pending);
        }
        pending.nudged = false;
        let moves = pending.moves.take();
        if pending.is_empty() {
            return Some(Taken {
                frames,
                batch: None,
                since: None,
                records: 0,
                moves,
            });
        }
        pending.end_run();
        pending.frames.end();
        std::mem::swap(&mut pending.frames, &mut frames);
        let batch = Batch(pending.batch);
        pending.batch += 1;
        self.gathered.store(0, Ordering::Relaxed);
        self.taken.store(frames.octets.len(), Ordering::Relaxed);
        Some(Taken {
            frames,
            batch: Some(batch),
            since: pending.since.take(),
            records: std::mem::take(&mut pending.records),
            moves,
        })
    }

    /// Takes in nothing more; what was gathered can still be taken.
    pub(super) fn close(&self) {
        self.pending.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Whether the store is being closed.
    pub(super) fn is_closed(&self) -> bool {
        self.pending.lock().closed
    }

    /// Takes in nothing more and drops what was gathered: it can't be kept.
    pub(super) fn abandon(&self) {
        let mut pending = self.pending.lock();
        pending.closed = true;
        pending.run = None;
        pending.frames.clear();
    }

    /// Octets appended and not yet synced.
    pub(super) fn pending_bytes(&self) -> usize {
        self.gathered.load(Ordering::Relaxed) + self.taken.load(Ordering::Relaxed)
    }

    pub(super) fn synced(&self) -> Batch {
        Batch(self.synced.load(Ordering::Acquire))
    }

    /// Makes it known that `batch` and all before it are on disk.
    pub(super) fn publish_synced(&self, batch: Batch) {
        self.taken.store(0, Ordering::Relaxed);
        self.synced.store(batch.0, Ordering::Release);
        let mut waiting = self.waiting.lock();
        let due: Vec<_> = waiting.extract_if(.., |entry| entry.0 <= batch).collect();
        drop(waiting);
        for (_, waker) in due {
            waker.wake();
        }
    }

    pub(super) fn wake_when_synced(&self, batch: Batch, waker: &Waker) {
        if self.synced() < batch {
            let mut waiting = self.waiting.lock();
            // Looked at again under the lock that the committer takes after it
            // moved on: it either sees the waker or is seen here.
            if self.synced() < batch {
                let latest = waiting.iter().rev().take(WAITING_LOOKED_AT);
                let mut same = latest.filter(|entry| entry.0 == batch);
                if !same.any(|(_, other)| other.will_wake(waker)) {
                    waiting.push((batch, waker.clone()));
                }
                return;
            }
        }
        waker.wake_by_ref();
    }

    /// What was put on disk.
    pub(super) fn commits(&self) -> &CommitTraffic {
        &self.commits
    }

    pub(super) fn disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Relaxed)
    }

    pub(super) fn set_disk_full(&self, full: bool) {
        self.disk_full.store(full, Ordering::Relaxed);
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.run.is_none()
    }

    fn put(&mut self, record: &Record<'_>) {
        if let Record::Settle {
            queue,
            first,
            last,
            gone,
        } = *record
        {
            // Nothing about a message comes after its settling, so that may wait.
            return self.settle(queue, first.0, last.0, gone);
        }
        let out = &mut self.frames.octets;
        match *record {
            Record::Publish {
                queue,
                position,
                message,
                deadline,
                delivered,
            } => {
                let published = Published {
                    deadline,
                    delivered,
                    ..Published::new(queue, position, message)
                };
                records::put_publish(out, &published);
            }
            Record::Deliver { queue, up_to } => records::put_deliver(out, queue, up_to),
            Record::Return {
                queue,
                position,
                attempts,
            } => records::put_return(out, queue, position, attempts),
            Record::Topology(change) => records::put_topology(out, change),
            Record::Settle { .. } => {}
        }
    }

    fn settle(&mut self, queue: QueueId, first: u64, last: u64, gone: Gone) {
        match &mut self.run {
            Some(run)
                if run.queue == queue
                    && run.last.checked_add(1) == Some(first)
                    && run.gone.messages > 0
                    && gone.messages > 0 =>
            {
                run.last = last;
                run.gone += gone;
            }
            _ => {
                self.end_run();
                self.run = Some(Run {
                    queue,
                    first,
                    last,
                    gone,
                });
            }
        }
    }

    fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            let out = &mut self.frames.octets;
            records::put_settle(out, run.queue, run.first, run.last, run.gone);
        }
    }
}

impl Frames {
    /// No frames, and room for the head of the first.
    pub(super) fn new() -> Self {
        let mut frames = Self::default();
        frames.clear();
        frames
    }

    /// Octets of records in the frame that records are added to.
    fn current_len(&self) -> usize {
        self.octets.len() - self.start - frame::HEAD_LEN
    }

    fn is_empty(&self) -> bool {
        self.done.is_empty() && self.current_len() == 0
    }

    /// Ends the frame that records are added to if it has enough of them.
    pub(super) fn end_if_full(&mut self) {
        if self.current_len() >= FRAME_FULL {
            self.end();
        }
    }

    /// Ends the frame that records were added to, if there are any, and begins
    /// the next.
    pub(super) fn end(&mut self) {
        if self.current_len() == 0 {
            return;
        }
        self.done.push(self.start..self.octets.len());
        let padded = self.octets.len().next_multiple_of(frame::ALIGNMENT);
        self.start = padded;
        self.octets.resize(padded + frame::HEAD_LEN, 0);
    }

    /// Empties it; gives back the memory of a burst.
    pub(super) fn clear(&mut self) {
        self.octets.clear();
        self.octets.shrink_to(STORE_BUFFER_KEPT);
        self.octets.resize(frame::HEAD_LEN, 0);
        self.done.clear();
        self.start = 0;
    }

    /// The records of a frame that is done.
    pub(super) fn records(&self, frame: &Range<usize>) -> &[u8] {
        &self.octets[frame.start + frame::HEAD_LEN..frame.end]
    }
}
