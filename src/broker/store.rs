//! What the broker asks of whatever keeps its state.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use super::change::Change;
use super::message::Message;
use crate::base::ids::{Batch, Position, QueueId};

/// Something to be kept.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// A persistent message entered a durable queue.
    Publish {
        /// The queue.
        queue: QueueId,
        /// Its place there.
        position: Position,
        /// The message.
        message: &'a Message,
    },
    /// A stored message left its queue: acknowledged, dropped, dead-lettered, purged.
    Settle {
        /// The queue.
        queue: QueueId,
        /// Its place there.
        position: Position,
    },
    /// What is declared changed.
    Topology(&'a Change),
}

/// A log that many append to and one thread makes durable, batch by batch.
///
/// Appending never waits for the disk. Records appended in one call are kept
/// together or not at all.
pub trait Store: Debug + Send + Sync {
    /// Appends `records` to the batch being gathered and returns its number.
    fn append(&self, records: &[Record<'_>]) -> Batch;

    /// The last batch that survives power loss, with all before it.
    fn synced(&self) -> Batch;

    /// Wakes `waker` once, when `batch` is synced; at once if it is already.
    fn wake_when_synced(&self, batch: Batch, waker: &Waker);

    /// Octets appended and not synced yet. Where they pile up, those who append
    /// have to wait.
    fn pending_bytes(&self) -> usize {
        0
    }

    /// Whether the disk is full, so that nothing is synced until there is room.
    fn is_disk_full(&self) -> bool {
        false
    }
}

/// A store that keeps nothing: for queues that don't survive a restart anyway,
/// and for tests. Every batch counts as synced when it is appended.
#[derive(Debug, Default)]
pub struct NullStore {
    batch: AtomicU64,
}

impl Store for NullStore {
    fn append(&self, _: &[Record<'_>]) -> Batch {
        Batch(self.batch.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn synced(&self) -> Batch {
        Batch(u64::MAX)
    }

    fn wake_when_synced(&self, _: Batch, waker: &Waker) {
        waker.wake_by_ref();
    }
}

/// What a store held when it was opened.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The changes that lead from nothing to what was declared, in order.
    pub changes: Vec<Change>,
    /// The messages of each durable queue, by place.
    pub messages: Vec<(QueueId, Vec<(Position, Message)>)>,
    /// The highest queue number ever given out.
    pub last_queue_id: QueueId,
}
