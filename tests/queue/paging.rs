//! Long backlogs: what is kept of them in memory, and how the rest comes back.

use std::sync::Arc;

use harrier::base::ids::{Position, QueueId};
use harrier::broker::attempts::ReturnCause;
use harrier::broker::effects::Effects;
use harrier::broker::queue::{
    ConsumerSpec, Got, Incoming, Marks, Queue, Residency, Settings, Settlement, Surroundings,
};
use harrier::broker::store::{Remainder, Store};
use harrier::wire::{FieldTable, FieldValue};
use parking_lot::Mutex;

use crate::ledger::Ledger;
use crate::support::*;

const ID: QueueId = QueueId(5);
const MARKS: Marks = Marks {
    high: 4000,
    page: 2000,
};
const TIGHT: Marks = Marks {
    high: 600,
    page: 300,
};

fn queue(id: QueueId, ledger: &Arc<Ledger>, residency: &Arc<Residency>) -> Arc<Queue> {
    queue_with(id, FieldTable::new(), ledger, residency)
}

fn queue_with(
    id: QueueId,
    arguments: FieldTable,
    ledger: &Arc<Ledger>,
    residency: &Arc<Residency>,
) -> Arc<Queue> {
    let store = Arc::clone(ledger) as Arc<dyn Store>;
    let residency = Arc::clone(residency);
    let spec = spec("q", true, arguments);
    Arc::new(Queue::new(
        id,
        "/".into(),
        spec,
        None,
        &Surroundings::new(store, residency),
    ))
}

fn push(queue: &Arc<Queue>, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let number = number.to_be_bytes();
        let incoming = Incoming::new(content(&number, true));
        queue.push(&incoming, &mut Effects::default());
    }
}

fn get(queue: &Arc<Queue>, who: &Arc<Sleeper>) -> Got<(u32, bool)> {
    queue.get(true, who, &mut Effects::default(), |delivery, _| {
        (number(delivery.message.body), delivery.redelivered)
    })
}

#[test]
fn memory_stays_bounded_however_long_the_backlog() {
    let ledger = Arc::new(Ledger::default());
    ledger.answer_at_once();
    let residency = Arc::new(Residency::new(MARKS, TIGHT, u64::MAX, 1));
    let queue = queue(ID, &ledger, &residency);
    for start in (0..5000).step_by(100) {
        push(&queue, start..start + 100);
        assert!(residency.resident() <= MARKS.high);
    }
    assert_eq!(queue.counts().ready, 5000);
    for number in 0..5000 {
        assert_eq!(get(&queue, &Arc::default()), Got::Message((number, false)));
        assert!(residency.resident() <= 2 * MARKS.high);
    }
    assert_eq!(get(&queue, &Arc::default()), Got::Nothing);
    assert_eq!(residency.resident(), 0);
}

#[test]
fn queues_keep_less_when_there_are_many() {
    let ledger = Arc::new(Ledger::default());
    let residency = Arc::new(Residency::new(MARKS, TIGHT, 20_000, 100));
    let queues: Vec<_> = (0..100)
        .map(|id| queue(QueueId(id), &ledger, &residency))
        .collect();
    for queue in &queues {
        push(queue, 0..100);
    }
    // Those that came late have almost nothing, the early ones all they may.
    assert!(residency.resident() > 20_000 - MARKS.high);
    assert!(residency.resident() < 20_000 + 100 * TIGHT.high);
    for queue in &queues {
        queue.delete(&mut Effects::default());
    }
    assert!(residency.resident() < 100 * 100);
    drop(queues);
    assert_eq!(residency.resident(), 0);
}

#[test]
fn a_message_too_large_for_the_marks_is_still_kept_in_front() {
    let ledger = Arc::new(Ledger::default());
    let none = Marks { high: 0, page: 0 };
    let residency = Arc::new(Residency::new(none, none, 0, 1));
    let queue = queue(ID, &ledger, &residency);
    push(&queue, 0..3);
    let sleeper = Arc::new(Sleeper::default());
    assert_eq!(get(&queue, &sleeper), Got::Message((0, false)));
    for number in 1..3 {
        assert_eq!(get(&queue, &sleeper), Got::NotYet);
        ledger.answer();
        assert!(sleeper.is_woken());
        assert_eq!(get(&queue, &sleeper), Got::Message((number, false)));
    }
    // What is left of the range turns out to be nothing.
    ledger.answer();
    assert_eq!(get(&queue, &sleeper), Got::Nothing);
}

