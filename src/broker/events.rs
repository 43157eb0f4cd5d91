//! The events of what is declared and deleted, one function each, with the
//! fields that RabbitMQ gives them. Those of connections and their channels are
//! the server's.

use std::sync::Arc;

use bytes::Bytes;

use super::announcements::{Announcement, Herald};
use super::arguments;
use super::erlang;
use super::queue::Queue;
use super::spec::{BindingSpec, Destination, ExchangeSpec};
use super::vhost::{VhostLimits, VhostSettings};
use super::vhosts::DEFAULT_VHOST;
use crate::base::ids::ConnectionId;
use crate::wire::{FieldTable, FieldValue};

/// The exchange that events are published to, in [`DEFAULT_VHOST`].
pub(super) const EVENT_EXCHANGE: &str = "amq.rabbitmq.event";
/// Who does what nobody asked for.
pub const INTERNAL_USER: &str = "rmq-internal";

impl Herald {
    /// Takes down that something happened, if anybody wants to know.
    #[inline]
    pub fn event(&self, routing_key: &'static str, headers: impl FnOnce() -> FieldTable) {
        if self.events.is_on() {
            self.put(Announcement {
                vhost: DEFAULT_VHOST.into(),
                exchange: EVENT_EXCHANGE,
                routing_key: routing_key.into(),
                headers: headers(),
                body: Bytes::new(),
                is_event: true,
            });
        }
    }

    /// Whether anybody wants to know what happens.
    pub(super) fn has_listeners(&self) -> bool {
        self.events.is_on()
    }

    /// What stands for a channel where RabbitMQ has the number of a process;
    /// channel 0 for the connection.
    pub fn pid(&self, connection: ConnectionId, channel: u16) -> String {
        format!("<{}.{}.{channel}>", self.node(), connection.0)
    }

    /// A virtual host was made.
    pub fn vhost_created(&self, name: &str, settings: &VhostSettings, by: &str) {
        self.event("vhost.created", || {
            let mut headers = done("name", name, by);
            headers.push("description", &*settings.description);
            let tags = settings.tags.iter().map(FieldValue::str).collect();
            headers.push("tags", FieldValue::Array(tags));
            let kind = settings.default_queue_type.as_deref();
            headers.push("default_queue_type", kind.unwrap_or("classic"));
            headers.push("protected_from_deletion", settings.protected);
            headers.push("tracing", false);
            headers
        });
    }

    /// The limits of a virtual host were set, or all of them lifted.
    pub fn vhost_limits_set(&self, name: &str, limits: VhostLimits, by: &str) {
        let given: Vec<_> = [
            ("max-connections", limits.max_connections),
            ("max-queues", limits.max_queues),
        ]
        .into_iter()
        .filter_map(|(limit, value)| Some((limit, value?)))
        .collect();
        let key = if given.is_empty() {
            "vhost.limits.cleared"
        } else {
            "vhost.limits.set"
        };
        self.event(key, || {
            let mut headers = done_in(name, "name", "limits", by);
            for (limit, value) in given {
                headers.push(limit, value);
            }
            headers
        });
    }

    /// A virtual host was deleted.
    pub fn vhost_deleted(&self, name: &str, by: &str) {
        self.event("vhost.deleted", || done("name", name, by));
    }

    /// An exchange was declared, under the policy called `policy` if any.
    pub fn exchange_created(&self, vhost: &str, spec: &ExchangeSpec, policy: &str, by: &str) {
        self.event("exchange.created", || {
            let mut headers = done_in(vhost, "name", &spec.name, by);
            headers.push("type", &*spec.kind);
            headers.push("durable", spec.durable);
            headers.push("auto_delete", spec.auto_delete);
            headers.push("internal", spec.internal);
            headers.push("arguments", listed(&spec.arguments));
            headers.push("policy", policy);
            headers
        });
    }

    /// An exchange was deleted.
    pub fn exchange_deleted(&self, vhost: &str, name: &str, by: &str) {
        self.event("exchange.deleted", || done_in(vhost, "name", name, by));
    }

    /// A queue was declared.
    pub fn queue_created(&self, queue: &Queue, by: &str) {
        self.event("queue.created", || {
            let spec = queue.spec();
            let mut headers = of_queue(queue, by);
            headers.push("leader", self.node());
            headers.push("members", FieldValue::Array(vec![self.node().into()]));
            headers.push("durable", spec.durable);
            headers.push("auto_delete", spec.auto_delete);
            headers.push("exclusive", spec.exclusive);
            headers.push("arguments", listed(&spec.arguments));
            let owner = queue.owner().map(|owner| self.pid(owner, 0));
            headers.push("owner_pid", &*owner.unwrap_or_default());
            headers
        });
    }

    /// A queue was deleted.
    pub fn queue_deleted(&self, queue: &Queue, by: &str) {
        self.event("queue.deleted", || of_queue(queue, by));
    }

    /// A binding was made.
    pub fn binding_created(&self, vhost: &str, spec: &BindingSpec, by: &str) {
        self.event("binding.created", || of_binding(vhost, spec, by));
    }

    /// A binding was removed.
    pub fn binding_deleted(&self, vhost: &str, spec: &BindingSpec, by: &str) {
        self.event("binding.deleted", || of_binding(vhost, spec, by));
    }
}

/// Arguments as events have them: a list of terms.
pub fn listed(arguments: &FieldTable) -> FieldValue {
    let terms = erlang::entries(arguments);
    FieldValue::Array(terms.iter().map(FieldValue::str).collect())
}

/// The fields of what somebody did to something.
pub fn done(field: &str, name: &str, by: &str) -> FieldTable {
    let mut headers = FieldTable::new();
    headers.push(field, name);
    headers.push("user_who_performed_action", by);
    headers
}

/// The fields of what somebody did to something in a virtual host.
pub fn done_in(vhost: &str, field: &str, name: &str, by: &str) -> FieldTable {
    let mut headers = done(field, name, by);
    headers.push("vhost", vhost);
    headers
}

/// The fields of what somebody did to a queue.
pub(super) fn of_queue(queue: &Queue, by: &str) -> FieldTable {
    let mut headers = done_in(queue.vhost(), "name", queue.name(), by);
    let kind = arguments::queue_type(&queue.spec().arguments).unwrap_or_default();
    headers.push("type", kind.internal_name());
    headers
}

fn of_binding(vhost: &str, spec: &BindingSpec, by: &str) -> FieldTable {
    let mut headers = done_in(vhost, "source_name", &spec.source, by);
    let (kind, name): (_, &Arc<str>) = match &spec.destination {
        Destination::Queue(name) => ("queue", name),
        Destination::Exchange(name) => ("exchange", name),
    };
    headers.push("source_kind", "exchange");
    headers.push("destination_name", &**name);
    headers.push("destination_kind", kind);
    headers.push("routing_key", &*spec.routing_key);
    headers.push("arguments", listed(&spec.arguments));
    headers
}
