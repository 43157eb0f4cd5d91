//! What the two sides tell each other about themselves.

use crate::wire::{FieldTable, FieldValue};

/// What the server offers, the same for all of its connections.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The most channels a client may have open; 0 is no limit.
    pub channel_max: u16,
    /// The largest frame, octets with head and end; 0 is no limit.
    pub frame_max: u32,
    /// The heartbeat interval proposed, seconds; 0 is none.
    pub heartbeat: u16,
    /// The SASL mechanisms offered, separated by spaces.
    pub mechanisms: String,
    /// Name, version and capabilities, as `connection.start` carries them.
    pub server_properties: FieldTable,
    /// The largest body, octets.
    pub message_size_max: u64,
}

/// What was agreed on by `connection.tune` and `tune-ok`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuned {
    /// The most channels open at a time; 0 is no limit.
    pub channel_max: u16,
    /// The largest frame, octets with head and end; 0 is no limit.
    pub frame_max: u32,
    /// The heartbeat interval, seconds; 0 is none.
    pub heartbeat: u16,
}

/// What a client says about itself in `connection.start-ok`.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// All of it, as it came.
    pub properties: FieldTable,
    /// What it can cope with.
    pub capabilities: Capabilities,
}

/// The extensions a client announces; what it doesn't, it must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// A refused login is answered with `connection.close`.
    pub authentication_failure_close: bool,
    /// `basic.cancel` may come from the server.
    pub consumer_cancel_notify: bool,
    /// `connection.blocked` and `unblocked` may come.
    pub connection_blocked: bool,
    /// `basic.nack` may come from the server.
    pub basic_nack: bool,
    /// Confirm mode is understood.
    pub publisher_confirms: bool,
    /// Bindings between exchanges are understood.
    pub exchange_exchange_bindings: bool,
}

impl Client {
    pub(super) fn new(properties: FieldTable) -> Self {
        let capabilities = match properties.get("capabilities") {
            Some(FieldValue::Table(table)) => Capabilities::from_table(table),
            _ => Capabilities::default(),
        };
        Self {
            properties,
            capabilities,
        }
    }

    /// The name the client's user has given the connection.
    pub fn connection_name(&self) -> Option<&str> {
        self.properties.get("connection_name")?.as_str()
    }
}

impl Capabilities {
    fn from_table(table: &FieldTable) -> Self {
        let has = |name| matches!(table.get(name), Some(FieldValue::Bool(true)));
        Self {
            authentication_failure_close: has("authentication_failure_close"),
            consumer_cancel_notify: has("consumer_cancel_notify"),
            connection_blocked: has("connection.blocked"),
            basic_nack: has("basic.nack"),
            publisher_confirms: has("publisher_confirms"),
            exchange_exchange_bindings: has("exchange_exchange_bindings"),
        }
    }
}
