//! `harrier publish`.

use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use serde_json::{Map, Value, json};

use super::Failure;
use super::api::{VhostOption, path};
use super::arguments::{Pair, object};
use super::console::{Asking, Console};
use super::format::Format;
use super::progress::Progress;

/// Publish a message, or one for each line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier queues declare orders\n  \
    harrier publish orders 'hello'\n  \
    harrier publish orders '{\"id\": 7}' --content-type application/json --header origin=shop\n  \
    harrier publish --exchange amq.fanout --allow-unroutable '' 'to whom it may concern'\n  \
    printf 'one\\ntwo\\n' | harrier publish orders --lines\n\n\
    Without --exchange the key is the name of a queue. Messages are persistent unless\n\
    told otherwise. Exit code 1: no queue took it.\n\
    This goes through the management API, a request a message; `harrier perf` is for load.")]
pub struct PublishCommand {
    /// The routing key
    routing_key: String,
    /// The body; without one (and without --file) it is read from stdin
    #[arg(conflicts_with = "file")]
    body: Option<String>,
    /// The body is in this file, `-` for stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Each line that is read is a message
    #[arg(long)]
    lines: bool,
    /// The exchange it goes to
    #[arg(long, value_name = "NAME", default_value = "")]
    exchange: String,
    /// It may be lost when the broker stops
    #[arg(long)]
    transient: bool,
    /// It is no failure if no queue takes it
    #[arg(long)]
    allow_unroutable: bool,
    #[command(flatten)]
    properties: Properties,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Properties")]
struct Properties {
    /// A header; a number, true or false is taken as such
    #[arg(long = "header", value_name = "KEY=VALUE")]
    headers: Vec<Pair>,
    /// What the body is, such as application/json
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// What it belongs to
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// Its own identity
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// Where an answer goes
    #[arg(long, value_name = "QUEUE")]
    reply_to: Option<String>,
    /// Milliseconds it may wait
    #[arg(long, value_name = "MS")]
    expiration: Option<u64>,
    /// 0 to 255, higher ones first in queues with priorities
    #[arg(long, value_name = "N")]
    priority: Option<u8>,
    /// Any other: type, app_id, user_id, timestamp, content_encoding, cluster_id
    #[arg(long = "property", value_name = "KEY=VALUE")]
    others: Vec<Pair>,
}

impl PublishCommand {
    /// Publishes.
    ///
    /// # Errors
    /// A body that can't be read, what the API refuses, no queue that takes it.
    pub fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let properties = self.properties.object(self.transient);
        let body = self.read()?;
        if !self.lines {
            let routed = self.publish(&console, &properties, &body)?;
            if console.format == Format::Json {
                console.json(&json!({"routed": routed}))?;
            }
            return match routed {
                true => console.say(&format!("published to {}", self.target())),
                false => self.unrouted(&console, 1),
            };
        }
        let lines: Vec<&[u8]> = body.split_inclusive(|octet| *octet == b'\n').collect();
        let mut progress = Progress::begin();
        let mut unrouted = 0;
        for (done, line) in lines.iter().enumerate() {
            progress.step("messages published", done, lines.len());
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let routed = self.publish(&console, &properties, line)?;
            unrouted += usize::from(!routed);
        }
        drop(progress);
        let count = lines.len();
        if console.format == Format::Json {
            console.json(&json!({"published": count, "routed": count - unrouted}))?;
        }
        if unrouted > 0 {
            return self.unrouted(&console, unrouted);
        }
        console.say(&format!("{count} messages published to {}", self.target()))
    }

    fn publish(
        &self,
        console: &Console,
        properties: &Map<String, Value>,
        body: &[u8],
    ) -> Result<bool, Failure> {
        let (payload, encoding) = match std::str::from_utf8(body) {
            Ok(text) => (text.to_owned(), "string"),
            Err(_) => (BASE64_STANDARD.encode(body), "base64"),
        };
        let message = json!({
            "properties": properties,
            "routing_key": self.routing_key,
            "payload": payload,
            "payload_encoding": encoding,
        });
        // The default exchange has no name, which a path can't have.
        let exchange = match &*self.exchange {
            "" => "amq.default",
            exchange => exchange,
        };
        let at = path(&["exchanges", self.vhost.name(), exchange, "publish"]);
        let vhost = self.vhost.name();
        let what = format!("exchange '{exchange}' in vhost '{vhost}'");
        let answer = console.api.post(&at, &message);
        let answer = answer.map_err(|error| error.about(what))?;
        Ok(answer["routed"] == true)
    }

    fn target(&self) -> String {
        let (key, vhost) = (&self.routing_key, self.vhost.name());
        match &*self.exchange {
            "" => format!("queue '{key}' in vhost '{vhost}'"),
            exchange => format!("exchange '{exchange}' in vhost '{vhost}' with key '{key}'"),
        }
    }

    fn unrouted(&self, console: &Console, count: usize) -> Result<(), Failure> {
        let messages = if count == 1 { "message" } else { "messages" };
        let text = format!("no queue took {count} {messages} for {}", self.target());
        if self.allow_unroutable {
            return console.say(&text);
        }
        Err(Failure::Failed(format!(
            "{text}, so they are lost; `harrier bindings list` shows what leads where"
        )))
    }

    fn read(&self) -> Result<Vec<u8>, Failure> {
        match (&self.body, &self.file) {
            (Some(body), _) => Ok(body.clone().into_bytes()),
            (None, Some(file)) if file != Path::new("-") => std::fs::read(file).map_err(|error| {
                Failure::Failed(format!("cannot read {}: {error}", file.display()))
            }),
            _ => {
                if io::stdin().is_terminal() {
                    eprintln!("reading the body from the terminal until Ctrl-D");
                }
                let mut body = Vec::new();
                let read = io::stdin().read_to_end(&mut body);
                read.map_err(|error| Failure::Failed(format!("cannot read stdin: {error}")))?;
                Ok(body)
            }
        }
    }
}

impl Properties {
    fn object(&self, transient: bool) -> Map<String, Value> {
        let mut properties = object(&self.others);
        let named = [
            ("content_type", self.content_type.clone().map(Value::from)),
            (
                "correlation_id",
                self.correlation_id.clone().map(Value::from),
            ),
            ("message_id", self.message_id.clone().map(Value::from)),
            ("reply_to", self.reply_to.clone().map(Value::from)),
            // AMQP has it as text.
            (
                "expiration",
                self.expiration.map(|ms| ms.to_string().into()),
            ),
            ("priority", self.priority.map(Value::from)),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                properties.insert(name.to_owned(), value);
            }
        }
        if !self.headers.is_empty() {
            properties.insert("headers".into(), object(&self.headers).into());
        }
        let mode = if transient { 1 } else { 2 };
        properties.entry("delivery_mode").or_insert(mode.into());
        properties
    }
}
