//! The command line against a broker: every example of its help does what it
//! says, and what is done shows.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::examples::{commands, examples};
use crate::program::{Broker, Outcome, harrier, run};

/// Commands that need no more than a broker: no terminal, files, second broker.
const MANAGING: [&str; 21] = [
    "health",
    "queues",
    "exchanges",
    "bindings",
    "connections",
    "channels",
    "consumers",
    "users",
    "vhosts",
    "permissions",
    "topic-permissions",
    "policies",
    "operator-policies",
    "parameters",
    "global-parameters",
    "limits",
    "nodes",
    "feature-flags",
    "definitions",
    "publish",
    "get",
];

/// Examples about what a new broker doesn't have. They say so.
const ABSENT: [&str; 5] = [
    "harrier connections show '127.0.0.1:50312",
    "harrier connections close '127.0.0.1:50312",
    "harrier channels list --of-connection",
    "harrier channels show",
    "harrier nodes show rabbit@localhost",
];

/// A broker and where commands about it are run.
pub struct Place {
    directory: TempDir,
    broker: Broker,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempdir().unwrap();
        let broker = Broker::start(&directory.path().join("data"));
        Self { directory, broker }
    }

    fn url(&self) -> String {
        format!("http://{}", self.broker.http)
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        run(harrier(arguments).env("HARRIER_URL", self.url()))
    }

    /// What a command prints, which succeeds.
    #[track_caller]
    fn says(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!(
            (outcome.code, &*outcome.stderr),
            (Some(0), ""),
            "{arguments:?}"
        );
        outcome.stdout
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(arguments)).unwrap()
    }

    /// A line as somebody types it.
    pub fn shell(&self, line: &str) -> Outcome {
        let program = Path::new(env!("CARGO_BIN_EXE_harrier")).parent().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).env_clear().stdin(Stdio::null());
        shell.env("PATH", format!("{}:/usr/bin:/bin", program.display()));
        shell.env("HARRIER_URL", self.url());
        run(shell.current_dir(self.directory.path()))
    }
}

