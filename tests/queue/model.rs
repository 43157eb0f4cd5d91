//! Random operations on a queue and on the plainest list that could be one.
//!
//! The model doesn't predict who of several consumers is served: it checks that
//! whoever was could be, and that nobody waits while something is ready in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use harrier::base::ids::QueueId;
use harrier::broker::attempts::ReturnCause;
use harrier::broker::effects::Effects;
use harrier::broker::queue::{
    ConsumerSlot, ConsumerSpec, Got, Incoming, Marks, Queue, QueueCounts, Residency, Settlement,
    Surroundings,
};
use harrier::broker::store::Store;
use harrier::broker::subscriber::HeldSlot;
use harrier::broker::unit::Unit;
use harrier::wire::{FieldTable, FieldValue, ReplyCode};
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::ledger::Ledger;
use crate::support::*;

const ID: QueueId = QueueId(7);

#[derive(Debug, Clone)]
enum Operation {
    Push {
        persistent: bool,
    },
    Attach(ConsumerSpec),
    /// The rest name one of what there is by a number taken modulo how many.
    Detach(usize),
    Shut(usize),
    Open(usize),
    Get {
        no_ack: bool,
    },
    Settle {
        first: usize,
        count: usize,
        how: Settlement,
    },
    /// Messages get their places, and come with [`Operation::Commit`].
    Reserve {
        persistent: Vec<bool>,
    },
    Commit {
        unit: usize,
        between: Between,
    },
    /// The store reads what is wanted first.
    Read,
    /// The store hands over what it read first.
    Answer,
    Purge,
    Restart,
    Delete,
}

/// What happens when the messages of a unit are in the store, but not yet in
/// their queue.
#[derive(Debug, Clone, Copy)]
enum Between {
    Nothing,
    Read,
    Answer,
    Purge,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let consumer = (
        prop_oneof![6 => 1..4_u16, 1 => Just(0)],
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.1),
        -1..2_i32,
    )
        .prop_map(|(prefetch, no_ack, exclusive, priority)| ConsumerSpec {
            prefetch,
            no_ack,
            exclusive,
            priority,
            ..ConsumerSpec::default()
        });
    let how = prop_oneof![
        Just(Settlement::Acknowledge),
        Just(Settlement::Requeue(ReturnCause::Returned)),
        Just(Settlement::Discard(ReturnCause::Rejected)),
    ];
    let settle = (any::<usize>(), 1..6_usize, how);
    let between = prop_oneof![
        3 => Just(Between::Nothing),
        3 => Just(Between::Read),
        3 => Just(Between::Answer),
        1 => Just(Between::Purge),
    ];
    let operation = prop_oneof![
        20 => any::<bool>().prop_map(|persistent| Operation::Push { persistent }),
        2 => consumer.prop_map(Operation::Attach),
        3 => any::<usize>().prop_map(Operation::Detach),
        2 => any::<usize>().prop_map(Operation::Shut),
        3 => any::<usize>().prop_map(Operation::Open),
        6 => prop::bool::weighted(0.2).prop_map(|no_ack| Operation::Get { no_ack }),
        14 => settle.prop_map(|(first, count, how)| Operation::Settle { first, count, how }),
        3 => prop::collection::vec(any::<bool>(), 1..4)
            .prop_map(|persistent| Operation::Reserve { persistent }),
        3 => (any::<usize>(), between).prop_map(|(unit, between)| Operation::Commit { unit, between }),
        4 => Just(Operation::Read),
        4 => Just(Operation::Answer),
        1 => Just(Operation::Purge),
        1 => Just(Operation::Restart),
    ];
    (prop::collection::vec(operation, 1..160), any::<bool>()).prop_map(
        |(mut operations, delete)| {
            if delete {
                operations.extend([
                    Operation::Delete,
                    Operation::Push { persistent: true },
                    Operation::Answer,
                    Operation::Commit {
                        unit: 0,
                        between: Between::Nothing,
                    },
                    Operation::Attach(ConsumerSpec::default()),
                    Operation::Settle {
                        first: 0,
                        count: 5,
                        how: Settlement::Requeue(ReturnCause::Returned),
                    },
                ]);
            }
            operations
        },
    )
}

/// A message in the model; its number is its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiting {
    stored: bool,
    redelivered: bool,
    /// Whether it has come back to the queue.
    returned: bool,
}

impl Waiting {
    fn new(stored: bool) -> Self {
        Self {
            stored,
            redelivered: false,
            returned: false,
        }
    }

