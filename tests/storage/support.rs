//! Messages, queues and waiting, for the tests of the store.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use harrier::base::ids::{Batch, Position, QueueId};
use harrier::broker::change::Change;
use harrier::broker::message::{Content, Message};
use harrier::broker::spec::{BindingSpec, Destination, ExchangeSpec, QueueSpec};
use harrier::broker::store::{Record, Recovered, Store};
use harrier::storage::{LogStore, StoreError, StoreOptions};
use harrier::wire::{Body, FieldTable, FieldValue};

/// Small enough that a test fills many.
pub const SMALL_SEGMENT: u64 = 16 * 1024;

pub fn small_segments() -> StoreOptions {
    StoreOptions {
        segment_size: SMALL_SEGMENT,
        ..StoreOptions::default()
    }
}

pub fn open(dir: &Path) -> (Arc<LogStore>, Recovered) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match LogStore::open(dir, small_segments()) {
            // A child that another test is just starting has copies of all this
            // process has open, until it runs its own program.
            Err(StoreError::Locked { .. }) if Instant::now() < deadline => {
                std::thread::yield_now();
            }
            opened => return opened.expect("the store opens"),
        }
    }
}

/// A persistent message with `size` octets that differ by `number`.
pub fn message(number: u64, size: usize) -> Message {
    let mut body = vec![number as u8; size];
    for (octet, digit) in body.iter_mut().zip(number.to_be_bytes()) {
        *octet = digit;
    }
    Message::new(&Content {
        exchange: "orders",
        routing_key: "order.placed",
        properties: &[0x10, 0, 2],
        persistent: true,
        dead_lettered: false,
        body: Body::Borrowed(&body),
    })
}

pub fn queue_declared(id: u64) -> Change {
    let mut arguments = FieldTable::new();
    arguments.push("x-queue-type", "classic");
    arguments.push("x-max-length", 1000);
    Change::QueueDeclared {
        vhost: "/".into(),
        id: QueueId(id),
        spec: QueueSpec {
            name: format!("queue-{id}").into(),
            durable: true,
            exclusive: false,
            auto_delete: false,
            arguments,
        },
    }
}

pub fn queue_deleted(id: u64) -> Change {
    Change::QueueDeleted {
        vhost: "/".into(),
        id: QueueId(id),
        name: format!("queue-{id}").into(),
    }
}

pub fn exchange_declared(name: &str) -> Change {
    Change::ExchangeDeclared {
        vhost: "/".into(),
        spec: ExchangeSpec {
            name: name.into(),
            kind: "topic".into(),
            durable: true,
            auto_delete: false,
            internal: true,
            arguments: FieldTable::new(),
        },
    }
}

pub fn binding(source: &str, queue: u64, key: &str) -> BindingSpec {
    let mut arguments = FieldTable::new();
    arguments.push("x-match", FieldValue::from("all"));
    BindingSpec {
        source: source.into(),
        destination: Destination::Queue(format!("queue-{queue}").into()),
        routing_key: key.into(),
        arguments,
    }
}

pub fn bound(spec: BindingSpec) -> Change {
    Change::Bound {
        vhost: "/".into(),
        spec,
    }
}

pub fn publish(store: &dyn Store, queue: u64, position: u64, message: &Message) -> Batch {
    store.append(&[Record::Publish {
        queue: QueueId(queue),
        position: Position(position),
        message,
    }])
}

pub fn settle(store: &dyn Store, queue: u64, position: u64) -> Batch {
    store.append(&[Record::Settle {
        queue: QueueId(queue),
        position: Position(position),
    }])
}

pub fn change(store: &dyn Store, change: &Change) -> Batch {
    store.append(&[Record::Topology(change)])
}

struct Bell(SyncSender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // A bell that rang already need not ring again.
        self.0.try_send(()).ok();
    }
}

/// Whether `batch` is synced within a while.
pub fn synced_within(store: &dyn Store, batch: Batch, patience: Duration) -> bool {
    let (sender, rung) = sync_channel(1);
    store.wake_when_synced(batch, &Waker::from(Arc::new(Bell(sender))));
    let rang = rung.recv_timeout(patience).is_ok();
    assert!(!rang || store.synced() >= batch, "woken too early");
    rang
}

pub fn wait(store: &dyn Store, batch: Batch) {
    assert!(
        synced_within(store, batch, Duration::from_secs(30)),
        "batch {batch} isn't synced"
    );
}

/// The positions of a queue's messages.
pub fn positions(recovered: &Recovered, queue: u64) -> Vec<u64> {
    let of_queue = recovered.messages.iter().find(|(id, _)| id.0 == queue);
    of_queue.map_or(Vec::new(), |(_, messages)| {
        messages.iter().map(|(position, _)| position.0).collect()
    })
}
