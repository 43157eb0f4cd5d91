//! What happens to messages that are traced.

use std::sync::Arc;

use super::{TraceId, TraceParent};
use crate::broker::announcements::Peer;
use crate::broker::message::MessageView;
use crate::broker::spec::{BindingSpec, Destination};
use crate::wire::{FieldValue, Properties};

/// What an event counts for beside its texts, octets: about what it takes.
const WEIGHT: usize = 256;

/// Something that happened to a message that is traced.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Counts up, over all of them.
    pub number: u64,
    /// The message.
    pub trace: TraceId,
    /// When, milliseconds since 1970.
    pub at: u64,
    /// The virtual host.
    pub vhost: Arc<str>,
    /// What.
    pub what: Happening,
}

/// What can happen to a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// It was published, and a rule chose it.
    Published {
        /// The rule.
        rule: Arc<str>,
        /// By whom.
        by: Peer,
        /// The channel it came on.
        channel: u16,
        /// The exchange.
        exchange: Arc<str>,
        /// The routing key.
        routing_key: Arc<str>,
        /// What tells it from others.
        identity: Box<Identity>,
        /// The bindings it was routed by.
        ways: Vec<Way>,
        /// The queues and direct replies it goes to.
        queues: Vec<Arc<str>>,
    },
    /// A queue had no room for it, and its publisher was told.
    Refused,
    /// It was handed out.
    Delivered {
        /// The queue.
        queue: Arc<str>,
        /// To whom.
        to: Peer,
        /// On which channel.
        channel: u16,
        /// The consumer's tag; `None` when it was asked for by `basic.get`.
        consumer: Option<Arc<str>>,
        /// Whether it may have been handed out before.
        redelivered: bool,
        /// Whether it is to be acknowledged.
        to_settle: bool,
    },
    /// It was acknowledged.
    Acknowledged {
        /// The queue.
        queue: Arc<str>,
        /// The user who did.
        by: Arc<str>,
    },
    /// It went back to its queue.
    Requeued {
        /// The queue.
        queue: Arc<str>,
        /// The user it came back from.
        by: Arc<str>,
        /// Why: `rejected`, `returned`, `closed`, `timed_out`.
        cause: &'static str,
    },
    /// A consumer refused it for good.
    Rejected {
        /// The queue.
        queue: Arc<str>,
        /// The user who did.
        by: Arc<str>,
    },
    /// It died in a queue, or the time for which it was held back is over.
    Died {
        /// The queue.
        queue: Arc<str>,
        /// Why, as in `x-death`; `due` for what was held back.
        reason: &'static str,
        /// The exchange it was published to then, if to any.
        exchange: Option<Arc<str>>,
        /// The routing key it was published with.
        routing_key: Arc<str>,
        /// The queues it went to.
        queues: Vec<Arc<str>>,
    },
    /// It left its queue, and nobody was to get it.
    Removed {
        /// The queue.
        queue: Arc<str>,
        /// The user who had it go; empty where the broker saw to it by itself.
        by: Arc<str>,
        /// What went.
        how: Removal,
    },
    /// Somebody sent it on from where it waited.
    Replayed {
        /// The queue it waited in.
        queue: Arc<str>,
        /// The user who did.
        by: Arc<str>,
        /// The exchange it was published to.
        exchange: Arc<str>,
        /// The routing key it was published with.
        routing_key: Arc<str>,
        /// The queues it went to.
        queues: Vec<Arc<str>>,
    },
}

/// How messages are removed that nobody is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// With all that waited there.
    Purged,
    /// With its queue.
    QueueDeleted,
    /// Chosen by somebody who looked at it.
    Dropped,
}

