//! What all answers have in common.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::broker::Broker;

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let broker = Broker::start();
    let answer = broker.ask("guest", "DELETE", "/whoami", "");
    answer.is(405, "");
    assert_eq!(answer.header("allow"), "GET,HEAD,OPTIONS");
}

#[test]
fn options_and_head_are_answered_everywhere() {
    let broker = Broker::start();
    let answer = broker.send("OPTIONS", "/api/vhosts/%2F", &[], "");
    answer.is(200, "");
    assert!(answer.header("allow").contains("GET"));
    let answer = broker.ask("guest", "HEAD", "/whoami", "");
    answer.is(200, "");
    assert_eq!(answer.header("content-length"), "65");
}

#[test]
fn answers_are_json_that_nobody_keeps_or_frames() {
    let broker = Broker::start();
    let answer = broker.get("/overview");
    for (name, value) in [
        ("content-type", "application/json"),
        ("cache-control", "no-cache"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(answer.header(name), value);
    }
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'self'"), "{policy}");
}

#[test]
fn a_slash_at_the_end_changes_nothing() {
    let broker = Broker::start();
    assert_eq!(broker.json("/vhosts/?columns=name")[0]["name"], "/");
    assert_eq!(broker.json("/vhosts/%2F/")["name"], "/");
}

#[test]
fn an_overview_names_what_clients_insist_on() {
    let overview = Broker::start().json("/overview");
    for (key, value) in [
        ("rabbitmq_version", "4.3.6"),
        ("product_name", "RabbitMQ"),
        ("harrier_version", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(overview[key], value);
    }
    for key in [
        "cluster_name",
        "node",
        "erlang_version",
        "erlang_full_version",
        "product_version",
        "management_version",
        "statistics_db_event_queue",
        "churn_rates",
        "message_stats",
        "queue_totals",
        "object_totals",
        "listeners",
        "exchange_types",
    ] {
        assert!(!overview[key].is_null(), "{key}");
    }
    assert_eq!(overview["listeners"][0]["protocol"], "amqp");
    assert_eq!(overview["object_totals"]["connections"], 0);
}

/// Garbage ends its own connection and nothing else.
#[test]
fn what_is_not_http_is_turned_away() {
    let broker = Broker::start();
    for garbage in [
        &b"AMQP\0\0\x09\x01"[..],
        b"GET /api/%zz HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /api/vhosts/%ff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut socket = TcpStream::connect(broker.http).unwrap();
        socket.write_all(garbage).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // Cut off without a word is an answer, too.
        let _cut = socket.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{garbage:?}");
    }
    assert_eq!(broker.json("/whoami")["name"], "guest");
}
