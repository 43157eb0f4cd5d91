//! Looking at what waits in a queue, and taking chosen messages out: random
//! operations on a queue and on the plainest list that could be one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::BytesMut;
use harrier::base::clock::Now;
use harrier::base::ids::{ConnectionId, QueueId};
use harrier::broker::attempts::ReturnCause;
use harrier::broker::effects::Effects;
use harrier::broker::message::Content;
use harrier::broker::queue::{
    Cursor, Glance, Got, Incoming, Look, Marks, Queue, Residency, Seen, Settlement, Surroundings,
};
use harrier::broker::replaying::{Replay, Replayed, drop_chosen, replay};
use harrier::broker::store::Store;
use harrier::broker::subscriber::HeldSlot;
use harrier::broker::vhost::{QueueIds, Vhost};
use harrier::wire::method::QueueDeclare;
use harrier::wire::{Body, FieldTable, FieldValue, Properties};
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::ledger::Ledger;
use crate::support::*;

const ID: QueueId = QueueId(70);
const RETURNED: Settlement = Settlement::Requeue(ReturnCause::Returned);
/// Milliseconds that what came back waits where it has to.
const DELAY: u64 = 100;

#[derive(Debug, Clone)]
enum Operation {
    Push {
        persistent: bool,
        priority: u8,
    },
    Get,
    Acknowledge(usize),
    Requeue(usize),
    /// One of those seen last, which may be gone by now.
    Take {
        which: usize,
        how: Take,
        between: Between,
    },
    Look {
        messages: usize,
        bytes: usize,
    },
    Read,
    Answer,
    Wait,
    Restart,
}

#[derive(Debug, Clone, Copy)]
enum Take {
    Drop,
    Replay,
    /// Nothing takes it there, so it stays.
    ReplayNowhere,
}

/// What the store does once it has heard of it, and the queue hasn't.
#[derive(Debug, Clone, Copy)]
enum Between {
    Nothing,
    Read,
    Answer,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let take = prop_oneof![
        Just(Take::Drop),
        Just(Take::Replay),
        Just(Take::ReplayNowhere)
    ];
    let between = prop_oneof![
        Just(Between::Nothing),
        Just(Between::Read),
        Just(Between::Answer)
    ];
    let taking = (any::<usize>(), take, between);
    let operation = prop_oneof![
        20 => (prop::bool::weighted(0.8), 0..4_u8)
            .prop_map(|(persistent, priority)| Operation::Push { persistent, priority }),
        5 => Just(Operation::Get),
        2 => any::<usize>().prop_map(Operation::Acknowledge),
        4 => any::<usize>().prop_map(Operation::Requeue),
        8 => taking.prop_map(|(which, how, between)| Operation::Take { which, how, between }),
        4 => (1..6_usize, 1..600_usize)
            .prop_map(|(messages, bytes)| Operation::Look { messages, bytes }),
        3 => Just(Operation::Read),
        3 => Just(Operation::Answer),
        1 => Just(Operation::Wait),
        1 => Just(Operation::Restart),
    ];
    prop::collection::vec(operation, 1..120)
}

/// What a queue is declared with.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Priorities,
    Quorum,
    Delaying,
    Grouped,
}

fn arguments(kind: Kind) -> FieldTable {
    let text = FieldValue::str;
    match kind {
        Kind::Plain => FieldTable::new(),
        Kind::Priorities => FieldTable::from_iter([("x-max-priority", FieldValue::I32(3))]),
        Kind::Quorum => FieldTable::from_iter([("x-queue-type", text("quorum"))]),
        Kind::Delaying => FieldTable::from_iter([
            ("x-delayed-retry-type", text("all")),
            ("x-delayed-retry-min", FieldValue::I64(DELAY as i64)),
            ("x-delayed-retry-max", FieldValue::I64(DELAY as i64)),
        ]),
        Kind::Grouped => FieldTable::from_iter([("x-message-group", text("routing-key"))]),
    }
}

/// Which message, and what of it a queue goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    number: u32,
    priority: u8,
    stored: bool,
}

impl Known {
    fn place(self) -> (Reverse<u8>, u32) {
        (Reverse(self.priority), self.number)
    }
}