    fn again(stored: bool) -> Self {
        Self {
            stored,
            redelivered: true,
            returned: true,
        }
    }
}

struct Attached {
    spec: ConsumerSpec,
    slot: ConsumerSlot,
    recorder: Arc<Recorder>,
    unacked: usize,
}

impl Attached {
    fn is_served(&self) -> bool {
        let credit = self.spec.no_ack
            || self.spec.prefetch == 0
            || self.unacked < usize::from(self.spec.prefetch);
        credit && self.recorder.open.load(Ordering::Relaxed)
    }
}

struct Unacked {
    number: u32,
    stored: bool,
    /// Whether it had come back to the queue before.
    returned: bool,
    slot: HeldSlot,
    /// `None` for one taken by a get.
    consumer: Option<usize>,
}

/// What a history runs on.
#[derive(Debug, Clone, Copy, Default)]
struct Setting {
    durable: bool,
    dead_letters: bool,
    /// Room is scarce, so that even less is kept in memory.
    scarce: bool,
    /// The store finds what came after it was asked, too.
    ahead: bool,
}

const DURABLE: Setting = Setting {
    durable: true,
    dead_letters: false,
    scarce: false,
    ahead: false,
};

/// Marks of a few messages, which take about 130 octets each.
fn residency(scarce: bool) -> Arc<Residency> {
    let roomy = Marks {
        high: 900,
        page: 450,
    };
    let tight = Marks {
        high: 250,
        page: 100,
    };
    let budget = if scarce { 0 } else { u64::MAX };
    Arc::new(Residency::new(roomy, tight, budget, 1))
}

/// The queue and what it should be.
struct Pair {
    queue: Arc<Queue>,
    ledger: Arc<Ledger>,
    handed: Arc<Mutex<Vec<Handed>>>,
    effects: Effects,
    asleep: Arc<Sleeper>,
    setting: Setting,
    last: u32,
    /// The highest number of a stored message handed out, ever.
    delivered: u32,
    units: Vec<(Unit, Vec<(u32, Waiting)>)>,
    /// Those of the unit just committed: what was read back in between may have
    /// been handed out before them.
    arriving: BTreeSet<u32>,
    ready: BTreeMap<u32, Waiting>,
    unacked: Vec<Unacked>,
    consumers: BTreeMap<usize, Attached>,
    attached: usize,
    letters: BTreeSet<u32>,
    deleted: bool,
}

impl Pair {
    fn new(setting: Setting) -> Self {
        let ledger = Arc::new(Ledger::default());
        ledger.set_ahead(setting.ahead);
        Self {
            queue: queue(&ledger, setting),
            ledger,
            handed: Arc::default(),
            effects: Effects::default(),
            asleep: Arc::default(),
            setting,
            last: 0,
            delivered: 0,
            units: Vec::new(),
            arriving: BTreeSet::new(),
            ready: BTreeMap::new(),
            unacked: Vec::new(),
            consumers: BTreeMap::new(),
            attached: 0,
            letters: BTreeSet::new(),
            deleted: false,
        }
    }

    fn apply(&mut self, operation: &Operation) {
        match operation.clone() {
            Operation::Push { persistent } => self.push(persistent),
            Operation::Attach(spec) => self.attach(spec),
            Operation::Detach(at) => self.detach(at),
            Operation::Shut(at) => self.shut(at),
            Operation::Open(at) => self.open(at),
            Operation::Get { no_ack } => self.get(no_ack),
            Operation::Settle { first, count, how } => self.settle(first, count, how),
            Operation::Reserve { persistent } => self.reserve(&persistent),
            Operation::Commit { unit, between } => self.commit(unit, between),
            Operation::Read => self.ledger.read(),
            Operation::Answer => self.ledger.answer(),
            Operation::Purge => self.purge(),
            Operation::Restart => self.restart(),
            Operation::Delete => self.delete(),
        }
        self.account_for_deliveries();
        self.arriving.clear();
        self.account_for_dead_letters();
        self.compare();
    }

    fn push(&mut self, persistent: bool) {
        self.last += 1;
        let number = self.last.to_be_bytes();
        let incoming = Incoming::new(content(&number, persistent));
        self.queue.push(&incoming, &mut self.effects);
        if self.deleted {
            return;
        }
        let waiting = Waiting::new(self.setting.durable && persistent);
        self.ready.insert(self.last, waiting);
    }

