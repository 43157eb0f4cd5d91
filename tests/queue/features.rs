//! Limits, deadlines, priorities, delivery limits and delayed retries, in all
//! their combinations, against a list that is sorted anew each time.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use harrier::base::clock::Now;
use harrier::base::ids::QueueId;
use harrier::broker::attempts::{Attempts, ReturnCause};
use harrier::broker::effects::Effects;
use harrier::broker::message::Content;
use harrier::broker::queue::{
    ConsumerSlot, ConsumerSpec, Got, Incoming, Marks, Pushed, Queue, QueueOctets, Residency,
    Settlement, Surroundings,
};
use harrier::broker::store::Store;
use harrier::broker::subscriber::{Delivery, HeldSlot, Subscriber};
use harrier::wire::{Body, Properties};
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::ledger::Ledger;
use crate::settings::{How, Operation, Overflow, Setting, operations, settings};
use crate::support::{Sleeper, spec};

const ID: QueueId = QueueId(9);

/// A message as the model has it.
#[derive(Debug, Clone)]
struct Waiting {
    number: u32,
    priority: u8,
    deadline: Option<u64>,
    size: u64,
    /// Octets of its body.
    body: u64,
    persistent: bool,
    attempts: Attempts,
    redelivered: bool,
    /// When it came back to the front, if it did.
    returned: Option<u64>,
}

impl Waiting {
    /// Sorts as messages are handed out.
    fn order(&self) -> (u8, u64, u8, u32) {
        match self.returned {
            Some(serial) => (0, serial, 0, 0),
            None => (1, 0, u8::MAX - self.priority, self.number),
        }
    }
}

/// What came of a delivery.
#[derive(Debug, Clone, PartialEq)]
struct Handed {
    number: u32,
    redelivered: bool,
    attempts: Option<(u32, u16)>,
    held: Option<HeldSlot>,
}

impl Handed {
    fn new(delivery: &Delivery<'_>) -> Self {
        let number = delivery.message.body[..4].try_into().unwrap();
        Self {
            number: u32::from_be_bytes(number),
            redelivered: delivery.redelivered,
            attempts: delivery.attempts.map(|a| (a.returns, a.failures)),
            held: delivery.held,
        }
    }
}

#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Handed>>);

impl Subscriber for Recorder {
    fn accepts(&self) -> bool {
        true
    }

    fn deliver(&self, delivery: &Delivery<'_>, _: &mut Effects) {
        self.0.lock().push(Handed::new(delivery));
    }

    fn give_back(&self, _: Vec<HeldSlot>, _: u64, _: &mut Effects) -> Vec<HeldSlot> {
        panic!("nothing times out here")
    }

    fn cancelled(&self, _: &mut Effects) {}
}

/// The queue and the model side by side.
struct Pair {
    setting: Setting,
    ledger: Arc<Ledger>,
    around: Surroundings,
    queue: Arc<Queue>,
    effects: Effects,
    recorder: Arc<Recorder>,
    consumer: Option<(ConsumerSlot, u16)>,
    now: u64,
    next: u32,
    serial: u64,
    refusing: bool,
    ready: Vec<Waiting>,
    delayed: Vec<(u64, u64, Waiting)>,
    /// By who has it: whether the consumer does.
    held: Vec<(HeldSlot, bool, Waiting)>,
    /// Number and reason of those that died and weren't seen yet.
    dead: BTreeMap<(u32, &'static str), u32>,
}

impl Pair {
    fn new(setting: Setting) -> Self {
        let ledger = Arc::new(Ledger::default());
        ledger.answer_at_once();
        let (high, page) = if setting.paging {
            (900, 500)
        } else {
            (1 << 40, 1 << 40)
        };
        let marks = Marks { high, page };
        let residency = Arc::new(Residency::new(marks, marks, u64::MAX, 1));
        let around = Surroundings::new(Arc::clone(&ledger) as Arc<dyn Store>, residency);
        let queue = queue(&setting, &around);
        let mut pair = Self {
            setting,
            ledger,
            around,
            queue,
            effects: Effects::default(),
            recorder: Arc::default(),
            consumer: None,
            now: 0,
            next: 1,
            serial: 0,
            refusing: false,
            ready: Vec::new(),
            delayed: Vec::new(),
            held: Vec::new(),
            dead: BTreeMap::new(),
        };
        pair.set_now(1000);
        pair
    }

