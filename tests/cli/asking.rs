//! Commands that ask the management API: what they send, what they make of the
//! answers, what they say when there is none.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::fake_api::FakeApi;
use crate::program::{Outcome, harrier, run};

const QUEUES: &str = r#"[
    {"vhost": "/", "name": "orders", "type": "classic", "state": "running", "messages_ready": 12,
     "messages_unacknowledged": 1, "messages": 13, "consumers": 2, "message_stats":
     {"publish_details": {"rate": 1.25}}},
    {"vhost": "shop", "name": "failed", "type": "quorum", "state": "down", "messages_ready": 9}
]"#;

fn ask(api: &FakeApi, arguments: &[&str]) -> Outcome {
    run(harrier(arguments).args(["--url", &api.url]))
}

#[test]
fn a_list_is_a_table_of_what_the_api_says() {
    let api = FakeApi::answering(&[("200 OK", QUEUES)]);
    let listed = ask(
        &api,
        &["queues", "list", "--sort", "ready", "--format", "table"],
    );
    let expected = "\
VHOST  NAME    TYPE     STATE    READY  UNACKED  TOTAL  CONSUMERS  IN/S  OUT/S  POLICY
shop   failed  quorum   down         9
/      orders  classic  running     12        1     13          2   1.2
";
    assert_eq!((&*listed.stdout, &*listed.stderr), (expected, ""));
    let asked = api.requests();
    assert!(
        asked[0]
            .line
            .starts_with("GET /api/queues?columns=vhost%2Cname"),
        "{}",
        asked[0].line
    );
    // guest:guest
    let login = "authorization: Basic Z3Vlc3Q6Z3Vlc3Q=".to_owned();
    assert!(asked[0].headers.contains(&login), "{:?}", asked[0].headers);
}

#[test]
fn a_list_for_programs_is_what_the_api_said() {
    let api = FakeApi::answering(&[("200 OK", QUEUES)]);
    let listed = ask(&api, &["queues", "list"]);
    let said: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(said, serde_json::from_str::<Value>(QUEUES).unwrap());
}

#[test]
fn columns_order_pattern_and_limit_hold_for_programs_too() {
    let api = FakeApi::answering(&[("200 OK", QUEUES)]);
    let listed = ask(
        &api,
        &[
            "queues",
            "list",
            "--columns",
            "name,message_stats.publish_details.rate",
            "--sort",
            "messages_ready",
            "--reverse",
            "--limit",
            "1",
            "--matching",
            "^[of]",
        ],
    );
    let said: Value = serde_json::from_str(&listed.stdout).unwrap();
    let rate = json!({"publish_details": {"rate": 1.25}});
    assert_eq!(said, json!([{"name": "orders", "message_stats": rate}]));
}

#[test]
fn names_are_one_segment_of_the_path_whatever_is_in_them() {
    let api = FakeApi::answering(&[("200 OK", "{}")]);
    ask(&api, &["queues", "show", "a/b c", "--vhost", "/"]);
    assert_eq!(
        api.requests()[0].line,
        "GET /api/queues/%2F/a%2Fb%20c HTTP/1.1"
    );
}

#[test]
fn what_is_declared_is_durable_and_has_its_arguments() {
    let api = FakeApi::answering(&[("201 Created", "")]);
    let declared = ask(
        &api,
        &[
            "queues",
            "declare",
            "q",
            "--type",
            "quorum",
            "--max-length",
            "5",
            "--argument",
            "x-a=true",
            "--format",
            "table",
        ],
    );
    assert_eq!(declared.stdout, "queue 'q' in vhost '/' declared\n");
    let asked = &api.requests()[0];
    assert_eq!(asked.line, "PUT /api/queues/%2F/q HTTP/1.1");
    assert!(
        asked
            .headers
            .contains(&"content-type: application/json".to_owned())
    );
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    let arguments = json!({"x-queue-type": "quorum", "x-max-length": 5, "x-a": true});
    assert_eq!(
        body,
        json!({"durable": true, "auto_delete": false, "arguments": arguments})
    );
}

