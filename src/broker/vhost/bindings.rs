//! Bindings: made and removed.

use std::borrow::Cow;
use std::sync::Arc;

use super::queues::check_owner;
use super::{Vhost, not_on_default_exchange, without_line_ends};
use crate::base::ids::ConnectionId;
use crate::broker::change::Change;
use crate::broker::effects::Effects;
use crate::broker::exchange::{ExchangeId, Target};
use crate::broker::replies::{DIRECT_REPLY_TO, is_direct_reply_to};
use crate::broker::resource::{Resource, access_refused};
use crate::broker::routing::{RawTraits, RoutingKeys};
use crate::broker::spec::{BindingSpec, Destination};
use crate::broker::topology::Topology;
use crate::wire::{FieldTable, Refusal};

impl Vhost {
    /// Binds a queue or an exchange to an exchange, for the connection `as_`.
    /// One that is bound so already stays so.
    ///
    /// # Errors
    /// 403 for the default exchange, 404 for an end that isn't there, 405 for a
    /// queue of another connection, 406 for what the type of exchange can't have.
    pub fn bind(
        &self,
        spec: BindingSpec,
        as_: ConnectionId,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let spec = checked(spec)?;
        let mut topology = self.topology.write();
        let (source, exchange) = topology
            .exchange_named(&spec.source)
            .ok_or_else(|| self.exchange_title(&spec.source).not_found())?;
        let target = topology
            .target(&spec.destination)
            .ok_or_else(|| self.destination_title(&spec.destination).not_found())?;
        self.check_target(&target, as_)?;
        exchange
            .table
            .check(&spec.routing_key, &spec.arguments, &target)?;
        let known = topology.find_binding(source, &target, &spec.routing_key, &spec.arguments);
        if known.is_none() {
            self.check_there()?;
            let change = is_durable(&topology, source, &target).then(|| Change::Bound {
                vhost: Arc::clone(&self.name),
                spec: spec.clone(),
            });
            let (key, arguments) = (Arc::clone(&spec.routing_key), spec.arguments.clone());
            topology.insert_binding(source, target.clone(), key, arguments);
            self.changed(change.as_slice(), effects);
            self.herald
                .binding_created(&self.name, &spec, effects.actor());
            replay(&topology, source, &target, effects);
        }
        Ok(())
    }

    /// Removes a binding, for the connection `as_`, and what goes with it. One
    /// that isn't there is as good as removed.
    ///
    /// # Errors
    /// 403 for the default exchange, 405 for a binding of another connection's queue.
    pub fn unbind(
        &self,
        spec: &BindingSpec,
        as_: ConnectionId,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let spec = checked(spec.clone())?;
        let mut topology = self.topology.write();
        let ends = topology
            .exchange_id(&spec.source)
            .zip(topology.target(&spec.destination));
        let Some((source, target)) = ends else {
            return Ok(());
        };
        let found = topology.find_binding(source, &target, &spec.routing_key, &spec.arguments);
        let Some(id) = found else {
            return Ok(());
        };
        self.check_target(&target, as_)?;
        let unbound = is_durable(&topology, source, &target).then(|| Change::Unbound {
            vhost: Arc::clone(&self.name),
            spec,
        });
        self.note_removed(&mut topology);
        let unused = topology.remove_binding(id);
        let gone = topology.remove_unused(unused.into_iter().collect());
        self.tell_gone(&mut topology, &gone, effects.actor());
        let deleted = self.deletions(&mut topology, &gone, effects);
        let changes: Vec<_> = unbound.into_iter().chain(deleted).collect();
        self.changed(&changes, effects);
        Ok(())
    }

    fn check_target(&self, target: &Target, as_: ConnectionId) -> Result<(), Refusal> {
        match target {
            Target::Queue(queue) => check_owner(self.queue_title(queue.name()), queue, as_),
            Target::Exchange(_) => Ok(()),
        }
    }