#[test]
fn who_waits_for_a_message_is_woken_by_whatever_ends_the_waiting() {
    type End = fn(&Queue, &Ledger);
    let ends: [(&str, End); 3] = [
        ("a page", |_, ledger| ledger.answer()),
        ("a purge", |queue, _| {
            let mut effects = Effects::default();
            assert_eq!(queue.purge(&mut effects), 50);
            effects.wake_all();
        }),
        ("the queue's end", |queue, _| {
            let mut effects = Effects::default();
            assert_eq!(queue.delete(&mut effects), 50);
            effects.wake_all();
        }),
    ];
    for (what, end) in ends {
        let ledger = Arc::new(Ledger::default());
        let residency = Arc::new(Residency::new(MARKS, TIGHT, u64::MAX, 1));
        push(&queue(ID, &ledger, &residency), 0..50);
        ledger.reopen();
        let queue = queue(ID, &ledger, &residency);
        queue.restore(ID, ledger.remainder(ID));
        let sleepers = [(); 2].map(|()| Arc::new(Sleeper::default()));
        for sleeper in &sleepers {
            assert_eq!(get(&queue, sleeper), Got::NotYet);
        }
        assert!(sleepers.iter().all(|sleeper| !sleeper.is_woken()));
        end(&queue, &ledger);
        assert!(sleepers.iter().all(|sleeper| sleeper.is_woken()), "{what}");
        // The page that comes after all isn't wanted any more.
        ledger.answer();
        let expected = if what == "a page" {
            Got::Message((0, false))
        } else {
            Got::Nothing
        };
        assert_eq!(get(&queue, &sleepers[0]), expected, "{what}");
    }
}

#[test]
fn messages_missing_from_the_store_are_given_up() {
    let ledger = Arc::new(Ledger::default());
    ledger.answer_at_once();
    let residency = Arc::new(Residency::new(MARKS, TIGHT, u64::MAX, 1));
    push(&queue(ID, &ledger, &residency), 0..5);
    ledger.reopen();
    let queue = queue(ID, &ledger, &residency);
    let remainder = ledger.remainder(ID);
    queue.restore(
        ID,
        Remainder {
            messages: remainder.messages + 3,
            ..remainder
        },
    );
    assert_eq!(queue.counts().ready, 8);
    let sleeper = Arc::new(Sleeper::default());
    assert_eq!(get(&queue, &sleeper), Got::NotYet);
    assert!(sleeper.is_woken());
    assert_eq!(queue.counts().ready, 5);
    for number in 0..5 {
        assert_eq!(get(&queue, &sleeper), Got::Message((number, false)));
    }
    assert_eq!(get(&queue, &sleeper), Got::Nothing);
}

#[test]
fn a_byte_limit_counts_what_an_earlier_run_left_on_disk() {
    let ledger = Arc::new(Ledger::default());
    ledger.answer_at_once();
    let residency = Arc::new(Residency::new(MARKS, TIGHT, u64::MAX, 1));
    let arguments = FieldTable::from_iter([
        ("x-max-length-bytes", FieldValue::I64(400)),
        ("x-overflow", FieldValue::str("reject-publish")),
    ]);
    let limited = || queue_with(ID, arguments.clone(), &ledger, &residency);
    push(&limited(), 0..100);
    ledger.reopen();
    let queue = limited();
    queue.restore(ID, ledger.remainder(ID));
    // Nothing of it was read yet.
    assert_eq!(residency.resident(), 0);
    assert_eq!(queue.status().octets.ready, 400);
    push(&queue, 100..101);
    assert_eq!(queue.counts().ready, 100);
}

