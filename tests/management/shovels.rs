//! Shovels as RabbitMQ's plugin shows them.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::broker::Broker;

/// How long a shovel may take to connect to its own broker.
const PATIENCE: Duration = Duration::from_secs(60);

const PARAMETER: &str = "/parameters/shovel/%2F/s";

fn value(uri: &str) -> String {
    json!({"value": {
        "src-uri": uri, "src-queue": "a", "dest-uri": ["amqp://"], "dest-queue": "b"
    }})
    .to_string()
}

#[test]
fn a_shovel_is_set_shown_restarted_and_taken_away() {
    let broker = Broker::start();
    assert_eq!(broker.json("/shovels"), json!([]));
    let uri = format!("amqp://guest:guest@{}", broker.amqp);
    broker.put(PARAMETER, &value(&uri)).is(201, "");
    let deadline = Instant::now() + PATIENCE;
    let shown = loop {
        let shown = broker.json("/shovels/%2F");
        if shown[0]["state"] == "running" {
            break shown[0].clone();
        }
        assert!(Instant::now() < deadline, "{shown}");
        std::thread::park_timeout(Duration::from_millis(10));
    };
    assert_eq!(shown["src_uri"], format!("amqp://{}", broker.amqp));
    assert_eq!(broker.json("/shovels").as_array().unwrap().len(), 1);
    let one = broker.json("/shovels/vhost/%2F/s");
    assert_eq!(one["component"], "shovel");
    assert_eq!(one["value"]["src-uri"], format!("amqp://{}", broker.amqp));
    assert_eq!(one["value"]["dest-uri"], json!(["amqp://"]));
    broker.delete("/shovels/vhost/%2F/s/restart").is(204, "");
    broker.delete("/shovels/vhost/%2F/s").is(204, "");
    broker.delete("/shovels/vhost/%2F/s").is(204, "");
    assert_eq!(broker.get("/shovels/vhost/%2F/s").status, 404);
    assert_eq!(broker.delete("/shovels/vhost/%2F/s/restart").status, 404);
    assert_eq!(broker.get(PARAMETER).status, 404);
    assert_eq!(broker.get("/shovels/nowhere").status, 404);
}

#[test]
fn what_is_wrong_with_a_shovel_is_said() {
    let broker = Broker::start();
    let refused = broker.put(PARAMETER, &value("foo://x"));
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.json()["reason"],
        "Validation failed\n\n\"foo://x\" not a valid URI: \
         {{unexpected_uri_scheme,\"foo\"},\"foo://x\"}\n"
    );
    let refused = broker.put(PARAMETER, &value("amqp:///nowhere"));
    assert_eq!(
        refused.json()["reason"],
        "Validation failed\n\nuser \"guest\" may not connect to vhost \"nowhere\"\n"
    );
}
