//! A broker in a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::Client;

/// How long anything may take before it counts as stuck.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running broker. It is killed when the test is done with it.
pub struct Broker {
    child: Child,
    pub address: SocketAddr,
    /// Where it serves TLS.
    pub encrypted: Option<SocketAddr>,
    /// Where it serves HTTP.
    #[allow(dead_code, reason = "the tests of crashes ask there")]
    pub http: Option<SocketAddr>,
    /// Where it serves that over TLS.
    #[allow(dead_code, reason = "the tests of tokens ask there")]
    pub https: Option<SocketAddr>,
    logged: Receiver<String>,
    log: Vec<String>,
    /// Goes away after the broker.
    _directory: Option<TempDir>,
}

impl Broker {
    /// A broker with a data directory of its own.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with more flags.
    pub fn with(flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut broker = Self::on(directory.path(), flags);
        broker._directory = Some(directory);
        broker
    }

    /// A broker on a data directory that outlives it.
    pub fn on(directory: &Path, flags: &[&str]) -> Self {
        Self::of(&mut Self::command(directory, flags))
    }

    /// The broker that a command starts.
    pub fn of(command: &mut Command) -> Self {
        let mut child = Self::spawn(command);
        let logged = lines(child.stderr.take().unwrap());
        let said = lines(child.stdout.take().unwrap());
        let Ok(ready) = said.recv_timeout(PATIENCE) else {
            let log: Vec<String> = logged.try_iter().collect();
            panic!("the broker doesn't start: {log:#?}");
        };
        let address = |key| {
            let mut words = ready.split_whitespace();
            words.find_map(|word| word.strip_prefix(key)?.parse().ok())
        };
        Self {
            child,
            address: address("amqp=").unwrap(),
            encrypted: address("amqps="),
            http: address("http="),
            https: address("https="),
            logged,
            log: Vec::new(),
            _directory: None,
        }
    }

    /// The command that starts one.
    pub fn command(directory: &Path, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harrier"));
        command
            .env_clear()
            .arg("serve")
            .args(["--amqp", "127.0.0.1:0", "--prometheus", "off", "--data-dir"])
            .arg(directory)
            .args(flags);
        if !flags.contains(&"--http") {
            command.args(["--http", "off"]);
        }
        command
    }

    /// The process alone, which may not be ready yet.
    pub fn spawn(command: &mut Command) -> Child {
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// A client with channel 1 open.
    pub fn client(&self) -> Client {
        let mut client = Client::connect(self.address);
        client.open_channel(1);
        client
    }

    /// Waits for a line of the log that has all of `words`.
    pub fn logs(&mut self, words: &[&str]) {
        let fits = |line: &String| words.iter().all(|word| line.contains(word));
        if self.log().iter().any(fits) {
            return;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.logged.recv_timeout(left) else {
                panic!("no line with {words:?} in {:#?}", self.log);
            };
            let found = fits(&line);
            self.log.push(line);
            if found {
                return;
            }
        }
    }

    /// Everything logged so far.
    pub fn log(&mut self) -> &[String] {
        self.log.extend(self.logged.try_iter());
        &self.log
    }

    /// The process's resident memory, bytes.
    pub fn resident(&self) -> u64 {
        self.memory("status", "VmRSS:")
    }

    /// What of its memory is in huge pages, bytes.
    pub fn in_huge_pages(&self) -> u64 {
        self.memory("smaps_rollup", "AnonHugePages:")
    }

    fn memory(&self, file: &str, name: &str) -> u64 {
        let path = format!("/proc/{}/{file}", self.child.id());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.unwrap().trim().trim_end_matches(" kB");
        number.parse::<u64>().unwrap() * 1024
    }

    /// Asks it to stop, as a service manager does.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Asks it to look at its files again.
    pub fn hang_up(&self) {
        self.signal("HUP");
    }

    fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &command]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end.
    pub fn exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the broker doesn't end");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Ends it as a power cut would, as far as the process is concerned.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The lines of a stream, as they come.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // Nobody may listen any more; the stream is drained all the same.
            let _unheard = sender.send(line);
        }
    });
    receiver
}

/// Waits until `done` says so.
#[track_caller]
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
