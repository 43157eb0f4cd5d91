//! What a shovel does while nothing fails.

use bytes::BytesMut;
use harrier::wire::encode::PROTOCOL_HEADER;
use harrier::wire::{FieldTable, FieldValue, Properties};
use serde_json::{Value, json};

use crate::broker::eventually;
use crate::client::{Client, Said};
use crate::site::*;

fn uri(site: &Site) -> String {
    format!("amqp://guest:guest@{}/%2f", site.hosted.address)
}

/// From `a` of this broker to `b` of this broker, with more.
fn within(more: Value) -> Value {
    let mut value = json!({
        "src-uri": "amqp:///%2f", "src-queue": "a", "dest-uri": "amqp:///%2f", "dest-queue": "b",
        "reconnect-delay": 0.01
    });
    for (key, entry) in more.as_object().unwrap() {
        match entry {
            Value::Null => drop(value.as_object_mut().unwrap().remove(key)),
            entry => value[key] = entry.clone(),
        }
    }
    value
}

#[test]
fn messages_arrive_as_they_were_and_in_order() {
    let (from, to) = (Site::start(), Site::start());
    let mut client = from.client();
    declare(&mut client, "a");
    let mut headers = FieldTable::new();
    headers.push("octets", FieldValue::Octets(vec![0, 255].into()));
    headers.push("same", FieldValue::U8(1));
    headers.push("same", FieldValue::Timestamp(7));
    let mut properties = BytesMut::new();
    let mut entries = BytesMut::new();
    headers.put_entries(&mut entries);
    Properties {
        headers: Some(&entries),
        delivery_mode: Some(2),
        priority: Some(9),
        message_id: Some(b"\xff not text"),
        expiration: Some(b"3600000"),
        user_id: Some(b"guest"),
        timestamp: Some(1),
        ..Properties::default()
    }
    .put(&mut properties);
    let bodies = [
        Vec::new(),
        vec![7; 400_000],
        b"x".to_vec(),
        vec![8; 131_064],
    ];
    for body in &bodies {
        client.publish(1, ("", "a"), &properties, body);
    }
    let remote = json!({
        "src-uri": uri(&from), "src-queue": "a", "dest-uri": "amqp://", "dest-queue": "b",
    });
    to.set("s", &remote);
    to.comes_to("s", "running");
    let mut taker = to.client();
    declare(&mut taker, "b");
    taker.consume(1, "b", "t");
    for body in &bodies {
        let Said::Deliver { message, .. } = taker.said() else {
            panic!("no delivery");
        };
        assert_eq!(message.properties, properties);
        assert_eq!(&message.body, body);
    }
    eventually("the source forgets", || client.counts(1, "a") == (0, 1));
    to.clear("s");
    eventually("the consumer is gone", || client.counts(1, "a") == (0, 0));
    assert!(to.status("s").is_none());
}

#[test]
fn a_shovel_ends_with_the_messages_that_were_there() {
    let site = Site::start();
    let mut client = site.client();
    declare(&mut client, "a");
    publish_numbers(&mut client, "a", 0..2500);
    site.set("all", &within(json!({"src-delete-after": "queue-length"})));
    eventually("it is done", || !site.is_set("all"));
    assert!(site.status("all").is_none());
    assert_eq!(take_numbers(&mut site.client(), "b", 2500).len(), 2500);
    assert_eq!(client.counts(1, "a"), (0, 0));
}

#[test]
fn a_shovel_of_some_messages_leaves_the_rest_where_it_is() {
    for mode in ["on-confirm", "on-publish", "no-ack"] {
        let site = Site::start();
        let mut client = site.client();
        declare(&mut client, "a");
        publish_numbers(&mut client, "a", 0..50);
        let some = json!({"src-delete-after": 20, "src-prefetch-count": 7, "ack-mode": mode});
        site.set("some", &within(some));
        eventually("it is done", || !site.is_set("some"));
        eventually("the rest is back", || client.counts(1, "a") == (30, 0));
        let (_, _, first) = client.get("a").unwrap();
        assert_eq!(first.body, b"20", "{mode}");
        assert_eq!(ready(&mut client, "b"), 20, "{mode}");
    }
}

#[test]
fn without_acknowledgements_messages_move_as_well() {
    for mode in ["on-publish", "no-ack"] {
        let site = Site::start();
        let mut client = site.client();
        declare(&mut client, "a");
        declare(&mut client, "b");
        publish_numbers(&mut client, "a", 0..500);
        site.set("s", &within(json!({"ack-mode": mode})));
        assert_eq!(take_numbers(&mut site.client(), "b", 500).len(), 500);
        eventually("the source forgets", || client.counts(1, "a") == (0, 1));
    }
}

#[test]
fn an_exchange_is_listened_to_and_published_to() {
    let site = Site::start();
    let mut client = site.client();
    declare(&mut client, "b");
    bind(&mut client, "b", "amq.fanout");
    site.set(
        "x",
        &within(json!({
            "src-queue": null, "src-exchange": "amq.topic", "src-exchange-key": "k.#",
            "dest-queue": null, "dest-exchange": "amq.fanout", "dest-add-forward-headers": true,
            "dest-add-timestamp-header": true, "dest-publish-properties": {"app_id": "me"}
        })),
    );
    site.comes_to("x", "running");
    client.publish(1, ("amq.topic", "k.k"), &[0, 0], b"hi");
    client.consume(1, "b", "t");
    let Said::Deliver { message, .. } = client.said() else {
        panic!("no delivery");
    };
    assert_eq!(
        (&*message.exchange, &*message.routing_key),
        ("amq.fanout", "k.k")
    );
    let properties = Properties::parse(&message.properties).unwrap();
    assert_eq!(properties.app_id, Some(&b"me"[..]));
    let headers = properties.headers_table().unwrap();
    assert!(headers.get("x-shovelled-timestamp").is_some());
    let Some(FieldValue::Array(ways)) = headers.get("x-shovelled") else {
        panic!("{headers:?}");
    };
    let Some(FieldValue::Table(way)) = ways.first() else {
        panic!("{ways:?}");
    };
    let text = |key| way.get(key).and_then(FieldValue::as_str).unwrap();
    assert_eq!(text("shovel-name"), "x");
    assert_eq!(text("src-exchange-key"), "k.#");
    assert_eq!(text("dest-exchange"), "amq.fanout");
}

