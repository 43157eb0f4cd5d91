//! What happens in several queues at once happens in all of them or in none,
//! at whatever append the power goes.

use std::sync::Arc;

use harrier::base::clock::Now;
use harrier::base::ids::ConnectionId;
use harrier::broker::attempts::ReturnCause;
use harrier::broker::dead_lettering::{carry_dead_letters, drain_dead_letters};
use harrier::broker::effects::Effects;
use harrier::broker::queue::{
    ConsumerSpec, Got, Incoming, Marks, Pushed, Queue, Residency, Settlement, Surroundings,
};
use harrier::broker::store::Store;
use harrier::broker::subscriber::HeldSlot;
use harrier::broker::unit::Unit;
use harrier::broker::vhost::{QueueIds, Vhost};
use harrier::wire::method::QueueDeclare;
use harrier::wire::{FieldTable, FieldValue};
use parking_lot::Mutex;

use crate::ledger::Ledger;
use crate::support::*;

const REJECT: Settlement = Settlement::Discard(ReturnCause::Rejected);

struct Host {
    ledger: Arc<Ledger>,
    vhost: Vhost,
    effects: Effects,
}

impl Host {
    fn new() -> Self {
        let ledger = Arc::new(Ledger::default());
        ledger.answer_at_once();
        let store = Arc::clone(&ledger) as Arc<dyn Store>;
        let marks = Marks {
            high: 1500,
            page: 700,
        };
        let residency = Arc::new(Residency::new(marks, marks, u64::MAX, 1));
        let ids = Arc::new(QueueIds::default());
        Self {
            ledger,
            vhost: Vhost::new("/".into(), ids, Surroundings::new(store, residency)),
            effects: Effects::default(),
        }
    }

    fn queue(&mut self, name: &str, arguments: FieldTable) -> Arc<Queue> {
        let declare = QueueDeclare {
            queue: name,
            durable: true,
            arguments,
            ..QueueDeclare::default()
        };
        self.vhost
            .declare_queue(&declare, ConnectionId(1), String::new, &mut self.effects)
            .unwrap()
    }

    /// A queue whose dead letters go to the queue `to`.
    fn dying(&mut self, name: &str, to: &str) -> Arc<Queue> {
        let arguments = FieldTable::from_iter([
            ("x-dead-letter-exchange", FieldValue::str("")),
            ("x-dead-letter-routing-key", FieldValue::str(to)),
        ]);
        self.queue(name, arguments)
    }

    fn push(&mut self, queue: &Arc<Queue>, numbers: std::ops::Range<u32>) {
        for number in numbers {
            let number = number.to_be_bytes();
            queue.push(&Incoming::new(content(&number, true)), &mut self.effects);
        }
    }

    /// Takes that many messages, to be settled.
    fn hold(&mut self, queue: &Arc<Queue>, count: usize) -> Vec<HeldSlot> {
        let sleeper = Arc::new(Sleeper::default());
        let mut take = || {
            let effects = &mut self.effects;
            match queue.get(false, &sleeper, effects, |delivery, _| delivery.held) {
                Got::Message(held) => held.unwrap(),
                other => panic!("{other:?}"),
            }
        };
        (0..count).map(|_| take()).collect()
    }
}

#[test]
fn a_dead_letter_is_in_one_queue_whenever_the_power_goes() {
    let mut host = Host::new();
    let (q, dead) = (host.dying("q", "dead"), host.dying("dead", "q"));
    host.push(&q, 0..50);
    let published = host.ledger.appends();
    for round in 0..10 {
        let (from, count) = if round % 3 == 2 { (&dead, 5) } else { (&q, 8) };
        let held = host.hold(from, count);
        from.settle(
            &held[..3],
            Settlement::Requeue(ReturnCause::Returned),
            &mut host.effects,
        );
        from.settle(&held[3..], REJECT, &mut host.effects);
        drain_dead_letters(&host.vhost, &mut host.effects);
    }
    for appends in published..=host.ledger.appends() {
        let left = host.ledger.cut(appends);
        let mut numbers = left.numbers(q.id());
        numbers.extend(left.numbers(dead.id()));
        numbers.sort_unstable();
        let all: Vec<u32> = (0..50).collect();
        assert_eq!(numbers, all, "after {appends} appends");
    }
    assert!(!host.ledger.numbers(dead.id()).is_empty());
}

