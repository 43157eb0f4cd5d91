//! Definitions over HTTP: what one broker writes down, another one makes.

use serde_json::{Value, json};

use crate::broker::Broker;

/// Something of everything, without what every broker has.
fn everything() -> Value {
    json!({
        "users": [{
            "name": "ann",
            "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": ["policymaker"],
            "limits": {"max-channels": 3},
        }],
        "vhosts": [{
            "name": "v",
            "limits": {"max-queues": 50},
            "metadata": {"description": "d", "tags": ["t"], "default_queue_type": "quorum"},
        }],
        "permissions": [{"user": "ann", "vhost": "v", "configure": "c", "write": "w", "read": "r"}],
        "topic_permissions": [
            {"user": "ann", "vhost": "v", "exchange": "amq.topic", "write": "w", "read": "r"},
        ],
        "parameters": [
            {"component": "vhost-limits", "vhost": "v", "name": "limits", "value": {"max-queues": 50}},
            {"component": "operator_policy", "vhost": "v", "name": "o", "value": {
                "pattern": "q", "apply-to": "queues", "definition": {"max-length": 9}, "priority": 1,
            }},
            {"component": "federation-upstream", "vhost": "v", "name": "up", "value": {
                "uri": "amqp://u:p@h", "expires": 3_600_000,
            }},
        ],
        "global_parameters": [{"name": "cluster_tags", "value": {"region": "x"}}],
        "policies": [{
            "vhost": "v", "name": "p", "pattern": "^q", "apply-to": "queues",
            "definition": {"dead-letter-exchange": "dx", "max-length": 10}, "priority": 2,
        }],
        "queues": [
            {"name": "q", "vhost": "v", "type": "quorum", "durable": true, "auto_delete": false,
             "arguments": {"x-queue-type": "quorum", "x-delivery-limit": 5}},
            {"name": "t", "vhost": "v", "type": "classic", "durable": false, "auto_delete": true,
             "arguments": {"x-queue-type": "classic"}},
        ],
        "exchanges": [{
            "name": "x", "vhost": "v", "type": "topic", "durable": true, "auto_delete": false,
            "arguments": {"alternate-exchange": "y"},
        }],
        "bindings": [{
            "source": "x", "vhost": "v", "destination": "q", "destination_type": "queue",
            "routing_key": "a.#", "arguments": {"n": 1, "f": 1.5, "l": ["a", {"b": true}]},
        }],
    })
}

/// The entries of `list` that are about `v`, or `ann`, or everything.
fn of_interest(all: &Value, list: &str) -> Value {
    let entries = all[list].as_array().unwrap().iter();
    let concerns = |entry: &&Value| {
        let is = |key: &str, what: &str| entry[key] == what;
        is("vhost", "v") || is("name", "v") || is("name", "ann") || list == "global_parameters"
    };
    entries.filter(concerns).cloned().collect()
}

#[test]
fn what_is_imported_is_exported_and_imported_again() {
    let (first, second) = (Broker::start(), Broker::start());
    let given = everything();
    first.post("/definitions", &given.to_string()).is(204, "");
    let exported = first.json("/definitions");
    for (list, entries) in given.as_object().unwrap() {
        assert_eq!(&of_interest(&exported, list), entries, "{list}");
    }
    assert_eq!(exported["rabbitmq_definition_format"], "cluster");
    second
        .post("/definitions", &exported.to_string())
        .is(204, "");
    let again = second.json("/definitions");
    for list in given.as_object().unwrap().keys() {
        let own = |all: &Value| of_interest(all, list);
        assert_eq!(own(&again), own(&exported), "{list}");
    }
    second
        .post("/definitions", &exported.to_string())
        .is(204, "");
}

