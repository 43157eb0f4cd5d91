//! Single active consumer: who is served, and who comes next.

use std::collections::BTreeSet;
use std::sync::Arc;

use harrier::base::ids::QueueId;
use harrier::broker::attempts::ReturnCause;
use harrier::broker::effects::Effects;
use harrier::broker::queue::{
    ConsumerSlot, ConsumerSpec, Incoming, Marks, Queue, Residency, Settlement, Surroundings,
};
use harrier::broker::store::Store;
use harrier::broker::subscriber::HeldSlot;
use harrier::wire::{FieldTable, FieldValue};
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::ledger::Ledger;
use crate::support::*;

#[derive(Debug, Clone)]
enum Operation {
    Push,
    Attach {
        priority: i32,
        prefetch: u16,
    },
    /// The rest name one of what there is by a number taken modulo how many.
    Cancel(usize),
    /// The consumer goes, and what it holds comes back.
    Close(usize),
    Acknowledge(usize),
    Requeue(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => Just(Operation::Push),
        2 => (-1..2_i32, 0..3_u16)
            .prop_map(|(priority, prefetch)| Operation::Attach { priority, prefetch }),
        1 => any::<usize>().prop_map(Operation::Cancel),
        1 => any::<usize>().prop_map(Operation::Close),
        4 => any::<usize>().prop_map(Operation::Acknowledge),
        1 => any::<usize>().prop_map(Operation::Requeue),
    ]
}

#[derive(Debug)]
struct Waiting {
    id: usize,
    spec: ConsumerSpec,
    slot: ConsumerSlot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    number: u32,
    consumer: usize,
    slot: HeldSlot,
}

/// A queue, and in the plainest terms what it should do.
struct Pair {
    queue: Arc<Queue>,
    handed: Arc<Mutex<Vec<Handed>>>,
    effects: Effects,
    is_quorum: bool,
    last: u32,
    ready: BTreeSet<u32>,
    held: Vec<Held>,
    /// In the order they came.
    consumers: Vec<Waiting>,
    attached: usize,
    active: Option<usize>,
}

impl Pair {
    fn new(is_quorum: bool) -> Self {
        let mut arguments = FieldTable::new();
        arguments.push("x-single-active-consumer", true);
        let kind = if is_quorum { "quorum" } else { "classic" };
        arguments.push("x-queue-type", FieldValue::str(kind));
        let marks = Marks {
            high: u64::MAX,
            page: u64::MAX,
        };
        let residency = Arc::new(Residency::new(marks, marks, u64::MAX, 1));
        let ledger = Arc::new(Ledger::default()) as Arc<dyn Store>;
        let queue = Queue::new(
            QueueId(1),
            "/".into(),
            spec("q", is_quorum, arguments),
            None,
            &Surroundings::new(ledger, residency),
        );
        Self {
            queue: Arc::new(queue),
            handed: Arc::default(),
            effects: Effects::default(),
            is_quorum,
            last: 0,
            ready: BTreeSet::new(),
            held: Vec::new(),
            consumers: Vec::new(),
            attached: 0,
            active: None,
        }
    }

    fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Push => self.push(),
            Operation::Attach { priority, prefetch } => self.attach(ConsumerSpec {
                prefetch,
                priority,
                ..ConsumerSpec::default()
            }),
            Operation::Cancel(at) => self.detach(at, false),
            Operation::Close(at) => self.detach(at, true),
            Operation::Acknowledge(at) => self.settle(at, Settlement::Acknowledge),
            Operation::Requeue(at) => self.settle(at, Settlement::Requeue(ReturnCause::Returned)),
        }
        self.compare();
    }

    fn push(&mut self) {
        self.last += 1;
        self.ready.insert(self.last);
        let number = self.last.to_be_bytes();
        let incoming = Incoming::new(content(&number, false));
        self.queue.push(&incoming, &mut self.effects);
    }

    fn attach(&mut self, spec: ConsumerSpec) {
        let id = self.attached;
        self.attached += 1;
        let recorder = Recorder::new(id, &self.handed);
        let slot = self
            .queue
            .attach(spec, recorder, || {}, &mut self.effects)
            .unwrap();
        self.consumers.push(Waiting { id, spec, slot });
    }

    fn detach(&mut self, at: usize, closes: bool) {
        if self.consumers.is_empty() {
            return;
        }
        let gone = self.consumers.remove(at % self.consumers.len());
        if !closes {
            return self.queue.detach(gone.slot, &mut self.effects);
        }
        let (back, kept) = self.held.iter().partition(|held| held.consumer == gone.id);
        self.held = kept;
        let back: Vec<Held> = back;
        self.ready.extend(back.iter().map(|held| held.number));
        let slots = || back.iter().map(|held| held.slot).collect();
        let requeue = Settlement::Requeue(ReturnCause::Returned);
        self.queue
            .detach_returning(gone.slot, slots, requeue, &mut self.effects);
    }

    fn settle(&mut self, at: usize, how: Settlement) {
        if self.held.is_empty() {
            return;
        }
        let held = self.held.remove(at % self.held.len());
        if how != Settlement::Acknowledge {
            self.ready.insert(held.number);
        }
        self.queue.settle(&[held.slot], how, &mut self.effects);
    }

    /// Who should be served: the one who was, unless it is gone or, where
    /// priorities count at once, has settled all and there is a better one.
    fn choose(&mut self) -> Option<&Waiting> {
        let current = self.consumers.iter().find(|c| Some(c.id) == self.active);
        let rank = |c: &&Waiting| (-c.spec.priority, c.id);
        let best = self.consumers.iter().min_by_key(rank)?;
        let Some(current) = current else {
            self.active = Some(best.id);
            return Some(best);
        };
        if !self.is_quorum || best.spec.priority <= current.spec.priority {
            return Some(current);
        }
        if self.held.iter().any(|held| held.consumer == current.id) {
            return None;
        }
        self.active = Some(best.id);
        Some(best)
    }

    fn compare(&mut self) {
        let handed = std::mem::take(&mut *self.handed.lock());
        for handed in handed {
            let served = self.choose().unwrap();
            assert_eq!(handed.consumer, served.id, "{handed:?}");
            assert_eq!(Some(handed.number), self.ready.pop_first());
            self.held.push(Held {
                number: handed.number,
                consumer: handed.consumer,
                slot: handed.held.unwrap(),
            });
        }
        let Some((id, prefetch)) = self.choose().map(|c| (c.id, c.spec.prefetch)) else {
            return;
        };
        let holds = self.held.iter().filter(|h| h.consumer == id).count();
        let is_full = prefetch > 0 && holds >= usize::from(prefetch);
        assert!(is_full || self.ready.is_empty(), "the active one waits");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn one_is_served_and_succeeded(
        is_quorum in any::<bool>(),
        operations in prop::collection::vec(operation(), 1..120),
    ) {
        let mut pair = Pair::new(is_quorum);
        for operation in &operations {
            // What comes back to a quorum queue has an order of its own.
            let comes_back = matches!(operation, Operation::Requeue(_) | Operation::Close(_));
            if !(is_quorum && comes_back) {
                pair.apply(operation);
            }
        }
    }
}

fn attach(priority: i32, prefetch: u16) -> Operation {
    Operation::Attach { priority, prefetch }
}

#[test]
fn a_successor_gets_what_comes_back_first() {
    let mut pair = Pair::new(false);
    for operation in [attach(0, 2), attach(0, 2)] {
        pair.apply(&operation);
    }
    for _ in 0..4 {
        pair.apply(&Operation::Push);
    }
    pair.apply(&Operation::Close(0));
    let held: Vec<_> = pair.held.iter().map(|h| (h.consumer, h.number)).collect();
    assert_eq!(held, [(1, 1), (1, 2)]);
}

#[test]
fn what_a_cancelled_consumer_holds_stays_with_it() {
    let mut pair = Pair::new(false);
    for operation in [attach(0, 1), attach(0, 1), Operation::Push, Operation::Push] {
        pair.apply(&operation);
    }
    pair.apply(&Operation::Cancel(0));
    let held: Vec<_> = pair.held.iter().map(|h| (h.consumer, h.number)).collect();
    assert_eq!(held, [(0, 1), (1, 2)]);
}

#[test]
fn a_better_one_waits_until_the_active_one_has_settled_on_quorum_queues_only() {
    for is_quorum in [true, false] {
        let mut pair = Pair::new(is_quorum);
        for operation in [attach(0, 2), Operation::Push, attach(1, 2), Operation::Push] {
            pair.apply(&operation);
        }
        let expected = if is_quorum { 1 } else { 2 };
        assert_eq!(pair.held.len(), expected);
        pair.apply(&Operation::Acknowledge(0));
        let holder = pair.held.first().map(|held| held.consumer);
        assert_eq!(holder, Some(usize::from(is_quorum)));
    }
}
