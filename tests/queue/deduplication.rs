//! Queues that take no message twice.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use harrier::base::clock::Now;
use harrier::base::ids::{Batch, ConnectionId, QueueId};
use harrier::broker::effects::Effects;
use harrier::broker::message::Content;
use harrier::broker::queue::{
    ConsumerSpec, Got, Incoming, Marks, Pushed, Queue, Residency, Surroundings, WINDOW_LANE,
};
use harrier::broker::store::{NullStore, Store};
use harrier::broker::unit::Unit;
use harrier::broker::vhost::{QueueIds, Vhost};
use harrier::wire::method::QueueDeclare;
use harrier::wire::{FieldTable, FieldValue, Properties, Refusal};
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::ledger::Ledger;
use crate::support::*;

const ID: QueueId = QueueId(7);
const HEADER: &str = "x-deduplication-header";

/// What a message says of itself.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    id: Option<u8>,
    /// Whether the id is in the header, not in the property.
    in_header: bool,
    persistent: bool,
    ttl: Option<i64>,
}

impl Sent {
    fn with_id(id: u8) -> Self {
        Self {
            id: Some(id),
            persistent: true,
            ..Self::default()
        }
    }

    fn properties(self) -> BytesMut {
        let mut headers = FieldTable::new();
        let id = self.id.map(|id| format!("id-{id}")).unwrap_or_default();
        let has_id = self.id.is_some();
        if has_id && self.in_header {
            headers.push(HEADER, &*id);
        }
        if let Some(ttl) = self.ttl {
            headers.push("x-cache-ttl", ttl);
        }
        let properties = Properties {
            delivery_mode: self.persistent.then_some(2),
            message_id: (has_id && !self.in_header).then_some(id.as_bytes()),
            ..Properties::default()
        };
        properties.with_headers(&headers)
    }
}

fn incoming<'a>(properties: &'a [u8], number: &'a [u8; 4], persistent: bool) -> Incoming<'a> {
    Incoming::new(Content {
        properties,
        ..content(number, persistent)
    })
}

fn arguments(size: i64, ttl: Option<i64>) -> FieldTable {
    let mut arguments = FieldTable::new();
    arguments.push("x-message-deduplication", FieldValue::Bool(true));
    arguments.push("x-cache-size", size);
    if let Some(ttl) = ttl {
        arguments.push("x-cache-ttl", ttl);
    }
    arguments
}

struct Host {
    ledger: Arc<Ledger>,
    arguments: FieldTable,
    queue: Arc<Queue>,
    effects: Effects,
    now: u64,
    number: u32,
}

impl Host {
    fn new(arguments: FieldTable) -> Self {
        Self::on(Ledger::default(), arguments)
    }

    /// A queue as it is once a broker has started on what `ledger` has.
    fn on(ledger: Ledger, arguments: FieldTable) -> Self {
        let ledger = Arc::new(ledger);
        ledger.answer_at_once();
        let queue = started(&ledger, &arguments);
        let mut host = Self {
            ledger,
            arguments,
            queue,
            effects: Effects::default(),
            now: 0,
            number: 0,
        };
        host.wait(1000);
        host
    }

    fn wait(&mut self, ms: u64) {
        self.now += ms;
        self.effects.set_now(Now::at_ms(self.now));
        self.ledger.set_now(Now::at_ms(self.now));
    }

    fn restart(&mut self) {
        self.queue = started(&self.ledger, &self.arguments);
    }

    fn publish(&mut self, sent: Sent) -> Pushed {
        self.number += 1;
        let (number, properties) = (self.number.to_be_bytes(), sent.properties());
        let incoming = incoming(&properties, &number, sent.persistent);
        self.queue.push(&incoming, &mut self.effects)
    }

    fn put_in(&mut self, unit: &mut Unit, sent: Sent) -> Pushed {
        self.number += 1;
        let (number, properties) = (self.number.to_be_bytes(), sent.properties());
        let incoming = incoming(&properties, &number, sent.persistent);
        unit.publish(&self.queue, &incoming, &mut self.effects)
    }

    fn commit(&mut self, unit: Unit) {
        unit.commit(&*self.ledger, &mut self.effects);
    }

    fn take_all(&mut self) -> Vec<u32> {
        let sleeper = Arc::new(Sleeper::default());
        let mut all = Vec::new();
        loop {
            let got = self.queue.get(true, &sleeper, &mut self.effects, |d, _| {
                number(d.message.body)
            });
            match got {
                Got::Message(one) => all.push(one),
                Got::Nothing => return all,
                Got::NotYet => assert!(sleeper.is_woken()),
            }
        }
    }

