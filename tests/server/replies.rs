//! Direct reply-to: replies straight to who asked (`semantics` 13).

use bytes::BytesMut;
use harrier::wire::method::*;
use harrier::wire::{FieldTable, FieldValue, Properties};

use crate::broker::Broker;
use crate::client::*;

const REPLY_TO: &str = "amq.rabbitmq.reply-to";

fn consume_replies(consumer_tag: &str) -> BasicConsume<'_> {
    BasicConsume {
        no_ack: true,
        ..consume(REPLY_TO, consumer_tag)
    }
}

fn raw(properties: &Properties<'_>) -> Vec<u8> {
    let mut raw = BytesMut::new();
    properties.put(&mut raw);
    raw.to_vec()
}

/// Properties of a request.
fn asking() -> Vec<u8> {
    raw(&Properties {
        delivery_mode: Some(2),
        correlation_id: Some(b"7"),
        reply_to: Some(REPLY_TO.as_bytes()),
        ..Properties::default()
    })
}

fn reply_to_of(message: &Message) -> String {
    let properties = Properties::parse(&message.properties).unwrap();
    String::from_utf8(properties.reply_to.unwrap().into()).unwrap()
}

/// A requester on channel 1 that consumes replies as `c`, and its address.
fn requester(broker: &Broker) -> (Client, String) {
    let mut client = broker.client();
    client.declare("requests");
    let said = client.ask(1, consume_replies("c"));
    assert_eq!(said, Said::ConsumeOk(1, "c".into()));
    client.publish(1, ("", "requests"), &asking(), b"?");
    let (_, _, request) = client.get("requests").unwrap();
    (client, reply_to_of(&request))
}

fn mandatory(address: &str) -> BasicPublish<'_> {
    BasicPublish {
        mandatory: true,
        ..publish(("", address))
    }
}

#[track_caller]
fn comes_back(client: &mut Client) {
    match client.said() {
        Said::Returned { code, text, .. } => assert_eq!((code, &*text), (312, "NO_ROUTE")),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn is_refused<'a>(method: impl Into<Method<'a>>, code: u16, text: &str) {
    let broker = Broker::start();
    let (mut client, _) = requester(&broker);
    let said = client.ask(1, method);
    assert_eq!(said, Said::ChannelClosed(1, code, text.into()));
}

#[test]
fn a_request_carries_the_address_and_the_reply_comes_straight_back() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("requests");
    client.ask(1, consume_replies("c"));
    client.publish(1, ("", "requests"), &asking(), b"?");
    let mut server = broker.client();
    let (_, _, request) = server.get("requests").unwrap();
    let address = reply_to_of(&request);
    let opaque: Vec<_> = address.strip_prefix(REPLY_TO).unwrap().split('.').collect();
    assert!(matches!(opaque[..], ["", who, key] if !who.is_empty() && key.len() == 22));
    let properties = Properties::parse(&request.properties).unwrap();
    assert_eq!(properties.correlation_id, Some(&b"7"[..]));
    assert!(properties.is_persistent());

    server.publish(1, ("", &address), PERSISTENT, b"!");
    let expected = Said::Deliver {
        channel: 1,
        consumer: "c".into(),
        // The first was the request itself, had nobody else taken it.
        tag: 1,
        redelivered: false,
        message: Message {
            exchange: String::new(),
            routing_key: address,
            properties: PERSISTENT.into(),
            body: b"!".into(),
        },
    };
    assert_eq!(client.said(), expected);
    // Nothing is held, so there is nothing to acknowledge.
    client.send(1, ack(1, false));
    let text = "PRECONDITION_FAILED - unknown delivery tag 1";
    assert_eq!(client.said(), Said::ChannelClosed(1, 406, text.into()));
}

#[test]
fn replies_share_the_delivery_tags_of_their_channel() {
    let broker = Broker::start();
    let (mut client, address) = requester(&broker);
    for expected in [2, 3] {
        client.publish(1, ("", &address), TRANSIENT, b"!");
        assert_eq!(client.delivery(), (expected, false, b"!".into()));
    }
    client.publish(1, ("", "requests"), TRANSIENT, b"?");
    assert_eq!(client.get("requests").unwrap().0, 4);
}

