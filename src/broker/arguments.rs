//! The arguments of queues: which there are, for which type, with what values
//! (`semantics` 6.5).

use super::resource::{Resource, precondition};
use crate::base::limits::{DEDUPLICATION_MAX, EXPIRY_MS_MAX, QUEUE_PRIORITY_MAX};
use crate::wire::{FieldTable, FieldValue, Refusal, ReplyCode};

/// The argument that says what type of queue it is.
pub(super) const QUEUE_TYPE: &str = "x-queue-type";
/// The argument that says what names a message's group.
pub(super) const MESSAGE_GROUP: &str = "x-message-group";
/// The argument that says how long a consumer may hold a message.
pub(super) const CONSUMER_TIMEOUT: &str = "x-consumer-timeout";
/// The argument that says before whom a consumer is served.
pub(super) const CONSUMER_PRIORITY: &str = "x-priority";
/// The argument that has duplicates dropped, of queues and exchanges.
pub(super) const DEDUPLICATION: &str = "x-message-deduplication";
/// The argument that says how many messages are remembered for that.
pub(super) const DEDUPLICATION_SIZE: &str = "x-cache-size";
/// The argument that says for how long, milliseconds; and the header of a message
/// for which it is to be another time.
pub(super) const DEDUPLICATION_TTL: &str = "x-cache-ttl";
/// The argument that names the header with a message's id, and that header when
/// it names none.
pub(super) const DEDUPLICATION_HEADER: &str = "x-deduplication-header";
const DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";

/// A type of queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum QueueType {
    #[default]
    Classic,
    Quorum,
}

impl QueueType {
    /// The value of `x-queue-type`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }

    /// The name RabbitMQ's error texts have for it.
    pub(super) const fn internal_name(self) -> &'static str {
        match self {
            Self::Classic => "rabbit_classic_queue",
            Self::Quorum => "rabbit_quorum_queue",
        }
    }

    /// The type of that name.
    pub(super) fn of_name(name: &[u8]) -> Option<Self> {
        match name {
            b"classic" => Some(Self::Classic),
            b"quorum" => Some(Self::Quorum),
            _ => None,
        }
    }

    /// Its bit among the types that have something.
    pub(super) const fn column(self) -> u8 {
        match self {
            Self::Classic => CLASSIC,
            Self::Quorum => QUORUM,
        }
    }
}

/// What is wrong with an argument, as RabbitMQ prints it.
type Term = String;
type Check = fn(&FieldValue, &FieldTable) -> Result<(), Term>;

struct Argument {
    name: &'static str,
    /// The types of queue that have it, a bit each.
    types: u8,
    check: Check,
}

pub(super) const CLASSIC: u8 = 1;
pub(super) const QUORUM: u8 = 2;
pub(super) const BOTH: u8 = CLASSIC | QUORUM;
/// Of streams, which there are none of yet.
pub(super) const NEITHER: u8 = 0;

const fn argument(name: &'static str, types: u8, check: Check) -> Argument {
    Argument { name, types, check }
}

/// All that are known, in the order in which they are checked and compared.
const ARGUMENTS: &[Argument] = &[
    argument("x-expires", BOTH, check_expires),
    argument("x-message-ttl", BOTH, check_expiry),
    argument(DEAD_LETTER_EXCHANGE, BOTH, check_string),
    argument("x-dead-letter-routing-key", BOTH, check_dead_letter_key),
    argument("x-dead-letter-strategy", QUORUM, check_dead_letter_strategy),
    argument("x-max-length", BOTH, check_count),
    argument("x-max-length-bytes", BOTH, check_count),
    argument("x-max-in-memory-length", QUORUM, check_count),
    argument("x-max-in-memory-bytes", QUORUM, check_count),
    argument("x-max-priority", CLASSIC, check_max_priority),
    argument("x-overflow", BOTH, check_overflow),
    // RabbitMQ has nothing like it.
    argument(MESSAGE_GROUP, BOTH, check_message_group),
    // Of RabbitMQ's plugin, which doesn't check them, and LavinMQ.
    argument(DEDUPLICATION, BOTH, check_bool),
    argument(DEDUPLICATION_SIZE, BOTH, check_deduplication_size),
    argument(DEDUPLICATION_TTL, BOTH, check_expires),
    argument(DEDUPLICATION_HEADER, BOTH, check_string),
    argument("x-queue-mode", CLASSIC, check_nothing),
    argument("x-queue-version", CLASSIC, check_queue_version),
    argument("x-single-active-consumer", BOTH, check_bool),
    argument(QUEUE_TYPE, BOTH, check_queue_type),
    argument("x-quorum-initial-group-size", QUORUM, check_group_size),
    argument("x-max-age", NEITHER, check_string),
    argument("x-stream-max-segment-size-bytes", NEITHER, check_count),
    argument("x-stream-filter-size-bytes", NEITHER, check_count),
    argument("x-initial-cluster-size", NEITHER, check_count),
    argument("x-queue-leader-locator", BOTH, check_leader_locator),
    // RabbitMQ has the next four for quorum queues only, and the two after them not at all.
    argument("x-delivery-limit", BOTH, check_integer),
    argument("x-delayed-retry-type", BOTH, check_delayed_retry_type),
    argument("x-delayed-retry-min", BOTH, check_count),
    argument("x-delayed-retry-max", BOTH, check_count),
    argument("x-delayed-retry-multiplier", BOTH, check_multiplier),
    argument("x-delayed-retry-jitter", BOTH, check_jitter),
    // Of RabbitMQ's queues, only quorum queues have it.
    argument(CONSUMER_TIMEOUT, BOTH, check_count),
    argument("x-consumer-disconnected-timeout", QUORUM, check_count),
    argument("x-member-placement-tag", QUORUM, check_nothing),
];

