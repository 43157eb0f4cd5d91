//! Message groups, as clients see them: one message of each at a time, to
//! whoever has time.

use harrier::wire::method::*;
use harrier::wire::{FieldTable, FieldValue, Properties};

use crate::broker::Broker;
use crate::client::*;

fn grouped(by: impl Into<FieldValue>) -> FieldTable {
    FieldTable::from_iter([("x-message-group", by.into())])
}

fn of(group: &str) -> Vec<u8> {
    let headers = FieldTable::from_iter([("customer", FieldValue::str(group))]);
    let properties = Properties {
        delivery_mode: Some(2),
        ..Properties::default()
    };
    properties.with_headers(&headers).to_vec()
}

#[test]
fn groups_are_worked_on_side_by_side_and_each_in_order() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare_durable("q", grouped(FieldValue::str("customer")));
    for (group, body) in [("a", b"1"), ("a", b"2"), ("b", b"3"), ("a", b"4")] {
        client.publish(1, ("", "q"), &of(group), body);
    }
    let mut first = broker.client();
    let mut second = broker.client();
    for worker in [&mut first, &mut second] {
        worker.qos(1, 1);
        worker.consume(1, "q", "c");
    }
    assert_eq!(first.delivery(), (1, false, b"1".into()));
    assert_eq!(second.delivery(), (1, false, b"3".into()));
    // Whoever has time has to wait while the group is busy.
    second.send(1, ack(1, false));
    second.is_silent();
    assert_eq!(client.counts(1, "q"), (2, 2));
    // Its worker goes, and the message comes back before the rest of its group.
    first.close();
    assert_eq!(second.delivery(), (2, true, b"1".into()));
    second.send(1, nack(2, false, true));
    assert_eq!(second.delivery(), (3, true, b"1".into()));
    for (tag, body) in [(4, b"2"), (5, b"4")] {
        second.send(1, ack(tag - 1, false));
        assert_eq!(second.delivery(), (tag, false, body.to_vec()));
    }
}

#[test]
fn a_routing_key_may_name_the_group() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare_durable("q", grouped(FieldValue::str("routing-key")));
    let bind = QueueBind {
        queue: "q",
        exchange: "amq.topic",
        routing_key: "#",
        ..QueueBind::default()
    };
    assert_eq!(client.ask(1, bind), Said::Other(1, (50, 21)));
    client.consume(1, "q", "c");
    for (key, body) in [("a", b"1"), ("a", b"2"), ("b", b"3")] {
        client.publish(1, ("amq.topic", key), PERSISTENT, body);
    }
    assert_eq!(client.delivery().2, b"1");
    assert_eq!(client.delivery().2, b"3");
    client.is_silent();
    // Nor is the second one to be had another way.
    assert!(client.get("q").is_none());
    client.send(1, ack(1, false));
    assert_eq!(client.delivery().2, b"2");
}

#[test]
fn what_names_a_group_is_a_string_with_something_in_it() {
    let broker = Broker::start();
    let mut client = broker.client();
    for (by, term) in [
        (FieldValue::from(7), "{unacceptable_type,signedint}"),
        (FieldValue::str(""), "invalid_message_group"),
    ] {
        let declare = QueueDeclare {
            queue: "q",
            arguments: grouped(by),
            ..QueueDeclare::default()
        };
        let text = format!(
            "PRECONDITION_FAILED - invalid arg 'x-message-group' for queue 'q' in vhost '/': {term}"
        );
        assert_eq!(client.ask(1, declare), Said::ChannelClosed(1, 406, text));
        client.send(1, ChannelCloseOk::default());
        client.open_channel(1);
    }
}
