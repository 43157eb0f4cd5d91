//! What the threads of a run tell each other while it lasts.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Load, but nothing is measured yet.
    Warmup,
    /// Load, and it counts.
    Measure,
    /// No new messages; those on their way still arrive.
    Finish,
    /// Something failed: everyone stops.
    Abort,
}

/// Counters of a run. Each thread adds a batch at a time.
#[derive(Debug)]
pub struct Progress {
    phase: AtomicU8,
    /// Messages handed to the socket.
    pub published: AtomicU64,
    /// Messages confirmed by the broker.
    pub confirmed: AtomicU64,
    /// Messages that reached a consumer.
    pub delivered: AtomicU64,
    /// Nanoseconds that producers spent blocked by the broker, all together.
    pub blocked_ns: AtomicU64,
    /// How many different messages consumers will have got in the end;
    /// `u64::MAX` until the producers are done.
    pub expected: AtomicU64,
}

/// Nothing done yet.
impl Default for Progress {
    fn default() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Warmup as u8),
            published: AtomicU64::new(0),
            confirmed: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            blocked_ns: AtomicU64::new(0),
            expected: AtomicU64::new(u64::MAX),
        }
    }
}

impl Progress {
    /// Where the run stands.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Warmup,
            1 => Phase::Measure,
            2 => Phase::Finish,
            _ => Phase::Abort,
        }
    }

    /// Moves on to `phase`; never back.
    pub fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Relaxed);
    }
}
