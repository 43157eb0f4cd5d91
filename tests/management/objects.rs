//! Queues, exchanges and bindings: declared, seen, deleted.

use serde_json::json;

use crate::broker::Broker;

const NOT_FOUND: &str = r#"{"error":"Object Not Found","reason":"Not Found"}"#;
const REFUSED: &str = r#"{"error":"not_authorised","reason":"Access refused."}"#;

fn bad(reason: &str) -> String {
    json!({ "error": "bad_request", "reason": reason }).to_string()
}

#[test]
fn a_queue_is_declared_seen_and_deleted() {
    let broker = Broker::start();
    let body = r#"{"durable":true,"arguments":{"x-max-length":3}}"#;
    broker.put("/queues/%2F/a%2Fb", body).is(201, "");
    broker.put("/queues/%2F/a%2Fb", body).is(204, "");
    let queue = broker.json("/queues/%2F/a%2Fb");
    for (key, value) in [
        ("name", json!("a/b")),
        ("vhost", json!("/")),
        ("type", json!("classic")),
        ("durable", json!(true)),
        ("auto_delete", json!(false)),
        ("exclusive", json!(false)),
        ("state", json!("running")),
        (
            "arguments",
            json!({ "x-max-length": 3, "x-queue-type": "classic" }),
        ),
        ("policy", json!(null)),
        ("effective_policy_definition", json!({})),
        ("messages", json!(0)),
        ("messages_ready_details", json!({ "rate": 0.0 })),
        ("consumers", json!(0)),
        ("consumer_details", json!([])),
    ] {
        assert_eq!(queue[key], value, "{key}");
    }
    assert!(queue.get("message_stats").is_none());
    broker.delete("/queues/%2F/a%2Fb").is(204, "");
    broker.delete("/queues/%2F/a%2Fb").is(404, NOT_FOUND);
    broker.get("/queues/%2F/a%2Fb").is(404, NOT_FOUND);
}

