//! By which bindings a message went where it went: found afterwards, for those
//! who are to be told.

use std::sync::Arc;

use super::binding::BindingId;
use super::exchange::{Bound, ExchangeId, RouteTable, Target};
use super::queue::Queue;
use super::routing::{RoutingKeys, Traits};
use super::topology::Topology;
use super::trace::Way;
use crate::base::limits::TRACE_WAYS;

/// A binding that matches a message.
struct Candidate {
    id: BindingId,
    source: ExchangeId,
    target: Target,
}

impl Topology {
    /// The bindings that lead a message from `exchange` to `queues`, those nearest
    /// to the exchange first. Where one of several was picked, all that could have
    /// been are among them, as far as they lead to these queues.
    pub(super) fn ways(
        &self,
        exchange: &str,
        keys: &RoutingKeys<'_>,
        traits: &mut dyn Traits,
        queues: &[Arc<Queue>],
    ) -> Vec<Way> {
        let Some(start) = self.exchange_id(exchange) else {
            return Vec::new();
        };
        let (ways_max, looked_at_max) = TRACE_WAYS;
        let mut found: Vec<Candidate> = Vec::new();
        let mut open: Vec<Target> = queues.iter().cloned().map(Target::Queue).collect();
        let mut next = 0;
        while let Some(target) = open.get(next).cloned() {
            next += 1;
            for &id in self.inbound_of(&target).iter().take(looked_at_max) {
                if found.len() >= looked_at_max {
                    break;
                }
                let Some(source) = self.source_if_matched(id, keys, traits) else {
                    continue;
                };
                let via = Target::Exchange(source);
                if source != start && open.iter().all(|known| known.id() != via.id()) {
                    open.push(via);
                }
                found.push(Candidate {
                    id,
                    source,
                    target: target.clone(),
                });
            }
        }
        let mut ways = self.reached(start, &found);
        ways.truncate(ways_max);
        let specs = self.specs_of(&ways);
        specs.into_iter().map(Way::from).collect()
    }

    /// Those of the bindings found that the message came by: from the exchange, or
    /// one that others of them or an alternate exchange led to.
    fn reached(&self, start: ExchangeId, found: &[Candidate]) -> Vec<BindingId> {
        let mut exchanges = vec![start];
        let mut ways = Vec::new();
        let mut next = 0;
        while let Some(&from) = exchanges.get(next) {
            next += 1;
            let mut own = found.iter().filter(|way| way.source == from).peekable();
            let mut further: Vec<ExchangeId> = Vec::new();
            if own.peek().is_none() {
                let exchange = self.exchange(from);
                let alternate = exchange.and_then(|exchange| exchange.alternate.as_deref());
                further.extend(alternate.and_then(|name| self.exchange_id(name)));
            }
            for way in own {
                ways.push(way.id);
                if let Target::Exchange(to) = way.target {
                    further.push(to);
                }
            }
            for to in further {
                if !exchanges.contains(&to) {
                    exchanges.push(to);
                }
            }
        }
        ways
    }

    /// The exchange a binding comes from, if it matches a message: a table with
    /// nothing else in it is asked.
    fn source_if_matched(
        &self,
        id: BindingId,
        keys: &RoutingKeys<'_>,
        traits: &mut dyn Traits,
    ) -> Option<ExchangeId> {
        let binding = self.binding(id)?;
        let mut table = RouteTable::new(&self.exchange(binding.source)?.spec)?;
        table.insert(&Bound {
            id,
            key: &binding.routing_key,
            arguments: &binding.arguments,
            target: &binding.target,
            name: &self.name_of(&binding.target)?,
        });
        let mut is_matched = false;
        table.route(keys, traits, &mut |_| is_matched = true);
        is_matched.then_some(binding.source)
    }
}
