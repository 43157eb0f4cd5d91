//! A virtual host: what may be declared, bound, routed and deleted in it.
//!
//! One lock is over the whole topology. A change is written to the store before
//! the lock is released, so the log has changes in the order they took effect.
//! A queue may be locked with the topology locked, never the other way round.

mod announcing;
mod bindings;
mod exchanges;
mod policies;
mod queues;
mod restore;
mod settings;
mod views;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

pub use self::exchanges::check_exchange_type;
pub use self::settings::{VhostLimits, VhostSettings};

use super::announcements::Herald;
use super::change::Change;
use super::delay::holding_queue;
use super::effects::Effects;
use super::events::EVENT_EXCHANGE;
use super::firehose::{Firehose, TRACE_EXCHANGE};
use super::once::remembering_queue;
use super::policy::Policies;
use super::queue::{Queue, Surroundings};
use super::replies::Replies;
use super::resource::{Resource, access_refused};
use super::routing::{PublishTarget, RoutingKeys, Traits};
use super::spec::{ExchangeSpec, QueueSpec};
use super::store::{Record, Store};
use super::topology::Topology;
use super::trace::{Tracer, Way};
use super::traffic::ExchangeTraffic;
use super::vhosts::DEFAULT_VHOST;
use crate::base::ids::{Batch, ConnectionId, QueueId};
use crate::wire::{Refusal, ReplyCode};

/// Whose the queues are that no client may touch: as if it were an exclusive one
/// of a connection that is never there.
const NOBODY: ConnectionId = ConnectionId(0);

/// Where the numbers of queues come from.
#[derive(Debug, Default)]
pub struct QueueIds {
    last: AtomicU64,
}

impl QueueIds {
    /// Numbers after `last`, the highest one given out before.
    pub fn after(last: QueueId) -> Self {
        Self {
            last: AtomicU64::new(last.0),
        }
    }

