//! The events of connections, channels, consumers and alarms, with the fields
//! that RabbitMQ gives them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::certificate::PeerCertificate;
use super::channel::Channel;
use super::connection::ConnectionTask;
use super::roster::ConnectionView;
use super::session::Session;
use super::stream::Encryption;
use crate::broker::announcements::Herald;
use crate::broker::events::{done, done_in, listed};
use crate::wire::method::BasicConsume;
use crate::wire::{FieldTable, FieldValue};

/// The protocol, as events name it.
const PROTOCOL: &str = "{0,9,1}";

/// Where a connection comes from.
#[derive(Debug)]
pub struct Origin {
    /// What it is called: `127.0.0.1:50834 -> 127.0.0.1:5672`.
    pub name: Arc<str>,
    pub(super) peer: SocketAddr,
    local: SocketAddr,
    /// When it was accepted, milliseconds since the Unix epoch.
    since: u64,
    /// How its user logged in.
    pub(super) mechanism: &'static str,
    /// How it is encrypted, if it is.
    pub(super) encryption: Option<Encryption>,
    /// Whether anybody may have been told of it.
    told: bool,
}

impl Origin {
    /// That of a connection just accepted.
    pub fn new(view: &ConnectionView) -> Self {
        Self {
            name: Arc::clone(&view.name),
            peer: view.peer,
            local: view.local,
            since: view.since,
            mechanism: "",
            encryption: None,
            told: false,
        }
    }

    /// Tells how a login went.
    pub fn tell_login(
        &mut self,
        herald: &Herald,
        user: &str,
        mechanism: &'static str,
        accepted: bool,
    ) {
        self.mechanism = mechanism;
        self.told = true;
        let key = if accepted {
            "user.authentication.success"
        } else {
            "user.authentication.failure"
        };
        herald.event(key, || {
            let mut headers = FieldTable::new();
            headers.push("name", user);
            headers.push("connection_name", &*self.name);
            headers.push("connection_type", "network");
            self.put_ends(&mut headers);
            if !accepted {
                headers.push("error", characters(&refusal(user)));
            }
            headers
        });
    }

    fn put_ends(&self, headers: &mut FieldTable) {
        headers.push("host", &*erlang_address(self.local.ip()));
        headers.push("peer_host", &*erlang_address(self.peer.ip()));
        headers.push("peer_port", i64::from(self.peer.port()));
        headers.push("protocol", PROTOCOL);
        headers.push("auth_mechanism", self.mechanism);
        headers.push("ssl", self.encryption.is_some());
    }
}

impl Origin {
    fn put_encryption(&self, headers: &mut FieldTable) {
        let none = Encryption::default();
        let by = self.encryption.as_ref().unwrap_or(&none);
        let nobody = PeerCertificate::default();
        let peer = by.peer.as_ref().unwrap_or(&nobody);
        headers.push("peer_cert_issuer", &*peer.issuer);
        headers.push("peer_cert_serial_number", &*peer.serial);
        headers.push("peer_cert_subject", &*peer.subject);
        headers.push("peer_cert_validity", &*peer.validity);
        headers.push("ssl_cipher", &*by.cipher);
        headers.push("ssl_hash", &*by.hash);
        headers.push("ssl_key_exchange", &*by.key_exchange);
        headers.push("ssl_protocol", &*by.protocol);
    }
}

impl ConnectionTask {
    /// Tells that the connection is open.
    pub(super) fn tell_created(&self, vhost: &str) {
        let herald = self.shared.vhosts.herald();
        herald.event("connection.created", || {
            let (origin, tuned) = (&self.origin, self.protocol.tuned());
            let mut headers = self.described(herald);
            origin.put_ends(&mut headers);
            origin.put_encryption(&mut headers);
            headers.push("port", i64::from(origin.local.port()));
            headers.push("type", "network");
            headers.push("user", &*self.user);
            headers.push("user_who_performed_action", &*self.user);
            headers.push("vhost", vhost);
            headers.push("timeout", i64::from(tuned.heartbeat));
            headers.push("frame_max", i64::from(tuned.frame_max));
            headers.push("channel_max", i64::from(tuned.channel_max));
            let since = i64::try_from(origin.since).unwrap_or(i64::MAX);
            headers.push("connected_at", since);
            headers
        });
    }