    fn reserve(&mut self, persistent: &[bool]) {
        let mut unit = Unit::default();
        let mut messages = Vec::new();
        for persistent in persistent {
            self.last += 1;
            let number = self.last.to_be_bytes();
            let incoming = Incoming::new(content(&number, *persistent));
            unit.publish(&self.queue, &incoming, &mut self.effects);
            let stored = self.setting.durable && *persistent;
            messages.push((self.last, Waiting::new(stored)));
        }
        self.units.push((unit, messages));
    }

    fn commit(&mut self, unit: usize, between: Between) {
        if self.units.is_empty() {
            return;
        }
        let (unit, messages) = self.units.swap_remove(unit % self.units.len());
        if !self.deleted {
            self.arriving = messages.iter().map(|(number, _)| *number).collect();
            if messages.iter().any(|(_, waiting)| waiting.stored) {
                self.interrupt(between);
            }
            self.ready.extend(messages);
        }
        unit.commit(&*self.ledger, &mut self.effects);
    }

    fn interrupt(&mut self, between: Between) {
        let (ledger, queue) = (Arc::clone(&self.ledger), Arc::clone(&self.queue));
        match between {
            Between::Nothing => {}
            Between::Read => self.ledger.interrupt(move || ledger.read()),
            Between::Answer => self.ledger.interrupt(move || ledger.answer()),
            Between::Purge => {
                self.ready.clear();
                self.ledger.interrupt(move || {
                    queue.purge(&mut Effects::default());
                });
            }
        }
    }

    fn attach(&mut self, spec: ConsumerSpec) {
        let recorder = Recorder::new(self.attached, &self.handed);
        let mut asked = 0;
        let outcome = self.queue.attach(
            spec,
            Arc::clone(&recorder) as _,
            || asked += 1,
            &mut self.effects,
        );
        let exclusive = self.consumers.values().any(|c| c.spec.exclusive);
        if self.deleted {
            assert_eq!(outcome.unwrap_err().code, ReplyCode::NotFound);
        } else if exclusive || (spec.exclusive && !self.consumers.is_empty()) {
            assert_eq!(outcome.unwrap_err().code, ReplyCode::AccessRefused);
        } else {
            assert_eq!(asked, 1);
            let attached = Attached {
                spec,
                slot: outcome.unwrap(),
                recorder,
                unacked: 0,
            };
            self.consumers.insert(self.attached, attached);
            self.attached += 1;
        }
    }

    fn pick(&self, at: usize) -> Option<usize> {
        let count = self.consumers.len();
        (count > 0).then(|| *self.consumers.keys().nth(at % count).unwrap())
    }

    fn detach(&mut self, at: usize) {
        if let Some(consumer) = self.pick(at) {
            let gone = self.consumers.remove(&consumer).unwrap();
            self.queue.detach(gone.slot, &mut self.effects);
            // Twice is as good as once.
            self.queue.detach(gone.slot, &mut self.effects);
        }
    }

    fn shut(&mut self, at: usize) {
        if let Some(consumer) = self.pick(at) {
            let recorder = &self.consumers[&consumer].recorder;
            recorder.open.store(false, Ordering::Relaxed);
        }
    }

    fn open(&mut self, at: usize) {
        if let Some(consumer) = self.pick(at) {
            let attached = &self.consumers[&consumer];
            attached.recorder.open.store(true, Ordering::Relaxed);
            self.queue.resume(attached.slot, &mut self.effects);
        }
    }

    fn get(&mut self, no_ack: bool) {
        let asleep = Arc::clone(&self.asleep);
        let got = self
            .queue
            .get(no_ack, &asleep, &mut self.effects, |delivery, left| {
                let number = number(delivery.message.body);
                (number, delivery.redelivered, delivery.held, left)
            });
        if got == Got::NotYet {
            assert!(!self.ready.is_empty());
            assert!(self.ledger.is_asked(), "nobody ever answers");
            return;
        }
        let Some((number, waiting)) = self.ready.pop_first() else {
            assert_eq!(got, Got::Nothing);
            return;
        };
        let Got::Message((found, redelivered, held, left)) = got else {
            panic!("{number} is ready, but {got:?}");
        };
        assert_eq!((found, redelivered), (number, waiting.redelivered));
        assert_eq!(left, self.ready.len() as u64);
        assert_eq!(held.is_none(), no_ack);
        if let Some(slot) = held {
            self.hold(number, waiting, slot, None);
        }
    }

