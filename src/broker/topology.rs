//! What is declared in a virtual host, and how it hangs together.
//!
//! ```text
//!   exchanges --outbound--> bindings <--inbound-- queues, exchanges
//! ```
//!
//! Nothing here refuses or logs anything: that is the virtual host's part.
//! Every removal costs by what hangs on the thing removed, not by how much
//! there is besides.

use std::collections::BTreeMap;
use std::sync::Arc;

use slab::Slab;

use super::announcements::Switch;
use super::binding::{Binding, BindingId, BindingKey, Bindings};
use super::exchange::{Bound, ExchangeId, RouteTable, Target};
use super::name::{ByName, Name};
use super::policy::Matched;
use super::queue::Queue;
use super::spec::{BindingSpec, Destination, ExchangeSpec};
use super::traffic::ExchangeTraffic;
use crate::base::ids::{ConnectionId, QueueId};
use crate::wire::{FieldTable, FieldValue};

/// The argument that names an alternate exchange.
pub(super) const ALTERNATE_EXCHANGE: &str = "alternate-exchange";

/// An exchange and what hangs on it.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) spec: ExchangeSpec,
    /// Where messages go that match nothing here. It need not exist.
    pub(super) alternate: Option<Arc<str>>,
    pub(super) table: RouteTable,
    policies: Matched,
    /// Counts what passes it.
    pub(super) traffic: Arc<ExchangeTraffic>,
    /// How many of its bindings lead to exchanges.
    pub(super) exchange_targets: usize,
    /// Told whether it is the source of a binding.
    switch: Option<Arc<Switch>>,
    outbound: Vec<BindingId>,
    inbound: Vec<BindingId>,
}

impl Exchange {
    /// Whether it is the source of a binding.
    pub(super) fn is_used(&self) -> bool {
        !self.outbound.is_empty()
    }

    fn tell_switch(&self) {
        if let Some(switch) = &self.switch {
            switch.set_bound(self.is_used());
        }
    }
}

#[derive(Debug)]
struct QueueEntry {
    queue: Arc<Queue>,
    policies: Matched,
    inbound: Vec<BindingId>,
}

/// All that is declared in a virtual host.
#[derive(Debug, Default)]
pub(super) struct Topology {
    exchanges: Slab<Exchange>,
    exchange_ids: ByName<ExchangeId>,
    queues: ByName<QueueEntry>,
    /// Exclusive queues, by whose they are and then by age.
    owned: BTreeMap<(ConnectionId, QueueId), Arc<Queue>>,
    bindings: Bindings,
    /// How many exchanges look at each message.
    looking: usize,
    /// The bindings removed since somebody asked for them to be noted.
    removed: Option<Vec<BindingSpec>>,
}

impl Topology {
    pub(super) fn exchange_id(&self, name: &str) -> Option<ExchangeId> {
        self.exchange_ids.get(name.as_bytes()).copied()
    }

    pub(super) fn exchange(&self, id: ExchangeId) -> Option<&Exchange> {
        self.exchanges.get(id.0 as usize)
    }

    pub(super) fn exchange_named(&self, name: &str) -> Option<(ExchangeId, &Exchange)> {
        let id = self.exchange_id(name)?;
        Some((id, self.exchange(id)?))
    }

    pub(super) fn queue(&self, name: impl AsRef<[u8]>) -> Option<&Arc<Queue>> {
        self.queues.get(name.as_ref()).map(|entry| &entry.queue)
    }

    pub(super) fn queues_owned_by(&self, owner: ConnectionId) -> Vec<Arc<Queue>> {
        let all = (owner, QueueId(0))..=(owner, QueueId(u64::MAX));
        self.owned
            .range(all)
            .map(|(_, queue)| queue.clone())
            .collect()
    }

    /// Whether any exchange looks at each message: where one goes isn't decided
    /// by its keys alone, or it is kept.
    pub(super) fn looks_at_messages(&self) -> bool {
        self.looking > 0
    }

    /// Tells `switch` from now on whether an exchange is the source of a binding.
    pub(super) fn set_switch(&mut self, exchange: &str, switch: &Arc<Switch>) {
        let id = self.exchange_id(exchange);
        if let Some(exchange) = id.and_then(|id| self.exchanges.get_mut(id.0 as usize)) {
            exchange.switch = Some(Arc::clone(switch));
            exchange.tell_switch();
        }
    }

    /// Notes from now on what bindings are removed.
    pub(super) fn note_removed(&mut self) {
        self.removed = Some(Vec::new());
    }

