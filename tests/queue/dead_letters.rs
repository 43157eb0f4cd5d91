//! What a message that died carries with it.

use std::sync::Arc;

use bytes::BytesMut;
use harrier::base::clock::Now;
use harrier::base::ids::ConnectionId;
use harrier::broker::attempts::ReturnCause;
use harrier::broker::dead_lettering::drain_dead_letters;
use harrier::broker::effects::Effects;
use harrier::broker::message::Content;
use harrier::broker::publishing::Copies;
use harrier::broker::queue::{Got, Incoming, Queue, Settlement, Surroundings};
use harrier::broker::store::{NullStore, Store};
use harrier::broker::vhost::{QueueIds, Vhost};
use harrier::wire::method::QueueDeclare;
use harrier::wire::{Body, FieldTable, FieldValue, Properties};

use crate::support::*;

const NOW: Now = Now::at_ms(1_700_000_000_500);

struct Host {
    vhost: Vhost,
    effects: Effects,
}

/// What a queue holds: key, properties without headers, headers.
struct Found {
    exchange: String,
    routing_key: String,
    persistent: bool,
    expiration: Option<Vec<u8>>,
    headers: FieldTable,
}

impl Host {
    fn new() -> Self {
        let store = Arc::new(NullStore::default()) as Arc<dyn Store>;
        Self {
            vhost: Vhost::new(
                "/".into(),
                Arc::new(QueueIds::default()),
                Surroundings::new(store, Arc::default()),
            ),
            effects: Effects::default(),
        }
    }

    /// A queue whose dead letters go to the default exchange, under `key` if given.
    fn queue(&mut self, name: &str, dead_letters: Option<&str>) -> Arc<Queue> {
        let mut arguments = FieldTable::new();
        arguments.push("x-dead-letter-exchange", FieldValue::str(""));
        if let Some(key) = dead_letters {
            arguments.push("x-dead-letter-routing-key", FieldValue::str(key));
        }
        let declare = QueueDeclare {
            queue: name,
            durable: true,
            arguments,
            ..QueueDeclare::default()
        };
        self.vhost
            .declare_queue(&declare, ConnectionId(1), String::new, &mut self.effects)
            .unwrap()
    }

    fn push(&mut self, queue: &Arc<Queue>, key: &str, properties: &[u8]) {
        let parsed = Properties::parse(properties).unwrap();
        let copies = Copies::from_properties(&parsed)
            .unwrap()
            .unwrap_or_default();
        let properties = copies.properties.as_deref().unwrap_or(properties);
        let content = Content {
            exchange: b"orders",
            routing_key: key.as_bytes(),
            properties,
            persistent: Properties::parse(properties).unwrap().is_persistent(),
            dead_lettered: false,
            failed: false,
            blind_copies: &copies.blind_copies,
            body: Body::Borrowed(b"body"),
        };
        queue.push(&Incoming::new(content), &mut self.effects);
    }

    /// Refuses the first message of a queue for good.
    fn reject(&mut self, queue: &Arc<Queue>, now: Now) {
        let effects = &mut self.effects;
        let got = queue.get(false, &Arc::<Sleeper>::default(), effects, |delivery, _| {
            delivery.held
        });
        let held = taken(got).unwrap();
        let how = Settlement::Discard(ReturnCause::Returned);
        queue.settle(&[held.unwrap()], how, &mut self.effects);
        self.effects.set_now(now);
        drain_dead_letters(&self.vhost, &mut self.effects);
    }

    fn take(&mut self, queue: &Arc<Queue>) -> Option<Found> {
        let got = queue.get(
            true,
            &Arc::<Sleeper>::default(),
            &mut self.effects,
            |delivery, _| {
                let message = delivery.message;
                assert_eq!(message.body, b"body");
                assert!(!delivery.redelivered);
                let properties = Properties::parse(message.properties).unwrap();
                let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
                Found {
                    exchange: text(message.exchange),
                    routing_key: text(message.routing_key),
                    persistent: properties.is_persistent(),
                    expiration: properties.expiration.map(<[u8]>::to_vec),
                    headers: properties.headers_table().unwrap(),
                }
            },
        );
        taken(got)
    }
}

fn taken<R>(got: Got<R>) -> Option<R> {
    match got {
        Got::Message(taken) => Some(taken),
        Got::Nothing => None,
        Got::NotYet => panic!("nothing is left to the store here"),
    }
}

fn keys(keys: &[&str]) -> FieldValue {
    FieldValue::Array(keys.iter().map(FieldValue::str).collect())
}

/// The deaths in a header table, the latest first.
fn deaths(headers: &FieldTable) -> Vec<FieldTable> {
    let Some(FieldValue::Array(deaths)) = headers.get("x-death") else {
        panic!("no x-death in {headers:?}");
    };
    let table = |death: &FieldValue| match death {
        FieldValue::Table(table) => table.clone(),
        other => panic!("{other:?}"),
    };
    deaths.iter().map(table).collect()
}

fn names(table: &FieldTable) -> Vec<String> {
    let name = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
    table.iter().map(|(key, _)| name(key)).collect()
}

