//! What counters were over a span of time, in few octets.

use std::collections::VecDeque;

/// What some counters were over a span of time, put down when they changed.
///
/// ```text
///   base, at some time --step--> changed --step--> changed ...  --> last
///   step: milliseconds since the one before | which changed | by how much each
/// ```
///
/// All of it is numbers of seven bits an octet, so a step of a few counters
/// that move by hundreds takes some ten octets. Nothing changed is no step.
#[derive(Debug, Clone)]
pub struct Series {
    /// The least time between steps, milliseconds.
    interval: u64,
    /// How far back they go, milliseconds.
    retention: u64,
    /// When the counters began to be `base`, milliseconds since 1970.
    base_at: u64,
    base: Box<[u64]>,
    last_at: u64,
    last: Box<[u64]>,
    steps: VecDeque<u8>,
}

impl Series {
    /// Counters that were `base` at a time.
    pub fn new(interval: u64, retention: u64, at: u64, base: &[u64]) -> Self {
        Self {
            interval,
            retention,
            base_at: at,
            base: base.into(),
            last_at: at,
            last: base.into(),
            steps: VecDeque::new(),
        }
    }

    /// How far back it goes, milliseconds.
    pub fn retention(&self) -> u64 {
        self.retention
    }

    /// Octets it takes.
    pub fn octets(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.base) * 2 + self.steps.capacity()
    }

    /// Puts down what the counters are now, if they changed and the last time is
    /// long enough ago.
    pub fn record(&mut self, at: u64, values: &[u64]) {
        if at < self.last_at.saturating_add(self.interval) || *values == *self.last {
            return;
        }
        put(&mut self.steps, at - self.last_at);
        let changed = values.iter().zip(&self.last).enumerate();
        let mask = changed
            .filter(|(_, (value, last))| value != last)
            .fold(0, |mask, (index, _)| mask | 1 << index);
        put(&mut self.steps, mask);
        for (value, last) in values.iter().zip(&mut self.last) {
            if value != last {
                put(&mut self.steps, zigzag(value.wrapping_sub(*last)));
                *last = *value;
            }
        }
        self.last_at = at;
    }

    /// Forgets what is longer ago than it goes back, the retention halved so often.
    pub fn trim(&mut self, now: u64, halvings: u32) {
        let kept = self.retention.checked_shr(halvings).unwrap_or_default();
        let since = now.saturating_sub(kept);
        loop {
            let mut reader = Reader {
                octets: &self.steps,
                at: 0,
            };
            let Some(at) = reader.number().map(|after| self.base_at + after) else {
                break;
            };
            if at > since {
                break;
            }
            reader.apply(&mut self.base);
            let read = reader.at;
            self.base_at = at;
            self.steps.drain(..read);
        }
        if self.steps.capacity() > 64 && self.steps.len() < self.steps.capacity() / 4 {
            self.steps.shrink_to(self.steps.len() * 2);
        }
    }

    /// What one counter was at each of some times, latest first. Before the
    /// series began it was what it was then.
    pub fn at(&self, counter: usize, times: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
        let mut known = Vec::new();
        let mut values = self.base.clone();
        let mut at = self.base_at;
        let value = |values: &[u64]| values.get(counter).copied().unwrap_or_default();
        known.push((at, value(&values)));
        let mut reader = Reader {
            octets: &self.steps,
            at: 0,
        };
        while let Some(after) = reader.number() {
            at += after;
            reader.apply(&mut values);
            known.push((at, value(&values)));
        }
        let mut latest = known.len() - 1;
        times
            .map(|time| {
                while latest > 0 && known.get(latest).is_some_and(|(at, _)| *at > time) {
                    latest -= 1;
                }
                (time, known.get(latest).map_or(0, |(_, value)| *value))
            })
            .collect()
    }
}

struct Reader<'a> {
    octets: &'a VecDeque<u8>,
    at: usize,
}

impl Reader<'_> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        let mut shift = 0;
        loop {
            let octet = *self.octets.get(self.at)?;
            self.at += 1;
            number |= u64::from(octet & 0x7f)
                .checked_shl(shift)
                .unwrap_or_default();
            if octet & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
    }

    /// Reads the rest of a step and applies it.
    fn apply(&mut self, values: &mut [u64]) {
        let mask = self.number().unwrap_or_default();
        for (index, value) in values.iter_mut().enumerate() {
            if mask & 1 << index != 0 {
                let delta = self.number().unwrap_or_default();
                *value = value.wrapping_add(unzigzag(delta));
            }
        }
    }
}

fn put(octets: &mut VecDeque<u8>, mut number: u64) {
    while number >= 0x80 {
        octets.push_back((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    octets.push_back(number as u8);
}

/// Small numbers for small changes, up or down.
fn zigzag(delta: u64) -> u64 {
    (delta << 1) ^ ((delta as i64 >> 63) as u64)
}

fn unzigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}
