//! Messages that came back and wait before they are tried again
//! (`semantics` 10, delayed retry).

use std::collections::BTreeMap;
use std::ops::Bound;

use super::backlog::Entry;
use super::browse::Place;
use crate::broker::attempts::Attempts;
use crate::broker::weight::Weight;
use crate::wire::{FieldTable, FieldValue};

/// Which messages that come back have to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delayed {
    /// All of them.
    All,
    /// Those whose attempt failed.
    Failed,
    /// Those that were given back without a failure.
    Returned,
}

/// How long a message waits that came back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DelayedRetry {
    /// Which ones wait.
    pub which: Delayed,
    /// Milliseconds after the first failure.
    pub min: u64,
    /// Milliseconds at most, and no less than `min`.
    pub max: u64,
    /// By what the time grows with each failure. Without it, it grows by `min`
    /// each time, as RabbitMQ has it.
    pub multiplier: Option<f64>,
    /// Which part of the time is left to chance, from 0 to 1, so that messages
    /// that failed together aren't tried again together.
    pub jitter: f64,
}

impl DelayedRetry {
    /// Reads the arguments `x-delayed-retry-*`.
    pub fn from_arguments(arguments: &FieldTable) -> Option<Self> {
        let which = match arguments.get("x-delayed-retry-type")?.as_str()? {
            "all" => Delayed::All,
            "failed" => Delayed::Failed,
            "returned" => Delayed::Returned,
            _ => return None,
        };
        let ms = |name| {
            let ms = arguments.get(name).and_then(FieldValue::as_i64);
            ms.and_then(|ms| u64::try_from(ms).ok())
        };
        let min = ms("x-delayed-retry-min").unwrap_or_default();
        let max = ms("x-delayed-retry-max").unwrap_or(min);
        let multiplier = arguments.get("x-delayed-retry-multiplier");
        let jitter = arguments.get("x-delayed-retry-jitter");
        Some(Self {
            which,
            // Where the two are at odds, nothing waits longer than it may.
            min: min.min(max),
            max,
            multiplier: multiplier.and_then(FieldValue::as_f64),
            jitter: jitter.and_then(FieldValue::as_f64).unwrap_or_default(),
        })
    }

    /// Milliseconds that a message has to wait that fared like this. `chance`
    /// is any number that differs from message to message.
    pub fn delay(&self, attempts: Attempts, chance: u64) -> u64 {
        let failed = attempts.cause.is_some_and(|cause| cause.is_failure());
        let waits = match self.which {
            Delayed::All => true,
            Delayed::Failed => failed,
            Delayed::Returned => !failed,
        };
        if !waits {
            return 0;
        }
        let failures = u64::from(attempts.failures).max(1);
        let delay = match self.multiplier {
            None => self.min.saturating_mul(failures),
            // Saturates where it grows out of all bounds.
            Some(by) => (self.min as f64 * by.powf((failures - 1) as f64)) as u64,
        };
        let delay = delay.clamp(self.min, self.max);
        delay - (delay as f64 * self.jitter * unit(chance)) as u64
    }
}

/// A number from 0 to 1 that looks random, always the same for the same seed
/// (SplitMix64; Steele, Lea, Flood 2014).
fn unit(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as f64 / u64::MAX as f64
}

/// When a message is tried again, and who of several comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetryKey {
    /// The time, milliseconds since 1970.
    pub due: u64,
    /// Its number among all that ever waited.
    pub serial: u64,
}

/// The messages that wait, by when they are to be tried again.
#[derive(Debug, Default)]
pub struct Retries {
    waiting: BTreeMap<RetryKey, Entry>,
    serial: u64,
    weight: Weight,
}

impl Retries {
    /// How many wait.
    pub fn len(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// What they weigh.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// Keeps a message until `due`.
    pub fn keep(&mut self, due: u64, entry: Entry) {
        self.serial += 1;
        self.weight += entry.weight();
        let serial = self.serial;
        self.waiting.insert(RetryKey { due, serial }, entry);
    }

    /// When the first one is to be tried again.
    pub fn next_due(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|(key, _)| key.due)
    }

    /// Those from a key on, by when they are tried.
    pub fn after(&self, after: Bound<RetryKey>) -> impl Iterator<Item = (RetryKey, &Entry)> {
        let waiting = self.waiting.range((after, Bound::Unbounded));
        waiting.map(|(key, entry)| (*key, entry))
    }

    /// Takes out the one that waits under `key`, if that is it.
    pub fn remove(&mut self, key: RetryKey, place: Place) -> Option<Entry> {
        self.waiting.get(&key).filter(|e| Place::of(e) == place)?;
        let entry = self.waiting.remove(&key)?;
        self.weight = self.weight.without(entry.weight());
        Some(entry)
    }

    /// Takes out those that have waited long enough.
    pub fn take_due(&mut self, now: u64) -> Vec<Entry> {
        let mut due = Vec::new();
        while let Some(first) = self.waiting.first_entry() {
            if first.key().due > now {
                break;
            }
            let entry = first.remove();
            self.weight = self.weight.without(entry.weight());
            due.push(entry);
        }
        due
    }
}

/// Something that differs from message to message and from try to try.
pub(super) fn chance(entry: &Entry) -> u64 {
    entry.position.0 ^ u64::from(entry.attempts().returns) << 48
}
