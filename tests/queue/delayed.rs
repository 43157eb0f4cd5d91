//! Messages that an exchange holds back until their time has come.

use std::sync::Arc;

use bytes::BytesMut;
use harrier::base::clock::Now;
use harrier::base::ids::ConnectionId;
use harrier::broker::dead_lettering::see_to_effects;
use harrier::broker::effects::Effects;
use harrier::broker::message::Content;
use harrier::broker::policy::{ApplyTo, Policy, PolicyKind};
use harrier::broker::queue::{Got, Incoming, Marks, Pushed, Queue, Residency, Surroundings};
use harrier::broker::routing::{RawTraits, RoutingKeys};
use harrier::broker::spec::{BindingSpec, Destination};
use harrier::broker::store::Store;
use harrier::broker::vhost::{QueueIds, Vhost};
use harrier::wire::method::{ExchangeDeclare, QueueDeclare};
use harrier::wire::{Body, FieldTable, FieldValue, Properties, ReplyCode};

use crate::ledger::Ledger;
use crate::support::{Sleeper, number};

const ME: ConnectionId = ConnectionId(1);

struct Host {
    ledger: Arc<Ledger>,
    around: Surroundings,
    vhost: Vhost,
    effects: Effects,
    now: u64,
}

impl Host {
    /// With the exchange `later`, of an inner type, and the queue `q` bound to it.
    fn new(inner: &str) -> Self {
        let ledger = Arc::new(Ledger::default());
        ledger.answer_at_once();
        let store = Arc::clone(&ledger) as Arc<dyn Store>;
        let (high, page) = (1 << 40, 1 << 20);
        let marks = Marks { high, page };
        let residency = Arc::new(Residency::new(marks, marks, u64::MAX, 1));
        let around = Surroundings::new(store, residency);
        let ids = Arc::new(QueueIds::default());
        let mut host = Self {
            ledger,
            vhost: Vhost::new("/".into(), ids, around.clone()),
            around,
            effects: Effects::default(),
            now: 0,
        };
        host.wait(1_000_000);
        host.declare("later", inner).unwrap();
        host.queue("q", FieldTable::new());
        host.bind("later", Destination::Queue("q".into()), "due.#");
        host
    }

    fn declare(&mut self, name: &str, inner: &str) -> Result<(), harrier::wire::Refusal> {
        let declare = ExchangeDeclare {
            exchange: name,
            kind: "x-delayed-message",
            durable: true,
            arguments: FieldTable::from_iter([("x-delayed-type", FieldValue::str(inner))]),
            ..ExchangeDeclare::default()
        };
        self.vhost.declare_exchange(&declare, &mut self.effects)
    }

    fn queue(&mut self, name: &str, arguments: FieldTable) -> Arc<Queue> {
        let declare = QueueDeclare {
            queue: name,
            durable: true,
            arguments,
            ..QueueDeclare::default()
        };
        let effects = &mut self.effects;
        self.vhost
            .declare_queue(&declare, ME, String::new, effects)
            .unwrap()
    }

    fn bind(&mut self, source: &str, destination: Destination, key: &str) {
        let spec = BindingSpec {
            source: source.into(),
            destination,
            routing_key: key.into(),
            arguments: FieldTable::new(),
        };
        self.vhost.bind(spec, ME, &mut self.effects).unwrap();
    }

    /// Publishes a message with `x-delay`; to how many queues it went.
    fn publish(&mut self, exchange: &str, number: u32, delay: impl Into<FieldValue>) -> usize {
        self.publish_sized(exchange, number, delay.into(), 4)
    }

    fn publish_sized(&mut self, to: &str, number: u32, delay: FieldValue, size: usize) -> usize {
        let headers = FieldTable::from_iter([("x-delay", delay)]);
        let properties = Properties {
            delivery_mode: Some(2),
            ..Properties::default()
        };
        let properties: BytesMut = properties.with_headers(&headers);
        let mut body = vec![0; size];
        body[..4].copy_from_slice(&number.to_be_bytes());
        let incoming = Incoming::new(Content {
            exchange: to.as_bytes(),
            routing_key: b"due.now",
            properties: &properties,
            persistent: true,
            dead_lettered: false,
            failed: false,
            blind_copies: &[],
            body: Body::Borrowed(&body),
        });
        let mut queues = Vec::new();
        let keys = RoutingKeys::one("due.now");
        let mut traits = RawTraits::of(&incoming);
        self.vhost
            .route(to, keys, &mut traits, &mut queues)
            .unwrap();
        for queue in &queues {
            assert_eq!(queue.push(&incoming, &mut self.effects), Pushed::Taken);
        }
        see_to_effects(&self.vhost, &mut self.effects);
        queues.len()
    }

