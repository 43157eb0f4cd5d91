//! Connections, channels and consumers: seen, and closed.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::client::{Client, Said};

/// A client with channel 1 open that consumes from `q`.
fn consumer(broker: &Broker) -> Client {
    broker
        .put("/queues/%2F/q", r#"{"durable":true}"#)
        .is(201, "");
    let mut client = Client::connect(broker.amqp);
    client.open_channel(1);
    client.consume(1, "q", "tag");
    client
}

fn segment(name: &Value) -> String {
    utf8_percent_encode(name.as_str().unwrap(), NON_ALPHANUMERIC).to_string()
}

#[test]
fn a_connection_is_seen_with_its_channels_and_consumers() {
    let broker = Broker::start();
    let _client = consumer(&broker);
    let connections = broker.json("/connections");
    let connection = &connections[0];
    for (key, value) in [
        ("user", json!("guest")),
        ("vhost", json!("/")),
        ("protocol", json!("AMQP 0-9-1")),
        ("state", json!("running")),
        ("auth_mechanism", json!("PLAIN")),
        ("channels", json!(1)),
        ("ssl", json!(false)),
        ("port", json!(broker.amqp.port())),
    ] {
        assert_eq!(connection[key], value, "{key}");
    }
    let name = segment(&connection["name"]);
    assert_eq!(
        broker.json(&format!("/connections/{name}"))["user"],
        "guest"
    );
    let channels = broker.json(&format!("/connections/{name}/channels"));
    let number = format!("{} (1)", connection["name"].as_str().unwrap());
    assert_eq!(channels[0]["name"], json!(number));
    assert_eq!(channels[0]["consumer_count"], 1);
    let channel = broker.json(&format!("/channels/{}", segment(&json!(number))));
    let consumers = broker.json("/consumers/%2F");
    assert_eq!(channel["consumer_details"], consumers);
    assert_eq!(broker.json("/queues/%2F/q")["consumer_details"], consumers);
    for (key, value) in [
        ("consumer_tag", json!("tag")),
        ("active", json!(true)),
        ("activity_status", json!("up")),
        ("queue", json!({ "name": "q", "vhost": "/" })),
    ] {
        assert_eq!(consumers[0][key], value, "{key}");
    }
    let totals = &broker.json("/overview")["object_totals"];
    let counts = ["connections", "channels", "consumers", "queues"].map(|key| &totals[key]);
    assert_eq!(counts, [&json!(1); 4]);
}

#[test]
fn a_closed_connection_is_told_why() {
    let broker = Broker::start();
    let mut client = consumer(&broker);
    let name = segment(&broker.json("/connections")[0]["name"]);
    broker.delete(&format!("/connections/{name}")).is(204, "");
    let why = "CONNECTION_FORCED - Closed via management plugin";
    assert_eq!(client.said(), Said::Closed(320, why.to_owned()));
}

#[test]
fn others_connections_are_for_monitors_to_see_and_close() {
    let broker = Broker::start();
    let _client = consumer(&broker);
    broker.user("viewer", &["management"]);
    broker.user("monitor", &["monitoring"]);
    let name = segment(&broker.json("/connections")[0]["name"]);
    let path = format!("/connections/{name}");
    assert_eq!(
        broker.ask("viewer", "GET", "/connections", "").json(),
        json!([])
    );
    assert_eq!(
        broker.ask("viewer", "GET", "/channels", "").json(),
        json!([])
    );
    assert_eq!(broker.ask("viewer", "GET", &path, "").status, 401);
    assert_eq!(broker.ask("viewer", "DELETE", &path, "").status, 401);
    assert_eq!(broker.ask("monitor", "GET", &path, "").status, 200);
    let gone = r#"{"error":"Object Not Found","reason":"Not Found"}"#;
    broker.delete("/connections/nothing").is(404, gone);
}

#[test]
fn a_node_tells_what_it_has() {
    let broker = Broker::start();
    let nodes = broker.json("/nodes");
    let node = &nodes[0];
    assert_eq!(
        (&node["running"], &node["mem_alarm"]),
        (&json!(true), &json!(false))
    );
    assert!(node["mem_used"].as_u64().unwrap() > 0);
    for used in ["fd", "proc"] {
        let (used, total) = (format!("{used}_used"), format!("{used}_total"));
        let figure = |key: &str| node[key].as_u64().unwrap_or_else(|| panic!("{key}"));
        assert!((1..=figure(&total)).contains(&figure(&used)), "{used}");
    }
    let path = format!("/nodes/{}", segment(&node["name"]));
    let memory = &broker.json(&format!("{path}/memory"))["memory"];
    assert_eq!(memory["strategy"], "rss");
    assert!(memory["total"]["rss"].as_u64().unwrap() > 0);
    assert_eq!(broker.get("/nodes/nowhere").status, 404);
}

#[test]
fn a_cluster_keeps_the_name_it_is_given() {
    let broker = Broker::start();
    broker
        .put("/cluster-name", r#"{"name":"nest"}"#)
        .is(204, "");
    assert_eq!(broker.json("/cluster-name"), json!({ "name": "nest" }));
    assert_eq!(broker.json("/overview")["cluster_name"], "nest");
    let missing = r#"{"error":"bad_request","reason":"[{key_missing,name}]"}"#;
    broker.put("/cluster-name", "{}").is(400, missing);
}
