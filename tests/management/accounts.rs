//! What administrators did, and how logins went.

use serde_json::{Value, json};

use crate::broker::Broker;

/// What was written down, the first first.
fn written(broker: &Broker) -> Vec<Value> {
    let file = broker.shared.config.data_dir.join("audit.log");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[test]
fn changes_of_administrators_are_written_down_without_their_passwords() {
    let broker = Broker::start();
    broker.user("bob", &["management"]);
    broker.put("/users/ann", r#"{"password":"swordfish","tags":""}"#);
    broker.put("/queues/%2F/q", "{}");
    broker.get("/users");
    broker.delete("/queues/%2F/q");
    broker.ask("bob", "DELETE", "/users/ann", "");
    broker.ask("nobody", "DELETE", "/users/ann", "");
    let acts = written(&broker);
    let said: Vec<_> = acts
        .iter()
        .map(|act| {
            json!([
                act["act"],
                act["user"],
                act["about"]["path"],
                act["outcome"]
            ])
        })
        .collect();
    assert_eq!(
        said,
        [
            json!(["change", "guest", "/api/users/ann", "done"]),
            json!(["delete", "guest", "/api/queues/%2F/q", "done"]),
            json!(["delete", "bob", "/api/users/ann", "Unauthorized"]),
        ]
    );
    assert!(
        acts.iter()
            .all(|act| !act.to_string().contains("swordfish"))
    );
    let from = acts[0]["from"].as_str().unwrap();
    assert!(from.starts_with("127.0.0.1:"), "{from}");
}

#[test]
fn logins_are_counted() {
    let broker = Broker::start();
    let node = broker.json("/overview")["node"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/auth/attempts/{node}");
    assert_eq!(broker.ask("nobody", "GET", "/whoami", "").status, 401);
    let counted = broker.json(&path);
    let expected = json!([{
        "protocol": "http",
        "auth_attempts": 3,
        "auth_attempts_failed": 1,
        "auth_attempts_succeeded": 2,
    }]);
    assert_eq!(counted, expected);
    let sources = broker.json(&format!("{path}/source"));
    let nobody = sources
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["username"] == "nobody");
    assert_eq!(nobody.unwrap()["remote_address"], "127.0.0.1");
    assert_eq!(broker.delete(&path).status, 204);
    assert_eq!(broker.json(&path)[0]["auth_attempts"], 1);
    assert_eq!(broker.get("/auth/attempts/elsewhere").status, 404);
}

/// Ten wrong guesses, and nobody looks at the eleventh, right or wrong.
#[test]
fn who_guesses_passwords_has_to_wait() {
    let broker = Broker::start();
    broker.user("ann", &["management"]);
    // What `ann:wrong` is in base64.
    let wrong = [("authorization", "Basic YW5uOndyb25n")];
    for _ in 0..10 {
        let answer = broker.send("GET", "/api/whoami", &wrong, "");
        assert_eq!(answer.status, 401);
    }
    let answer = broker.ask("ann", "GET", "/whoami", "");
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert!(answer.body.contains("try again in"), "{}", answer.body);
    // Others don't.
    assert_eq!(broker.get("/whoami").status, 200);
}