    /// Lets time pass, and what is due happen.
    fn wait(&mut self, ms: u64) {
        self.now += ms;
        self.effects.set_now(Now::at_ms(self.now));
        self.ledger.set_now(Now::at_ms(self.now));
        while let Some(queue) = self.around.timers.take_due(self.now) {
            queue.on_time(&mut self.effects);
            see_to_effects(&self.vhost, &mut self.effects);
        }
    }

    /// What is in a queue: numbers and `x-delay`.
    fn take_all(&mut self, name: &str) -> Vec<(u32, Option<FieldValue>)> {
        let queue = self.vhost.queue(name, ME).unwrap();
        let sleeper = Arc::new(Sleeper::default());
        let mut all = Vec::new();
        loop {
            let got = queue.get(true, &sleeper, &mut self.effects, |delivery, _| {
                let view = delivery.message;
                let properties = Properties::parse(view.properties).unwrap();
                let headers = properties.headers_table().unwrap();
                (number(view.body), headers.get("x-delay").cloned())
            });
            match got {
                Got::Message(one) => all.push(one),
                Got::Nothing => return all,
                Got::NotYet => assert!(sleeper.is_woken()),
            }
        }
    }

    fn numbers(&mut self, name: &str) -> Vec<u32> {
        let all = self.take_all(name).into_iter();
        all.map(|(number, _)| number).collect()
    }

    /// What a broker started on the same data would have.
    fn restart(&mut self) {
        let around = Surroundings::new(
            Arc::clone(&self.ledger) as Arc<dyn Store>,
            Arc::clone(&self.around.residency),
        );
        let ids = Arc::new(QueueIds::default());
        let vhost = Vhost::new("/".into(), ids, around.clone());
        self.ledger.reopen();
        for change in self.ledger.changes() {
            vhost.restore(&change);
        }
        for queue in vhost.queues() {
            queue.restore(queue.id(), self.ledger.remainder(queue.id()));
            queue.resume_after_restart(&mut self.effects);
        }
        self.vhost = vhost;
        self.around = around;
    }

    fn waiting(&self) -> u64 {
        let queues = self.vhost.queues();
        let holding = queues.iter().find(|q| q.name().starts_with("amq.delayed."));
        holding.map_or(0, |queue| queue.counts().delayed)
    }
}

#[test]
fn a_message_comes_when_its_time_has_come() {
    let mut host = Host::new("topic");
    assert_eq!(host.publish("later", 1, 50), 1, "it counts as routed");
    assert_eq!(host.publish("later", 2, 10), 1);
    host.wait(9);
    assert_eq!((host.numbers("q"), host.waiting()), (vec![], 2));
    host.wait(1);
    assert_eq!(host.take_all("q"), [(2, Some(FieldValue::I32(-10)))]);
    host.wait(40);
    assert_eq!(host.take_all("q"), [(1, Some(FieldValue::I32(-50)))]);
    assert_eq!(host.waiting(), 0);
}

#[test]
fn what_asks_for_no_delay_goes_at_once() {
    let mut host = Host::new("topic");
    let odd: [FieldValue; 6] = [
        0.into(),
        FieldValue::I64(-5),
        FieldValue::I64(1 << 32),
        FieldValue::str("soon"),
        FieldValue::Void,
        true.into(),
    ];
    for (number, delay) in (1..).zip(odd) {
        host.publish("later", number, delay);
    }
    assert_eq!(host.numbers("q"), [1, 2, 3, 4, 5, 6]);
    host.publish("later", 7, FieldValue::str("20"));
    host.publish("later", 8, FieldValue::F64(20.5));
    assert_eq!(host.waiting(), 2);
    host.wait(20);
    assert_eq!(host.numbers("q"), [7, 8]);
}

#[test]
fn it_is_routed_when_it_goes_not_when_it_comes() {
    let mut host = Host::new("topic");
    host.publish("later", 1, 10);
    host.queue("other", FieldTable::new());
    host.bind("later", Destination::Queue("other".into()), "*.now");
    let queue = host.vhost.queue("q", ME).unwrap();
    host.vhost.remove_queue(&queue, &mut host.effects);
    host.wait(10);
    assert_eq!(host.numbers("other"), [1]);
}

