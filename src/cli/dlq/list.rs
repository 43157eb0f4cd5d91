//! `harrier dlq list`.

use clap::Args;
use serde_json::Value;

use super::filters::{Filters, pairs};
use super::{messages, named};
use crate::cli::Failure;
use crate::cli::console::{Console, Kind, Listing, items, now_ms};
use crate::cli::fields::{Shape, at, span, text};
use crate::cli::format::{Format, print};
use crate::cli::table::{Canvas, Cell, Table};

const MESSAGES: Kind = Kind {
    many: "messages",
    name: "id",
    columns: &[
        ("id", "id", Shape::Plain),
        ("told", "why", Shape::Plain),
        ("payload", "body", Shape::Plain),
    ],
};

/// Messages asked for at a time.
const PAGE: usize = 500;

/// Lists messages.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier dlq list orders.dead\n  \
    harrier dlq list orders.dead --reason rejected --newer-than 1h\n  \
    harrier dlq list orders.dead --json order.customer=4711 --limit 1000 --format json")]
pub(super) struct ListCommand {
    /// The queue
    queue: String,
    /// Only so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    filters: Filters,
}

impl ListCommand {
    pub(super) fn run(&self, console: &Console, vhost: &str) -> Result<(), Failure> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        let counts = loop {
            let left = self.limit - found.len();
            let mut query = self.filters.query();
            query.push(("limit", left.clamp(1, PAGE).to_string()));
            query.push(("cursor", cursor));
            query.push(("truncate", "2048".to_owned()));
            let page = console
                .api
                .get_with(&messages(vhost, &self.queue, &[]), &pairs(&query))
                .map_err(|error| error.about(named(&self.queue, vhost)))?;
            let (counts, next) = (page["counts"].clone(), page["next_cursor"].clone());
            found.extend(items(page));
            match next.as_str() {
                Some(next) if found.len() < self.limit => cursor = next.to_owned(),
                _ => break counts,
            }
        };
        found.truncate(self.limit);
        if console.format == Format::Json {
            let listing = Listing::default();
            return console.print_list(MESSAGES, found.into(), &listing, &[]);
        }
        render(console, &self.queue, &found, &counts)
    }
}

fn render(console: &Console, queue: &str, found: &[Value], counts: &Value) -> Result<(), Failure> {
    let state = format!(
        "{} wait in '{queue}', {} are handed out, {} wait to be tried again",
        counts["ready"], counts["unacknowledged"], counts["delayed"]
    );
    if found.is_empty() {
        return console.say(&format!("no such message; {state}"));
    }
    let now = now_ms();
    let mut table = Table::new(["id", "age", "why", "routing key", "correlation id", "body"]);
    for message in found {
        let age = at(message, "time").as_u64();
        let age = age.map(|time| span(now as f64 - time as f64 * 1000.0));
        table.push(vec![
            Cell::number(text(&message["id"])),
            Cell::number(age.unwrap_or_default()),
            Cell::text(&why(message)),
            Cell::text(&text(&message["routing_key"])),
            Cell::text(&text(at(message, "properties.correlation_id"))),
            Cell::text(&text(&message["payload"])),
        ]);
    }
    print(&table.render(Canvas::stdout()))?;
    console.say(&format!("\n{} shown; {state}", found.len()).replace('\n', ""))
}

/// Why it is there: what its headers say, or else how it died.
fn why(message: &Value) -> String {
    let error = message["errors"].as_object();
    let error = error.and_then(|errors| errors.values().next().map(text));
    let died = match (
        message["reason"].as_str(),
        message["first_death_queue"].as_str(),
    ) {
        (Some(reason), Some(queue)) => format!("{reason} in {queue}"),
        _ => "-".to_owned(),
    };
    match error {
        Some(error) => format!("{died}: {error}"),
        None => died,
    }
}
