//! How far a migration is, from one look to the next.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use super::plan::{Queue, is_ours};

/// Virtual host and name of a queue.
pub(super) type Key = (String, String);

/// What one look at both brokers shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Messages in the old broker's queues, ready or not.
    pub(super) left: HashMap<Key, u64>,
    /// By virtual host and name of the shovel.
    pub(super) shovels: HashMap<Key, Shovel>,
}

/// A shovel as the broker shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shovel {
    pub(super) forwarded: u64,
    pub(super) pending: u64,
    /// Why it doesn't work at the moment.
    pub(super) reason: Option<String>,
}

impl Look {
    /// Of what the old broker lists as queues and the new one as shovels.
    pub(super) fn of(queues: &Value, shovels: &Value) -> Self {
        let rows = |list: &Value| list.as_array().cloned().unwrap_or_default();
        let text = |row: &Value, key: &str| {
            let text = row.get(key).and_then(Value::as_str);
            text.map(str::to_owned)
        };
        let number = |row: &Value, key: &str| row.get(key).and_then(Value::as_u64);
        let key = |row: &Value| Some((text(row, "vhost")?, text(row, "name")?));
        let left = rows(queues);
        let left = left
            .iter()
            .filter_map(|row| Some((key(row)?, number(row, "messages").unwrap_or(0))));
        let shovels = rows(shovels);
        let shovels = shovels.iter().filter_map(|row| {
            let key = key(row).filter(|(_, name)| is_ours(name))?;
            let shovel = Shovel {
                forwarded: number(row, "forwarded").unwrap_or(0),
                pending: number(row, "pending").unwrap_or(0),
                reason: text(row, "reason"),
            };
            Some((key, shovel))
        });
        Self {
            left: left.collect(),
            shovels: shovels.collect(),
        }
    }

    /// Messages left of a queue.
    pub(super) fn left_of(&self, queue: &Queue) -> u64 {
        let key = (queue.vhost.clone(), queue.name.clone());
        self.left.get(&key).copied().unwrap_or(0)
    }

    /// The shovel of a queue, if there is one.
    pub(super) fn shovel_of(&self, queue: &Queue) -> Option<&Shovel> {
        self.shovels.get(&(queue.vhost.clone(), queue.shovel()))
    }
}

/// What was moved so far. A shovel that connects anew, or a broker that begins
/// anew, counts from nothing; what it counted before is kept here.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// Counted before, and counted last.
    counts: HashMap<Key, (u64, u64)>,
}

impl Tally {
    /// Takes in another look.
    pub(super) fn note(&mut self, look: &Look) {
        for (key, (before, last)) in &mut self.counts {
            if !look.shovels.contains_key(key) {
                *before += std::mem::take(last);
            }
        }
        for (key, shovel) in &look.shovels {
            // One that doesn't run shows no count.
            if shovel.reason.is_some() {
                continue;
            }
            let (before, last) = self.counts.entry(key.clone()).or_default();
            if shovel.forwarded < *last {
                *before += *last;
            }
            *last = shovel.forwarded;
        }
    }

    /// Messages moved of a queue.
    pub(super) fn moved(&self, queue: &Queue) -> u64 {
        let key = (queue.vhost.clone(), queue.shovel());
        self.counts
            .get(&key)
            .map_or(0, |(before, last)| before + last)
    }

    /// Messages moved of all queues.
    pub(super) fn total(&self) -> u64 {
        self.counts
            .values()
            .map(|(before, last)| before + last)
            .sum()
    }
}

/// `1h02m`, `3m20s`, `12s`.
pub(super) fn duration(of: Duration) -> String {
    let seconds = of.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::super::plan::Plan;
    use super::*;

    fn look(forwarded: Option<u64>) -> Look {
        let mut shovel = json!({"vhost": "/", "name": "migrate.a", "state": "running"});
        match forwarded {
            Some(count) => shovel["forwarded"] = json!(count),
            None => shovel["reason"] = json!("\"gone\""),
        }
        let other = json!({"vhost": "/", "name": "other", "forwarded": 99});
        let queues = json!([{"vhost": "/", "name": "a", "messages": 5}]);
        Look::of(&queues, &json!([shovel, other]))
    }

    #[test]
    fn what_was_moved_before_a_shovel_began_anew_counts() {
        let plan = Plan::of(&json!([{"vhost": "/", "name": "a"}]), &[]);
        let queue = plan.moved().next().unwrap();
        let mut tally = Tally::default();
        for forwarded in [Some(10), Some(15), None, Some(3), Some(4)] {
            tally.note(&look(forwarded));
        }
        assert_eq!((tally.moved(queue), tally.total()), (19, 19));
        let look = look(None);
        assert_eq!(look.left_of(queue), 5);
        assert!(look.shovel_of(queue).unwrap().reason.is_some());
    }

    #[test]
    fn what_a_shovel_moved_that_was_taken_away_counts() {
        let mut tally = Tally::default();
        tally.note(&look(Some(5)));
        tally.note(&Look::default());
        tally.note(&look(Some(100)));
        assert_eq!(tally.total(), 105);
    }

    #[test]
    fn a_duration_is_short() {
        let shown = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!(
            [shown(12), shown(200), shown(3720)],
            ["12s", "3m20s", "1h02m"]
        );
    }
}
