//! The virtual hosts of a broker.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::access::{AccessError, Applied, check_name};
use super::announcements::Herald;
use super::change::Change;
use super::dead_lettering::see_to_effects;
use super::effects::Effects;
use super::events::INTERNAL_USER;
use super::parameters::Parameters;
use super::queue::{Queue, Surroundings};
use super::store::{Record, Recovered, Store};
use super::timers::Timers;
use super::trace::{Rule, RuleError, Tracer};
use super::traffic::QueueTotals;
use super::vhost::{QueueIds, Vhost, VhostSettings};
use crate::base::limits::SHORT_STR_MAX;

/// The virtual host every broker starts with.
pub const DEFAULT_VHOST: &str = "/";

/// All virtual hosts, by name.
#[derive(Debug)]
pub struct Vhosts {
    ids: Arc<QueueIds>,
    around: Surroundings,
    herald: Arc<Herald>,
    parameters: Parameters,
    by_name: RwLock<HashMap<Arc<str>, Arc<Vhost>>>,
}

impl Vhosts {
    /// What `recovered` held, with [`DEFAULT_VHOST`] if that held none at all.
    pub fn restore(store: Arc<dyn Store>, recovered: Recovered) -> Self {
        let herald = Arc::<Herald>::default();
        let vhosts = Self {
            parameters: Parameters::new(Arc::clone(&store), Arc::clone(&herald)),
            ids: Arc::new(QueueIds::after(recovered.last_queue_id)),
            around: Surroundings::new(store, Arc::default()),
            herald,
            by_name: RwLock::default(),
        };
        for change in &recovered.changes {
            vhosts.replay(change);
        }
        for vhost in vhosts.all() {
            // No queue has anything in it yet that this could have an effect on.
            vhost.apply_policies(&mut Effects::default());
        }
        let queues: HashMap<_, _> = vhosts
            .all()
            .iter()
            .flat_map(|vhost| vhost.queues())
            .map(|queue| (queue.id(), queue))
            .collect();
        for (lane, remainder) in recovered.queues {
            match queues.get(&lane.queue()) {
                Some(queue) => queue.restore(lane, remainder),
                None => tracing::error!(
                    queue_id = lane.queue().0,
                    messages = remainder.messages,
                    "recovered messages of a queue that isn't declared"
                ),
            }
        }
        if vhosts.by_name.read().is_empty() {
            vhosts.create(DEFAULT_VHOST);
        }
        vhosts
    }

    /// What tells of what happens in them.
    pub fn herald(&self) -> &Arc<Herald> {
        &self.herald
    }

    /// What components are told to do in them, and what is said of the broker.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What passed all queues there ever were.
    pub fn totals(&self) -> &QueueTotals {
        &self.around.totals
    }

    /// What takes down where messages go.
    pub fn tracer(&self) -> &Arc<Tracer> {
        &self.around.tracer
    }

    /// Has messages traced as `rule` says, in place of one of that name; whether
    /// there was none.
    ///
    /// # Errors
    /// [`RuleError`] when it can't be.
    pub fn put_trace_rule(&self, rule: Rule) -> Result<bool, RuleError> {
        if !(1..=SHORT_STR_MAX).contains(&rule.name.len()) {
            return Err(RuleError::BadName(rule.name.len()));
        }
        let by_name = self.by_name.read();
        let vhost = by_name.get(&rule.vhost);
        let vhost = vhost.ok_or_else(|| RuleError::NoSuchVhost(rule.vhost.as_ref().into()))?;
        self.tracer().put(rule, || vhost.set_ruled(true))
    }

    /// Takes a rule away; whether there was one of that name.
    pub fn remove_trace_rule(&self, vhost: &str, name: &str) -> bool {
        self.remove_trace_rules(vhost, |rule| *rule.name == *name)
    }

    fn remove_trace_rules(&self, vhost: &str, goes: impl Fn(&Rule) -> bool) -> bool {
        let known = self.get(vhost);
        let tell = |any_left| {
            if let Some(vhost) = &known {
                vhost.set_ruled(any_left);
            }
        };
        self.tracer().remove(vhost, goes, tell)
    }

    /// The virtual host called `name`.
    pub fn get(&self, name: &str) -> Option<Arc<Vhost>> {
        self.by_name.read().get(name).cloned()
    }

    /// All of them, in no order.
    pub fn all(&self) -> Vec<Arc<Vhost>> {
        self.by_name.read().values().cloned().collect()
    }

