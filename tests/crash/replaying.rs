//! Messages sent back from a queue of dead letters while the broker is killed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use harrier::wire::FieldTable;
use rand::RngExt;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::client::Client;

const ROUNDS: usize = 6;
const MESSAGES: usize = 600;
const PERSISTENT: &[u8] = &[0x10, 0, 2];
/// How far a job gets before the broker is killed.
const KILLED_AFTER_MS: std::ops::Range<u64> = 0..60;

fn start(directory: &Path) -> Broker {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harrier"));
    command
        .env_clear()
        .args(["serve", "--amqp", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(directory);
    Broker::of(&mut command)
}

fn ask(broker: &Broker, method: &str, path: &str, body: &Value) -> Value {
    let token = BASE64_STANDARD.encode("guest:guest");
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("http://{}/api/harrier{path}", broker.http.unwrap()))
        .header("authorization", format!("Basic {token}"))
        .body(body.to_string());
    let mut answer = ureq::run(request.unwrap()).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The bodies of all messages of a queue, which are taken.
fn drain(client: &mut Client, queue: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    while let Some((_, _, message)) = client.get(queue) {
        bodies.push(String::from_utf8(message.body).unwrap());
    }
    bodies
}

fn publish(client: &mut Client, round: usize) {
    for number in 0..MESSAGES {
        let body = format!("{round}/{number}");
        client.put_publish(1, ("", "dead"), PERSISTENT, body.as_bytes());
    }
    client.flush();
    client.confirmed(MESSAGES as u64);
}

#[test]
fn a_replay_that_is_killed_leaves_each_message_in_one_place_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut rng = rand::rng();
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        let broker = start(directory.path());
        let mut client = broker.client();
        client.declare_durable("dead", FieldTable::new());
        client.declare_durable("back", FieldTable::new());
        client.confirm_select(1);
        publish(&mut client, round);
        let wanted = json!({ "all": true, "to": { "queue": "back" } });
        ask(&broker, "POST", "/queues/%2F/dead/messages/replay", &wanted);
        // How long is part of the test, not a way to wait for something.
        let end = Instant::now() + Duration::from_millis(rng.random_range(KILLED_AFTER_MS));
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            thread::park_timeout(left);
        }
        broker.kill();
        let broker = start(directory.path());
        let mut client = broker.client();
        let (left, _) = client.counts(1, "dead");
        let (back, _) = client.counts(1, "back");
        assert_eq!(
            left + back,
            ((round + 1) * MESSAGES) as u32,
            "round {round}"
        );
        for job in ask(&broker, "GET", "/jobs", &Value::Null)
            .as_array()
            .unwrap()
        {
            if job["status"] != "interrupted" || left == 0 {
                continue;
            }
            interrupted += 1;
            let at = format!("/jobs/{}", job["id"].as_str().unwrap());
            ask(&broker, "POST", &format!("{at}/resume"), &json!({}));
            let ended = ask(&broker, "GET", &format!("{at}?wait=60"), &Value::Null);
            assert_eq!(ended["status"], "done");
            break;
        }
        broker.kill();
    }
    println!("{interrupted} jobs were interrupted");
    let broker = start(directory.path());
    let mut client = broker.client();
    let mut bodies = drain(&mut client, "dead");
    bodies.extend(drain(&mut client, "back"));
    assert_eq!(bodies.len(), ROUNDS * MESSAGES);
    let different: BTreeSet<_> = bodies.into_iter().collect();
    assert_eq!(different.len(), ROUNDS * MESSAGES);
}
