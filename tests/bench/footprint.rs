//! What a broker needs before anybody publishes: memory when idle, and time,
//! memory and a restart when there are many durable queues.
//!
//! `cargo bench --bench footprint -- [DIR]`: one connection declares the queues
//! one after the other, so that each `queue.declare-ok` waits for a sync of its
//! own on the disk of DIR.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement ends where it fails"
)]

#[path = "../server/broker.rs"]
#[allow(dead_code, reason = "made for the tests that share it")]
mod broker;
#[path = "../server/client.rs"]
#[allow(dead_code, reason = "made for the tests that share it")]
mod client;
#[allow(dead_code, reason = "shared with the tests of the server")]
#[path = "../server/transport.rs"]
mod transport;

use std::time::Instant;

use harrier::wire::FieldTable;

use broker::Broker;

const QUEUES: usize = 10_000;
/// Durations are medians of as many runs.
const ROUNDS: usize = 3;

/// What one run came to.
struct Figures {
    idle: u64,
    declared: f64,
    resident: u64,
    restarted: f64,
    resident_again: u64,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    // Without it this is a test run, which has nothing to find out here.
    if !arguments.any(|argument| argument == "--bench") {
        return;
    }
    let parent = arguments.next().unwrap_or_else(|| ".".into());
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| run(&parent)).collect();
    rounds.sort_by(|one, other| one.declared.total_cmp(&other.declared));
    let Figures {
        idle,
        declared,
        resident,
        restarted,
        resident_again,
    } = rounds[ROUNDS / 2];
    let [idle, resident, again] = [idle, resident, resident_again].map(mib);
    println!("idle: {idle:.1} MiB resident");
    println!("{QUEUES} durable queues declared one by one: {declared:.2} s, {resident:.1} MiB");
    println!("restart with them: {restarted:.2} s until ready, {again:.1} MiB");
}

fn run(parent: &str) -> Figures {
    let directory = tempfile::tempdir_in(parent).unwrap();
    let mut broker = Broker::on(directory.path(), &[]);
    let idle = broker.resident();
    let mut client = broker.client();
    let started = Instant::now();
    for number in 0..QUEUES {
        client.declare_durable(&format!("orders.{number}"), FieldTable::new());
    }
    let declared = started.elapsed().as_secs_f64();
    let resident = broker.resident();
    client.close();
    broker.terminate();
    assert!(broker.exit().success());
    let started = Instant::now();
    let broker = Broker::on(directory.path(), &[]);
    let restarted = started.elapsed().as_secs_f64();
    Figures {
        idle,
        declared,
        resident,
        restarted,
        resident_again: broker.resident(),
    }
}

fn mib(octets: u64) -> f64 {
    octets as f64 / (1024.0 * 1024.0)
}