impl Happening {
    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Published { .. } => "published",
            Self::Refused => "refused",
            Self::Delivered { .. } => "delivered",
            Self::Acknowledged { .. } => "acknowledged",
            Self::Requeued { .. } => "requeued",
            Self::Rejected { .. } => "rejected",
            Self::Died {
                exchange: Some(_),
                reason: "due",
                ..
            } => "released",
            Self::Died {
                exchange: Some(_), ..
            } => "dead_lettered",
            Self::Died { .. } => "dropped",
            Self::Removed { how, .. } => match how {
                Removal::Purged => "purged",
                Removal::QueueDeleted => "queue_deleted",
                Removal::Dropped => "dropped",
            },
            Self::Replayed { .. } => "replayed",
        }
    }

    /// The queue it happened in.
    pub fn queue(&self) -> Option<&Arc<str>> {
        match self {
            Self::Published { .. } | Self::Refused => None,
            Self::Delivered { queue, .. }
            | Self::Acknowledged { queue, .. }
            | Self::Requeued { queue, .. }
            | Self::Rejected { queue, .. }
            | Self::Died { queue, .. }
            | Self::Removed { queue, .. }
            | Self::Replayed { queue, .. } => Some(queue),
        }
    }

    /// The exchange it was published to with that.
    pub fn exchange(&self) -> Option<&Arc<str>> {
        match self {
            Self::Published { exchange, .. } | Self::Replayed { exchange, .. } => Some(exchange),
            Self::Died { exchange, .. } => exchange.as_ref(),
            _ => None,
        }
    }

    /// The queues it came to with that.
    pub fn queues(&self) -> &[Arc<str>] {
        match self {
            Self::Published { queues, .. }
            | Self::Died { queues, .. }
            | Self::Replayed { queues, .. } => queues,
            _ => &[],
        }
    }

    /// Octets it takes, about.
    pub(super) fn weight(&self) -> usize {
        let own = match self {
            Self::Published { identity, ways, .. } => {
                let ways = ways.iter().map(Way::weight).sum::<usize>();
                ways + identity.weight()
            }
            _ => 0,
        };
        // Other names are shared with what they name.
        let keys = match self {
            Self::Published { routing_key, .. }
            | Self::Died { routing_key, .. }
            | Self::Replayed { routing_key, .. } => routing_key.len(),
            _ => 0,
        };
        WEIGHT + own + keys + size_of_val(self.queues())
    }
}

/// What tells a message from others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Identity {
    /// Its correlation id.
    pub correlation_id: Option<Arc<str>>,
    /// Its message id.
    pub message_id: Option<Arc<str>>,
    /// The trace it is part of among applications.
    pub parent: Option<TraceParent>,
    /// Octets of its body.
    pub body_len: u64,
}

impl Identity {
    /// That of a message.
    pub(super) fn of(message: &MessageView<'_>) -> Self {
        let properties = Properties::parse(message.properties).unwrap_or_default();
        let text = |octets: Option<&[u8]>| octets.map(|o| String::from_utf8_lossy(o).into());
        let headers = properties
            .headers
            .and_then(|_| properties.headers_table().ok());
        let parent = headers.as_ref().and_then(|h| h.get(TraceParent::HEADER));
        Self {
            correlation_id: text(properties.correlation_id),
            message_id: text(properties.message_id),
            parent: parent
                .and_then(FieldValue::as_str)
                .and_then(TraceParent::parse),
            body_len: message.body.len() as u64,
        }
    }

    fn weight(&self) -> usize {
        let len = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |t| t.len());
        size_of::<Self>() + len(&self.correlation_id) + len(&self.message_id)
    }
}

/// A binding that a message was routed by.
#[derive(Debug, Clone, PartialEq)]
pub struct Way {
    /// The exchange.
    pub source: Arc<str>,
    /// What it led to.
    pub destination: Arc<str>,
    /// Whether that is a queue; else it is an exchange.
    pub to_queue: bool,
    /// The binding's key.
    pub routing_key: Arc<str>,
}

impl Way {
    fn weight(&self) -> usize {
        size_of::<Self>()
    }
}

impl From<BindingSpec> for Way {
    fn from(binding: BindingSpec) -> Self {
        let to_queue = matches!(binding.destination, Destination::Queue(_));
        Self {
            source: binding.source,
            destination: Arc::clone(binding.destination.name()),
            to_queue,
            routing_key: binding.routing_key,
        }
    }
}
