//! `harrier trace`: where did my message go?

mod time_line;

use std::thread;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use self::time_line::{line, time_line};
use super::Failure;
use super::api::{VhostOption, path};
use super::console::{Asking, Console, Kind, Listing, items, now_ms};
use super::fields::Shape::{Plain, Since};
use super::format::{Format, print};

const RULES: Kind = Kind {
    many: "rules",
    name: "name",
    columns: &[
        ("vhost", "vhost", Plain),
        ("name", "name", Plain),
        ("exchange", "exchange", Plain),
        ("routing_key", "key", Plain),
        ("queue", "queue", Plain),
        ("user", "user", Plain),
        ("correlation_id", "correlation id", Plain),
        ("message_id", "message id", Plain),
        ("headers", "headers", Plain),
        ("sample", "sample", Plain),
        ("chosen", "chosen", Plain),
        ("created_by", "by", Plain),
    ],
};

const STORIES: Kind = Kind {
    many: "traces",
    name: "id",
    columns: &[
        ("id", "id", Plain),
        ("vhost", "vhost", Plain),
        ("first_at", "age", Since),
        ("exchange", "exchange", Plain),
        ("routing_key", "key", Plain),
        ("correlation_id", "correlation id", Plain),
        ("message_id", "message id", Plain),
        ("last", "last", Plain),
        ("in", "is in", Plain),
    ],
};

/// Follow messages: who published them, by which bindings they went where, who got
/// them, what became of them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier trace start slow --queue orders --sample 0.01\n  \
    harrier trace find --correlation-id order-4711\n  \
    harrier trace show 0676b2a3c1d00000\n  \
    harrier trace follow\n  \
    harrier trace stop slow")]
pub struct TraceCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Trace messages that are published from now on, until the broker stops
    #[command(after_help = "Examples:\n  \
        harrier trace start one --correlation-id order-4711\n  \
        harrier trace start some --exchange 'orders*' --sample 0.1\n  \
        harrier trace start acme --header tenant=acme\n\n\
        In names and keys * stands for anything. Without options, all messages of the\n\
        virtual host are traced.")]
    Start(Rule),
    /// Stop tracing by a rule; what was taken down stays
    #[command(after_help = "Examples:\n  harrier trace stop slow")]
    Stop {
        /// The rule
        name: String,
        /// It is no failure if it is gone already
        #[arg(long)]
        if_exists: bool,
    },
    /// List rules
    #[command(after_help = "Examples:\n  harrier trace rules --format json")]
    Rules(Listing),
    /// Find traced messages, the latest first
    #[command(after_help = "Examples:\n  \
        harrier trace find --correlation-id order-4711\n  \
        harrier trace find --queue orders.dead --last 5m")]
    Find(Find),
    /// Show what happened to a message
    #[command(after_help = "Examples:\n  harrier trace show 0676b2a3c1d00000")]
    Show {
        /// The id that `find` shows
        id: String,
    },
    /// Print what happens to traced messages as it happens, until interrupted
    #[command(after_help = "Examples:\n  \
        harrier trace follow\n  \
        harrier trace follow --all --format json | jq .queue")]
    Follow {
        /// Print first what has been
        #[arg(long)]
        all: bool,
    },
}

/// What messages a rule chooses.
#[derive(Debug, Args)]
struct Rule {
    /// What to call the rule
    name: String,
    /// Those published to this exchange; amq.default is the default one
    #[arg(long, value_name = "NAME")]
    exchange: Option<String>,
    /// Those with this routing key
    #[arg(long, value_name = "KEY")]
    routing_key: Option<String>,
    /// Those that go to this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Those that this user publishes
    #[arg(long, value_name = "NAME")]
    publisher: Option<String>,
    /// Those with this correlation id
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// Those with this message id
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// Those with this header; may be given again
    #[arg(long = "header", value_name = "NAME=TEXT", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The part of those that is traced, above 0 and at most 1
    #[arg(long, value_name = "PART")]
    sample: Option<f64>,
}

/// What traces are found by.
#[derive(Debug, Args)]
struct Find {
    /// Of the message with this correlation id
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// Of the message with this message id
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// Of messages that came to this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Of messages that were published to this exchange
    #[arg(long, value_name = "NAME")]
    exchange: Option<String>,
    /// To which something happened this short ago: 30s, 5m, 2h
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    last: Option<u64>,
    #[command(flatten)]
    listing: Listing,
}

