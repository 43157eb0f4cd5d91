//! Dead letters: what a message that died in a queue carries on with.
//!
//! The `x-death` header lists the deaths of a message, the latest first, one
//! entry for each pair of queue and reason (`semantics` 12).

use std::sync::Arc;

use bytes::BytesMut;

use super::Queue;
use super::backlog::Entry;
use crate::base::clock::Now;
use crate::broker::message::{Content, Message};
use crate::broker::store::Record;
use crate::wire::{Body, FieldTable, FieldValue, Properties};

/// Why a message died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeathReason {
    /// A consumer refused it without requeueing it.
    Rejected,
}

impl DeathReason {
    /// The name in the `x-death` header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
        }
    }
}

/// Where a queue's dead letters go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterTarget {
    /// The exchange they are republished to.
    pub exchange: Arc<str>,
    /// The routing key, if not the message's own.
    pub routing_key: Option<Arc<str>>,
}

impl DeadLetterTarget {
    /// Reads `x-dead-letter-exchange` and `x-dead-letter-routing-key`.
    pub fn from_arguments(arguments: &FieldTable) -> Option<Self> {
        let text = |name| arguments.get(name).and_then(FieldValue::as_str);
        Some(Self {
            exchange: text("x-dead-letter-exchange")?.into(),
            routing_key: text("x-dead-letter-routing-key").map(Into::into),
        })
    }
}

/// A message that died, on its way to the dead-letter exchange.
#[derive(Debug)]
pub struct DeadLetter {
    queue: Arc<Queue>,
    entry: Entry,
    reason: DeathReason,
}

impl DeadLetter {
    pub(super) fn new(queue: &Arc<Queue>, entry: Entry, reason: DeathReason) -> Self {
        Self {
            queue: Arc::clone(queue),
            entry,
            reason,
        }
    }

    /// The message as it was in its queue.
    pub fn message(&self) -> &Message {
        &self.entry.message
    }

    /// The queue it died in.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Why it died.
    pub fn reason(&self) -> DeathReason {
        self.reason
    }

    /// What its queue's store is told once its copies are there, if it has it.
    pub(in crate::broker) fn settled(&self) -> Option<Record<'static>> {
        self.entry.stored.then(|| Record::Settle {
            queue: self.queue.id(),
            first: self.entry.position,
            last: self.entry.position,
            bytes: self.entry.stored_len(),
        })
    }

    /// The properties it carries on with: deaths noted, expiration put aside.
    pub fn properties(&self, now: Now) -> BytesMut {
        let view = self.message().view();
        // Checked when the message came in; an empty default keeps it moving.
        let properties = Properties::parse(view.properties).unwrap_or_default();
        let mut headers = properties.headers_table().unwrap_or_default();
        self.note_death(&mut headers, &properties, now);
        Properties {
            expiration: None,
            ..properties
        }
        .with_headers(&headers)
    }

    /// Its content, ready to be published to the dead-letter exchange.
    pub fn content<'a>(
        &'a self,
        exchange: &'a str,
        routing_key: &'a str,
        properties: &'a [u8],
    ) -> Content<'a> {
        let view = self.message().view();
        Content {
            exchange,
            routing_key,
            properties,
            persistent: self.message().is_persistent(),
            dead_lettered: true,
            body: view
                .shared_body
                .map_or(Body::Borrowed(view.body), |b| Body::Shared(b.clone())),
        }
    }

    fn note_death(&self, headers: &mut FieldTable, properties: &Properties<'_>, now: Now) {
        let queue = FieldValue::str(self.queue.name());
        let reason = FieldValue::str(self.reason.name());
        let exchange = octets(self.message().view().exchange);
        let mut deaths = self.former_deaths(headers);
        let same = |death: &FieldValue| {
            matches!(death, FieldValue::Table(t)
                if t.get("queue") == Some(&queue) && t.get("reason") == Some(&reason))
        };
        let latest = match deaths.iter().position(same).map(|at| deaths.remove(at)) {
            Some(FieldValue::Table(mut death)) => {
                let count = death.get("count").and_then(FieldValue::as_i64).unwrap_or(0);
                death.set("count", count.saturating_add(1));
                death
            }
            _ => self.first_death(headers, properties, now),
        };
        deaths.insert(0, FieldValue::Table(latest));
        headers.set("x-death", FieldValue::Array(deaths));
        for (name, value) in [
            ("reason", &reason),
            ("queue", &queue),
            ("exchange", &exchange),
        ] {
            let first = format!("x-first-death-{name}");
            if !self.message().is_dead_lettered() || headers.get(&first).is_none() {
                headers.set(&first, value.clone());
            }
            headers.set(&format!("x-last-death-{name}"), value.clone());
        }
    }

    /// The deaths noted so far. What a client wrote under that name is none.
    fn former_deaths(&self, headers: &mut FieldTable) -> Vec<FieldValue> {
        match headers.remove("x-death") {
            Some(FieldValue::Array(deaths)) if self.message().is_dead_lettered() => deaths,
            _ => Vec::new(),
        }
    }

    fn first_death(
        &self,
        headers: &FieldTable,
        properties: &Properties<'_>,
        now: Now,
    ) -> FieldTable {
        let view = self.message().view();
        let mut keys = vec![octets(view.routing_key)];
        if let Some(FieldValue::Array(copies)) = headers.get("CC") {
            keys.extend(copies.iter().cloned());
        }
        let mut death = FieldTable::new();
        death.push("count", 1_i64);
        death.push("reason", self.reason.name());
        death.push("queue", &**self.queue.name());
        death.push("time", FieldValue::Timestamp(now.unix_secs()));
        death.push("exchange", octets(view.exchange));
        death.push("routing-keys", FieldValue::Array(keys));
        if let Some(expiration) = properties.expiration {
            death.push("original-expiration", octets(expiration));
        }
        death
    }
}

fn octets(octets: &[u8]) -> FieldValue {
    FieldValue::LongStr(bytes::Bytes::copy_from_slice(octets))
}
