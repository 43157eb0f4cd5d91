//! What policies may say: the keys, for what, with what values
//! (`semantics` 16).

use super::merge::Rule;
use super::{PolicyError, PolicyKind};
use crate::broker::arguments::{BOTH, CLASSIC, NEITHER, QUORUM};
use crate::broker::erlang;
use crate::wire::{FieldTable, FieldValue};

/// Octets of the longest segment that a stream may be told to have.
const STREAM_SEGMENT_MAX: i64 = 3_000_000_000;

/// A key of definitions.
pub(super) struct Key {
    name: &'static str,
    /// The types of queue that have it, a bit each. Exchanges take any.
    types: u8,
    /// Whether operators' policies may have it.
    operator: bool,
    check: fn(&FieldValue) -> bool,
    /// What its values are called.
    what: &'static str,
    /// What comes of a queue's argument, first, and a policy's value.
    pub(super) with_argument: Rule,
    /// What comes of a policy's value, first, and an operator's.
    pub(super) with_operator: Rule,
}

/// A key of users' policies alone.
const fn key(
    name: &'static str,
    types: u8,
    check: fn(&FieldValue) -> bool,
    what: &'static str,
    with_argument: Rule,
) -> Key {
    Key {
        name,
        types,
        operator: false,
        check,
        what,
        with_argument,
        with_operator: Rule::Second,
    }
}

impl Key {
    /// The same for operators', too.
    const fn bounded(self, with_operator: Rule) -> Self {
        Self {
            operator: true,
            with_operator,
            ..self
        }
    }
}

use Rule::{Classic, First, Larger, Limit, Second, Smaller};

/// All there are, in the order of the alphabet, a line each.
#[rustfmt::skip]
const KEYS: &[Key] = &[
    key("alternate-exchange", BOTH, text, "alternate exchange name", First),
    key("consumer-disconnected-timeout", BOTH, count, "consumer disconnected timeout", Smaller),
    key("consumer-timeout", BOTH, count, "consumer timeout", Smaller),
    key("dead-letter-exchange", BOTH, text, "dead letter exchange name", First),
    key("dead-letter-routing-key", BOTH, text, "dead letter routing key", First),
    key("dead-letter-strategy", QUORUM, strategy, "dead letter strategy", First),
    // RabbitMQ has the jitter and the multiplier nowhere, and lets only quorum
    // queues go by the other three.
    key("delayed-retry-jitter", BOTH, jitter, JITTER, Smaller).bounded(Smaller),
    key("delayed-retry-max", BOTH, above_zero, RETRY_MAX, Smaller).bounded(Smaller),
    key("delayed-retry-min", BOTH, above_zero, RETRY_MIN, Smaller).bounded(Larger),
    key("delayed-retry-multiplier", BOTH, multiplier, MULTIPLIER, Smaller).bounded(Smaller),
    key("delayed-retry-type", BOTH, retry_type, RETRY_TYPE, Second).bounded(Second),
    // RabbitMQ's classic queues don't have it.
    key("delivery-limit", BOTH, integer, "delivery limit", Limit).bounded(Limit),
    key("expires", BOTH, above_zero, "queue expiry", Smaller).bounded(Smaller),
    key("initial-cluster-size", NEITHER, count, "cluster size", First),
    key("max-age", NEITHER, age, "max age", First),
    key("max-in-memory-bytes", QUORUM, count, IN_MEMORY, Smaller).bounded(Smaller),
    key("max-in-memory-length", QUORUM, count, IN_MEMORY, Smaller).bounded(Smaller),
    key("max-length", BOTH, count, "maximum length", Smaller).bounded(Smaller),
    key("max-length-bytes", BOTH, count, "maximum length in bytes", Smaller).bounded(Smaller),
    key("member-placement-tag", QUORUM, text, "member placement tag", First).bounded(Second),
    key("message-ttl", BOTH, count, "message TTL", Smaller).bounded(Smaller),
    key("overflow", BOTH, overflow, "overflow value", Classic).bounded(Second),
    key("queue-leader-locator", BOTH, locator, "queue leader locator value", First),
    key("queue-mode", CLASSIC, queue_mode, "queue-mode value", First),
    key("queue-version", BOTH, queue_version, "queue-version value", First).bounded(Second),
    key("stream-filter-size-bytes", BOTH, filter_size, FILTER_SIZE, First),
    key("stream-max-segment-size-bytes", NEITHER, segment_size, "segment size", First),
    key("target-group-size", QUORUM, above_zero, "qq target count value", First).bounded(Larger),
];

const FILTER_SIZE: &str = "filter size. Valid range is 16-255";
// As RabbitMQ calls both.
const IN_MEMORY: &str = "maximum memory in bytes";
const JITTER: &str = "delayed retry jitter. Must be a number from 0 to 1";
const MULTIPLIER: &str = "delayed retry multiplier. Must be a number from 1 to 1000";
const RETRY_MAX: &str = "delayed retry maximum delay. Must be a positive integer";
const RETRY_MIN: &str = "delayed retry minimum delay. Must be a positive integer";
const RETRY_TYPE: &str = "delayed retry type. Must be one of: all, failed, returned, disabled";

