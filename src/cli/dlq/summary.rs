//! `harrier dlq summary`.

use clap::Args;
use serde_json::Value;

use super::filters::{Filters, pairs};
use super::{messages, named};
use crate::cli::Failure;
use crate::cli::console::{Console, now_ms};
use crate::cli::fields::{bytes, span, text};
use crate::cli::format::{Format, print};
use crate::cli::table::{Canvas, Cell, Table};

/// Values of a group that are shown.
const SHOWN: usize = 10;
/// The longest bar of the time line, characters.
const BAR: u64 = 40;

/// Counts messages by why they are there.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier dlq summary orders.dead\n  \
    harrier dlq summary orders.dead --newer-than 1d --error-header 'my-app-*'")]
pub(super) struct SummaryCommand {
    /// The queue
    queue: String,
    /// Headers called like this tell what went wrong, besides x-exception*, x-error* and so on
    #[arg(long, value_name = "NAME")]
    error_header: Vec<String>,
    #[command(flatten)]
    filters: Filters,
}

impl SummaryCommand {
    pub(super) fn run(&self, console: &Console, vhost: &str) -> Result<(), Failure> {
        let mut query = self.filters.query();
        let headers = self.error_header.iter();
        query.extend(headers.map(|name| ("error_header", name.clone())));
        let at = messages(vhost, &self.queue, &["summary"]);
        let found = console.api.get_with(&at, &pairs(&query));
        let summary = found.map_err(|error| error.about(named(&self.queue, vhost)))?;
        if console.format == Format::Json {
            return console.json(&summary);
        }
        print(&self.render(&summary)).map(drop)
    }

    fn render(&self, summary: &Value) -> String {
        let size = bytes(summary["payload_bytes"].as_f64().unwrap_or_default());
        let counts = &summary["counts"];
        let mut text = format!(
            "{} messages ({size}) in '{}', {} of them sent back before; {} handed out",
            summary["messages"], self.queue, summary["replayed"], counts["unacknowledged"]
        );
        if summary["next_cursor"].is_string() {
            text += &format!("; only the first {} were looked at", summary["examined"]);
        }
        for (title, group) in [
            ("reason", "reasons"),
            ("died first in", "first_queues"),
            ("error", "errors"),
            ("routing key", "routing_keys"),
        ] {
            if let Some(values) = summary[group].as_array().filter(|all| !all.is_empty()) {
                text += &format!("\n\n{}", group_table(title, values));
            }
        }
        let times = time_line(&summary["timeline"]);
        if !times.is_empty() {
            text += &format!("\n\n{}", times.render(Canvas::stdout()));
        }
        text
    }
}

fn group_table(title: &str, values: &[Value]) -> String {
    let now = now_ms() as f64;
    let ago = |time: &Value| match time.as_f64() {
        Some(seconds) => span(now - seconds * 1000.0),
        None => String::new(),
    };
    let mut table = Table::new([title, "messages", "oldest", "latest", "such as"]);
    for value in values.iter().take(SHOWN) {
        let name = match &value["value"] {
            Value::Null => "(others)".to_owned(),
            name => text(name),
        };
        table.push(vec![
            Cell::text(&name),
            Cell::number(value["count"].to_string()),
            Cell::number(ago(&value["oldest"])),
            Cell::number(ago(&value["newest"])),
            Cell::number(text(&value["example"])),
        ]);
    }
    table.render(Canvas::stdout())
}

fn time_line(times: &Value) -> Table {
    let mut table = Table::new(["when", "messages", ""]);
    let nothing = Vec::new();
    let parts = times["parts"].as_array().unwrap_or(&nothing);
    let count = |part: &Value| part["count"].as_u64().unwrap_or_default();
    let most = parts.iter().map(count).max().unwrap_or_default().max(1);
    let now = now_ms() as f64;
    for part in parts {
        let ago = now - part["from"].as_f64().unwrap_or_default() * 1000.0;
        let bar = (count(part) * BAR).div_ceil(most) as usize;
        table.push(vec![
            Cell::number(format!("{} ago", span(ago))),
            Cell::number(count(part).to_string()),
            Cell::text(&"#".repeat(bar)),
        ]);
    }
    table
}
