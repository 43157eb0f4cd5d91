//! A subscriber that keeps what it is handed, and messages that are numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harrier::broker::effects::Effects;
use harrier::broker::message::Content;
use harrier::broker::spec::QueueSpec;
use harrier::broker::subscriber::{Delivery, HeldSlot, Subscriber, Wake};
use harrier::wire::{Body, FieldTable};
use parking_lot::Mutex;

pub const PERSISTENT: &[u8] = &[0x10, 0, 2];
pub const TRANSIENT: &[u8] = &[0, 0];

/// Somebody who waits, and whether he was woken.
#[derive(Debug, Default)]
pub struct Sleeper(AtomicBool);

impl Sleeper {
    /// Whether he was woken since this was last asked.
    pub fn is_woken(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
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
    /// Whether it is about to settle whatever it has.
    pub settles: AtomicBool,
    pub timed_out: AtomicBool,
    pub handed: Arc<Mutex<Vec<Handed>>>,
}

impl Recorder {
    pub fn new(consumer: usize, handed: &Arc<Mutex<Vec<Handed>>>) -> Arc<Self> {
        Arc::new(Self {
            consumer,
            open: AtomicBool::new(true),
            cancelled: AtomicBool::new(false),
            settles: AtomicBool::new(false),
            timed_out: AtomicBool::new(false),
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

    fn give_back(&self, held: Vec<HeldSlot>, _: u64, _: &mut Effects) -> Vec<HeldSlot> {
        if self.settles.load(Ordering::Relaxed) {
            return Vec::new();
        }
        self.timed_out.store(true, Ordering::Relaxed);
        held
    }

    fn cancelled(&self, _: &mut Effects) {
        assert!(!self.cancelled.swap(true, Ordering::Relaxed), "told twice");
    }
}

/// The content of message `number`.
pub fn content(number: &[u8; 4], persistent: bool) -> Content<'_> {
    Content {
        exchange: b"orders",
        routing_key: b"order.placed",
        properties: if persistent { PERSISTENT } else { TRANSIENT },
        persistent,
        dead_lettered: false,
        failed: false,
        blind_copies: &[],
        body: Body::Borrowed(number),
    }
}

/// The number of a message: what its body begins with.
pub fn number(body: &[u8]) -> u32 {
    u32::from_be_bytes(body[..4].try_into().unwrap())
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
