//! `harrier dlq show`.

use clap::Args;
use serde_json::Value;

use super::{messages, named};
use crate::cli::Failure;
use crate::cli::console::{Console, now_ms};
use crate::cli::fields::{Shape, cell, flat, span, text};
use crate::cli::format::{Format, print};
use crate::cli::table::{Canvas, Cell, Table, harmless};

/// Shows all there is to a message.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier dlq show orders.dead 17\n  \
    harrier dlq show orders.dead 17 --payload hex\n  \
    harrier dlq show orders.dead 17 --format json")]
pub(super) struct ShowCommand {
    /// The queue
    queue: String,
    /// The message's id, as `list` has it
    id: String,
    /// How to show its body
    #[arg(long, default_value = "auto", value_parser = ["auto", "base64", "hex", "none"])]
    payload: String,
}

impl ShowCommand {
    pub(super) fn run(&self, console: &Console, vhost: &str) -> Result<(), Failure> {
        let at = messages(vhost, &self.queue, &[&self.id]);
        let found = console.api.get_with(&at, &[("payload", &*self.payload)]);
        let message = found.map_err(|error| error.about(named(&self.queue, vhost)))?;
        if console.format == Format::Json {
            return console.json(&message);
        }
        print(&render(&message)).map(drop)
    }
}

fn render(message: &Value) -> String {
    let mut rows = Vec::new();
    for name in ["id", "told", "exchange", "routing_key", "redelivered"] {
        rows.push((name.to_owned(), cell(&message[name], Shape::Plain, 0)));
    }
    let now = now_ms() as f64;
    if let Some(time) = message["time"].as_f64() {
        let ago = format!("{} ago", span(now - time * 1000.0));
        rows.push(("age".to_owned(), Cell::text(&ago)));
    }
    for (name, at) in [("expires", "expires_at"), ("tried again", "delayed_until")] {
        if let Some(time) = message[at].as_f64() {
            let left = format!("in {}", span(time - now));
            rows.push((name.to_owned(), Cell::text(&left)));
        }
    }
    let errors = flat(&message["errors"]);
    let properties = flat(&message["properties"]);
    let stamp = flat(&message["replayed"]);
    let shown = |name: &str| !name.is_empty() && !name.contains("x-death");
    for (prefix, values) in [("", errors), ("", properties), ("replayed.", stamp)] {
        for (name, value) in values.into_iter().filter(|(name, _)| shown(name)) {
            rows.push((format!("{prefix}{name}"), cell(value, Shape::Plain, 0)));
        }
    }
    let size = format!(
        "{} bytes, {}",
        message["payload_bytes"],
        text(&message["payload_type"])
    );
    rows.push(("body".to_owned(), Cell::text(&size)));
    format!(
        "{}\n\n{}",
        Table::of_one(rows).render(Canvas::stdout()),
        body(message)
    )
}

/// The body, JSON with its lines indented.
fn body(message: &Value) -> String {
    let payload = message["payload"].as_str().unwrap_or_default();
    let pretty = match message["payload_type"].as_str() {
        Some("json") => serde_json::from_str::<Value>(payload).ok(),
        _ => None,
    };
    let text = pretty.map_or_else(|| payload.to_owned(), |json| format!("{json:#}"));
    let lines: Vec<String> = text.lines().map(harmless).collect();
    lines.join("\n")
}
