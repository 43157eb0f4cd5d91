//! Counts of values by size, which many add to and anybody reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many buckets a histogram may have, the last one for what is larger than
/// all others.
const BUCKETS_MAX: usize = 24;

/// Counts of values by size.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    counts: [AtomicU64; BUCKETS_MAX],
    sum: AtomicU64,
}

/// What a histogram has counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The largest value of each bucket and how many values are not larger.
    pub up_to: Vec<(u64, u64)>,
    /// How many values there are.
    pub count: u64,
    /// What they add up to.
    pub sum: u64,
}

impl Histogram {
    /// One with buckets up to each of `bounds`, which ascend. Those beyond the
    /// first 23 are left out.
    pub fn new(bounds: &'static [u64]) -> Self {
        Self {
            bounds: bounds.get(..BUCKETS_MAX - 1).unwrap_or(bounds),
            counts: Default::default(),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a value.
    pub fn add(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What has been counted.
    pub fn counted(&self) -> Counted {
        let mut count = 0;
        let mut counts = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        let up_to = self.bounds.iter().zip(counts.by_ref());
        let up_to = up_to.map(|(bound, here)| {
            count += here;
            (*bound, count)
        });
        let up_to = up_to.collect();
        let beyond: u64 = counts.sum();
        Counted {
            up_to,
            count: count + beyond,
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_from_its_bucket_on() {
        let histogram = Histogram::new(&[10, 100]);
        for value in [0, 10, 11, 100, 101] {
            histogram.add(value);
        }
        let expected = Counted {
            up_to: vec![(10, 2), (100, 4)],
            count: 5,
            sum: 222,
        };
        assert_eq!(histogram.counted(), expected);
    }
}