/// Those of consumers, likewise.
const CONSUMER_ARGUMENTS: &[Argument] = &[
    argument(CONSUMER_PRIORITY, BOTH, check_integer),
    argument(CONSUMER_TIMEOUT, QUORUM, check_count),
    argument("x-stream-offset", NEITHER, check_string),
    argument("x-stream-filter", NEITHER, check_string),
    argument("x-stream-match-unfiltered", NEITHER, check_bool),
];

/// The type that `arguments` ask for; [`None`] when there is no such type.
pub(super) fn queue_type(arguments: &FieldTable) -> Option<QueueType> {
    match arguments.get(QUEUE_TYPE) {
        None => Some(QueueType::Classic),
        Some(value) => QueueType::of_name(value.as_octets()?),
    }
}

/// The arguments that have to be the same when a queue of type `kind` is
/// declared again.
pub(super) fn compared(kind: QueueType) -> impl Iterator<Item = &'static str> {
    ARGUMENTS
        .iter()
        .filter(move |argument| argument.types & kind.column() != 0)
        .map(|argument| argument.name)
}

/// Checks the arguments of a queue that doesn't exist yet; returns its type.
/// Arguments nobody knows are let through.
///
/// # Errors
/// 406 that names the first bad argument, 540 for a stream.
pub(super) fn check(queue: Resource<'_>, arguments: &FieldTable) -> Result<QueueType, Refusal> {
    check_dead_letter_exchange(queue, arguments)?;
    let kind = check_type(queue, arguments)?;
    check_against(ARGUMENTS, queue, kind, arguments)?;
    Ok(kind)
}

/// Checks the arguments of a consumer of a queue of type `kind`.
///
/// # Errors
/// 406 that names the first bad argument.
pub(super) fn check_consumer(
    queue: Resource<'_>,
    kind: QueueType,
    arguments: &FieldTable,
) -> Result<(), Refusal> {
    check_against(CONSUMER_ARGUMENTS, queue, kind, arguments)
}

fn check_against(
    known: &'static [Argument],
    queue: Resource<'_>,
    kind: QueueType,
    arguments: &FieldTable,
) -> Result<(), Refusal> {
    let given = |argument: &'static Argument| Some((argument, arguments.get(argument.name)?));
    for (argument, value) in known.iter().filter_map(given) {
        if argument.types & kind.column() != 0 {
            (argument.check)(value, arguments)
                .map_err(|term| invalid(queue, argument.name, &term))?;
        }
    }
    for (argument, _) in known.iter().filter_map(given) {
        if argument.types & kind.column() == 0 {
            return Err(precondition(format!(
                "invalid arg '{}' for {queue} of queue type {}",
                argument.name,
                kind.internal_name()
            )));
        }
    }
    Ok(())
}

fn check_dead_letter_exchange(queue: Resource<'_>, arguments: &FieldTable) -> Result<(), Refusal> {
    match arguments.get(DEAD_LETTER_EXCHANGE) {
        None | Some(FieldValue::LongStr(_)) => Ok(()),
        Some(other) => Err(precondition(format!(
            "invalid type '{}' for arg '{DEAD_LETTER_EXCHANGE}' in {queue}",
            other.type_name()
        ))),
    }
}

fn check_type(queue: Resource<'_>, arguments: &FieldTable) -> Result<QueueType, Refusal> {
    let Some(value) = arguments.get(QUEUE_TYPE) else {
        return Ok(QueueType::default());
    };
    if value.as_octets() == Some(b"stream") {
        let text = format!("{queue} can't be a stream: queue type 'stream' is not supported yet");
        return Err(Refusal::new(ReplyCode::NotImplemented, text));
    }
    check_queue_type(value, arguments).map_err(|term| invalid(queue, QUEUE_TYPE, &term))?;
    Ok(queue_type(arguments).unwrap_or_default())
}