    fn duplicates(&self) -> u64 {
        self.queue.counts().duplicates
    }

    /// How many messages the store remembers.
    fn marks(&self) -> usize {
        self.ledger.stored(ID.with_lane(WINDOW_LANE)).len()
    }
}

fn started(ledger: &Arc<Ledger>, arguments: &FieldTable) -> Arc<Queue> {
    let marks = Marks {
        high: 1 << 40,
        page: 1 << 20,
    };
    let residency = Arc::new(Residency::new(marks, marks, u64::MAX, 1));
    let store = Arc::clone(ledger) as Arc<dyn Store>;
    let around = Surroundings::new(store, residency);
    let spec = spec("q", true, arguments.clone());
    let queue = Arc::new(Queue::new(ID, "/".into(), spec, None, &around));
    ledger.reopen();
    for lane in ledger.lanes(ID) {
        queue.restore(lane, ledger.remainder(lane));
    }
    queue
}

#[test]
fn a_duplicate_is_taken_but_not_queued() {
    let mut host = Host::new(arguments(10, None));
    assert_eq!(host.publish(Sent::with_id(1)), Pushed::Taken);
    assert_eq!(host.publish(Sent::with_id(2)), Pushed::Taken);
    assert_eq!(host.publish(Sent::with_id(1)), Pushed::Taken);
    assert_eq!(host.duplicates(), 1);
    assert_eq!(host.take_all(), [1, 2]);
    // What was consumed is remembered, too.
    host.publish(Sent::with_id(2));
    assert!(host.take_all().is_empty());
    assert_eq!(host.duplicates(), 2);
}

#[test]
fn a_message_without_an_id_is_no_duplicate() {
    let mut host = Host::new(arguments(10, None));
    for _ in 0..3 {
        host.publish(Sent::default());
    }
    assert_eq!(host.take_all(), [1, 2, 3]);
    assert_eq!(host.duplicates(), 0);
    assert_eq!(host.marks(), 0);
}

#[test]
fn the_id_is_in_the_header_named_or_else_in_the_property() {
    let mut arguments = arguments(10, None);
    arguments.push(HEADER, "order");
    let mut host = Host::new(arguments);
    let publish = |host: &mut Host, order: Option<FieldValue>, id: Option<&[u8]>| {
        host.number += 1;
        let number = host.number.to_be_bytes();
        let headers = FieldTable::from_iter(order.map(|order| ("order", order)));
        let properties = Properties {
            message_id: id,
            ..Properties::default()
        };
        let properties = properties.with_headers(&headers);
        let incoming = incoming(&properties, &number, false);
        host.queue.push(&incoming, &mut host.effects);
    };
    publish(&mut host, Some(FieldValue::I64(17)), Some(b"a"));
    publish(&mut host, Some(FieldValue::I64(17)), Some(b"b"));
    publish(&mut host, None, Some(b"a"));
    publish(&mut host, Some(FieldValue::I64(18)), Some(b"a"));
    publish(&mut host, Some(FieldValue::str("17")), None);
    // The default header has no meaning here.
    let default = Sent {
        in_header: true,
        ..Sent::with_id(1)
    };
    host.publish(default);
    host.publish(default);
    assert_eq!(host.take_all(), [1, 3, 4, 5, 6, 7]);
}

#[test]
fn one_handed_out_at_once_is_remembered() {
    for no_ack in [true, false] {
        let mut host = Host::new(arguments(10, None));
        let handed = Arc::new(Mutex::new(Vec::new()));
        let consumer = ConsumerSpec {
            no_ack,
            ..ConsumerSpec::default()
        };
        let recorder = Recorder::new(0, &handed);
        recorder
            .open
            .store(true, std::sync::atomic::Ordering::Relaxed);
        let attached = host
            .queue
            .attach(consumer, recorder, || {}, &mut host.effects);
        attached.unwrap();
        host.publish(Sent::with_id(1));
        host.publish(Sent::with_id(1));
        assert_eq!(handed.lock().len(), 1);
        host.restart();
        host.publish(Sent::with_id(1));
        assert_eq!(host.duplicates(), 1, "no_ack: {no_ack}");
    }
}

#[test]
fn a_duplicate_is_confirmed_no_sooner_than_the_message() {
    let mut host = Host::new(arguments(10, None));
    host.publish(Sent::with_id(1));
    let first = host.effects.take_batch();
    assert_eq!(first, Some(Batch(1)));
    host.publish(Sent::with_id(1));
    assert_eq!(host.effects.take_batch(), first);
}

