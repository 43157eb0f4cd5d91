//! Header values in JSON, for people and filters.

use serde_json::{Map, Value, json};

use crate::wire::{FieldTable, FieldValue};

/// A table as an object.
pub(super) fn object(table: &FieldTable) -> Map<String, Value> {
    let entries = table.iter();
    let entries = entries.map(|(name, field)| (text(name), value(field)));
    entries.collect()
}

/// A value; octets that are no text are Base64.
pub(super) fn value(field: &FieldValue) -> Value {
    match field {
        FieldValue::LongStr(octets) => Value::String(text(octets)),
        FieldValue::Octets(octets) => Value::String(super::payload::base64(octets)),
        FieldValue::Bool(truth) => Value::Bool(*truth),
        FieldValue::Timestamp(seconds) => json!(seconds),
        FieldValue::Decimal { scale, value } => {
            json!(f64::from(*value) / 10_f64.powi(i32::from(*scale)))
        }
        FieldValue::Table(table) => Value::Object(object(table)),
        FieldValue::Array(all) => Value::Array(all.iter().map(value).collect()),
        FieldValue::Void => Value::Null,
        FieldValue::F32(_) | FieldValue::F64(_) => json!(field.as_f64()),
        whole => json!(whole.as_i64()),
    }
}

/// A value as one would write it: a text without quotes, the rest as JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Octets that should be UTF-8.
pub(super) fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
