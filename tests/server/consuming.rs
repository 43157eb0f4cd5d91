//! Consumers: order of what they hear, prefetch, turns, cancellation.

use harrier::wire::FieldTable;
use harrier::wire::method::*;

use crate::broker::Broker;
use crate::client::*;

/// Publishes bodies `0..count`, one octet each.
fn fill(client: &mut Client, queue: &str, count: u8) {
    for body in 0..count {
        client.put_publish(1, ("", queue), TRANSIENT, &[body]);
    }
    client.flush();
}

#[test]
fn consume_ok_comes_before_the_first_delivery() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    fill(&mut client, "q", 100);
    client.consume(1, "q", "c");
    for at in 0..100_u8 {
        assert_eq!(client.delivery(), (u64::from(at) + 1, false, vec![at]));
    }
    client.is_silent();
}

#[test]
fn a_delivery_says_where_it_comes_from() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    let bind = QueueBind {
        queue: "q",
        exchange: "amq.topic",
        routing_key: "a.#",
        ..QueueBind::default()
    };
    assert_eq!(client.ask(1, bind), Said::Other(1, (50, 21)));
    client.consume(1, "q", "c");
    // Content type and type, to see that properties pass unchanged.
    let properties = [&[0x80, 0x20, 1, b'x', 2][..], b"yz"].concat();
    client.publish(1, ("amq.topic", "a.b"), &properties, b"body");
    let expected = Said::Deliver {
        channel: 1,
        consumer: "c".into(),
        tag: 1,
        redelivered: false,
        message: Message {
            exchange: "amq.topic".into(),
            routing_key: "a.b".into(),
            properties,
            body: b"body".into(),
        },
    };
    assert_eq!(client.said(), expected);
}

#[test]
fn a_consumer_without_a_tag_gets_one() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    match client.ask(1, consume("q", "")) {
        Said::ConsumeOk(1, tag) => {
            assert!(tag.starts_with("amq.ctag-"), "{tag}");
            assert_eq!(tag.len(), "amq.ctag-".len() + 22);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_delivered_after_cancel_ok_and_what_was_stays_with_the_channel() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    fill(&mut client, "q", 3);
    client.qos(1, 2);
    client.consume(1, "q", "c");
    assert_eq!(client.delivery(), (1, false, vec![0]));
    assert_eq!(client.delivery(), (2, false, vec![1]));
    let cancel = BasicCancel {
        consumer_tag: "c",
        ..BasicCancel::default()
    };
    assert_eq!(client.ask(1, cancel.clone()), Said::CancelOk(1, "c".into()));
    client.send(1, ack(1, false));
    client.is_silent();
    assert_eq!(client.counts(1, "q"), (1, 0));
    client.send(1, nack(2, false, true));
    assert_eq!(client.counts(1, "q"), (2, 0));
    // Once more: there is no such consumer now.
    assert_eq!(client.ask(1, cancel), Said::CancelOk(1, "c".into()));
}

#[test]
fn a_deleted_queue_cancels_its_consumers_after_delete_ok() {
    let broker = Broker::start();
    for durable in [false, true] {
        let mut client = broker.client();
        let mut other = broker.client();
        let mut unaware = Client::with(
            broker.address,
            Options {
                capabilities: &[],
                ..Options::default()
            },
        );
        unaware.open_channel(1);
        if durable {
            client.declare_durable("durable", FieldTable::new());
        } else {
            client.declare("transient");
        }
        let queue = if durable { "durable" } else { "transient" };
        client.consume(1, queue, "mine");
        other.consume(1, queue, "other");
        unaware.consume(1, queue, "unaware");
        let delete = QueueDelete {
            queue,
            ..QueueDelete::default()
        };
        assert_eq!(client.ask(1, delete), Said::Deleted(1, 0));
        assert_eq!(client.said(), Said::Cancel(1, "mine".into()));
        assert_eq!(other.said(), Said::Cancel(1, "other".into()));
        unaware.is_silent();
        // The answer to a cancel is tolerated, and the tag is free again.
        client.send(
            1,
            BasicCancelOk {
                consumer_tag: "mine",
            },
        );
        client.declare(queue);
        client.consume(1, queue, "mine");
    }
}

#[test]
fn an_ack_for_a_queue_that_is_gone_is_fine() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    fill(&mut client, "q", 1);
    client.consume(1, "q", "c");
    client.delivery();
    let delete = QueueDelete {
        queue: "q",
        ..QueueDelete::default()
    };
    assert_eq!(client.ask(1, delete), Said::Deleted(1, 0));
    assert_eq!(client.said(), Said::Cancel(1, "c".into()));
    client.send(1, ack(1, false));
    client.is_silent();
}

#[test]
fn prefetch_bounds_what_each_consumer_holds() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    fill(&mut client, "q", 6);
    client.qos(1, 2);
    client.consume(1, "q", "two");
    assert_eq!(client.delivery(), (1, false, vec![0]));
    assert_eq!(client.delivery(), (2, false, vec![1]));
    client.qos(1, 1);
    client.consume(1, "q", "one");
    assert_eq!(client.delivery(), (3, false, vec![2]));
    client.is_silent();
    // Gets don't count.
    assert!(client.get("q").is_some());
    client.send(1, ack(3, false));
    match client.said() {
        Said::Deliver {
            consumer, message, ..
        } => {
            assert_eq!((consumer.as_str(), message.body), ("one", vec![4]));
        }
        other => panic!("{other:?}"),
    }
    client.is_silent();
}