#[test]
fn letters_that_die_together_are_carried_on_in_one_append() {
    let mut host = Host::new();
    let (q, dead) = (host.dying("q", "dead"), host.dying("dead", "nowhere"));
    host.push(&q, 0..40);
    let held = host.hold(&q, 40);
    let before = host.ledger.appends();
    q.settle(&held, REJECT, &mut host.effects);
    drain_dead_letters(&host.vhost, &mut host.effects);
    assert_eq!(host.ledger.appends(), before + 1);
    assert!(host.ledger.numbers(q.id()).is_empty());
    let all: Vec<u32> = (0..40).collect();
    assert_eq!(host.ledger.numbers(dead.id()), all);
    assert_eq!(dead.counts().ready, 40);
}

#[test]
fn a_transaction_is_there_whole_or_not_at_all() {
    let mut host = Host::new();
    let (q, dead) = (host.dying("q", "dead"), host.dying("dead", "nowhere"));
    let other = host.queue("other", FieldTable::new());
    host.push(&q, 0..30);
    let held = host.hold(&q, 30);
    let before = host.ledger.appends();

    let mut unit = Unit::default();
    for number in 100..130_u32 {
        let number = number.to_be_bytes();
        let incoming = Incoming::new(content(&number, true));
        for queue in [&q, &other] {
            unit.publish(queue, &incoming, &mut host.effects);
        }
    }
    let effects = &mut host.effects;
    unit.settle(&q, &held[..10], Settlement::Acknowledge, effects);
    unit.settle(&q, &held[10..20], REJECT, effects);
    unit.settle(
        &q,
        &held[20..25],
        Settlement::Requeue(ReturnCause::Returned),
        effects,
    );
    carry_dead_letters(&host.vhost, &mut unit, effects);
    assert_eq!(host.ledger.appends(), before);
    assert_eq!((q.counts().ready, other.counts().ready), (0, 0));
    unit.commit(host.vhost.store(), effects);

    assert_eq!(host.ledger.appends(), before + 1);
    let none = host.ledger.cut(before);
    assert_eq!(none.numbers(q.id()), (0..30).collect::<Vec<u32>>());
    assert!(none.numbers(other.id()).is_empty() && none.numbers(dead.id()).is_empty());
    let kept: Vec<u32> = (20..30).chain(100..130).collect();
    assert_eq!(host.ledger.numbers(q.id()), kept);
    assert_eq!(
        host.ledger.numbers(other.id()),
        (100..130).collect::<Vec<u32>>()
    );
    assert_eq!(
        host.ledger.numbers(dead.id()),
        (10..20).collect::<Vec<u32>>()
    );
    let ready = [&q, &other, &dead].map(|queue| queue.counts().ready);
    assert_eq!(ready, [35, 30, 10]);
}

#[test]
fn places_given_out_count_against_a_limit() {
    for kind in ["classic", "quorum"] {
        let mut host = Host::new();
        let limited = FieldTable::from_iter([
            ("x-queue-type", FieldValue::str(kind)),
            ("x-max-length", FieldValue::I64(2)),
            ("x-overflow", FieldValue::str("reject-publish")),
        ]);
        let (q, dead) = (host.dying("q", "dead"), host.queue("dead", limited));
        host.push(&q, 0..5);
        let held = host.hold(&q, 5);
        q.settle(&held, REJECT, &mut host.effects);
        drain_dead_letters(&host.vhost, &mut host.effects);
        // A quorum queue is full once it is over its limit.
        let taken = if kind == "quorum" { 3 } else { 2 };
        assert_eq!(dead.counts().ready, taken, "{kind}");

        let mut unit = Unit::default();
        let held = host.hold(&dead, taken as usize);
        dead.settle(&held, Settlement::Acknowledge, &mut host.effects);
        let mut publish = |unit: &mut Unit, number: u32| {
            let number = number.to_be_bytes();
            let incoming = Incoming::new(content(&number, true));
            unit.publish(&dead, &incoming, &mut host.effects)
        };
        for number in 10..10 + taken as u32 {
            assert_eq!(publish(&mut unit, number), Pushed::Taken, "{kind}");
        }
        assert_eq!(publish(&mut unit, 20), Pushed::Refused, "{kind}");
        // What was abandoned takes no room.
        unit.abandon();
        let mut unit = Unit::default();
        assert_eq!(publish(&mut unit, 30), Pushed::Taken, "{kind}");
        unit.commit(host.vhost.store(), &mut host.effects);
        assert_eq!(dead.counts().ready, 1, "{kind}");
    }
}

