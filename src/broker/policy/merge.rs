//! What comes of several who have a say: a queue's arguments, a policy and an
//! operator's policy (`semantics` 11, 16).

use std::borrow::Cow;

use super::keys;
use crate::broker::arguments::QueueType;
use crate::wire::{FieldTable, FieldValue};

/// Which of two values holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// The first.
    First,
    /// The second.
    Second,
    /// The smaller number.
    Smaller,
    /// The larger number.
    Larger,
    /// The smaller number, where a negative one is no limit.
    Limit,
    /// The first for classic queues, else the second.
    Classic,
}

impl Rule {
    fn pick<'a>(
        self,
        first: &'a FieldValue,
        second: &'a FieldValue,
        kind: QueueType,
    ) -> &'a FieldValue {
        let takes_second = match self {
            Self::First => false,
            Self::Second => true,
            Self::Smaller => number(second) < number(first),
            Self::Larger => number(second) > number(first),
            Self::Limit if number(first).min(number(second)) < 0.0 => {
                number(second) > number(first)
            }
            Self::Limit => number(second) < number(first),
            Self::Classic => kind != QueueType::Classic,
        };
        if takes_second { second } else { first }
    }
}

/// What a queue of type `kind`, declared with `arguments`, goes by under
/// `definition`: as if it had been declared with that.
pub(in crate::broker) fn with_arguments<'a>(
    arguments: &'a FieldTable,
    kind: QueueType,
    definition: &FieldTable,
) -> Cow<'a, FieldTable> {
    let mut merged = Cow::Borrowed(arguments);
    for (name, value) in definition.iter() {
        let Some(key) = keys::find(name) else {
            continue;
        };
        let argument = format!("x-{}", String::from_utf8_lossy(name));
        let holds = match arguments.get(&argument) {
            Some(given) => key.with_argument.pick(given, value, kind),
            None => value,
        };
        merged.to_mut().set(&argument, holds.clone());
    }
    merged
}

/// What a policy and an operator's policy come to. By key.
pub(super) fn with_operator(policy: &FieldTable, operator: &FieldTable) -> FieldTable {
    let mut merged = policy.clone();
    for (name, bound) in operator.iter() {
        let (Some(key), Ok(text)) = (keys::find(name), std::str::from_utf8(name)) else {
            continue;
        };
        let holds = match policy.get(text) {
            // None of an operator's keys depends on the type of queue.
            Some(value) => key.with_operator.pick(value, bound, QueueType::default()),
            None => bound,
        };
        merged.set(text, holds.clone());
    }
    merged.sort();
    merged
}

/// Both are numbers where a rule compares them: each was checked.
fn number(value: &FieldValue) -> f64 {
    value.as_f64().unwrap_or(f64::MAX)
}
