//! The story of a message as people read it.

use serde_json::Value;

use crate::cli::fields::{bytes, span, text};
use crate::cli::table::harmless;

/// All that happened to a message, a line each, with the milliseconds since the
/// first; then where it is.
pub fn time_line(story: &Value, now: u64) -> String {
    let first = story["first_at"].as_u64().unwrap_or(now);
    let age = span(now.saturating_sub(first) as f64);
    let mut lines = vec![format!(
        "trace {} in vhost '{}', {age} ago",
        text(&story["id"]),
        text(&story["vhost"])
    )];
    for (field, title) in [
        ("correlation_id", "correlation id"),
        ("message_id", "message id"),
        ("traceparent", "traceparent"),
    ] {
        if !story[field].is_null() {
            lines.push(format!("{title}: {}", text(&story[field])));
        }
    }
    if let Some(octets) = story["body_bytes"].as_f64() {
        lines.push(format!("body: {}", bytes(octets)));
    }
    lines.push(String::new());
    for event in list(&story["events"]) {
        let passed = event["at"].as_u64().unwrap_or(first).saturating_sub(first);
        let what = text(&event["what"]).replace('_', " ");
        lines.push(format!("{passed:>9} ms  {what:<13}  {}", about(event)));
        for way in list(&event["bindings"]) {
            lines.push(format!("{:>27}{}", "", binding(way)));
        }
    }
    lines.push(String::new());
    lines.push(match &*stays(story) {
        "" => "now: in no queue".to_owned(),
        queues => format!("now: in {queues}"),
    });
    let lines: Vec<_> = lines.iter().map(|line| harmless(line)).collect();
    lines.join("\n")
}

/// Something that happened to some message, on a line of its own.
pub fn line(event: &Value) -> String {
    let what = text(&event["what"]).replace('_', " ");
    let trace = text(&event["trace"]);
    harmless(&format!("{trace}  {what:<13}  {}", about(event)))
}

/// The queues that a message is in: `orders, dead (unacked)`.
pub fn stays(story: &Value) -> String {
    let stays = list(&story["in"]).iter().map(|stay| {
        let held = if stay["state"] == "unacked" {
            " (unacked)"
        } else {
            ""
        };
        format!("{}{held}", text(&stay["queue"]))
    });
    stays.collect::<Vec<_>>().join(", ")
}

/// Where and by whom.
fn about(event: &Value) -> String {
    let mut parts = Vec::new();
    if !event["queue"].is_null() {
        parts.push(format!("from {}", text(&event["queue"])));
    }
    for field in ["reason", "cause"] {
        if !event[field].is_null() {
            parts.push(format!("({})", text(&event[field]).replace('_', " ")));
        }
    }
    if let Some(exchange) = event["exchange"].as_str() {
        let name = if exchange.is_empty() {
            "amq.default"
        } else {
            exchange
        };
        let key = text(&event["routing_key"]);
        parts.push(format!("to exchange {name} with key '{key}'"));
        let queues: Vec<_> = list(&event["queues"]).iter().map(text).collect();
        parts.push(match queues.is_empty() {
            true => "into no queue".to_owned(),
            false => format!("into {}", queues.join(", ")),
        });
    }
    if event["what"] == "delivered" {
        parts.push(match event["consumer_tag"].as_str() {
            Some(tag) => format!("to consumer '{tag}'"),
            None => "to basic.get".to_owned(),
        });
    }
    if event["ack_required"] == false {
        parts.push("without acknowledgement".to_owned());
    }
    if event["redelivered"] == true {
        parts.push("again".to_owned());
    }
    if !event["user"].is_null() {
        let by = if event["what"] == "delivered" {
            "of"
        } else {
            "by"
        };
        parts.push(format!("{by} {}", text(&event["user"])));
    }
    if !event["connection"].is_null() {
        let channel = text(&event["channel"]);
        parts.push(format!(
            "({}, channel {channel})",
            text(&event["connection"])
        ));
    }
    parts.join(" ")
}

fn binding(way: &Value) -> String {
    let kind = if way["destination_type"] == "exchange" {
        "exchange "
    } else {
        ""
    };
    format!(
        "{} --'{}'--> {kind}{}",
        text(&way["source"]),
        text(&way["routing_key"]),
        text(&way["destination"])
    )
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], |all| all)
}