    /// The bindings removed since that was asked for.
    pub(super) fn take_removed(&mut self) -> Vec<BindingSpec> {
        self.removed.take().unwrap_or_default()
    }

    /// Adds an exchange whose name is free.
    pub(super) fn insert_exchange(&mut self, spec: ExchangeSpec, table: RouteTable) {
        let name = Name(Arc::clone(&spec.name));
        self.looking += usize::from(table.looks_at_messages());
        let id = self.exchanges.insert(Exchange {
            alternate: alternate(&spec.arguments),
            spec,
            table,
            policies: Matched::default(),
            traffic: Arc::default(),
            exchange_targets: 0,
            switch: None,
            outbound: Vec::new(),
            inbound: Vec::new(),
        });
        self.exchange_ids.insert(name, ExchangeId(id as u32));
    }

    /// Has an exchange that holds messages back do so in `queue`.
    pub(super) fn hold_back_in(&mut self, exchange: &str, queue: &Arc<Queue>) {
        let exchange = self.exchange_id(exchange);
        let exchange = exchange.and_then(|id| self.exchanges.get_mut(id.0 as usize));
        if let Some(RouteTable::Delayed(table)) = exchange.map(|exchange| &mut exchange.table) {
            table.hold_in(Arc::clone(queue));
        }
    }

    /// Has an exchange that routes nothing twice remember in `queue` what it has had.
    pub(super) fn remember_in(&mut self, exchange: &str, queue: &Arc<Queue>) {
        let exchange = self.exchange_id(exchange);
        if let Some(exchange) = exchange.and_then(|id| self.exchanges.get_mut(id.0 as usize)) {
            exchange.table.remember_in(queue);
        }
    }

    /// Adds a queue whose name is free.
    pub(super) fn insert_queue(&mut self, queue: &Arc<Queue>) {
        if let Some(owner) = queue.owner() {
            self.owned.insert((owner, queue.id()), Arc::clone(queue));
        }
        let entry = QueueEntry {
            queue: Arc::clone(queue),
            policies: Matched::default(),
            inbound: Vec::new(),
        };
        self.queues.insert(Name(Arc::clone(queue.name())), entry);
    }

    /// All exchanges, with the policies that apply to them.
    pub(super) fn exchange_policies(&self) -> impl Iterator<Item = (&Arc<str>, &Matched)> {
        let all = self.exchanges.iter();
        all.map(|(_, exchange)| (&exchange.spec.name, &exchange.policies))
    }

    /// All queues, with the policies that apply to them.
    pub(super) fn queue_policies(&self) -> impl Iterator<Item = (&Arc<Queue>, &Matched)> {
        let all = self.queues.values();
        all.map(|entry| (&entry.queue, &entry.policies))
    }

    /// Notes which policies apply to an exchange. Its own alternate exchange
    /// comes before theirs.
    pub(super) fn set_exchange_policies(&mut self, name: &str, policies: Matched) {
        let id = self.exchange_id(name);
        if let Some(exchange) = id.and_then(|id| self.exchanges.get_mut(id.0 as usize)) {
            exchange.alternate =
                alternate(&exchange.spec.arguments).or_else(|| alternate(&policies.definition()));
            exchange.policies = policies;
        }
    }

    /// Notes which policies apply to a queue, if that is still declared.
    pub(super) fn set_queue_policies(&mut self, queue: &Arc<Queue>, policies: Matched) {
        let entry = self.queues.get_mut(queue.name().as_bytes());
        if let Some(entry) = entry.filter(|entry| Arc::ptr_eq(&entry.queue, queue)) {
            entry.policies = policies;
        }
    }

    /// The policies that apply to the exchange called `name`.
    pub(super) fn policies_of_exchange(&self, name: &str) -> Option<&Matched> {
        Some(&self.exchange_named(name)?.1.policies)
    }

    /// The policies that apply to the queue called `name`.
    pub(super) fn policies_of_queue(&self, name: &str) -> Option<&Matched> {
        Some(&self.queues.get(name.as_bytes())?.policies)
    }