impl TraceCommand {
    /// Asks the API and prints.
    ///
    /// # Errors
    /// What the API refuses.
    pub fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let vhost = self.vhost.name();
        match self.action {
            Action::Start(rule) => rule.start(&console, vhost),
            Action::Stop { name, if_exists } => stop(&console, vhost, &name, if_exists),
            Action::Rules(listing) => {
                let own = self.vhost.vhost.as_deref();
                let at = own.map_or("/harrier/trace-rules".to_owned(), |vhost| {
                    path(&["harrier", "trace-rules", vhost])
                });
                let found = console.api.get(&at)?;
                let columns = listing.columns(RULES, None);
                console.print_list(RULES, found, &listing, &columns)
            }
            Action::Find(find) => find.run(&console, self.vhost.vhost.as_deref()),
            Action::Show { id } => {
                let found = console.api.get(&path(&["harrier", "traces", &id]));
                let story = found.map_err(|error| error.about(format!("trace '{id}'")))?;
                match console.format {
                    Format::Json => console.json(&story),
                    Format::Table => print(&time_line(&story, now_ms())).map(drop),
                }
            }
            Action::Follow { all } => follow(&console, self.vhost.vhost.as_deref(), all),
        }
    }
}

impl Rule {
    fn start(self, console: &Console, vhost: &str) -> Result<(), Failure> {
        let mut body = Map::new();
        for (key, value) in [
            ("exchange", self.exchange),
            ("routing_key", self.routing_key),
            ("queue", self.queue),
            ("user", self.publisher),
            ("correlation_id", self.correlation_id),
            ("message_id", self.message_id),
        ] {
            if let Some(value) = value {
                body.insert(key.to_owned(), value.into());
            }
        }
        if !self.headers.is_empty() {
            let headers = self.headers.into_iter();
            let headers: Map<_, _> = headers.map(|(name, text)| (name, text.into())).collect();
            body.insert("headers".to_owned(), headers.into());
        }
        if let Some(sample) = self.sample {
            body.insert("sample".to_owned(), json!(sample));
        }
        let at = path(&["harrier", "trace-rules", vhost, &self.name]);
        let what = rule(vhost, &self.name);
        let made = console.api.put(&at, &body.into());
        made.map_err(|error| error.about(&what))?;
        console.say(&format!("{what} traces what is published from now on"))
    }
}

fn stop(console: &Console, vhost: &str, name: &str, if_exists: bool) -> Result<(), Failure> {
    let what = rule(vhost, name);
    let at = path(&["harrier", "trace-rules", vhost, name]);
    match console.api.delete(&at, &[]) {
        Ok(()) => console.say(&format!("{what} stopped")),
        Err(error) if error.is_absent() && if_exists => {
            console.say(&format!("there was no {what}"))
        }
        Err(error) => Err(error.about(&what).into()),
    }
}

fn rule(vhost: &str, name: &str) -> String {
    super::resources::in_vhost("rule", name, vhost)
}

impl Find {
    fn run(self, console: &Console, vhost: Option<&str>) -> Result<(), Failure> {
        let now = now_ms();
        let since = self.last.map(|ms| now.saturating_sub(ms).to_string());
        let limit = self.listing.limit.map(|limit| limit.to_string());
        let wanted = [
            ("correlation_id", self.correlation_id.as_deref()),
            ("message_id", self.message_id.as_deref()),
            ("queue", self.queue.as_deref()),
            ("exchange", self.exchange.as_deref()),
            ("vhost", vhost),
            ("since", since.as_deref()),
            ("limit", limit.as_deref()),
        ];
        let wanted: Vec<_> = wanted
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect();
        let found = console.api.get_with("/harrier/traces", &wanted)?;
        let mut stories = items(found);
        if console.format == Format::Table {
            for story in &mut stories {
                story["in"] = time_line::stays(story).into();
            }
        }
        let columns = self.listing.columns(STORIES, None);
        console.print_list(STORIES, stories.into(), &self.listing, &columns)
    }
}

/// Prints events as they come, those of one virtual host or all.
fn follow(console: &Console, vhost: Option<&str>, all: bool) -> Result<(), Failure> {
    let mut after = all.then_some(0);
    loop {
        let text = after.map(|number: u64| number.to_string());
        let query = text.as_deref().map(|after| ("after", after));
        let query: Vec<_> = query.into_iter().collect();
        let found = console.api.get_with("/harrier/trace-events", &query)?;
        let events = found["events"].as_array().map_or(&[][..], |all| all);
        let own = |event: &&Value| vhost.is_none_or(|vhost| event["vhost"] == vhost);
        for event in events.iter().filter(own) {
            let text = match console.format {
                Format::Json => event.to_string(),
                Format::Table => line(event),
            };
            if !print(&text)? {
                return Ok(());
            }
        }
        let last = found["last"].as_u64();
        // What came in the meantime is asked for at once.
        if last == after || after.is_none() {
            pause();
        }
        after = last;
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("expected NAME=TEXT, such as tenant=acme")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads `30s`, `5m`, `2h`.
fn milliseconds(text: &str) -> Result<u64, String> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    let mut read = units.iter().filter_map(|(unit, ms)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*ms)
    });
    read.next()
        .ok_or_else(|| "expected a whole number with ms, s, m or h, such as 5m".to_owned())
}

const EVERY: Duration = Duration::from_millis(500);

/// Waits until it is time to ask again.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line has its thread to itself"
)]
fn pause() {
    thread::sleep(EVERY);
}