#[test]
fn a_binding_is_found_by_its_key_before_it_is_deleted() {
    let bindings = r#"[{"routing_key": "x", "arguments": {}, "properties_key": "x"},
        {"routing_key": "a b", "arguments": {}, "properties_key": "a+b"}]"#;
    let api = FakeApi::answering(&[("200 OK", bindings), ("204 No Content", "")]);
    let deleted = ask(
        &api,
        &["bindings", "delete", "e", "q", "--routing-key", "a b"],
    );
    assert_eq!((deleted.code, &*deleted.stderr), (Some(0), ""));
    let line = "DELETE /api/bindings/%2F/e/e/q/q/a%2Bb HTTP/1.1";
    assert_eq!(api.requests()[1].line, line);
}

#[test]
fn retagging_a_user_keeps_the_password() {
    let user = r#"{"name": "u", "password_hash": "abc", "hashing_algorithm": "h", "tags": []}"#;
    let api = FakeApi::answering(&[("200 OK", user), ("204 No Content", "")]);
    let tagged = ask(&api, &["users", "tag", "u", "monitoring"]);
    assert_eq!((tagged.code, &*tagged.stderr), (Some(0), ""));
    let body: Value = serde_json::from_str(&api.requests()[1].body).unwrap();
    let expected =
        json!({"password_hash": "abc", "hashing_algorithm": "h", "tags": ["monitoring"]});
    assert_eq!(body, expected);
}

