//! Publishing: confirms, returns, bodies of every size, what is refused.

use bytes::BytesMut;
use harrier::wire::method::*;
use harrier::wire::{FieldTable, FieldValue, Properties};

use crate::broker::Broker;
use crate::client::*;

fn mandatory<'a>(to: (&'a str, &'a str)) -> BasicPublish<'a> {
    BasicPublish {
        mandatory: true,
        ..publish(to)
    }
}

/// A body no two places of which look alike.
fn body_of(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 8)) as u8).collect()
}

#[test]
fn confirms_count_from_one_for_all_kinds_of_messages() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    client.declare_durable("durable", FieldTable::new());
    client.publish(1, ("", "q"), TRANSIENT, b"before");
    client.confirm_select(1);
    for (at, queue) in ["q", "durable", "nowhere", "durable"]
        .into_iter()
        .enumerate()
    {
        let properties = if at == 1 { PERSISTENT } else { TRANSIENT };
        client.publish(1, ("", queue), properties, b"x");
        client.confirmed(at as u64 + 1);
    }
    client.is_silent();
    assert_eq!(client.counts(1, "durable"), (2, 0));
}

#[test]
fn many_publishes_in_one_write_are_all_confirmed() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare_durable("q", FieldTable::new());
    client.confirm_select(1);
    for at in 0..1000_u32 {
        let properties = if at % 2 == 0 { PERSISTENT } else { TRANSIENT };
        client.put_publish(1, ("", "q"), properties, &at.to_be_bytes());
    }
    client.flush();
    client.confirmed(1000);
    assert_eq!(client.counts(1, "q"), (1000, 0));
}

#[test]
fn what_goes_nowhere_comes_back_before_its_confirm() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.confirm_select(1);
    for (tag, len) in [(1, 3), (2, 0), (3, 300_000)] {
        let body = body_of(len);
        let properties = &[0x80, 0, 3, b'a', b'/', b'b'];
        client.put_publish_as(1, mandatory(("amq.direct", "nowhere")), properties, &body);
        client.flush();
        let expected = Said::Returned {
            channel: 1,
            code: 312,
            text: "NO_ROUTE".into(),
            message: Message {
                exchange: "amq.direct".into(),
                routing_key: "nowhere".into(),
                properties: properties.into(),
                body,
            },
        };
        assert_eq!(client.said(), expected);
        client.confirmed(tag);
    }
    // Without the flag it is dropped, and confirmed.
    client.publish(1, ("amq.direct", "nowhere"), TRANSIENT, b"x");
    client.confirmed(4);
    client.is_silent();
}

#[test]
fn a_mandatory_publish_that_finds_a_queue_does_not_come_back() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    client.put_publish_as(1, mandatory(("", "q")), TRANSIENT, b"x");
    client.flush();
    client.is_silent();
    assert_eq!(client.counts(1, "q"), (1, 0));
}

#[test]
fn bodies_of_every_size_pass_unchanged() {
    let broker = Broker::start();
    for frame_max in [4096, 131_072] {
        let options = Options {
            frame_max,
            ..Options::default()
        };
        let mut client = Client::with(broker.address, options);
        client.open_channel(1);
        let max = frame_max as usize;
        client.declare("q");
        client.consume(1, "q", "c");
        let sizes = [
            0,
            1,
            max - 9,
            max - 8,
            max - 7,
            2 * max,
            8192,
            8193,
            3_000_000,
        ];
        for (tag, size) in (1..).zip(sizes) {
            let body = body_of(size);
            client.publish(1, ("", "q"), TRANSIENT, &body);
            let (found, _, delivered) = client.delivery();
            assert_eq!(found, tag);
            assert!(
                delivered == body,
                "{size} octets with frame_max {frame_max}"
            );
            assert!(
                client.largest <= max,
                "a frame of {} octets",
                client.largest
            );
            client.put(1, nack(tag, false, false));
            client.publish(1, ("", "other"), TRANSIENT, b"");
        }
        client.close();
    }
}

#[test]
fn a_large_body_is_cut_to_each_consumers_frames() {
    let broker = Broker::start();
    let mut publisher = broker.client();
    publisher.declare("q");
    let body = body_of(200_000);
    publisher.publish(1, ("", "q"), TRANSIENT, &body);
    publisher.publish(1, ("", "q"), TRANSIENT, &body);
    // Another connection may look for them before this one's are read.
    publisher.qos(1, 0);
    let options = Options {
        frame_max: 4096,
        ..Options::default()
    };
    let mut client = Client::with(broker.address, options);
    client.open_channel(1);
    assert!(client.get("q").unwrap().2.body == body);
    client.consume(1, "q", "c");
    assert!(client.delivery().2 == body);
    assert!(client.largest <= 4096);
}

#[test]
fn a_message_over_the_limit_closes_the_channel_only() {
    let broker = Broker::with(&["--max-message-size", "1000"]);
    let mut client = broker.client();
    client.declare("q");
    client.publish(1, ("", "q"), TRANSIENT, &body_of(1000));
    assert_eq!(client.counts(1, "q"), (1, 0));
    client.publish(1, ("", "q"), TRANSIENT, &body_of(1001));
    let text = "PRECONDITION_FAILED - message size 1001 is larger than configured max size 1000";
    assert_eq!(client.said(), Said::ChannelClosed(1, 406, text.into()));
    client.send(1, ChannelCloseOk::default());
    client.open_channel(1);
    assert_eq!(client.counts(1, "q"), (1, 0));
}