#[test]
fn what_consumers_wait_for_needs_no_room() {
    let mut host = Host::new();
    let limited = FieldTable::from_iter([
        ("x-max-length", FieldValue::I64(2)),
        ("x-overflow", FieldValue::str("reject-publish")),
    ]);
    let q = host.queue("q", limited);
    let recorder = Recorder::new(0, &Arc::default());
    let spec = ConsumerSpec {
        prefetch: 3,
        ..ConsumerSpec::default()
    };
    q.attach(spec, recorder, || {}, &mut host.effects).unwrap();
    let mut unit = Unit::default();
    let pushed: Vec<_> = (0..6_u32)
        .map(|number| {
            let number = number.to_be_bytes();
            let incoming = Incoming::new(content(&number, true));
            unit.publish(&q, &incoming, &mut host.effects)
        })
        .collect();
    assert_eq!(pushed[..5], [Pushed::Taken; 5]);
    assert_eq!(pushed[5], Pushed::Refused);
    unit.commit(host.vhost.store(), &mut host.effects);
    let counts = q.counts();
    assert_eq!((counts.ready, counts.unacked), (2, 3));
}

#[test]
fn what_a_unit_brings_is_served_at_once() {
    let mut host = Host::new();
    let q = host.queue("q", FieldTable::new());
    let handed = Arc::new(Mutex::new(Vec::new()));
    let recorder = Recorder::new(0, &handed);
    let spec = ConsumerSpec {
        prefetch: 2,
        ..ConsumerSpec::default()
    };
    q.attach(spec, recorder, || {}, &mut host.effects).unwrap();
    let mut unit = Unit::default();
    for number in 0..3_u32 {
        let number = number.to_be_bytes();
        let transient = Incoming::new(content(&number, false));
        unit.publish(&q, &transient, &mut host.effects);
    }
    unit.commit(host.vhost.store(), &mut host.effects);
    let held: Vec<_> = handed.lock().drain(..).collect();
    assert_eq!(held.iter().map(|h| h.number).collect::<Vec<_>>(), [0, 1]);
    // Acknowledged in a unit, so that the third can go.
    let mut unit = Unit::default();
    let effects = &mut host.effects;
    unit.settle(
        &q,
        &[held[0].held.unwrap()],
        Settlement::Acknowledge,
        effects,
    );
    assert!(handed.lock().is_empty());
    unit.commit(host.vhost.store(), effects);
    assert_eq!(handed.lock()[0].number, 2);
}

#[test]
fn a_queue_deleted_in_between_gets_nothing() {
    let mut host = Host::new();
    let q = host.queue("q", FieldTable::new());
    let mut unit = Unit::default();
    let incoming = Incoming::new(content(&[0; 4], true));
    unit.publish(&q, &incoming, &mut host.effects);
    q.delete(&mut host.effects);
    unit.publish(&q, &incoming, &mut host.effects);
    unit.commit(host.vhost.store(), &mut host.effects);
    assert_eq!(q.counts().ready, 0);
}

#[test]
fn a_deadline_is_the_earlier_of_the_messages_and_the_queues() {
    let mut host = Host::new();
    let ttl = FieldTable::from_iter([("x-message-ttl", FieldValue::I64(1000))]);
    let (limited, free) = (host.queue("l", ttl), host.queue("f", FieldTable::new()));
    host.effects.set_now(Now::at_ms(5_000));
    let mut unit = Unit::default();
    for expiration in [None, Some(300), Some(2000)] {
        let incoming = Incoming::new(content(&[0; 4], true)).expiring(expiration);
        for queue in [&limited, &free] {
            queue.push(&incoming, &mut host.effects);
            unit.publish(queue, &incoming, &mut host.effects);
        }
    }
    unit.commit(host.vhost.store(), &mut host.effects);
    let deadlines = |queue: &Arc<Queue>| -> Vec<_> {
        let mut stored = host.ledger.stored(queue.id());
        stored.sort_by_key(|stored| stored.deadline);
        stored.iter().map(|stored| stored.deadline).collect()
    };
    let pairs = |deadlines: [Option<u64>; 3]| deadlines.into_iter().flat_map(|d| [d, d]);
    let expected: Vec<_> = pairs([Some(5300), Some(6000), Some(6000)]).collect();
    assert_eq!(deadlines(&limited), expected);
    let expected: Vec<_> = pairs([None, Some(5300), Some(7000)]).collect();
    assert_eq!(deadlines(&free), expected);
}
