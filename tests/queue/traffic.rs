//! What queues count of what passes them.

use std::sync::Arc;

use harrier::base::clock::Now;
use harrier::base::ids::QueueId;
use harrier::broker::attempts::ReturnCause;
use harrier::broker::effects::Effects;
use harrier::broker::queue::{
    ConsumerSlot, ConsumerSpec, DeathReason, Got, Incoming, Queue, QueueOctets, Settlement,
    Surroundings,
};
use harrier::broker::subscriber::HeldSlot;
use harrier::broker::traffic::QueueTraffic;
use harrier::wire::{FieldTable, FieldValue};

use crate::ledger::Ledger;
use crate::support::*;

struct Bench {
    around: Surroundings,
    queue: Arc<Queue>,
    effects: Effects,
}

impl Bench {
    fn new(arguments: FieldTable) -> Self {
        let around = Surroundings::new(Arc::new(Ledger::default()), Arc::default());
        let spec = spec("q", true, arguments);
        Self {
            queue: Arc::new(Queue::new(QueueId(1), "/".into(), spec, None, &around)),
            effects: Effects::default(),
            around,
        }
    }

    fn push(&mut self, number: u32, persistent: bool) {
        let body = number.to_be_bytes();
        let incoming = Incoming::new(content(&body, persistent));
        let _taken = self.queue.push(&incoming, &mut self.effects);
    }

    fn attach(&mut self, no_ack: bool) -> (ConsumerSlot, Arc<Recorder>) {
        let recorder = Recorder::new(0, &Arc::default());
        let spec = ConsumerSpec {
            no_ack,
            ..ConsumerSpec::default()
        };
        let receiver = Arc::clone(&recorder);
        let attached = self
            .queue
            .attach(spec, receiver, || {}, &mut self.effects)
            .unwrap();
        (attached, recorder)
    }

    fn get(&mut self, no_ack: bool) -> Option<HeldSlot> {
        let who = Arc::new(Sleeper::default());
        let take = |delivery: &harrier::broker::subscriber::Delivery<'_>, _| delivery.held;
        match self.queue.get(no_ack, &who, &mut self.effects, take) {
            Got::Message(held) => held,
            _ => None,
        }
    }

    fn settle(&mut self, held: HeldSlot, settlement: Settlement) {
        self.queue.settle(&[held], settlement, &mut self.effects);
    }

    fn traffic(&self) -> QueueTraffic {
        self.queue.status().traffic
    }

    fn octets(&self) -> QueueOctets {
        self.queue.status().octets
    }
}

fn held(recorder: &Recorder) -> Vec<HeldSlot> {
    let handed = recorder.handed.lock();
    handed.iter().filter_map(|one| one.held).collect()
}

#[test]
fn each_way_out_of_a_queue_is_counted() {
    let mut bench = Bench::new(FieldTable::new());
    assert_eq!(bench.get(false), None);
    for number in 0..5 {
        bench.push(number, number == 0);
    }
    let first = bench.get(false).unwrap();
    assert_eq!(bench.get(true), None);
    bench.settle(first, Settlement::Requeue(ReturnCause::Returned));
    let (slot, recorder) = bench.attach(false);
    let taken = held(&recorder);
    bench.settle(taken[0], Settlement::Acknowledge);
    bench.settle(taken[1], Settlement::Discard(ReturnCause::Rejected));
    bench.queue.detach(slot, &mut bench.effects);
    bench.attach(true);
    bench.push(5, false);
    let expected = QueueTraffic {
        published: 6,
        got: 1,
        got_no_ack: 1,
        get_empty: 1,
        delivered: 4,
        delivered_no_ack: 1,
        redelivered: 1,
        returned: 1,
        acknowledged: 1,
        stored: 1,
        died: [1, 0, 0, 0],
        ..QueueTraffic::default()
    };
    assert_eq!(bench.traffic(), expected);
}

#[test]
fn octets_are_where_their_messages_are() {
    let mut bench = Bench::new(FieldTable::new());
    let is = |bench: &Bench, ready: u64, unacked: u64| {
        assert_eq!(bench.octets(), QueueOctets { ready, unacked });
    };
    for number in 0..3 {
        bench.push(number, true);
    }
    is(&bench, 12, 0);
    let held = bench.get(false).unwrap();
    is(&bench, 8, 4);
    bench.settle(held, Settlement::Requeue(ReturnCause::Returned));
    is(&bench, 12, 0);
    let held = bench.get(false).unwrap();
    bench.settle(held, Settlement::Acknowledge);
    is(&bench, 8, 0);
    bench.queue.purge(&mut bench.effects);
    is(&bench, 0, 0);
    bench.attach(false);
    bench.push(3, false);
    is(&bench, 0, 4);
}

#[test]
fn the_oldest_message_that_waits_tells_the_time() {
    let mut bench = Bench::new(FieldTable::new());
    let at = |bench: &mut Bench, unix_ms| {
        let now = Now {
            unix_ms,
            ..Now::default()
        };
        bench.effects.set_now(now);
    };
    assert_eq!(bench.queue.status().oldest, None);
    at(&mut bench, 10_000);
    bench.push(0, true);
    at(&mut bench, 20_000);
    bench.push(1, false);
    assert_eq!(bench.queue.status().oldest, Some(10_000));
    bench.get(true);
    assert_eq!(bench.queue.status().oldest, Some(20_000));
    bench.get(true);
    assert_eq!(bench.queue.status().oldest, None);
}

#[test]
fn deaths_are_counted_by_their_reason() {
    let mut arguments = FieldTable::new();
    arguments.push("x-max-length", 1i64);
    arguments.push("x-dead-letter-exchange", FieldValue::str("dead"));
    let mut bench = Bench::new(arguments);
    for number in 0..3 {
        bench.push(number, true);
    }
    let by = |reason: DeathReason| bench.traffic().died[reason as usize];
    assert_eq!(by(DeathReason::MaxLength), 2);
    assert_eq!(by(DeathReason::Rejected), 0);
    assert_eq!(
        DeathReason::DEATHS.map(|reason| reason as usize),
        [0, 1, 2, 3]
    );
}

#[test]
fn what_passed_a_queue_is_kept_when_it_goes() {
    let mut bench = Bench::new(FieldTable::new());
    bench.push(0, false);
    bench.queue.delete(&mut bench.effects);
    bench.queue.delete(&mut bench.effects);
    let [classic, quorum] = bench.around.totals.gone();
    assert_eq!(classic.published, 1);
    assert_eq!(quorum, QueueTraffic::default());
    let [_, _, deleted] = bench.around.totals.churn();
    assert_eq!(deleted, 1);
}
