//! The past of one object's counters.

use serde_json::{Value, json};

use super::{Series, Span, Subject};
use crate::base::limits::SAMPLE_INTERVAL;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// How far apart and how far back, as RabbitMQ keeps it of the whole: ten
/// minutes, an hour, eight hours, a day. Of single objects the first two.
const SPANS: [(u64, u64); 4] = [
    (0, 10 * MINUTE),
    (MINUTE, HOUR),
    (10 * MINUTE, 8 * HOUR),
    (30 * MINUTE, 24 * HOUR),
];

/// The past of one object's counters.
#[derive(Debug)]
pub struct Track {
    /// A series for each span.
    series: Vec<Series>,
    last: Box<[u64]>,
    /// When they changed last.
    changed: u64,
    /// By how much a second, then.
    rates: Box<[f32]>,
}

impl Track {
    /// Counters that have just been looked at for the first time. Unless they
    /// were so `before`, they have moved from zero.
    pub fn new(subject: &Subject, at: u64, values: Vec<u64>, before: bool) -> Self {
        let spans = if *subject == Subject::Node { 4 } else { 2 };
        let base = if before {
            values.clone()
        } else {
            vec![0; values.len()]
        };
        let start = at.saturating_sub(SAMPLE_INTERVAL.as_millis() as u64);
        let series = SPANS.iter().take(spans);
        let mut track = Self {
            series: series
                .map(|(interval, retention)| Series::new(*interval, *retention, start, &base))
                .collect(),
            rates: vec![0.0; base.len()].into(),
            last: base.into(),
            changed: start,
        };
        track.record(at, &values);
        track
    }

    /// Takes what the counters are now.
    pub fn record(&mut self, at: u64, values: &[u64]) {
        for series in &mut self.series {
            series.record(at, values);
        }
        if *self.last == *values {
            return;
        }
        let seconds = SAMPLE_INTERVAL.as_secs_f32();
        let changes = values.iter().zip(&self.last);
        for (rate, (value, last)) in self.rates.iter_mut().zip(changes) {
            *rate = value.wrapping_sub(*last) as i64 as f32 / seconds;
        }
        self.last.copy_from_slice(values);
        self.changed = at;
    }

    /// Forgets what is too long ago, the time kept halved so often.
    pub fn trim(&mut self, now: u64, halvings: u32) {
        for series in &mut self.series {
            series.trim(now, halvings);
        }
    }

    /// Octets it takes.
    pub fn octets(&self) -> usize {
        let series: usize = self.series.iter().map(Series::octets).sum();
        series + size_of::<Self>() + size_of_val(&*self.last) + size_of_val(&*self.rates)
    }

    /// How fast a counter moved up to the sweep at `now`, per second.
    pub fn rate(&self, counter: usize, now: u64) -> f64 {
        if self.changed != now {
            return 0.0;
        }
        let rate = self.rates.get(counter).copied().unwrap_or_default();
        (f64::from(rate) * 10.0).round() / 10.0
    }

    /// What RabbitMQ calls the details of a counter.
    pub fn details(&self, counter: usize, now: u64, span: Option<Span>) -> Value {
        let rate = self.rate(counter, now);
        let Some(span) = span else {
            return json!({ "rate": rate });
        };
        let age = span.age.as_millis() as u64;
        let reaching = |series: &&Series| series.retention() >= age;
        let series = self.series.iter().find(reaching).or(self.series.last());
        let samples = series.map(|series| series.at(counter, times(now, span)));
        sampled(rate, &samples.unwrap_or_default())
    }
}

/// The same of a counter that never moved.
pub fn nothing(value: u64, now: u64, span: Option<Span>) -> Value {
    let Some(span) = span else {
        return json!({ "rate": 0.0 });
    };
    let samples: Vec<_> = times(now, span).map(|time| (time, value)).collect();
    sampled(0.0, &samples)
}

/// The times of a span's samples, latest first, each a whole number of steps.
fn times(now: u64, span: Span) -> impl Iterator<Item = u64> {
    let step = (span.step.as_millis() as u64).max(1);
    let count = span.age.as_millis() as u64 / step;
    let latest = now - now % step.min(now.max(1));
    (0..=count).map(move |back| latest.saturating_sub(back * step))
}

fn sampled(rate: f64, samples: &[(u64, u64)]) -> Value {
    let list: Vec<_> = samples
        .iter()
        .map(|(at, value)| json!({ "sample": value, "timestamp": at }))
        .collect();
    let (Some((last_at, last)), Some((first_at, first))) = (samples.first(), samples.last()) else {
        return json!({ "rate": rate });
    };
    let moved = last.wrapping_sub(*first) as i64 as f64;
    let seconds = last_at.saturating_sub(*first_at) as f64 / 1000.0;
    let sum: f64 = samples.iter().map(|(_, value)| *value as f64).sum();
    json!({
        "rate": rate,
        "samples": list,
        "avg_rate": if seconds > 0.0 { moved / seconds } else { 0.0 },
        "avg": sum / samples.len() as f64,
    })
}