#[test]
fn what_is_refused_for_lack_of_room_may_come_again() {
    let mut arguments = arguments(10, None);
    arguments.push("x-max-length", 1);
    arguments.push("x-overflow", "reject-publish");
    let mut host = Host::new(arguments);
    assert_eq!(host.publish(Sent::with_id(1)), Pushed::Taken);
    assert_eq!(host.publish(Sent::with_id(2)), Pushed::Refused);
    assert_eq!(host.publish(Sent::with_id(1)), Pushed::Taken);
    assert_eq!(host.take_all(), [1]);
    assert_eq!(host.publish(Sent::with_id(2)), Pushed::Taken);
    assert_eq!(host.take_all(), [4]);
    assert_eq!(host.duplicates(), 1);
}

#[test]
fn messages_and_what_is_remembered_of_them_survive_together() {
    let mut host = Host::new(arguments(1000, None));
    for id in 0..10 {
        host.publish(Sent::with_id(id));
    }
    let mut unit = Unit::default();
    for id in 10..20 {
        host.put_in(&mut unit, Sent::with_id(id));
    }
    host.commit(unit);
    for appends in 0..=host.ledger.appends() {
        let left = host.ledger.cut(appends);
        let mut again = Host::on(left, host.arguments.clone());
        again.number = 100;
        for id in 0..20 {
            again.publish(Sent::with_id(id));
        }
        let all: Vec<u32> = again.take_all();
        let found = all.iter().filter(|number| **number <= 20).count();
        assert_eq!(all.len(), 20, "after {appends} appends");
        assert_eq!(again.duplicates() as usize, found);
    }
}

#[test]
fn of_two_in_one_unit_the_second_is_dropped() {
    let mut host = Host::new(arguments(10, None));
    let mut unit = Unit::default();
    assert_eq!(host.put_in(&mut unit, Sent::with_id(1)), Pushed::Taken);
    assert_eq!(host.put_in(&mut unit, Sent::with_id(1)), Pushed::Taken);
    host.commit(unit);
    assert_eq!(host.take_all(), [1]);
    assert_eq!(host.duplicates(), 1);
}

#[test]
fn nobody_hears_of_a_duplicate_of_what_may_not_arrive() {
    let mut host = Host::new(arguments(10, None));
    let mut unit = Unit::default();
    assert_eq!(host.put_in(&mut unit, Sent::with_id(1)), Pushed::Taken);
    assert_eq!(host.publish(Sent::with_id(1)), Pushed::Refused);
    unit.abandon();
    assert_eq!(host.publish(Sent::with_id(1)), Pushed::Taken);
    assert_eq!(host.take_all(), [3]);
    assert_eq!(host.duplicates(), 0);
}

#[test]
fn what_is_on_its_way_is_not_pushed_out_before_it_arrives() {
    let mut host = Host::new(arguments(2, None));
    let mut unit = Unit::default();
    for id in 0..5 {
        host.put_in(&mut unit, Sent::with_id(id));
    }
    host.publish(Sent::with_id(5));
    host.commit(unit);
    // The ledger would complain of one settled before it was stored.
    assert_eq!(host.marks(), 2);
    host.publish(Sent::with_id(5));
    host.publish(Sent::with_id(0));
    assert_eq!(host.take_all(), [1, 2, 3, 4, 5, 6, 8]);
}

#[test]
fn the_highest_priority_keeps_out_of_what_is_remembered() {
    let mut arguments = arguments(10, None);
    arguments.push("x-max-priority", 255);
    let mut host = Host::new(arguments);
    let properties = |priority| {
        let properties = Properties {
            delivery_mode: Some(2),
            message_id: Some(b"one"),
            priority: Some(priority),
            ..Properties::default()
        };
        properties.with_headers(&FieldTable::new())
    };
    for priority in [255, 254] {
        let properties = properties(priority);
        let number = 1_u32.to_be_bytes();
        let incoming = incoming(&properties, &number, true);
        host.queue.push(&incoming, &mut host.effects);
    }
    host.restart();
    assert_eq!(host.marks(), 1);
    assert_eq!(host.take_all(), [1]);
}

