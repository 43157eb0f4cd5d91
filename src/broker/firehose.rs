//! The firehose: a copy of every message that is published or delivered in a
//! virtual host, to `amq.rabbitmq.trace`, while somebody has it switched on.
//!
//! What comes from that exchange isn't copied again. Copies are published in the
//! order in which they were made: whoever publishes a message publishes its copy
//! and all that wait before it, which also keeps publishers from going faster
//! than their copies. Deliveries happen with locks held and wait for that, or
//! for whoever listens.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::announcements::{Announcement, Herald, Peer, Pending, Switch, text};
use super::message::MessageView;
use super::routing::RoutingKeys;
use crate::wire::{FieldTable, FieldValue, Properties};

/// The exchange that gets the copies.
pub(super) const TRACE_EXCHANGE: &str = "amq.rabbitmq.trace";

/// The firehose of a virtual host.
#[derive(Debug)]
pub struct Firehose {
    vhost: Arc<str>,
    switch: Arc<Switch>,
    herald: Arc<Herald>,
    copies: Pending,
    /// Held by who publishes copies.
    turn: Mutex<()>,
}

impl Firehose {
    pub(super) fn new(vhost: Arc<str>, herald: Arc<Herald>) -> Self {
        Self {
            vhost,
            switch: Arc::default(),
            herald,
            copies: Pending::default(),
            turn: Mutex::default(),
        }
    }

    /// What says whether copies are made.
    pub fn switch(&self) -> &Arc<Switch> {
        &self.switch
    }

    /// Takes down a copy of a message that was routed, to be published before
    /// the message is.
    pub fn published<'a>(
        &self,
        by: &Peer,
        channel: u16,
        message: &MessageView<'_>,
        keys: &RoutingKeys<'_>,
        queues: impl Iterator<Item = &'a str>,
    ) {
        let keys = keys.iter().map(text).collect();
        let Some(mut headers) = self.headers(by, channel, message, keys) else {
            return;
        };
        let queues = queues.map(FieldValue::str).collect();
        headers.push("routed_queues", FieldValue::Array(queues));
        let exchange = String::from_utf8_lossy(message.exchange);
        let copy = self.copy(format!("publish.{exchange}"), headers, message);
        self.copies.put(copy);
    }

    /// Takes down a copy of a message that was delivered.
    ///
    /// Called with queue and outbox locked.
    pub fn delivered(
        &self,
        to: &Peer,
        channel: u16,
        queue: &str,
        message: &MessageView<'_>,
        redelivered: bool,
    ) {
        let keys = keys_of(message);
        let Some(mut headers) = self.headers(to, channel, message, keys) else {
            return;
        };
        headers.push("redelivered", i32::from(redelivered));
        let copy = self.copy(format!("deliver.{queue}"), headers, message);
        if self.copies.put(copy) {
            self.herald.wake_listener();
        }
    }

    /// Has `publish` publish the oldest copies, at most `count`, when it is its
    /// turn; how many there were.
    pub(super) fn publish(&self, count: usize, mut publish: impl FnMut(&Announcement)) -> usize {
        let _turn = self.turn.lock();
        let copies = self.copies.take(count);
        copies.iter().for_each(&mut publish);
        copies.len()
    }

    fn headers(
        &self,
        peer: &Peer,
        channel: u16,
        message: &MessageView<'_>,
        keys: Vec<FieldValue>,
    ) -> Option<FieldTable> {
        if message.exchange == TRACE_EXCHANGE.as_bytes() {
            return None;
        }
        let mut headers = FieldTable::new();
        headers.push("exchange_name", text(message.exchange));
        headers.push("routing_keys", FieldValue::Array(keys));
        headers.push("properties", properties_of(message));
        headers.push("node", self.herald.node());
        headers.push("vhost", &*self.vhost);
        headers.push("connection", &*peer.connection);
        headers.push("channel", i32::from(channel));
        headers.push("user", &*peer.user);
        Some(headers)
    }

    fn copy(
        &self,
        routing_key: String,
        headers: FieldTable,
        message: &MessageView<'_>,
    ) -> Announcement {
        let shared = message.shared_body.cloned();
        Announcement {
            vhost: Arc::clone(&self.vhost),
            exchange: TRACE_EXCHANGE,
            routing_key,
            headers,
            body: shared.unwrap_or_else(|| Bytes::copy_from_slice(message.body)),
            is_event: false,
        }
    }
}

/// The keys that a delivered message is known to have been routed by. Those of
/// its `BCC` header went when it was published.
fn keys_of(message: &MessageView<'_>) -> Vec<FieldValue> {
    let headers = Properties::parse(message.properties).and_then(|p| p.headers_table());
    let mut keys = vec![text(message.routing_key)];
    if let Some(FieldValue::Array(copies)) = headers.unwrap_or_default().remove("CC") {
        keys.extend(copies);
    }
    keys
}

/// The properties of a message, as a table.
fn properties_of(message: &MessageView<'_>) -> FieldTable {
    let properties = Properties::parse(message.properties).unwrap_or_default();
    let mut table = FieldTable::new();
    for (name, octets) in [
        ("content_type", properties.content_type),
        ("content_encoding", properties.content_encoding),
        ("correlation_id", properties.correlation_id),
        ("reply_to", properties.reply_to),
        ("expiration", properties.expiration),
        ("message_id", properties.message_id),
        ("type", properties.kind),
        ("user_id", properties.user_id),
        ("app_id", properties.app_id),
        ("cluster_id", properties.cluster_id),
    ] {
        if let Some(octets) = octets {
            table.push(name, text(octets));
        }
    }
    if properties.headers.is_some() {
        table.push("headers", properties.headers_table().unwrap_or_default());
    }
    for (name, number) in [
        ("delivery_mode", properties.delivery_mode),
        ("priority", properties.priority),
    ] {
        if let Some(number) = number {
            table.push(name, i32::from(number));
        }
    }
    if let Some(seconds) = properties.timestamp {
        // 32 bits in RabbitMQ, which cuts off what doesn't fit.
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        let short = i32::try_from(seconds).map(FieldValue::I32);
        table.push("timestamp", short.unwrap_or(FieldValue::I64(seconds)));
    }
    table
}
