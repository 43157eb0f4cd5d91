//! A store that keeps accounts and a subscriber that keeps what it is handed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

use harrier::base::ids::{Batch, Position, QueueId};
use harrier::broker::effects::Effects;
use harrier::broker::message::{Content, Message};
use harrier::broker::spec::QueueSpec;
use harrier::broker::store::{Record, Store};
use harrier::broker::subscriber::{Delivery, HeldSlot, Subscriber};
use harrier::wire::{Body, FieldTable};
use parking_lot::Mutex;

pub const PERSISTENT: &[u8] = &[0x10, 0, 2];
pub const TRANSIENT: &[u8] = &[0, 0];

/// A store that knows what it has, and doesn't take what makes no sense.
#[derive(Debug, Default)]
pub struct Ledger {
    held: Mutex<BTreeMap<(QueueId, Position), Message>>,
    appended: AtomicU64,
}

impl Ledger {
    /// The numbers of the messages that a queue has in the store, by place.
    pub fn numbers(&self, queue: QueueId) -> Vec<u32> {
        let held = self.held.lock();
        let of_queue = held.iter().filter(|((id, _), _)| *id == queue);
        of_queue
            .map(|(_, message)| number(message.view().body))
            .collect()
    }

    /// What a store opened on the same data would give back.
    pub fn recovered(&self, queue: QueueId) -> Vec<(Position, Message)> {
        let held = self.held.lock();
        let of_queue = held.iter().filter(|((id, _), _)| *id == queue);
        of_queue
            .map(|((_, position), message)| (*position, message.clone()))
            .collect()
    }
}

impl Store for Ledger {
    fn append(&self, records: &[Record<'_>]) -> Batch {
        let mut held = self.held.lock();
        for record in records {
            match *record {
                Record::Publish {
                    queue,
                    position,
                    message,
                } => {
                    let before = held.insert((queue, position), message.clone());
                    assert!(before.is_none(), "{position} was stored twice");
                }
                Record::Settle { queue, position } => {
                    let stored = held.remove(&(queue, position));
                    assert!(stored.is_some(), "{position} isn't there to be settled");
                }
                Record::Topology(change) => panic!("unexpected {change:?}"),
            }
        }
        Batch(self.appended.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn synced(&self) -> Batch {
        Batch(u64::MAX)
    }

    fn wake_when_synced(&self, _: Batch, waker: &Waker) {
        waker.wake_by_ref();
    }
}

/// What a consumer was handed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handed {
    /// Which of the test's consumers it was.
    pub consumer: usize,
    pub number: u32,
    pub redelivered: bool,
    pub held: Option<HeldSlot>,
}

/// A consumer that writes down what it is handed, in a list shared by all.
#[derive(Debug)]
pub struct Recorder {
    pub consumer: usize,
    pub open: AtomicBool,
    pub cancelled: AtomicBool,
    pub handed: Arc<Mutex<Vec<Handed>>>,
}

impl Recorder {
    pub fn new(consumer: usize, handed: &Arc<Mutex<Vec<Handed>>>) -> Arc<Self> {
        Arc::new(Self {
            consumer,
            open: AtomicBool::new(true),
            cancelled: AtomicBool::new(false),
            handed: Arc::clone(handed),
        })
    }
}

impl Subscriber for Recorder {
    fn accepts(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    fn deliver(&self, delivery: &Delivery<'_>, _: &mut Effects) {
        self.handed.lock().push(Handed {
            consumer: self.consumer,
            number: number(delivery.message.body),
            redelivered: delivery.redelivered,
            held: delivery.held,
        });
    }

    fn cancelled(&self, _: &mut Effects) {
        assert!(!self.cancelled.swap(true, Ordering::Relaxed), "told twice");
    }
}

/// The content of message `number`.
pub fn content(number: &[u8; 4], persistent: bool) -> Content<'_> {
    Content {
        exchange: "orders",
        routing_key: "order.placed",
        properties: if persistent { PERSISTENT } else { TRANSIENT },
        persistent,
        dead_lettered: false,
        body: Body::Borrowed(number),
    }
}

/// The number of a message, by its body.
pub fn number(body: &[u8]) -> u32 {
    u32::from_be_bytes(body.try_into().unwrap())
}

/// A queue's declaration.
pub fn spec(name: &str, durable: bool, arguments: FieldTable) -> QueueSpec {
    QueueSpec {
        name: name.into(),
        durable,
        exclusive: false,
        auto_delete: false,
        arguments,
    }
}
