//! Messages in JSON, and the arguments that come with a body.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value, json};

use super::arguments;
use super::body::Body;
use super::reply::ApiError;
use crate::wire::{FieldTable, Properties};

/// Octets as a text; what is no UTF-8 is replaced.
pub fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// A value as one would write it: a text without quotes, the rest as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The table that an object stands for.
///
/// # Errors
/// 400 when AMQP has no such values.
pub fn table(object: &Map<String, Value>) -> Result<FieldTable, ApiError> {
    arguments::table(object).map_err(ApiError::bad_request)
}

/// The arguments in a body, if there are any.
///
/// # Errors
/// 400 when they aren't an object, or AMQP has no such values.
pub fn arguments(body: &Body) -> Result<FieldTable, ApiError> {
    match body.object("arguments")? {
        Some(object) => table(object),
        None => Ok(FieldTable::new()),
    }
}

/// A payload as RabbitMQ's `get` has it: a text if it is UTF-8 and needn't be
/// base64, and which of the two it is.
pub fn payload(octets: &[u8], as_base64: bool) -> (String, &'static str) {
    match std::str::from_utf8(octets) {
        Ok(text) if !as_base64 => (text.to_owned(), "string"),
        _ => (BASE64_STANDARD.encode(octets), "base64"),
    }
}

/// Raw properties as an object; an empty list where there are none, as Erlang
/// has it.
pub fn properties(raw: &[u8]) -> Value {
    // Checked when the message came in.
    let properties = Properties::parse(raw).unwrap_or_default();
    let mut object = without_headers(&properties);
    if properties.headers.is_some() {
        let headers = properties.headers_table().unwrap_or_default();
        object.insert("headers".to_owned(), arguments::json(&headers));
    }
    if object.is_empty() {
        return json!([]);
    }
    object.into()
}

/// Properties by RabbitMQ's names, but for the headers.
pub fn without_headers(properties: &Properties<'_>) -> Map<String, Value> {
    let mut object = Map::new();
    let texts = [
        ("content_type", properties.content_type),
        ("content_encoding", properties.content_encoding),
        ("correlation_id", properties.correlation_id),
        ("reply_to", properties.reply_to),
        ("expiration", properties.expiration),
        ("message_id", properties.message_id),
        ("type", properties.kind),
        ("user_id", properties.user_id),
        ("app_id", properties.app_id),
        ("cluster_id", properties.cluster_id),
    ];
    for (name, octets) in texts {
        if let Some(octets) = octets {
            object.insert(name.to_owned(), text(octets).into());
        }
    }
    let numbers = [
        ("delivery_mode", properties.delivery_mode.map(u64::from)),
        ("priority", properties.priority.map(u64::from)),
        ("timestamp", properties.timestamp),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            object.insert(name.to_owned(), number.into());
        }
    }
    object
}

/// Properties given as an object, raw.
///
/// # Errors
/// 400 naming the property that isn't what it has to be.
pub fn raw_properties(given: &Map<String, Value>) -> Result<Bytes, ApiError> {
    let texts = |name: &str| match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= 255 => Ok(Some(text.as_bytes())),
        Some(_) => Err(bad("not_string", name)),
    };
    let number = |name: &str| match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| bad("not_int", name)),
    };
    let octet = |name: &str| match number(name)?.map(u8::try_from) {
        Some(Err(_)) => Err(bad("not_int", name)),
        Some(Ok(octet)) => Ok(Some(octet)),
        None => Ok(None),
    };
    let headers = match given.get("headers") {
        Some(Value::Object(headers)) => table(headers)?,
        None | Some(Value::Null) => FieldTable::new(),
        Some(Value::Array(none)) if none.is_empty() => FieldTable::new(),
        Some(_) => return Err(bad("not_map", "headers")),
    };
    let properties = Properties {
        content_type: texts("content_type")?,
        content_encoding: texts("content_encoding")?,
        headers: None,
        delivery_mode: octet("delivery_mode")?,
        priority: octet("priority")?,
        correlation_id: texts("correlation_id")?,
        reply_to: texts("reply_to")?,
        expiration: texts("expiration")?,
        message_id: texts("message_id")?,
        timestamp: number("timestamp")?,
        kind: texts("type")?,
        user_id: texts("user_id")?,
        app_id: texts("app_id")?,
        cluster_id: texts("cluster_id")?,
    };
    let mut raw = BytesMut::new();
    if headers.is_empty() {
        properties.put(&mut raw);
    } else {
        raw = properties.with_headers(&headers);
    }
    Ok(raw.freeze())
}

fn bad(why: &str, name: &str) -> ApiError {
    ApiError::because(json!([why, name]))
}
