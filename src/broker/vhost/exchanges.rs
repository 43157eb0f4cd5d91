//! Exchanges: declared and deleted.

use std::sync::Arc;

use super::{NOBODY, Vhost, not_on_default_exchange, without_line_ends};
use crate::broker::arguments::{QUEUE_TYPE, QueueType};
use crate::broker::change::Change;
use crate::broker::delay::{DELAYED_EXCHANGE, HOLDS_FOR, holding_queue};
use crate::broker::effects::Effects;
use crate::broker::equivalence;
use crate::broker::events::EVENT_EXCHANGE;
use crate::broker::exchange::RouteTable;
use crate::broker::firehose::TRACE_EXCHANGE;
use crate::broker::once::{remembering_arguments, remembering_queue};
use crate::broker::policy::Subject;
use crate::broker::queue::Queue;
use crate::broker::resource::{RESERVED_PREFIX, access_refused, precondition};
use crate::broker::spec::{ExchangeSpec, QueueSpec};
use crate::broker::topology::{ALTERNATE_EXCHANGE, Topology};
use crate::wire::method::ExchangeDeclare;
use crate::wire::{FieldTable, FieldValue, Refusal};

/// Name, type, and whether it is internal, of the exchanges every virtual host
/// has. The default exchange isn't among them: it has no bindings to keep.
const PREDECLARED: &[(&str, &str, bool)] = &[
    ("amq.direct", "direct", false),
    ("amq.fanout", "fanout", false),
    ("amq.topic", "topic", false),
    ("amq.headers", "headers", false),
    ("amq.match", "headers", false),
    (TRACE_EXCHANGE, "topic", true),
];

/// Declares the exchanges that every virtual host has.
pub(super) fn predeclare(topology: &mut Topology) {
    for (name, kind, internal) in PREDECLARED {
        predeclare_one(topology, name, kind, *internal);
    }
}

/// Declares the exchange that events are published to.
pub(super) fn predeclare_events(topology: &mut Topology) {
    predeclare_one(topology, EVENT_EXCHANGE, "topic", true);
}

fn predeclare_one(topology: &mut Topology, name: &str, kind: &str, internal: bool) {
    let spec = ExchangeSpec {
        name: name.into(),
        kind: kind.into(),
        durable: true,
        auto_delete: false,
        internal,
        arguments: FieldTable::new(),
    };
    if let Some(table) = RouteTable::new(&spec) {
        topology.insert_exchange(spec, table);
    }
}

impl Vhost {
    /// Declares an exchange, or asks whether there is one.
    ///
    /// # Errors
    /// 403 for the default exchange and for reserved names, 404 when it was
    /// only asked for and isn't there, 406 when the type is unknown, an
    /// argument is bad, or it exists otherwise (`semantics` 7).
    pub fn declare_exchange(
        &self,
        request: &ExchangeDeclare<'_>,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let name = without_line_ends(request.exchange);
        if request.passive {
            if name.is_empty() {
                return Err(not_on_default_exchange());
            }
            return match self.topology.read().exchange_id(&name) {
                Some(_) => Ok(()),
                None => Err(self.exchange_title(&name).not_found()),
            };
        }
        let (spec, table) = described(request)?;
        if name.is_empty() {
            return Err(not_on_default_exchange());
        }
        if self.is_declared(&self.topology.read(), &spec)? {
            return Ok(());
        }
        self.check_new_exchange(&spec)?;
        table.check_arguments(self.exchange_title(&spec.name), &spec)?;
        let mut topology = self.topology.write();
        // Another connection may have declared it in between.
        if !self.is_declared(&topology, &spec)? {
            self.check_there()?;
            self.create_exchange(&mut topology, spec, table, effects);
        }
        Ok(())
    }

    /// The queue in which messages wait that an exchange holds back, if it does.
    fn holding_queue(&self, exchange: &ExchangeSpec) -> Option<Arc<Queue>> {
        if *exchange.kind != *DELAYED_EXCHANGE {
            return None;
        }
        let mut arguments = FieldTable::new();
        arguments.push(QUEUE_TYPE, QueueType::Classic.name());
        arguments.push(HOLDS_FOR, &*exchange.name);
        let spec = QueueSpec {
            name: holding_queue(&exchange.name),
            durable: exchange.durable,
            exclusive: false,
            auto_delete: false,
            arguments,
        };
        Some(self.new_queue(self.ids.next(), spec, Some(NOBODY)))
    }