#[test]
fn a_body_that_is_no_text_is_sent_as_base64_and_printed_as_it_was() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("body");
    fs::write(&file, [0xff, 0x00]).unwrap();
    let api = FakeApi::answering(&[("200 OK", r#"{"routed": true}"#)]);
    ask(
        &api,
        &[
            "publish",
            "q",
            "--file",
            file.to_str().unwrap(),
            "--header",
            "n=1",
        ],
    );
    let asked = &api.requests()[0];
    assert_eq!(
        asked.line,
        "POST /api/exchanges/%2F/amq.default/publish HTTP/1.1"
    );
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(
        (&body["payload"], &body["payload_encoding"]),
        (&json!("/wA="), &json!("base64"))
    );
    assert_eq!(
        body["properties"],
        json!({"delivery_mode": 2, "headers": {"n": 1}})
    );

    let messages = r#"[{"payload": "/wA=", "payload_encoding": "base64", "payload_bytes": 2}]"#;
    let api = FakeApi::answering(&[("200 OK", messages)]);
    let mut command = harrier(&["get", "q", "--raw", "--url", &api.url]);
    assert_eq!(command.output().unwrap().stdout, [0xff, 0x00, b'\n']);
}

#[test]
fn a_message_that_no_queue_takes_is_a_failure() {
    let api = FakeApi::answering(&[("200 OK", r#"{"routed": false}"#)]);
    let published = ask(&api, &["publish", "nowhere", "x", "--format", "table"]);
    published.fails(1, &["no queue took", "'nowhere'", "bindings list"]);
}

#[test]
fn each_line_is_a_message_where_asked_for() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("lines");
    fs::write(&file, "one\r\ntwo\n\nfour").unwrap();
    let api = FakeApi::answering(&[("200 OK", r#"{"routed": true}"#); 4]);
    let published = ask(
        &api,
        &["publish", "q", "--lines", "--file", file.to_str().unwrap()],
    );
    assert_eq!((published.code, &*published.stderr), (Some(0), ""));
    let bodies = api.requests();
    let bodies = bodies
        .iter()
        .map(|asked| serde_json::from_str::<Value>(&asked.body).unwrap());
    let bodies: Vec<Value> = bodies.map(|mut body| body["payload"].take()).collect();
    assert_eq!(bodies, ["one", "two", "", "four"]);
}

#[test]
fn refusals_say_what_it_was_about() {
    let not_found = r#"{"error": "Object Not Found", "reason": "Not Found"}"#;
    let untagged = r#"{"error": "not_authorised", "reason": "Not administrator user"}"#;
    let wrong = r#"{"error": "not_authorized", "reason": "Not_Authorized"}"#;
    let inequivalent = r#"{"error": "bad_request", "reason": "inequivalent arg 'durable'"}"#;
    let protected = r#"{"error": "precondition_failed", "reason": "Refusing to delete"}"#;
    for (status, body, arguments, words) in [
        (
            "404 Not Found",
            not_found,
            &["queues", "show", "q"][..],
            &["there is no queue 'q' in vhost '/'"][..],
        ),
        (
            "401 Unauthorized",
            untagged,
            &["users", "list"],
            &["Not administrator user", "tag"],
        ),
        (
            "401 Unauthorized",
            wrong,
            &["users", "list"],
            &["login", "--password"],
        ),
        (
            "401 Unauthorized",
            "",
            &["users", "list"],
            &["login", "--password"],
        ),
        (
            "400 Bad Request",
            inequivalent,
            &["queues", "declare", "q"],
            &["queue 'q'", "inequivalent arg 'durable'"],
        ),
        (
            "412 Precondition Failed",
            protected,
            &["vhosts", "delete", "v"],
            &["vhost 'v'", "Refusing"],
        ),
        (
            "503 Service Unavailable",
            r#"{"status": "failed", "reason": "disk"}"#,
            &["nodes", "list"],
            &["disk"],
        ),
        (
            "302 Found",
            "",
            &["nodes", "list"],
            &["isn't the management API", "--url"],
        ),
        (
            "200 OK",
            "<html>",
            &["nodes", "list"],
            &["doesn't answer with JSON"],
        ),
    ] {
        let api = FakeApi::answering(&[(status, body)]);
        ask(&api, arguments).fails(1, words);
    }
}

#[test]
fn what_is_gone_already_is_no_failure_where_that_is_said() {
    let gone = r#"{"error": "Object Not Found", "reason": "Not Found"}"#;
    let api = FakeApi::answering(&[("404 Not Found", gone)]);
    let deleted = ask(&api, &["queues", "delete", "q", "--if-exists"]);
    assert_eq!((deleted.code, &*deleted.stderr), (Some(0), ""));
}

#[test]
fn a_failed_check_is_a_failure_and_is_shown() {
    let ok = r#"{"status": "ok"}"#;
    let failed = r#"{"status": "failed", "reason": "memory alarm"}"#;
    let api = FakeApi::answering(&[("200 OK", ok), ("503 Service Unavailable", failed)]);
    let health = ask(
        &api,
        &["health", "virtual-hosts", "alarms", "--format", "table"],
    );
    assert_eq!(health.code, Some(1));
    let table =
        "CHECK          STATUS  REASON\nvirtual-hosts  ok\nalarms         failed  memory alarm\n";
    assert_eq!(health.stdout, table);
    assert!(
        health.stderr.contains("not healthy: alarms"),
        "{}",
        health.stderr
    );
}

#[test]
fn without_a_broker_it_says_what_to_do() {
    // A port that nobody listens on: one just given back.
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let outcome = run(&mut harrier(&["queues", "list", "--url", &url]));
    outcome.fails(1, &["nothing listens at", &url, "harrier serve", "--url"]);
}

#[test]
fn what_does_not_speak_http_is_told() {
    let api = FakeApi::answering(&[("", "")]);
    // The answer of an AMQP broker to what isn't AMQP.
    ask(&api, &["queues", "list"]).fails(1, &["doesn't speak HTTP", "15672"]);
}

#[test]
fn a_profile_has_what_is_not_given() {
    let directory = tempdir().unwrap();
    let profiles = directory.path().join("profiles.toml");
    let api = FakeApi::answering(&[("200 OK", "[]"), ("200 OK", "[]")]);
    let text = format!(
        "[test]\nurl = {:?}\nuser = \"u\"\npassword = \"p\"\n",
        api.url
    );
    fs::write(&profiles, text).unwrap();
    let with_profile = |command: &mut Command| {
        let outcome = run(command.env("HARRIER_PROFILES", &profiles));
        assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
    };
    with_profile(&mut harrier(&["users", "list", "--profile", "test"]));
    with_profile(harrier(&["users", "list", "--user", "w"]).env("HARRIER_PROFILE", "test"));
    let asked = api.requests();
    for (asked, login) in asked.iter().zip(["dTpw", "dzpw"]) {
        let login = format!("authorization: Basic {login}");
        assert!(asked.headers.contains(&login), "{:?}", asked.headers);
    }
    let mut missing = harrier(&["users", "list", "--profile", "prod"]);
    run(missing.env("HARRIER_PROFILES", &profiles)).fails(2, &["no [prod]", "it has test"]);
    fs::write(&profiles, "[test]\nurll = \"x\"\n").unwrap();
    let mut wrong = harrier(&["users", "list", "--profile", "test"]);
    run(wrong.env("HARRIER_PROFILES", &profiles)).fails(2, &["profiles.toml", "urll"]);
}

#[test]
fn the_password_may_come_from_a_file() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, "p\n").unwrap();
    let api = FakeApi::answering(&[("200 OK", "[]")]);
    let file = file.to_str().unwrap();
    ask(
        &api,
        &["users", "list", "--user", "u", "--password-file", file],
    );
    let login = "authorization: Basic dTpw".to_owned();
    assert!(api.requests()[0].headers.contains(&login));
}

#[test]
fn definitions_are_written_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempdir().unwrap();
    let file = directory.path().join("broker.json");
    let definitions = r#"{"users": [{"name": "u"}], "queues": [], "bindings": [{}, {}]}"#;
    let api = FakeApi::answering(&[("200 OK", definitions)]);
    let shown = file.to_str().unwrap();
    let exported = ask(&api, &["definitions", "export", shown, "--format", "table"]);
    assert_eq!(
        exported.stdout,
        format!("1 users, 2 bindings written to {shown}\n")
    );
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let api = FakeApi::answering(&[("204 No Content", "")]);
    let imported = ask(&api, &["definitions", "import", shown, "--format", "table"]);
    assert_eq!(imported.stdout, "1 users, 2 bindings imported\n");
    assert_eq!(api.requests()[0].line, "POST /api/definitions HTTP/1.1");
    for (text, words) in [
        ("{\n  \"users\": ,\n}", ["isn't JSON", "line 2"]),
        ("{\"a\": []}", ["has no definitions", "queues"]),
    ] {
        fs::write(&file, text).unwrap();
        run(&mut harrier(&["definitions", "import", shown])).fails(1, &words);
    }
}

const STORY: &str = r#"{"id": "0676b2a3c1d00000", "vhost": "/", "first_at": 1000, "last_at": 1300,
    "correlation_id": "order-1", "body_bytes": 2048, "in": [{"queue": "dead", "state": "unacked"}],
    "events": [
    {"at": 1000, "what": "published", "exchange": "", "routing_key": "orders", "queues": ["orders"],
     "user": "app", "connection": "a -> b", "channel": 3, "bindings": []},
    {"at": 1250, "what": "dead_lettered", "queue": "orders", "reason": "delivery_limit",
     "exchange": "dlx", "routing_key": "k\u001b[2J", "queues": []},
    {"at": 1300, "what": "delivered", "queue": "dead", "consumer_tag": "ctag", "user": "ops",
     "redelivered": true, "ack_required": true}]}"#;

#[test]
fn the_story_of_a_message_is_a_time_line() {
    let api = FakeApi::answering(&[("200 OK", STORY)]);
    let id = "0676b2a3c1d00000";
    let shown = ask(&api, &["trace", "show", id, "--format", "table"]);
    let (first, rest) = shown.stdout.split_once('\n').unwrap();
    assert!(
        first.starts_with("trace 0676b2a3c1d00000 in vhost '/', "),
        "{first}"
    );
    let expected = "\
correlation id: order-1
body: 2.0 KiB

        0 ms  published      to exchange amq.default with key 'orders' into orders by app (a -> b, channel 3)
      250 ms  dead lettered  from orders (delivery limit) to exchange dlx with key 'k\\u{1b}[2J' into no queue
      300 ms  delivered      from dead to consumer 'ctag' again of ops

now: in dead (unacked)
";
    assert_eq!((rest, &*shown.stderr), (expected, ""));
    let asked = api.requests();
    assert_eq!(
        asked[0].line,
        format!("GET /api/harrier/traces/{id} HTTP/1.1")
    );
}

#[test]
fn a_rule_for_tracing_says_what_was_asked_for() {
    let api = FakeApi::answering(&[("201 Created", "")]);
    let options = [
        "--queue",
        "orders*",
        "--header",
        "tenant=acme",
        "--sample",
        "0.5",
    ];
    let command = [&["trace", "start", "some", "--vhost", "shop"][..], &options].concat();
    let started = ask(&api, &command);
    assert_eq!((started.code, &*started.stderr), (Some(0), ""));
    let asked = api.requests();
    assert_eq!(
        asked[0].line,
        "PUT /api/harrier/trace-rules/shop/some HTTP/1.1"
    );
    let body: Value = serde_json::from_str(&asked[0].body).unwrap();
    let expected = json!({"queue": "orders*", "headers": {"tenant": "acme"}, "sample": 0.5});
    assert_eq!(body, expected);
    let none = run(&mut harrier(&[
        "trace", "start", "some", "--header", "tenant",
    ]));
    assert_eq!(none.code, Some(2));
}