/// The key called `name`.
pub(super) fn find(name: &[u8]) -> Option<&'static Key> {
    let at = KEYS.binary_search_by(|key| key.name.as_bytes().cmp(name));
    KEYS.get(at.ok()?)
}

/// The types of queue that have all of a definition, a bit each.
pub(super) fn types(definition: &FieldTable) -> u8 {
    let known = definition.iter().map(|(name, _)| find(name));
    known.fold(BOTH, |types, key| {
        types & key.map_or(NEITHER, |key| key.types)
    })
}

/// Checks a definition, whose keys are in order.
///
/// # Errors
/// [`PolicyError`] naming the first bad value, the unknown keys, or what doesn't
/// go together.
pub(super) fn check(kind: PolicyKind, definition: &FieldTable) -> Result<(), PolicyError> {
    if definition.is_empty() {
        return Err(PolicyError::Empty);
    }
    let mut unknown = Vec::new();
    for (name, value) in definition.iter() {
        match find(name).filter(|key| kind == PolicyKind::User || key.operator) {
            None => {
                let name = erlang::text_binary(&String::from_utf8_lossy(name));
                unknown.push(format!("{{{name},{}}}", erlang::json_term(value)));
            }
            Some(key) if !(key.check)(value) => {
                return Err(PolicyError::BadValue {
                    value: erlang::json_term(value),
                    what: key.what,
                });
            }
            Some(_) => {}
        }
    }
    if !unknown.is_empty() {
        return Err(PolicyError::UnknownKeys(unknown.join(",")));
    }
    check_delayed_retry(definition)
}

fn check_delayed_retry(definition: &FieldTable) -> Result<(), PolicyError> {
    let number = |name| definition.get(name).and_then(FieldValue::as_i64);
    let kind = definition.get("delayed-retry-type");
    let kind = kind.and_then(FieldValue::as_str);
    let (min, max) = (number("delayed-retry-min"), number("delayed-retry-max"));
    match (kind, min, max) {
        (Some(kind), None, _) if kind != "disabled" => Err(PolicyError::Conflict(format!(
            "delayed-retry-min is required when delayed-retry-type is {kind}"
        ))),
        (_, Some(min), Some(max)) if max < min => Err(PolicyError::Conflict(format!(
            "delayed-retry-max ({max}) must not be smaller than delayed-retry-min ({min})"
        ))),
        _ => Ok(()),
    }
}

fn text(value: &FieldValue) -> bool {
    value.as_str().is_some()
}

fn integer(value: &FieldValue) -> bool {
    value.as_i64().is_some()
}

fn count(value: &FieldValue) -> bool {
    value.as_i64().is_some_and(|value| value >= 0)
}

fn above_zero(value: &FieldValue) -> bool {
    value.as_i64().is_some_and(|value| value > 0)
}

fn one_of(value: &FieldValue, known: &[&str]) -> bool {
    value.as_str().is_some_and(|text| known.contains(&text))
}

fn strategy(value: &FieldValue) -> bool {
    one_of(value, &["at-most-once", "at-least-once"])
}

fn overflow(value: &FieldValue) -> bool {
    one_of(
        value,
        &["drop-head", "reject-publish", "reject-publish-dlx"],
    )
}

fn locator(value: &FieldValue) -> bool {
    one_of(value, &["client-local", "balanced"])
}

fn queue_mode(value: &FieldValue) -> bool {
    one_of(value, &["default", "lazy"])
}

fn retry_type(value: &FieldValue) -> bool {
    one_of(value, &["all", "failed", "returned", "disabled"])
}

fn queue_version(value: &FieldValue) -> bool {
    matches!(value.as_i64(), Some(1 | 2))
}

fn filter_size(value: &FieldValue) -> bool {
    matches!(value.as_i64(), Some(16..=255))
}

fn segment_size(value: &FieldValue) -> bool {
    matches!(value.as_i64(), Some(0..=STREAM_SEGMENT_MAX))
}

fn multiplier(value: &FieldValue) -> bool {
    matches!(value.as_f64(), Some(1.0..=1000.0))
}

fn jitter(value: &FieldValue) -> bool {
    matches!(value.as_f64(), Some(0.0..=1.0))
}

/// A number above 0 and a unit of time: `7D`.
fn age(value: &FieldValue) -> bool {
    let Some((number, unit)) = value
        .as_str()
        .and_then(|text| text.split_at_checked(text.len().saturating_sub(1)))
    else {
        return false;
    };
    let above_zero = number.bytes().all(|digit| digit.is_ascii_digit())
        && number.bytes().any(|digit| digit != b'0');
    above_zero && matches!(unit, "Y" | "M" | "D" | "h" | "m" | "s")
}
