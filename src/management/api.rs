//! What all handlers share.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use super::audit::Audit;
use super::metrics::Scrapes;
use super::rates::Rates;
use super::shovel::Shovels;
use super::workbench::Jobs;
use crate::base::clock::Now;
use crate::base::ids::Batch;
use crate::broker::parameters::ParameterKey;
use crate::broker::trace::Tracer;
use crate::server::shared::{CLUSTER_NAME, Shared};

/// Acts of earlier runs that are looked through for jobs that didn't end.
const RECENT_ACTS: usize = 2000;
/// The global parameter that the cluster's name is kept in.
pub const CLUSTER_NAME_PARAMETER: &str = "cluster_name";

/// What all handlers share: the broker, and where it is served.
#[derive(Debug)]
pub struct Api {
    /// The broker.
    pub shared: Arc<Shared>,
    /// Where it is served.
    pub listeners: Vec<Listener>,
    /// How fast counters move.
    pub rates: Rates,
    /// When it was started.
    pub started: Now,
    /// What moves messages from and to it.
    pub shovels: Arc<Shovels>,
    /// What administrators did.
    pub audit: Audit,
    /// Work on queues' messages.
    pub jobs: Jobs,
    /// What asking for metrics costs.
    pub scrapes: Scrapes,
}

/// An address that something is served on.
#[derive(Debug, Clone, Copy)]
pub struct Listener {
    /// The protocol by RabbitMQ's name: `amqp`, `amqp/ssl`, `http`, `https`.
    pub protocol: &'static str,
    /// The address.
    pub address: SocketAddr,
    /// Whether it is encrypted.
    pub tls: bool,
}

impl Api {
    /// What handlers of the broker behind `shared` share.
    pub fn new(shared: Arc<Shared>, listeners: Vec<Listener>) -> Self {
        let started = shared.now();
        let shovels = Shovels::new(Arc::clone(&shared));
        let audit = Audit::new(&shared.config.data_dir);
        let jobs = Jobs::restored(&audit.last(RECENT_ACTS).unwrap_or_default());
        Self {
            shovels,
            shared,
            listeners,
            rates: Rates::default(),
            started,
            audit,
            jobs,
            scrapes: Scrapes::default(),
        }
    }

    /// What the cluster is called.
    pub fn cluster_name(&self) -> String {
        let key = ParameterKey::Global {
            name: CLUSTER_NAME_PARAMETER.into(),
        };
        let given = self.shared.vhosts.parameters().get(&key);
        let given = given.and_then(|value| serde_json::from_str(&value).ok());
        given.unwrap_or_else(|| CLUSTER_NAME.to_owned())
    }

    /// Waits until a batch of changes survives power loss, as `declare-ok` does.
    pub async fn synced(&self, batch: Option<Batch>) {
        let store = &self.shared.store;
        let Some(batch) = batch else {
            return;
        };
        poll_fn(|context| {
            if store.synced() >= batch {
                return Poll::Ready(());
            }
            store.wake_when_synced(batch, context.waker());
            Poll::Pending
        })
        .await;
    }

    /// What takes down where messages go.
    pub fn tracer(&self) -> &Tracer {
        self.shared.vhosts.tracer()
    }

    /// What this node is called.
    pub fn node(&self) -> &str {
        self.shared.vhosts.herald().node()
    }
}