#[test]
fn publishes_after_a_failed_one_are_discarded() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.open_channel(2);
    client.declare("q");
    client.put_publish(1, ("none", ""), TRANSIENT, b"x");
    client.put_publish(1, ("", "q"), TRANSIENT, b"discarded");
    client.put_publish(2, ("", "q"), TRANSIENT, b"kept");
    client.flush();
    let text = "NOT_FOUND - no exchange 'none' in vhost '/'";
    assert_eq!(client.said(), Said::ChannelClosed(1, 404, text.into()));
    client.put_publish(1, ("", "q"), TRANSIENT, b"discarded, too");
    client.send(1, ChannelCloseOk::default());
    client.open_channel(1);
    assert_eq!(client.get("q").unwrap().2.body, b"kept");
    assert!(client.get("q").is_none());
}

#[test]
fn copies_go_to_cc_and_bcc_and_only_bcc_is_a_secret() {
    let broker = Broker::start();
    let mut client = broker.client();
    for queue in ["to", "cc", "bcc"] {
        client.declare(queue);
    }
    let keys = |key| FieldValue::Array(vec![FieldValue::str(key)]);
    let headers = FieldTable::from_iter([("CC", keys("cc")), ("BCC", keys("bcc"))]);
    let properties = Properties::default().with_headers(&headers);
    client.publish(1, ("", "to"), &properties, b"x");
    for queue in ["to", "cc", "bcc"] {
        let (_, _, message) = client.get(queue).unwrap();
        assert_eq!(message.routing_key, "to", "{queue}");
        let properties = Properties::parse(&message.properties).unwrap();
        let headers = properties.headers_table().unwrap();
        assert_eq!(headers.get("CC"), Some(&keys("cc")), "{queue}");
        assert_eq!(headers.get("BCC"), None, "{queue}");
    }
}

#[test]
fn properties_that_make_no_sense_are_refused() {
    let broker = Broker::start();
    let mut headers = FieldTable::new();
    headers.push("CC", "not an array");
    let with_cc = Properties::default().with_headers(&headers);
    let mut with_user = BytesMut::new();
    let properties = Properties {
        user_id: Some(b"bob"),
        ..Properties::default()
    };
    properties.put(&mut with_user);
    let mut with_expiration = BytesMut::new();
    let properties = Properties {
        expiration: Some(b"abc"),
        ..Properties::default()
    };
    properties.put(&mut with_expiration);
    let refused = [
        (
            with_cc,
            "invalid message: {unacceptable_type_in_header,\"CC\",longstr}",
        ),
        (
            with_user,
            "user_id property set to 'bob' but authenticated user was 'guest'",
        ),
        (with_expiration, "invalid expiration 'abc': no_integer"),
    ];
    for (properties, text) in refused {
        let mut client = broker.client();
        client.declare("q");
        client.publish(1, ("", "q"), &properties, b"x");
        let text = format!("PRECONDITION_FAILED - {text}");
        assert_eq!(client.said(), Said::ChannelClosed(1, 406, text));
    }
}

#[test]
fn a_message_reaches_each_queue_once() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    for key in ["a.*", "#", "*.b"] {
        let bind = QueueBind {
            queue: "q",
            exchange: "amq.topic",
            routing_key: key,
            ..QueueBind::default()
        };
        assert_eq!(client.ask(1, bind), Said::Other(1, (50, 21)));
    }
    // Twice: the second takes the route from the cache.
    client.publish(1, ("amq.topic", "a.b"), TRANSIENT, b"1");
    client.publish(1, ("amq.topic", "a.b"), TRANSIENT, b"2");
    assert_eq!(client.counts(1, "q"), (2, 0));
}

#[test]
fn a_route_taken_before_is_forgotten_when_bindings_change() {
    let broker = Broker::start();
    let mut client = broker.client();
    let mut other = broker.client();
    client.declare("q");
    client.publish(1, ("amq.direct", "k"), TRANSIENT, b"nowhere");
    client.is_silent();
    let bind = QueueBind {
        queue: "q",
        exchange: "amq.direct",
        routing_key: "k",
        ..QueueBind::default()
    };
    assert_eq!(other.ask(1, bind), Said::Other(1, (50, 21)));
    client.publish(1, ("amq.direct", "k"), TRANSIENT, b"there");
    assert_eq!(client.counts(1, "q"), (1, 0));
    let delete = QueueDelete {
        queue: "q",
        ..QueueDelete::default()
    };
    assert_eq!(other.ask(1, delete), Said::Deleted(1, 1));
    client.put_publish_as(1, mandatory(("amq.direct", "k")), TRANSIENT, b"back");
    client.flush();
    assert!(matches!(client.said(), Said::Returned { code: 312, .. }));
}

#[test]
fn a_missing_exchange_is_said_before_bad_properties() {
    let broker = Broker::start();
    let mut properties = BytesMut::new();
    Properties {
        expiration: Some(b"abc"),
        user_id: Some(b"somebody"),
        ..Properties::default()
    }
    .put(&mut properties);
    for (exchange, code, text) in [
        ("none", 404, "NOT_FOUND - no exchange 'none' in vhost '/'"),
        (
            "amq.direct",
            406,
            "PRECONDITION_FAILED - invalid expiration 'abc': no_integer",
        ),
    ] {
        let mut client = broker.client();
        client.publish(1, (exchange, ""), &properties, b"x");
        let closed = Said::ChannelClosed(1, code, text.into());
        assert_eq!(client.said(), closed);
    }
}
