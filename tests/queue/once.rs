//! Exchanges that route no message twice.

use std::sync::Arc;

use bytes::BytesMut;
use harrier::base::clock::Now;
use harrier::base::ids::{ConnectionId, QueueId};
use harrier::broker::attempts::ReturnCause;
use harrier::broker::dead_lettering::see_to_effects;
use harrier::broker::effects::Effects;
use harrier::broker::message::Content;
use harrier::broker::once::publish_once;
use harrier::broker::queue::{Got, Incoming, Pushed, Queue, Settlement, Surroundings};
use harrier::broker::routing::{RawTraits, RoutingKeys};
use harrier::broker::spec::{BindingSpec, Destination};
use harrier::broker::store::Store;
use harrier::broker::vhost::{QueueIds, Vhost};
use harrier::wire::method::{ExchangeDeclare, QueueDeclare};
use harrier::wire::{FieldTable, FieldValue, Properties};

use crate::ledger::Ledger;
use crate::support::*;

const ME: ConnectionId = ConnectionId(1);

struct Host {
    ledger: Arc<Ledger>,
    vhost: Vhost,
    effects: Effects,
    now: u64,
}

impl Host {
    /// With what `ledger` has.
    fn on(ledger: Ledger) -> Self {
        ledger.answer_at_once();
        ledger.reopen();
        let ledger = Arc::new(ledger);
        let around = Surroundings::new(Arc::clone(&ledger) as Arc<dyn Store>, Arc::default());
        let vhost = Vhost::new("/".into(), Arc::new(QueueIds::default()), around);
        for change in ledger.changes() {
            vhost.restore(&change);
        }
        for queue in vhost.queues() {
            for lane in ledger.lanes(queue.id()) {
                queue.restore(lane, ledger.remainder(lane));
            }
        }
        let mut host = Self {
            ledger,
            vhost,
            effects: Effects::default(),
            now: 1_000_000,
        };
        host.wait(0);
        host
    }

    /// With the exchange `once` of a type, and the queues `q` and `r` bound to it.
    fn new(kind: &str, arguments: FieldTable) -> Self {
        let mut host = Self::on(Ledger::default());
        let mut all = FieldTable::from_iter([("x-message-deduplication", FieldValue::Bool(true))]);
        for (name, value) in arguments.iter() {
            all.push(str::from_utf8(name).unwrap(), value.clone());
        }
        let declare = ExchangeDeclare {
            exchange: "once",
            kind,
            durable: true,
            arguments: all,
            ..ExchangeDeclare::default()
        };
        host.vhost
            .declare_exchange(&declare, &mut host.effects)
            .unwrap();
        for name in ["q", "r"] {
            host.queue(name, FieldTable::new());
            host.bind(name);
        }
        host
    }

    fn queue(&mut self, name: &str, arguments: FieldTable) -> Arc<Queue> {
        let declare = QueueDeclare {
            queue: name,
            durable: true,
            arguments,
            ..QueueDeclare::default()
        };
        self.vhost
            .declare_queue(&declare, ME, String::new, &mut self.effects)
            .unwrap()
    }

    fn bind(&mut self, queue: &str) {
        let spec = BindingSpec {
            source: "once".into(),
            destination: Destination::Queue(queue.into()),
            routing_key: "k".into(),
            arguments: FieldTable::new(),
        };
        self.vhost.bind(spec, ME, &mut self.effects).unwrap();
    }

    fn wait(&mut self, ms: u64) {
        self.now += ms;
        self.effects.set_now(Now::at_ms(self.now));
        self.ledger.set_now(Now::at_ms(self.now));
    }

    /// Publishes a message whose id is its number, with `x-delay` if given.
    fn publish(&mut self, number: u32, delay: Option<i64>) -> (Pushed, bool) {
        let properties = properties(number, delay);
        let body = number.to_be_bytes();
        let incoming = Incoming::new(Content {
            exchange: b"once",
            routing_key: b"k",
            properties: &properties,
            ..content(&body, true)
        });
        let vhost = &self.vhost;
        let mut route = |known: &[QueueId]| {
            let mut queues = Vec::new();
            let mut traits = RawTraits::of(&incoming).known_to(known);
            let keys = RoutingKeys::one("k");
            vhost.route("once", keys, &mut traits, &mut queues).unwrap();
            queues
        };
        let published = publish_once(vhost.store(), &incoming, &mut self.effects, &mut route);
        see_to_effects(&self.vhost, &mut self.effects);
        published
    }

    fn take_all(&mut self, name: &str) -> Vec<u32> {
        let queue = self.vhost.queue(name, ME).unwrap();
        let sleeper = Arc::new(Sleeper::default());
        let mut all = Vec::new();
        loop {
            let got = queue.get(true, &sleeper, &mut self.effects, |d, _| {
                number(d.message.body)
            });
            match got {
                Got::Message(one) => all.push(one),
                Got::Nothing => return all,
                Got::NotYet => assert!(sleeper.is_woken()),
            }
        }
    }

