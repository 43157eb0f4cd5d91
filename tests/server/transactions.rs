//! Transactions: nothing shows before the commit, nothing is left of a rollback.

use bytes::BytesMut;
use harrier::wire::method::*;
use harrier::wire::{FieldTable, Properties};

use crate::broker::Broker;
use crate::client::*;

fn transactional(broker: &Broker) -> Client {
    let mut client = broker.client();
    client.declare_durable("q", FieldTable::new());
    client.open_channel(2);
    assert_eq!(client.ask(2, TxSelect::default()), Said::Other(2, (90, 11)));
    client
}

/// Properties of a request.
fn asking() -> BytesMut {
    let mut raw = BytesMut::new();
    let properties = Properties {
        reply_to: Some(b"amq.rabbitmq.reply-to"),
        ..Properties::default()
    };
    properties.put(&mut raw);
    raw
}

#[test]
fn a_commit_publishes_and_settles() {
    let broker = Broker::start();
    let mut client = transactional(&broker);
    client.publish(1, ("", "q"), TRANSIENT, b"first");
    client.consume(2, "q", "c");
    assert_eq!(client.delivery(), (1, false, b"first".into()));
    client.put(2, ack(1, false));
    client.put_publish(2, ("", "q"), PERSISTENT, b"second");
    client.flush();
    client.qos(2, 0);
    assert_eq!(client.counts(1, "q"), (0, 1));
    client.send(2, TxCommit::default());
    // Publishes come first, and the consumer is the same connection.
    assert_eq!(client.delivery(), (2, false, b"second".into()));
    assert_eq!(client.said(), Said::Other(2, (90, 21)));
    let close = ChannelClose {
        reply_code: 200,
        ..ChannelClose::default()
    };
    assert_eq!(client.ask(2, close), Said::Other(2, (20, 41)));
    // The first was acknowledged for good, the second wasn't.
    assert_eq!(client.get("q").unwrap().2.body, b"second");
    assert!(client.get("q").is_none());
}

#[test]
fn a_rollback_leaves_nothing_and_tags_can_be_used_again() {
    let broker = Broker::start();
    let mut client = transactional(&broker);
    client.publish(1, ("", "q"), TRANSIENT, b"first");
    client.consume(2, "q", "c");
    client.delivery();
    client.put(2, ack(1, false));
    client.put_publish(2, ("", "q"), TRANSIENT, b"never");
    client.flush();
    assert_eq!(
        client.ask(2, TxRollback::default()),
        Said::Other(2, (90, 31))
    );
    client.send(2, ack(1, false));
    assert_eq!(client.ask(2, TxCommit::default()), Said::Other(2, (90, 21)));
    assert_eq!(client.counts(1, "q"), (0, 1));
    let close = ChannelClose {
        reply_code: 200,
        ..ChannelClose::default()
    };
    assert_eq!(client.ask(2, close), Said::Other(2, (20, 41)));
    assert_eq!(client.counts(1, "q"), (0, 0));
}

#[test]
fn closing_the_channel_rolls_back() {
    let broker = Broker::start();
    let mut client = transactional(&broker);
    client.publish(2, ("", "q"), TRANSIENT, b"never");
    let close = ChannelClose {
        reply_code: 200,
        ..ChannelClose::default()
    };
    assert_eq!(client.ask(2, close), Said::Other(2, (20, 41)));
    assert_eq!(client.counts(1, "q"), (0, 0));
}

#[test]
fn returns_come_with_the_commit() {
    let broker = Broker::start();
    let mut client = transactional(&broker);
    let mandatory = BasicPublish {
        mandatory: true,
        ..publish(("", "nowhere"))
    };
    client.put_publish_as(2, mandatory, TRANSIENT, b"back");
    client.flush();
    client.qos(2, 0);
    client.send(2, TxCommit::default());
    match client.said() {
        Said::Returned {
            code: 312, message, ..
        } => assert_eq!(message.body, b"back"),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.said(), Said::Other(2, (90, 21)));
}

#[test]
fn checks_are_made_at_once() {
    let broker = Broker::start();
    let mut client = transactional(&broker);
    client.publish(2, ("none", ""), TRANSIENT, b"x");
    assert!(matches!(client.said(), Said::ChannelClosed(2, 404, _)));
    let mut client = transactional(&broker);
    let text = "PRECONDITION_FAILED - unknown delivery tag 5";
    assert_eq!(
        client.ask(2, ack(5, false)),
        Said::ChannelClosed(2, 406, text.into())
    );
}

#[test]
fn a_channel_without_a_transaction_has_nothing_to_commit() {
    let broker = Broker::start();
    let mut client = broker.client();
    let text = "PRECONDITION_FAILED - channel is not transactional";
    assert_eq!(
        client.ask(1, TxCommit::default()),
        Said::ChannelClosed(1, 406, text.into())
    );
}

