//! The recent-history exchange: what has come by, again for what is bound later.

use std::sync::Arc;

use harrier::broker::message::Content;
use harrier::broker::publishing::Copies;
use harrier::broker::queue::{Got, Incoming, Queue};
use harrier::broker::routing::{RawTraits, RoutingKeys};
use harrier::broker::subscriber::Wake;
use harrier::wire::{Body, FieldTable, FieldValue, Properties};

use crate::support::{Host, exchange, table, text, to_exchange, to_queue};

#[derive(Debug)]
struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

/// An exchange `x` that keeps three.
fn host() -> Host {
    let mut host = Host::new();
    let mut request = exchange("x", "x-recent-history");
    request.arguments = table(&[("x-recent-history-length", 3.into())]);
    host.declare_exchange(&request).unwrap();
    host
}

fn publish_with(host: &mut Host, to: &str, key: &str, body: &str, headers: FieldTable) {
    let raw = Properties::default().with_headers(&headers);
    let parsed = Properties::parse(&raw).unwrap();
    let copies = Copies::from_properties(&parsed)
        .unwrap()
        .unwrap_or_default();
    let incoming = Incoming::new(Content {
        exchange: to.as_bytes(),
        routing_key: key.as_bytes(),
        properties: copies.properties.as_deref().unwrap_or(&raw),
        persistent: false,
        dead_lettered: false,
        failed: false,
        blind_copies: &[],
        body: Body::Borrowed(body.as_bytes()),
    });
    let keys: Vec<&[u8]> = copies.keys.iter().map(|key| &key[..]).collect();
    let mut queues = Vec::new();
    let keys = RoutingKeys::with_copies(key, &keys);
    host.vhost
        .route(to, keys, &mut RawTraits::of(&incoming), &mut queues)
        .unwrap();
    for queue in &queues {
        queue.push(&incoming, &mut host.effects);
    }
}

fn publish(host: &mut Host, to: &str, body: &str) {
    publish_with(host, to, "k", body, FieldTable::new());
}

/// Takes everything out of a queue: the bodies.
fn bodies(host: &mut Host, queue: &Arc<Queue>) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let effects = &mut host.effects;
        let got = queue.get(true, &Arc::new(Nobody), effects, |delivery, _| {
            assert!(!delivery.redelivered);
            String::from_utf8_lossy(delivery.message.body).into_owned()
        });
        match got {
            Got::Message(body) => all.push(body),
            Got::Nothing => return all,
            Got::NotYet => panic!("nothing is stored here"),
        }
    }
}

#[test]
fn what_is_bound_later_gets_the_last_messages_again() {
    let mut host = host();
    let early = host.queue("early");
    host.bind(to_queue("x", "early", "")).unwrap();
    for body in ["1", "2", "3", "4"] {
        publish(&mut host, "x", body);
    }
    let late = host.queue("late");
    host.bind(to_queue("x", "late", "any")).unwrap();
    assert_eq!(bodies(&mut host, &late), ["2", "3", "4"]);
    host.bind(to_queue("x", "late", "any")).unwrap();
    assert!(bodies(&mut host, &late).is_empty(), "it was bound already");
    host.bind(to_queue("x", "late", "other")).unwrap();
    assert_eq!(bodies(&mut host, &late), ["2", "3", "4"]);
    publish(&mut host, "x", "5");
    assert_eq!(bodies(&mut host, &late), ["5"]);
    assert_eq!(bodies(&mut host, &early), ["1", "2", "3", "4", "5"]);
}

#[test]
fn twenty_are_kept_when_nothing_is_said() {
    let mut host = Host::new();
    host.exchange("x", "x-recent-history");
    for number in 0..30 {
        publish(&mut host, "x", &number.to_string());
    }
    let late = host.queue("late");
    host.bind(to_queue("x", "late", "")).unwrap();
    let kept: Vec<_> = (10..30).map(|number| number.to_string()).collect();
    assert_eq!(bodies(&mut host, &late), kept);
}

