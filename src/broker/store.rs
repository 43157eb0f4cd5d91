//! What the broker asks of whatever keeps its state.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use super::attempts::Attempts;
use super::change::Change;
use super::message::Message;
use super::traffic::CommitTraffic;
use super::weight::{Gone, Weight};
use crate::base::clock::Now;
use crate::base::ids::{Batch, Position, QueueId};

/// Something to be kept.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// A persistent message entered a durable queue.
    Publish {
        /// The queue.
        queue: QueueId,
        /// Its place there. Never used before in this queue.
        position: Position,
        /// The message.
        message: &'a Message,
        /// When it expires, milliseconds since 1970 by the wall clock.
        deadline: Option<u64>,
        /// It is handed out at once, as a [`Record::Deliver`] would say.
        delivered: bool,
    },
    /// Stored messages left their queue: acknowledged, dropped, dead-lettered,
    /// purged. Those in the range that weren't stored don't matter.
    Settle {
        /// The queue.
        queue: QueueId,
        /// The first place.
        first: Position,
        /// The last place, included.
        last: Position,
        /// What they were, all together.
        gone: Gone,
    },
    /// Everything up to a place was handed out before, as far as it is still there.
    Deliver {
        /// The queue.
        queue: QueueId,
        /// The last place handed out.
        up_to: Position,
    },
    /// A stored message came back to its queue.
    Return {
        /// The queue.
        queue: QueueId,
        /// Its place there.
        position: Position,
        /// How it has fared, this time included.
        attempts: Attempts,
    },
    /// What is declared changed.
    Topology(&'a Change),
}

impl Record<'static> {
    /// A stored message left its queue.
    pub fn settled(queue: QueueId, position: Position, message: &Message) -> Self {
        Self::Settle {
            queue,
            first: position,
            last: position,
            gone: Gone::one(message),
        }
    }
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

    /// Reads messages back and hands them to `load.receiver`, on a thread of
    /// the store's own: once, later, with no lock held.
    fn load(&self, load: Load);

    /// Octets appended and not synced yet. Where they pile up, those who append
    /// have to wait.
    fn pending_bytes(&self) -> usize {
        0
    }

    /// What it has put on disk, if it counts that.
    fn commits(&self) -> Option<&CommitTraffic> {
        None
    }

    /// Whether the disk is full, so that nothing is synced until there is room.
    fn is_disk_full(&self) -> bool {
        false
    }
}

/// Messages wanted back from the store.
#[derive(Debug)]
pub struct Load {
    /// The queue they are in.
    pub queue: QueueId,
    /// The first place wanted.
    pub from: Position,
    /// The last place wanted, included.
    pub to: Position,
    /// How much is wanted, in octets as [`Message::stored_len`] counts them. At
    /// least one message comes if there is one.
    pub bytes: usize,
    /// The last batch with messages of that range. It is waited for.
    pub batch: Batch,
    /// Who wants them.
    pub receiver: Arc<dyn Receiver>,
}

/// Somebody who wants messages back from the store.
pub trait Receiver: Debug + Send + Sync {
    /// Takes what was asked for, at the time `now`.
    fn receive(self: Arc<Self>, page: Page, now: Now);
}

/// The stored messages of a part of a queue, without those settled.
#[derive(Debug)]
pub struct Page {
    /// Whose they are, as it was asked for.
    pub queue: QueueId,
    /// The first place looked at: what was asked for.
    pub from: Position,
    /// The last place looked at: what was asked for, or where it got too much.
    pub through: Position,
    /// The messages in between, by place.
    pub messages: Vec<Stored>,
}

/// A message read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub position: Position,
    /// The message.
    pub message: Message,
    /// When it expires, milliseconds since 1970 by the wall clock.
    pub deadline: Option<u64>,
    /// How it has fared in its queue.
    pub attempts: Attempts,
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

    fn load(&self, load: Load) {
        let nothing = Page {
            queue: load.queue,
            from: load.from,
            through: load.to,
            messages: Vec::new(),
        };
        load.receiver.receive(nothing, Now::default());
    }
}

/// What a store held when it was opened.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The changes that lead from nothing to what was declared, in order.
    pub changes: Vec<Change>,
    /// What is left of the durable queues. One without an entry never held
    /// anything that is still on disk.
    pub queues: Vec<(QueueId, Remainder)>,
    /// The highest queue number ever given out.
    pub last_queue_id: QueueId,
}

/// What a store holds of a queue. The messages themselves are read back with
/// [`Store::load`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remainder {
    /// Messages.
    pub messages: u64,
    /// What they take, the sum of [`Message::stored_len`].
    pub bytes: u64,
    /// What they weigh.
    pub weight: Weight,
    /// The place of the first message.
    pub first: Position,
    /// The highest place in use or used before: new ones come after it.
    pub last: Position,
    /// Messages up to this place were handed out before.
    pub delivered: Position,
}