#[derive(Debug, Default)]
struct Model {
    returned: VecDeque<Known>,
    waiting: BTreeMap<(Reverse<u8>, u32), Known>,
    /// By when they are tried again, and who came first.
    delayed: BTreeMap<(u64, usize), Known>,
    held: Vec<(Known, HeldSlot)>,
}

impl Model {
    fn order(&self) -> Vec<u32> {
        let returned = self.returned.iter();
        let all = returned
            .chain(self.waiting.values())
            .chain(self.delayed.values());
        all.map(|known| known.number).collect()
    }

    fn is_delayed(&self, number: u32) -> bool {
        self.delayed.values().any(|known| known.number == number)
    }

    fn remove(&mut self, number: u32) -> Option<Known> {
        let others = |known: &Known| known.number != number;
        let all = self.returned.iter().chain(self.waiting.values());
        let mut all = all.chain(self.delayed.values());
        let found = all.find(|known| !others(known)).copied();
        self.returned.retain(others);
        self.waiting.retain(|_, known| others(known));
        self.delayed.retain(|_, known| others(known));
        found
    }
}

struct Pair {
    kind: Kind,
    ledger: Arc<Ledger>,
    around: Surroundings,
    vhost: Vhost,
    other: Arc<Queue>,
    queue: Arc<Queue>,
    effects: Effects,
    model: Model,
    seen: Vec<Seen>,
    sent: u64,
    last: u32,
    serial: usize,
    now: u64,
}

impl Pair {
    fn new(kind: Kind, ahead: bool) -> Self {
        let ledger = Arc::new(Ledger::default());
        ledger.set_ahead(ahead);
        let store = Arc::clone(&ledger) as Arc<dyn Store>;
        let marks = Marks {
            high: 900,
            page: 450,
        };
        let residency = Arc::new(Residency::new(marks, marks, u64::MAX, 1));
        let around = Surroundings::new(store, residency);
        let vhost = Vhost::new("/".into(), Arc::new(QueueIds::default()), around.clone());
        let mut effects = Effects::default();
        let declare = QueueDeclare {
            queue: "other",
            durable: true,
            ..QueueDeclare::default()
        };
        let other = vhost.declare_queue(&declare, ConnectionId(1), String::new, &mut effects);
        let mut pair = Self {
            kind,
            queue: queue(kind, &around),
            ledger,
            around,
            vhost,
            other: other.unwrap(),
            effects,
            model: Model::default(),
            seen: Vec::new(),
            sent: 0,
            last: 0,
            serial: 0,
            now: 0,
        };
        pair.advance(1_000_000);
        pair
    }

    fn advance(&mut self, ms: u64) {
        self.now += ms;
        self.effects.set_now(Now::at_ms(self.now));
        self.ledger.set_now(Now::at_ms(self.now));
    }

    fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Push {
                persistent,
                priority,
            } => self.push(persistent, priority),
            Operation::Get => self.get(),
            Operation::Acknowledge(at) => {
                if let Some((_, slot)) = self.pick(at) {
                    let effects = &mut self.effects;
                    self.queue.settle(&[slot], Settlement::Acknowledge, effects);
                }
            }
            Operation::Requeue(at) => self.requeue(at),
            Operation::Take {
                which,
                how,
                between,
            } => self.take(which, how, between),
            Operation::Look { messages, bytes } => self.look(messages, bytes),
            Operation::Read => self.ledger.read(),
            Operation::Answer => self.ledger.answer(),
            Operation::Wait => self.wait(),
            Operation::Restart => self.restart(),
        }
        let counts = self.queue.counts();
        let expected = (self.model.returned.len() + self.model.waiting.len()) as u64;
        assert_eq!(counts.ready, expected, "after {operation:?}");
        assert_eq!(counts.delayed, self.model.delayed.len() as u64);
        assert_eq!(self.other.counts().ready, self.sent);
    }

    fn push(&mut self, persistent: bool, priority: u8) {
        self.last += 1;
        let properties = raw(persistent, priority);
        let number = self.last.to_be_bytes();
        let content = Content {
            properties: &properties,
            routing_key: [b"a", b"b", b"c", b"d"][usize::from(priority)],
            ..content(&number, persistent)
        };
        self.queue.push(&Incoming::new(content), &mut self.effects);
        let known = Known {
            number: self.last,
            priority: match self.kind {
                Kind::Priorities | Kind::Quorum => priority,
                _ => 0,
            },
            stored: persistent,
        };
        self.model.waiting.insert(known.place(), known);
    }

    fn get(&mut self) {
        let asleep = Arc::<Sleeper>::default();
        let got = self
            .queue
            .get(false, &asleep, &mut self.effects, |delivery, _| {
                (number(delivery.message.body), delivery.held)
            });
        let Got::Message((number, slot)) = got else {
            return;
        };
        if self.kind != Kind::Grouped {
            let first = self.model.order()[0];
            assert_eq!(number, first);
        }
        let known = self.model.remove(number).unwrap();
        self.model.held.push((known, slot.unwrap()));
    }

    fn pick(&mut self, at: usize) -> Option<(Known, HeldSlot)> {
        let count = self.model.held.len();
        (count > 0).then(|| self.model.held.remove(at % count))
    }

    fn requeue(&mut self, at: usize) {
        let Some((known, slot)) = self.pick(at) else {
            return;
        };
        self.queue.settle(&[slot], RETURNED, &mut self.effects);
        match self.kind {
            Kind::Quorum => self.model.returned.push_back(known),
            Kind::Delaying => {
                self.serial += 1;
                let key = (self.now + DELAY, self.serial);
                self.model.delayed.insert(key, known);
            }
            _ => {
                self.model.waiting.insert(known.place(), known);
            }
        }
    }

    fn take(&mut self, which: usize, how: Take, between: Between) {
        if self.seen.is_empty() {
            return;
        }
        let at = which % self.seen.len();
        let number = number(self.seen[at].message().view().body);
        if self.model.is_delayed(number) {
            // It was handed out since, so it is looked up again.
            self.look(3, 1000);
        }
        let same = |seen: &&Seen| crate::support::number(seen.message().view().body) == number;
        let seen = self.seen.iter().find(same).unwrap().clone();
        let waits = self.model.order().contains(&number);
        // What isn't stored makes no append to do anything after.
        let is_told = waits && seen.message().is_persistent();
        let between = if is_told { between } else { Between::Nothing };
        let key = match how {
            Take::Drop => {
                self.interrupt(between);
                let effects = &mut self.effects;
                let dropped = drop_chosen(&self.vhost, &self.queue, &[seen], effects);
                assert_eq!(dropped, [waits]);
                self.model.remove(number);
                return;
            }
            Take::Replay => "other",
            Take::ReplayNowhere => "nowhere",
        };
        let message = Replay {
            exchange: "".into(),
            routing_key: key.into(),
            properties: BytesMut::from(seen.message().view().properties),
            body: None,
            seen,
        };
        if let Take::Replay = how {
            self.interrupt(between);
        }
        let outcome = replay(&self.vhost, &self.queue, &[message], &mut self.effects);
        let expected = match how {
            _ if !waits => Replayed::NotWaiting,
            Take::ReplayNowhere => Replayed::Unroutable,
            _ => {
                self.sent += 1;
                self.model.remove(number);
                Replayed::Sent(1)
            }
        };
        assert_eq!(outcome, [expected]);
        self.note_given_back(number, how);
    }

    /// What is given back to those that came back is the first of them then; what
    /// was delayed is tried again after others of the same time.
    fn note_given_back(&mut self, number: u32, how: Take) {
        let model = &mut self.model;
        if !matches!(how, Take::ReplayNowhere) {
            return;
        }
        if let Some(at) = model.returned.iter().position(|k| k.number == number) {
            let known = model.returned.remove(at).unwrap();
            model.returned.push_front(known);
        }
        let delayed = model.delayed.iter().find(|(_, k)| k.number == number);
        if let Some((key, known)) = delayed.map(|(key, known)| (*key, *known)) {
            model.delayed.remove(&key);
            self.serial += 1;
            model.delayed.insert((key.0, self.serial), known);
        }
    }

    fn interrupt(&mut self, between: Between) {
        let ledger = Arc::clone(&self.ledger);
        match between {
            Between::Nothing => {}
            Between::Read => self.ledger.interrupt(move || ledger.read()),
            Between::Answer => self.ledger.interrupt(move || ledger.answer()),
        }
    }

    fn look(&mut self, messages: usize, bytes: usize) {
        let before = self.queue.counts();
        self.seen = look_through(&self.queue, &self.ledger, messages, bytes);
        let numbers = self.seen.iter().map(|s| number(s.message().view().body));
        assert_eq!(numbers.collect::<Vec<_>>(), self.model.order());
        assert_eq!(self.queue.counts(), before);
        let ids = self.seen.iter().map(|seen| seen.place().to_string());
        for (id, seen) in ids.zip(&self.seen) {
            assert_eq!(id.parse(), Ok(seen.place()));
            assert_eq!(seen.cursor().to_string().parse(), Ok(seen.cursor()));
        }
    }

    fn wait(&mut self) {
        self.advance(DELAY);
        self.queue.on_time(&mut self.effects);
        for known in std::mem::take(&mut self.model.delayed).into_values() {
            self.model.waiting.insert(known.place(), known);
        }
    }

    fn restart(&mut self) {
        self.ledger.reopen();
        self.seen.clear();
        self.queue = queue(self.kind, &self.around);
        for lane in self.ledger.lanes(ID) {
            self.queue.restore(lane, self.ledger.remainder(lane));
        }
        let model = std::mem::take(&mut self.model);
        let held = model.held.into_iter().map(|(known, _)| known);
        let all = model.returned.into_iter().chain(held);
        let all = all.chain(model.delayed.into_values());
        let all = all.chain(model.waiting.into_values());
        let left = all.filter(|known| known.stored);
        self.model.waiting = left.map(|known| (known.place(), known)).collect();
    }
}

