//! Where records are gathered until the committer takes them, and where those
//! who wait for the disk are woken.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

use parking_lot::{Condvar, Mutex};

use super::{codec, frame};
use crate::base::ids::{Batch, QueueId};
use crate::base::limits::STORE_BUFFER_KEPT;
use crate::broker::store::Record;

/// How many of those who came last are looked at for one who waits already:
/// a connection asks again after everything it reads.
const WAITING_LOOKED_AT: usize = 16;

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
}

#[derive(Debug)]
struct Pending {
    /// The frame being gathered: room for its head, then records.
    buffer: Vec<u8>,
    /// Settled positions that will become one record.
    run: Option<Run>,
    /// The number of the batch being gathered.
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
}

impl Gather {
    pub(super) fn new() -> Self {
        Self {
            pending: Mutex::new(Pending {
                buffer: vec![0; frame::HEAD_LEN],
                run: None,
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
        }
    }

    /// Adds records to the batch being gathered. After [`Gather::close`] they
    /// are dropped, and the batch returned is never synced.
    pub(super) fn append(&self, records: &[Record<'_>]) -> Batch {
        let mut pending = self.pending.lock();
        if records.is_empty() && pending.is_empty() {
            return Batch(pending.batch - 1);
        }
        let batch = Batch(pending.batch);
        if pending.closed {
            return batch;
        }
        for record in records {
            pending.put(record);
        }
        self.gathered.store(pending.len(), Ordering::Relaxed);
        let wake = std::mem::take(&mut pending.idle);
        drop(pending);
        if wake {
            self.arrived.notify_one();
        }
        batch
    }

    /// Waits for records and takes all there are: `buffer`, whose content is
    /// dropped, is swapped for a frame to be sealed. `None` when closed and
    /// nothing is left.
    pub(super) fn take(&self, buffer: &mut Vec<u8>) -> Option<Batch> {
        reset(buffer);
        let mut pending = self.pending.lock();
        while pending.is_empty() {
            if pending.closed {
                return None;
            }
            pending.idle = true;
            self.arrived.wait(&mut pending);
        }
        pending.end_run();
        std::mem::swap(&mut pending.buffer, buffer);
        let batch = Batch(pending.batch);
        pending.batch += 1;
        self.gathered.store(0, Ordering::Relaxed);
        self.taken.store(buffer.len(), Ordering::Relaxed);
        Some(batch)
    }

    /// Takes in nothing more; what was gathered can still be taken.
    pub(super) fn close(&self) {
        self.pending.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Takes in nothing more and drops what was gathered: it can't be kept.
    pub(super) fn abandon(&self) {
        let mut pending = self.pending.lock();
        pending.closed = true;
        pending.run = None;
        reset(&mut pending.buffer);
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

    pub(super) fn disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Relaxed)
    }

    pub(super) fn set_disk_full(&self, full: bool) {
        self.disk_full.store(full, Ordering::Relaxed);
    }
}

impl Pending {
    fn len(&self) -> usize {
        self.buffer.len() - frame::HEAD_LEN
    }

    fn is_empty(&self) -> bool {
        self.len() == 0 && self.run.is_none()
    }

    fn put(&mut self, record: &Record<'_>) {
        if let Record::Settle {
            queue, first, last, ..
        } = *record
        {
            for position in first.0..=last.0 {
                self.settle(queue, position);
            }
            return;
        }
        self.end_run();
        match *record {
            Record::Publish {
                queue,
                position,
                message,
                ..
            } => codec::put_publish(&mut self.buffer, queue, position, message),
            Record::Topology(change) => codec::put_topology(&mut self.buffer, change),
            Record::Settle { .. } | Record::Deliver { .. } | Record::Return { .. } => {}
        }
    }

    fn settle(&mut self, queue: QueueId, position: u64) {
        match &mut self.run {
            Some(run) if run.queue == queue && run.last + 1 == position => run.last = position,
            _ => {
                self.end_run();
                self.run = Some(Run {
                    queue,
                    first: position,
                    last: position,
                });
            }
        }
    }

    fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            codec::put_settle(&mut self.buffer, run.queue, run.first, run.last);
        }
    }
}

/// Empties a buffer but for the room of a frame's head; gives back the memory
/// of a burst.
fn reset(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(STORE_BUFFER_KEPT);
    buffer.resize(frame::HEAD_LEN, 0);
}
