//! How long messages took, as a histogram.

use hdrhistogram::Histogram;

/// The longest time told apart, nanoseconds: ten minutes.
const LONGEST_NS: u64 = 600_000_000_000;

/// Times from the intended sending to something, to three significant digits.
pub struct Latency {
    histogram: Histogram<u64>,
    /// Messages of one batch share their times: they are recorded as a run.
    run_ns: u64,
    run_len: u64,
}

/// An empty histogram.
impl Default for Latency {
    fn default() -> Self {
        Self {
            histogram: Histogram::new_with_bounds(1, LONGEST_NS, 3)
                .unwrap_or_else(|_| unreachable!("the bounds are constants that fit")),
            run_ns: 0,
            run_len: 0,
        }
    }
}

impl Latency {
    /// Records that a message meant to go out at `sent_ns` got there at `now_ns`.
    pub fn record(&mut self, sent_ns: u64, now_ns: u64) {
        let taken_ns = now_ns.saturating_sub(sent_ns);
        if taken_ns != self.run_ns {
            self.end_run();
            self.run_ns = taken_ns;
        }
        self.run_len += 1;
    }

    fn end_run(&mut self) {
        if self.run_len > 0 {
            let taken_ns = self.run_ns.clamp(1, LONGEST_NS);
            self.histogram.saturating_record_n(taken_ns, self.run_len);
            self.run_len = 0;
        }
    }

    /// What was recorded; nothing if there was nothing.
    pub fn summary(mut self) -> Option<LatencySummary> {
        self.end_run();
        if self.histogram.is_empty() {
            return None;
        }
        let at = |quantile| us(self.histogram.value_at_quantile(quantile));
        Some(LatencySummary {
            count: self.histogram.len(),
            mean: self.histogram.mean() / 1000.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: us(self.histogram.max()),
        })
    }
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

/// Percentiles, all in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct LatencySummary {
    /// How many messages were measured.
    pub count: u64,
    /// The mean.
    pub mean: f64,
    /// Half took at most this.
    pub p50: f64,
    /// Nine in ten took at most this.
    pub p90: f64,
    /// 99 in a hundred took at most this.
    pub p99: f64,
    /// 999 in a thousand took at most this.
    pub p999: f64,
    /// None took longer.
    pub max: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_count_every_message() {
        let mut latency = Latency::default();
        for _ in 0..99 {
            latency.record(1_000, 101_000);
        }
        latency.record(0, 5_000_000);
        let summary = latency.summary().expect("a hundred");
        assert_eq!(summary.count, 100);
        assert!((summary.p50 - 100.0).abs() < 1.0, "{summary:?}");
        assert!((summary.max - 5_000.0).abs() < 10.0, "{summary:?}");
    }

    #[test]
    fn nothing_recorded_has_no_percentiles() {
        assert!(Latency::default().summary().is_none());
    }
}