#[test]
fn every_example_does_what_it_says() {
    let mut wrong = Vec::new();
    let mut place = None;
    for (words, command) in commands() {
        let Some(first) = words.first().filter(|first| MANAGING.contains(&&***first)) else {
            continue;
        };
        // Each command has a broker of its own; what is below it shares that.
        if words.len() == 1 {
            place = Some(Place::new());
        }
        let place = place.as_ref().unwrap();
        for line in examples(&command) {
            let outcome = place.shell(&line);
            let absent = ABSENT.iter().any(|absent| line.starts_with(absent));
            let expected = if absent { 1 } else { 0 };
            if outcome.code != Some(expected) {
                wrong.push(format!("{first}: {line}\n    {}", outcome.stderr));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_declared_is_listed_used_and_deleted() {
    let place = Place::new();
    let table = ["--format", "table"];
    let declare = ["queues", "declare", "orders", "--max-length", "10"];
    let declared = place.says(&[&declare[..], &table].concat());
    assert_eq!(declared, "queue 'orders' in vhost '/' declared\n");
    let again = place.says(&[&declare[..], &table].concat());
    assert_eq!(again, "queue 'orders' in vhost '/' is there already\n");
    let other = place.run(&["queues", "declare", "orders", "--max-length", "11"]);
    other.fails(1, &["queue 'orders'", "inequivalent arg 'x-max-length'"]);

    place.says(&[
        "publish",
        "orders",
        "hello",
        "--correlation-id",
        "c1",
        "--header",
        "n=1",
    ]);
    let found = place.json(&["get", "orders", "--then", "ack"]);
    assert_eq!(found[0]["payload"], "hello");
    assert_eq!(found[0]["properties"]["correlation_id"], "c1");
    assert_eq!(found[0]["properties"]["headers"]["n"], 1);
    assert_eq!(place.json(&["get", "orders"]), Value::Array(Vec::new()));

    let listed = place.says(&[
        "queues",
        "list",
        "--columns",
        "name,arguments",
        "--format",
        "table",
    ]);
    assert_eq!(listed.lines().count(), 2);
    assert!(listed.contains("x-max-length=10"), "{listed}");
    place.says(&["queues", "delete", "orders"]);
    assert_eq!(place.json(&["queues", "list"]), Value::Array(Vec::new()));
    place
        .run(&["queues", "delete", "orders"])
        .fails(1, &["there is no queue 'orders'"]);
}

#[test]
fn many_queues_are_purged_and_deleted_by_a_pattern() {
    let place = Place::new();
    for name in ["test-1", "test-2", "kept"] {
        place.says(&["queues", "declare", name]);
        place.says(&["publish", name, "x"]);
    }
    let dry = place.json(&["queues", "purge", "--matching", "^test-", "--dry-run"]);
    assert_eq!(dry.as_array().unwrap().len(), 2);
    let purged = [
        "queues",
        "purge",
        "--matching",
        "^test-",
        "--format",
        "table",
    ];
    assert_eq!(place.says(&purged), "2 queues in vhost '/' purged\n");
    assert_eq!(place.json(&["get", "test-1"]), Value::Array(Vec::new()));
    assert_eq!(place.json(&["get", "kept"])[0]["payload"], "x");
    place.says(&["queues", "delete", "--matching", "^test-"]);
    assert_eq!(
        place
            .json(&["queues", "list", "--columns", "name"])
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_user_may_do_what_it_is_given_and_no_more() {
    let place = Place::new();
    place.says(&[
        "users",
        "add",
        "shop",
        "--new-password",
        "s3cret",
        "--tags",
        "management",
    ]);
    place.says(&[
        "permissions",
        "set",
        "shop",
        "--configure",
        "^shop",
        "--read",
        "^shop",
    ]);
    let shop = ["--user", "shop", "--password", "s3cret"];
    place.says(&[&["queues", "declare", "shop-1"][..], &shop].concat());
    let refused = place.run(&[&["queues", "declare", "other"][..], &shop].concat());
    refused.fails(1, &["no permission for queue 'other'", "permissions list"]);
    let refused = place.run(&[&["users", "list"][..], &shop].concat());
    refused.fails(1, &["Not administrator user", "users tag"]);
    place.says(&["users", "tag", "shop", "administrator"]);
    // The password stayed.
    place.says(&[&["users", "list"][..], &shop].concat());
    place
        .run(&["queues", "list", "--password", "wrong"])
        .fails(1, &["login", "--password"]);
}

#[test]
fn definitions_go_from_one_broker_to_another() {
    let (from, to) = (Place::new(), Place::new());
    from.says(&["vhosts", "add", "shop"]);
    from.says(&[
        "permissions",
        "set",
        "guest",
        "--vhost",
        "shop",
        "--configure",
        ".*",
    ]);
    from.says(&[
        "queues", "declare", "orders", "--vhost", "shop", "--type", "quorum",
    ]);
    from.says(&[
        "policies",
        "set",
        "p",
        "--vhost",
        "shop",
        "--pattern",
        "^o",
        "max-length=5",
    ]);
    let file = from.directory.path().join("broker.json");
    let file = file.to_str().unwrap();
    from.says(&["definitions", "export", file]);
    to.says(&["definitions", "import", file]);
    let queue = to.json(&["queues", "show", "orders", "--vhost", "shop"]);
    assert_eq!(
        (&queue["type"], &queue["policy"]),
        (&"quorum".into(), &"p".into())
    );
}

#[test]
fn a_healthy_broker_says_so() {
    let place = Place::new();
    let health = place.says(&["health", "--format", "table"]);
    assert!(
        health.contains("alarms") && !health.contains("failed"),
        "{health}"
    );
    let missing = place.run(&["health", "port-listener/1", "--format", "table"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stdout.contains("failed"), "{}", missing.stdout);
}

#[test]
fn status_has_what_the_api_says_where_it_is_known() {
    let place = Place::new();
    let amqp = place.broker.address.clone();
    let status = place.json(&["status", "--amqp", &amqp]);
    assert!(status["overview"]["object_totals"].is_object(), "{status}");
    let table = place.says(&["status", "--amqp", &amqp, "--format", "table"]);
    assert!(
        table.contains("memory") && table.contains("queues"),
        "{table}"
    );
}
