//! What a queue goes by: its arguments and the policies that apply to it, read
//! once.

use std::sync::{Arc, LazyLock};

use super::dead_letter::DeadLetterTarget;
use super::deduplication::{WINDOW_LANE, deduplicates};
use super::retries::DelayedRetry;
use crate::base::limits::{QUORUM_DELIVERY_LIMIT, QUORUM_PRIORITIES};
use crate::broker::arguments::{self, QueueType};
use crate::broker::attempts::Attempts;
use crate::broker::policy::with_arguments;
use crate::wire::{FieldTable, FieldValue};

/// What becomes of a message for which there is no room (`semantics` 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// The one at the head makes room.
    #[default]
    DropHead,
    /// Its publisher hears that it was refused.
    RejectPublish,
    /// The same, and it is dead-lettered.
    RejectPublishDeadLetter,
}

impl Overflow {
    fn named(name: &str) -> Self {
        match name {
            "reject-publish" => Self::RejectPublish,
            "reject-publish-dlx" => Self::RejectPublishDeadLetter,
            _ => Self::DropHead,
        }
    }
}

/// How many levels of priority a queue has, and which one is meant when a
/// message doesn't say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priorities {
    /// The highest level; the lowest is 0.
    pub highest: u8,
    /// The level of a message without a priority.
    pub usual: u8,
}

/// What deliveries say of earlier attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Nothing, as from RabbitMQ's classic queues.
    Nothing,
    /// How many there were, as from its quorum queues.
    AsRabbitMq,
    /// The same, and how the last one ended: for those who asked for what
    /// RabbitMQ doesn't have.
    WithCause,
}

impl Counts {
    /// What is said of a message that fared like this.
    pub fn of(self, attempts: Attempts) -> Option<Attempts> {
        if attempts.returns == 0 {
            return None;
        }
        match self {
            Self::Nothing => None,
            Self::AsRabbitMq => Some(Attempts {
                cause: None,
                ..attempts
            }),
            Self::WithCause => Some(attempts),
        }
    }
}

/// What a queue goes by.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Whether it behaves as RabbitMQ's quorum queues do, or as its classic ones.
    pub quorum: bool,
    /// Milliseconds after which its messages expire.
    pub message_ttl: Option<u64>,
    /// Milliseconds after which it goes when nobody uses it.
    pub expires: Option<u64>,
    /// Most messages ready.
    pub max_length: Option<u64>,
    /// Most octets of bodies ready.
    pub max_length_bytes: Option<u64>,
    /// What happens beyond that.
    pub overflow: Overflow,
    /// Its levels of priority, if it has more than one.
    pub priorities: Option<Priorities>,
    /// Failed attempts after which a message dies at the next one.
    pub delivery_limit: Option<u16>,
    /// Which messages that come back wait, and how long.
    pub delayed_retry: Option<DelayedRetry>,
    /// Milliseconds a consumer may hold a message; 0 is no limit, and `None`
    /// leaves it to the consumers.
    pub consumer_timeout: Option<u64>,
    /// Where its dead letters go, if anywhere.
    pub dead_letter: Option<DeadLetterTarget>,
    /// Whether a dead letter that nothing takes stays with the queue.
    pub keeps_dead_letters: bool,
}

/// What a queue goes by that asks for nothing: most do.
static USUAL: LazyLock<Arc<Settings>> =
    LazyLock::new(|| Arc::new(Settings::of(&FieldTable::new())));

impl Settings {
    /// The same, kept once for all queues that ask for nothing.
    pub fn shared(self) -> Arc<Self> {
        if self == **USUAL {
            return Arc::clone(&USUAL);
        }
        Arc::new(self)
    }

    /// What a queue declared with `arguments` goes by.
    pub fn of(arguments: &FieldTable) -> Self {
        let number = |name| arguments.get(name).and_then(FieldValue::as_i64);
        let positive = |name| number(name).and_then(|value| u64::try_from(value).ok());
        let quorum = arguments::queue_type(arguments) == Some(QueueType::Quorum);
        let overflow = arguments.get("x-overflow").and_then(FieldValue::as_str);
        let overflow = overflow.map_or(Overflow::DropHead, Overflow::named);
        let overflow = overflow.for_type(quorum);
        let dead_letter = DeadLetterTarget::from_arguments(arguments);
        let strategy = arguments.get("x-dead-letter-strategy");
        let at_least_once = strategy.and_then(FieldValue::as_str) == Some("at-least-once");
        // Else RabbitMQ falls back on at-most-once, and says nothing.
        let may_keep = quorum && overflow == Overflow::RejectPublish && dead_letter.is_some();
        Self {
            quorum,
            message_ttl: positive("x-message-ttl"),
            expires: positive("x-expires"),
            max_length: positive("x-max-length"),
            max_length_bytes: positive("x-max-length-bytes"),
            overflow,
            priorities: priorities(quorum, positive("x-max-priority"), deduplicates(arguments)),
            delivery_limit: delivery_limit(quorum, number("x-delivery-limit")),
            delayed_retry: DelayedRetry::from_arguments(arguments),
            consumer_timeout: positive("x-consumer-timeout"),
            dead_letter,
            keeps_dead_letters: at_least_once && may_keep,
        }
    }

    /// The same under policies that come to `definition`.
    pub fn under(definition: &FieldTable, arguments: &FieldTable) -> Self {
        let kind = arguments::queue_type(arguments).unwrap_or_default();
        Self::of(&with_arguments(arguments, kind, definition))
    }

    /// Whether messages that come may have something happen to others, or
    /// something happens at a time of its own.
    pub fn is_eventful(&self) -> bool {
        self.is_limited() || self.expires.is_some() || self.delayed_retry.is_some()
    }

    /// Whether there is a limit to what is ready.
    pub fn is_limited(&self) -> bool {
        self.max_length.is_some() || self.max_length_bytes.is_some()
    }

    /// What deliveries say of earlier attempts.
    pub fn counts(&self) -> Counts {
        let grows = |retry: &DelayedRetry| retry.multiplier.is_some();
        if self.quorum && !self.delayed_retry.as_ref().is_some_and(grows) {
            Counts::AsRabbitMq
        } else if self.delivery_limit.is_some() || self.delayed_retry.is_some() {
            Counts::WithCause
        } else {
            Counts::Nothing
        }
    }
}

impl Overflow {
    /// Quorum queues have no dead-lettering of what they refuse.
    fn for_type(self, quorum: bool) -> Self {
        match self {
            Self::RejectPublishDeadLetter if quorum => Self::DropHead,
            other => other,
        }
    }
}

/// A classic queue has the levels asked for, a quorum queue always the same.
fn priorities(quorum: bool, highest: Option<u64>, deduplicates: bool) -> Option<Priorities> {
    if quorum {
        return Some(QUORUM_PRIORITIES).map(|(highest, usual)| Priorities { highest, usual });
    }
    let mut highest = u8::try_from(highest?).unwrap_or(u8::MAX);
    if deduplicates {
        // The last lane isn't for messages.
        highest = highest.min(WINDOW_LANE - 1);
    }
    (highest > 0).then_some(Priorities { highest, usual: 0 })
}

/// A negative limit is none; a quorum queue has one unless told otherwise.
fn delivery_limit(quorum: bool, argument: Option<i64>) -> Option<u16> {
    match argument {
        Some(..0) => None,
        Some(limit) => Some(u16::try_from(limit).unwrap_or(u16::MAX)),
        None => quorum.then_some(QUORUM_DELIVERY_LIMIT),
    }
}