    fn hidden(&self, prefix: &str) -> Arc<Queue> {
        let mut queues = self.vhost.queues().into_iter();
        queues
            .find(|queue| queue.name().starts_with(prefix))
            .unwrap()
    }
}

fn properties(id: u32, delay: Option<i64>) -> BytesMut {
    let headers = FieldTable::from_iter(delay.map(|ms| ("x-delay", FieldValue::I64(ms))));
    let id = id.to_string();
    let properties = Properties {
        delivery_mode: Some(2),
        message_id: Some(id.as_bytes()),
        ..Properties::default()
    };
    properties.with_headers(&headers)
}

#[test]
fn a_duplicate_goes_nowhere_and_is_counted() {
    let mut host = Host::new("direct", FieldTable::new());
    for number in [1, 2, 1] {
        assert_eq!(host.publish(number, None), (Pushed::Taken, true));
    }
    assert_eq!(host.take_all("q"), [1, 2]);
    assert_eq!(host.take_all("r"), [1, 2]);
    let counts = host.hidden("amq.deduplication.").counts();
    assert_eq!((counts.duplicates, counts.ready), (1, 0));
}

#[test]
fn all_have_it_and_it_is_remembered_whenever_the_power_goes() {
    let mut host = Host::new("fanout", FieldTable::new());
    let declared = host.ledger.appends();
    for number in 0..10 {
        host.publish(number, None);
    }
    for appends in declared..=host.ledger.appends() {
        let mut again = Host::on(host.ledger.cut(appends));
        for number in 0..10 {
            again.publish(number, None);
        }
        let all: Vec<u32> = (0..10).collect();
        assert_eq!(again.take_all("q"), all, "after {appends} appends");
        assert_eq!(again.take_all("r"), all, "after {appends} appends");
    }
}

#[test]
fn what_one_queue_refuses_goes_to_none_and_may_come_again() {
    let mut host = Host::new("direct", FieldTable::new());
    let full = FieldTable::from_iter([
        ("x-max-length", FieldValue::I64(1)),
        ("x-overflow", FieldValue::str("reject-publish")),
    ]);
    host.queue("full", full);
    host.bind("full");
    assert_eq!(host.publish(1, None).0, Pushed::Taken);
    assert_eq!(host.publish(2, None).0, Pushed::Refused);
    assert_eq!(host.take_all("full"), [1]);
    assert_eq!(host.publish(2, None).0, Pushed::Taken);
    assert_eq!(host.take_all("q"), [1, 2]);
}

#[test]
fn an_alternate_exchange_gets_what_is_unrouted_but_no_duplicates() {
    let alternate = FieldTable::from_iter([("alternate-exchange", FieldValue::str("amq.fanout"))]);
    let mut host = Host::new("direct", alternate);
    host.queue("other", FieldTable::new());
    let spec = BindingSpec {
        source: "amq.fanout".into(),
        destination: Destination::Queue("other".into()),
        routing_key: "".into(),
        arguments: FieldTable::new(),
    };
    host.vhost.bind(spec, ME, &mut host.effects).unwrap();
    host.publish(1, None);
    host.publish(1, None);
    assert!(host.take_all("other").is_empty());
}

#[test]
fn of_two_held_back_one_is_routed() {
    let inner = FieldTable::from_iter([("x-delayed-type", FieldValue::str("direct"))]);
    let mut host = Host::new("x-delayed-message", inner);
    host.publish(1, Some(1000));
    host.publish(1, Some(2000));
    let holding = host.hidden("amq.delayed.");
    for expected in [vec![1], vec![]] {
        host.wait(1000);
        holding.on_time(&mut host.effects);
        see_to_effects(&host.vhost, &mut host.effects);
        assert_eq!(host.take_all("q"), expected);
    }
}

#[test]
fn dead_letters_are_routed_once() {
    let mut host = Host::new("direct", FieldTable::new());
    let arguments = FieldTable::from_iter([
        ("x-dead-letter-exchange", FieldValue::str("once")),
        ("x-dead-letter-routing-key", FieldValue::str("k")),
    ]);
    let dying = host.queue("dying", arguments);
    for number in [1, 2, 1] {
        let properties = properties(number, None);
        let body = number.to_be_bytes();
        let incoming = Incoming::new(Content {
            properties: &properties,
            ..content(&body, true)
        });
        dying.push(&incoming, &mut host.effects);
    }
    let sleeper = Arc::new(Sleeper::default());
    let mut held = Vec::new();
    let effects = &mut host.effects;
    while let Got::Message(slot) = dying.get(false, &sleeper, effects, |d, _| d.held) {
        held.extend(slot);
    }
    let discard = Settlement::Discard(ReturnCause::Rejected);
    dying.settle(&held, discard, &mut host.effects);
    see_to_effects(&host.vhost, &mut host.effects);
    assert_eq!(host.take_all("q"), [1, 2]);
    assert!(host.ledger.numbers(dying.id()).is_empty());
}
