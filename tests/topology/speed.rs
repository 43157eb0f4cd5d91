//! What routing costs. Ignored by default: figures mean nothing in a debug
//! build or on a busy machine. `cargo test --release --test topology speed --
//! --ignored --nocapture --test-threads 1`

use std::time::{Duration, Instant};

use harrier::broker::routing::RoutingKeys;
use harrier::wire::FieldTable;

use crate::support::{Host, to_queue};

const ROUNDS: u32 = 1_000_000;

/// The time one route takes, the best of five.
fn time_route(host: &Host, exchange: &str, key: &str, found: usize) -> Duration {
    let mut out = Vec::new();
    let mut headers = FieldTable::new();
    let run = |_| {
        let started = Instant::now();
        for _ in 0..ROUNDS {
            out.clear();
            let keys = RoutingKeys::one(key);
            host.vhost
                .route(exchange, keys, &mut headers, &mut out)
                .unwrap();
        }
        assert_eq!(out.len(), found);
        started.elapsed() / ROUNDS
    };
    (0..5).map(run).min().unwrap()
}

#[test]
#[ignore = "measures"]
fn one_match_among_a_thousand_patterns() {
    let mut host = Host::new();
    for at in 0..1000 {
        host.queue(&format!("q{at}"));
        let pattern = match at % 3 {
            0 => format!("stock.{at}.*"),
            1 => format!("stock.{at}.#"),
            _ => format!("*.{at}.nyse"),
        };
        host.bind(to_queue("amq.topic", &format!("q{at}"), &pattern))
            .unwrap();
    }
    for key in ["stock.300.nyse", "stock.301.nyse", "stock.302.nyse"] {
        let took = time_route(&host, "amq.topic", key, 1);
        println!("topic, 1000 patterns, {key}: {took:?}");
    }
    host.bind(to_queue("amq.direct", "q7", "key")).unwrap();
    println!("direct: {:?}", time_route(&host, "amq.direct", "key", 1));
    println!("default: {:?}", time_route(&host, "", "q7", 1));
}

#[test]
#[ignore = "measures"]
fn one_of_many_by_hash_or_chance() {
    for kind in ["x-consistent-hash", "x-modulus-hash", "x-random"] {
        for count in [2, 16, 128] {
            let mut host = Host::new();
            host.exchange("x", kind);
            for at in 0..count {
                let name = format!("q{at}");
                host.queue(&name);
                host.bind(to_queue("x", &name, "1")).unwrap();
            }
            let took = time_route(&host, "x", "some.routing.key", 1);
            println!("{kind}, {count} queues: {took:?}");
        }
    }
}

#[test]
#[ignore = "measures"]
fn a_pattern_made_to_be_slow() {
    let mut host = Host::new();
    host.queue("q");
    for pattern in ["#.*.#", "#.a.#", "#.a.*.#.a", "*.#.a.#"] {
        host.bind(to_queue("amq.topic", "q", pattern)).unwrap();
    }
    let key = vec!["a"; 127].join(".");
    let mut out = Vec::new();
    let started = Instant::now();
    for _ in 0..1000 {
        out.clear();
        let keys = RoutingKeys::one(&key);
        host.vhost
            .route("amq.topic", keys, &mut FieldTable::new(), &mut out)
            .unwrap();
    }
    println!("127 words, 4 patterns: {:?}", started.elapsed() / 1000);
}

#[test]
#[ignore = "measures"]
fn ten_thousand_queues_come_and_go() {
    for source in ["amq.fanout", "amq.direct", "amq.topic", "amq.headers"] {
        let mut host = Host::new();
        for count in [10_000, 100_000] {
            let started = Instant::now();
            for at in 0..count {
                let name = format!("q{at}");
                host.queue(&name);
                host.bind(to_queue(source, &name, "k")).unwrap();
            }
            let made = started.elapsed() / count;
            let started = Instant::now();
            for at in 0..count {
                host.delete_queue(&format!("q{at}")).unwrap();
            }
            let gone = started.elapsed() / count;
            host.log.take();
            println!("{source}, {count} queues: {made:?} to make each, {gone:?} to delete");
        }
    }
}

/// Octets of memory in use.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() * 1024
}

#[test]
#[ignore = "measures"]
fn what_an_empty_queue_weighs() {
    let count = 100_000;
    let mut host = Host::new();
    let before = resident();
    for at in 0..count {
        host.queue(&format!("a-queue-with-a-name-{at}"));
        host.log.take();
    }
    let queues = resident();
    for at in 0..count {
        let name = format!("a-queue-with-a-name-{at}");
        host.bind(to_queue("amq.topic", &name, &format!("some.key.{at}.#")))
            .unwrap();
        host.log.take();
    }
    let bindings = resident();
    println!("an empty queue: {} octets", (queues - before) / count);
    println!("a topic binding: {} octets", (bindings - queues) / count);
}
