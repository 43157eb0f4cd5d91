//! Publishing through exchanges that route no message twice.
//!
//! Such an exchange has a queue of its own that holds no messages, but remembers
//! those that came by. A message is routed there and to what is bound; if the
//! queue turns out to have had it, it is routed once more, without that exchange.
//! The queue remembers it in the same unit in which it goes to others: after a
//! crash all of that has happened, or nothing.

use std::sync::Arc;

use super::arguments::{
    DEDUPLICATION, DEDUPLICATION_HEADER, DEDUPLICATION_SIZE, DEDUPLICATION_TTL,
};
use super::effects::Effects;
use super::queue::{Incoming, Pushed, Queue};
use super::spec::ExchangeSpec;
use super::unit::Unit;
use crate::base::ids::QueueId;
use crate::wire::{FieldTable, FieldValue};

/// The type of exchange of RabbitMQ's plugin: a fanout that routes nothing twice.
pub(super) const ONCE_EXCHANGE: &str = "x-message-deduplication";
/// What the queues are called that remember for exchanges: this and the exchange's
/// name. No client can declare one.
const REMEMBERING_PREFIX: &str = "amq.deduplication.";
/// The argument of such a queue that names its exchange.
const REMEMBERS_FOR: &str = "x-deduplication-exchange";

/// The queue that remembers for an exchange.
pub(super) fn remembering_queue(exchange: &str) -> Arc<str> {
    format!("{REMEMBERING_PREFIX}{exchange}").into()
}

/// The exchange that a queue remembers for, if it does.
pub(super) fn remembers_for<'a>(queue: &str, arguments: &'a FieldTable) -> Option<&'a str> {
    if !queue.starts_with(REMEMBERING_PREFIX) {
        return None;
    }
    arguments.get(REMEMBERS_FOR).and_then(FieldValue::as_str)
}

/// The arguments of the queue that remembers for `exchange`.
pub(super) fn remembering_arguments(exchange: &ExchangeSpec) -> FieldTable {
    let mut arguments = FieldTable::new();
    arguments.push(REMEMBERS_FOR, &*exchange.name);
    arguments.push(DEDUPLICATION, FieldValue::Bool(true));
    for name in [DEDUPLICATION_SIZE, DEDUPLICATION_TTL, DEDUPLICATION_HEADER] {
        if let Some(value) = exchange.arguments.get(name) {
            arguments.push(name, value.clone());
        }
    }
    arguments
}

/// Where a message goes.
#[derive(Debug, Default)]
pub struct Once {
    /// The queues, without those that remember.
    pub queues: Vec<Arc<Queue>>,
    /// Whether an exchange has had it.
    pub is_duplicate: bool,
}

impl Once {
    /// Finds where a message goes and has it remembered on the way as part of
    /// `unit`: what is added there is to be taken back if nothing takes it. `route`
    /// finds queues for who isn't in the list it is given.
    ///
    /// # Errors
    /// The same message is on its way already, and may not arrive.
    pub fn route(
        unit: &mut Unit,
        incoming: &Incoming<'_>,
        effects: &mut Effects,
        route: &mut dyn FnMut(&[QueueId]) -> Vec<Arc<Queue>>,
    ) -> Result<Self, Pushed> {
        let start = unit.len();
        let mut known = Vec::new();
        loop {
            let (remembering, queues): (Vec<_>, Vec<_>) = route(&known)
                .into_iter()
                .partition(|queue| queue.remembers_for().is_some());
            let before = known.len();
            for queue in &remembering {
                if known.contains(&queue.id()) {
                    continue;
                }
                match unit.reserve(queue, incoming, effects) {
                    Ok(()) => {}
                    Err(Pushed::Taken) => known.push(queue.id()),
                    Err(refused) => {
                        unit.take_back(start);
                        return Err(refused);
                    }
                }
            }
            if known.len() == before {
                return Ok(Self {
                    queues,
                    is_duplicate: !known.is_empty(),
                });
            }
            unit.take_back(start);
        }
    }
}

/// Publishes a message to what it was routed to, exchanges among that which route
/// nothing twice: all of it takes the message, or none does. Whether it goes
/// anywhere is returned, too.
pub fn publish_once(
    store: &dyn super::store::Store,
    incoming: &Incoming<'_>,
    effects: &mut Effects,
    route: &mut dyn FnMut(&[QueueId]) -> Vec<Arc<Queue>>,
) -> (Pushed, bool) {
    let mut unit = Unit::default();
    let once = match Once::route(&mut unit, incoming, effects, route) {
        Ok(once) => once,
        Err(refused) => return (refused, true),
    };
    let mut refused = false;
    for queue in &once.queues {
        refused |= unit.publish(queue, incoming, effects) == Pushed::Refused;
    }
    if refused || once.queues.is_empty() {
        unit.abandon();
    } else {
        unit.commit(store, effects);
    }
    let pushed = if refused {
        Pushed::Refused
    } else {
        Pushed::Taken
    };
    (pushed, once.is_duplicate || !once.queues.is_empty())
}
