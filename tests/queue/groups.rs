//! Message groups: order within each, none waiting for another.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use harrier::base::clock::Now;
use harrier::base::ids::QueueId;
use harrier::base::limits::PARKED_MESSAGES_MAX;
use harrier::broker::attempts::ReturnCause;
use harrier::broker::effects::Effects;
use harrier::broker::message::Content;
use harrier::broker::queue::{
    ConsumerSlot, ConsumerSpec, Got, Incoming, Marks, Pushed as Taken, Queue, Residency,
    Settlement, Surroundings,
};
use harrier::broker::store::Store;
use harrier::broker::subscriber::HeldSlot;
use harrier::broker::unit::Unit;
use harrier::wire::{Body, FieldTable, FieldValue, Properties};
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::ledger::Ledger;
use crate::support::*;

const ID: QueueId = QueueId(7);

#[derive(Debug, Clone)]
enum Operation {
    Push(Pushed),
    Attach {
        prefetch: u16,
        no_ack: bool,
    },
    /// The rest name one of what there is by a number taken modulo how many.
    Detach(usize),
    Settle(usize, Settlement),
    Get,
    Answer,
    Purge,
    Restart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pushed {
    group: Option<u8>,
    priority: u8,
    persistent: bool,
}

fn operation() -> impl Strategy<Value = Operation> {
    let group = prop_oneof![1 => Just(None), 6 => (0..4_u8).prop_map(Some)];
    let push = (group, 0..2_u8, any::<bool>()).prop_map(|(group, priority, persistent)| Pushed {
        group,
        priority,
        persistent,
    });
    let how = prop_oneof![
        4 => Just(Settlement::Acknowledge),
        2 => Just(Settlement::Requeue(ReturnCause::Returned)),
        1 => Just(Settlement::Discard(ReturnCause::Rejected)),
    ];
    prop_oneof![
        20 => push.prop_map(Operation::Push),
        2 => (0..4_u16, prop::bool::weighted(0.1))
            .prop_map(|(prefetch, no_ack)| Operation::Attach { prefetch, no_ack }),
        1 => any::<usize>().prop_map(Operation::Detach),
        14 => (any::<usize>(), how).prop_map(|(at, how)| Operation::Settle(at, how)),
        4 => Just(Operation::Get),
        6 => Just(Operation::Answer),
        1 => Just(Operation::Purge),
        1 => Just(Operation::Restart),
    ]
}

#[derive(Debug)]
struct Held {
    number: u32,
    message: Pushed,
    slot: HeldSlot,
    consumer: Option<usize>,
}

#[derive(Debug)]
struct Attached {
    id: usize,
    slot: ConsumerSlot,
    spec: ConsumerSpec,
}

/// A queue of groups, and in the plainest terms what it should do.
struct Pair {
    queue: Arc<Queue>,
    around: Surroundings,
    ledger: Arc<Ledger>,
    arguments: FieldTable,
    handed: Arc<Mutex<Vec<Handed>>>,
    effects: Effects,
    last: u32,
    /// By priority, then by age.
    ready: BTreeMap<(Reverse<u8>, u32), Pushed>,
    held: Vec<Held>,
    consumers: Vec<Attached>,
    attached: usize,
}

/// Room for a few messages only, of some 150 octets each, or for all.
fn residency(scarce: bool) -> Arc<Residency> {
    let few = Marks {
        high: 900,
        page: 450,
    };
    let all = Marks {
        high: 1 << 30,
        page: 1 << 20,
    };
    let marks = if scarce { few } else { all };
    Arc::new(Residency::new(marks, marks, u64::MAX, 1))
}

impl Pair {
    fn new(more: &[(&str, FieldValue)], scarce: bool) -> Self {
        let mut arguments = FieldTable::new();
        arguments.push("x-message-group", FieldValue::str("group"));
        for (name, value) in more {
            arguments.push(name, value.clone());
        }
        let ledger = Arc::new(Ledger::default());
        let store = Arc::clone(&ledger) as Arc<dyn Store>;
        let around = Surroundings::new(store, residency(scarce));
        Self {
            queue: queue(&arguments, &around),
            around,
            ledger,
            arguments,
            handed: Arc::default(),
            effects: Effects::default(),
            last: 0,
            ready: BTreeMap::new(),
            held: Vec::new(),
            consumers: Vec::new(),
            attached: 0,
        }
    }