    fn destination_title<'a>(&'a self, destination: &'a Destination) -> Resource<'a> {
        match destination {
            Destination::Queue(name) => self.queue_title(name),
            Destination::Exchange(name) => self.exchange_title(name),
        }
    }
}

/// A binding as it is kept: names without line ends, arguments in order.
fn checked(mut spec: BindingSpec) -> Result<BindingSpec, Refusal> {
    let clean = |name: &Arc<str>| match without_line_ends(name) {
        Cow::Borrowed(_) => Arc::clone(name),
        Cow::Owned(clean) => clean.into(),
    };
    spec.source = clean(&spec.source);
    spec.destination = match &spec.destination {
        Destination::Queue(name) => Destination::Queue(clean(name)),
        Destination::Exchange(name) => Destination::Exchange(clean(name)),
    };
    spec.arguments.sort();
    match &spec.destination {
        // An address; what stands for it is merely a name without a queue.
        Destination::Queue(name) if is_direct_reply_to(name) && **name != *DIRECT_REPLY_TO => Err(
            access_refused("cannot bind or unbind to a volatile (direct reply-to) queue"),
        ),
        Destination::Exchange(name) if name.is_empty() => Err(not_on_default_exchange()),
        _ if spec.source.is_empty() => Err(not_on_default_exchange()),
        _ => Ok(spec),
    }
}

/// A binding survives a restart if both its ends do.
fn is_durable(topology: &Topology, source: ExchangeId, target: &Target) -> bool {
    let is_durable_exchange = |id| topology.exchange(id).is_some_and(|e| e.spec.durable);
    let is_durable_target = match target {
        Target::Queue(queue) => queue.spec().durable,
        Target::Exchange(id) => is_durable_exchange(*id),
    };
    is_durable_target && is_durable_exchange(source)
}

/// Sends what an exchange remembers to what was newly bound to it. With the
/// topology locked, so that each message comes either so or by being published.
fn replay(topology: &Topology, source: ExchangeId, target: &Target, effects: &mut Effects) {
    let past = topology
        .exchange(source)
        .map(|exchange| exchange.table.past());
    for remembered in past.unwrap_or_default() {
        let incoming = remembered.incoming();
        match target {
            // A queue that has no room for it goes without.
            Target::Queue(queue) => {
                queue.push(&incoming, effects);
            }
            Target::Exchange(id) => {
                let copies: Vec<&[u8]> = remembered.copies.iter().map(|key| &key[..]).collect();
                let keys = RoutingKeys::with_copies(incoming.view().routing_key, &copies);
                let mut queues = Vec::new();
                topology.route_from(*id, &keys, &mut RawTraits::of(&incoming), &mut queues);
                for queue in &queues {
                    queue.push(&incoming, effects);
                }
            }
        }
    }
}

/// Binds without asking who may: what a log replays. Ends that aren't there
/// any more went later in the same log.
pub(super) fn rebind(topology: &mut Topology, spec: &BindingSpec) {
    let ends = topology
        .exchange_id(&spec.source)
        .zip(topology.target(&spec.destination));
    let Some((source, target)) = ends else {
        return;
    };
    let arguments = in_order(&spec.arguments);
    let known = topology.find_binding(source, &target, &spec.routing_key, &arguments);
    if known.is_none() {
        topology.insert_binding(source, target, Arc::clone(&spec.routing_key), arguments);
    }
}

/// Unbinds alone: what goes with a binding has its own record in the log.
pub(super) fn forget(topology: &mut Topology, spec: &BindingSpec) {
    let ends = topology
        .exchange_id(&spec.source)
        .zip(topology.target(&spec.destination));
    let found = ends.and_then(|(source, target)| {
        let arguments = in_order(&spec.arguments);
        topology.find_binding(source, &target, &spec.routing_key, &arguments)
    });
    if let Some(id) = found {
        topology.remove_binding(id);
    }
}

fn in_order(arguments: &FieldTable) -> FieldTable {
    let mut arguments = arguments.clone();
    arguments.sort();
    arguments
}