fn invalid(queue: Resource<'_>, name: &str, term: &str) -> Refusal {
    precondition(format!("invalid arg '{name}' for {queue}: {term}"))
}

fn check_queue_type(value: &FieldValue, arguments: &FieldTable) -> Result<(), Term> {
    let name = text(value)?;
    match queue_type(arguments) {
        Some(_) => Ok(()),
        None => Err(format!("\"unsupported queue type '{name}'\"")),
    }
}

/// Of arguments that have no effect: RabbitMQ takes anything for them.
fn check_nothing(_: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    Ok(())
}

fn check_string(value: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    text(value).map(|_| ())
}

fn check_bool(value: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    match value {
        FieldValue::Bool(_) => Ok(()),
        other => Err(unacceptable_type(other)),
    }
}

fn check_integer(value: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    integer(value).map(|_| ())
}

fn check_count(value: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    count(value).map(|_| ())
}

fn check_expiry(value: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    let ms = count(value)?;
    if ms > EXPIRY_MS_MAX {
        return Err(format!("{{value_too_large,{ms}}}"));
    }
    Ok(())
}

fn check_expires(value: &FieldValue, arguments: &FieldTable) -> Result<(), Term> {
    refuse_zero(value)?;
    check_expiry(value, arguments)
}

fn check_group_size(value: &FieldValue, arguments: &FieldTable) -> Result<(), Term> {
    refuse_zero(value)?;
    check_count(value, arguments)
}

fn refuse_zero(value: &FieldValue) -> Result<(), Term> {
    if integer(value)? == 0 {
        return Err("{value_zero,0}".into());
    }
    Ok(())
}

fn check_dead_letter_key(value: &FieldValue, arguments: &FieldTable) -> Result<(), Term> {
    text(value)?;
    if arguments.get(DEAD_LETTER_EXCHANGE).is_none() {
        return Err("routing_key_but_no_dlx_defined".into());
    }
    Ok(())
}

fn check_dead_letter_strategy(value: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    one_of(
        value,
        &["at-most-once", "at-least-once"],
        "invalid_dlx_strategy",
    )
}

fn check_message_group(value: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    match &*text(value)? {
        "" => Err("invalid_message_group".into()),
        _ => Ok(()),
    }
}

fn check_deduplication_size(value: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    refuse_zero(value)?;
    let size = count(value)?;
    if size as u64 > DEDUPLICATION_MAX {
        return Err(format!("{{value_too_large,{size}}}"));
    }
    Ok(())
}

fn check_overflow(value: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    let known = ["drop-head", "reject-publish", "reject-publish-dlx"];
    one_of(value, &known, "invalid_overflow")
}

fn check_leader_locator(value: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    one_of(
        value,
        &["client-local", "balanced"],
        "invalid_queue_locator_arg",
    )
}

fn check_delayed_retry_type(value: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    let known = ["disabled", "all", "failed", "returned"];
    one_of(value, &known, "invalid_delayed_retry_type")
}

fn check_multiplier(value: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    match number(value)? {
        1.0..=1000.0 => Ok(()),
        other => Err(format!("{{value_out_of_range,{other},1,1000}}")),
    }
}

fn check_jitter(value: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    match number(value)? {
        0.0..=1.0 => Ok(()),
        other => Err(format!("{{value_out_of_range,{other},0,1}}")),
    }
}

fn check_max_priority(value: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    let most = count(value)?;
    if most > QUEUE_PRIORITY_MAX {
        return Err(format!("{{max_value_exceeded,{most}}}"));
    }
    Ok(())
}

fn check_queue_version(value: &FieldValue, _: &FieldTable) -> Result<(), Term> {
    match count(value)? {
        2 => Ok(()),
        other => Err(format!("\"unsupported queue version '{other}'\"")),
    }
}

fn one_of(value: &FieldValue, known: &[&str], otherwise: &str) -> Result<(), Term> {
    if known.contains(&&*text(value)?) {
        return Ok(());
    }
    Err(otherwise.into())
}

fn text(value: &FieldValue) -> Result<String, Term> {
    match value.as_octets() {
        Some(octets) => Ok(String::from_utf8_lossy(octets).into_owned()),
        None => Err(unacceptable_type(value)),
    }
}

fn integer(value: &FieldValue) -> Result<i64, Term> {
    value
        .as_i64()
        .ok_or_else(|| format!("\"expected integer, got {}\"", value.type_name()))
}

fn number(value: &FieldValue) -> Result<f64, Term> {
    value
        .as_f64()
        .ok_or_else(|| format!("\"expected number, got {}\"", value.type_name()))
}

fn count(value: &FieldValue) -> Result<i64, Term> {
    match integer(value)? {
        negative @ ..0 => Err(format!("{{value_negative,{negative}}}")),
        count => Ok(count),
    }
}

fn unacceptable_type(value: &FieldValue) -> Term {
    format!("{{unacceptable_type,{}}}", value.type_name())
}