#[test]
fn every_channel_has_an_address_of_its_own() {
    let broker = Broker::start();
    let (mut client, first) = requester(&broker);
    client.open_channel(2);
    client.ask(2, consume_replies("c"));
    client.publish(2, ("", "requests"), &asking(), b"?");
    let second = reply_to_of(&client.get("requests").unwrap().2);
    assert_ne!(first, second);
    client.publish(1, ("", &second), TRANSIENT, b"!");
    assert!(matches!(client.said(), Said::Deliver { channel: 2, .. }));
}

#[test]
fn an_address_given_in_full_is_passed_on_as_it_is() {
    let broker = Broker::start();
    let (mut client, address) = requester(&broker);
    let mut other = broker.client();
    let properties = raw(&Properties {
        reply_to: Some(address.as_bytes()),
        ..Properties::default()
    });
    other.publish(1, ("", "requests"), &properties, b"?");
    other.is_silent();
    let (_, _, request) = client.get("requests").unwrap();
    assert_eq!(request.properties, properties);
}

#[test]
fn asking_without_a_consumer_is_refused_on_whatever_channel() {
    let broker = Broker::start();
    let (mut client, _) = requester(&broker);
    client.open_channel(2);
    client.publish(2, ("", "requests"), &asking(), b"?");
    let text = "PRECONDITION_FAILED - fast reply consumer does not exist";
    assert_eq!(client.said(), Said::ChannelClosed(2, 406, text.into()));
    // An exchange that isn't there is said first.
    client.send(2, ChannelCloseOk::default());
    client.open_channel(2);
    client.publish(2, ("nowhere", "requests"), &asking(), b"?");
    let text = "NOT_FOUND - no exchange 'nowhere' in vhost '/'";
    assert_eq!(client.said(), Said::ChannelClosed(2, 404, text.into()));
}

#[test]
fn a_consumer_of_replies_cannot_acknowledge() {
    let text = "PRECONDITION_FAILED - reply consumer cannot acknowledge";
    is_refused(consume(REPLY_TO, "d"), 406, text);
}

#[test]
fn a_channel_has_one_consumer_of_replies() {
    let text = "PRECONDITION_FAILED - reply consumer already set";
    is_refused(consume_replies("d"), 406, text);
}

#[test]
fn nothing_can_be_got_from_direct_reply_to() {
    let get = BasicGet {
        queue: REPLY_TO,
        ..BasicGet::default()
    };
    let text = "NOT_FOUND - no queue 'amq.rabbitmq.reply-to' in vhost '/'";
    is_refused(get, 404, text);
}

#[test]
fn direct_reply_to_cannot_be_bound() {
    let bind = |queue| QueueBind {
        queue,
        exchange: "amq.direct",
        routing_key: "k",
        ..QueueBind::default()
    };
    let text = "ACCESS_REFUSED - cannot bind or unbind to a volatile (direct reply-to) queue";
    is_refused(bind("amq.rabbitmq.reply-to.g2dk.a2V5"), 403, text);
    let text = "NOT_FOUND - no queue 'amq.rabbitmq.reply-to' in vhost '/'";
    is_refused(bind(REPLY_TO), 404, text);
}

#[test]
fn a_tag_is_taken_by_a_consumer_of_replies_too() {
    let broker = Broker::start();
    let (mut client, _) = requester(&broker);
    let said = client.ask(1, consume("requests", "c"));
    let text = "NOT_ALLOWED - attempt to reuse consumer tag 'c'";
    assert_eq!(said, Said::Closed(530, text.into()));
}

#[test]
fn a_declaration_says_whether_somebody_waits() {
    let broker = Broker::start();
    let (mut client, address) = requester(&broker);
    let mut other = broker.client();
    for queue in [REPLY_TO, &address] {
        assert_eq!(other.counts(1, queue), (0, 1));
        // It makes nothing, so it is as good as passive.
        other.declare(queue);
    }
    let cancel = BasicCancel {
        consumer_tag: "c",
        ..BasicCancel::default()
    };
    assert_eq!(client.ask(1, cancel), Said::CancelOk(1, "c".into()));
    let declare = QueueDeclare {
        queue: &address,
        passive: true,
        ..QueueDeclare::default()
    };
    let text = format!("NOT_FOUND - no queue '{address}' in vhost '/'");
    let said = other.ask(1, declare);
    assert_eq!(said, Said::ChannelClosed(1, 404, text));
}