#[test]
fn what_every_broker_has_and_what_is_somebodys_own_is_left_out() {
    let broker = Broker::start();
    broker
        .post("/definitions", &everything().to_string())
        .is(204, "");
    let exported = broker.json("/definitions");
    let names: Vec<_> = exported["exchanges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["x"]);
    assert_eq!(exported["bindings"].as_array().unwrap().len(), 1);
}

#[test]
fn a_vhost_is_written_down_without_its_name_and_made_again_under_another() {
    let broker = Broker::start();
    broker
        .post("/definitions", &everything().to_string())
        .is(204, "");
    let exported = broker.json("/definitions/v");
    assert_eq!(exported["original_vhost_name"], "v");
    assert_eq!(
        exported["rabbitmq_definition_format"],
        "single_virtual_host"
    );
    assert_eq!(exported["limits"], json!({"max-queues": 50}));
    assert_eq!(exported.get("users"), None);
    broker.put("/vhosts/w", "").is(201, "");
    broker
        .post("/definitions/w", &exported.to_string())
        .is(204, "");
    let copied = broker.json("/definitions/w");
    for list in ["parameters", "policies", "queues", "exchanges", "bindings"] {
        assert_eq!(copied[list], exported[list], "{list}");
        assert_eq!(exported[list][0].get("vhost"), None, "{list}");
    }
    let nowhere = broker.post("/definitions/nowhere", "{}");
    assert_eq!(
        (nowhere.status, &nowhere.json()["reason"]),
        (404, &json!("vhost_not_found"))
    );
}

#[test]
fn users_in_the_definitions_of_a_vhost_are_passed_over() {
    let broker = Broker::start();
    let users = r#"{"users":[{"name":"mallory","tags":["administrator"],"password":"m"}]}"#;
    broker.post("/definitions/%2F", users).is(204, "");
    assert_eq!(broker.get("/users/mallory").status, 404);
}

#[test]
fn a_form_with_a_file_is_imported() {
    let broker = Broker::start();
    let form = "--b\r\ncontent-disposition: form-data; name=\"other\"\r\n\r\nx\r\n\
                --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"d.json\"\r\n\
                content-type: application/json\r\n\r\n{\"vhosts\":[{\"name\":\"v\"}]}\r\n--b--\r\n";
    let headers = [
        ("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q="),
        ("content-type", "multipart/form-data; boundary=b"),
    ];
    broker
        .send("POST", "/api/definitions", &headers, form)
        .is(204, "");
    assert_eq!(broker.json("/vhosts/v")["name"], "v");
    let empty = broker.send("POST", "/api/definitions", &headers, "--b--\r\n");
    assert_eq!(empty.status, 400);
    assert!(
        empty.body.contains("no part called 'file'"),
        "{}",
        empty.body
    );
}

#[test]
fn what_is_wrong_with_definitions_is_said_with_its_place() {
    let broker = Broker::start();
    for (body, reason) in [
        (
            r#"{"queues":[{"vhost":"nov","name":"q"}]}"#,
            "Please create virtual host \"nov\" prior to importing definitions. (queues[0])",
        ),
        (
            r#"{"vhosts":[{"name":"v"},{"nam":"w"}]}"#,
            "missing field `name`",
        ),
        ("[]", "expected a JSON object (definitions)"),
    ] {
        let answer = broker.post("/definitions", body);
        assert_eq!(answer.status, 400);
        let said = answer.json()["reason"].as_str().unwrap().to_owned();
        assert!(said.starts_with(reason), "{said}");
    }
    broker.post("/definitions", "").is(204, "");
    broker.user("viewer", &["management"]);
    assert_eq!(broker.ask("viewer", "GET", "/definitions", "").status, 401);
    assert_eq!(
        broker.ask("viewer", "POST", "/definitions", "{}").status,
        401
    );
}

/// What RabbitMQ 4.3 exports of a virtual host in which `outer` is bound to the
/// internal exchange `inner`, and that to a queue: all but `inner` itself.
const WITHOUT_INTERNAL_EXCHANGES: &str = r#"{
    "rabbitmq_definition_format": "cluster", "rabbitmq_version": "4.3.6",
    "vhosts": [{"name": "v", "limits": []}],
    "exchanges": [
        {"name": "outer", "vhost": "v", "type": "topic", "durable": true,
         "auto_delete": false, "arguments": {}}
    ],
    "queues": [
        {"name": "q", "vhost": "v", "type": "classic", "durable": true,
         "auto_delete": false, "arguments": {"x-queue-type": "classic"}}
    ],
    "bindings": [
        {"source": "outer", "vhost": "v", "destination": "q", "destination_type": "queue",
         "routing_key": "x", "arguments": {}},
        {"source": "inner", "vhost": "v", "destination": "q", "destination_type": "queue",
         "routing_key": "", "arguments": {}},
        {"source": "outer", "vhost": "v", "destination": "inner",
         "destination_type": "exchange", "routing_key": "a.#", "arguments": {}}
    ]
}"#;

#[test]
fn an_export_of_rabbitmq_with_bindings_of_internal_exchanges_is_imported_without_these() {
    let broker = Broker::start();
    broker.put("/vhosts/v", "").is(201, "");
    let answer = broker.post("/definitions", WITHOUT_INTERNAL_EXCHANGES);
    answer.is(204, "");
    assert_eq!(
        answer.header("x-harrier-left-out"),
        "bindings[1], bindings[2]"
    );
    let bound = |path: &str| broker.json(path).as_array().unwrap().len();
    assert_eq!(bound("/bindings/v/e/outer/q/q"), 1);
    assert_eq!(bound("/exchanges/v/outer/bindings/source"), 1);
    // Where the exchange is there the same bindings are made.
    broker
        .put(
            "/exchanges/v/inner",
            r#"{"type": "fanout", "internal": true}"#,
        )
        .is(201, "");
    let again = broker.post("/definitions", WITHOUT_INTERNAL_EXCHANGES);
    again.is(204, "");
    assert_eq!(again.header("x-harrier-left-out"), "");
    assert_eq!(bound("/exchanges/v/outer/bindings/source"), 2);
    assert_eq!(bound("/bindings/v/e/inner/q/q"), 1);
}

#[test]
fn a_binding_to_a_queue_that_is_not_there_is_refused() {
    let broker = Broker::start();
    let lost = json!({ "bindings": [{
        "source": "amq.topic", "vhost": "/", "destination": "none", "destination_type": "queue",
        "routing_key": "x", "arguments": {},
    }] });
    let answer = broker.post("/definitions", &lost.to_string());
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("(bindings[0])"), "{}", answer.body);
}

#[test]
fn a_download_has_the_name_asked_for_and_nothing_else() {
    let broker = Broker::start();
    let answer = broker.get("/definitions?download=my%20defs%0d%0a%22.json");
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=mydefs.json"
    );
}
