//! Policies: set, cleared, and what they change of what is declared.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Vhost;
use crate::base::ids::Batch;
use crate::broker::access::Applied;
use crate::broker::change::Change;
use crate::broker::effects::Effects;
use crate::broker::policy::{Matched, Policy, PolicyChange, PolicyError, PolicyKind, Subject};
use crate::broker::queue::{Queue, Settings};
use crate::broker::store::Record;
use crate::broker::topology::Topology;

/// What other policies apply to from now on.
#[derive(Debug, Default)]
struct Affected {
    exchanges: Vec<(Arc<str>, Matched)>,
    queues: Vec<(Arc<Queue>, Matched)>,
}

impl Vhost {
    /// Makes a policy, or has the one of its name say something else. It takes
    /// effect at once on all that is declared.
    ///
    /// # Errors
    /// [`PolicyError::NoSuchVhost`] when the virtual host is deleted.
    pub fn set_policy(
        &self,
        policy: Policy,
        effects: &mut Effects,
    ) -> Result<Applied, PolicyError> {
        let _one_at_a_time = self.policy_change.lock();
        let known = self.policy(policy.kind(), policy.name());
        let created = known.is_none();
        let batch = if known.is_some_and(|known| *known == policy) {
            None
        } else {
            let change = Change::PolicySet {
                vhost: Arc::clone(&self.name),
                policy: policy.clone(),
            };
            Some(self.change_policies(&change, PolicyChange::Set(&policy), effects)?)
        };
        Ok(Applied { created, batch })
    }

    /// Takes a policy away, with all its effects; returns the batch that says so,
    /// `None` when there is none of that name.
    ///
    /// # Errors
    /// [`PolicyError::NoSuchVhost`] when the virtual host is deleted.
    pub fn clear_policy(
        &self,
        kind: PolicyKind,
        name: &str,
        effects: &mut Effects,
    ) -> Result<Option<Batch>, PolicyError> {
        let _one_at_a_time = self.policy_change.lock();
        let Some(known) = self.policy(kind, name) else {
            return Ok(None);
        };
        let change = Change::PolicyCleared {
            vhost: Arc::clone(&self.name),
            kind,
            name: Arc::clone(known.name()),
        };
        let changed = PolicyChange::Cleared(kind, name);
        self.change_policies(&change, changed, effects).map(Some)
    }

    /// Has policies apply that were restored.
    pub fn apply_policies(&self, effects: &mut Effects) {
        let _one_at_a_time = self.policy_change.lock();
        let affected = self.affected(&self.topology.read(), |_, _| true);
        self.apply(&affected, effects);
    }

    /// The policies that apply to something. To be called with the topology
    /// locked: what is declared later is under what is set now.
    pub(super) fn matching(&self, subject: Subject<'_>) -> Matched {
        self.policies.read().matching(subject)
    }

    fn change_policies(
        &self,
        change: &Change,
        changed: PolicyChange<'_>,
        effects: &mut Effects,
    ) -> Result<Batch, PolicyError> {
        let topology = self.topology.read();
        if self.check_there().is_err() {
            return Err(PolicyError::NoSuchVhost(self.name.as_ref().to_owned()));
        }
        self.policies.write().replay(change);
        let batch = self.around.store.append(&[Record::Topology(change)]);
        let affected = self.affected(&topology, |subject, noted| changed.concerns(subject, noted));
        drop(topology);
        self.herald
            .policy_parameter(&self.name, changed, effects.actor());
        self.apply(&affected, effects);
        for (queue, _) in &affected.queues {
            self.herald.queue_policy(queue, changed, effects.actor());
        }
        self.herald.policy(&self.name, changed, effects.actor());
        Ok(batch)
    }

    /// What other policies apply to than are noted, of what `concerns` says may
    /// be. All is matched with the topology locked for reading alone, and no
    /// queue locked.
    fn affected(
        &self,
        topology: &Topology,
        concerns: impl Fn(Subject<'_>, &Matched) -> bool,
    ) -> Affected {
        let policies = self.policies.read();
        let others = |subject, noted: &Matched| {
            let matched = concerns(subject, noted).then(|| policies.matching(subject));
            matched.filter(|matched| !matched.is(noted))
        };
        let exchanges = topology.exchange_policies().filter_map(|(name, noted)| {
            Some((Arc::clone(name), others(Subject::Exchange(name), noted)?))
        });
        // What is held back has its own rules.
        let queues = topology
            .queue_policies()
            .filter(|(queue, _)| queue.holds_for().or(queue.remembers_for()).is_none())
            .filter_map(|(queue, noted)| {
                let others = others(Subject::queue(queue.spec()), noted)?;
                Some((Arc::clone(queue), others))
            });
        Affected {
            exchanges: exchanges.collect(),
            queues: queues.collect(),
        }
    }

    /// What was declared or deleted in the meantime is as it should be: it was
    /// declared under the policies there are.
    fn apply(&self, affected: &Affected, effects: &mut Effects) {
        let mut topology = self.topology.write();
        if !affected.exchanges.is_empty() {
            self.generation.fetch_add(1, Ordering::Release);
        }
        for (name, matched) in &affected.exchanges {
            topology.set_exchange_policies(name, matched.clone());
        }
        for (queue, matched) in &affected.queues {
            topology.set_queue_policies(queue, matched.clone());
        }
        drop(topology);
        for (queue, matched) in &affected.queues {
            configure(queue, matched, effects);
        }
    }
}

/// Has a queue go by its arguments and the policies that apply to it.
pub(super) fn configure(queue: &Arc<Queue>, policies: &Matched, effects: &mut Effects) {
    let settings = Settings::under(&policies.definition(), &queue.spec().arguments);
    queue.configure(settings.shared(), effects);
}