#[test]
fn the_arguments_are_checked() {
    let refusal = |name: &str, value: FieldValue| -> Refusal {
        let around = Surroundings::new(Arc::new(NullStore::default()), Arc::default());
        let vhost = Vhost::new("/".into(), Arc::new(QueueIds::default()), around);
        let declare = QueueDeclare {
            queue: "q",
            arguments: FieldTable::from_iter([(name, value)]),
            ..QueueDeclare::default()
        };
        let mut effects = Effects::default();
        let declared = vhost.declare_queue(&declare, ConnectionId(1), String::new, &mut effects);
        declared.unwrap_err()
    };
    let cases = [
        (
            "x-message-deduplication",
            FieldValue::I64(1),
            "{unacceptable_type,long}",
        ),
        ("x-cache-size", FieldValue::I64(0), "{value_zero,0}"),
        (
            "x-cache-size",
            FieldValue::I64(10_000_001),
            "{value_too_large,10000001}",
        ),
        ("x-cache-ttl", FieldValue::I64(-1), "{value_negative,-1}"),
        (HEADER, FieldValue::I64(1), "{unacceptable_type,long}"),
    ];
    for (name, value, term) in cases {
        let text = refusal(name, value).text();
        let expected = format!("invalid arg '{name}' for queue 'q' in vhost '/': {term}");
        assert!(text.ends_with(&expected), "{text}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Publish(Sent),
    Unit(Vec<Sent>, bool),
    Wait(u64),
    Take,
    Restart,
}

fn sent() -> impl Strategy<Value = Sent> {
    let id = prop_oneof![1 => Just(None), 9 => (0..12_u8).prop_map(Some)];
    let ttl = prop_oneof![4 => Just(None), 1 => (0..60_i64).prop_map(Some)];
    (id, any::<bool>(), prop::bool::weighted(0.8), ttl).prop_map(
        |(id, in_header, persistent, ttl)| Sent {
            id,
            in_header,
            persistent,
            ttl,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => sent().prop_map(Step::Publish),
        2 => (prop::collection::vec(sent(), 1..5), any::<bool>())
            .prop_map(|(all, whole)| Step::Unit(all, whole)),
        3 => (0..40_u64).prop_map(Step::Wait),
        1 => Just(Step::Take),
        1 => Just(Step::Restart),
    ]
}

/// The same, as simply as can be said.
#[derive(Debug)]
struct Model {
    size: usize,
    ttl: Option<i64>,
    /// Id, until when, whether it is stored: oldest first.
    seen: VecDeque<(u8, i64, bool)>,
    queued: Vec<(u32, bool)>,
}

impl Model {
    fn publish(&mut self, sent: Sent, number: u32, now: i64) {
        while self.seen.front().is_some_and(|seen| seen.1 <= now) {
            self.seen.pop_front();
        }
        if let Some(id) = sent.id {
            let last = self.seen.iter().rev().find(|seen| seen.0 == id);
            if last.is_some_and(|seen| seen.1 > now) {
                return;
            }
            let until = sent.ttl.or(self.ttl).map_or(i64::MAX, |ttl| now + ttl);
            self.seen.push_back((id, until, sent.persistent));
        }
        self.queued.push((number, sent.persistent));
    }

    /// Everything in a unit comes before anything is pushed out.
    fn forget(&mut self) {
        while self.seen.len() > self.size {
            self.seen.pop_front();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_remembers_what_a_list_remembers(
        size in 1..8_usize,
        ttl in prop::option::of(20..100_i64),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut host = Host::new(arguments(size as i64, ttl));
        let mut model = Model { size, ttl, seen: VecDeque::new(), queued: Vec::new() };
        for step in steps {
            match step {
                Step::Publish(sent) => {
                    prop_assert_eq!(host.publish(sent), Pushed::Taken);
                    model.publish(sent, host.number, host.now as i64);
                    model.forget();
                }
                Step::Unit(all, whole) if whole => {
                    let mut unit = Unit::default();
                    for sent in all {
                        prop_assert_eq!(host.put_in(&mut unit, sent), Pushed::Taken);
                        model.publish(sent, host.number, host.now as i64);
                    }
                    host.commit(unit);
                    model.forget();
                }
                Step::Unit(all, _) => {
                    let mut unit = Unit::default();
                    for sent in all.into_iter().take(1) {
                        host.put_in(&mut unit, sent);
                    }
                    unit.abandon();
                }
                Step::Wait(ms) => host.wait(ms),
                Step::Take => {
                    let expected: Vec<u32> = model.queued.drain(..).map(|(n, _)| n).collect();
                    prop_assert_eq!(host.take_all(), expected);
                }
                Step::Restart => {
                    host.restart();
                    model.seen.retain(|seen| seen.2);
                    model.queued.retain(|queued| queued.1);
                }
            }
        }
        let expected: Vec<u32> = model.queued.into_iter().map(|(n, _)| n).collect();
        prop_assert_eq!(host.take_all(), expected);
    }
}
