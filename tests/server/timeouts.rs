//! Consumer timeouts, as clients see them (`semantics` 9.6).

use harrier::wire::method::*;
use harrier::wire::{FieldTable, FieldValue};

use crate::broker::Broker;
use crate::client::*;

fn declare(client: &mut Client, queue: &str, kind: &str, timeout: Option<i32>) {
    let mut arguments = FieldTable::new();
    arguments.push("x-queue-type", FieldValue::str(kind));
    if let Some(timeout) = timeout {
        arguments.push("x-consumer-timeout", timeout);
    }
    client.declare_durable(queue, arguments);
}

#[test]
fn a_late_consumer_is_cancelled_and_may_settle_all_the_same() {
    let broker = Broker::start();
    for kind in ["quorum", "classic"] {
        let mut client = broker.client();
        declare(&mut client, kind, kind, Some(1000));
        client.consume(1, kind, "late");
        client.publish(1, ("", kind), PERSISTENT, b"x");
        assert_eq!(client.delivery(), (1, false, b"x".into()));
        assert_eq!(client.said(), Said::Cancel(1, "late".into()));
        let mut other = broker.client();
        other.consume(1, kind, "c");
        assert_eq!(other.delivery(), (1, true, b"x".into()));
        // Nothing is left to settle, which is no fault of who tries, and the
        // other still has the message.
        client.send(1, ack(1, false));
        client.is_silent();
        other.send(1, ack(1, false));
        assert_eq!(other.counts(1, kind), (0, 1));
        client.consume(1, kind, "late");
        other.close();
        client.close();
    }
}

#[test]
fn a_client_that_knows_no_cancel_loses_its_channel() {
    let broker = Broker::start();
    let options = Options {
        capabilities: &[],
        ..Options::default()
    };
    let mut client = Client::with(broker.address, options);
    client.open_channel(1);
    declare(&mut client, "q", "quorum", Some(1000));
    client.consume(1, "q", "late");
    client.publish(1, ("", "q"), PERSISTENT, b"x");
    client.delivery();
    let text = "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout \
                value used: 1000 ms. This timeout value can be configured, see consumers doc \
                guide to learn more";
    assert_eq!(client.said(), Said::ChannelClosed(1, 406, text.into()));
    client.send(1, ChannelCloseOk::default());
    client.open_channel(1);
    assert_eq!(client.counts(1, "q"), (1, 0));
}

#[test]
fn the_usual_timeout_is_for_quorum_queues_and_consumers_may_have_another() {
    let broker = Broker::with(&["--consumer-timeout", "1000"]);
    let mut client = broker.client();
    for kind in ["classic", "quorum"] {
        declare(&mut client, kind, kind, None);
        client.publish(1, ("", kind), PERSISTENT, b"x");
        client.publish(1, ("", kind), PERSISTENT, b"y");
    }
    client.qos(1, 1);
    client.consume(1, "classic", "classic");
    client.delivery();
    let patient = BasicConsume {
        arguments: FieldTable::from_iter([("x-consumer-timeout", 600_000.into())]),
        ..consume("quorum", "patient")
    };
    client.ask(1, patient);
    client.delivery();
    client.consume(1, "quorum", "usual");
    client.delivery();
    assert_eq!(client.said(), Said::Cancel(1, "usual".into()));
    assert_eq!(client.counts(1, "classic"), (1, 1));
    assert_eq!(client.counts(1, "quorum"), (1, 1));
}

#[test]
fn a_timeout_makes_room_in_a_shared_prefetch() {
    let broker = Broker::start();
    let mut client = broker.client();
    declare(&mut client, "late", "classic", Some(1000));
    client.declare("q");
    for queue in ["late", "q"] {
        client.publish(1, ("", queue), TRANSIENT, queue.as_bytes());
    }
    let qos = BasicQos {
        prefetch_count: 1,
        global: true,
        ..BasicQos::default()
    };
    client.ask(1, qos);
    client.consume(1, "late", "late");
    assert_eq!(client.delivery().2, b"late");
    client.consume(1, "q", "c");
    assert_eq!(client.said(), Said::Cancel(1, "late".into()));
    assert_eq!(client.delivery().2, b"q");
}

#[test]
fn a_channel_may_be_closed_instead() {
    let broker = Broker::with(&["--consumer-timeout-response", "close_channel"]);
    let mut client = broker.client();
    declare(&mut client, "q", "quorum", Some(1000));
    client.consume(1, "q", "late");
    client.publish(1, ("", "q"), PERSISTENT, b"x");
    client.delivery();
    assert!(matches!(client.said(), Said::ChannelClosed(1, 406, _)));
    client.send(1, ChannelCloseOk::default());
    client.open_channel(1);
    assert_eq!(client.counts(1, "q"), (1, 0));
}

#[test]
fn a_channel_that_got_a_message_has_to_settle_it_in_time() {
    let broker = Broker::start();
    let mut client = broker.client();
    declare(&mut client, "q", "quorum", Some(1000));
    for body in [b"x", b"y"] {
        client.publish(1, ("", "q"), PERSISTENT, body);
    }
    // One that is settled in time doesn't count.
    assert_eq!(client.get("q").unwrap().2.body, b"x");
    client.send(1, ack(1, false));
    assert_eq!(client.get("q").unwrap().2.body, b"y");
    let text = "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout \
                value used: 1000 ms. This timeout value can be configured, see consumers doc \
                guide to learn more";
    assert_eq!(client.said(), Said::ChannelClosed(1, 406, text.into()));
    client.send(1, ChannelCloseOk::default());
    client.open_channel(1);
    assert_eq!(client.counts(1, "q"), (1, 0));
}
