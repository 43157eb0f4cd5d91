//! `harrier get`.

use std::io::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::Failure;
use super::api::{VhostOption, path};
use super::console::{Asking, items};
use super::fields::{Shape, cell, flat, text};
use super::format::{Format, print};
use super::table::{Canvas, Table, harmless};

/// Take messages from a queue, or look at them and put them back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier queues declare orders\n  \
    harrier publish orders 'hello'\n  \
    harrier get orders\n  \
    harrier get orders --count 10 --then requeue --format json\n  \
    harrier get orders --then ack --raw\n\n\
    Even messages that are put back count as delivered once more. `harrier dlq` looks\n\
    without touching.")]
pub struct GetCommand {
    /// The queue
    queue: String,
    /// At most so many messages
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u32,
    /// What becomes of them
    #[arg(long, value_enum, default_value = "requeue")]
    then: Then,
    /// Print bodies alone, octet for octet, a line's end after each
    #[arg(long, conflicts_with = "format")]
    raw: bool,
    /// Bytes of a body that are wanted at most
    #[arg(long, value_name = "BYTES")]
    truncate: Option<u64>,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

/// What becomes of a message that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Then {
    /// It goes back to its place
    Requeue,
    /// It is gone from the queue
    Ack,
    /// It is rejected and dead-lettered
    Reject,
    /// It is rejected and goes back, which counts as a failed delivery
    RejectRequeue,
}

impl Then {
    fn ackmode(self) -> &'static str {
        match self {
            Self::Requeue => "ack_requeue_true",
            Self::Ack => "ack_requeue_false",
            Self::Reject => "reject_requeue_false",
            Self::RejectRequeue => "reject_requeue_true",
        }
    }
}

impl GetCommand {
    /// Gets and prints.
    ///
    /// # Errors
    /// What the API refuses.
    pub fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let vhost = self.vhost.name();
        let mut wanted = json!({
            "count": self.count,
            "ackmode": self.then.ackmode(),
            "encoding": "auto",
        });
        if let Some(octets) = self.truncate {
            wanted["truncate"] = octets.into();
        }
        let at = path(&["queues", vhost, &self.queue, "get"]);
        let what = super::resources::in_vhost("queue", &self.queue, vhost);
        let found = console.api.post(&at, &wanted);
        let found = found.map_err(|error| error.about(&what))?;
        if self.raw {
            return raw(&items(found));
        }
        if console.format == Format::Json {
            return console.json(&found);
        }
        let messages = items(found);
        if messages.is_empty() {
            return console.say(&format!("no message waits in {what}"));
        }
        for (at, message) in messages.iter().enumerate() {
            if at > 0 {
                print("")?;
            }
            print(&render(message, Canvas::stdout()))?;
        }
        Ok(())
    }
}

/// A message for people: where it came from, its properties, its body.
fn render(message: &Value, canvas: Canvas) -> String {
    let mut rows = Vec::new();
    for name in ["exchange", "routing_key", "redelivered", "message_count"] {
        rows.push((name.to_owned(), cell(&message[name], Shape::Plain, 0)));
    }
    // An empty list if there are none.
    if message["properties"].is_object() {
        let properties = flat(&message["properties"]).into_iter();
        rows.extend(properties.map(|(name, value)| (name, cell(value, Shape::Plain, 0))));
    }
    let encoding = text(&message["payload_encoding"]);
    let size = format!("{} bytes, {encoding}", message["payload_bytes"]);
    rows.push(("body".to_owned(), super::table::Cell::text(&size)));
    let body = message["payload"].as_str().unwrap_or_default();
    // Line by line, so that the text keeps its lines and nothing else of control.
    let body: Vec<String> = body.lines().map(harmless).collect();
    format!(
        "{}\n\n{}",
        Table::of_one(rows).render(canvas),
        body.join("\n")
    )
}

fn raw(messages: &[Value]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    for message in messages {
        let payload = message["payload"].as_str().unwrap_or_default();
        let body = match message["payload_encoding"].as_str() {
            Some("base64") => BASE64_STANDARD.decode(payload).map_err(|error| {
                Failure::Failed(format!("the broker's Base64 is none: {error}"))
            })?,
            _ => payload.as_bytes().to_vec(),
        };
        let written = stdout
            .write_all(&body)
            .and_then(|()| stdout.write_all(b"\n"));
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => {
                written.map_err(|error| Failure::Failed(format!("cannot print: {error}")))?
            }
        }
    }
    Ok(())
}