    fn apply(&mut self, operation: &Operation) {
        match operation.clone() {
            Operation::Push(message) => self.push(message),
            Operation::Attach { prefetch, no_ack } => self.attach(prefetch, no_ack),
            Operation::Detach(at) => self.detach(at),
            Operation::Settle(at, how) => self.settle(at, how),
            Operation::Get => self.get(),
            Operation::Answer => self.ledger.answer(),
            Operation::Purge => {
                let ready = std::mem::take(&mut self.ready).len() as u64;
                assert_eq!(self.queue.purge(&mut self.effects), ready);
            }
            Operation::Restart => self.restart(),
        }
        self.compare();
    }

    fn priority(&self, message: Pushed) -> u8 {
        match self.arguments.get("x-max-priority") {
            Some(_) => message.priority,
            None => 0,
        }
    }

    fn push(&mut self, message: Pushed) {
        let queue = Arc::clone(&self.queue);
        self.offer(message, |incoming, effects| {
            queue.push(incoming, effects);
        });
    }

    fn offer(&mut self, message: Pushed, offer: impl FnOnce(&Incoming<'_>, &mut Effects)) {
        self.last += 1;
        let place = (Reverse(self.priority(message)), self.last);
        self.ready.insert(place, message);
        let mut headers = FieldTable::new();
        if let Some(group) = message.group {
            headers.push("group", i32::from(group));
        }
        let properties = Properties {
            delivery_mode: Some(1 + u8::from(message.persistent)),
            priority: Some(message.priority),
            ..Properties::default()
        };
        let properties = properties.with_headers(&headers);
        let number = self.last.to_be_bytes();
        let incoming = Incoming::new(Content {
            exchange: b"",
            routing_key: b"q",
            properties: &properties,
            persistent: message.persistent,
            dead_lettered: false,
            failed: false,
            blind_copies: &[],
            body: Body::Borrowed(&number),
        });
        offer(&incoming, &mut self.effects);
    }

    fn attach(&mut self, prefetch: u16, no_ack: bool) {
        let spec = ConsumerSpec {
            prefetch,
            no_ack,
            ..ConsumerSpec::default()
        };
        let id = self.attached;
        self.attached += 1;
        let recorder = Recorder::new(id, &self.handed);
        let slot = self
            .queue
            .attach(spec, recorder, || {}, &mut self.effects)
            .unwrap();
        self.consumers.push(Attached { id, slot, spec });
    }

    fn detach(&mut self, at: usize) {
        if !self.consumers.is_empty() {
            let gone = self.consumers.remove(at % self.consumers.len());
            self.queue.detach(gone.slot, &mut self.effects);
        }
    }

    fn settle(&mut self, at: usize, how: Settlement) {
        if self.held.is_empty() {
            return;
        }
        let held = self.held.remove(at % self.held.len());
        if let Settlement::Requeue(_) = how {
            let place = (Reverse(self.priority(held.message)), held.number);
            self.ready.insert(place, held.message);
        }
        self.queue.settle(&[held.slot], how, &mut self.effects);
    }

    /// The first message whose group isn't busy.
    fn next(&self) -> Option<(Reverse<u8>, u32)> {
        let busy = |group| self.held.iter().any(|held| held.message.group == group);
        let mut ready = self.ready.iter();
        let free = ready.find(|(_, message)| message.group.is_none() || !busy(message.group));
        free.map(|(place, _)| *place)
    }

    fn take(&mut self, number: u32, slot: Option<HeldSlot>, consumer: Option<usize>) {
        let next = self.next();
        assert_eq!(next.map(|(_, number)| number), Some(number));
        let message = self.ready.remove(&next.unwrap()).unwrap();
        self.held.extend(slot.map(|slot| Held {
            number,
            message,
            slot,
            consumer,
        }));
    }

    fn get(&mut self) {
        let asleep = Arc::default();
        let take = |delivery: &harrier::broker::subscriber::Delivery<'_>, left| {
            (number(delivery.message.body), delivery.held, left)
        };
        let got = self
            .queue
            .get::<_, Sleeper>(false, &asleep, &mut self.effects, take);
        match got {
            Got::Message((number, slot, left)) => {
                self.take(number, slot, None);
                assert_eq!(left, self.ready.len() as u64);
            }
            Got::Nothing => assert_eq!(self.next(), None),
            Got::NotYet => assert!(self.ledger.is_asked()),
        }
    }

    fn restart(&mut self) {
        for held in std::mem::take(&mut self.held) {
            let place = (Reverse(self.priority(held.message)), held.number);
            self.ready.insert(place, held.message);
        }
        self.ready.retain(|_, message| message.persistent);
        self.consumers.clear();
        self.ledger.reopen();
        self.queue = queue(&self.arguments, &self.around);
        for lane in [0, 1].map(|lane| ID.with_lane(lane)) {
            self.queue.restore(lane, self.ledger.remainder(lane));
        }
    }

