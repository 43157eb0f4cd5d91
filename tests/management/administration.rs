//! Users, permissions, limits, policies, parameters and virtual hosts over HTTP.
//! What is expected here is what RabbitMQ 4.3.6 answers.

use serde_json::{Value, json};

use crate::broker::{Answer, Broker};

/// A virtual host `v` with some users: `admin`, `maker` who may set policies,
/// and `viewer`; the latter two may enter it.
fn peopled() -> Broker {
    let broker = Broker::start();
    assert_eq!(broker.put("/vhosts/v", "").status, 201);
    broker.user("admin", &["administrator"]);
    for (name, tag) in [("maker", "policymaker"), ("viewer", "management")] {
        broker.user(name, &[tag]);
        broker.permit(name, "v", [".*"; 3]);
    }
    broker
}

/// As guest, with a body that is said to be JSON.
fn put_json(broker: &Broker, path: &str, body: &str) -> Answer {
    let headers = [
        ("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q="),
        ("content-type", "application/json; charset=utf-8"),
    ];
    broker.send("PUT", &format!("/api{path}"), &headers, body)
}

#[track_caller]
fn refuses(answer: &Answer, status: u16, error: &str, reason: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.json(), json!({"error": error, "reason": reason}));
}

#[track_caller]
fn bad(answer: &Answer, reason: &str) {
    refuses(answer, 400, "bad_request", reason);
}

#[track_caller]
fn absent(answer: &Answer) {
    refuses(answer, 404, "Object Not Found", "Not Found");
}