    fn hold(&mut self, number: u32, waiting: Waiting, slot: HeldSlot, consumer: Option<usize>) {
        assert!(
            self.unacked.iter().all(|held| held.slot != slot),
            "{slot:?} is taken"
        );
        if waiting.stored {
            self.delivered = self.delivered.max(number);
        }
        self.unacked.push(Unacked {
            number,
            stored: waiting.stored,
            returned: waiting.returned,
            slot,
            consumer,
        });
    }

    fn settle(&mut self, first: usize, count: usize, how: Settlement) {
        if self.unacked.is_empty() {
            return;
        }
        let first = first % self.unacked.len();
        let end = self.unacked.len().min(first + count);
        let settled: Vec<Unacked> = self.unacked.drain(first..end).collect();
        let slots: Vec<HeldSlot> = settled.iter().map(|held| held.slot).collect();
        for held in settled {
            if let Some(consumer) = held.consumer.and_then(|at| self.consumers.get_mut(&at)) {
                consumer.unacked -= 1;
            }
            match how {
                Settlement::Requeue(ReturnCause::Returned) if !self.deleted => {
                    self.ready.insert(held.number, Waiting::again(held.stored));
                }
                Settlement::Discard(_) if self.setting.dead_letters && !self.deleted => {
                    self.letters.insert(held.number);
                }
                _ => {}
            }
        }
        self.queue.settle(&slots, how, &mut self.effects);
        // Settled is settled.
        if self.handed.lock().is_empty() {
            self.queue
                .settle(&slots, Settlement::Acknowledge, &mut self.effects);
        }
    }

    fn purge(&mut self) {
        let ready = std::mem::take(&mut self.ready);
        assert_eq!(self.queue.purge(&mut self.effects), ready.len() as u64);
    }

    /// A crash: the store is all that is left, everybody comes anew.
    fn restart(&mut self) {
        if self.deleted {
            return;
        }
        self.ready.retain(|_, waiting| waiting.stored);
        for held in self.unacked.drain(..).filter(|held| held.stored) {
            let waiting = Waiting {
                stored: true,
                redelivered: true,
                returned: held.returned,
            };
            self.ready.insert(held.number, waiting);
        }
        for (number, waiting) in &mut self.ready {
            waiting.redelivered = waiting.returned || *number <= self.delivered;
        }
        self.consumers.clear();
        self.units.clear();
        self.ledger.reopen();
        self.queue = queue(&self.ledger, self.setting);
        self.queue.restore(ID, self.ledger.remainder(ID));
    }

    fn delete(&mut self) {
        let ready = std::mem::take(&mut self.ready);
        let deleted = self.queue.delete(&mut self.effects);
        assert_eq!(deleted, ready.len() as u64);
        self.effects.tell_cancelled();
        for attached in std::mem::take(&mut self.consumers).into_values() {
            assert!(attached.recorder.cancelled.load(Ordering::Relaxed));
        }
        self.deleted = true;
    }

    /// Takes what was handed out off the model's list, in turn.
    fn account_for_deliveries(&mut self) {
        let handed = std::mem::take(&mut *self.handed.lock());
        for one in handed {
            let mut numbers = self.ready.keys().copied();
            let number = numbers
                .find(|number| *number == one.number || !self.arriving.contains(number))
                .unwrap();
            let waiting = self.ready.remove(&number).unwrap();
            assert_eq!((one.number, one.redelivered), (number, waiting.redelivered));
            let served = &self.consumers[&one.consumer];
            assert!(
                served.is_served(),
                "{one:?} went to somebody who had enough"
            );
            let better = self
                .consumers
                .values()
                .find(|c| c.is_served() && c.spec.priority > served.spec.priority);
            assert!(better.is_none(), "{one:?} belonged to a higher priority");
            assert_eq!(one.held.is_none(), served.spec.no_ack);
            if let Some(slot) = one.held {
                self.consumers.get_mut(&one.consumer).unwrap().unacked += 1;
                self.hold(number, waiting, slot, Some(one.consumer));
            }
        }
    }

    fn account_for_dead_letters(&mut self) {
        for letter in self.effects.take_dead_letters(usize::MAX) {
            let number = number(letter.message().view().body);
            assert!(self.letters.remove(&number), "{number} didn't die");
            let mut unit = Unit::default();
            unit.bury(&letter);
            unit.commit(&*self.ledger, &mut self.effects);
        }
        assert!(
            self.letters.is_empty(),
            "not dead-lettered: {:?}",
            self.letters
        );
    }