    fn is_idle(&self, consumer: &Attached) -> bool {
        let of_it = |held: &&Held| held.consumer == Some(consumer.id);
        let holds = self.held.iter().filter(of_it).count();
        let prefetch = usize::from(consumer.spec.prefetch);
        consumer.spec.no_ack || prefetch == 0 || holds < prefetch
    }

    fn compare(&mut self) {
        let handed = std::mem::take(&mut *self.handed.lock());
        for one in handed {
            let consumer = self.consumers.iter().find(|c| c.id == one.consumer);
            assert!(self.is_idle(consumer.unwrap()));
            self.take(one.number, one.held, Some(one.consumer));
        }
        let counts = self.queue.counts();
        assert_eq!(counts.ready, self.ready.len() as u64);
        assert_eq!(counts.unacked, self.held.len() as u64);
        let idle = self.consumers.iter().any(|consumer| self.is_idle(consumer));
        assert!(
            !idle || self.next().is_none() || self.ledger.is_asked(),
            "a message and a consumer wait"
        );
    }
}

fn queue(arguments: &FieldTable, around: &Surroundings) -> Arc<Queue> {
    let spec = spec("q", true, arguments.clone());
    Arc::new(Queue::new(ID, "/".into(), spec, None, around))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn each_group_is_in_order_and_none_waits_for_another(
        priorities in any::<bool>(),
        scarce in any::<bool>(),
        operations in prop::collection::vec(operation(), 1..160),
    ) {
        let more = [("x-max-priority", FieldValue::from(1))];
        let mut pair = Pair::new(&more[..usize::from(priorities)], scarce);
        for operation in &operations {
            pair.apply(operation);
        }
        // All of it comes out in the end.
        for _ in 0..4 * operations.len() {
            pair.apply(&Operation::Get);
            pair.apply(&Operation::Answer);
            pair.apply(&Operation::Settle(0, Settlement::Acknowledge));
        }
        assert!(pair.ready.is_empty() && pair.held.is_empty());
        assert!(pair.ledger.numbers(ID).is_empty());
    }
}

fn of(group: u8) -> Operation {
    Operation::Push(Pushed {
        group: Some(group),
        priority: 0,
        persistent: true,
    })
}

const ATTACH: Operation = Operation::Attach {
    prefetch: 0,
    no_ack: false,
};

fn numbers(pair: &Pair) -> Vec<u32> {
    pair.held.iter().map(|held| held.number).collect()
}

#[test]
fn what_waits_to_be_tried_again_keeps_its_group_waiting() {
    for kind in ["classic", "quorum"] {
        let retry = [
            ("x-queue-type", FieldValue::str(kind)),
            ("x-delayed-retry-type", FieldValue::str("all")),
            ("x-delayed-retry-min", FieldValue::from(1000)),
        ];
        let mut pair = Pair::new(&retry, false);
        pair.effects.set_now(Now::at_ms(5000));
        for operation in [ATTACH, of(0), of(0), of(1)] {
            pair.apply(&operation);
        }
        assert_eq!(numbers(&pair), [1, 3]);
        let slot = pair.held.remove(0).slot;
        let back = Settlement::Requeue(ReturnCause::Rejected);
        let queue = Arc::clone(&pair.queue);
        queue.settle(&[slot], back, &mut pair.effects);
        assert!(pair.handed.lock().is_empty());
        pair.effects.set_now(Now::at_ms(6000));
        let due = pair.around.timers.take_due(6000).unwrap();
        due.on_time(&mut pair.effects);
        let again = pair.handed.lock().first().map(|handed| handed.number);
        assert_eq!(again, Some(1));
    }
}

#[test]
fn what_dies_of_too_many_attempts_makes_way_for_its_group() {
    let limit = [
        ("x-queue-type", FieldValue::str("quorum")),
        ("x-delivery-limit", FieldValue::from(0)),
    ];
    let mut pair = Pair::new(&limit, false);
    for operation in [ATTACH, of(0), of(0)] {
        pair.apply(&operation);
    }
    let slot = pair.held.remove(0).slot;
    let back = Settlement::Requeue(ReturnCause::Rejected);
    let queue = Arc::clone(&pair.queue);
    queue.settle(&[slot], back, &mut pair.effects);
    pair.compare();
    assert_eq!(numbers(&pair), [2]);
}

#[test]
fn a_message_that_expires_makes_way_for_its_group() {
    let mut pair = Pair::new(&[("x-message-ttl", FieldValue::from(1000))], false);
    pair.effects.set_now(Now::at_ms(5000));
    for operation in [ATTACH, of(0), of(0)] {
        pair.apply(&operation);
    }
    pair.effects.set_now(Now::at_ms(5500));
    pair.apply(&of(0));
    // The second one waits for the first for longer than it may.
    pair.effects.set_now(Now::at_ms(6200));
    let slot = pair.held.remove(0).slot;
    let queue = Arc::clone(&pair.queue);
    queue.settle(&[slot], Settlement::Acknowledge, &mut pair.effects);
    let handed: Vec<_> = pair.handed.lock().iter().map(|h| h.number).collect();
    assert_eq!(handed, [3]);
    assert_eq!(pair.queue.counts().ready, 0);
}

#[test]
fn the_oldest_make_room_though_their_group_is_busy() {
    let mut pair = Pair::new(&[("x-max-length", FieldValue::from(2))], false);
    for operation in [ATTACH, of(0), of(0), of(0)] {
        pair.apply(&operation);
    }
    pair.push(Pushed {
        group: Some(0),
        priority: 0,
        persistent: true,
    });
    assert_eq!(pair.queue.counts().ready, 2);
    let slot = pair.held.remove(0).slot;
    let queue = Arc::clone(&pair.queue);
    queue.settle(&[slot], Settlement::Acknowledge, &mut pair.effects);
    let handed: Vec<_> = pair.handed.lock().iter().map(|h| h.number).collect();
    assert_eq!(handed, [3]);
}

#[test]
fn what_was_passed_over_is_not_read_back_beside_what_came_late() {
    let mut pair = Pair::new(&[], true);
    let one_at_a_time = Operation::Attach {
        prefetch: 1,
        no_ack: false,
    };
    for operation in [one_at_a_time, of(0)] {
        pair.apply(&operation);
    }
    // Their places come before that of what is parked next, they don't.
    let mut unit = Unit::default();
    let queue = Arc::clone(&pair.queue);
    for group in [1, 2].repeat(10) {
        let message = Pushed {
            group: Some(group),
            priority: 0,
            persistent: true,
        };
        pair.offer(message, |incoming, effects| {
            assert_eq!(unit.publish(&queue, incoming, effects), Taken::Taken);
        });
    }
    pair.push(Pushed {
        group: Some(0),
        priority: 0,
        persistent: true,
    });
    unit.commit(&*pair.ledger, &mut pair.effects);
    for operation in [of(3), of(3), of(3)].iter().cycle().take(30) {
        pair.apply(operation);
    }
    while !pair.held.is_empty() || pair.ledger.is_asked() {
        pair.apply(&Operation::Answer);
        pair.apply(&Operation::Settle(0, Settlement::Acknowledge));
    }
    assert!(pair.ready.is_empty());
}

#[test]
fn a_single_active_consumer_has_one_message_of_a_group_at_a_time() {
    let single = [("x-single-active-consumer", FieldValue::from(true))];
    let mut pair = Pair::new(&single, false);
    for operation in [ATTACH, of(0), of(0), of(1), of(1)] {
        pair.apply(&operation);
    }
    assert_eq!(numbers(&pair), [1, 3]);
}

#[test]
fn other_groups_wait_when_too_much_is_parked_and_go_on_when_there_is_room() {
    let mut pair = Pair::new(&[], false);
    pair.queue
        .attach(
            ConsumerSpec::default(),
            Recorder::new(0, &pair.handed),
            || {},
            &mut pair.effects,
        )
        .unwrap();
    // One is held, the limit is parked, and one more doesn't fit.
    for _ in 0..PARKED_MESSAGES_MAX + 2 {
        pair.push(Pushed {
            group: Some(0),
            priority: 0,
            persistent: false,
        });
    }
    pair.push(Pushed {
        group: Some(1),
        priority: 0,
        persistent: false,
    });
    let handed = std::mem::take(&mut *pair.handed.lock());
    assert_eq!(handed.len(), 1);
    let slot = handed.first().and_then(|handed| handed.held).unwrap();
    let queue = Arc::clone(&pair.queue);
    queue.settle(&[slot], Settlement::Acknowledge, &mut pair.effects);
    let handed: Vec<_> = pair.handed.lock().iter().map(|h| h.number).collect();
    assert_eq!(handed, [2, PARKED_MESSAGES_MAX as u32 + 3]);
}