fn queue(kind: Kind, around: &Surroundings) -> Arc<Queue> {
    let spec = spec("dead", true, arguments(kind));
    Arc::new(Queue::new(ID, "/".into(), spec, None, around))
}

fn raw(persistent: bool, priority: u8) -> BytesMut {
    let mut out = BytesMut::new();
    Properties {
        delivery_mode: Some(if persistent { 2 } else { 1 }),
        priority: Some(priority),
        ..Properties::default()
    }
    .put(&mut out);
    out
}

/// All that waits, seen a page at a time.
fn look_through(
    queue: &Arc<Queue>,
    ledger: &Arc<Ledger>,
    messages: usize,
    bytes: usize,
) -> Vec<Seen> {
    let mut all = Vec::new();
    let mut next = Some(Cursor::Start);
    while let Some(after) = next {
        let glance = glance(queue, ledger, after, messages, bytes);
        assert!(glance.seen.len() <= messages);
        all.extend(glance.seen);
        next = glance.next;
    }
    all
}

fn glance(
    queue: &Arc<Queue>,
    ledger: &Arc<Ledger>,
    after: Cursor,
    messages: usize,
    bytes: usize,
) -> Glance {
    let found = Arc::<Mutex<Option<Glance>>>::default();
    let place = Arc::clone(&found);
    let look = Look {
        after,
        messages,
        bytes,
    };
    queue.browse(look, move |glance| *place.lock() = Some(glance));
    loop {
        if let Some(glance) = found.lock().take() {
            return glance;
        }
        assert!(ledger.is_asked(), "nobody ever answers");
        ledger.answer();
    }
}