#[test]
fn a_first_death_says_everything() {
    let mut host = Host::new();
    let (q, dead) = (host.queue("q", Some("dead")), host.queue("dead", None));
    let mut properties = BytesMut::new();
    let published = Properties {
        delivery_mode: Some(2),
        expiration: Some(b"60000"),
        correlation_id: Some(b"order-1"),
        ..Properties::default()
    };
    published.put(&mut properties);
    host.push(&q, "order.placed", &properties);
    host.reject(&q, NOW);
    let found = host.take(&dead).unwrap();
    assert_eq!(
        (found.exchange.as_str(), found.routing_key.as_str()),
        ("", "dead")
    );
    assert!(found.persistent);
    assert_eq!(found.expiration, None);
    let [death] = &deaths(&found.headers)[..] else {
        panic!("{:?}", found.headers);
    };
    let order = [
        "original-expiration",
        "count",
        "reason",
        "queue",
        "time",
        "exchange",
        "routing-keys",
    ];
    assert_eq!(names(death), order);
    assert_eq!(death.get("count"), Some(&FieldValue::I64(1)));
    assert_eq!(death.get("reason"), Some(&FieldValue::str("rejected")));
    assert_eq!(death.get("queue"), Some(&FieldValue::str("q")));
    assert_eq!(
        death.get("time"),
        Some(&FieldValue::Timestamp(1_700_000_000))
    );
    assert_eq!(death.get("exchange"), Some(&FieldValue::str("orders")));
    assert_eq!(death.get("routing-keys"), Some(&keys(&["order.placed"])));
    assert_eq!(
        death.get("original-expiration"),
        Some(&FieldValue::str("60000"))
    );
    for end in ["first", "last"] {
        for (what, value) in [
            ("reason", "rejected"),
            ("queue", "q"),
            ("exchange", "orders"),
        ] {
            let name = format!("x-{end}-death-{what}");
            assert_eq!(
                found.headers.get(&name),
                Some(&FieldValue::str(value)),
                "{name}"
            );
        }
    }
}

#[test]
fn a_repeated_death_is_counted_and_comes_first() {
    let mut host = Host::new();
    let (a, b) = (host.queue("a", Some("b")), host.queue("b", Some("a")));
    host.push(&a, "k", TRANSIENT);
    let later = Now::at_ms(1_700_000_100_000);
    host.reject(&a, NOW);
    host.reject(&b, later);
    host.reject(&a, later);
    let found = host.take(&b).unwrap();
    let found_deaths = deaths(&found.headers);
    let summary: Vec<_> = found_deaths
        .iter()
        .map(|d| {
            (
                d.get("queue").unwrap(),
                d.get("count").unwrap(),
                d.get("time").unwrap(),
            )
        })
        .collect();
    let (a, b) = (FieldValue::str("a"), FieldValue::str("b"));
    let (two, one) = (FieldValue::I64(2), FieldValue::I64(1));
    // The time stays that of the first.
    let first = FieldValue::Timestamp(1_700_000_000);
    let second = FieldValue::Timestamp(1_700_000_100);
    assert_eq!(summary, [(&a, &two, &first), (&b, &one, &second)]);
    assert_eq!(found.headers.get("x-first-death-queue"), Some(&a));
    assert_eq!(
        found.headers.get("x-first-death-exchange"),
        Some(&FieldValue::str("orders"))
    );
    assert_eq!(found.headers.get("x-last-death-queue"), Some(&a));
    assert_eq!(
        found.headers.get("x-last-death-exchange"),
        Some(&FieldValue::str(""))
    );
}

#[test]
fn what_a_client_wrote_as_x_death_is_replaced() {
    let mut host = Host::new();
    let (q, dead) = (host.queue("q", Some("dead")), host.queue("dead", None));
    let mut made_up = FieldTable::new();
    made_up.push("count", 41_i64);
    made_up.push("reason", "rejected");
    made_up.push("queue", "q");
    let mut headers = FieldTable::new();
    headers.push(
        "x-death",
        FieldValue::Array(vec![FieldValue::Table(made_up)]),
    );
    headers.push("x-first-death-queue", "made up");
    headers.push("mine", 7);
    host.push(&q, "k", &Properties::default().with_headers(&headers));
    host.reject(&q, NOW);
    let found = host.take(&dead).unwrap();
    let [death] = &deaths(&found.headers)[..] else {
        panic!("{:?}", found.headers);
    };
    assert_eq!(death.get("count"), Some(&FieldValue::I64(1)));
    assert_eq!(found.headers.get("mine"), Some(&FieldValue::I32(7)));
    assert_eq!(
        found.headers.get("x-first-death-queue"),
        Some(&FieldValue::str("q"))
    );
}

#[test]
fn copies_follow_unless_the_queue_has_a_key_for_its_dead() {
    let headers = FieldTable::from_iter([("CC", keys(&["copy"])), ("BCC", keys(&["blind"]))]);
    let properties = Properties::default().with_headers(&headers);
    for (own_key, expected) in [(true, (1, 1, 1, 0)), (false, (0, 0, 0, 1))] {
        let mut host = Host::new();
        let q = host.queue("q", (!own_key).then_some("dead"));
        let names = ["to", "copy", "blind", "dead"];
        let [to, copy, blind, dead] = names.map(|name| host.queue(name, None));
        host.push(&q, "to", &properties);
        host.reject(&q, NOW);
        let ready = |queue: &Arc<Queue>| queue.counts().ready;
        let all = (ready(&to), ready(&copy), ready(&blind), ready(&dead));
        assert_eq!(all, expected);
        let found = host.take(if own_key { &blind } else { &dead }).unwrap();
        assert_eq!(found.routing_key, if own_key { "to" } else { "dead" });
        assert_eq!(found.headers.get("CC"), Some(&keys(&["copy"])));
        assert_eq!(found.headers.get("BCC"), None, "nobody is to see it");
        let death = &deaths(&found.headers)[0];
        assert_eq!(death.get("routing-keys"), Some(&keys(&["to", "copy"])));
    }
}

#[test]
fn without_a_place_to_go_the_dead_are_gone() {
    let mut host = Host::new();
    let q = host.queue("q", Some("nowhere"));
    host.push(&q, "k", PERSISTENT);
    host.reject(&q, NOW);
    assert_eq!(q.counts().ready, 0);
    assert!(host.effects.is_settled());
}
