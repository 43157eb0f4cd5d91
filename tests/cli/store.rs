//! `harrier store`: what an operator sees of a data directory, whole or not.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::program::{Broker, Outcome, harrier, run};

/// What `harrier perf` makes of `--queue-name orders`.
const QUEUE: &str = "orders-00000";

/// A data directory whose broker has stopped, with messages in a queue.
struct Stopped(TempDir);

impl Stopped {
    /// With so many messages of so many octets.
    fn with(messages: u32, size: u32) -> Self {
        let stopped = Self(tempdir().unwrap());
        let broker = Broker::start(stopped.path());
        fill(&broker, messages, size);
        broker.stop();
        stopped
    }

    /// With three segments: so many messages of 64 KiB.
    fn with_segments() -> Self {
        Self::with(1200, 65_536)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.path().join(format!("log/{number:010}.seg"))
    }

    fn flip(&self, number: u64, offset: u64) {
        let mut options = fs::OpenOptions::new();
        let file = options.read(true).write(true).open(self.segment(number));
        let (file, mut octet) = (file.unwrap(), [0]);
        file.read_exact_at(&mut octet, offset).unwrap();
        file.write_all_at(&[octet[0] ^ 16], offset).unwrap();
    }

    fn check(&self, format: &str) -> Outcome {
        self.store(&["check", "--format", format])
    }

    fn store(&self, arguments: &[&str]) -> Outcome {
        let mut command = harrier(&["store"]);
        run(command.args(arguments).arg("--data-dir").arg(self.path()))
    }

    /// What `check` says to programs: it fails, and names all of `words` to people.
    fn damage(&self, words: &[&str]) -> Value {
        let outcome = self.check("json");
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        for word in words.iter().chain(&["is damaged", "What to do:"]) {
            assert!(outcome.stderr.contains(word), "{word}: {}", outcome.stderr);
        }
        let said: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(said["damaged"], true);
        said
    }
}

fn fill(broker: &Broker, messages: u32, size: u32) {
    let filled = run(harrier(&["perf", "--uri"])
        .arg(format!("amqp://guest:guest@{}/%2f", broker.address))
        .args(["--persistent", "--confirm", "100", "--no-consume"])
        .args(["--queue-name", "orders"])
        .args([
            "--count",
            &messages.to_string(),
            "--size",
            &size.to_string(),
        ]));
    assert_eq!(filled.code, Some(0), "{}", filled.stderr);
}

#[test]
fn a_whole_directory_is_told_queue_by_queue() {
    let stopped = Stopped::with(50, 100);
    let said = stopped.check("json");
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    let json: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(json["damaged"], false);
    assert_eq!(json["problems"], Value::Array(Vec::new()));
    let queue = &json["queues"][0];
    assert_eq!(queue["name"], QUEUE);
    assert_eq!(queue["vhost"], "/");
    assert_eq!(queue["messages"], 50);
    assert_eq!(json["segments"][0]["live_messages"], 50);
    let table = stopped.check("table");
    assert_eq!(table.code, Some(0));
    for word in ["0000000001.seg", QUEUE, "messages", "database    ok"] {
        assert!(table.stdout.contains(word), "{word}: {}", table.stdout);
    }
}

#[test]
fn a_queue_is_dumped_in_order_a_line_a_message() {
    let stopped = Stopped::with(50, 100);
    let dump = stopped.store(&["dump", "--queue", QUEUE, "--format", "json"]);
    assert_eq!((dump.code, dump.stderr.as_str()), (Some(0), ""));
    let lines = dump.stdout.lines();
    let messages: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(messages.len(), 50);
    let positions = messages.iter().map(|message| message["position"].as_u64());
    assert!(positions.is_sorted());
    for message in &messages {
        assert_eq!(message["routing_key"], QUEUE);
        assert_eq!(message["exchange"], "");
        assert_eq!(message["properties"]["delivery_mode"], 2);
        assert_eq!(message["payload_bytes"], 100);
        assert_eq!(message["redelivered"], false);
    }
    let first = ["dump", "--queue", QUEUE, "--limit", "3", "--format", "json"];
    assert_eq!(stopped.store(&first).stdout.lines().count(), 3);
}

#[test]
fn a_queue_that_is_not_there_is_told() {
    let stopped = Stopped::with(1, 100);
    let dump = stopped.store(&["dump", "--queue", "nope"]);
    dump.fails(1, &["no durable queue 'nope' in vhost '/'", "store check"]);
    let dump = stopped.store(&["dump", "--queue", QUEUE, "--vhost", "shop"]);
    dump.fails(1, &["in vhost 'shop'"]);
}