    /// Removes an exchange with its bindings. The exchanges that go with it,
    /// having lost their last binding, are left for
    /// [`remove_unused`](Self::remove_unused).
    pub(super) fn remove_exchange(
        &mut self,
        id: ExchangeId,
        unused: &mut Vec<ExchangeId>,
    ) -> Option<ExchangeSpec> {
        while let Some(binding) = self.exchange(id).and_then(|e| e.outbound.last().copied()) {
            self.remove_binding(binding);
        }
        while let Some(binding) = self.exchange(id).and_then(|e| e.inbound.last().copied()) {
            unused.extend(self.remove_binding(binding));
        }
        let exchange = self.exchanges.try_remove(id.0 as usize)?;
        self.exchange_ids.remove(exchange.spec.name.as_bytes());
        self.looking -= usize::from(exchange.table.looks_at_messages());
        Some(exchange.spec)
    }

    /// Removes auto-delete exchanges that have lost their last binding, and
    /// those that lose theirs over it. All that went, in that order.
    pub(super) fn remove_unused(&mut self, mut unused: Vec<ExchangeId>) -> Vec<ExchangeSpec> {
        let mut gone = Vec::new();
        while let Some(id) = unused.pop() {
            gone.extend(self.remove_exchange(id, &mut unused));
        }
        gone
    }

    /// Removes a queue with its bindings. The exchanges that go with those.
    pub(super) fn remove_queue(&mut self, queue: &Queue) -> Vec<ExchangeId> {
        let unused = self.unbind_queue(queue);
        self.queues.remove(queue.name().as_bytes());
        if let Some(owner) = queue.owner() {
            self.owned.remove(&(owner, queue.id()));
        }
        unused
    }

    /// Removes the bindings that lead to a queue. The exchanges that go with them.
    pub(super) fn unbind_queue(&mut self, queue: &Queue) -> Vec<ExchangeId> {
        let name = queue.name().as_bytes();
        let mut unused = Vec::new();
        while let Some(binding) = self
            .queues
            .get(name)
            .and_then(|q| q.inbound.last().copied())
        {
            unused.extend(self.remove_binding(binding));
        }
        unused
    }

    /// What a destination is called within; [`None`] if it isn't declared.
    pub(super) fn target(&self, destination: &Destination) -> Option<Target> {
        match destination {
            Destination::Queue(name) => self.queue(&**name).cloned().map(Target::Queue),
            Destination::Exchange(name) => self.exchange_id(name).map(Target::Exchange),
        }
    }

    pub(super) fn find_binding(
        &self,
        source: ExchangeId,
        target: &Target,
        routing_key: &str,
        arguments: &FieldTable,
    ) -> Option<BindingId> {
        self.bindings.find(&BindingKey {
            source,
            target: target.id(),
            routing_key,
            arguments,
        })
    }

    /// Adds a binding that isn't there yet. `arguments` are ordered by name.
    pub(super) fn insert_binding(
        &mut self,
        source: ExchangeId,
        target: Target,
        routing_key: Arc<str>,
        arguments: FieldTable,
    ) {
        let place_at_target = self.inbound(&target).map_or(0, |list| list.len()) as u32;
        let Some(name) = self.name_of(&target) else {
            return;
        };
        let Some(exchange) = self.exchanges.get_mut(source.0 as usize) else {
            return;
        };
        let id = self.bindings.insert(Binding {
            source,
            target: target.clone(),
            routing_key: Arc::clone(&routing_key),
            arguments: arguments.clone(),
            place_at_source: exchange.outbound.len() as u32,
            place_at_target,
        });
        exchange.outbound.push(id);
        exchange.tell_switch();
        let bound = Bound {
            id,
            key: &routing_key,
            arguments: &arguments,
            target: &target,
            name: &name,
        };
        self.looking -= usize::from(exchange.table.looks_at_messages());
        exchange.table.insert(&bound);
        self.looking += usize::from(exchange.table.looks_at_messages());
        exchange.exchange_targets += usize::from(matches!(target, Target::Exchange(_)));
        if let Some(list) = self.inbound(&target) {
            list.push(id);
        }
    }

    /// Removes a binding. Its source, if that goes with its last binding and
    /// this was the last.
    pub(super) fn remove_binding(&mut self, id: BindingId) -> Option<ExchangeId> {
        let binding = self.bindings.remove(id)?;
        if let Some(mut removed) = self.removed.take() {
            removed.extend(self.spec_of(&binding));
            self.removed = Some(removed);
        }
        let place = binding.place_at_target;
        let moved = self
            .inbound(&binding.target)
            .and_then(|list| take_place(list, place));
        if let Some(moved) = moved.and_then(|id| self.bindings.get_mut(id)) {
            moved.place_at_target = place;
        }
        let name = self.name_of(&binding.target)?;
        let exchange = self.exchanges.get_mut(binding.source.0 as usize)?;
        let bound = Bound {
            id,
            key: &binding.routing_key,
            arguments: &binding.arguments,
            target: &binding.target,
            name: &name,
        };
        self.looking -= usize::from(exchange.table.looks_at_messages());
        exchange.table.remove(&bound);
        self.looking += usize::from(exchange.table.looks_at_messages());
        exchange.exchange_targets -= usize::from(matches!(binding.target, Target::Exchange(_)));
        let place = binding.place_at_source;
        let moved = take_place(&mut exchange.outbound, place);
        if let Some(moved) = moved.and_then(|id| self.bindings.get_mut(id)) {
            moved.place_at_source = place;
        }
        exchange.tell_switch();
        let unused = exchange.spec.auto_delete && !exchange.is_used();
        unused.then_some(binding.source)
    }

