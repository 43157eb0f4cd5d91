//! What has passed: messages counted where they pass.
//!
//! Nothing here costs a message more than an addition: queues count under
//! their lock, which is held anyway, and what has no lock is counted over a
//! batch of work before it is added up for all.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::queue::DeathReason;
use crate::base::histogram::Histogram;

/// What passed a queue since it was started, in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueTraffic {
    /// Came in, or went by to a consumer that was waiting.
    pub published: u64,
    /// Handed to consumers that acknowledge.
    pub delivered: u64,
    /// Handed to consumers that don't.
    pub delivered_no_ack: u64,
    /// Handed to who asked for one and acknowledges it.
    pub got: u64,
    /// Handed to who asked for one and doesn't.
    pub got_no_ack: u64,
    /// Asked for while there was none.
    pub get_empty: u64,
    /// Of those handed out, the ones that had been handed out before.
    pub redelivered: u64,
    /// Acknowledged.
    pub acknowledged: u64,
    /// Came back: rejected, or held by a channel that closed.
    pub returned: u64,
    /// Given to the store.
    pub stored: u64,
    /// Read back from the store.
    pub read_back: u64,
    /// Died, whether or not they were dead-lettered, in the order of
    /// [`DeathReason::DEATHS`].
    pub died: [u64; DeathReason::DEATHS.len()],
}

impl QueueTraffic {
    /// Counts a message that died.
    pub fn note_death(&mut self, reason: DeathReason) {
        if let Some(died) = self.died.get_mut(reason as usize) {
            *died += 1;
        }
    }

    /// Counts one that is handed to a consumer.
    #[inline(always)]
    pub fn note_delivery(&mut self, no_ack: bool, redelivered: bool) {
        if no_ack {
            self.delivered_no_ack += 1;
        } else {
            self.delivered += 1;
        }
        self.redelivered += u64::from(redelivered);
    }

    /// Counts one that is handed to who asked for it.
    pub fn note_get(&mut self, no_ack: bool, redelivered: bool) {
        if no_ack {
            self.got_no_ack += 1;
        } else {
            self.got += 1;
        }
        self.redelivered += u64::from(redelivered);
    }
}

impl AddAssign for QueueTraffic {
    fn add_assign(&mut self, other: Self) {
        self.published += other.published;
        self.delivered += other.delivered;
        self.delivered_no_ack += other.delivered_no_ack;
        self.got += other.got;
        self.got_no_ack += other.got_no_ack;
        self.get_empty += other.get_empty;
        self.redelivered += other.redelivered;
        self.acknowledged += other.acknowledged;
        self.returned += other.returned;
        self.stored += other.stored;
        self.read_back += other.read_back;
        for (died, others) in self.died.iter_mut().zip(other.died) {
            *died += others;
        }
    }
}

/// What passed all queues there ever were since the broker was started.
#[derive(Debug, Default)]
pub struct QueueTotals {
    /// Queues that declarations named, whether or not they were there.
    declared: AtomicU64,
    created: AtomicU64,
    deleted: AtomicU64,
    /// What passed those that are gone: classic ones, quorum ones.
    gone: Mutex<[QueueTraffic; 2]>,
}

impl QueueTotals {
    /// Counts a declaration, and whether it made the queue.
    pub fn note_declared(&self, created: bool) {
        self.declared.fetch_add(1, Ordering::Relaxed);
        self.created.fetch_add(created.into(), Ordering::Relaxed);
    }

    /// Keeps what passed a queue that is deleted.
    pub(super) fn bury(&self, is_quorum: bool, traffic: QueueTraffic) {
        self.deleted.fetch_add(1, Ordering::Relaxed);
        self.gone.lock()[usize::from(is_quorum)] += traffic;
    }

    /// Declarations of queues, queues made by them, queues deleted.
    pub fn churn(&self) -> [u64; 3] {
        [&self.declared, &self.created, &self.deleted].map(|count| count.load(Ordering::Relaxed))
    }

    /// What passed the queues that are gone: classic ones, quorum ones.
    pub fn gone(&self) -> [QueueTraffic; 2] {
        *self.gone.lock()
    }
}

/// Microseconds, from 0.1 ms to 10 s.
const DURATIONS_US: &[u64] = &[
    100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];

/// Records of one batch.
const BATCH_SIZES: &[u64] = &[
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000,
];

/// What a store has put on disk since it was opened.
#[derive(Debug)]
pub struct CommitTraffic {
    /// How long each sync took, microseconds.
    pub syncs: Histogram,
    /// How long after its first record each batch was on disk, microseconds: the
    /// longest that a publisher waited for one of its confirms.
    pub waits: Histogram,
    /// Records of each batch.
    pub batches: Histogram,
    octets: AtomicU64,
}

impl Default for CommitTraffic {
    fn default() -> Self {
        Self {
            syncs: Histogram::new(DURATIONS_US),
            waits: Histogram::new(DURATIONS_US),
            batches: Histogram::new(BATCH_SIZES),
            octets: AtomicU64::new(0),
        }
    }
}

impl CommitTraffic {
    /// Octets written.
    pub fn octets(&self) -> u64 {
        self.octets.load(Ordering::Relaxed)
    }

    /// Counts octets written.
    pub fn add_octets(&self, octets: u64) {
        self.octets.fetch_add(octets, Ordering::Relaxed);
    }
}

/// What passed an exchange since it was declared or restored, in messages.
#[derive(Debug, Default)]
pub struct ExchangeTraffic {
    published: AtomicU64,
    routed: AtomicU64,
}

impl ExchangeTraffic {
    /// Adds messages that were published to it, and to how many queues they
    /// went all together.
    pub fn add(&self, published: u64, routed: u64) {
        self.published.fetch_add(published, Ordering::Relaxed);
        self.routed.fetch_add(routed, Ordering::Relaxed);
    }

    /// Messages published to it.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Messages that queues got of those, one that went to two counted twice.
    pub fn routed(&self) -> u64 {
        self.routed.load(Ordering::Relaxed)
    }
}
