//! `harrier dlq replay` and `harrier dlq drop`.

use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use serde_json::{Map, Value, json};

use super::filters::Filters;
use super::jobs::follow;
use super::{messages, named};
use crate::cli::Failure;
use crate::cli::console::Console;
use crate::cli::fields::text;
use crate::cli::format::{Format, print};
use crate::cli::table::{Canvas, Cell, Table};

/// Which messages are meant, and how they are seen to.
#[derive(Debug, Args)]
struct Chosen {
    /// The queue
    queue: String,
    /// These messages, by the ids that `list` has
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All that wait there now
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Only so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Return once it has begun; `jobs` tells how far it is
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    filters: Filters,
}

impl Chosen {
    fn run(
        &self,
        console: &Console,
        vhost: &str,
        act: &str,
        mut request: Map<String, Value>,
    ) -> Result<(), Failure> {
        let filter = self.filters.object();
        if self.ids.is_empty() && filter.is_none() && !self.all {
            return Err(Failure::Usage(format!(
                "which messages of '{}'? give ids, a filter like --reason rejected, or --all",
                self.queue
            )));
        }
        if !self.ids.is_empty() {
            request.insert("ids".into(), json!(self.ids));
        }
        request.extend(filter.map(|filter| ("filter".to_owned(), filter)));
        request.extend(self.limit.map(|limit| ("limit".to_owned(), limit.into())));
        request.insert("all".into(), self.all.into());
        request.insert("dry_run".into(), self.dry_run.into());
        let at = messages(vhost, &self.queue, &[act]);
        let answer = console.api.post(&at, &Value::Object(request));
        let answer = answer.map_err(|error| error.about(named(&self.queue, vhost)))?;
        if self.dry_run {
            return match console.format {
                Format::Json => console.json(&answer),
                Format::Table => print(&rehearsed(&answer, act)).map(drop),
            };
        }
        if self.detach {
            return match console.format {
                Format::Json => console.json(&answer),
                Format::Table => console.say(&format!("job {} has begun", text(&answer["id"]))),
            };
        }
        follow(console, answer)
    }
}

/// Sends messages back to where they came from, or elsewhere.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier dlq replay orders.dead 17 18\n  \
    harrier dlq replay orders.dead --all --dry-run\n  \
    harrier dlq replay orders.dead --reason expired --rate 100 --skip-replayed\n  \
    harrier dlq replay orders.dead 17 --to-queue orders.manual --set-header checked=true\n  \
    harrier dlq replay orders.dead 17 --body fixed.json\n\n\
    Each message is in one place at any time, whatever happens meanwhile: what has been\n\
    sent back is gone from the queue. Copies carry the header x-replayed.")]
pub(super) struct ReplayCommand {
    #[command(flatten)]
    chosen: Chosen,
    /// To this queue [default: the one where each died first]
    #[arg(long, value_name = "QUEUE", conflicts_with_all = ["to_exchange", "to_origin_exchange"])]
    to_queue: Option<String>,
    /// To this exchange
    #[arg(long, value_name = "EXCHANGE", conflicts_with = "to_origin_exchange")]
    to_exchange: Option<String>,
    /// With this routing key [default: the one each was published with]
    #[arg(long, value_name = "KEY", requires = "to_exchange")]
    to_routing_key: Option<String>,
    /// To the exchange each was published to: all queues bound there get it again
    #[arg(long)]
    to_origin_exchange: bool,
    /// Messages a second at most
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Pass over those that were sent back before
    #[arg(long)]
    skip_replayed: bool,
    /// Give them this header; a value that is JSON is taken as that
    #[arg(long, value_name = "NAME=VALUE")]
    set_header: Vec<String>,
    /// Take this header off
    #[arg(long, value_name = "NAME")]
    remove_header: Vec<String>,
    /// Give them what is in this file for a body
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
}

impl ReplayCommand {
    pub(super) fn run(&self, console: &Console, vhost: &str) -> Result<(), Failure> {
        let mut request = Map::new();
        request.insert("to".into(), self.to());
        request.insert("skip_replayed".into(), self.skip_replayed.into());
        request.insert("remove_headers".into(), json!(self.remove_header));
        if let Some(rate) = self.rate {
            request.insert("rate".into(), rate.into());
        }
        let mut headers = Map::new();
        for header in &self.set_header {
            let (name, value) = header.split_once('=').ok_or_else(|| {
                Failure::Usage(format!("--set-header {header}: expected NAME=VALUE"))
            })?;
            let json = serde_json::from_str(value);
            headers.insert(name.into(), json.unwrap_or_else(|_| value.into()));
        }
        request.insert("set_headers".into(), headers.into());
        if let Some(file) = &self.body {
            let body = std::fs::read(file).map_err(|error| {
                Failure::Usage(format!("cannot read {}: {error}", file.display()))
            })?;
            request.insert("payload".into(), BASE64_STANDARD.encode(body).into());
            request.insert("payload_encoding".into(), "base64".into());
        }
        self.chosen.run(console, vhost, "replay", request)
    }

    fn to(&self) -> Value {
        match (&self.to_queue, &self.to_exchange) {
            (Some(queue), _) => json!({ "queue": queue }),
            (_, Some(exchange)) => {
                json!({ "exchange": exchange, "routing_key": self.to_routing_key })
            }
            _ if self.to_origin_exchange => json!("origin-exchange"),
            _ => json!("origin"),
        }
    }
}

/// Drops messages for good.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier dlq drop orders.dead 17\n  \
    harrier dlq drop orders.dead --older-than 30d --dry-run")]
pub(super) struct DropCommand {
    #[command(flatten)]
    chosen: Chosen,
}

impl DropCommand {
    pub(super) fn run(&self, console: &Console, vhost: &str) -> Result<(), Failure> {
        self.chosen.run(console, vhost, "drop", Map::new())
    }
}

fn rehearsed(tried: &Value, act: &str) -> String {
    let mut told = format!(
        "{} of {} messages are meant; nothing was done",
        tried["matched"], tried["examined"]
    );
    if act == "replay" {
        told += &format!(
            "\n{} of them were sent back before",
            tried["replayed_before"]
        );
    }
    let nothing = Vec::new();
    let targets = tried["targets"].as_array().unwrap_or(&nothing);
    if !targets.is_empty() {
        let mut table = Table::new(["messages", "exchange", "routing key", "queues", "why"]);
        for target in targets {
            let exchange = match target["exchange"].as_str() {
                Some("") => "(default)".to_owned(),
                _ => text(&target["exchange"]),
            };
            table.push(vec![
                Cell::number(target["count"].to_string()),
                Cell::text(&exchange),
                Cell::text(&text(&target["routing_key"])),
                Cell::text(&text(&target["queues"])),
                Cell::text(&text(&target["why"])),
            ]);
        }
        told += &format!("\n\n{}", table.render(Canvas::stdout()));
    }
    for problem in tried["problems"].as_array().unwrap_or(&nothing) {
        told += &format!(
            "\n{} would stay: {}",
            problem["count"],
            text(&problem["why"])
        );
    }
    told
}
