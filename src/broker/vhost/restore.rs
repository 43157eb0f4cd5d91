//! Recovery: what a log says was declared, declared again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{NOBODY, Vhost, bindings};
use crate::base::ids::QueueId;
use crate::broker::change::Change;
use crate::broker::delay::holds_for;
use crate::broker::effects::Effects;
use crate::broker::exchange::RouteTable;
use crate::broker::once::remembers_for;
use crate::broker::queue::Queue;
use crate::broker::spec::{ExchangeSpec, QueueSpec};
use crate::broker::topology::Topology;

impl Vhost {
    /// Carries out a change without writing it. A log may be replayed over a
    /// state that has some of it already: the end is the same. Policies apply
    /// once [`Vhost::apply_policies`] is called.
    pub fn restore(&self, change: &Change) {
        let mut topology = self.topology.write();
        match change {
            Change::VhostSet { settings, .. } => {
                *self.settings.write() = Arc::new(settings.clone());
                return;
            }
            Change::PolicySet { .. } | Change::PolicyCleared { .. } => {
                self.policies.write().replay(change);
                return;
            }
            Change::ExchangeDeclared { spec, .. } => restore_exchange(&mut topology, spec),
            Change::ExchangeDeleted { name, .. } => {
                // What goes along has its own record, here and everywhere below.
                if let Some(id) = topology.exchange_id(name) {
                    topology.remove_exchange(id, &mut Vec::new());
                }
            }
            Change::QueueDeclared { id, spec, .. } => {
                self.restore_queue(&mut topology, *id, spec);
            }
            Change::QueueDeleted { id, name, .. } => {
                restore_deletion(&mut topology, *id, name);
            }
            Change::Bound { spec, .. } => bindings::rebind(&mut topology, spec),
            Change::Unbound { spec, .. } => bindings::forget(&mut topology, spec),
            // Nothing of what is declared in it.
            _ => return,
        }
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Numbers only go up, so of two queues of one name the one with the higher
    /// number is the later one.
    fn restore_queue(&self, topology: &mut Topology, id: QueueId, spec: &QueueSpec) {
        self.ids.skip(id);
        if let Some(current) = topology.queue(&*spec.name).cloned() {
            if current.id() >= id {
                return;
            }
            drop_queue(topology, &current);
        }
        let exchange = holds_for(&spec.name, &spec.arguments);
        let remembers = remembers_for(&spec.name, &spec.arguments);
        let owner = exchange.or(remembers).map(|_| NOBODY);
        let queue = self.new_queue(id, spec.clone(), owner);
        topology.insert_queue(&queue);
        if let Some(exchange) = exchange {
            topology.hold_back_in(exchange, &queue);
        }
        if let Some(exchange) = remembers {
            topology.remember_in(exchange, &queue);
        }
    }
}

fn restore_exchange(topology: &mut Topology, spec: &ExchangeSpec) {
    if topology.exchange_id(&spec.name).is_some() {
        return;
    }
    match RouteTable::new(spec) {
        Some(table) => topology.insert_exchange(spec.clone(), table),
        None => tracing::error!(
            exchange = &*spec.name,
            kind = &*spec.kind,
            "recovered an exchange of a type this version doesn't have"
        ),
    }
}

/// A later queue of the same name stays, but not what an earlier part of the
/// log bound to it, taking it for the one deleted here. Its own bindings are
/// still to come.
fn restore_deletion(topology: &mut Topology, id: QueueId, name: &str) {
    let Some(current) = topology.queue(name).cloned() else {
        return;
    };
    if current.id() <= id {
        drop_queue(topology, &current);
    } else {
        topology.unbind_queue(&current);
    }
}

fn drop_queue(topology: &mut Topology, queue: &Queue) {
    // Nobody consumes yet, and the store knows already.
    queue.delete(&mut Effects::default());
    topology.remove_queue(queue);
}
