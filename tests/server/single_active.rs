//! Single active consumer, as clients see it (`semantics` 9.1, 9.3, 9.4).

use harrier::wire::method::*;
use harrier::wire::{FieldTable, FieldValue};

use crate::broker::Broker;
use crate::client::*;

fn declare(client: &mut Client, kind: &str) {
    let mut arguments = FieldTable::new();
    arguments.push("x-queue-type", FieldValue::str(kind));
    arguments.push("x-single-active-consumer", true);
    client.declare_durable("q", arguments);
}

fn with_priority(priority: i32) -> FieldTable {
    let mut arguments = FieldTable::new();
    arguments.push("x-priority", priority);
    arguments
}

fn exclusive(consumer_tag: &str) -> BasicConsume<'_> {
    BasicConsume {
        exclusive: true,
        ..consume("q", consumer_tag)
    }
}

#[test]
fn the_next_takes_over_when_the_active_one_goes() {
    let broker = Broker::start();
    let mut client = broker.client();
    declare(&mut client, "classic");
    let mut first = broker.client();
    let mut second = broker.client();
    let mut third = broker.client();
    for waiting in [&mut first, &mut second, &mut third] {
        waiting.consume(1, "q", "c");
    }
    for body in 0..3 {
        client.put_publish(1, ("", "q"), PERSISTENT, &[body]);
    }
    client.flush();
    for body in 0..3 {
        assert_eq!(first.delivery(), (u64::from(body) + 1, false, vec![body]));
    }
    second.is_silent();
    first.send(1, ack(1, false));
    // What a connection held comes back, in order and before anything else.
    first.close();
    client.publish(1, ("", "q"), PERSISTENT, &[3]);
    assert_eq!(second.delivery(), (1, true, vec![1]));
    assert_eq!(second.delivery(), (2, true, vec![2]));
    assert_eq!(second.delivery(), (3, false, vec![3]));
    third.is_silent();
    // What a cancelled consumer held stays with its channel.
    let cancel = BasicCancel {
        consumer_tag: "c",
        ..BasicCancel::default()
    };
    assert_eq!(second.ask(1, cancel), Said::CancelOk(1, "c".into()));
    client.publish(1, ("", "q"), PERSISTENT, &[4]);
    assert_eq!(third.delivery(), (1, false, vec![4]));
    second.send(1, ack(3, true));
    third.send(1, ack(1, false));
    second.is_silent();
    third.is_silent();
    assert_eq!(client.counts(1, "q"), (0, 1));
}

#[test]
fn a_classic_queue_with_a_single_active_consumer_has_no_exclusive_one() {
    let broker = Broker::start();
    let mut client = broker.client();
    declare(&mut client, "classic");
    let said = client.ask(1, exclusive("c"));
    let text = "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use";
    assert_eq!(said, Said::ChannelClosed(1, 403, text.into()));
}

#[test]
fn quorum_queues_take_no_notice_of_exclusive_use() {
    let broker = Broker::start();
    let mut client = broker.client();
    let mut arguments = FieldTable::new();
    arguments.push("x-queue-type", FieldValue::str("quorum"));
    client.declare_durable("q", arguments);
    for tag in ["a", "b"] {
        let said = client.ask(1, exclusive(tag));
        assert_eq!(said, Said::ConsumeOk(1, tag.into()));
    }
}

#[test]
fn single_messages_are_not_to_be_had_from_a_quorum_queue_with_a_single_active_consumer() {
    let broker = Broker::start();
    let mut client = broker.client();
    declare(&mut client, "quorum");
    let get = BasicGet {
        queue: "q",
        ..BasicGet::default()
    };
    let text = "RESOURCE_LOCKED - cannot obtain access to locked queue 'q' in vhost '/'. \
                basic.get operations are not supported by <<\"quorum\">> queues with single \
                active consumer";
    let said = client.ask(1, get);
    assert_eq!(said, Said::ChannelClosed(1, 405, text.into()));
}

#[test]
fn single_messages_may_be_had_from_a_classic_one() {
    let broker = Broker::start();
    let mut client = broker.client();
    declare(&mut client, "classic");
    client.publish(1, ("", "q"), TRANSIENT, b"x");
    assert_eq!(client.get("q").unwrap().2.body, b"x");
}

#[test]
fn a_better_consumer_of_a_quorum_queue_takes_over_once_all_is_settled() {
    let broker = Broker::start();
    let mut client = broker.client();
    declare(&mut client, "quorum");
    client.consume(1, "q", "first");
    client.publish(1, ("", "q"), PERSISTENT, b"1");
    assert_eq!(client.delivery(), (1, false, b"1".into()));
    let mut better = broker.client();
    let said = better.ask(
        1,
        BasicConsume {
            arguments: with_priority(1),
            ..consume("q", "better")
        },
    );
    assert_eq!(said, Said::ConsumeOk(1, "better".into()));
    client.publish(1, ("", "q"), PERSISTENT, b"2");
    client.is_silent();
    better.is_silent();
    client.send(1, ack(1, false));
    assert_eq!(better.delivery(), (1, false, b"2".into()));
}
