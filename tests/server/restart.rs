//! What a restart leaves of queues and of what happened to their messages,
//! after a clean stop and after a kill.

use harrier::wire::method::*;
use harrier::wire::{FieldTable, Properties};

use crate::broker::Broker;
use crate::client::*;

/// Delivery mode 2, priority 5, an hour to live.
const VALUED: &[u8] = b"\x19\x00\x02\x05\x073600000";
/// Delivery mode 1.
const TRANSIENT: &[u8] = &[0x10, 0, 1];

/// Ends the broker, cleanly or not, and starts another on the same directory.
fn restarted(mut broker: Broker, directory: &std::path::Path, cleanly: bool) -> Broker {
    if cleanly {
        broker.terminate();
        assert!(broker.exit().success());
    } else {
        broker.kill();
    }
    Broker::on(directory, &[])
}

/// Everything sent before is on disk once this returns.
fn settle_down(client: &mut Client) {
    client.open_channel(9);
    client.confirm_select(9);
    client.publish(9, ("", "marks"), PERSISTENT, b"mark");
    match client.said() {
        Said::Ack { channel: 9, .. } => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_happened_to_messages_outlives_a_restart() {
    for cleanly in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let broker = Broker::on(directory.path(), &[]);
        let mut client = broker.client();
        client.declare_durable("marks", FieldTable::new());
        client.declare_durable("q", FieldTable::new());
        for number in 1..=6_u8 {
            let properties = if number == 3 { TRANSIENT } else { VALUED };
            client.publish(1, ("", "q"), properties, &[number]);
        }
        // 1 is requeued, 2 acknowledged, 3 transient, 4 held when it ends.
        for number in 1..=4 {
            let (tag, redelivered, message) = client.get("q").unwrap();
            assert_eq!((message.body, redelivered), (vec![number], false));
            if number == 2 {
                client.send(1, ack(tag, false));
            }
        }
        client.send(1, nack(1, false, true));
        settle_down(&mut client);
        let broker = restarted(broker, directory.path(), cleanly);
        let mut client = broker.client();
        assert_eq!(client.counts(1, "q"), (4, 0), "cleanly: {cleanly}");
        for (number, before) in [(1, true), (4, true), (5, false), (6, false)] {
            let (_, redelivered, message) = client.get("q").unwrap();
            assert_eq!(message.body, [number]);
            assert_eq!(redelivered, before, "message {number}, cleanly: {cleanly}");
            assert_eq!(message.properties, VALUED);
        }
        assert_eq!(client.get("q"), None);
    }
}

#[test]
fn queues_and_bindings_outlive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::on(directory.path(), &[]);
    let mut client = broker.client();
    client.declare_durable("marks", FieldTable::new());
    let unnamed = QueueDeclare {
        durable: true,
        ..QueueDeclare::default()
    };
    let Said::Declared { queue, .. } = client.ask(1, unnamed.clone()) else {
        panic!("a queue is declared");
    };
    let exclusive = QueueDeclare {
        queue: "mine",
        exclusive: true,
        ..unnamed
    };
    assert!(matches!(client.ask(1, exclusive), Said::Declared { .. }));
    let bind = QueueBind {
        queue: &queue,
        exchange: "amq.headers",
        arguments: FieldTable::from_iter([("x-match", "any".into()), ("colour", "red".into())]),
        ..QueueBind::default()
    };
    assert_eq!(client.ask(1, bind), Said::Other(1, (50, 21)));
    settle_down(&mut client);
    let broker = restarted(broker, directory.path(), false);
    let mut client = broker.client();
    let headers = FieldTable::from_iter([("colour", "red".into())]);
    let red = Properties::default().with_headers(&headers);
    client.publish(1, ("amq.headers", ""), &red, b"red");
    client.publish(1, ("amq.headers", ""), PERSISTENT, b"no colour");
    assert_eq!(client.get(&queue).unwrap().2.body, b"red");
    assert_eq!(client.get(&queue), None);
    let mine = QueueDeclare {
        queue: "mine",
        passive: true,
        ..QueueDeclare::default()
    };
    assert!(matches!(
        client.ask(1, mine),
        Said::ChannelClosed(1, 404, _)
    ));
}

/// The history of a dead letter is part of its properties.
#[test]
fn a_dead_letters_history_outlives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::on(directory.path(), &[]);
    let mut client = broker.client();
    client.declare_durable("marks", FieldTable::new());
    let arguments = FieldTable::from_iter([
        ("x-dead-letter-exchange", "".into()),
        ("x-dead-letter-routing-key", "dead".into()),
    ]);
    client.declare_durable("q", arguments);
    client.declare_durable("dead", FieldTable::new());
    client.publish(1, ("", "q"), VALUED, b"letter");
    let (tag, ..) = client.get("q").unwrap();
    client.send(1, nack(tag, false, false));
    let (tag, _, before) = client.get("dead").unwrap();
    client.send(1, nack(tag, false, true));
    settle_down(&mut client);
    let broker = restarted(broker, directory.path(), false);
    let mut client = broker.client();
    assert_eq!(client.counts(1, "q"), (0, 0));
    let (_, redelivered, after) = client.get("dead").unwrap();
    assert_eq!(after, before);
    assert!(redelivered, "it was handed out and came back");
    let properties = Properties::parse(&after.properties).unwrap();
    let headers = properties.headers_table().unwrap();
    assert!(headers.get("x-death").is_some(), "{headers:?}");
}
