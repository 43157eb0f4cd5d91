//! What is declared, for people to look at.

use std::sync::Arc;

use super::Vhost;
use crate::broker::policy::{Matched, Policy, PolicyKind};
use crate::broker::queue::Queue;
use crate::broker::spec::{BindingSpec, Destination, ExchangeSpec};
use crate::broker::traffic::ExchangeTraffic;
use crate::wire::FieldTable;

impl Vhost {
    /// All exchanges by name, the default exchange first.
    pub fn exchanges(&self) -> Vec<ExchangeSpec> {
        let mut all = vec![default_exchange()];
        all.extend(self.topology.read().exchanges().cloned());
        all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// The exchange called `name`.
    pub fn exchange(&self, name: &str) -> Option<ExchangeSpec> {
        if name.is_empty() {
            return Some(default_exchange());
        }
        let topology = self.topology.read();
        let (_, exchange) = topology.exchange_named(name)?;
        Some(exchange.spec.clone())
    }

    /// What passed the exchange called `name`, if there is one.
    pub fn exchange_traffic(&self, name: &str) -> Option<Arc<ExchangeTraffic>> {
        if name.is_empty() {
            return Some(Arc::clone(&self.default_traffic));
        }
        let topology = self.topology.read();
        let (_, exchange) = topology.exchange_named(name)?;
        Some(Arc::clone(&exchange.traffic))
    }

    /// Whether there is an exchange called `name`.
    pub fn has_exchange(&self, name: &str) -> bool {
        self.topology.read().exchange_id(name).is_some()
    }

    /// Whether there is an exchange called `name`, of type topic.
    pub fn is_topic_exchange(&self, name: &str) -> bool {
        let topology = self.topology.read();
        let found = topology.exchange_named(name);
        found.is_some_and(|(_, exchange)| &*exchange.spec.kind == "topic")
    }

    /// Whether there is a queue called `name`.
    pub fn has_queue(&self, name: &str) -> bool {
        self.topology.read().queue(name).is_some()
    }

    /// The queue called `name`, whoever it belongs to.
    pub fn queue_named(&self, name: &str) -> Option<Arc<Queue>> {
        self.topology.read().queue(name).cloned()
    }

    /// All queues by name.
    pub fn queues(&self) -> Vec<Arc<Queue>> {
        let mut all: Vec<_> = self.topology.read().queues().cloned().collect();
        all.sort_unstable_by(|one, other| one.name().cmp(other.name()));
        all
    }

    /// All policies of a kind by name.
    pub fn policies(&self, kind: PolicyKind) -> Vec<Arc<Policy>> {
        let mut all: Vec<_> = self.policies.read().all(kind).cloned().collect();
        all.sort_unstable_by(|one, other| one.name().cmp(other.name()));
        all
    }

    /// The policy called `name`.
    pub fn policy(&self, kind: PolicyKind, name: &str) -> Option<Arc<Policy>> {
        self.policies.read().get(kind, name).cloned()
    }

    /// The policies that apply to the exchange called `name`, if there is one.
    pub fn policies_of_exchange(&self, name: &str) -> Option<Matched> {
        self.topology.read().policies_of_exchange(name).cloned()
    }

    /// The policies that apply to the queue called `name`, if there is one.
    pub fn policies_of_queue(&self, name: &str) -> Option<Matched> {
        self.topology.read().policies_of_queue(name).cloned()
    }

    /// All bindings by source, destination and key, with those of the default
    /// exchange, which every queue has.
    pub fn bindings(&self) -> Vec<BindingSpec> {
        let topology = self.topology.read();
        let implied = topology.queues().map(|queue| by_name(queue.name()));
        sorted(implied.chain(topology.bindings()).collect())
    }

    /// The bindings that lead away from the exchange called `source`.
    pub fn bindings_from(&self, source: &str) -> Vec<BindingSpec> {
        let topology = self.topology.read();
        if source.is_empty() {
            return sorted(topology.queues().map(|q| by_name(q.name())).collect());
        }
        sorted(topology.bindings_from(source))
    }

    /// The bindings that lead to `destination`.
    pub fn bindings_of(&self, destination: &Destination) -> Vec<BindingSpec> {
        let topology = self.topology.read();
        let mut all = topology.bindings_to(destination);
        if let Destination::Queue(name) = destination
            && topology.queue(&**name).is_some()
        {
            all.push(by_name(name));
        }
        sorted(all)
    }
}

fn default_exchange() -> ExchangeSpec {
    ExchangeSpec {
        name: "".into(),
        kind: "direct".into(),
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: FieldTable::new(),
    }
}

fn by_name(queue: &Arc<str>) -> BindingSpec {
    BindingSpec {
        source: "".into(),
        destination: Destination::Queue(Arc::clone(queue)),
        routing_key: Arc::clone(queue),
        arguments: FieldTable::new(),
    }
}

fn sorted(mut bindings: Vec<BindingSpec>) -> Vec<BindingSpec> {
    fn key(binding: &BindingSpec) -> (&str, &str, &str) {
        (
            &binding.source,
            binding.destination.name(),
            &binding.routing_key,
        )
    }
    bindings.sort_by(|one, other| key(one).cmp(&key(other)));
    bindings
}