#[test]
fn a_queue_that_makes_no_sense_is_refused() {
    let broker = Broker::start();
    broker
        .put("/queues/%2F/q", r#"{"durable":true}"#)
        .is(201, "");
    for (name, body, reason) in [
        (
            "q",
            r#"{"durable":false}"#,
            "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current \
             is 'true'",
        ),
        ("r", "{bad", "not_json"),
        ("r", "[]", "not_json"),
        (
            "r",
            r#""x""#,
            "invalid payload: the request body JSON-decoded to a string. Is the input \
             doubly-JSON-encoded?",
        ),
        (
            "r",
            r#"{"node":"zork"}"#,
            "Node zork is not a cluster member",
        ),
        (
            "r",
            r#"{"durable":true,"arguments":{"x-max-length":"z"}}"#,
            "invalid arg 'x-max-length' for queue 'r' in vhost '/': \"expected integer, got \
             longstr\"",
        ),
    ] {
        broker
            .put(&format!("/queues/%2F/{name}"), body)
            .is(400, &bad(reason));
    }
    let answer = broker.put("/queues/%2F/r", r#"{"durable":"yes"}"#);
    answer.is(
        400,
        r#"{"error":"bad_request","reason":["not_boolean","yes"]}"#,
    );
    broker.put("/queues/%2F/amq.x", "{}").is(401, REFUSED);
    broker.put("/queues/nowhere/x", "{}").is(404, NOT_FOUND);
    broker.get("/queues/%2F/r").is(404, NOT_FOUND);
    // As the clients of old have it.
    let answer = broker.put("/queues/%2F/r", r#"{"durable":"true","arguments":[]}"#);
    answer.is(201, "");
}

#[test]
fn a_queue_in_use_or_not_empty_stays_if_that_is_asked_for() {
    let broker = Broker::start();
    broker
        .put("/queues/%2F/q", r#"{"durable":true}"#)
        .is(201, "");
    let message =
        r#"{"properties":{},"routing_key":"q","payload":"x","payload_encoding":"string"}"#;
    broker
        .post("/exchanges/%2F/amq.default/publish", message)
        .is(200, r#"{"routed":true}"#);
    let answer = broker.delete("/queues/%2F/q?if-empty=true");
    answer.is(400, &bad("queue 'q' in vhost '/' not empty"));
    broker.delete("/queues/%2F/q/contents").is(204, "");
    assert_eq!(broker.json("/queues/%2F/q")["messages"], 0);
    broker
        .delete("/queues/%2F/q?if-empty=true&if-unused=true")
        .is(204, "");
    broker.delete("/queues/%2F/q/contents").is(404, NOT_FOUND);
}

#[test]
fn an_exchange_is_declared_seen_and_deleted() {
    let broker = Broker::start();
    let body = r#"{"type":"topic","durable":true,"arguments":{"alternate-exchange":"ae"}}"#;
    broker.put("/exchanges/%2F/e", body).is(201, "");
    broker.put("/exchanges/%2F/e", body).is(204, "");
    let expected = json!({
        "name": "e", "vhost": "/", "type": "topic", "durable": true, "auto_delete": false,
        "internal": false, "arguments": { "alternate-exchange": "ae" },
        "incoming": [], "outgoing": [],
    });
    assert_eq!(broker.json("/exchanges/%2F/e"), expected);
    assert_eq!(broker.json("/exchanges/%2F/amq.default")["name"], "");
    let names = broker.json("/exchanges/%2F?columns=name");
    assert_eq!(names[0]["name"], "");
    let unknown = broker.put("/exchanges/%2F/f", r#"{"type":"zork"}"#);
    unknown.is(400, &bad("unknown exchange type 'zork'"));
    broker
        .put("/exchanges/%2F/amq.f", r#"{"type":"fanout"}"#)
        .is(401, REFUSED);
    broker.delete("/exchanges/%2F/amq.direct").is(401, REFUSED);
    broker.delete("/exchanges/%2F/e").is(204, "");
    broker.delete("/exchanges/%2F/e").is(404, NOT_FOUND);
}

#[test]
fn bindings_go_by_a_key_of_their_own() {
    let broker = Broker::start();
    broker
        .put("/queues/%2F/q", r#"{"durable":true}"#)
        .is(201, "");
    let between = "/bindings/%2F/e/amq.topic/q/q";
    for (body, location) in [
        (r#"{"routing_key":"a.b"}"#, "q/a.b"),
        (r#"{"routing_key":""}"#, "q/~"),
        ("{}", "q/~"),
        (r#"{"routing_key":"a b~c"}"#, "q/a%2Bb%257Ec"),
    ] {
        let answer = broker.post(between, body);
        answer.is(201, "");
        assert_eq!(answer.header("location"), location);
    }
    let with_arguments = broker.post(between, r#"{"arguments":{"k":"v"}}"#);
    let (_, key) = with_arguments.header("location").split_once('/').unwrap();
    let expected = json!({
        "source": "amq.topic", "vhost": "/", "destination": "q", "destination_type": "queue",
        "routing_key": "", "arguments": { "k": "v" }, "properties_key": key,
    });
    assert_eq!(broker.json(&format!("{between}/{key}")), expected);
    let one = broker.json(&format!("{between}/a%2Bb%257Ec"));
    assert_eq!(one["routing_key"], "a b~c");
    let all = broker.json(between);
    assert_eq!(all.as_array().unwrap().len(), 4);
    // With the one of the default exchange.
    let of_queue = broker.json("/queues/%2F/q/bindings");
    assert_eq!(of_queue.as_array().unwrap().len(), 5);
    assert_eq!(of_queue[0]["properties_key"], "q");
    broker.delete(&format!("{between}/a.b")).is(204, "");
    broker.delete(&format!("{between}/a.b")).is(404, NOT_FOUND);
    let nowhere = broker.post("/bindings/%2F/e/nope/q/q", "{}");
    let reason = r#"{"error":"not_found","reason":"no exchange 'nope' in vhost '/'"}"#;
    nowhere.is(404, reason);
}

/// One node has the one replica of each quorum queue: it can't be elsewhere.
#[test]
fn a_quorum_queue_has_one_replica_here() {
    let broker = Broker::start();
    let quorum = r#"{"durable":true,"arguments":{"x-queue-type":"quorum"}}"#;
    broker.put("/queues/%2F/q", quorum).is(201, "");
    broker.put("/queues/%2F/classic", "{}").is(201, "");
    let node = broker.json("/overview")["node"].clone();
    let here = json!({ "node": node }).to_string();
    let add = |queue: &str, body: &str| {
        let path = format!("/queues/quorum/%2F/{queue}/replicas/add");
        broker.post(&path, body)
    };
    let unavailable =
        |reason: &str| json!({ "error": "service_unavailable", "reason": reason }).to_string();
    add("q", &here).is(204, "");
    add("classic", &here).is(503, &unavailable("classic_queue_not_supported"));
    add("gone", &here).is(503, &unavailable("not_found"));
    let elsewhere = add("q", r#"{"node":"rabbit@nowhere"}"#);
    elsewhere.is(400, &bad("Node is not a cluster member"));
    add("q", "{}").is(400, &bad("[{key_missing,node}]"));
    let path = "/queues/quorum/%2F/q/replicas/delete";
    let removed = broker.ask("guest", "DELETE", path, &here);
    removed.is(503, &unavailable("last_node"));
    let on = format!("/queues/quorum/replicas/on/{}", node.as_str().unwrap());
    let all = r#"{"vhost_pattern":".*","queue_pattern":".*","strategy":"all"}"#;
    broker.post(&format!("{on}/grow"), all).is(204, "");
    broker
        .post("/queues/quorum/replicas/on/rabbit@nowhere/grow", all)
        .is(404, NOT_FOUND);
    let odd = all.replace("all", "odd");
    let reason = r#"strategy is "odd": expected "all" or "even""#;
    broker
        .post(&format!("{on}/grow"), &odd)
        .is(400, &bad(reason));
    let shrunk = broker.delete(&format!("{on}/shrink"));
    shrunk.is(503, &unavailable("last_node"));
    let status = broker.json("/queues/quorum/%2F/q/status");
    assert_eq!(status[0]["Raft State"], "leader");
    let failed = json!({ "status": "failed", "reason": "classic_queue_not_supported" });
    broker
        .get("/queues/quorum/%2F/classic/status")
        .is(503, &failed.to_string());
}

/// rabbitmqadmin looks through them before it removes one that may be gone.
#[test]
fn what_is_not_there_has_no_bindings() {
    let broker = Broker::start();
    for path in [
        "/queues/%2F/gone/bindings",
        "/exchanges/%2F/gone/bindings/source",
        "/exchanges/%2F/gone/bindings/destination",
        "/bindings/%2F/e/gone/q/gone",
    ] {
        broker.get(path).is(200, "[]");
    }
    broker
        .get("/queues/nowhere/gone/bindings")
        .is(404, NOT_FOUND);
}

/// Over HTTP a user may do no more than over AMQP.
#[test]
fn permissions_hold_over_http() {
    let broker = Broker::start();
    broker.put("/queues/%2F/theirs", "{}").is(201, "");
    broker.user("u", &["management"]);
    let hidden = r#"{"error":"not_found","reason":"Not Found"}"#;
    broker.ask("u", "GET", "/queues/%2F", "").is(404, hidden);
    assert_eq!(broker.ask("u", "GET", "/queues", "").json(), json!([]));
    broker.permit("u", "/", ["^u", "^u", "^u"]);
    broker.ask("u", "PUT", "/queues/%2F/u1", "{}").is(201, "");
    broker
        .ask("u", "PUT", "/queues/%2F/v1", "{}")
        .is(401, REFUSED);
    broker
        .ask("u", "DELETE", "/queues/%2F/theirs", "")
        .is(401, REFUSED);
    broker
        .ask("u", "DELETE", "/queues/%2F/theirs/contents", "")
        .is(401, REFUSED);
    let get = r#"{"count":1,"ackmode":"ack_requeue_false","encoding":"auto"}"#;
    broker
        .ask("u", "POST", "/queues/%2F/theirs/get", get)
        .is(401, REFUSED);
    let message =
        r#"{"properties":{},"routing_key":"u1","payload":"","payload_encoding":"string"}"#;
    let publish = "/exchanges/%2F/amq.default/publish";
    broker.ask("u", "POST", publish, message).is(401, REFUSED);
    assert_eq!(broker.json("/queues/%2F/theirs")["name"], "theirs");
}
