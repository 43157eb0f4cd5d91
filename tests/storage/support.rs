//! Messages, queues and waiting, for the tests of the store.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use harrier::base::clock::Now;
use harrier::base::ids::{Batch, Position, QueueId};
use harrier::broker::change::Change;
use harrier::broker::message::{Content, Message};
use harrier::broker::spec::{BindingSpec, Destination, ExchangeSpec, QueueSpec};
use harrier::broker::store::{Load, Page, Receiver, Record, Recovered, Remainder, Store, Stored};
use harrier::broker::weight::{Gone, Weight};
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

/// What a store held when it was opened, its messages read back.
#[derive(Debug)]
pub struct Found {
    pub changes: Vec<Change>,
    pub messages: Vec<(QueueId, Vec<(Position, Message)>)>,
    pub stored: Vec<(QueueId, Remainder, Vec<Stored>)>,
    pub last_queue_id: QueueId,
}

/// Reads back all that was recovered, in pages of a few messages.
pub fn read_all(store: &dyn Store, recovered: Recovered) -> Found {
    let read = |(queue, remainder): (QueueId, Remainder)| {
        let stored = read_back(store, queue, remainder.first, remainder.last, 1000);
        (queue, remainder, stored)
    };
    let stored: Vec<_> = recovered.queues.into_iter().map(read).collect();
    let plain = |(queue, _, stored): &(QueueId, Remainder, Vec<Stored>)| {
        let messages = stored.iter().map(|m| (m.position, m.message.clone()));
        (*queue, messages.collect::<Vec<_>>())
    };
    let messages = stored.iter().map(plain);
    Found {
        changes: recovered.changes,
        messages: messages.filter(|(_, all)| !all.is_empty()).collect(),
        stored,
        last_queue_id: recovered.last_queue_id,
    }
}

#[derive(Debug)]
struct Pages(SyncSender<Page>);

impl Receiver for Pages {
    fn receive(self: Arc<Self>, page: Page, _: Now) {
        self.0.send(page).expect("somebody waits");
    }
}

/// Reads messages back, `bytes` at a time.
pub fn read_back(
    store: &dyn Store,
    queue: QueueId,
    first: Position,
    last: Position,
    bytes: usize,
) -> Vec<Stored> {
    let mut found = Vec::new();
    let mut from = first;
    while from <= last {
        let (sender, pages) = sync_channel(1);
        store.load(Load {
            queue,
            from,
            to: last,
            bytes,
            // What is synced may not be entered yet; it is waited for.
            batch: store.synced(),
            receiver: Arc::new(Pages(sender)),
        });
        let mut page = pages.recv_timeout(Duration::from_secs(30)).expect("a page");
        assert_eq!(page.from, from);
        assert!(page.through >= from && page.through <= last, "{page:?}");
        assert!(
            page.messages
                .iter()
                .all(|m| (from..=page.through).contains(&m.position))
        );
        from = Position(page.through.0 + 1);
        found.append(&mut page.messages);
    }
    assert!(
        found.is_sorted_by(|a, b| a.position < b.position),
        "{found:?}"
    );
    found
}

pub fn open(dir: &Path) -> (Arc<LogStore>, Found) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match LogStore::open(dir, small_segments()) {
            // A child that another test is just starting has copies of all this
            // process has open, until it runs its own program.
            Err(StoreError::Locked { .. }) if Instant::now() < deadline => {
                std::thread::yield_now();
            }
            opened => {
                let (store, recovered) = opened.expect("the store opens");
                let found = read_all(&*store, recovered);
                return (store, found);
            }
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
        exchange: b"orders",
        routing_key: b"order.placed",
        properties: &[0x10, 0, 2],
        persistent: true,
        dead_lettered: false,
        failed: false,
        blind_copies: &[],
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
        deadline: None,
        delivered: false,
    }])
}

pub fn settle(store: &dyn Store, queue: u64, position: u64) -> Batch {
    settle_range(store, queue, position, position, 100)
}

/// Settles messages that took so many octets in the store together; what they
/// weighed doesn't matter.
pub fn settle_range(store: &dyn Store, queue: u64, first: u64, last: u64, octets: u64) -> Batch {
    store.append(&[Record::Settle {
        queue: QueueId(queue),
        first: Position(first),
        last: Position(last),
        gone: Gone {
            messages: last - first + 1,
            octets,
            weight: Weight::default(),
        },
    }])
}

/// Settles a message that is known.
pub fn settle_message(store: &dyn Store, queue: u64, position: u64, message: &Message) -> Batch {
    store.append(&[Record::settled(QueueId(queue), Position(position), message)])
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
pub fn positions(recovered: &Found, queue: u64) -> Vec<u64> {
    let of_queue = recovered.messages.iter().find(|(id, _)| id.0 == queue);
    of_queue.map_or(Vec::new(), |(_, messages)| {
        messages.iter().map(|(position, _)| position.0).collect()
    })
}