fn run(kind: Kind, ahead: bool, operations: &[Operation]) {
    let mut pair = Pair::new(kind, ahead);
    for operation in operations {
        pair.apply(operation);
    }
    pair.apply(&Operation::Look {
        messages: 7,
        bytes: 500,
    });
    // What the store has is what is left, once more.
    pair.apply(&Operation::Restart);
    pair.apply(&Operation::Look {
        messages: 100,
        bytes: 100_000,
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_look_shows_what_waits_in_order_and_takes_out_just_what_is_chosen(
        operations in operations(),
        kind in prop_oneof![
            Just(Kind::Plain),
            Just(Kind::Priorities),
            Just(Kind::Quorum),
            Just(Kind::Delaying),
            Just(Kind::Grouped),
        ],
        ahead in any::<bool>(),
    ) {
        run(kind, ahead, &operations);
    }
}

#[test]
fn a_cursor_neither_repeats_nor_passes_over_while_messages_come_and_go() {
    let mut pair = Pair::new(Kind::Plain, false);
    for _ in 0..40 {
        pair.push(true, 0);
    }
    let (queue, ledger) = (Arc::clone(&pair.queue), Arc::clone(&pair.ledger));
    let first = glance(&queue, &ledger, Cursor::Start, 5, 10_000);
    // The first three go, a new one comes, and one that was handed out returns.
    while pair.model.held.len() < 8 {
        pair.ledger.answer();
        pair.get();
    }
    pair.push(true, 0);
    pair.requeue(6);
    let mut numbers: Vec<_> = first
        .seen
        .iter()
        .map(|s| number(s.message().view().body))
        .collect();
    let mut next = first.next;
    while let Some(after) = next {
        let glance = glance(&queue, &ledger, after, 5, 300);
        numbers.extend(glance.seen.iter().map(|s| number(s.message().view().body)));
        next = glance.next;
    }
    let first = first.seen.len() as u32;
    let expected: Vec<u32> = (1..=first).chain([7]).chain(9..=41).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn messages_that_are_handed_out_are_left_alone() {
    let mut pair = Pair::new(Kind::Plain, false);
    pair.push(true, 0);
    pair.push(true, 0);
    pair.look(10, 10_000);
    pair.get();
    let place = pair.seen[0].place();
    assert!(pair.queue.is_held(place) && !pair.queue.is_held(pair.seen[1].place()));
    let effects = &mut pair.effects;
    let dropped = drop_chosen(&pair.vhost, &pair.queue, &pair.seen, effects);
    assert_eq!(dropped, [false, true]);
    let counts = pair.queue.counts();
    assert_eq!((counts.ready, counts.unacked), (0, 1));
}

#[test]
fn what_came_after_the_frontier_is_beyond_it() {
    let mut pair = Pair::new(Kind::Priorities, false);
    pair.push(true, 1);
    let frontier = pair.queue.frontier();
    pair.push(true, 1);
    pair.push(true, 2);
    pair.look(10, 10_000);
    let covered = pair.seen.iter().map(|seen| frontier.covers(seen.place()));
    assert_eq!(covered.collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn a_power_cut_leaves_a_message_that_is_replayed_in_one_place() {
    let mut pair = Pair::new(Kind::Plain, false);
    for _ in 0..6 {
        pair.push(true, 0);
    }
    pair.look(10, 10_000);
    for which in 0..6 {
        pair.take(which, Take::Replay, Between::Nothing);
    }
    for appends in 7..=pair.ledger.appends() {
        let left = pair.ledger.cut(appends);
        let mut numbers = left.numbers(ID);
        numbers.extend(left.numbers(pair.other.id()));
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6], "after {appends} appends");
    }
}

#[test]
fn texts_that_are_no_cursor_are_refused() {
    for text in ["x", "r", "w1p", "wp1", "d1", "d1.x", "w1p999", "d-1.2"] {
        let refused = text.parse::<Cursor>().unwrap_err().to_string();
        let wrong = text.trim_start_matches(['r', 'w']);
        assert!(refused.contains(wrong), "{text}: {refused}");
    }
}

#[test]
fn a_copy_is_published_as_it_is_wanted() {
    let mut pair = Pair::new(Kind::Plain, false);
    pair.push(true, 0);
    pair.look(10, 10_000);
    let message = Replay {
        seen: pair.seen[0].clone(),
        exchange: "".into(),
        routing_key: "other".into(),
        properties: raw(true, 9),
        body: Some(2_u32.to_be_bytes().to_vec().into()),
    };
    replay(&pair.vhost, &pair.queue, &[message], &mut pair.effects);
    let asleep = Arc::<Sleeper>::default();
    let got = pair
        .other
        .get(true, &asleep, &mut pair.effects, |delivery, _| {
            let view = delivery.message;
            let body = Body::Borrowed(view.body).as_slice().to_vec();
            (
                view.routing_key.to_vec(),
                view.properties.to_vec(),
                body,
                delivery.redelivered,
            )
        });
    let expected = (
        b"other".to_vec(),
        raw(true, 9).to_vec(),
        2_u32.to_be_bytes().to_vec(),
        false,
    );
    assert_eq!(got, Got::Message(expected));
}