#[test]
fn a_message_may_ask_not_to_be_kept() {
    let mut host = host();
    let header = |value: FieldValue| table(&[("x-recent-history-no-store", value)]);
    publish_with(&mut host, "x", "k", "kept", header(false.into()));
    publish_with(&mut host, "x", "k", "not kept", header(true.into()));
    publish_with(&mut host, "x", "k", "kept, too", header("true".into()));
    let late = host.queue("late");
    host.bind(to_queue("x", "late", "")).unwrap();
    assert_eq!(bodies(&mut host, &late), ["kept", "kept, too"]);
}

#[test]
fn an_exchange_bound_later_routes_what_was_kept() {
    let mut host = host();
    host.exchange("source", "fanout");
    host.bind(to_exchange("source", "x", "")).unwrap();
    publish_with(&mut host, "source", "a", "by key", FieldTable::new());
    let copies = |name: &str| table(&[(name, FieldValue::Array(vec!["a".into()]))]);
    publish_with(&mut host, "source", "b", "by copy", copies("CC"));
    publish_with(&mut host, "source", "b", "by blind copy", copies("BCC"));
    publish_with(&mut host, "x", "b", "not at all", copies("h"));
    let late = host.queue("late");
    host.exchange("late", "direct");
    host.bind(to_queue("late", "late", "a")).unwrap();
    host.bind(to_exchange("x", "late", "whatever")).unwrap();
    assert_eq!(bodies(&mut host, &late), ["by copy", "by blind copy"]);
}

#[test]
fn what_one_history_is_told_by_another_it_keeps() {
    let mut host = host();
    publish(&mut host, "x", "1");
    host.exchange("y", "x-recent-history");
    host.bind(to_exchange("x", "y", "")).unwrap();
    let late = host.queue("late");
    host.bind(to_queue("y", "late", "")).unwrap();
    assert_eq!(bodies(&mut host, &late), ["1"]);
}

#[test]
fn asking_for_a_route_leaves_no_message_behind() {
    let mut host = host();
    assert!(host.route("x", "k").is_empty());
    let late = host.queue("late");
    host.bind(to_queue("x", "late", "")).unwrap();
    assert!(bodies(&mut host, &late).is_empty());
}

#[test]
fn a_history_is_bounded_in_octets() {
    let mut host = Host::new();
    let mut request = exchange("x", "x-recent-history");
    request.arguments = table(&[("x-recent-history-length", i64::MAX.into())]);
    host.declare_exchange(&request).unwrap();
    for _ in 0..5 {
        publish(&mut host, "x", &"o".repeat(16 * 1024 * 1024));
    }
    let late = host.queue("late");
    host.bind(to_queue("x", "late", "")).unwrap();
    assert_eq!(
        bodies(&mut host, &late).len(),
        3,
        "four and their keys are too much"
    );
}

#[test]
fn a_length_that_is_none_is_refused() {
    for (value, shown) in [
        (0.into(), "0"),
        (FieldValue::I64(-1), "-1"),
        ("x".into(), "<<\"x\">>"),
        (true.into(), "true"),
        (FieldValue::U32(5), "5"),
    ] {
        let mut request = exchange("x", "x-recent-history");
        request.arguments = table(&[("x-recent-history-length", value)]);
        assert_eq!(
            text(Host::new().declare_exchange(&request)),
            format!(
                "PRECONDITION_FAILED - Invalid argument {shown}, 'x-recent-history-length' must \
                 be a positive integer"
            )
        );
    }
}

#[test]
fn a_length_asked_for_again_makes_no_difference() {
    let mut host = host();
    // As in RabbitMQ, which compares the alternate exchange alone.
    host.exchange("x", "x-recent-history");
    assert_eq!(
        text(host.declare_exchange(&exchange("x", "fanout"))),
        "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/': received \
         'fanout' but current is ''x-recent-history''"
    );
}
