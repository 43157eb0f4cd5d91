//! The firehose (`semantics` 17), of a broker in this process: nothing on the
//! wire switches it on.

use std::sync::Arc;

use harrier::broker::vhost::Vhost;
use harrier::wire::method::*;
use harrier::wire::{FieldTable, FieldValue, Properties};

use crate::client::*;
use crate::hosted::Hosted;

const TRACE: &str = "amq.rabbitmq.trace";

fn vhost(broker: &Hosted) -> Arc<Vhost> {
    broker.shared.vhosts.get("/").unwrap()
}

/// A client with everything that is traced in queue `tap`.
fn watcher(broker: &Hosted) -> Client {
    let mut client = broker.client("guest");
    client.declare("tap");
    bind(&mut client, TRACE, "tap", "#");
    let consume = BasicConsume {
        no_ack: true,
        ..consume("tap", "c")
    };
    client.ask(1, consume);
    client
}

fn bind(client: &mut Client, exchange: &str, queue: &str, routing_key: &str) {
    let bind = QueueBind {
        queue,
        exchange,
        routing_key,
        ..QueueBind::default()
    };
    assert_eq!(client.ask(1, bind), Said::Other(1, (50, 21)));
}

/// A copy: its key, its body and its headers.
fn copy(client: &mut Client) -> (String, String, FieldTable) {
    let Said::Deliver { message, .. } = client.said() else {
        panic!("no copy");
    };
    assert_eq!(message.exchange, TRACE);
    let properties = Properties::parse(&message.properties).unwrap();
    assert_eq!(properties.delivery_mode, None);
    let headers = properties.headers_table().unwrap();
    let body = String::from_utf8(message.body).unwrap();
    (message.routing_key, body, headers)
}

fn strings(texts: &[&str]) -> FieldValue {
    FieldValue::Array(texts.iter().map(FieldValue::str).collect())
}

/// The raw properties of a message with a bit of everything.
fn properties() -> Vec<u8> {
    let headers = [
        ("h", 1.into()),
        ("CC", strings(&["copy"])),
        ("BCC", strings(&["blind"])),
    ];
    let properties = Properties {
        content_type: Some(b"text/plain"),
        priority: Some(3),
        message_id: Some(b"m"),
        timestamp: Some(5_000_000_000),
        ..Properties::default()
    };
    properties
        .with_headers(&headers.into_iter().collect())
        .to_vec()
}

#[test]
fn a_publish_is_copied_with_where_it_went() {
    let broker = Hosted::start();
    let mut watcher = watcher(&broker);
    let mut client = broker.client("guest");
    for queue in ["q", "p"] {
        client.declare(queue);
    }
    bind(&mut client, "amq.direct", "q", "k");
    bind(&mut client, "amq.direct", "p", "blind");
    // This route is kept, which must not keep the firehose from copying.
    client.publish(1, ("amq.direct", "k"), TRANSIENT, b"before");
    client.qos(1, 0);
    vhost(&broker).set_tracing(true);
    client.publish(1, ("amq.direct", "k"), &properties(), b"hello");
    client.publish(1, ("", "q"), TRANSIENT, b"plain");
    client.publish(1, ("amq.fanout", "none"), TRANSIENT, b"lost");
    let (key, body, headers) = copy(&mut watcher);
    assert_eq!((&*key, &*body), ("publish.amq.direct", "hello"));
    let text = |name| headers.get(name).and_then(FieldValue::as_str);
    assert_eq!(text("exchange_name"), Some("amq.direct"));
    assert_eq!(text("vhost"), Some("/"));
    assert_eq!(text("user"), Some("guest"));
    assert!(text("node").unwrap().starts_with("harrier@"));
    let ends = (client.stream().local_addr().unwrap(), broker.address);
    let name = format!("{} -> {}", ends.0, ends.1);
    assert_eq!(text("connection"), Some(&*name));
    assert_eq!(headers.get("channel"), Some(&FieldValue::I32(1)));
    assert_eq!(
        headers.get("routing_keys"),
        Some(&strings(&["k", "copy", "blind"]))
    );
    assert_eq!(headers.get("routed_queues"), Some(&strings(&["q", "p"])));
    let Some(FieldValue::Table(properties)) = headers.get("properties") else {
        panic!("no properties");
    };
    let cc = ("CC", strings(&["copy"]));
    let expected: FieldTable = [("h", 1.into()), cc].into_iter().collect();
    assert_eq!(properties.get("headers"), Some(&expected.into()));
    assert_eq!(properties.get("content_type"), Some(&"text/plain".into()));
    assert_eq!(properties.get("priority"), Some(&FieldValue::I32(3)));
    assert_eq!(properties.get("message_id"), Some(&"m".into()));
    let far = FieldValue::I64(5_000_000_000);
    assert_eq!(properties.get("timestamp"), Some(&far));
    assert_eq!(properties.get("delivery_mode"), None);
    let (key, body, headers) = copy(&mut watcher);
    assert_eq!((&*key, &*body), ("publish.", "plain"));
    assert_eq!(headers.get("routed_queues"), Some(&strings(&["q"])));
    let (key, body, headers) = copy(&mut watcher);
    assert_eq!((&*key, &*body), ("publish.amq.fanout", "lost"));
    assert_eq!(headers.get("routed_queues"), Some(&strings(&[])));
}

