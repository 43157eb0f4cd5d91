//! Which messages are meant.

use serde_json::{Map, Value};

use super::letter::{Letter, glob};
use crate::management::reply::ApiError;
use crate::management::{arguments, fields};

/// What a message has to be like. All of it has to hold; `*` in a text stands for
/// anything.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone)]
enum Condition {
    CorrelationId(String),
    MessageId(String),
    RoutingKey(String),
    Exchange(String),
    Type(String),
    AppId(String),
    Reason(String),
    FirstQueue(String),
    /// Any of its deaths was in that queue.
    Queue(String),
    Header(String, String),
    Json(String, String),
    /// In lower case.
    Text(String),
    /// In lower case, in a header that tells what went wrong.
    Error(String),
    /// Seconds.
    OlderThan(u64),
    NewerThan(u64),
    Replayed(bool),
}

/// The names of what can be asked for.
const KEYS: &str = "correlation_id, message_id, routing_key, exchange, type, app_id, reason, \
                    first_queue, queue, header, json, text, error, older_than, newer_than, replayed";

impl Filter {
    /// Whether it lets everything pass.
    pub(super) fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Adds a condition; whether `key` is the name of one.
    ///
    /// # Errors
    /// 400 when the value makes no sense.
    pub(super) fn add(&mut self, key: &str, value: &str) -> Result<bool, ApiError> {
        let text = || value.to_owned();
        let condition = match key {
            "correlation_id" => Condition::CorrelationId(text()),
            "message_id" => Condition::MessageId(text()),
            "routing_key" => Condition::RoutingKey(text()),
            "exchange" => Condition::Exchange(text()),
            "type" => Condition::Type(text()),
            "app_id" => Condition::AppId(text()),
            "reason" => Condition::Reason(text()),
            "first_queue" => Condition::FirstQueue(text()),
            "queue" => Condition::Queue(text()),
            "text" => Condition::Text(value.to_lowercase()),
            "error" => Condition::Error(value.to_lowercase()),
            "header" => {
                let (name, value) = pair(key, value)?;
                Condition::Header(name, value)
            }
            "json" => {
                let (path, value) = pair(key, value)?;
                Condition::Json(path, value)
            }
            "older_than" => Condition::OlderThan(seconds(key, value)?),
            "newer_than" => Condition::NewerThan(seconds(key, value)?),
            "replayed" => Condition::Replayed(match value {
                "true" => true,
                "false" => false,
                _ => return Err(refuse(key, value, "true or false")),
            }),
            _ => return Ok(false),
        };
        self.conditions.push(condition);
        Ok(true)
    }

    /// Reads the object of a request: a value for each key, or a list of them.
    ///
    /// # Errors
    /// 400 when a key or a value makes no sense.
    pub(super) fn parse(object: &Map<String, Value>) -> Result<Self, ApiError> {
        let mut filter = Self::default();
        for (key, value) in object {
            let values = match value {
                Value::Array(values) => values.as_slice(),
                one => std::slice::from_ref(one),
            };
            for value in values {
                if !filter.add(key, &fields::plain(value))? {
                    let text = format!("filter has no '{key}': expected some of {KEYS}");
                    return Err(ApiError::bad_request(text));
                }
            }
        }
        Ok(filter)
    }

    /// Whether a message is meant, at a time in seconds since 1970.
    pub(super) fn takes(&self, letter: &Letter<'_>, now: u64) -> bool {
        self.conditions.iter().all(|c| c.holds(letter, now))
    }
}

/// What can't be asked for like that.
pub(super) fn unknown(key: &str, others: &str) -> ApiError {
    ApiError::bad_request(format!("there is no '{key}': expected {others} or {KEYS}"))
}

impl Condition {
    fn holds(&self, letter: &Letter<'_>, now: u64) -> bool {
        let is = |pattern: &str, octets: Option<&[u8]>| {
            octets.is_some_and(|octets| glob(pattern, &fields::text(octets)))
        };
        let properties = letter.properties();
        let history = &letter.history;
        match self {
            Self::CorrelationId(id) => is(id, properties.correlation_id),
            Self::MessageId(id) => is(id, properties.message_id),
            Self::Type(kind) => is(kind, properties.kind),
            Self::AppId(id) => is(id, properties.app_id),
            Self::RoutingKey(key) => was_keyed(letter, key),
            Self::Exchange(name) => glob(name, &letter.exchange()),
            Self::Reason(reason) => history.reason().is_some_and(|own| glob(reason, own)),
            Self::FirstQueue(queue) => history.first_queue().is_some_and(|own| glob(queue, own)),
            Self::Queue(queue) => history.deaths.iter().any(|death| glob(queue, &death.queue)),
            Self::Header(name, value) => {
                let header = letter.headers.get(name).map(arguments::json_value);
                header.is_some_and(|own| glob(value, &fields::plain(&own)))
            }
            Self::Json(path, value) => {
                let found = letter.json().and_then(|json| at_path(json, path));
                found.is_some_and(|own| glob(value, &fields::plain(own)))
            }
            Self::Text(text) => has_text(letter, text),
            Self::Error(text) => {
                let errors = letter.errors(&[]);
                let mut errors = errors.values();
                errors.any(|error| fields::plain(error).to_lowercase().contains(text))
            }
            Self::OlderThan(age) => letter.time().is_some_and(|t| t.saturating_add(*age) <= now),
            Self::NewerThan(age) => letter.time().is_some_and(|t| t.saturating_add(*age) > now),
            Self::Replayed(wanted) => letter.stamp().is_some() == *wanted,
        }
    }
}

/// Whether it has that routing key, or had it when it died for the first time: a
/// dead letter may have been given another.
fn was_keyed(letter: &Letter<'_>, key: &str) -> bool {
    let first = letter.history.first();
    let mut former = first.iter().flat_map(|death| &death.routing_keys);
    glob(key, &letter.routing_key()) || former.any(|own| glob(key, own))
}

fn has_text(letter: &Letter<'_>, text: &str) -> bool {
    let body = String::from_utf8_lossy(letter.body());
    body.to_lowercase().contains(text)
        || letter
            .shown_properties()
            .to_string()
            .to_lowercase()
            .contains(text)
        || letter.routing_key().to_lowercase().contains(text)
}

/// The value at a path like `order.lines.0.sku`.
fn at_path<'v>(json: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(json, |value, step| match value {
        Value::Object(object) => object.get(step),
        Value::Array(list) => list.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

fn pair(key: &str, value: &str) -> Result<(String, String), ApiError> {
    let pair = value.split_once('=');
    let (name, value) = pair.ok_or_else(|| refuse(key, value, "name=value"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads `90`, `90s`, `15m`, `2h` or `3d`.
fn seconds(key: &str, value: &str) -> Result<u64, ApiError> {
    let unit = match value.chars().last() {
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => 1,
    };
    let digits = value.trim_end_matches(['s', 'm', 'h', 'd']);
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| refuse(key, value, "a time like 90, 90s, 15m, 2h or 3d"))
}

fn refuse(key: &str, value: &str, expected: &str) -> ApiError {
    ApiError::bad_request(format!("{key} is '{value}': expected {expected}"))
}