#[test]
fn a_restored_queue_is_read_when_somebody_wants_it() {
    let ledger = Arc::new(Ledger::default());
    let residency = Arc::new(Residency::new(MARKS, TIGHT, u64::MAX, 1));
    let before = queue(ID, &ledger, &residency);
    push(&before, 0..200);
    let mut effects = Effects::default();
    let sleeper = Arc::new(Sleeper::default());
    for _ in 0..3 {
        let got = before.get(false, &sleeper, &mut effects, |_, _| ());
        assert_eq!(got, Got::Message(()));
    }
    drop(before);
    ledger.reopen();

    let queue = queue(ID, &ledger, &residency);
    queue.restore(ID, ledger.remainder(ID));
    assert_eq!(queue.counts().ready, 200);
    push(&queue, 200..210);
    assert!(!ledger.is_asked());
    assert_eq!(residency.resident(), 0);
    let handed = Arc::new(Mutex::new(Vec::new()));
    let spec = ConsumerSpec::default();
    let recorder = Recorder::new(0, &handed);
    queue
        .attach(spec, recorder, || {}, &mut Effects::default())
        .unwrap();
    while ledger.is_asked() {
        ledger.answer();
    }
    let handed = handed.lock();
    let numbers: Vec<u32> = handed.iter().map(|one| one.number).collect();
    assert_eq!(numbers, (0..210).collect::<Vec<u32>>());
    let redelivered = handed.iter().filter(|one| one.redelivered);
    assert_eq!(redelivered.count(), 3);
}

/// One append and one range for many messages, and one word about all that was
/// handed out.
#[test]
fn the_store_is_told_about_many_messages_at_once() {
    let ledger = Arc::new(Ledger::default());
    let residency = Arc::new(Residency::new(MARKS, TIGHT, u64::MAX, 1));
    let queue = queue(ID, &ledger, &residency);
    push(&queue, 0..20);
    let handed = Arc::new(Mutex::new(Vec::new()));
    let before = ledger.appends();
    let recorder = Recorder::new(0, &handed);
    let mut effects = Effects::default();
    let spec = ConsumerSpec::default();
    queue.attach(spec, recorder, || {}, &mut effects).unwrap();
    assert_eq!(ledger.appends(), before + 1);
    assert_eq!(ledger.remainder(ID).delivered, Position(20));
    let held: Vec<_> = handed.lock().iter().filter_map(|one| one.held).collect();
    queue.settle(&held[..15], Settlement::Acknowledge, &mut effects);
    assert_eq!(ledger.appends(), before + 2);
    queue.settle(
        &held[15..],
        Settlement::Requeue(ReturnCause::Returned),
        &mut effects,
    );
    assert_eq!(ledger.appends(), before + 3);
    assert!(
        ledger
            .stored(ID)
            .iter()
            .all(|stored| stored.attempts.returns == 1)
    );
    // A message that finds its consumer ready says so itself.
    push(&queue, 20..21);
    assert_eq!(ledger.appends(), before + 4);
    assert_eq!(ledger.remainder(ID).delivered, Position(21));
}

/// Octets of bodies were counted again when messages came back from the store that
/// had been counted before they went there.
#[test]
fn what_is_left_to_the_store_counts_once_against_a_limit() {
    let ledger = Arc::new(Ledger::default());
    ledger.answer_at_once();
    let residency = Arc::new(Residency::new(MARKS, TIGHT, u64::MAX, 1));
    let around = Surroundings::new(Arc::clone(&ledger) as Arc<dyn Store>, residency);
    let spec = spec("q", true, FieldTable::new());
    let queue = Arc::new(Queue::new(ID, "/".into(), spec, None, &around));
    push(&queue, 0..30);
    let limit = FieldTable::from_iter([("x-max-length-bytes", (80 * 4).into())]);
    let settings = Arc::new(Settings::of(&limit));
    queue.configure(settings, &mut Effects::default());
    push(&queue, 30..80);
    let who = Arc::new(Sleeper::default());
    let mut numbers = Vec::new();
    loop {
        // What there is no room for is dropped when the queue is called.
        while let Some(queue) = around.timers.take_due(u64::MAX) {
            queue.on_time(&mut Effects::default());
        }
        match get(&queue, &who) {
            Got::Message((number, _)) => numbers.push(number),
            Got::NotYet => assert!(who.is_woken()),
            Got::Nothing => break,
        }
    }
    let all: Vec<u32> = (0..80).collect();
    assert_eq!(numbers, all);
}