#[test]
fn a_delivery_is_copied_by_the_name_of_its_queue() {
    let broker = Hosted::start();
    let mut client = broker.client("guest");
    client.declare("q");
    client.publish(1, ("", "q"), &properties(), b"one");
    client.qos(1, 0);
    let mut watcher = watcher(&broker);
    vhost(&broker).set_tracing(true);
    let (tag, ..) = client.get("q").unwrap();
    let (key, body, headers) = copy(&mut watcher);
    assert_eq!((&*key, &*body), ("deliver.q", "one"));
    assert_eq!(headers.get("redelivered"), Some(&FieldValue::I32(0)));
    assert_eq!(headers.get("routing_keys"), Some(&strings(&["q", "copy"])));
    assert_eq!(headers.get("routed_queues"), None);
    client.send(
        1,
        BasicNack {
            delivery_tag: tag,
            requeue: true,
            ..BasicNack::default()
        },
    );
    client.consume(1, "q", "c");
    client.delivery();
    let (key, body, headers) = copy(&mut watcher);
    assert_eq!((&*key, &*body), ("deliver.q", "one"));
    assert_eq!(headers.get("redelivered"), Some(&FieldValue::I32(1)));
    // What goes to a consumer is copied when it is published, too, and first.
    client.publish(1, ("", "q"), TRANSIENT, b"two");
    assert_eq!(copy(&mut watcher).0, "publish.");
    assert_eq!(copy(&mut watcher).0, "deliver.q");
}

#[test]
fn a_reply_is_copied_by_its_address() {
    let broker = Hosted::start();
    let mut watcher = watcher(&broker);
    let mut client = broker.client("guest");
    client.declare("q");
    let replies = BasicConsume {
        no_ack: true,
        ..consume("amq.rabbitmq.reply-to", "c")
    };
    client.ask(1, replies);
    vhost(&broker).set_tracing(true);
    let asking = Properties {
        reply_to: Some(b"amq.rabbitmq.reply-to"),
        ..Properties::default()
    };
    let asking = asking.with_headers(&FieldTable::new());
    client.publish(1, ("", "q"), &asking, b"?");
    let (_, _, request) = client.get("q").unwrap();
    let address = Properties::parse(&request.properties).unwrap();
    let address = String::from_utf8(address.reply_to.unwrap().into()).unwrap();
    client.publish(1, ("", &address), TRANSIENT, b"!");
    assert_eq!(copy(&mut watcher).0, "publish.");
    assert_eq!(copy(&mut watcher).0, "deliver.q");
    let (key, body, headers) = copy(&mut watcher);
    assert_eq!((&*key, &*body), ("publish.", "!"));
    assert_eq!(headers.get("routed_queues"), Some(&strings(&[&address])));
    assert_eq!(copy(&mut watcher).0, format!("deliver.{address}"));
}

#[test]
fn copies_are_not_copied_and_end_when_switched_off() {
    let broker = Hosted::start();
    let mut watcher = watcher(&broker);
    let mut client = broker.client("guest");
    client.declare("q");
    vhost(&broker).set_tracing(true);
    client.publish(1, ("", "q"), TRANSIENT, b"one");
    assert_eq!(copy(&mut watcher).1, "one");
    vhost(&broker).set_tracing(false);
    client.publish(1, ("", "q"), TRANSIENT, b"two");
    client.qos(1, 0);
    vhost(&broker).set_tracing(true);
    client.publish(1, ("", "q"), TRANSIENT, b"three");
    // Neither the second nor a copy of a copy.
    assert_eq!(copy(&mut watcher).1, "three");
    client.qos(1, 0);
    watcher.is_silent();
}
