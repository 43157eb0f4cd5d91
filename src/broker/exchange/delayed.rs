//! x-delayed-message: holds messages back, then routes them as another type does.

use std::sync::Arc;

use super::{RouteTable, Target};
use crate::broker::delay::delay_of;
use crate::broker::queue::Queue;
use crate::broker::resource::precondition;
use crate::broker::routing::{RoutingKeys, Traits};
use crate::broker::spec::ExchangeSpec;
use crate::wire::{FieldTable, FieldValue, Refusal};

/// The argument that names the type of exchange to route as.
const INNER_TYPE: &str = "x-delayed-type";

/// What is bound, and where messages wait.
#[derive(Debug)]
pub(in crate::broker) struct Delayed {
    /// `None` when there is no such type: such an exchange is refused.
    inner: Option<Box<RouteTable>>,
    queue: Option<Arc<Queue>>,
}

impl Delayed {
    pub(super) fn new(spec: &ExchangeSpec) -> Self {
        let kind = inner_type(&spec.arguments).filter(|kind| **kind != *spec.kind);
        let inner = kind.and_then(|kind| {
            RouteTable::new(&ExchangeSpec {
                kind: kind.into(),
                ..spec.clone()
            })
        });
        Self {
            inner: inner.map(Box::new),
            queue: None,
        }
    }

    /// Whether there is a type to route as.
    ///
    /// # Errors
    /// 406 when there isn't.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        match self.inner {
            Some(_) => Ok(()),
            None => Err(precondition(format!(
                "Invalid argument, '{INNER_TYPE}' must be an existing exchange type"
            ))),
        }
    }

    /// Names the queue where messages wait.
    pub(in crate::broker) fn hold_in(&mut self, queue: Arc<Queue>) {
        self.queue = Some(queue);
    }

    /// The table of the type to route as.
    pub(super) fn inner(&self) -> Option<&RouteTable> {
        self.inner.as_deref()
    }

    /// The same, to be changed.
    pub(super) fn inner_mut(&mut self) -> Option<&mut RouteTable> {
        self.inner.as_deref_mut()
    }

    pub(super) fn route(
        &self,
        keys: &RoutingKeys<'_>,
        traits: &mut dyn Traits,
        found: &mut dyn FnMut(&Target),
    ) {
        if let Some(queue) = &self.queue
            && delay_of(traits.headers()).is_some()
        {
            return found(&Target::Queue(Arc::clone(queue)));
        }
        if let Some(inner) = &self.inner {
            inner.route(keys, traits, found);
        }
    }
}

fn inner_type(arguments: &FieldTable) -> Option<&str> {
    arguments.get(INNER_TYPE).and_then(FieldValue::as_str)
}