#[test]
fn a_delivery_is_settled_once_in_a_transaction() {
    let broker = Broker::start();
    let mut client = transactional(&broker);
    client.publish(1, ("", "q"), TRANSIENT, b"first");
    client.consume(2, "q", "c");
    client.delivery();
    client.put(2, ack(1, false));
    client.put(2, ack(1, false));
    client.flush();
    let text = "PRECONDITION_FAILED - unknown delivery tag 1";
    assert_eq!(client.said(), Said::ChannelClosed(2, 406, text.into()));
}

#[test]
fn settling_everything_means_what_is_outstanding_then() {
    let broker = Broker::start();
    let mut client = transactional(&broker);
    client.publish(1, ("", "q"), TRANSIENT, b"first");
    client.consume(2, "q", "c");
    client.delivery();
    client.put(2, ack(0, true));
    client.put(2, ack(0, true));
    client.flush();
    client.qos(2, 0);
    client.publish(1, ("", "q"), TRANSIENT, b"second");
    client.delivery();
    assert_eq!(client.ask(2, TxCommit::default()), Said::Other(2, (90, 21)));
    let close = ChannelClose {
        reply_code: 200,
        ..ChannelClose::default()
    };
    assert_eq!(client.ask(2, close), Said::Other(2, (20, 41)));
    assert_eq!(client.get("q").unwrap().2.body, b"second");
    assert!(client.get("q").is_none());
}

#[test]
fn a_queue_that_refuses_leaves_nothing_of_a_transaction() {
    let broker = Broker::start();
    let mut client = transactional(&broker);
    let full = FieldTable::from_iter([
        ("x-max-length", 0.into()),
        ("x-overflow", "reject-publish".into()),
    ]);
    client.declare_durable("full", full);
    let replies = BasicConsume {
        no_ack: true,
        ..consume("amq.rabbitmq.reply-to", "replies")
    };
    client.ask(1, replies);
    client.publish(1, ("", "q"), &asking(), b"?");
    let (_, _, request) = client.get("q").unwrap();
    let address = Properties::parse(&request.properties).unwrap().reply_to;
    let address = String::from_utf8(address.unwrap().into()).unwrap();
    client.publish(1, ("", "q"), TRANSIENT, b"first");
    client.consume(2, "q", "c");
    client.delivery();
    client.put(2, ack(1, false));
    for to in ["q", &address, "full"] {
        client.put_publish(2, ("", to), PERSISTENT, b"never");
    }
    let text = "PRECONDITION_FAILED - partial tx completion";
    let said = client.ask(2, TxCommit::default());
    assert_eq!(said, Said::ChannelClosed(2, 406, text.into()));
    client.send(2, ChannelCloseOk {});
    let (_, redelivered, message) = client.get("q").unwrap();
    assert_eq!((redelivered, &message.body[..]), (true, &b"first"[..]));
    assert_eq!(client.get("q"), None);
}

#[test]
fn a_waiting_consumer_is_asked_before_a_commit_finds_the_queue_full() {
    for kind in ["classic", "quorum"] {
        let broker = Broker::start();
        let mut client = transactional(&broker);
        let full = [("x-max-length", 0.into()), ("x-queue-type", kind.into())];
        client.declare_durable("full", FieldTable::from_iter(full));
        client.consume(1, "full", "c");
        client.publish(2, ("", "full"), PERSISTENT, b"x");
        client.send(2, TxCommit::default());
        assert_eq!(client.delivery(), (1, false, b"x".into()), "{kind}");
    }
}

#[test]
fn what_was_committed_survives_whole_and_what_was_not_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::on(directory.path(), &[]);
    let mut client = transactional(&broker);
    let arguments = FieldTable::from_iter([
        ("x-dead-letter-exchange", "".into()),
        ("x-dead-letter-routing-key", "dead".into()),
    ]);
    client.declare_durable("in", arguments);
    client.declare_durable("dead", FieldTable::new());
    client.confirm_select(1);
    for body in [b"a", b"b", b"c", b"d"] {
        client.publish(1, ("", "in"), PERSISTENT, body);
    }
    client.confirmed(4);
    client.consume(2, "in", "c");
    for _ in 0..4 {
        client.delivery();
    }
    client.put(2, ack(1, false));
    client.put(2, nack(2, false, false));
    for body in [b"1", b"2"] {
        client.put_publish(2, ("", "q"), PERSISTENT, body);
    }
    assert_eq!(client.ask(2, TxCommit::default()), Said::Other(2, (90, 21)));
    client.put(2, ack(3, false));
    client.put_publish(2, ("", "q"), PERSISTENT, b"never");
    client.qos(2, 0);
    broker.kill();
    let broker = Broker::on(directory.path(), &[]);
    let mut client = broker.client();
    for (queue, kept) in [
        ("in", &[("c", true), ("d", true)][..]),
        ("q", &[("1", false), ("2", false)]),
        ("dead", &[("b", false)]),
    ] {
        for (body, redelivered) in kept {
            let (_, again, message) = client.get(queue).unwrap();
            assert_eq!((&message.body[..], again), (body.as_bytes(), *redelivered));
        }
        assert_eq!(client.get(queue), None);
    }
}
