//! What the `x-death` header tells, read for people.

use serde_json::{Value, json};

use crate::management::fields;
use crate::wire::{FieldTable, FieldValue};

/// The death of a message in one queue for one reason, as often as it happened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Death {
    pub(super) queue: String,
    pub(super) reason: String,
    /// The exchange it had been published to before, and by which keys.
    pub(super) exchange: String,
    pub(super) routing_keys: Vec<String>,
    pub(super) count: i64,
    /// When it died the first time, seconds since 1970.
    pub(super) time: Option<u64>,
    pub(super) original_expiration: Option<String>,
}

impl Death {
    fn read(table: &FieldTable) -> Self {
        let text = |name| text(table, name);
        let keys = match table.get("routing-keys") {
            Some(FieldValue::Array(keys)) => keys.iter().filter_map(FieldValue::as_octets),
            _ => [].iter().filter_map(FieldValue::as_octets),
        };
        Self {
            queue: text("queue").unwrap_or_default(),
            reason: text("reason").unwrap_or_default(),
            exchange: text("exchange").unwrap_or_default(),
            routing_keys: keys.map(fields::text).collect(),
            count: table.get("count").and_then(FieldValue::as_i64).unwrap_or(1),
            time: match table.get("time") {
                Some(FieldValue::Timestamp(seconds)) => Some(*seconds),
                _ => None,
            },
            original_expiration: text("original-expiration"),
        }
    }

    /// In words.
    pub(super) fn told(&self) -> String {
        let queue = &self.queue;
        let what = match &*self.reason {
            "rejected" => format!("rejected by a consumer of '{queue}'"),
            "expired" => format!("expired in '{queue}'"),
            "maxlen" => format!("pushed out of '{queue}', which was full"),
            "delivery_limit" => format!("given up in '{queue}' after too many deliveries"),
            other => format!("{other} in '{queue}'"),
        };
        match self.count {
            ..=1 => what,
            count => format!("{what}, {count} times"),
        }
    }

    fn shown(&self) -> Value {
        json!({
            "queue": self.queue,
            "reason": self.reason,
            "exchange": self.exchange,
            "routing_keys": self.routing_keys,
            "count": self.count,
            "time": self.time,
            "original_expiration": self.original_expiration,
            "told": self.told(),
        })
    }
}

fn text(table: &FieldTable, name: &str) -> Option<String> {
    table
        .get(name)
        .and_then(FieldValue::as_octets)
        .map(fields::text)
}

/// The deaths of a message, the latest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct History {
    pub(super) deaths: Vec<Death>,
    first_queue: Option<String>,
    first_exchange: Option<String>,
    first_reason: Option<String>,
}

impl History {
    /// What the headers of a message tell; none of a message that never died.
    pub(super) fn read(headers: &FieldTable) -> Self {
        let deaths = match headers.get("x-death") {
            Some(FieldValue::Array(deaths)) => deaths.as_slice(),
            _ => &[],
        };
        let deaths = deaths.iter().filter_map(|death| match death {
            FieldValue::Table(table) => Some(Death::read(table)),
            _ => None,
        });
        Self {
            deaths: deaths.collect(),
            first_queue: text(headers, "x-first-death-queue"),
            first_exchange: text(headers, "x-first-death-exchange"),
            first_reason: text(headers, "x-first-death-reason"),
        }
    }

    /// The death that came first: the last in the list, unless the message tells
    /// that it was another one.
    pub(super) fn first(&self) -> Option<&Death> {
        let named = self.first_queue.as_ref().and_then(|queue| {
            let same = |death: &&Death| {
                death.queue == *queue
                    && self
                        .first_reason
                        .as_ref()
                        .is_none_or(|r| death.reason == *r)
            };
            self.deaths.iter().rev().find(same)
        });
        named.or(self.deaths.last())
    }

    /// The queue it died in first.
    pub(super) fn first_queue(&self) -> Option<&str> {
        let of_list = self.first().map(|death| &*death.queue);
        self.first_queue.as_deref().or(of_list)
    }

    /// Where it was published to before it died for the first time: an exchange,
    /// and a key if that is known.
    pub(super) fn origin(&self) -> Option<(&str, Option<&str>)> {
        let first = self.first();
        let exchange = first.map(|death| &*death.exchange);
        let exchange = exchange.or(self.first_exchange.as_deref())?;
        let key = first.and_then(|death| death.routing_keys.first());
        Some((exchange, key.map(|key| &**key)))
    }

    /// Why it died last.
    pub(super) fn reason(&self) -> Option<&str> {
        self.deaths.first().map(|death| &*death.reason)
    }

    /// When it died last, as far as that is known, seconds since 1970.
    pub(super) fn time(&self) -> Option<u64> {
        self.deaths.iter().filter_map(|death| death.time).max()
    }

    /// In words, from the first death on.
    pub(super) fn told(&self) -> Option<String> {
        let told: Vec<_> = self.deaths.iter().rev().map(Death::told).collect();
        (!told.is_empty()).then(|| told.join(", then "))
    }

    pub(super) fn shown(&self) -> Value {
        Value::Array(self.deaths.iter().map(Death::shown).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death(queue: &str, reason: &str, count: i64, time: u64) -> FieldValue {
        let keys = vec![FieldValue::str("order.placed")];
        FieldValue::Table(FieldTable::from_iter([
            ("count", FieldValue::I64(count)),
            ("reason", FieldValue::str(reason)),
            ("queue", FieldValue::str(queue)),
            ("time", FieldValue::Timestamp(time)),
            ("exchange", FieldValue::str("events")),
            ("routing-keys", FieldValue::Array(keys)),
        ]))
    }

    #[test]
    fn a_history_is_told_from_the_first_death_on() {
        let deaths = vec![
            death("retry", "expired", 1, 20),
            death("orders", "rejected", 3, 10),
        ];
        let headers = FieldTable::from_iter([("x-death", FieldValue::Array(deaths))]);
        let history = History::read(&headers);
        let told = "rejected by a consumer of 'orders', 3 times, then expired in 'retry'";
        assert_eq!(history.told().as_deref(), Some(told));
        assert_eq!(history.first_queue(), Some("orders"));
        assert_eq!(history.origin(), Some(("events", Some("order.placed"))));
        assert_eq!(history.reason(), Some("expired"));
        assert_eq!(history.time(), Some(20));
    }

    #[test]
    fn what_a_message_says_of_its_first_death_counts() {
        // It has died in 'orders' again since, which moved to the front.
        let deaths = vec![
            death("orders", "rejected", 2, 10),
            death("retry", "expired", 1, 20),
        ];
        let headers = FieldTable::from_iter([
            ("x-death", FieldValue::Array(deaths)),
            ("x-first-death-queue", FieldValue::str("orders")),
            ("x-first-death-reason", FieldValue::str("rejected")),
        ]);
        let history = History::read(&headers);
        assert_eq!(history.first_queue(), Some("orders"));
        assert_eq!(history.first().unwrap().reason, "rejected");
    }

    #[test]
    fn headers_that_make_no_sense_are_no_history() {
        let odd = FieldTable::from_iter([("x-death", FieldValue::str("gallows"))]);
        assert_eq!(History::read(&odd).told(), None);
        let deaths = FieldValue::Array(vec![FieldValue::Void]);
        let odd = FieldTable::from_iter([("x-death", deaths)]);
        assert_eq!(History::read(&odd).first_queue(), None);
    }
}
