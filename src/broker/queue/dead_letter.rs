//! Dead letters: what a message that died in a queue carries on with.
//!
//! The `x-death` header lists the deaths of a message, the latest first, one
//! entry for each pair of queue and reason (`semantics` 12).

use std::sync::Arc;

use bytes::BytesMut;

use super::Queue;
use super::backlog::Entry;
use super::settings::Settings;
use crate::base::clock::Now;
use crate::base::ids::QueueId;
use crate::broker::delay::note_released;
use crate::broker::effects::Effects;
use crate::broker::message::{Content, Message};
use crate::broker::store::Record;
use crate::wire::{Body, FieldTable, FieldValue, Properties};

/// Why a message died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeathReason {
    /// A consumer refused it without requeueing it.
    Rejected,
    /// Its time was over.
    Expired,
    /// There was no room for it.
    MaxLength,
    /// It failed too often.
    DeliveryLimit,
    /// No death: it was held back for a while, and its time has come.
    Due,
}

impl DeathReason {
    /// Those that are deaths, each at the place of its number.
    pub const DEATHS: [Self; 4] = [
        Self::Rejected,
        Self::Expired,
        Self::MaxLength,
        Self::DeliveryLimit,
    ];

    /// The name in the `x-death` header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLength => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
            Self::Due => "due",
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
    /// What the queue went by when it died.
    settings: Arc<Settings>,
    /// What it is stored under, if it is.
    lane: QueueId,
    entry: Entry,
    reason: DeathReason,
}

impl DeadLetter {
    pub(super) fn new(
        queue: &Arc<Queue>,
        settings: Arc<Settings>,
        lane: QueueId,
        entry: Entry,
        reason: DeathReason,
    ) -> Self {
        Self {
            queue: Arc::clone(queue),
            settings,
            lane,
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

    /// Where it goes, if anywhere.
    pub fn target(&self) -> Option<&DeadLetterTarget> {
        self.settings.dead_letter.as_ref()
    }

    /// Whether it may not be lost though nothing takes it.
    pub fn has_to_arrive(&self) -> bool {
        self.settings.keeps_dead_letters
    }

    /// Has it stay with the queue it died in, to be tried again.
    pub(in crate::broker) fn stay(self, effects: &mut Effects) {
        self.queue
            .keep_undelivered(self.entry, self.reason, effects);
    }

    /// Whether an attempt at it failed, here or before: its copies count as handed
    /// out before (`semantics` 10). Being handed out and given back doesn't.
    fn has_failed(&self) -> bool {
        self.entry.attempts().failures > 0 || self.message().has_failed()
    }

    /// Why it died.
    pub fn reason(&self) -> DeathReason {
        self.reason
    }

    /// What its queue's store is told once its copies are there, if it has it.
    pub(in crate::broker) fn settled(&self) -> Option<Record<'static>> {
        self.entry.settled(self.lane)
    }

    /// The headers it carries on with: its deaths, this one noted.
    pub fn headers(&self, now: Now) -> FieldTable {
        let properties = self.own_properties();
        let mut headers = properties.headers_table().unwrap_or_default();
        self.note_death(&mut headers, &properties, now);
        headers
    }

    /// The properties it carries on with: expiration put aside.
    pub fn properties(&self, headers: &FieldTable) -> BytesMut {
        Properties {
            expiration: None,
            ..self.own_properties()
        }
        .with_headers(headers)
    }

    fn own_properties(&self) -> Properties<'_> {
        // Checked when the message came in; an empty default keeps it moving.
        Properties::parse(self.message().view().properties).unwrap_or_default()
    }

    /// The exchange that held it back, if that is where it comes from.
    pub fn held_back_by(&self) -> Option<&str> {
        self.queue.holds_for()
    }

    /// The properties it goes on with after it was held back.
    pub fn released_properties(&self) -> BytesMut {
        let properties = self.own_properties();
        let mut headers = properties.headers_table().unwrap_or_default();
        note_released(&mut headers);
        properties.with_headers(&headers)
    }

    /// Its content as it was published, with other `properties`.
    pub fn released<'a>(&'a self, properties: &'a [u8]) -> Content<'a> {
        let view = self.message().view();
        Content {
            exchange: view.exchange,
            routing_key: view.routing_key,
            properties,
            persistent: self.message().is_persistent(),
            dead_lettered: self.message().is_dead_lettered(),
            failed: self.message().has_failed(),
            blind_copies: view.blind_copies,
            body: view
                .shared_body
                .map_or(Body::Borrowed(view.body), |b| Body::Shared(b.clone())),
        }
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
            exchange: exchange.as_bytes(),
            routing_key: routing_key.as_bytes(),
            properties,
            persistent: self.message().is_persistent(),
            dead_lettered: true,
            failed: self.has_failed(),
            blind_copies: view.blind_copies,
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
        // Behind the client's own headers and in the order of their names, as
        // RabbitMQ has them.
        headers.push("x-death", FieldValue::Array(deaths));
        let parts = [("exchange", exchange), ("queue", queue), ("reason", reason)];
        for (name, value) in &parts {
            let name = format!("x-first-death-{name}");
            let former = headers.remove(&name);
            let first = former.filter(|_| self.message().is_dead_lettered());
            headers.push(&name, first.unwrap_or_else(|| value.clone()));
        }
        for (name, value) in parts {
            let name = format!("x-last-death-{name}");
            headers.remove(&name);
            headers.push(&name, value);
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
        if let Some(expiration) = properties.expiration {
            death.push("original-expiration", octets(expiration));
        }
        death.push("count", 1_i64);
        death.push("reason", self.reason.name());
        death.push("queue", &**self.queue.name());
        death.push("time", FieldValue::Timestamp(now.unix_secs()));
        death.push("exchange", octets(view.exchange));
        death.push("routing-keys", FieldValue::Array(keys));
        death
    }
}

/// Whether a message goes round in a circle if it goes to `queue`: it died there
/// before, and nobody has rejected it since (`semantics` 12).
pub fn is_cycle(headers: &FieldTable, queue: &str) -> bool {
    let Some(FieldValue::Array(deaths)) = headers.get("x-death") else {
        return false;
    };
    for death in deaths {
        let FieldValue::Table(death) = death else {
            continue;
        };
        let is = |name, value: &str| death.get(name).and_then(FieldValue::as_str) == Some(value);
        if is("reason", DeathReason::Rejected.name()) {
            return false;
        }
        if is("queue", queue) {
            return true;
        }
    }
    false
}

fn octets(octets: &[u8]) -> FieldValue {
    FieldValue::LongStr(bytes::Bytes::copy_from_slice(octets))
}
