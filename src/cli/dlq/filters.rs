//! Which messages are meant.

use clap::Args;
use serde_json::{Map, Value};

/// What a message has to be like; all of it has to hold.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which messages (`*` stands for anything)")]
pub(super) struct Filters {
    /// With this correlation-id
    #[arg(long, value_name = "TEXT")]
    correlation_id: Option<String>,
    /// With this message-id
    #[arg(long, value_name = "TEXT")]
    message_id: Option<String>,
    /// With this routing key, now or when it died first
    #[arg(long, value_name = "TEXT")]
    routing_key: Option<String>,
    /// Published to this exchange last
    #[arg(long, value_name = "NAME")]
    exchange: Option<String>,
    /// Of this type (the property)
    #[arg(long = "type", value_name = "TEXT")]
    kind: Option<String>,
    /// Which died last of: rejected, expired, maxlen, delivery_limit
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Which died in this queue first
    #[arg(long, value_name = "QUEUE")]
    first_queue: Option<String>,
    /// Which died in this queue at any time
    #[arg(long, value_name = "QUEUE")]
    died_in: Option<String>,
    /// With this header; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    header: Vec<String>,
    /// Whose body is JSON with this value at a path; may be given several times
    #[arg(long, value_name = "ORDER.ID=VALUE")]
    json: Vec<String>,
    /// With this text in body, properties or headers
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// With this text in a header that tells what went wrong
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Which died (or were sent) longer ago: 90s, 15m, 2h, 3d
    #[arg(long, value_name = "TIME")]
    older_than: Option<String>,
    /// Which died (or were sent) since then
    #[arg(long, value_name = "TIME")]
    newer_than: Option<String>,
    /// Which were sent back before, or weren't
    #[arg(long, value_name = "true|false")]
    replayed: Option<bool>,
}

impl Filters {
    /// As parameters of a request.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let given = [
            ("correlation_id", &self.correlation_id),
            ("message_id", &self.message_id),
            ("routing_key", &self.routing_key),
            ("exchange", &self.exchange),
            ("type", &self.kind),
            ("reason", &self.reason),
            ("first_queue", &self.first_queue),
            ("queue", &self.died_in),
            ("text", &self.text),
            ("error", &self.error),
            ("older_than", &self.older_than),
            ("newer_than", &self.newer_than),
        ];
        let given = given.into_iter();
        let mut query: Vec<_> = given
            .filter_map(|(key, value)| Some((key, value.clone()?)))
            .collect();
        query.extend(self.header.iter().map(|header| ("header", header.clone())));
        query.extend(self.json.iter().map(|json| ("json", json.clone())));
        query.extend(
            self.replayed
                .map(|replayed| ("replayed", replayed.to_string())),
        );
        query
    }

    /// As the object of a request's body; `None` when nothing is asked for.
    pub(super) fn object(&self) -> Option<Value> {
        let mut object = Map::new();
        for (key, value) in self.query() {
            let values = object
                .entry(key)
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(values) = values {
                values.push(value.into());
            }
        }
        (!object.is_empty()).then_some(Value::Object(object))
    }
}

/// Parameters as the client takes them.
pub(super) fn pairs<'a>(query: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    query.iter().map(|(key, value)| (*key, &**value)).collect()
}