    fn inbound(&mut self, target: &Target) -> Option<&mut Vec<BindingId>> {
        match target {
            Target::Queue(queue) => {
                let entry = self.queues.get_mut(queue.name().as_bytes())?;
                Some(&mut entry.inbound)
            }
            Target::Exchange(id) => {
                let exchange = self.exchanges.get_mut(id.0 as usize)?;
                Some(&mut exchange.inbound)
            }
        }
    }

    pub(super) fn exchanges(&self) -> impl Iterator<Item = &ExchangeSpec> {
        self.exchanges.iter().map(|(_, exchange)| &exchange.spec)
    }

    pub(super) fn queues(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.queues.values().map(|entry| &entry.queue)
    }

    pub(super) fn bindings(&self) -> impl Iterator<Item = BindingSpec> {
        self.bindings
            .iter()
            .filter_map(|binding| self.spec_of(binding))
    }

    pub(super) fn bindings_from(&self, source: &str) -> Vec<BindingSpec> {
        let exchange = self.exchange_named(source).map(|(_, exchange)| exchange);
        self.specs_of(exchange.map_or(&[], |exchange| &exchange.outbound))
    }

    pub(super) fn bindings_to(&self, destination: &Destination) -> Vec<BindingSpec> {
        let inbound = match destination {
            Destination::Queue(name) => self.queues.get(name.as_bytes()).map(|q| &q.inbound),
            Destination::Exchange(name) => self.exchange_named(name).map(|(_, e)| &e.inbound),
        };
        self.specs_of(inbound.map_or(&[], |inbound| inbound))
    }

    /// A binding.
    pub(super) fn binding(&self, id: BindingId) -> Option<&Binding> {
        self.bindings.get(id)
    }

    /// The bindings that lead to a target.
    pub(super) fn inbound_of(&self, target: &Target) -> &[BindingId] {
        let inbound = match target {
            Target::Queue(queue) => self.queues.get(queue.name().as_bytes()).map(|q| &q.inbound),
            Target::Exchange(id) => self.exchange(*id).map(|exchange| &exchange.inbound),
        };
        inbound.map_or(&[], |inbound| inbound)
    }

    pub(super) fn specs_of(&self, ids: &[BindingId]) -> Vec<BindingSpec> {
        ids.iter()
            .filter_map(|id| self.spec_of(self.bindings.get(*id)?))
            .collect()
    }

    /// The name of what a binding leads to.
    pub(super) fn name_of(&self, target: &Target) -> Option<Arc<str>> {
        match target {
            Target::Queue(queue) => Some(Arc::clone(queue.name())),
            Target::Exchange(id) => Some(Arc::clone(&self.exchange(*id)?.spec.name)),
        }
    }

    fn spec_of(&self, binding: &Binding) -> Option<BindingSpec> {
        let destination = match &binding.target {
            Target::Queue(_) => Destination::Queue,
            Target::Exchange(_) => Destination::Exchange,
        };
        Some(BindingSpec {
            source: Arc::clone(&self.exchange(binding.source)?.spec.name),
            destination: destination(self.name_of(&binding.target)?),
            routing_key: Arc::clone(&binding.routing_key),
            arguments: binding.arguments.clone(),
        })
    }
}

/// The alternate exchange named in arguments or in what policies say.
fn alternate(table: &FieldTable) -> Option<Arc<str>> {
    let name = table.get(ALTERNATE_EXCHANGE);
    name.and_then(FieldValue::as_str).map(Into::into)
}

/// Takes what is at `place` off a list; what is there now, if anything.
fn take_place(list: &mut Vec<BindingId>, place: u32) -> Option<BindingId> {
    let place = place as usize;
    if place < list.len() {
        list.swap_remove(place);
    }
    list.get(place).copied()
}
