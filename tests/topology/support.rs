//! A virtual host to ask, with a store that remembers what it was told.

use std::sync::Arc;
use std::task::Waker;

use harrier::base::ids::{Batch, ConnectionId};
use harrier::broker::change::Change;
use harrier::broker::effects::Effects;
use harrier::broker::queue::{Queue, Surroundings};
use harrier::broker::routing::RoutingKeys;
use harrier::broker::spec::{BindingSpec, Destination};
use harrier::broker::store::{Load, Record, Store};
use harrier::broker::vhost::{QueueIds, Vhost};
use harrier::wire::method::{ExchangeDeclare, QueueDeclare};
use harrier::wire::{FieldTable, FieldValue, Refusal};
use parking_lot::Mutex;

/// The connection that does everything unless said otherwise.
pub const ME: ConnectionId = ConnectionId(1);
/// Another connection.
pub const OTHER: ConnectionId = ConnectionId(2);

/// A store that keeps the changes it is given, one list for each append.
#[derive(Debug, Default)]
pub struct Log {
    appended: Mutex<Vec<Vec<Change>>>,
}

impl Log {
    /// Everything appended since this was last asked.
    pub fn take(&self) -> Vec<Vec<Change>> {
        std::mem::take(&mut self.appended.lock())
    }
}

impl Store for Log {
    fn append(&self, records: &[Record<'_>]) -> Batch {
        let changes = records.iter().map(|record| match record {
            Record::Topology(change) => (*change).clone(),
            other => panic!("unexpected record {other:?}"),
        });
        let mut appended = self.appended.lock();
        appended.push(changes.collect());
        Batch(appended.len() as u64)
    }

    fn synced(&self) -> Batch {
        Batch(u64::MAX)
    }

    fn wake_when_synced(&self, _: Batch, waker: &Waker) {
        waker.wake_by_ref();
    }

    fn load(&self, load: Load) {
        panic!("nothing is stored here: {load:?}");
    }
}

/// A virtual host `/` and what it wrote.
#[derive(Debug)]
pub struct Host {
    pub vhost: Vhost,
    pub log: Arc<Log>,
    pub effects: Effects,
}

impl Host {
    pub fn new() -> Self {
        let log = Arc::new(Log::default());
        let ids = Arc::new(QueueIds::default());
        Self {
            vhost: Vhost::new(
                "/".into(),
                ids,
                Surroundings::new(Arc::clone(&log) as Arc<dyn Store>, Arc::default()),
            ),
            log,
            effects: Effects::default(),
        }
    }

    pub fn declare_exchange(&mut self, request: &ExchangeDeclare<'_>) -> Result<(), Refusal> {
        self.vhost.declare_exchange(request, &mut self.effects)
    }

    /// A durable exchange without further ado.
    pub fn exchange(&mut self, name: &str, kind: &str) {
        self.declare_exchange(&exchange(name, kind)).unwrap();
    }

    pub fn delete_exchange(&mut self, name: &str) -> Result<(), Refusal> {
        self.vhost.delete_exchange(name, false, &mut self.effects)
    }

    pub fn declare_queue(&mut self, request: &QueueDeclare<'_>) -> Result<Arc<Queue>, Refusal> {
        self.declare_queue_as(ME, request)
    }

    pub fn declare_queue_as(
        &mut self,
        as_: ConnectionId,
        request: &QueueDeclare<'_>,
    ) -> Result<Arc<Queue>, Refusal> {
        let made_up = || "amq.gen-made-up".to_owned();
        self.vhost
            .declare_queue(request, as_, made_up, &mut self.effects)
    }

    /// A durable queue without further ado.
    pub fn queue(&mut self, name: &str) -> Arc<Queue> {
        self.declare_queue(&queue(name)).unwrap()
    }

    pub fn delete_queue(&mut self, name: &str) -> Result<u64, Refusal> {
        self.vhost
            .delete_queue(name, false, false, ME, &mut self.effects)
    }

    pub fn bind(&mut self, spec: BindingSpec) -> Result<(), Refusal> {
        self.vhost.bind(spec, ME, &mut self.effects)
    }

    pub fn unbind(&mut self, spec: &BindingSpec) -> Result<(), Refusal> {
        self.vhost.unbind(spec, ME, &mut self.effects)
    }

    /// The names of the queues a message goes to, sorted.
    pub fn route(&self, exchange: &str, key: &str) -> Vec<String> {
        self.route_all(exchange, RoutingKeys::one(key), FieldTable::new())
    }

    pub fn route_all(
        &self,
        exchange: &str,
        keys: RoutingKeys<'_>,
        mut headers: FieldTable,
    ) -> Vec<String> {
        let mut out = Vec::new();
        self.vhost
            .route(exchange, keys, &mut headers, &mut out)
            .unwrap();
        let mut names: Vec<_> = out.iter().map(|queue| queue.name().to_string()).collect();
        names.sort();
        names
    }
}

/// A durable exchange.
pub fn exchange<'a>(name: &'a str, kind: &'a str) -> ExchangeDeclare<'a> {
    ExchangeDeclare {
        exchange: name,
        kind,
        durable: true,
        ..ExchangeDeclare::default()
    }
}

/// A durable queue.
pub fn queue(name: &str) -> QueueDeclare<'_> {
    QueueDeclare {
        queue: name,
        durable: true,
        ..QueueDeclare::default()
    }
}

/// A durable queue with arguments.
pub fn queue_with<'a>(name: &'a str, arguments: &[(&str, FieldValue)]) -> QueueDeclare<'a> {
    QueueDeclare {
        arguments: table(arguments),
        ..queue(name)
    }
}

/// A binding that leads to a queue.
pub fn to_queue(source: &str, queue: &str, key: &str) -> BindingSpec {
    BindingSpec {
        source: source.into(),
        destination: Destination::Queue(queue.into()),
        routing_key: key.into(),
        arguments: FieldTable::new(),
    }
}

/// A binding that leads to an exchange.
pub fn to_exchange(source: &str, exchange: &str, key: &str) -> BindingSpec {
    BindingSpec {
        destination: Destination::Exchange(exchange.into()),
        ..to_queue(source, "", key)
    }
}

pub fn table(entries: &[(&str, FieldValue)]) -> FieldTable {
    entries.iter().cloned().collect()
}

/// The text of a refusal, as it goes on the wire.
pub fn text<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
    result.unwrap_err().text()
}
