//! Messages published and taken over HTTP.

use serde_json::{Value, json};

use crate::broker::Broker;

const PUBLISH: &str = "/exchanges/%2F/amq.default/publish";

fn broker_with_queue() -> Broker {
    let broker = Broker::start();
    broker
        .put("/queues/%2F/q", r#"{"durable":true}"#)
        .is(201, "");
    broker
}

fn publish(broker: &Broker, properties: &Value, payload: &str, encoding: &str) {
    let body = json!({
        "properties": properties, "routing_key": "q",
        "payload": payload, "payload_encoding": encoding,
    });
    let answer = broker.post(PUBLISH, &body.to_string());
    answer.is(200, r#"{"routed":true}"#);
}

fn take(broker: &Broker, count: u32, mode: &str) -> Value {
    let body = json!({ "count": count, "ackmode": mode, "encoding": "auto" });
    let answer = broker.post("/queues/%2F/q/get", &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

#[test]
fn what_is_published_is_taken_as_it_was() {
    let broker = broker_with_queue();
    let properties = json!({
        "delivery_mode": 2, "priority": 3, "timestamp": 12, "content_type": "x/y",
        "headers": { "a": 1, "b": [1, "x"], "c": { "d": 1.5 } },
    });
    publish(&broker, &properties, "héllo", "string");
    publish(&broker, &json!({}), "/v8=", "base64");
    let expected = json!([
        {
            "payload_bytes": 6, "redelivered": false, "exchange": "", "routing_key": "q",
            "message_count": 1, "properties": properties,
            "payload": "héllo", "payload_encoding": "string",
        },
        {
            "payload_bytes": 2, "redelivered": false, "exchange": "", "routing_key": "q",
            "message_count": 0, "properties": [],
            "payload": "/v8=", "payload_encoding": "base64",
        },
    ]);
    assert_eq!(take(&broker, 5, "ack_requeue_true"), expected);
    assert_eq!(broker.json("/queues/%2F/q")["messages_ready"], 2);
    let again = take(&broker, 1, "reject_requeue_true");
    assert_eq!(again[0]["redelivered"], true);
    assert_eq!(take(&broker, 1, "ack_requeue_false")[0]["payload"], "héllo");
    assert_eq!(
        take(&broker, 9, "reject_requeue_false")[0]["payload"],
        "/v8="
    );
    assert_eq!(take(&broker, 9, "ack_requeue_true"), json!([]));
    let stats = &broker.json("/queues/%2F/q")["message_stats"];
    let counted = ["publish", "get", "get_no_ack", "get_empty"].map(|name| &stats[name]);
    assert_eq!(counted, [&json!(2), &json!(4), &json!(1), &json!(3)]);
}

#[test]
fn a_long_payload_is_cut_where_asked() {
    let broker = broker_with_queue();
    publish(&broker, &json!({}), "0123456789", "string");
    let body = r#"{"count":1,"ackmode":"ack_requeue_true","encoding":"base64","truncate":2}"#;
    let answer = broker.post("/queues/%2F/q/get", body).json();
    assert_eq!(answer[0]["payload"], "MDE=");
    assert_eq!(answer[0]["payload_bytes"], 10);
}

#[test]
fn a_message_for_nobody_is_not_routed() {
    let broker = Broker::start();
    let body =
        r#"{"properties":{},"routing_key":"nope","payload":"x","payload_encoding":"string"}"#;
    broker.post(PUBLISH, body).is(200, r#"{"routed":false}"#);
    let stats = &broker.json("/overview")["message_stats"];
    assert_eq!(
        (&stats["publish"], &stats["return_unroutable"]),
        (&json!(1), &json!(1))
    );
}

/// One message that is rejected goes on to where its queue sends dead letters.
#[test]
fn a_rejected_message_is_dead_lettered() {
    let broker = Broker::start();
    broker.put("/queues/%2F/dead", "{}").is(201, "");
    let arguments = json!({
        "arguments": { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead" },
    });
    broker
        .put("/queues/%2F/q", &arguments.to_string())
        .is(201, "");
    publish(&broker, &json!({}), "x", "string");
    take(&broker, 1, "reject_requeue_false");
    assert_eq!(broker.json("/queues/%2F/dead")["messages"], 1);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_is_wrong() {
    let broker = broker_with_queue();
    let missing = "[{key_missing,routing_key},\n {key_missing,properties},\n \
                   {key_missing,payload},\n {key_missing,payload_encoding}]";
    for (path, body, reason) in [
        (PUBLISH, "{}", json!(missing)),
        (
            PUBLISH,
            r#"{"properties":{},"routing_key":"q","payload":"x","payload_encoding":"zork"}"#,
            json!(["unsupported_encoding", "zork"]),
        ),
        (
            PUBLISH,
            r#"{"properties":{},"routing_key":"q","payload":"%","payload_encoding":"base64"}"#,
            json!(["not_base64", "%"]),
        ),
        (
            PUBLISH,
            r#"{"properties":{"priority":"x"},"routing_key":"q","payload":"x","payload_encoding":"string"}"#,
            json!(["not_int", "priority"]),
        ),
        (
            PUBLISH,
            r#"{"properties":{"priority":256},"routing_key":"q","payload":"x","payload_encoding":"string"}"#,
            json!(["not_int", "priority"]),
        ),
        (
            "/queues/%2F/q/get",
            r#"{"count":1,"ackmode":"zork","encoding":"auto"}"#,
            json!(
                "Invalid ackmode value: zork. Valid values are: ack_requeue_true, \
                 ack_requeue_false, reject_requeue_true, reject_requeue_false"
            ),
        ),
        (
            "/queues/%2F/q/get",
            r#"{"count":"x","ackmode":"ack_requeue_true","encoding":"auto"}"#,
            json!(["not_integer", "x"]),
        ),
        (
            "/queues/%2F/q/get",
            r#"{"count":1,"encoding":"auto"}"#,
            json!("[{key_missing,ackmode}]"),
        ),
    ] {
        let answer = broker.post(path, body);
        let expected = json!({ "error": "bad_request", "reason": reason });
        assert_eq!((answer.status, answer.json()), (400, expected), "{body}");
    }
    let body = r#"{"count":1,"ackmode":"ack_requeue_true","encoding":"auto"}"#;
    let gone = r#"{"error":"not_found","reason":"queue_not_found"}"#;
    broker.post("/queues/%2F/nope/get", body).is(404, gone);
}