    /// Makes a virtual host unless there is one of that name.
    pub fn create(&self, name: &str) -> Arc<Vhost> {
        let mut by_name = self.by_name.write();
        if let Some(vhost) = by_name.get(name) {
            return Arc::clone(vhost);
        }
        let vhost = self.add(&mut by_name, name.into());
        let change = Change::VhostCreated {
            vhost: Arc::clone(vhost.name()),
        };
        self.around.store.append(&[Record::Topology(&change)]);
        self.herald
            .vhost_created(name, &vhost.settings(), INTERNAL_USER);
        vhost
    }

    /// Makes a virtual host, or says something else of the one there is, as `by`
    /// asks.
    ///
    /// # Errors
    /// [`AccessError`] when the name or the settings make no sense.
    pub fn put(
        &self,
        name: &str,
        settings: VhostSettings,
        by: &str,
    ) -> Result<Applied, AccessError> {
        check_name(name)?;
        settings.check()?;
        let mut by_name = self.by_name.write();
        let known = by_name.get(name).cloned();
        let created = known.is_none();
        let vhost = known.unwrap_or_else(|| self.add(&mut by_name, name.into()));
        let batch = (created || *vhost.settings() != settings).then(|| {
            let change = Change::VhostSet {
                vhost: Arc::clone(vhost.name()),
                settings,
            };
            let limits = vhost.settings().limits;
            vhost.restore(&change);
            let settings = vhost.settings();
            if created {
                self.herald.vhost_created(name, &settings, by);
            } else if settings.limits != limits {
                self.herald.vhost_limits_set(name, settings.limits, by);
            }
            self.around.store.append(&[Record::Topology(&change)])
        });
        Ok(Applied { created, batch })
    }

    /// Deletes a virtual host with all that is in it. Its connections are the
    /// server's to close; they can declare nothing in it any more.
    ///
    /// # Errors
    /// [`AccessError`] when there is none, or it is protected.
    pub fn delete(&self, name: &str, effects: &mut Effects) -> Result<Applied, AccessError> {
        let mut by_name = self.by_name.write();
        let vhost = by_name.get(name);
        let vhost = vhost.ok_or_else(|| AccessError::NoSuchVhost(name.to_owned()))?;
        if vhost.settings().protected {
            return Err(AccessError::Protected(name.to_owned()));
        }
        let batch = vhost.delete(effects);
        if let Some((name, _)) = by_name.remove_entry(name) {
            self.parameters.forget_vhost(&name);
            self.tracer().remove(&name, |_| true, |_| ());
        }
        self.herald.vhost_deleted(name, effects.actor());
        Ok(Applied {
            created: false,
            batch: Some(batch),
        })
    }

    /// Where queues ask to be called at a time.
    pub fn timers(&self) -> &Timers<Queue> {
        &self.around.timers
    }

    /// Has every queue go on where it was. To be called once after
    /// [`Vhosts::restore`], when there is somebody to see to what is due.
    pub fn resume(&self, effects: &mut Effects) {
        for vhost in self.all() {
            for queue in vhost.queues() {
                queue.resume_after_restart(effects);
            }
            see_to_effects(&vhost, effects);
        }
    }

    /// Sees to the first queue that is to be called by the time of `effects`;
    /// `false` when there is none.
    pub fn call_due(&self, effects: &mut Effects) -> bool {
        let Some(queue) = self.around.timers.take_due(effects.now().unix_ms) else {
            return false;
        };
        queue.on_time(effects);
        if let Some(vhost) = self.get(queue.vhost()) {
            see_to_effects(&vhost, effects);
        }
        true
    }

    fn replay(&self, change: &Change) {
        self.parameters.restore(change);
        let Some(name) = change.vhost() else {
            return;
        };
        let mut by_name = self.by_name.write();
        if let Change::VhostDeleted { .. } = change {
            by_name.remove(name);
            return;
        }
        let known = by_name.get(name).cloned();
        let vhost = known.unwrap_or_else(|| self.add(&mut by_name, Arc::clone(name)));
        drop(by_name);
        vhost.restore(change);
    }

    fn add(&self, by_name: &mut HashMap<Arc<str>, Arc<Vhost>>, name: Arc<str>) -> Arc<Vhost> {
        let vhost = Vhost::announced(
            Arc::clone(&name),
            Arc::clone(&self.ids),
            self.around.clone(),
            Arc::clone(&self.herald),
        );
        let vhost = Arc::new(vhost);
        by_name.insert(name, Arc::clone(&vhost));
        vhost
    }
}
