//! `harrier perf` against `harrier serve`, both as a user starts them: traffic
//! of every shape arrives complete, and what goes wrong is said and told by the
//! exit code.

#![expect(clippy::expect_used, reason = "a test ends where it fails")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

const HARRIER: &str = env!("CARGO_BIN_EXE_harrier");

/// A broker that lives as long as this.
struct Broker {
    process: Child,
    uri: String,
    _data: TempDir,
}

impl Broker {
    fn start() -> Self {
        let data = TempDir::new().expect("a directory");
        let mut process = Command::new(HARRIER)
            .args([
                "serve",
                "--amqp",
                "127.0.0.1:0",
                "--http",
                "off",
                "--prometheus",
                "off",
            ])
            .arg("--data-dir")
            .arg(data.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the broker starts");
        let mut ready = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout)
            .read_line(&mut ready)
            .expect("a line");
        let address = ready
            .split_once("amqp=")
            .and_then(|(_, rest)| rest.split_whitespace().next())
            .expect("the ready line names the address");
        Self {
            uri: format!("amqp://guest:guest@{address}/%2f"),
            process,
            _data: data,
        }
    }

    fn perf(&self, options: &str) -> Output {
        Command::new(HARRIER)
            .args(["perf", "--uri", &self.uri])
            .args(options.split_whitespace())
            .output()
            .expect("perf runs")
    }

    /// Runs with `options`, which must go well; the line it prints.
    fn clean(&self, options: &str) -> serde_json::Value {
        let output = self.perf(options);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{options}: {complaint}");
        serde_json::from_slice(&output.stdout).expect("a line of JSON")
    }

    /// Runs with `options`, which must fail with `code`; what it says.
    fn failing(&self, options: &str, code: i32) -> String {
        let output = self.perf(options);
        assert_eq!(output.status.code(), Some(code), "{options}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[test]
fn all_shapes_of_traffic_arrive() {
    let broker = Broker::start();
    for (options, received) in [
        ("--count 3000", 3000),
        (
            "--count 2000 --size 1024 --persistent --confirm 100 --ack each --prefetch 50",
            2000,
        ),
        (
            "--count 500 --exchange direct --ack multiple --prefetch 100",
            500,
        ),
        ("--count 500 --exchange topic --bindings 300", 500),
        ("--count 500 --exchange headers --bindings 20", 500),
        (
            "--count 300 --fanout --queues 4 --consumers 2 --producers 2",
            1200,
        ),
        (
            "--count 400 --producers 7 --queues 3 --consumers 5 --ack multiple --ack-batch 7",
            400,
        ),
        ("--count 400 --producers 2 --queues 9 --consumers 4", 400),
        ("--count 20 --size 1000000", 20),
        ("--count 100 --rate 1000", 100),
    ] {
        let result = broker.clean(options);
        assert_eq!(result["verify"]["received"], received, "{options}");
    }
}

#[test]
fn what_is_filled_can_be_drained() {
    let broker = Broker::start();
    let filled = broker.clean("--no-consume --persistent --count 1000 --queue-name fill");
    assert_eq!(filled["published"], 1000);
    let told = broker.failing("--count 1 --queue-name fill --durable", 1);
    assert!(told.contains("already holds 1000 messages"), "{told}");
    let drained = broker.clean("--drain --durable --queue-name fill --ack multiple");
    assert_eq!(drained["verify"]["received"], 1000);
}

#[test]
fn failures_say_what_happened() {
    let broker = Broker::start();
    let told = broker.failing("--count 1 --queue-args x-max-length=-1", 1);
    assert!(told.contains("406 PRECONDITION_FAILED"), "{told}");
    assert!(broker.failing("--size 3", 2).contains("--size"));
    let nobody = broker.failing("--drain --queue-name nothing", 1);
    assert!(nobody.contains("404 NOT_FOUND"), "{nobody}");
}
