//! Whether something declared again is what it was declared as (`semantics` 6.4).

use super::arguments;
use super::erlang;
use super::resource::{Resource, precondition};
use super::spec::{ExchangeSpec, QueueSpec};
use super::topology::ALTERNATE_EXCHANGE;
use crate::wire::{FieldTable, FieldValue, Refusal};

/// Compares a queue with what it is declared as this time.
///
/// Who may use it is for the caller to check before.
///
/// # Errors
/// 406 that names the first difference.
pub(super) fn check_queue(
    queue: Resource<'_>,
    current: &QueueSpec,
    received: &QueueSpec,
) -> Result<(), Refusal> {
    check_flag(queue, "durable", received.durable, current.durable)?;
    check_flag(
        queue,
        "auto_delete",
        received.auto_delete,
        current.auto_delete,
    )?;
    let kind = arguments::queue_type(&current.arguments);
    for name in arguments::compared(kind.unwrap_or_default()) {
        check_argument(queue, name, &received.arguments, &current.arguments)?;
    }
    Ok(())
}

/// Compares an exchange with what it is declared as this time.
///
/// # Errors
/// 406 that names the first difference.
pub(super) fn check_exchange(
    exchange: Resource<'_>,
    current: &ExchangeSpec,
    received: &ExchangeSpec,
) -> Result<(), Refusal> {
    if received.kind != current.kind {
        let shown = |spec: &ExchangeSpec| quoted(erlang::atom(&spec.kind));
        let (received, current) = (shown(received), shown(current));
        return Err(inequivalent(exchange, "type", &received, &current));
    }
    check_flag(exchange, "durable", received.durable, current.durable)?;
    check_flag(
        exchange,
        "auto_delete",
        received.auto_delete,
        current.auto_delete,
    )?;
    check_flag(exchange, "internal", received.internal, current.internal)?;
    check_argument(
        exchange,
        ALTERNATE_EXCHANGE,
        &received.arguments,
        &current.arguments,
    )
}

fn check_flag(of: Resource<'_>, name: &str, received: bool, current: bool) -> Result<(), Refusal> {
    if received == current {
        return Ok(());
    }
    Err(inequivalent(of, name, &quoted(received), &quoted(current)))
}

fn check_argument(
    of: Resource<'_>,
    name: &str,
    received: &FieldTable,
    current: &FieldTable,
) -> Result<(), Refusal> {
    let (received, current) = match (received.get(name), current.get(name)) {
        (None, None) => return Ok(()),
        (Some(received), Some(current)) if is_same(received, current) => return Ok(()),
        (Some(received), Some(current)) => (
            quoted(erlang::display(received)),
            quoted(erlang::display(current)),
        ),
        (received, current) => (described(received), described(current)),
    };
    Err(inequivalent(of, name, &received, &current))
}

/// Integers compare by value whatever their width.
fn is_same(received: &FieldValue, current: &FieldValue) -> bool {
    match (received.as_i64(), current.as_i64()) {
        (Some(received), Some(current)) => received == current,
        _ => received == current,
    }
}

fn inequivalent(of: Resource<'_>, name: &str, received: &str, current: &str) -> Refusal {
    precondition(format!(
        "inequivalent arg '{name}' for {of}: received {received} but current is {current}"
    ))
}

fn quoted(value: impl std::fmt::Display) -> String {
    format!("'{value}'")
}

fn described(value: Option<&FieldValue>) -> String {
    value.map_or_else(
        || "none".into(),
        |value| {
            let text = erlang::display(value);
            format!("the value '{text}' of type '{}'", value.type_name())
        },
    )
}