#[test]
fn users_are_made_changed_and_deleted() {
    let broker = Broker::start();
    broker
        .put("/users/ann", r#"{"password":"a","tags":"x,y"}"#)
        .is(201, "");
    broker
        .put("/users/ann", r#"{"password":"b","tags":["z"]}"#)
        .is(204, "");
    let ann = broker.json("/users/ann");
    assert_eq!(ann["tags"], json!(["z"]));
    let hash = ann["password_hash"].as_str().unwrap();
    let again = json!({"password_hash": hash, "tags": ""}).to_string();
    broker.put("/users/bob", &again).is(201, "");
    let bob = broker.json("/users/bob");
    assert_eq!(
        (&bob["password_hash"], &bob["tags"]),
        (&ann["password_hash"], &json!([]))
    );
    bad(
        &broker.put("/users/c", r#"{"password":"a"}"#),
        "tags_not_present",
    );
    let both = r#"{"password":"a","password_hash":"","tags":""}"#;
    let text = "both_password_and_password_hash_are_provided";
    bad(&broker.put("/users/c", both), text);
    bad(&broker.put("/users/c", "no JSON"), "not_json");
    let names = broker.json("/users/without-permissions?columns=name");
    assert_eq!(names, json!([{"name": "ann"}, {"name": "bob"}]));
    let some = r#"{"users":["ann","nobody"]}"#;
    broker.post("/users/bulk-delete", some).is(204, "");
    broker.delete("/users/bob").is(204, "");
    absent(&broker.delete("/users/bob"));
    absent(&broker.get("/users/ann"));
}

#[test]
fn protected_users_are_left_alone() {
    let broker = Broker::start();
    broker
        .put("/users/p", r#"{"password":"p","tags":"protected"}"#)
        .is(201, "");
    let text = "Protected users cannot be modified via the HTTP API";
    bad(
        &broker.put("/users/p", r#"{"password":"q","tags":""}"#),
        text,
    );
    bad(&broker.delete("/users/p"), text);
    broker
        .post("/users/bulk-delete", r#"{"users":["p"]}"#)
        .is(204, "");
    assert_eq!(broker.json("/users/p")["tags"], json!(["protected"]));
}

#[test]
fn permissions_taken_away_are_on_disk_before_that_is_answered() {
    let broker = Broker::start();
    broker.user("ann", &["management"]);
    let all = r#"{"configure":".*","write":".*","read":".*"}"#;
    let of = |exchange: &str| json!({ "exchange": exchange, "write": ".*", "read": ".*" });
    broker.put("/permissions/%2F/ann", all).is(201, "");
    for exchange in ["x", "y"] {
        broker.put("/topic-permissions/%2F/ann", &of(exchange).to_string());
    }
    for path in [
        "/permissions/%2F/ann",
        "/topic-permissions/%2F/ann/x",
        "/topic-permissions/%2F/ann",
    ] {
        let before = broker.shared.store.synced();
        broker.delete(path).is(204, "");
        assert!(broker.shared.store.synced() > before, "{path}");
    }
}

#[test]
fn permissions_are_set_and_cleared() {
    let broker = peopled();
    let all = r#"{"configure":"c","write":"w","read":"r"}"#;
    broker.put("/permissions/v/admin", all).is(201, "");
    broker.put("/permissions/v/admin", all).is(204, "");
    let expected =
        json!({"user": "admin", "vhost": "v", "configure": "c", "write": "w", "read": "r"});
    assert_eq!(broker.json("/permissions/v/admin"), expected);
    assert_eq!(broker.json("/users/admin/permissions"), json!([expected]));
    let missing = "[{key_missing,write},{key_missing,read}]";
    bad(
        &broker.put("/permissions/v/admin", r#"{"configure":"c"}"#),
        missing,
    );
    for path in ["/permissions/v/nobody", "/permissions/nowhere/admin"] {
        bad(&broker.put(path, all), "vhost_or_user_not_found");
        absent(&broker.get(path));
    }
    let wrong = broker.put(
        "/permissions/v/admin",
        r#"{"configure":"[","write":"","read":""}"#,
    );
    assert_eq!(wrong.status, 400);
    assert!(
        wrong.body.contains("invalid regular expression '['"),
        "{}",
        wrong.body
    );
    broker.delete("/permissions/v/admin").is(204, "");
    absent(&broker.delete("/permissions/v/admin"));
}

#[test]
fn the_first_topic_permission_of_a_user_is_made() {
    let broker = peopled();
    let path = "/topic-permissions/v/admin";
    absent(&broker.get(path));
    let with =
        |exchange: &str| json!({"exchange": exchange, "write": "w", "read": "r"}).to_string();
    broker.put(path, &with("amq.topic")).is(201, "");
    broker.put(path, &with("amq.fanout")).is(204, "");
    assert_eq!(broker.json(path).as_array().unwrap().len(), 2);
    broker
        .delete("/topic-permissions/v/admin/nothing")
        .is(204, "");
    broker
        .delete("/topic-permissions/v/admin/amq.fanout")
        .is(204, "");
    assert_eq!(
        broker.json("/users/admin/topic-permissions")[0]["exchange"],
        "amq.topic"
    );
    broker.delete(path).is(204, "");
    absent(&broker.delete(path));
}

#[test]
fn whoever_makes_a_vhost_may_do_everything_in_it() {
    let broker = Broker::start();
    broker.user("admin", &["administrator"]);
    broker.ask("admin", "PUT", "/vhosts/v", "").is(201, "");
    assert_eq!(broker.json("/permissions/v/admin")["write"], ".*");
    let more = r#"{"description":"d","tags":"a,b","default_queue_type":"quorum","tracing":"true"}"#;
    broker.put("/vhosts/v", more).is(204, "");
    let vhost = broker.json("/vhosts/v");
    let said = [
        &vhost["description"],
        &vhost["tags"],
        &vhost["default_queue_type"],
        &vhost["tracing"],
    ];
    assert_eq!(
        said,
        [
            &json!("d"),
            &json!(["a", "b"]),
            &json!("quorum"),
            &json!(true)
        ]
    );
    broker
        .put("/vhosts/v", r#"{"description":"e"}"#)
        .is(204, "");
    let vhost = broker.json("/vhosts/v");
    assert_eq!(
        (&vhost["tags"], &vhost["default_queue_type"]),
        (&json!([]), &json!("classic"))
    );
    let wrong = broker.put("/vhosts/w", r#"{"default_queue_type":"zork"}"#);
    bad(&wrong, "zork is not a valid queue type");
    absent(&broker.get("/vhosts/w"));
}

#[test]
fn a_protected_vhost_stays() {
    let broker = Broker::start();
    broker.put("/vhosts/v", "").is(201, "");
    broker.post("/vhosts/v/deletion/protection", "").is(204, "");
    broker.put("/vhosts/v", "").is(204, "");
    let text = "Refusing to delete virtual host 'v' because it is protected from deletion";
    refuses(
        &broker.delete("/vhosts/v"),
        412,
        "precondition_failed",
        text,
    );
    broker.delete("/vhosts/v/deletion/protection").is(204, "");
    broker.delete("/vhosts/v").is(204, "");
    absent(&broker.delete("/vhosts/v"));
    let text = "Cannot enable deletion protection of virtual host 'v' because it does not exist";
    refuses(
        &broker.post("/vhosts/v/deletion/protection", ""),
        404,
        "not_found",
        text,
    );
}

#[test]
fn limits_are_set_one_by_one() {
    let broker = peopled();
    let path = "/vhost-limits/v/max-queues";
    assert_eq!(broker.put(path, r#"{"value":5}"#).status, 415);
    put_json(&broker, path, r#"{"value":5}"#).is(204, "");
    put_json(
        &broker,
        "/vhost-limits/v/max-connections",
        r#"{"value":-1}"#,
    )
    .is(204, "");
    let expected = json!([{"vhost": "v", "value": {"max-connections": -1, "max-queues": 5}}]);
    assert_eq!(broker.json("/vhost-limits"), expected);
    broker.delete(path).is(204, "");
    broker.delete("/vhost-limits/v/zork").is(204, "");
    let expected = json!([{"vhost": "v", "value": {"max-connections": -1}}]);
    assert_eq!(broker.json("/vhost-limits/v"), expected);
    let unknown = put_json(&broker, "/vhost-limits/v/foo", r#"{"value":5}"#);
    let text = "Validation failed\n\nUnrecognised terms [{<<\"foo\">>,5}] in limits\n";
    bad(&unknown, text);
    let text = "Validation failed\n\nmax-queues should be a number, actually was <<\"5\">>\n";
    bad(&put_json(&broker, path, r#"{"value":"5"}"#), text);
    bad(&put_json(&broker, path, "{}"), "[{key_missing,value}]");
    let nowhere = put_json(&broker, "/vhost-limits/w/max-queues", r#"{"value":5}"#);
    refuses(&nowhere, 404, "not_found", "vhost_not_found");
}

#[test]
fn users_may_see_their_own_limits() {
    let broker = peopled();
    let path = "/user-limits/viewer/max-channels";
    put_json(&broker, path, r#"{"value":7}"#).is(204, "");
    let own = broker.ask("viewer", "GET", "/user-limits/viewer", "");
    assert_eq!(
        own.json(),
        json!([{"user": "viewer", "value": {"max-channels": 7}}])
    );
    let others = broker.ask("viewer", "GET", "/user-limits/guest", "");
    refuses(
        &others,
        401,
        "not_authorised",
        "User not authorised to access object",
    );
    let text = "Unrecognised terms [{<<\"foo\">>,1}] in user-limits";
    bad(
        &put_json(&broker, "/user-limits/viewer/foo", r#"{"value":1}"#),
        text,
    );
    broker.delete(path).is(204, "");
    assert_eq!(broker.json("/user-limits"), json!([]));
}

#[test]
fn policies_are_checked_and_set() {
    let broker = peopled();
    let path = "/policies/v/p";
    let policy =
        r#"{"pattern":"^q","definition":{"max-length":5},"priority":2,"apply-to":"queues"}"#;
    broker.put(path, policy).is(201, "");
    broker.put(path, policy).is(204, "");
    let mut expected: Value = serde_json::from_str(policy).unwrap();
    expected["vhost"] = "v".into();
    expected["name"] = "p".into();
    assert_eq!(broker.json(path), expected);
    assert_eq!(broker.json("/policies"), json!([expected]));
    for (body, why) in [
        (
            r#"{"pattern":"a","definition":{"zork":10}}"#,
            "[{<<\"zork\">>,10}] are not recognised policy settings",
        ),
        (r#"{"pattern":"a","definition":{}}"#, "no policy provided"),
        (
            r#"{"pattern":"a","definition":{"max-length":"x"}}"#,
            "<<\"x\">> is not a valid maximum length",
        ),
        (
            r#"{"pattern":5,"definition":{"max-length":1}}"#,
            "pattern should be a binary but was 5",
        ),
        (
            r#"{"pattern":"a","definition":{"max-length":1},"priority":"x"}"#,
            "priority should be a number, actually was <<\"x\">>",
        ),
    ] {
        bad(
            &broker.put(path, body),
            &format!("Validation failed\n\n{why}\n"),
        );
    }
    bad(
        &broker.put(path, r#"{"pattern":"a"}"#),
        "[{key_missing,definition}]",
    );
    refuses(
        &broker.put("/policies/w/p", policy),
        404,
        "not_found",
        "vhost_not_found",
    );
    broker.delete(path).is(204, "");
    absent(&broker.delete(path));
}

#[test]
fn policymakers_set_policies_where_they_may_enter_and_no_operators_policies() {
    let broker = peopled();
    let policy = r#"{"pattern":"^q","definition":{"max-length":5}}"#;
    broker
        .ask("maker", "PUT", "/policies/v/p", policy)
        .is(201, "");
    let elsewhere = broker.ask("maker", "PUT", "/policies/%2F/p", policy);
    refuses(&elsewhere, 404, "not_found", "Not Found");
    let viewer = broker.ask("viewer", "PUT", "/policies/v/p", policy);
    refuses(
        &viewer,
        401,
        "not_authorised",
        "User not authorised to access object",
    );
    let operator = broker.ask("maker", "PUT", "/operator-policies/v/o", policy);
    refuses(&operator, 401, "not_authorised", "Not administrator user");
    assert_eq!(broker.put("/operator-policies/v/o", policy).status, 415);
    put_json(&broker, "/operator-policies/v/o", policy).is(201, "");
    let shown = broker.json("/parameters/operator_policy/v");
    assert_eq!(shown[0]["value"]["definition"], json!({"max-length": 5}));
}

#[test]
fn parameters_belong_to_components_there_are() {
    let broker = peopled();
    let text = "Validation failed\n\ncomponent zork not found\n";
    bad(&broker.put("/parameters/zork/v/n", r#"{"value":{}}"#), text);
    bad(
        &broker.put("/parameters/zork/v/n", "{}"),
        "[{key_missing,value}]",
    );
    let nowhere = broker.put("/parameters/zork/w/n", r#"{"value":{}}"#);
    refuses(&nowhere, 404, "not_found", "vhost_not_found");
    assert_eq!(broker.json("/parameters/zork"), json!([]));
    absent(&broker.get("/parameters/zork/v/n"));
    let viewer = broker.ask("viewer", "GET", "/parameters", "");
    refuses(
        &viewer,
        401,
        "not_authorised",
        "User not authorised to access object",
    );
}

#[test]
fn parameters_of_the_whole_broker_are_any_json() {
    let broker = Broker::start();
    let path = "/global-parameters/g";
    let value = json!({"a": [1, 2.5, null, true, "x", {"big": u64::MAX}]});
    let body = json!({ "value": value }).to_string();
    broker.put(path, &body).is(201, "");
    broker.put(path, &body).is(204, "");
    assert_eq!(broker.json(path), json!({"name": "g", "value": value}));
    assert_eq!(
        broker.json("/global-parameters"),
        json!([{"name": "g", "value": value}])
    );
    broker.delete(path).is(204, "");
    absent(&broker.delete(path));
}

#[test]
fn health_checks_say_what_is_wrong() {
    let broker = Broker::start();
    for check in [
        "alarms",
        "local-alarms",
        "virtual-hosts",
        "is-in-service",
        "ready-to-serve-clients",
        "below-node-connection-limit",
        "protocol-listener/amqp091,http",
        "certificate-expiration/1/months",
        "quorum-queues-without-elected-leaders/all-vhosts/",
        "metadata-store/initialized/with-data",
    ] {
        let answer = broker.json(&format!("/health/checks/{check}"));
        assert_eq!(answer["status"], "ok", "{check}");
    }
    let port = broker.amqp.port();
    let ok = broker.json(&format!("/health/checks/port-listener/{port}"));
    assert_eq!(ok, json!({"status": "ok", "port": port}));
    let missing = broker.get("/health/checks/protocol-listener/mqtt,amqp");
    let expected = json!({
        "status": "failed",
        "reason": "No active listener",
        "missing": ["mqtt"],
        "protocols": ["amqp", "http"],
    });
    assert_eq!((missing.status, missing.json()), (503, expected));
    bad(
        &broker.get("/health/checks/port-listener/x"),
        "Invalid port",
    );
    absent(&broker.get("/health/checks/node-is-mirror-sync-critical"));
    assert_eq!(broker.json("/aliveness-test/%2F"), json!({"status": "ok"}));
    absent(&broker.get("/aliveness-test/nowhere"));
    absent(&broker.get("/healthchecks/node/elsewhere"));
}

#[test]
fn features_that_clients_look_for_are_enabled() {
    let broker = Broker::start();
    let flags = broker.json("/feature-flags");
    for (name, stability) in [
        ("stream_queue", "required"),
        ("quorum_queue", "required"),
        ("user_limits", "required"),
        ("rabbitmq_4.3.0", "stable"),
    ] {
        let flag = flags
            .as_array()
            .unwrap()
            .iter()
            .find(|flag| flag["name"] == name)
            .unwrap();
        assert_eq!(flag["state"], "enabled", "{name}");
        assert_eq!(flag["stability"], stability, "{name}");
    }
    broker
        .put("/feature-flags/quorum_queue/enable", "")
        .is(204, "");
    bad(&broker.put("/feature-flags/zork/enable", ""), "unsupported");
    assert_eq!(broker.json("/deprecated-features/used"), json!([]));
}
