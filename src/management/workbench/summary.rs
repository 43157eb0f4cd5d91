//! Why messages are where they are, in figures.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::letter::Letter;
use crate::management::fields;

/// Values told apart in a group; the rest is counted together.
const VALUES_MAX: usize = 500;
/// Characters of a value, so that a stack trace doesn't make a group of each line.
const VALUE_LEN_MAX: usize = 200;
/// Parts of the time line.
const BUCKETS: usize = 60;

/// Messages that have something in common.
#[derive(Debug, Default)]
struct Tally {
    count: u64,
    oldest: Option<u64>,
    newest: Option<u64>,
    example: String,
}

/// Messages by something they have.
#[derive(Debug, Default)]
struct Group {
    values: HashMap<String, Tally>,
    others: u64,
}

impl Group {
    fn count(&mut self, value: &str, letter: &Letter<'_>) {
        let value: String = value.chars().take(VALUE_LEN_MAX).collect();
        if self.values.len() >= VALUES_MAX && !self.values.contains_key(&value) {
            self.others += 1;
            return;
        }
        let tally = self.values.entry(value).or_default();
        if tally.count == 0 {
            tally.example = letter.seen.place().to_string();
        }
        tally.count += 1;
        if let Some(time) = letter.time() {
            tally.oldest = Some(tally.oldest.map_or(time, |oldest| oldest.min(time)));
            tally.newest = Some(tally.newest.map_or(time, |newest| newest.max(time)));
        }
    }

    /// The most frequent first.
    fn shown(&self) -> Value {
        let mut all: Vec<_> = self.values.iter().collect();
        all.sort_by(|(one, a), (other, b)| b.count.cmp(&a.count).then(one.cmp(other)));
        let shown = all.into_iter().map(|(value, tally)| {
            json!({
                "value": value,
                "count": tally.count,
                "oldest": tally.oldest,
                "newest": tally.newest,
                "example": tally.example,
            })
        });
        let mut shown: Vec<Value> = shown.collect();
        if self.others > 0 {
            shown.push(json!({ "value": null, "count": self.others }));
        }
        shown.into()
    }
}

/// Messages by when they came, in equal parts that grow with the time they span.
#[derive(Debug)]
struct TimeLine {
    /// Seconds of a part.
    width: u64,
    parts: BTreeMap<u64, u64>,
}

impl TimeLine {
    fn count(&mut self, time: u64) {
        *self.parts.entry(time / self.width).or_default() += 1;
        while self.span() > BUCKETS as u64 {
            self.width *= 2;
            for (at, count) in std::mem::take(&mut self.parts) {
                *self.parts.entry(at / 2).or_default() += count;
            }
        }
    }

    fn span(&self) -> u64 {
        let first = self.parts.first_key_value().map(|(at, _)| *at);
        let last = self.parts.last_key_value().map(|(at, _)| *at);
        first.zip(last).map_or(0, |(first, last)| last - first + 1)
    }

    fn shown(&self) -> Value {
        let parts = self.parts.iter();
        let parts = parts.map(|(at, count)| json!({ "from": at * self.width, "count": count }));
        json!({ "seconds": self.width, "parts": parts.collect::<Vec<_>>() })
    }
}

/// What messages have in common.
#[derive(Debug)]
pub(super) struct Summary {
    error_headers: Vec<String>,
    messages: u64,
    bytes: u64,
    replayed: u64,
    reasons: Group,
    queues: Group,
    errors: Group,
    keys: Group,
    times: TimeLine,
}

impl Summary {
    /// Of no messages yet. Headers called like one of `error_headers` tell what
    /// went wrong, too.
    pub(super) fn new(error_headers: Vec<String>) -> Self {
        Self {
            error_headers,
            messages: 0,
            bytes: 0,
            replayed: 0,
            reasons: Group::default(),
            queues: Group::default(),
            errors: Group::default(),
            keys: Group::default(),
            times: TimeLine {
                width: 60,
                parts: BTreeMap::new(),
            },
        }
    }

    /// Counts a message.
    pub(super) fn count(&mut self, letter: &Letter<'_>) {
        self.messages += 1;
        self.bytes += letter.body().len() as u64;
        self.replayed += u64::from(letter.stamp().is_some());
        let history = &letter.history;
        let none = "(never died)";
        self.reasons.count(history.reason().unwrap_or(none), letter);
        self.queues
            .count(history.first_queue().unwrap_or(none), letter);
        let key = history.origin().and_then(|(_, key)| key.map(str::to_owned));
        self.keys
            .count(&key.unwrap_or_else(|| letter.routing_key()), letter);
        let errors = letter.errors(&self.error_headers);
        for (name, value) in &errors {
            let value = format!("{name}: {}", fields::plain(value));
            self.errors
                .count(value.lines().next().unwrap_or_default(), letter);
        }
        if let Some(time) = letter.time() {
            self.times.count(time);
        }
    }

    pub(super) fn shown(&self) -> Value {
        json!({
            "messages": self.messages,
            "payload_bytes": self.bytes,
            "replayed": self.replayed,
            "reasons": self.reasons.shown(),
            "first_queues": self.queues.shown(),
            "errors": self.errors.shown(),
            "routing_keys": self.keys.shown(),
            "timeline": self.times.shown(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_line_spans_what_it_has_to() {
        let mut times = TimeLine {
            width: 60,
            parts: BTreeMap::new(),
        };
        for time in [0, 59, 60, 86_400] {
            times.count(time);
        }
        assert!(times.span() <= BUCKETS as u64);
        assert_eq!(times.parts.values().sum::<u64>(), 4);
        times.count(u64::MAX);
        assert!(times.span() <= BUCKETS as u64);
        assert_eq!(times.parts.values().sum::<u64>(), 5);
    }
}
