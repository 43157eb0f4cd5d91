//! Everybody at once: publishers, units, who takes and acknowledges, who
//! requeues, and the thread that reads back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use harrier::base::ids::QueueId;
use harrier::broker::attempts::ReturnCause;
use harrier::broker::effects::Effects;
use harrier::broker::queue::{Got, Incoming, Marks, Queue, Residency, Settlement, Surroundings};
use harrier::broker::store::Store;
use harrier::broker::unit::Unit;
use harrier::wire::FieldTable;

use crate::ledger::Ledger;
use crate::support::*;

const PUBLISHERS: u32 = 3;
const EACH: u32 = 3000;

fn queues(ledger: &Arc<Ledger>) -> [Arc<Queue>; 2] {
    let marks = Marks {
        high: 2000,
        page: 700,
    };
    let residency = Arc::new(Residency::new(marks, marks, u64::MAX, 1));
    let queue = |id| {
        let store = Arc::clone(ledger) as Arc<dyn Store>;
        let spec = spec("q", true, FieldTable::new());
        let residency = Arc::clone(&residency);
        Arc::new(Queue::new(
            id,
            "/".into(),
            spec,
            None,
            &Surroundings::new(store, residency),
        ))
    };
    [1, 2].map(|id| queue(QueueId(id)))
}

/// The numbers of one publisher, to every queue: some alone, some in units.
fn publish(publisher: u32, queues: &[Arc<Queue>], ledger: &Ledger) {
    let mut effects = Effects::default();
    let mut unit = Unit::default();
    for at in 0..EACH {
        let number = (publisher * EACH + at).to_be_bytes();
        let incoming = Incoming::new(content(&number, true));
        for queue in queues {
            if publisher == 0 {
                unit.publish(queue, &incoming, &mut effects);
            } else {
                queue.push(&incoming, &mut effects);
            }
        }
        if at % 7 == 6 || at + 1 == EACH {
            std::mem::take(&mut unit).commit(ledger, &mut effects);
        }
    }
}

/// Takes all messages of a queue, puts every tenth back once, acknowledges the
/// rest. Numbers of one publisher come in order but for those put back.
fn work(queue: &Arc<Queue>) -> BTreeSet<u32> {
    let mut effects = Effects::default();
    let (sleeper, mut seen) = (Arc::new(Sleeper::default()), BTreeSet::new());
    let mut last = [None; PUBLISHERS as usize];
    while seen.len() < (PUBLISHERS * EACH) as usize {
        let got = queue.get(false, &sleeper, &mut effects, |delivery, _| {
            let number = number(delivery.message.body);
            (number, delivery.redelivered, delivery.held.unwrap())
        });
        let Got::Message((number, redelivered, held)) = got else {
            thread::yield_now();
            continue;
        };
        let how = if number % 10 == 0 && !redelivered {
            Settlement::Requeue(ReturnCause::Returned)
        } else {
            let last = &mut last[(number / EACH) as usize];
            assert!(*last < Some(number), "{number} after {last:?}");
            *last = Some(number);
            assert!(seen.insert(number), "{number} came twice");
            Settlement::Acknowledge
        };
        queue.settle(&[held], how, &mut effects);
    }
    seen
}

#[test]
fn nothing_is_lost_or_comes_twice() {
    let ledger = Arc::new(Ledger::default());
    let queues = queues(&ledger);
    let done = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if ledger.is_asked() {
                    ledger.answer();
                    answered.fetch_add(1, Ordering::Relaxed);
                } else {
                    thread::yield_now();
                }
            }
        });
        for publisher in 0..PUBLISHERS {
            let (queues, ledger) = (&queues, &ledger);
            scope.spawn(move || publish(publisher, queues, ledger));
        }
        let workers = queues.each_ref().map(|queue| scope.spawn(|| work(queue)));
        let seen = workers.map(|worker| worker.join());
        done.store(true, Ordering::Relaxed);
        let all: BTreeSet<u32> = (0..PUBLISHERS * EACH).collect();
        assert!(seen.into_iter().all(|seen| seen.unwrap() == all));
    });
    for queue in &queues {
        assert!(ledger.numbers(queue.id()).is_empty());
    }
    assert!(answered.into_inner() > 0, "nothing was ever read back");
}