#[test]
fn consumers_take_turns() {
    let broker = Broker::start();
    let mut publisher = broker.client();
    publisher.declare("q");
    let mut consumers = [broker.client(), broker.client(), broker.client()];
    for consumer in &mut consumers {
        consumer.consume(1, "q", "c");
    }
    fill(&mut publisher, "q", 9);
    for (at, consumer) in (0_u8..).zip(&mut consumers) {
        for round in 0..3 {
            assert_eq!(consumer.delivery().2, [round * 3 + at]);
        }
    }
}

#[test]
fn a_higher_priority_is_served_first_until_it_has_enough() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    client.qos(1, 2);
    for (tag, priority) in [("low", -1), ("high", 5)] {
        let consume = BasicConsume {
            arguments: FieldTable::from_iter([("x-priority", priority.into())]),
            ..consume("q", tag)
        };
        assert_eq!(client.ask(1, consume), Said::ConsumeOk(1, tag.into()));
    }
    fill(&mut client, "q", 5);
    let order: Vec<String> = (0..4)
        .map(|_| match client.said() {
            Said::Deliver { consumer, .. } => consumer,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(order, ["high", "high", "low", "low"]);
}

#[test]
fn what_is_taken_without_acknowledgement_has_no_tag_to_settle() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    fill(&mut client, "q", 2);
    let consume = BasicConsume {
        no_ack: true,
        ..consume("q", "c")
    };
    assert_eq!(client.ask(1, consume), Said::ConsumeOk(1, "c".into()));
    assert_eq!(client.delivery().0, 1);
    assert_eq!(client.delivery().0, 2);
    assert_eq!(client.counts(1, "q"), (0, 1));
    let text = "PRECONDITION_FAILED - unknown delivery tag 1";
    assert_eq!(
        client.ask(1, ack(1, false)),
        Said::ChannelClosed(1, 406, text.into())
    );
}

#[test]
fn exclusive_use_is_refused_both_ways() {
    let broker = Broker::start();
    let refused = "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use";
    let exclusive = || BasicConsume {
        exclusive: true,
        ..consume("q", "x")
    };
    let mut first = broker.client();
    first.declare("q");
    assert_eq!(first.ask(1, exclusive()), Said::ConsumeOk(1, "x".into()));
    let mut second = broker.client();
    assert_eq!(
        second.ask(1, consume("q", "c")),
        Said::ChannelClosed(1, 403, refused.into())
    );
    second.send(1, ChannelCloseOk::default());
    second.open_channel(1);
    // A get works beside it.
    assert!(second.get("q").is_none());
    let cancel = BasicCancel {
        consumer_tag: "x",
        ..BasicCancel::default()
    };
    assert_eq!(first.ask(1, cancel), Said::CancelOk(1, "x".into()));
    second.consume(1, "q", "c");
    assert_eq!(
        first.ask(1, exclusive()),
        Said::ChannelClosed(1, 403, refused.into())
    );
}

#[test]
fn a_tag_taken_twice_closes_the_connection() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    client.consume(1, "q", "a");
    // On another channel it is another consumer.
    client.open_channel(2);
    client.consume(2, "q", "a");
    let text = "NOT_ALLOWED - attempt to reuse consumer tag 'a'";
    assert_eq!(
        client.ask(1, consume("q", "a")),
        Said::Closed(530, text.into())
    );
    client.send(0, ConnectionCloseOk::default());
    assert_eq!(client.said(), Said::HungUp);
}

#[test]
fn consumers_of_a_channel_are_bounded() {
    let broker = Broker::with(&["--consumer-max-per-channel", "2"]);
    let mut client = broker.client();
    client.declare("q");
    client.consume(1, "q", "a");
    client.consume(1, "q", "b");
    let text = "NOT_ALLOWED - reached maximum (2) of consumers per channel";
    assert_eq!(
        client.ask(1, consume("q", "c")),
        Said::Closed(530, text.into())
    );
}

#[test]
fn get_says_how_much_is_left() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    assert!(client.get("q").is_none());
    fill(&mut client, "q", 2);
    let get = BasicGet {
        queue: "q",
        no_ack: true,
        ..BasicGet::default()
    };
    let got = |tag, remaining, body| Said::Got {
        tag,
        redelivered: false,
        remaining,
        message: Message {
            routing_key: "q".into(),
            properties: TRANSIENT.into(),
            body,
            ..Message::default()
        },
    };
    assert_eq!(client.ask(1, get.clone()), got(1, 1, vec![0]));
    assert_eq!(client.ask(1, get.clone()), got(2, 0, vec![1]));
    assert_eq!(client.ask(1, get), Said::Other(1, (60, 72)));
    let text = "NOT_FOUND - no queue 'none' in vhost '/'";
    let missing = BasicGet {
        queue: "none",
        ..BasicGet::default()
    };
    assert_eq!(
        client.ask(1, missing),
        Said::ChannelClosed(1, 404, text.into())
    );
}