#[test]
fn a_directory_that_is_in_use_or_not_there_is_told() {
    let directory = tempdir().unwrap();
    let broker = Broker::start(directory.path());
    for arguments in [&["check"][..], &["dump", "--queue", "q"]] {
        let mut command = harrier(&["store"]);
        let asked = command.args(arguments).arg("--data-dir");
        run(asked.arg(directory.path())).fails(1, &["in use by another process"]);
    }
    broker.stop();
    let nowhere = ["store", "check", "--data-dir", "/no/such/directory"];
    run(&mut harrier(&nowhere)).fails(1, &["/no/such/directory", "No such file"]);
}

#[test]
fn the_directory_may_be_named_by_the_configuration() {
    let stopped = Stopped::with(1, 100);
    let config = stopped.path().join("harrier.toml");
    let named = format!("data_dir = {:?}", stopped.path());
    fs::write(&config, named).unwrap();
    let check = run(harrier(&["store", "check"]).env("HARRIER_CONFIG", &config));
    assert_eq!((check.code, check.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_killed_brokers_directory_is_not_damaged() {
    let directory = tempdir().unwrap();
    let broker = Broker::start(directory.path());
    fill(&broker, 50, 100);
    drop(broker);
    let stopped = Stopped(directory);
    let said = stopped.check("json");
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    let json: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(json["queues"][0]["messages"], 50);
}

#[test]
fn a_flipped_bit_is_told_with_its_place() {
    let stopped = Stopped::with_segments();
    stopped.flip(1, 5_000_000);
    let said = stopped.damage(&["0000000001.seg has ", "messages in them are lost"]);
    let damaged = &said["segments"][0]["damaged"];
    let at = damaged[0]["offset"].as_u64().unwrap();
    let end = at + damaged[0]["bytes"].as_u64().unwrap();
    assert!((at..end).contains(&5_000_000), "{damaged}");
    assert_eq!(damaged.as_array().unwrap().len(), 1);
    let left = said["queues"][0]["messages"].as_u64().unwrap();
    assert!((1000..1200).contains(&left), "{left}");
    let dump = stopped.store(&["dump", "--queue", QUEUE, "--format", "json"]);
    assert_eq!(dump.code, Some(1));
    assert_eq!(dump.stdout.lines().count() as u64, left);
    assert!(
        dump.stderr.contains("messages may be missing"),
        "{}",
        dump.stderr
    );
}

#[test]
fn a_damaged_header_is_told() {
    let stopped = Stopped::with(50, 100);
    stopped.flip(1, 20);
    let said = stopped.damage(&["0000000001.seg has a damaged header"]);
    assert_eq!(said["queues"][0]["messages"], 50);
}

#[test]
fn a_truncated_segment_is_told_wherever_it_was_cut() {
    let stopped = Stopped::with_segments();
    let name = stopped.segment(1);
    let file = fs::OpenOptions::new().write(true).open(&name).unwrap();
    let whole = stopped.check("json");
    let whole: Value = serde_json::from_str(&whole.stdout).unwrap();
    assert_eq!(whole["damaged"], false);
    // Within its frames and, as far as these go, between two of them.
    for size in [10_000_000, 32] {
        file.set_len(size).unwrap();
        let said = stopped.damage(&["0000000001.seg has "]);
        assert_eq!(said["missing_segments"], Value::Array(Vec::new()));
    }
}

#[test]
fn a_missing_segment_is_told_be_it_the_newest_or_between_others() {
    let stopped = Stopped::with_segments();
    let segments = [2, 3].map(|number| stopped.segment(number));
    assert!(segments[1].exists());
    for (number, path) in (2..).zip(&segments) {
        let away = stopped.path().join("away");
        fs::rename(path, &away).unwrap();
        let words = format!("segment {number} of the log is missing");
        let said = stopped.damage(&[&words]);
        assert_eq!(said["missing_segments"][0], number);
        fs::rename(&away, path).unwrap();
    }
    assert_eq!(stopped.check("json").code, Some(0));
}

#[test]
fn a_corrupted_database_is_told_and_costs_nothing() {
    let stopped = Stopped::with(50, 100);
    let database = stopped.path().join("sled/db");
    fs::write(&database, vec![7; 100_000]).unwrap();
    let said = stopped.damage(&["the database is damaged", "makes it again from the log"]);
    assert_eq!(said["queues"][0]["messages"], 50);
    // Nothing was changed by looking.
    assert_eq!(fs::read(&database).unwrap(), vec![7; 100_000]);
}
