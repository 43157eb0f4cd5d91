//! A broker beside a bare program that does with the disk what the broker did:
//! it appends as many octets and syncs them, batch by batch, and nothing else.
//!
//! `cargo bench --bench disk -- [DIR [MICROSECONDS]]`: `harrier perf` loads a broker whose
//! writes and syncs are noted, then the bare program repeats them on a file
//! that is filled with zeros and used over and over, in the same directory. In
//! turns, medians. Where the processors are the limit, those of the load count
//! as well: a broker that has some to itself comes closer to the disk. So it
//! does beside a slower disk: with a number behind the directory each sync takes
//! that many microseconds longer, the broker's and the bare program's.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement ends where it fails"
)]

mod bare;
mod broker;
mod noted;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use bare::bare;
use broker::Broker;
use noted::NotedFiles;

/// As `harrier` itself has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 5;

const SAFE: &str = "--persistent --confirm 1000 --ack each --prefetch 1000 --duration 3";
const TEN: &str = "--producers 10 --queues 10 --consumers 10";

/// What is measured: a name and what `harrier perf` is told.
fn scenarios() -> Vec<(&'static str, String)> {
    let safe = |size: usize, more: &str| format!("--size {size} {SAFE} {more}");
    vec![
        ("100 B, 1 queue", safe(100, "")),
        ("100 B, 10 queues", safe(100, TEN)),
        ("1 KiB, 1 queue", safe(1024, "")),
        ("1 KiB, 10 queues", safe(1024, TEN)),
        (
            "1 KiB, one at a time",
            "--size 1024 --persistent --confirm 1 --no-consume --count 2000".into(),
        ),
    ]
}

/// What one run came to, each a message.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Messages a second.
    rate: f64,
    bare_rate: f64,
    /// Processor time, us.
    cpu: f64,
    load_cpu: f64,
    bare_cpu: f64,
    syncs: f64,
    octets: f64,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    // Without it this is a test run, which has nothing to find out here.
    if !arguments.any(|argument| argument == "--bench") {
        return;
    }
    let parent = arguments.next().unwrap_or_else(|| ".".into());
    if let Some(microseconds) = arguments.next() {
        noted::slow_down(Duration::from_micros(microseconds.parse().unwrap()));
    }
    let scenarios = scenarios();
    let mut runs = vec![Vec::new(); scenarios.len()];
    for round in 1..=ROUNDS {
        for ((name, options), runs) in scenarios.iter().zip(&mut runs) {
            let directory = tempfile::tempdir_in(&parent).unwrap();
            let run = measure(directory.path(), options);
            eprintln!("round {round}, {name}: {run:.3?}");
            runs.push(run);
        }
    }
    println!(
        "| persistent, confirmed | Harrier | bare | ratio | CPU | its load's | bare | syncs | octets |\n\
         |---|---|---|---|---|---|---|---|---|"
    );
    for ((name, _), runs) in scenarios.iter().zip(&runs) {
        let median = |value: fn(&Run) -> f64| median(runs.iter().map(value).collect());
        println!(
            "| {name} | {:.1} k/s | {:.1} k/s | {:.2} | {:.2} us | {:.2} us | {:.2} us | {:.4} | {:.0} |",
            median(|run| run.rate) / 1e3,
            median(|run| run.bare_rate) / 1e3,
            median(|run| run.rate / run.bare_rate),
            median(|run| run.cpu),
            median(|run| run.load_cpu),
            median(|run| run.bare_cpu),
            median(|run| run.syncs),
            median(|run| run.octets),
        );
    }
    println!("\nCPU, syncs and octets are those of a message.");
}

fn measure(directory: &Path, options: &str) -> Run {
    let files = NotedFiles::default();
    let broker = Broker::start(&directory.join("broker"), files.clone());
    let result = perf(&broker, options);
    broker.stop();
    let batches = files.batches();
    let bare = bare(&directory.join("bare"), &batches);
    // Those of the warm-up were written, too.
    let written = match result["verify"]["received"].as_u64() {
        Some(received @ 1..) => received,
        _ => result["published"].as_u64().unwrap(),
    } as f64;
    let octets: u64 = batches.iter().sum();
    Run {
        rate: result["messages_per_s"].as_f64().unwrap(),
        bare_rate: written / bare.wall.as_secs_f64(),
        cpu: result["server_process"]["cpu_us_per_message"]
            .as_f64()
            .unwrap(),
        load_cpu: result["own_cpu_us_per_message"].as_f64().unwrap(),
        bare_cpu: bare.cpu.as_secs_f64() * 1e6 / written,
        syncs: batches.len() as f64 / written,
        octets: octets as f64 / written,
    }
}

/// What `harrier perf` prints of a run against `broker`, which is this process.
fn perf(broker: &Broker, options: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_harrier"))
        .args(["perf", "--format", "json", "--uri"])
        .arg(format!("amqp://guest:guest@{}/%2f", broker.address))
        .args(["--server-pid", &std::process::id().to_string()])
        .args(options.split_whitespace())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{options}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