    /// Takes out all that is left, and sees that it is all.
    fn drain(&mut self) {
        for at in 0..self.consumers.len() {
            self.apply(&Operation::Shut(at));
        }
        for _ in 0..2 * self.ready.len() + 20 {
            self.apply(&Operation::Get { no_ack: true });
            self.apply(&Operation::Answer);
        }
        assert!(self.ready.is_empty(), "never came: {:?}", self.ready);
        self.apply(&Operation::Get { no_ack: true });
    }

    fn compare(&self) {
        if self.deleted {
            // What it had in the store goes with its declaration.
            let nothing = QueueCounts::default();
            assert_eq!(self.queue.counts(), nothing);
            return;
        }
        let counts = QueueCounts {
            ready: self.ready.len() as u64,
            unacked: self.unacked.len() as u64,
            consumers: self.consumers.len() as u64,
            ..QueueCounts::default()
        };
        assert_eq!(self.queue.counts(), counts);
        let idle = self.consumers.values().find(|c| c.is_served());
        assert!(
            self.ready.is_empty() || idle.is_none() || self.ledger.is_asked(),
            "a message and a consumer wait"
        );
        let ready = self.ready.iter().filter(|(_, waiting)| waiting.stored);
        let held = self.unacked.iter().filter(|held| held.stored);
        let stored: BTreeSet<u32> = ready
            .map(|(number, _)| *number)
            .chain(held.map(|held| held.number))
            .collect();
        let stored: Vec<u32> = stored.into_iter().collect();
        assert_eq!(self.ledger.numbers(ID), stored);
    }
}

fn queue(ledger: &Arc<Ledger>, setting: Setting) -> Arc<Queue> {
    let mut arguments = FieldTable::new();
    if setting.dead_letters {
        arguments.push("x-dead-letter-exchange", FieldValue::str("dead"));
    }
    let store = Arc::clone(ledger) as Arc<dyn Store>;
    let spec = spec("q", setting.durable, arguments);
    let residency = residency(setting.scarce);
    Arc::new(Queue::new(
        ID,
        "/".into(),
        spec,
        None,
        &Surroundings::new(store, residency),
    ))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_queue_does_what_the_model_does(
        durable in prop::bool::weighted(0.8),
        dead_letters in any::<bool>(),
        scarce in any::<bool>(),
        ahead in any::<bool>(),
        operations in operations(),
    ) {
        let mut pair = Pair::new(Setting { durable, dead_letters, scarce, ahead });
        for operation in &operations {
            pair.apply(operation);
        }
        pair.drain();
    }
}

fn pushed(pair: &mut Pair, count: usize) {
    for _ in 0..count {
        pair.apply(&Operation::Push { persistent: true });
    }
}

#[test]
fn equals_take_turns() {
    let mut pair = Pair::new(DURABLE);
    let spec = ConsumerSpec::default();
    for _ in 0..3 {
        pair.apply(&Operation::Attach(spec));
    }
    pushed(&mut pair, 9);
    let turns: Vec<_> = pair.unacked.iter().map(|held| held.consumer).collect();
    let round = [Some(0), Some(1), Some(2)];
    assert_eq!(turns, [round, round, round].concat());
}

#[test]
fn many_requeued_at_once_find_their_places() {
    let mut pair = Pair::new(DURABLE);
    pair.ledger.answer_at_once();
    pushed(&mut pair, 200);
    for _ in 0..150 {
        pair.apply(&Operation::Get { no_ack: false });
    }
    let settle = |first, count, how| Operation::Settle { first, count, how };
    // 31 to 40, then some before and some behind those that wait already.
    pair.apply(&settle(30, 10, Settlement::Requeue(ReturnCause::Returned)));
    pair.apply(&settle(20, 30, Settlement::Requeue(ReturnCause::Returned)));
    pair.apply(&settle(60, 50, Settlement::Requeue(ReturnCause::Returned)));
    pair.apply(&settle(20, 20, Settlement::Acknowledge));
    pair.apply(&settle(0, 40, Settlement::Requeue(ReturnCause::Returned)));
    // The model checks the order of what comes out.
    for _ in 0..180 {
        pair.apply(&Operation::Get { no_ack: true });
    }
    assert!(pair.ledger.numbers(ID).is_empty());
}

#[test]
fn a_long_backlog_goes_to_one_consumer_in_order() {
    let mut pair = Pair::new(Setting::default());
    for _ in 0..3000 {
        pair.apply(&Operation::Push { persistent: false });
    }
    pair.apply(&Operation::Attach(ConsumerSpec {
        no_ack: true,
        ..ConsumerSpec::default()
    }));
    assert!(pair.ready.is_empty());
}