#[test]
fn a_status_has_rabbitmqs_fields() {
    let site = Site::start();
    site.set("s", &within(json!({"src-delete-after": 3})));
    site.comes_to("s", "running");
    eventually("its counts are told", || {
        let status = serde_json::to_value(site.status("s").unwrap()).unwrap();
        status["remaining"] == 3
    });
    let status = serde_json::to_value(site.status("s").unwrap()).unwrap();
    for (key, value) in [
        ("name", json!("s")),
        ("vhost", json!("/")),
        ("type", json!("dynamic")),
        ("state", json!("running")),
        ("src_uri", json!("amqp:///%2f")),
        ("src_protocol", json!("amqp091")),
        ("src_queue", json!("a")),
        ("dest_queue", json!("b")),
        ("pending", json!(0)),
        ("remaining", json!(3)),
        ("remaining_unacked", json!(3)),
        ("forwarded", json!(0)),
        ("blocked_status", json!("running")),
    ] {
        assert_eq!(status[key], value, "{key}");
    }
    site.set("s", &within(json!({})));
    eventually("it has no end any more", || {
        let status = serde_json::to_value(site.status("s")).unwrap();
        status["remaining"] == "unlimited"
    });
}

#[test]
fn a_copy_for_one_queue_is_not_copied_again() {
    let site = Site::start();
    let mut client = site.client();
    for queue in ["a", "b", "other"] {
        declare(&mut client, queue);
    }
    let copies = FieldValue::Array(vec!["other".into()]);
    let headers = FieldTable::from_iter([("CC", copies)]);
    let raw = Properties::default().with_headers(&headers);
    client.publish(1, ("", "a"), &raw, b"one");
    eventually("both have it", || {
        ready(&mut client, "a") == 1 && ready(&mut client, "other") == 1
    });
    site.set("s", &within(json!({"src-delete-after": 1})));
    eventually("it is done", || !site.is_set("s"));
    assert_eq!(
        (ready(&mut client, "b"), ready(&mut client, "other")),
        (1, 1)
    );
}

#[test]
fn shovels_begin_again_with_their_broker() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::on(directory.path());
    declare(&mut site.client(), "a");
    site.set("s", &within(json!({})));
    site.comes_to("s", "running");
    site.stop_shovels();
    drop(site);
    let site = Site::on(directory.path());
    site.comes_to("s", "running");
    publish_numbers(&mut site.client(), "a", 0..10);
    assert_eq!(take_numbers(&mut site.client(), "b", 10).len(), 10);
}

#[test]
fn nobody_enters_by_a_shovel_where_the_user_may_not() {
    let site = Site::start();
    site.hosted.user("limited", &["policymaker"]);
    let refused = site.try_set("s", &within(json!({})), "limited");
    let text = r#"user "limited" may not connect to vhost "/""#;
    assert_eq!(refused.unwrap_err(), text);
    let elsewhere = within(json!({"src-uri": "amqp:///nosuch"}));
    let refused = site.try_set("s", &elsewhere, "guest").unwrap_err();
    assert_eq!(refused, r#"user "guest" may not connect to vhost "nosuch""#);
    site.hosted.permit("limited", ["^$", "^$", "^$"]);
    site.try_set("s", &within(json!({})), "limited").unwrap();
}

#[test]
fn the_user_of_shovels_is_nobody_a_client_can_be() {
    let site = Site::start();
    site.set("s", &within(json!({})));
    site.comes_to("s", "running");
    let mut client = Client::raw(site.hosted.address);
    client.write(&PROTOCOL_HEADER);
    assert_eq!(client.said(), Said::Other(0, (10, 10)));
    client.start_ok(b"\0none\0", &["authentication_failure_close"]);
    let said = client.said();
    assert!(matches!(said, Said::Closed(403, _)), "{said:?}");
}

#[test]
fn an_address_with_a_user_logs_in_as_that_user() {
    let site = Site::start();
    let wrong = json!({"dest-uri": ["amqp://guest:wrong@/%2f", "amqp://guest@"]});
    site.set("s", &within(wrong));
    site.comes_to("s", "terminated");
    let reason = site.status("s").and_then(|status| status.reason).unwrap();
    assert!(
        reason.contains("failed to connect to destination"),
        "{reason}"
    );
    assert!(!reason.contains("wrong"), "{reason}");
    let right = json!({"dest-uri": ["amqp://guest:wrong@", "amqp://guest:guest@"]});
    site.set("s", &within(right));
    site.comes_to("s", "running");
}

fn bind(client: &mut Client, queue: &str, exchange: &str) {
    let bind = harrier::wire::method::QueueBind {
        queue,
        exchange,
        ..Default::default()
    };
    assert_eq!(client.ask(1, bind), Said::Other(1, (50, 21)));
}