    /// The queue that remembers what an exchange has had, if that routes nothing
    /// twice.
    fn remembering_queue(&self, exchange: &ExchangeSpec, table: &RouteTable) -> Option<Arc<Queue>> {
        if !table.remembers() {
            return None;
        }
        let mut arguments = remembering_arguments(exchange);
        arguments.push(QUEUE_TYPE, QueueType::Classic.name());
        let spec = QueueSpec {
            name: remembering_queue(&exchange.name),
            durable: exchange.durable,
            exclusive: false,
            auto_delete: false,
            arguments,
        };
        Some(self.new_queue(self.ids.next(), spec, Some(NOBODY)))
    }

    fn is_declared(&self, topology: &Topology, spec: &ExchangeSpec) -> Result<bool, Refusal> {
        let Some((_, current)) = topology.exchange_named(&spec.name) else {
            return Ok(false);
        };
        equivalence::check_exchange(self.exchange_title(&spec.name), &current.spec, spec)?;
        Ok(true)
    }

    fn check_new_exchange(&self, spec: &ExchangeSpec) -> Result<(), Refusal> {
        let title = self.exchange_title(&spec.name);
        if spec.name.starts_with(RESERVED_PREFIX) {
            return Err(title.reserved());
        }
        match spec.arguments.get(ALTERNATE_EXCHANGE) {
            None | Some(FieldValue::LongStr(_)) => Ok(()),
            Some(other) => Err(precondition(format!(
                "invalid type '{}' for arg '{ALTERNATE_EXCHANGE}' in {title}",
                other.type_name()
            ))),
        }
    }

    fn create_exchange(
        &self,
        topology: &mut Topology,
        spec: ExchangeSpec,
        table: RouteTable,
        effects: &mut Effects,
    ) {
        let change = spec.durable.then(|| Change::ExchangeDeclared {
            vhost: Arc::clone(&self.name),
            spec: spec.clone(),
        });
        let holding = self.holding_queue(&spec);
        let remembering = self.remembering_queue(&spec, &table);
        let name = Arc::clone(&spec.name);
        let policies = self.matching(Subject::Exchange(&name));
        let policy = policies.policy.as_ref().map_or("", |policy| policy.name());
        self.herald
            .exchange_created(&self.name, &spec, policy, effects.actor());
        topology.insert_exchange(spec, table);
        topology.set_exchange_policies(&name, policies);
        if let Some(queue) = &holding {
            topology.insert_queue(queue);
            topology.hold_back_in(&name, queue);
        }
        if let Some(queue) = &remembering {
            topology.insert_queue(queue);
            topology.remember_in(&name, queue);
        }
        let declared = holding.into_iter().chain(remembering);
        let declared = declared.filter(|queue| queue.spec().durable);
        let declared = declared.map(|queue| Change::QueueDeclared {
            vhost: Arc::clone(&self.name),
            id: queue.id(),
            spec: queue.spec().clone(),
        });
        let changes: Vec<_> = change.into_iter().chain(declared).collect();
        self.changed(&changes, effects);
    }

    /// Deletes an exchange with its bindings, and what goes with those. One
    /// that isn't there is as good as deleted.
    ///
    /// # Errors
    /// 403 for the default exchange and for reserved names, 406 when it is to
    /// be unused and is the source of a binding.
    pub fn delete_exchange(
        &self,
        name: &str,
        if_unused: bool,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let name = without_line_ends(name);
        if name.is_empty() {
            return Err(not_on_default_exchange());
        }
        let title = self.exchange_title(&name);
        if name.starts_with(RESERVED_PREFIX) {
            let text = format!("deletion of system {title} not allowed");
            return Err(access_refused(text));
        }
        let mut topology = self.topology.write();
        let Some((id, exchange)) = topology.exchange_named(&name) else {
            return Ok(());
        };
        if if_unused && exchange.is_used() {
            return Err(title.in_use());
        }
        self.note_removed(&mut topology);
        let gone = topology.remove_unused(vec![id]);
        self.tell_gone(&mut topology, &gone, effects.actor());
        let changes = self.deletions(&mut topology, &gone, effects);
        self.changed(&changes, effects);
        Ok(())
    }
}

/// Whether there are exchanges of the type asked for: said before anything else.
///
/// # Errors
/// 406 when there aren't.
pub fn check_exchange_type(request: &ExchangeDeclare<'_>) -> Result<(), Refusal> {
    described(request).map(drop)
}

/// The exchange that is asked for, empty.
fn described(request: &ExchangeDeclare<'_>) -> Result<(ExchangeSpec, RouteTable), Refusal> {
    let spec = ExchangeSpec {
        name: without_line_ends(request.exchange).as_ref().into(),
        kind: request.kind.into(),
        durable: request.durable,
        auto_delete: request.auto_delete,
        internal: request.internal,
        arguments: request.arguments.clone(),
    };
    let table = RouteTable::new(&spec);
    let table =
        table.ok_or_else(|| precondition(format!("unknown exchange type '{}'", spec.kind)))?;
    Ok((spec, table))
}