#[test]
fn what_comes_from_other_exchanges_is_held_back_too() {
    let mut host = Host::new("topic");
    let declare = ExchangeDeclare {
        exchange: "first",
        kind: "fanout",
        durable: true,
        ..ExchangeDeclare::default()
    };
    host.vhost
        .declare_exchange(&declare, &mut host.effects)
        .unwrap();
    host.bind("first", Destination::Exchange("later".into()), "");
    assert_eq!(host.publish("first", 1, 30), 1);
    assert!(host.numbers("q").is_empty());
    host.wait(30);
    assert_eq!(host.numbers("q"), [1]);
}

#[test]
fn months_and_a_restart_later_all_are_there() {
    let mut host = Host::new("topic");
    let day = 86_400_000_u64;
    for number in 0..300_u32 {
        let delay = (u64::from(number) * 7919 % 300) * day / 10 + 1;
        host.publish("later", number, delay as i64);
    }
    host.wait(10 * day);
    let early = host.numbers("q").len();
    assert!((90..110).contains(&early), "{early}");
    host.restart();
    assert_eq!(host.waiting(), 300 - early as u64);
    assert!(host.numbers("q").is_empty());
    host.publish("later", 1000, 1);
    host.wait(30 * day);
    assert_eq!(host.numbers("q").len(), 301 - early);
    assert_eq!(host.waiting(), 0);
    assert!(host.around.timers.is_empty());
}

#[test]
fn many_that_wait_are_left_to_the_store() {
    let mut host = Host::new("topic");
    for number in 0..40_u32 {
        let delay = if number % 3 == 0 { 5 } else { 10 };
        host.publish_sized("later", number, FieldValue::I32(delay), 1 << 20);
    }
    host.wait(5);
    let early: Vec<u32> = (0..40).filter(|number| number % 3 == 0).collect();
    assert_eq!(host.numbers("q"), early);
    host.wait(5);
    let late: Vec<u32> = (0..40).filter(|number| number % 3 != 0).collect();
    assert_eq!(host.numbers("q"), late);
}

#[test]
fn a_message_is_in_one_place_whenever_the_power_goes() {
    let mut host = Host::new("topic");
    for number in 0..30 {
        host.publish("later", number, i32::try_from(number % 7).unwrap() + 1);
    }
    let published = host.ledger.appends();
    for _ in 0..10 {
        host.wait(1);
    }
    let queues = host.vhost.queues();
    for appends in published..=host.ledger.appends() {
        let left = host.ledger.cut(appends);
        let mut numbers: Vec<u32> = queues
            .iter()
            .flat_map(|queue| left.numbers(queue.id()))
            .collect();
        numbers.sort_unstable();
        let all: Vec<u32> = (0..30).collect();
        assert_eq!(numbers, all, "after {appends} appends");
    }
    assert_eq!(host.waiting(), 0);
}

#[test]
fn deleting_the_exchange_cancels_what_waits() {
    let mut host = Host::new("topic");
    host.publish("later", 1, 10);
    host.vhost
        .delete_exchange("later", false, &mut host.effects)
        .unwrap();
    host.wait(20);
    assert!(host.numbers("q").is_empty());
    assert_eq!(host.vhost.queues().len(), 1);
    host.restart();
    assert_eq!(host.vhost.queues().len(), 1);
    assert!(host.around.timers.is_empty());
}

#[test]
fn nobody_touches_what_waits() {
    let mut host = Host::new("topic");
    host.publish("later", 1, 10);
    let refused = host.vhost.queue("amq.delayed.later", ME).unwrap_err();
    assert_eq!(refused.code, ReplyCode::ResourceLocked);
    // What is published there directly asks for nothing and goes nowhere.
    host.publish("", 2, 10);
    host.restart();
    let refused = host.vhost.queue("amq.delayed.later", ME).unwrap_err();
    assert_eq!(refused.code, ReplyCode::ResourceLocked);
    host.wait(10);
    assert_eq!(host.numbers("q"), [1]);
}

#[test]
fn it_needs_a_type_to_route_as() {
    let mut host = Host::new("direct");
    for inner in ["", "nonsense", "x-delayed-message"] {
        let refused = host.declare("other", inner).unwrap_err();
        assert_eq!(refused.code, ReplyCode::PreconditionFailed);
        assert_eq!(
            refused.to_string(),
            "PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing \
             exchange type"
        );
    }
}

#[test]
fn policies_are_for_queues_that_somebody_declared() {
    let mut host = Host::new("topic");
    let definition = FieldTable::from_iter([("expires", FieldValue::I64(5))]);
    let policy = Policy::new(PolicyKind::User, "all", ".*", ApplyTo::All, 0, definition).unwrap();
    host.vhost.set_policy(policy, &mut host.effects).unwrap();
    host.publish("later", 1, 20);
    host.wait(10);
    assert_eq!(host.waiting(), 1);
}
