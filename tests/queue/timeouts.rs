//! Consumers that keep what they are handed for too long.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use harrier::base::clock::Now;
use harrier::base::ids::QueueId;
use harrier::broker::effects::Effects;
use harrier::broker::queue::{
    ConsumerSlot, ConsumerSpec, Incoming, Marks, Queue, Residency, Settlement, Surroundings,
};
use harrier::broker::store::Store;
use harrier::wire::{FieldTable, FieldValue};
use parking_lot::Mutex;

use crate::ledger::Ledger;
use crate::support::*;

/// The time at which all begins, a whole second.
const START: u64 = 1_000_000_000_000;

struct Timed {
    queue: Arc<Queue>,
    around: Surroundings,
    handed: Arc<Mutex<Vec<Handed>>>,
    effects: Effects,
    pushed: u32,
}

impl Timed {
    fn new(arguments: &[(&str, FieldValue)]) -> Self {
        let marks = Marks {
            high: u64::MAX,
            page: u64::MAX,
        };
        let residency = Arc::new(Residency::new(marks, marks, u64::MAX, 1));
        let ledger = Arc::new(Ledger::default()) as Arc<dyn Store>;
        let around = Surroundings::new(ledger, residency);
        let arguments: FieldTable = arguments.iter().cloned().collect();
        let spec = spec("q", false, arguments);
        let mut timed = Self {
            queue: Arc::new(Queue::new(QueueId(1), "/".into(), spec, None, &around)),
            around,
            handed: Arc::default(),
            effects: Effects::default(),
            pushed: 0,
        };
        timed.at(0);
        timed
    }

    /// It is `ms` milliseconds after the start.
    fn at(&mut self, ms: u64) {
        self.effects.set_now(Now {
            unix_ms: START + ms,
            ..Now::default()
        });
    }

    /// Calls the queue if it asked for that.
    fn call(&mut self) -> bool {
        let now = self.effects.now().unix_ms;
        let due = self.around.timers.take_due(now);
        due.is_some_and(|queue| {
            queue.on_time(&mut self.effects);
            true
        })
    }

    fn attach(&mut self, consumer: usize, spec: ConsumerSpec) -> (ConsumerSlot, Arc<Recorder>) {
        let recorder = Recorder::new(consumer, &self.handed);
        let receiver = Arc::clone(&recorder);
        let slot = self
            .queue
            .attach(spec, receiver, || {}, &mut self.effects)
            .unwrap();
        (slot, recorder)
    }

    fn push(&mut self) {
        self.pushed += 1;
        let number = self.pushed.to_be_bytes();
        self.queue
            .push(&Incoming::new(content(&number, false)), &mut self.effects);
    }

    /// What was handed out since this was last asked: to whom, and what.
    fn handed(&self) -> Vec<Handed> {
        std::mem::take(&mut self.handed.lock())
    }
}

fn one_at_a_time(timeout: Option<u64>) -> ConsumerSpec {
    ConsumerSpec {
        prefetch: 1,
        timeout,
        ..ConsumerSpec::default()
    }
}

#[test]
fn what_is_kept_for_too_long_goes_to_another_and_its_keeper_is_off() {
    let mut timed = Timed::new(&[]);
    let (_, late) = timed.attach(0, one_at_a_time(Some(5000)));
    timed.push();
    // Nothing else happens in the queue, and still it asks to be called.
    assert_eq!(timed.around.timers.next(), Some(START + 5000));
    timed.at(1000);
    let (_, other) = timed.attach(1, ConsumerSpec::default());
    timed.at(4999);
    assert!(!timed.call());
    timed.handed();
    timed.at(5000);
    assert!(timed.call());
    let again = timed.handed();
    let again = again.first().unwrap();
    assert_eq!(
        (again.consumer, again.number, again.redelivered),
        (1, 1, true)
    );
    assert!(late.timed_out.load(Ordering::Relaxed));
    assert!(!other.timed_out.load(Ordering::Relaxed));
    let counts = timed.queue.counts();
    assert_eq!((counts.consumers, counts.unacked), (1, 1));
    assert_eq!(timed.around.timers.next(), None);
}

#[test]
fn only_what_is_overdue_comes_back() {
    let mut timed = Timed::new(&[("x-consumer-timeout", 5000.into())]);
    timed.attach(0, ConsumerSpec::default());
    timed.push();
    timed.at(3000);
    timed.push();
    timed.at(5000);
    assert!(timed.call());
    let counts = timed.queue.counts();
    assert_eq!((counts.ready, counts.unacked, counts.consumers), (1, 1, 0));
}

#[test]
fn a_message_settled_in_time_is_no_reason() {
    let mut timed = Timed::new(&[("x-consumer-timeout", 5000.into())]);
    let (_, recorder) = timed.attach(0, ConsumerSpec::default());
    timed.push();
    timed.at(4000);
    timed.push();
    let first = timed.handed().first().and_then(|handed| handed.held);
    let queue = Arc::clone(&timed.queue);
    queue.settle(
        &[first.unwrap()],
        Settlement::Acknowledge,
        &mut timed.effects,
    );
    timed.at(5000);
    assert!(timed.call());
    assert!(!recorder.timed_out.load(Ordering::Relaxed));
    // It is called for the second one then.
    assert_eq!(timed.around.timers.next(), Some(START + 9000));
}

#[test]
fn what_is_being_settled_is_left_alone() {
    let mut timed = Timed::new(&[("x-consumer-timeout", 5000.into())]);
    let (_, recorder) = timed.attach(0, ConsumerSpec::default());
    timed.push();
    recorder.settles.store(true, Ordering::Relaxed);
    timed.at(5000);
    assert!(timed.call());
    let counts = timed.queue.counts();
    assert_eq!((counts.unacked, counts.consumers), (1, 1));
}

#[test]
fn a_consumers_own_timeout_comes_before_the_queues_and_that_before_the_usual_one() {
    let usual = ConsumerSpec {
        usual_timeout: Some(9000),
        ..ConsumerSpec::default()
    };
    for (queue, consumer, expected) in [
        (None, None, Some(9000)),
        (Some(5000), None, Some(5000)),
        (Some(5000), Some(7000), Some(7000)),
        (Some(5000), Some(0), None),
        (Some(0), None, None),
    ] {
        let queue = queue.map(|ms: i64| ("x-consumer-timeout", ms.into()));
        let mut timed = Timed::new(queue.as_slice());
        timed.attach(
            0,
            ConsumerSpec {
                timeout: consumer,
                ..usual
            },
        );
        timed.push();
        let due = timed.around.timers.next();
        assert_eq!(due, expected.map(|ms| START + ms));
    }
}

#[test]
fn nobody_has_less_time_than_said() {
    let mut timed = Timed::new(&[("x-consumer-timeout", 5000.into())]);
    timed.attach(0, ConsumerSpec::default());
    timed.at(999);
    timed.push();
    assert_eq!(timed.around.timers.next(), Some(START + 6000));
}
