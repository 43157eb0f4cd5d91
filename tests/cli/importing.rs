//! `harrier definitions import --dry-run`: what it tells, and that it does nothing.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::program::{Broker, Outcome, harrier, run};

const DEFINITIONS: &str = r#"{
    "users": [{"name": "guest", "password": "other", "tags": "administrator"},
              {"name": "ann", "password": "secret", "tags": ""}],
    "vhosts": [{"name": "/"}],
    "queues": [{"name": "orders", "vhost": "/", "durable": true, "auto_delete": false,
                "arguments": {"x-max-length": 5}},
               {"name": "letters", "vhost": "/", "durable": true, "arguments": {}}]
}"#;

fn import(broker: &Broker, file: &Path, more: &[&str]) -> Outcome {
    let mut command = harrier(&["definitions", "import"]);
    let url = format!("http://{}", broker.http);
    run(command.arg(file).args(["--url", &url]).args(more))
}

#[test]
fn a_dry_run_tells_what_would_become_of_what_and_does_nothing() {
    let directory = tempdir().unwrap();
    let broker = Broker::start(&directory.path().join("data"));
    let file = directory.path().join("definitions.json");
    let there = r#"{"queues": [{"name": "orders", "vhost": "/", "durable": true}]}"#;
    fs::write(&file, there).unwrap();
    assert_eq!(import(&broker, &file, &[]).code, Some(0));
    fs::write(&file, DEFINITIONS).unwrap();

    let told = import(&broker, &file, &["--dry-run", "--format", "table"]);
    let expected = "\
LIST    NEW  CHANGED  KEPT  SAME
users     1        1     0     0
vhosts    0        0     0     1
queues    1        0     1     0
";
    assert_eq!((&*told.stdout, &*told.stderr), (expected, ""));
    let told = import(&broker, &file, &["--dry-run"]);
    let json: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(json["users"]["new"], json!([{"name": "ann"}]));
    let kept = json!([{"vhost": "/", "name": "orders"}]);
    assert_eq!(json["queues"]["kept"], kept);
    assert_eq!(json["vhosts"]["same"], 1);
    assert!(!told.stdout.contains("secret"), "{}", told.stdout);

    // Nothing was done, and what was told is what happens then.
    assert_eq!(import(&broker, &file, &["--dry-run"]).stdout, told.stdout);
    assert_eq!(import(&broker, &file, &[]).code, Some(0));
    let after = import(&broker, &file, &["--dry-run", "--password", "other"]);
    let json: Value = serde_json::from_str(&after.stdout).unwrap();
    assert_eq!(json["queues"]["new"], json!([]));
    assert_eq!(json["queues"]["kept"], kept);
    assert_eq!(json["users"]["new"], json!([]));
}

#[test]
fn a_dry_run_within_a_virtual_host_needs_no_names_of_it() {
    let directory = tempdir().unwrap();
    let broker = Broker::start(&directory.path().join("data"));
    let file = directory.path().join("definitions.json");
    let with_name = r#"{"queues": [{"name": "orders", "vhost": "/", "durable": true}]}"#;
    let without = r#"{"queues": [{"name": "orders", "durable": true, "arguments": {}}]}"#;
    fs::write(&file, without).unwrap();
    assert_eq!(import(&broker, &file, &["--vhost", "/"]).code, Some(0));
    for text in [with_name, without] {
        fs::write(&file, text).unwrap();
        let told = import(&broker, &file, &["--vhost", "/", "--dry-run"]);
        let json: Value = serde_json::from_str(&told.stdout).unwrap();
        assert_eq!(json["queues"]["same"], 1, "{text}");
    }
}

#[test]
fn a_dry_run_refuses_what_is_no_definitions() {
    let directory = tempdir().unwrap();
    let broker = Broker::start(&directory.path().join("data"));
    let file = directory.path().join("definitions.json");
    for (text, words) in [("{", "isn't JSON"), ("{}", "has no definitions")] {
        fs::write(&file, text).unwrap();
        let path = file.to_str().unwrap();
        import(&broker, &file, &["--dry-run"]).fails(1, &[path, words]);
    }
}

/// As RabbitMQ exports it: a binding of an internal exchange, and not the exchange.
#[test]
fn what_an_import_leaves_out_is_told() {
    let directory = tempdir().unwrap();
    let broker = Broker::start(&directory.path().join("data"));
    let file = directory.path().join("definitions.json");
    let exported = r#"{
        "queues": [{"name": "orders", "vhost": "/", "durable": true}],
        "bindings": [{"source": "hidden", "vhost": "/", "destination": "orders",
                      "destination_type": "queue", "routing_key": "", "arguments": {}}]
    }"#;
    fs::write(&file, exported).unwrap();
    let told = import(&broker, &file, &[]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    assert!(told.stderr.contains("bindings[0]"), "{}", told.stderr);
}
