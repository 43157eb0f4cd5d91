//! What exchanges, queues and bindings were declared as.

use std::sync::Arc;

use crate::wire::FieldTable;

/// An exchange as declared.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeSpec {
    /// Its name, unique in the virtual host.
    pub name: Arc<str>,
    /// Its type: `direct`, `fanout`, `topic`, `headers`, or one that begins with
    /// `x-`.
    pub kind: Arc<str>,
    /// Survives a restart.
    pub durable: bool,
    /// Goes with its last binding as a source.
    pub auto_delete: bool,
    /// Takes messages from other exchanges only.
    pub internal: bool,
    /// Arguments, kept as they came.
    pub arguments: FieldTable,
}

/// A queue as declared.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueSpec {
    /// Its name, unique in the virtual host.
    pub name: Arc<str>,
    /// Survives a restart. Never set together with `exclusive`.
    pub durable: bool,
    /// Belongs to the connection that declared it and goes with it.
    pub exclusive: bool,
    /// Goes with its last consumer.
    pub auto_delete: bool,
    /// Arguments; `x-queue-type` is always among them.
    pub arguments: FieldTable,
}

/// Where a binding leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// To the queue of that name.
    Queue(Arc<str>),
    /// To the exchange of that name.
    Exchange(Arc<str>),
}

impl Destination {
    /// The name, whatever it names.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Queue(name) | Self::Exchange(name) => name,
        }
    }
}

/// A binding as declared. All four parts together identify it.
#[derive(Debug, Clone, PartialEq)]
pub struct BindingSpec {
    /// The exchange messages come from.
    pub source: Arc<str>,
    /// Where they go.
    pub destination: Destination,
    /// The routing key or pattern.
    pub routing_key: Arc<str>,
    /// Arguments, the criteria of a headers exchange among them.
    pub arguments: FieldTable,
}
