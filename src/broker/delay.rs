//! How long a message asks to be held back (`semantics` 7, x-delayed-message).

use std::sync::Arc;

use crate::base::limits::DELAY_MS_MAX;
use crate::wire::{FieldTable, FieldValue};

/// The type of exchange that holds messages back.
pub(super) const DELAYED_EXCHANGE: &str = "x-delayed-message";
/// The header that says for how long, milliseconds.
const DELAY: &str = "x-delay";
/// What the queues are called that hold messages back: this and the exchange's
/// name. No client can declare one.
const HOLDING_PREFIX: &str = "amq.delayed.";
/// The argument of such a queue that names its exchange.
pub(super) const HOLDS_FOR: &str = "x-delayed-exchange";

/// The queue that holds messages back for an exchange.
pub(super) fn holding_queue(exchange: &str) -> Arc<str> {
    format!("{HOLDING_PREFIX}{exchange}").into()
}

/// The exchange that a queue holds messages back for, if it does.
pub(super) fn holds_for<'a>(queue: &str, arguments: &'a FieldTable) -> Option<&'a str> {
    if !queue.starts_with(HOLDING_PREFIX) {
        return None;
    }
    arguments.get(HOLDS_FOR).and_then(FieldValue::as_str)
}

/// Milliseconds that a message is to be held back; `None` when it isn't.
///
/// A number, or a text that is one; more than 2^32 - 1 is as good as none, as in
/// RabbitMQ's plugin.
pub(super) fn delay_of(headers: &FieldTable) -> Option<u64> {
    let ms = match headers.get(DELAY)? {
        value @ FieldValue::LongStr(_) => value.as_str()?.trim().parse().ok()?,
        value => value.as_f64()?,
    };
    (ms >= 1.0 && ms <= DELAY_MS_MAX as f64).then_some(ms as u64)
}

/// Says in the headers that the time is over: the delay is negated. It keeps its
/// type if that has negative numbers, which some clients depend on.
pub(super) fn note_released(headers: &mut FieldTable) {
    let (Some(ms), Some(given)) = (delay_of(headers), headers.get(DELAY)) else {
        return;
    };
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    let negated = match *given {
        FieldValue::I8(v) => FieldValue::I8(-v),
        FieldValue::I16(v) => FieldValue::I16(-v),
        FieldValue::I32(v) => FieldValue::I32(-v),
        FieldValue::F32(v) => FieldValue::F32(-v),
        FieldValue::F64(v) => FieldValue::F64(-v),
        FieldValue::LongStr(_) => FieldValue::str((-ms).to_string()),
        _ => FieldValue::I64(-ms),
    };
    headers.set(DELAY, negated);
}
