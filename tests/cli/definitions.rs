//! `load_definitions`: what is imported at the start, and what keeps a broker
//! from starting.

use std::fs;

use tempfile::tempdir;

use crate::program::{Broker, harrier, run};

const DEFINITIONS: &str = r#"{
    "users": [{"name": "ann", "password": "secret", "tags": "administrator"}],
    "vhosts": [{"name": "/"}, {"name": "v"}],
    "permissions": [{"user": "ann", "vhost": "v", "configure": ".*", "write": ".*", "read": ".*"}],
    "queues": [{"name": "q", "vhost": "v", "durable": true}]
}"#;

#[test]
fn a_broker_has_what_its_definitions_say() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    let file = dir.path().join("definitions.json");
    fs::write(&file, DEFINITIONS).unwrap();
    let flags = ["--load-definitions", file.to_str().unwrap()];
    for _ in 0..2 {
        Broker::start_with(&data, &flags).stop();
        let check = run(harrier(&["store", "check", "--data-dir"]).arg(&data));
        assert_eq!(check.code, Some(0), "{}", check.stderr);
        let json: serde_json::Value = serde_json::from_str(&check.stdout).unwrap();
        assert_eq!((&json["users"], &json["vhosts"]), (&1.into(), &2.into()));
        assert_eq!(json["queues"][0]["name"], "q");
    }
}

#[test]
fn a_mistake_in_definitions_keeps_the_broker_from_starting() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("definitions.json");
    let data = dir.path().join("data");
    let start = || {
        let mut serve = harrier(&[
            "serve",
            "--amqp",
            "127.0.0.1:0",
            "--prometheus",
            "off",
            "--http",
            "off",
            "--load-definitions",
        ]);
        run(serve.arg(&file).arg("--data-dir").arg(&data))
    };
    let name = file.to_str().unwrap();
    start().fails(2, &["cannot read definitions from", name, "No such file"]);
    fs::write(&file, r#"{"users": [{"name": 5}]}"#).unwrap();
    start().fails(
        2,
        &[
            name,
            "users[0].name: invalid type: integer `5`, expected a string",
        ],
    );
    let unknown = r#"{"queues": [{"name": "q", "vhost": "nov"}]}"#;
    fs::write(&file, unknown).unwrap();
    let why = "queues[0]: Please create virtual host \"nov\" prior to importing definitions.";
    start().fails(2, &[name, why]);
    // Mended, it starts.
    fs::write(&file, DEFINITIONS).unwrap();
    Broker::start_with(&data, &["--load-definitions", name]).stop();
}
