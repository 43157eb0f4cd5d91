//! Messages that wait for something, and what a restart makes of that.

use std::path::Path;
use std::time::{Duration, Instant};

use harrier::wire::method::*;
use harrier::wire::{FieldTable, FieldValue, Properties};

use crate::broker::Broker;
use crate::client::*;

/// Persistent, with a priority.
fn of_priority(priority: u8) -> Vec<u8> {
    raw(Properties {
        delivery_mode: Some(2),
        priority: Some(priority),
        ..Properties::default()
    })
}

/// Persistent, with milliseconds to live.
fn expiring(ms: &[u8]) -> Vec<u8> {
    raw(Properties {
        delivery_mode: Some(2),
        expiration: Some(ms),
        ..Properties::default()
    })
}

fn raw(properties: Properties<'_>) -> Vec<u8> {
    let mut raw = bytes::BytesMut::new();
    properties.put(&mut raw);
    raw.to_vec()
}

/// Kills the broker once all that was sent to it is on disk, and starts another.
fn killed(broker: Broker, mut client: Client, directory: &Path) -> Broker {
    client.declare_durable("marks", FieldTable::new());
    client.open_channel(9);
    client.confirm_select(9);
    client.publish(9, ("", "marks"), PERSISTENT, b"mark");
    match client.said() {
        Said::Ack { channel: 9, .. } => {}
        other => panic!("{other:?}"),
    }
    broker.kill();
    Broker::on(directory, &[])
}

/// Gets a message and its tag, waiting for it to arrive.
fn wait_for(client: &mut Client, queue: &str) -> (u64, Message) {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some((tag, _, message)) = client.get(queue) {
            return (tag, message);
        }
        assert!(Instant::now() < patience, "nothing arrives in {queue}");
        std::thread::yield_now();
    }
}

#[test]
fn priorities_outlive_a_restart() {
    for (kind, highest) in [("classic", Some(9)), ("quorum", None)] {
        let directory = tempfile::tempdir().unwrap();
        let broker = Broker::on(directory.path(), &[]);
        let mut client = broker.client();
        let mut arguments = FieldTable::from_iter([("x-queue-type", FieldValue::str(kind))]);
        if let Some(highest) = highest {
            arguments.push("x-max-priority", highest);
        }
        client.declare_durable("q", arguments);
        for (number, priority) in [(1, 0), (2, 7), (3, 4), (4, 7), (5, 0), (6, 200)] {
            client.publish(1, ("", "q"), &of_priority(priority), &[number]);
        }
        // Rejected once and back again.
        let (tag, ..) = client.get("q").unwrap();
        client.send(1, nack(tag, false, true));
        let broker = killed(broker, client, directory.path());
        let mut client = broker.client();
        assert_eq!(client.counts(1, "q"), (6, 0), "{kind}");
        for number in [6, 2, 4, 3, 1, 5] {
            let (_, redelivered, message) = client.get("q").unwrap();
            assert_eq!(message.body, [number], "{kind}");
            assert_eq!(redelivered, number == 6, "{kind}");
        }
        assert_eq!(client.get("q"), None);
    }
}

#[test]
fn what_expires_while_the_broker_is_down_is_dead_lettered_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::on(directory.path(), &[]);
    let mut client = broker.client();
    let arguments = FieldTable::from_iter([
        ("x-dead-letter-exchange", "".into()),
        ("x-dead-letter-routing-key", "dead".into()),
    ]);
    client.declare_durable("q", arguments);
    client.declare_durable("dead", FieldTable::new());
    client.publish(1, ("", "q"), &expiring(b"300"), b"short");
    client.publish(1, ("", "q"), &expiring(b"3600000"), b"long");
    let broker = killed(broker, client, directory.path());
    let mut client = broker.client();
    let (_, letter) = wait_for(&mut client, "dead");
    assert_eq!(letter.body, b"short");
    let properties = Properties::parse(&letter.properties).unwrap();
    let headers = properties.headers_table().unwrap();
    let reason = headers.get("x-last-death-reason");
    assert_eq!(reason, Some(&FieldValue::str("expired")));
    assert_eq!(client.get("q").unwrap().2.body, b"long");
}

#[test]
fn what_an_exchange_holds_back_outlives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::on(directory.path(), &[]);
    let mut client = broker.client();
    client.declare_durable("q", FieldTable::new());
    let declare = ExchangeDeclare {
        exchange: "later",
        kind: "x-delayed-message",
        durable: true,
        arguments: FieldTable::from_iter([("x-delayed-type", "direct".into())]),
        ..ExchangeDeclare::default()
    };
    assert_eq!(client.ask(1, declare), Said::Other(1, (40, 11)));
    let bind = QueueBind {
        queue: "q",
        exchange: "later",
        routing_key: "due",
        ..QueueBind::default()
    };
    assert_eq!(client.ask(1, bind), Said::Other(1, (50, 21)));
    let delayed = |ms: i32| {
        let properties = Properties {
            delivery_mode: Some(2),
            ..Properties::default()
        };
        let headers = FieldTable::from_iter([("x-delay", ms.into())]);
        properties.with_headers(&headers).to_vec()
    };
    client.publish(1, ("later", "due"), &delayed(500), b"soon");
    client.publish(1, ("later", "due"), &delayed(3_600_000), b"in an hour");
    let broker = killed(broker, client, directory.path());
    let mut client = broker.client();
    assert_eq!(wait_for(&mut client, "q").1.body, b"soon");
    assert_eq!(client.get("q"), None);
}

#[test]
fn attempts_are_counted_through_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut broker = Broker::on(directory.path(), &[]);
    let arguments = || {
        FieldTable::from_iter([
            ("x-queue-type", "quorum".into()),
            ("x-delivery-limit", 2.into()),
            ("x-dead-letter-exchange", "".into()),
            ("x-dead-letter-routing-key", "dead".into()),
        ])
    };
    broker.client().declare_durable("dead", FieldTable::new());
    broker.client().declare_durable("q", arguments());
    broker.client().publish(1, ("", "q"), PERSISTENT, b"poison");
    for attempt in 0..3_i64 {
        let mut client = broker.client();
        let (delivery_tag, message) = wait_for(&mut client, "q");
        let properties = Properties::parse(&message.properties).unwrap();
        let headers = properties.headers_table().unwrap();
        let count = headers.get("x-delivery-count").cloned();
        assert_eq!(count, (attempt > 0).then_some(FieldValue::I64(attempt)));
        let reject = BasicReject {
            delivery_tag,
            requeue: true,
        };
        client.send(1, reject);
        broker = killed(broker, client, directory.path());
    }
    let mut client = broker.client();
    assert_eq!(wait_for(&mut client, "dead").1.body, b"poison");
    assert_eq!(client.counts(1, "q"), (0, 0));
}