    /// A number never given out before.
    pub fn next(&self) -> QueueId {
        QueueId(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Notes that `id` was given out.
    fn skip(&self, id: QueueId) {
        self.last.fetch_max(id.0, Ordering::Relaxed);
    }
}

/// A virtual host.
#[derive(Debug)]
pub struct Vhost {
    name: Arc<str>,
    ids: Arc<QueueIds>,
    around: Surroundings,
    topology: RwLock<Topology>,
    /// What passes the default exchange.
    default_traffic: Arc<ExchangeTraffic>,
    generation: AtomicU64,
    replies: Replies,
    settings: RwLock<Arc<VhostSettings>>,
    policies: RwLock<Policies>,
    /// Held for as long as a change of policies takes effect.
    policy_change: Mutex<()>,
    /// Set with the topology locked, so that nothing is declared afterwards.
    deleted: AtomicBool,
    herald: Arc<Herald>,
    firehose: Arc<Firehose>,
}

impl Vhost {
    /// A virtual host with nothing in it but the exchanges every one has.
    pub fn new(name: Arc<str>, ids: Arc<QueueIds>, around: Surroundings) -> Self {
        Self::announced(name, ids, around, Arc::default())
    }

    /// The same, of which `herald` tells what happens in it.
    pub fn announced(
        name: Arc<str>,
        ids: Arc<QueueIds>,
        around: Surroundings,
        herald: Arc<Herald>,
    ) -> Self {
        let firehose = Firehose::new(Arc::clone(&name), Arc::clone(&herald));
        let mut topology = Topology::default();
        exchanges::predeclare(&mut topology);
        topology.set_switch(TRACE_EXCHANGE, firehose.switch());
        if *name == *DEFAULT_VHOST {
            exchanges::predeclare_events(&mut topology);
            topology.set_switch(EVENT_EXCHANGE, &herald.events);
        }
        Self {
            name,
            ids,
            around,
            topology: RwLock::new(topology),
            default_traffic: Arc::default(),
            generation: AtomicU64::new(0),
            replies: Replies::default(),
            settings: RwLock::default(),
            policies: RwLock::default(),
            policy_change: Mutex::default(),
            deleted: AtomicBool::new(false),
            herald,
            firehose: Arc::new(firehose),
        }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What is said of it.
    pub fn settings(&self) -> Arc<VhostSettings> {
        Arc::clone(&self.settings.read())
    }

    /// Deletes all that is in it, for good; returns the batch that says so.
    pub(super) fn delete(&self, effects: &mut Effects) -> Batch {
        let topology = self.topology.write();
        self.deleted.store(true, Ordering::Relaxed);
        for queue in topology.queues() {
            queue.delete(effects);
        }
        self.generation.fetch_add(1, Ordering::Release);
        let change = Change::VhostDeleted {
            vhost: Arc::clone(&self.name),
        };
        self.around.store.append(&[Record::Topology(&change)])
    }

    /// Whether it may still be declared in. To be asked with the topology locked.
    fn check_there(&self) -> Result<(), Refusal> {
        if self.deleted.load(Ordering::Relaxed) {
            let text = format!("vhost '{}' is deleted", self.name);
            return Err(Refusal::new(ReplyCode::ConnectionForced, text));
        }
        Ok(())
    }

    /// Where its durable things are kept.
    pub fn store(&self) -> &dyn Store {
        &*self.around.store
    }

    /// Who waits for direct replies.
    pub fn replies(&self) -> &Replies {
        &self.replies
    }

    /// What tells of it.
    pub fn herald(&self) -> &Arc<Herald> {
        &self.herald
    }

    /// What copies the messages that come and go.
    pub fn firehose(&self) -> &Arc<Firehose> {
        &self.firehose
    }

    /// What takes down where messages go.
    pub fn tracer(&self) -> &Arc<Tracer> {
        &self.around.tracer
    }

    /// The bindings by which a message came from `exchange` to `queues`, as far as
    /// what is bound now tells.
    pub fn ways(
        &self,
        exchange: &str,
        keys: &RoutingKeys<'_>,
        traits: &mut dyn Traits,
        queues: &[Arc<Queue>],
    ) -> Vec<Way> {
        let topology = self.topology.read();
        topology.ways(exchange, keys, traits, queues)
    }

    /// Moves on with every change that can alter a route. A route found after
    /// this was read holds for as long as this stays the same.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Adds the queues that a message goes to, each once; none is no error.
    ///
    /// # Errors
    /// 404 when there is no such exchange.
    pub fn route(
        &self,
        exchange: &str,
        keys: RoutingKeys<'_>,
        traits: &mut dyn Traits,
        out: &mut Vec<Arc<Queue>>,
    ) -> Result<(), Refusal> {
        if self.topology.read().route(exchange, &keys, traits, out) {
            return Ok(());
        }
        Err(self.exchange_title(exchange).not_found())
    }

    /// Whether clients may publish to `exchange`, and how.
    ///
    /// # Errors
    /// 404 when there is no such exchange, 403 when it is internal.
    pub fn check_publish(&self, exchange: &str) -> Result<PublishTarget, Refusal> {
        // A route that is kept is taken without a look at that switch.
        let untraced = !self.firehose.switch().is_tapped();
        if exchange.is_empty() {
            return Ok(PublishTarget {
                cacheable: untraced,
                traffic: Arc::clone(&self.default_traffic),
            });
        }
        let title = self.exchange_title(exchange);
        let topology = self.topology.read();
        let (id, found) = topology
            .exchange_named(exchange)
            .ok_or_else(|| title.not_found())?;
        if found.spec.internal {
            let text = format!("cannot publish to internal {title}");
            return Err(access_refused(text));
        }
        Ok(PublishTarget {
            cacheable: untraced && topology.routes_by_keys(id),
            traffic: Arc::clone(&found.traffic),
        })
    }

    /// A queue that nobody knows yet.
    fn new_queue(&self, id: QueueId, spec: QueueSpec, owner: Option<ConnectionId>) -> Arc<Queue> {
        let vhost = Arc::clone(&self.name);
        Arc::new(Queue::new(id, vhost, spec, owner, &self.around))
    }

    /// To be called with the topology locked, once it has changed.
    fn changed(&self, durable: &[Change], effects: &mut Effects) {
        self.generation.fetch_add(1, Ordering::Release);
        // Once it is deleted, what goes of it is the business of nobody, least of
        // all of one of the same name that came after it.
        if durable.is_empty() || self.deleted.load(Ordering::Relaxed) {
            return;
        }
        let records: Vec<_> = durable.iter().map(Record::Topology).collect();
        effects.stored(self.around.store.append(&records));
    }

    /// The changes that `gone` amount to: durable exchanges, and the queues in
    /// which some of them held messages back.
    fn deletions(
        &self,
        topology: &mut Topology,
        gone: &[ExchangeSpec],
        effects: &mut Effects,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for spec in gone {
            let own = [holding_queue(&spec.name), remembering_queue(&spec.name)];
            let own = own.map(|name| topology.queue(&*name).cloned());
            // Names of both kinds are reserved, so there is nobody else's.
            let own: Vec<_> = own.into_iter().flatten().collect();
            for queue in &own {
                queue.delete(effects);
                topology.remove_queue(queue);
            }
            if !spec.durable {
                continue;
            }
            changes.push(Change::ExchangeDeleted {
                vhost: Arc::clone(&self.name),
                name: Arc::clone(&spec.name),
            });
            changes.extend(own.iter().map(|queue| Change::QueueDeleted {
                vhost: Arc::clone(&self.name),
                id: queue.id(),
                name: Arc::clone(queue.name()),
            }));
        }
        changes
    }

    fn queue_title<'a>(&'a self, name: &'a str) -> Resource<'a> {
        Resource::queue(name, &self.name)
    }

    fn exchange_title<'a>(&'a self, name: &'a str) -> Resource<'a> {
        Resource::exchange(name, &self.name)
    }
}

/// A name without the line ends that RabbitMQ takes out of names.
pub fn without_line_ends(name: &str) -> Cow<'_, str> {
    if name.contains(['\r', '\n']) {
        Cow::Owned(name.replace(['\r', '\n'], ""))
    } else {
        Cow::Borrowed(name)
    }
}

fn not_on_default_exchange() -> Refusal {
    access_refused("operation not permitted on the default exchange")
}
