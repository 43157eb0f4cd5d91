//! How much of their backlogs queues keep in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::limits::{
    QUEUE_PAGE, QUEUE_PAGE_SCARCE, QUEUE_RESIDENT_HIGH, QUEUE_RESIDENT_HIGH_SCARCE,
    RESIDENT_BUDGET, RESIDENT_STEP,
};

/// What one queue goes by, octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// More than this of stored messages isn't kept: the back is left to the
    /// store, down to half of it.
    pub high: u64,
    /// What is read back at a time. A queue asks for more when it is down to
    /// half of it.
    pub page: u64,
}

/// What all queues of a broker go by, and what they have in memory together.
///
/// A queue tells how much it has in steps, so that a message rarely costs an
/// operation on memory shared with others.
#[derive(Debug)]
pub struct Residency {
    roomy: Marks,
    scarce: Marks,
    budget: u64,
    step: u64,
    resident: AtomicU64,
}

impl Residency {
    /// Queues go by `roomy` while they have less than `budget` octets in memory
    /// together, by `scarce` otherwise; each tells of changes over `step` octets.
    pub fn new(roomy: Marks, scarce: Marks, budget: u64, step: u64) -> Self {
        Self {
            roomy,
            scarce,
            budget,
            step,
            resident: AtomicU64::new(0),
        }
    }

    /// What queues have told that they have in memory, octets.
    pub fn resident(&self) -> u64 {
        self.resident.load(Ordering::Relaxed)
    }
}

impl Default for Residency {
    fn default() -> Self {
        let roomy = Marks {
            high: QUEUE_RESIDENT_HIGH,
            page: QUEUE_PAGE,
        };
        let scarce = Marks {
            high: QUEUE_RESIDENT_HIGH_SCARCE,
            page: QUEUE_PAGE_SCARCE,
        };
        Self::new(roomy, scarce, RESIDENT_BUDGET, RESIDENT_STEP)
    }
}

/// What one queue has in memory of its stored messages.
#[derive(Debug)]
pub(super) struct Share {
    residency: Arc<Residency>,
    octets: u64,
    told: u64,
}

impl Share {
    pub(super) fn new(residency: Arc<Residency>) -> Self {
        Self {
            residency,
            octets: 0,
            told: 0,
        }
    }

    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    pub(super) fn add(&mut self, octets: u64) {
        self.octets += octets;
        if self.octets >= self.told + self.residency.step {
            self.tell();
        }
    }

    pub(super) fn sub(&mut self, octets: u64) {
        self.octets = self.octets.saturating_sub(octets);
        if self.octets + self.residency.step <= self.told {
            self.tell();
        }
    }

    /// What the queue goes by now.
    pub(super) fn marks(&self) -> Marks {
        if self.residency.resident() < self.residency.budget {
            self.residency.roomy
        } else {
            self.residency.scarce
        }
    }

    /// Whether this is more than the queue should have.
    pub(super) fn is_over(&self) -> bool {
        self.octets > self.residency.scarce.high && self.octets > self.marks().high
    }

    fn tell(&mut self) {
        let resident = &self.residency.resident;
        if self.octets > self.told {
            resident.fetch_add(self.octets - self.told, Ordering::Relaxed);
        } else {
            resident.fetch_sub(self.told - self.octets, Ordering::Relaxed);
        }
        self.told = self.octets;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.octets = 0;
        self.tell();
    }
}
