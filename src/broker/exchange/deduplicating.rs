//! Exchanges that route no message twice: as another type does, but for those
//! they have had (`x-message-deduplication`).

use std::sync::Arc;

use super::{RouteTable, Target};
use crate::base::limits::DEDUPLICATION_MAX;
use crate::broker::arguments::{DEDUPLICATION_SIZE, DEDUPLICATION_TTL};
use crate::broker::once::ONCE_EXCHANGE;
use crate::broker::queue::Queue;
use crate::broker::resource::{Resource, precondition};
use crate::broker::routing::{RoutingKeys, Traits};
use crate::broker::spec::ExchangeSpec;
use crate::wire::{FieldTable, FieldValue, Refusal};

/// What is bound, and what remembers the messages.
#[derive(Debug)]
pub(in crate::broker) struct Deduplicating {
    inner: RouteTable,
    queue: Option<Arc<Queue>>,
}

impl Deduplicating {
    pub(super) fn new(inner: RouteTable) -> Self {
        Self { inner, queue: None }
    }

    /// Names the queue that remembers the messages.
    pub(in crate::broker) fn remember_in(&mut self, queue: Arc<Queue>) {
        self.queue = Some(queue);
    }

    /// The table of the type to route as.
    pub(super) fn inner(&self) -> &RouteTable {
        &self.inner
    }

    /// The same, to be changed.
    pub(super) fn inner_mut(&mut self) -> &mut RouteTable {
        &mut self.inner
    }

    /// What goes anywhere goes to what remembers it, too: whoever publishes it
    /// finds out there whether it has come before, and asks again if so.
    pub(super) fn route(
        &self,
        keys: &RoutingKeys<'_>,
        traits: &mut dyn Traits,
        found: &mut dyn FnMut(&Target),
    ) {
        let Some(queue) = &self.queue else {
            return self.inner.route(keys, traits, found);
        };
        let mut remember = traits.is_known_to(queue.id());
        if !remember {
            self.inner.route(keys, traits, &mut |target| {
                remember = true;
                found(target);
            });
        }
        if remember {
            found(&Target::Queue(Arc::clone(queue)));
        }
    }
}

/// Checks the arguments of an exchange to be.
///
/// # Errors
/// 406 when a number is out of range, or the one of messages is missing that the
/// plugin's type has to have.
pub(super) fn check_arguments(exchange: Resource<'_>, spec: &ExchangeSpec) -> Result<(), Refusal> {
    let required = *spec.kind == *ONCE_EXCHANGE;
    let positive = |arguments: &FieldTable, name| match arguments.get(name) {
        None => Ok(None),
        Some(value) => match value.as_i64().map(u64::try_from) {
            Some(Ok(number @ 1..)) => Ok(Some(number)),
            _ => Err(invalid(exchange, name, "must be a positive integer")),
        },
    };
    match positive(&spec.arguments, DEDUPLICATION_SIZE)? {
        Some(size) if size > DEDUPLICATION_MAX => {
            let why = format!("must be {DEDUPLICATION_MAX} at most");
            return Err(invalid(exchange, DEDUPLICATION_SIZE, &why));
        }
        None if required => return Err(invalid(exchange, DEDUPLICATION_SIZE, "is required")),
        _ => {}
    }
    positive(&spec.arguments, DEDUPLICATION_TTL).map(drop)
}

fn invalid(exchange: Resource<'_>, name: &str, why: &str) -> Refusal {
    precondition(format!("Invalid argument, '{name}' {why} for {exchange}"))
}

/// Whether an exchange has a say about the arguments above.
pub(super) fn is_asked_for(spec: &ExchangeSpec) -> bool {
    let flag = spec.arguments.get(crate::broker::arguments::DEDUPLICATION);
    *spec.kind == *ONCE_EXCHANGE || flag == Some(&FieldValue::Bool(true))
}
