//! Running the program.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The program with arguments and nothing of this process's environment.
pub fn harrier(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harrier"));
    command.env_clear().args(arguments);
    command
}

/// What a run that ends by itself came to.
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command that ends by itself.
pub fn run(command: &mut Command) -> Outcome {
    let Output {
        status,
        stdout,
        stderr,
    } = command.stdin(Stdio::null()).output().unwrap();
    Outcome {
        code: status.code(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

impl Outcome {
    /// It failed with this code and said all of `words` on stderr, nothing on stdout.
    #[track_caller]
    pub fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        assert_eq!(self.stdout, "");
        for word in words {
            assert!(
                self.stderr.contains(word),
                "no {word:?} in: {}",
                self.stderr
            );
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

/// A broker, killed when the test is done with it.
pub struct Broker {
    child: Child,
    /// The line it printed when it was ready.
    pub ready: String,
    pub address: String,
    /// Where its management API is.
    pub http: String,
    /// Where it is over TLS, if that is served.
    pub https: Option<String>,
}

impl Broker {
    pub fn start(directory: &Path) -> Self {
        Self::start_with(directory, &[])
    }

    /// With more flags.
    pub fn start_with(directory: &Path, flags: &[&str]) -> Self {
        let flags = [&["--prometheus", "off"], flags].concat();
        Self::start_at(directory, "127.0.0.1:0", "127.0.0.1:0", &flags)
    }

    /// With these addresses.
    pub fn start_at(directory: &Path, amqp: &str, http: &str, flags: &[&str]) -> Self {
        let mut child = harrier(&["serve", "--amqp", amqp, "--http", http])
            .arg("--data-dir")
            .arg(directory)
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut ready).unwrap();
        let named = |name| {
            let mut words = ready.split_whitespace();
            let address = words.find_map(|word| word.strip_prefix(name));
            address.map(str::to_owned)
        };
        Self {
            address: named("amqp=").unwrap(),
            http: named("http=").unwrap(),
            https: named("https="),
            ready,
            child,
        }
    }
}

impl Broker {
    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops it as a service manager does.
    pub fn stop(mut self) {
        let command = format!("kill -TERM {}", self.child.id());
        let told = Command::new("sh").args(["-c", &command]).status();
        assert!(told.unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