    fn set_now(&mut self, now: u64) {
        self.now = now;
        self.effects.set_now(Now::at_ms(now));
        self.ledger.set_now(Now::at_ms(now));
    }

    fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Push {
                persistent,
                priority,
                expiration,
                size,
            } => self.push(persistent, priority, expiration, size),
            Operation::Get => self.get(),
            Operation::Settle(at, how) => self.settle(at, how),
            Operation::Attach(prefetch) => self.attach(prefetch),
            Operation::Detach => {
                if let Some((slot, _)) = self.consumer.take() {
                    self.queue.detach(slot, &mut self.effects);
                    self.held
                        .iter_mut()
                        .for_each(|(_, by_consumer, _)| *by_consumer = false);
                }
            }
            Operation::Wait(ms) => {
                self.set_now(self.now + ms);
                self.run_timers();
                self.retry();
            }
            Operation::Restart => self.restart(),
        }
        self.run_timers();
        self.expire();
        self.serve();
        self.expire();
        self.make_room();
        self.expire();
        self.note_full();
        self.check();
    }

    fn run_timers(&mut self) {
        while let Some(queue) = self.around.timers.take_due(self.now) {
            queue.on_time(&mut self.effects);
        }
    }

    fn push(&mut self, persistent: bool, priority: Option<u8>, expiration: Option<u64>, size: u8) {
        let number = self.next;
        self.next += 1;
        let properties = Properties {
            delivery_mode: Some(if persistent { 2 } else { 1 }),
            priority,
            ..Properties::default()
        };
        let mut raw = BytesMut::new();
        properties.put(&mut raw);
        let mut body = vec![0; size.into()];
        body[..4].copy_from_slice(&number.to_be_bytes());
        let content = Content {
            exchange: b"orders",
            routing_key: b"order.placed",
            properties: &raw,
            persistent,
            dead_lettered: false,
            failed: false,
            blind_copies: &[],
            body: Body::Borrowed(&body),
        };
        let incoming = Incoming::new(content).expiring(expiration);
        let pushed = self.queue.push(&incoming, &mut self.effects);
        let ttl = [expiration, self.setting.ttl].into_iter().flatten().min();
        let message = Waiting {
            number,
            priority: self.setting.level(priority),
            deadline: ttl.map(|ms| self.now + ms),
            body: size.into(),
            size: u64::from(size)
                + if self.setting.quorum {
                    raw.len() as u64
                } else {
                    0
                },
            persistent,
            attempts: Attempts::default(),
            redelivered: false,
            returned: None,
        };
        if self.is_refused(&message) {
            assert_eq!(pushed, Pushed::Refused);
            return;
        }
        assert_eq!(pushed, Pushed::Taken);
        if self.ready.is_empty() && self.has_credit() {
            return self.hand_out(message);
        }
        self.ready.push(message);
        self.make_room();
    }

    fn is_refused(&mut self, message: &Waiting) -> bool {
        let setting = self.setting.clone();
        if !setting.is_limited() || setting.overflow == Overflow::DropHead {
            return false;
        }
        let (messages, bytes) = self.counted();
        let over = |limit: Option<u64>, is: u64| limit.is_some_and(|limit| is > limit);
        if !setting.quorum {
            let refused = over(setting.max_length, messages + 1)
                || over(setting.max_bytes, bytes + message.size);
            if refused && setting.overflow == Overflow::RejectDeadLetter {
                self.bury(message.number, "maxlen");
            }
            return refused;
        }
        self.refusing
    }

    /// A quorum queue that is full is so until it is down to four fifths.
    fn note_full(&mut self) {
        if !self.setting.quorum || self.setting.overflow != Overflow::Reject {
            return;
        }
        let (messages, bytes) = self.counted();
        let over = |limit: Option<u64>, is: u64| limit.is_some_and(|limit| is > limit);
        let above = |limit: Option<u64>, is: u64| limit.is_some_and(|limit| is * 10 > limit * 8);
        let (length, octets) = (self.setting.max_length, self.setting.max_bytes);
        self.refusing = if self.refusing {
            above(length, messages) || above(octets, bytes)
        } else {
            over(length, messages) || over(octets, bytes)
        };
    }

    /// Messages and octets that count where they are limited.
    fn counted(&self) -> (u64, u64) {
        let delayed = self.delayed.iter().map(|(_, _, message)| message);
        let delayed = delayed.filter(|_| self.setting.quorum);
        let sizes: Vec<_> = self.ready.iter().chain(delayed).map(|m| m.size).collect();
        (sizes.len() as u64, sizes.iter().sum())
    }

    fn bury(&mut self, number: u32, reason: &'static str) {
        if self.setting.dead_letters {
            *self.dead.entry((number, reason)).or_default() += 1;
        }
    }

    fn first(&self) -> Option<usize> {
        (0..self.ready.len()).min_by_key(|at| self.ready[*at].order())
    }

    fn make_room(&mut self) {
        let drops = self.setting.overflow == Overflow::DropHead
            || (self.setting.quorum && self.setting.overflow == Overflow::RejectDeadLetter);
        let over = |limit: Option<u64>, is: u64| limit.is_some_and(|limit| is > limit);
        let (length, octets) = (self.setting.max_length, self.setting.max_bytes);
        let is_full = |(messages, bytes)| over(length, messages) || over(octets, bytes);
        while drops
            && is_full(self.counted())
            && let Some(at) = self.first()
        {
            let gone = self.ready.remove(at);
            self.bury(gone.number, "maxlen");
        }
    }

    /// Takes away what has expired and is first of its priority, or of those
    /// that came back.
    fn expire(&mut self) {
        loop {
            let mut heads = BTreeMap::new();
            for (at, message) in self.ready.iter().enumerate() {
                let lane = (message.returned.is_none(), message.priority);
                let lane = if lane.0 { lane } else { (false, 0) };
                let head = heads.entry(lane).or_insert(at);
                if message.order() < self.ready[*head].order() {
                    *head = at;
                }
            }
            let is_over = |at: &usize| self.ready[*at].deadline.is_some_and(|d| d <= self.now);
            let Some(at) = heads.into_values().find(is_over) else {
                return;
            };
            let gone = self.ready.remove(at);
            self.bury(gone.number, "expired");
        }
    }

    fn has_credit(&self) -> bool {
        let taken = self.held.iter().filter(|(_, by_consumer, _)| *by_consumer);
        self.consumer
            .is_some_and(|(_, prefetch)| taken.count() < usize::from(prefetch))
    }

    fn serve(&mut self) {
        while self.has_credit()
            && let Some(at) = self.first()
        {
            if self.ready[at].deadline.is_some_and(|d| d <= self.now) {
                self.expire();
                continue;
            }
            let message = self.ready.remove(at);
            self.hand_out(message);
        }
    }

    /// Compares what the consumer got with what it was to get.
    fn hand_out(&mut self, message: Waiting) {
        let mut handed = self.recorder.0.lock();
        assert!(!handed.is_empty(), "{} wasn't handed out", message.number);
        let handed = handed.remove(0);
        self.compare(&handed, &message);
        self.held.push((handed.held.unwrap(), true, message));
    }

    fn compare(&self, handed: &Handed, message: &Waiting) {
        assert_eq!(handed.number, message.number);
        let counted = self.setting.quorum
            || self.setting.delivery_limit.is_some_and(|limit| limit >= 0)
            || self.setting.retry.is_some();
        let attempts = message.attempts;
        let shown = counted && attempts.returns > 0;
        let attempts = shown.then_some((attempts.returns, attempts.failures));
        assert_eq!(handed.attempts, attempts, "of {}", message.number);
        assert_eq!(
            handed.redelivered, message.redelivered,
            "of {}",
            message.number
        );
    }

    fn get(&mut self) {
        let sleeper = Arc::new(Sleeper::default());
        let got = loop {
            let take = |delivery: &Delivery<'_>, remaining| (Handed::new(delivery), remaining);
            match self.queue.get(false, &sleeper, &mut self.effects, take) {
                Got::NotYet => assert!(sleeper.is_woken(), "left waiting"),
                Got::Nothing => break None,
                Got::Message(got) => break Some(got),
            }
        };
        self.expire();
        let Some(at) = self.first() else {
            return assert_eq!(got, None);
        };
        let message = self.ready.remove(at);
        let unseen = self.ready.len() as u64;
        self.expire();
        let (handed, remaining) = got.unwrap();
        self.compare(&handed, &message);
        // What is behind it on disk may have expired without being seen yet.
        let left = self.ready.len() as u64;
        let is_seen = remaining == left || (self.setting.paging && remaining > left);
        assert!(is_seen && remaining <= unseen, "{remaining} of {left} left");
        self.held.push((handed.held.unwrap(), false, message));
    }

    fn settle(&mut self, at: usize, how: How) {
        if self.held.is_empty() {
            return;
        }
        let (slot, _, mut message) = self.held.remove(at % self.held.len());
        let settlement = match how {
            How::Acknowledge => Settlement::Acknowledge,
            How::Requeue(cause) => Settlement::Requeue(cause),
            How::Discard => Settlement::Discard(ReturnCause::Returned),
        };
        self.queue.settle(&[slot], settlement, &mut self.effects);
        match how {
            How::Acknowledge => {}
            How::Discard => self.bury(message.number, "rejected"),
            How::Requeue(cause) => {
                message.attempts.count(cause);
                message.redelivered = true;
                let failures = message.attempts.failures;
                let limit = self.setting.limit();
                if cause.is_failure() && limit.is_some_and(|limit| failures > limit) {
                    return self.bury(message.number, "delivery_limit");
                }
                match self.setting.delay(message.attempts) {
                    0 => self.put_back(message),
                    delay => {
                        self.serial += 1;
                        self.delayed.push((self.now + delay, self.serial, message));
                    }
                }
            }
        }
    }

    fn put_back(&mut self, mut message: Waiting) {
        self.serial += 1;
        message.returned = self.setting.quorum.then_some(self.serial);
        self.ready.push(message);
        if !self.setting.quorum {
            self.make_room();
        }
    }

    fn retry(&mut self) {
        self.delayed.sort_by_key(|(due, serial, _)| (*due, *serial));
        let due = self.delayed.partition_point(|(due, ..)| *due <= self.now);
        let due: Vec<_> = self.delayed.drain(..due).collect();
        for (_, _, mut message) in due {
            self.serial += 1;
            message.returned = self.setting.quorum.then_some(self.serial);
            self.ready.push(message);
        }
        if !self.setting.quorum {
            self.make_room();
        }
    }

    fn attach(&mut self, prefetch: u16) {
        if self.consumer.is_some() {
            return;
        }
        let spec = ConsumerSpec {
            prefetch,
            ..ConsumerSpec::default()
        };
        let recorder = Arc::clone(&self.recorder) as Arc<dyn Subscriber>;
        let slot = self.queue.attach(spec, recorder, || {}, &mut self.effects);
        self.consumer = Some((slot.unwrap(), prefetch));
    }

    fn restart(&mut self) {
        self.around.timers = Arc::default();
        self.queue = queue(&self.setting, &self.around);
        self.ledger.reopen();
        for lane in self.ledger.lanes(ID) {
            self.queue.restore(lane, self.ledger.remainder(lane));
        }
        self.consumer = None;
        self.refusing = false;
        let held = self.held.drain(..).map(|(_, _, message)| message);
        let delayed = self.delayed.drain(..).map(|(_, _, message)| message);
        // Up to the highest place handed out, all of a priority count as such.
        let mut handed_out = BTreeMap::<u8, u32>::new();
        let known: Vec<_> = held.chain(delayed).collect();
        self.ready.extend(known);
        self.ready.retain(|message| message.persistent);
        for message in &mut self.ready {
            message.returned = None;
        }
        for lane in self.ledger.lanes(ID) {
            let delivered = self.ledger.remainder(lane).delivered;
            let stored = self.ledger.stored(lane);
            let stored = stored.iter().filter(|stored| stored.position <= delivered);
            let numbers = stored.map(|stored| {
                let body = stored.message.view().body;
                u32::from_be_bytes(body[..4].try_into().unwrap())
            });
            let priority = lane.lane() ^ if self.setting.quorum { 4 } else { 0 };
            handed_out.insert(priority, numbers.max().unwrap_or_default());
        }
        for message in &mut self.ready {
            let up_to = handed_out.get(&message.priority).copied();
            message.redelivered |= message.number <= up_to.unwrap_or_default();
        }
        self.queue.resume_after_restart(&mut self.effects);
        // All are on disk then: what has expired isn't seen yet.
        self.note_full();
        if !self.setting.quorum {
            self.make_room();
        }
    }

    fn check(&mut self) {
        assert_eq!(
            *self.recorder.0.lock(),
            [],
            "handed out to nobody's surprise"
        );
        let counts = self.queue.counts();
        assert_eq!(counts.ready, self.ready.len() as u64);
        assert_eq!(counts.unacked, self.held.len() as u64);
        assert_eq!(counts.delayed, self.delayed.len() as u64);
        let octets = QueueOctets {
            ready: self.ready.iter().map(|message| message.body).sum(),
            unacked: self.held.iter().map(|(_, _, message)| message.body).sum(),
        };
        assert_eq!(self.queue.status().octets, octets);
        let mut dead = BTreeMap::new();
        for letter in self.effects.take_dead_letters(usize::MAX) {
            let body = letter.message().view().body;
            let number = u32::from_be_bytes(body[..4].try_into().unwrap());
            *dead.entry((number, letter.reason().name())).or_default() += 1;
            // What the broker does once the copies have arrived.
            let mut unit = harrier::broker::unit::Unit::default();
            unit.bury(&letter);
            unit.commit(&*self.ledger, &mut self.effects);
        }
        assert_eq!(dead, std::mem::take(&mut self.dead));
        let stored: usize = self
            .ledger
            .lanes(ID)
            .into_iter()
            .map(|lane| self.ledger.numbers(lane).len())
            .sum();
        let everywhere = self.ready.iter();
        let everywhere = everywhere.chain(self.held.iter().map(|(_, _, message)| message));
        let everywhere = everywhere.chain(self.delayed.iter().map(|(_, _, message)| message));
        let persistent = everywhere.filter(|message| message.persistent).count();
        assert_eq!(stored, persistent, "in the store");
        assert!(self.around.timers.len() <= 1);
    }
}

fn queue(setting: &Setting, around: &Surroundings) -> Arc<Queue> {
    let spec = spec("q", true, setting.arguments());
    Arc::new(Queue::new(ID, "/".into(), spec, None, around))
}

/// Enough for a million operations in all, as things are below.
const CASES: u32 = 8_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn features_agree_with_the_model(setting in settings(), operations in operations()) {
        let mut pair = Pair::new(setting);
        for operation in &operations {
            pair.apply(operation);
        }
    }
}