    /// Tells that the connection is gone, if it ever was there for anybody.
    pub(super) fn tell_closed(&mut self) {
        if std::mem::take(&mut self.origin.told) {
            let herald = self.shared.vhosts.herald();
            herald.event("connection.closed", || self.described(herald));
        }
    }

    fn described(&self, herald: &Herald) -> FieldTable {
        let client = self.protocol.client();
        let mut headers = FieldTable::new();
        headers.push("pid", &*herald.pid(self.id, 0));
        headers.push("name", &*self.origin.name);
        headers.push("node", herald.node());
        headers.push("client_properties", listed(&client.properties));
        if let Some(name) = client.connection_name() {
            headers.push("user_provided_name", name);
        }
        headers
    }
}

impl Session {
    /// Tells that a channel is open.
    pub(super) fn tell_channel_created(&self, number: u16) {
        let herald = self.vhost.herald();
        herald.event("channel.created", || {
            let user = self.effects.actor();
            let mut headers = done_in(self.vhost.name(), "user", user, user);
            let connection = self.outbox.peer().map_or("", |peer| &*peer.connection);
            headers.push("name", &*format!("{connection} ({number})"));
            headers.push("number", i64::from(number));
            headers.push("pid", &*herald.pid(self.id, number));
            headers.push("connection", &*herald.pid(self.id, 0));
            headers
        });
    }

    /// Tells that a channel is closed, and its consumers are gone.
    pub(super) fn tell_channel_closed(&self, number: u16, channel: &Channel) {
        for (tag, consumer) in &channel.consumers {
            self.tell_consumer_deleted(number, tag, consumer.queue.name());
        }
        let herald = self.vhost.herald();
        herald.event("channel.closed", || {
            let pid = herald.pid(self.id, number);
            let mut headers = done("pid", &pid, self.effects.actor());
            headers.push("consumer_count", channel.consumers.len() as i64);
            headers
        });
    }

    /// Tells that there is a consumer.
    pub(super) fn tell_consumer_created(
        &self,
        number: u16,
        tag: &str,
        method: &BasicConsume<'_>,
        prefetch: u16,
    ) {
        self.vhost.herald().event("consumer.created", || {
            let mut headers = self.of_consumer(number, tag, method.queue);
            headers.push("exclusive", method.exclusive);
            headers.push("ack_required", !method.no_ack);
            headers.push("prefetch_count", i64::from(prefetch));
            headers.push("arguments", listed(&method.arguments));
            headers
        });
    }

    /// Tells that a consumer is gone.
    pub(super) fn tell_consumer_deleted(&self, number: u16, tag: &str, queue: &str) {
        self.vhost
            .herald()
            .event("consumer.deleted", || self.of_consumer(number, tag, queue));
    }

    fn of_consumer(&self, number: u16, tag: &str, queue: &str) -> FieldTable {
        let user = self.effects.actor();
        let mut headers = done_in(self.vhost.name(), "queue", queue, user);
        headers.push("consumer_tag", tag);
        let pid = self.vhost.herald().pid(self.id, number);
        headers.push("channel", &*pid);
        headers
    }
}

/// Tells that an alarm went off or on again; `source` is what runs short.
pub(super) fn tell_alarm(herald: &Herald, source: &str, on: bool) {
    let key = if on { "alarm.set" } else { "alarm.cleared" };
    herald.event(key, || {
        let mut headers = FieldTable::new();
        headers.push("source", source);
        headers.push("node", herald.node());
        headers
    });
}

fn refusal(user: &str) -> String {
    format!("user '{user}' - invalid credentials")
}

/// A text as RabbitMQ has it where Erlang has a list: a number a character.
fn characters(text: &str) -> FieldValue {
    let numbers = text.chars().map(|c| FieldValue::I64(u32::from(c).into()));
    FieldValue::Array(numbers.collect())
}

/// An address as Erlang prints it.
fn erlang_address(address: IpAddr) -> String {
    let parts: Vec<_> = match address {
        IpAddr::V4(v4) => v4.octets().iter().map(u8::to_string).collect(),
        IpAddr::V6(v6) => v6.segments().iter().map(u16::to_string).collect(),
    };
    format!("{{{}}}", parts.join(","))
}