#[test]
fn the_last_declared_queue_may_be_direct_reply_to() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.counts(1, REPLY_TO);
    let consume = BasicConsume {
        no_ack: true,
        ..consume("", "c")
    };
    assert_eq!(client.ask(1, consume), Said::ConsumeOk(1, "c".into()));
    // No queue was made by that.
    client.declare("requests");
    client.publish(1, ("", "requests"), &asking(), b"?");
    assert!(client.get("requests").is_some());
}

#[test]
fn a_reply_to_who_is_gone_is_unroutable() {
    let broker = Broker::start();
    let (mut client, address) = requester(&broker);
    let mut server = broker.client();
    // Nor is it kept that there was nobody.
    let unheard = "amq.rabbitmq.reply-to.a.b";
    server.put_publish_as(1, mandatory(unheard), TRANSIENT, b"!");
    server.put_publish_as(1, mandatory(&address), TRANSIENT, b"!");
    server.flush();
    comes_back(&mut server);
    assert_eq!(client.delivery().2, b"!");

    let cancel = BasicCancel {
        consumer_tag: "c",
        ..BasicCancel::default()
    };
    client.ask(1, cancel);
    server.put_publish_as(1, mandatory(&address), TRANSIENT, b"!");
    server.flush();
    comes_back(&mut server);
    client.is_silent();
}

#[test]
fn an_address_goes_with_its_channel_or_connection() {
    let broker = Broker::start();
    let (mut client, first) = requester(&broker);
    let (other, second) = requester(&broker);
    let close = ChannelClose {
        reply_code: 200,
        ..ChannelClose::default()
    };
    assert_eq!(client.ask(1, close), Said::Other(1, (20, 41)));
    other.close();
    let mut server = broker.client();
    for address in [&first, &second] {
        server.put_publish_as(1, mandatory(address), TRANSIENT, b"!");
        server.flush();
        comes_back(&mut server);
    }
}

#[test]
fn a_reply_is_confirmed() {
    let broker = Broker::start();
    let (mut client, address) = requester(&broker);
    let mut server = broker.client();
    server.confirm_select(1);
    server.publish(1, ("", &address), PERSISTENT, b"!");
    server.confirmed(1);
    assert_eq!(client.delivery().2, b"!");
}

#[test]
fn a_reply_may_be_a_copy() {
    let broker = Broker::start();
    let (mut client, address) = requester(&broker);
    let mut headers = FieldTable::new();
    let keys = [&*address, &*address].map(FieldValue::from);
    headers.push("BCC", FieldValue::Array(keys.into()));
    let properties = Properties::default().with_headers(&headers);
    client.publish(1, ("", "requests"), &properties, b"!");
    let (_, _, body) = client.delivery();
    assert_eq!(body, b"!");
    client.is_silent();
    assert_eq!(client.get("requests").unwrap().2.body, b"!");
}

#[test]
fn a_request_without_its_blind_copies_has_the_address_too() {
    let broker = Broker::start();
    let (mut client, address) = requester(&broker);
    let mut headers = FieldTable::new();
    headers.push("BCC", FieldValue::Array(vec![]));
    let properties = Properties {
        reply_to: Some(REPLY_TO.as_bytes()),
        ..Properties::default()
    };
    let properties = properties.with_headers(&headers);
    client.publish(1, ("", "requests"), &properties, b"?");
    let (_, _, request) = client.get("requests").unwrap();
    assert_eq!(reply_to_of(&request), address);
    assert_eq!(
        Properties::parse(&request.properties).unwrap().headers,
        None
    );
}

#[test]
fn replies_of_a_transaction_wait_for_its_commit() {
    let broker = Broker::start();
    let (mut client, address) = requester(&broker);
    let mut server = broker.client();
    assert_eq!(server.ask(1, TxSelect::default()), Said::Other(1, (90, 11)));
    server.put_publish_as(1, mandatory(&address), TRANSIENT, b"!");
    server.flush();
    server.is_silent();
    client.is_silent();
    assert_eq!(server.ask(1, TxCommit::default()), Said::Other(1, (90, 21)));
    assert_eq!(client.delivery().2, b"!");
}

#[test]
fn replies_to_who_does_not_read_are_bounded() {
    let broker = Broker::start();
    let (client, address) = requester(&broker);
    let mut server = broker.client();
    server.confirm_select(1);
    let body = vec![0; 1024 * 1024];
    let came_back = (0..256).any(|_| {
        server.put_publish_as(1, mandatory(&address), TRANSIENT, &body);
        server.flush();
        matches!(server.said(), Said::Returned { .. })
    });
    assert!(came_back);
    drop(client);
}
