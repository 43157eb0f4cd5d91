//! Arguments in JSON and as AMQP has them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use crate::wire::{FieldTable, FieldValue};

/// The table that an object stands for. Numbers without a fraction are signed
/// and of 64 bits, as RabbitMQ reads them.
///
/// # Errors
/// What is wrong, when a number is too large or a name too long for AMQP.
pub fn table<'a>(
    entries: impl IntoIterator<Item = (&'a String, &'a Value)>,
) -> Result<FieldTable, String> {
    let mut table = FieldTable::new();
    for (name, json) in entries {
        if u8::try_from(name.len()).is_err() {
            return Err(format!("argument '{name}' has a name of over 255 octets"));
        }
        let value = value(json).map_err(|why| format!("argument '{name}': {why}"))?;
        table.push(name, value);
    }
    Ok(table)
}

/// The field value that some JSON stands for.
///
/// # Errors
/// What is wrong, as with [`table`].
pub fn value(json: &Value) -> Result<FieldValue, String> {
    Ok(match json {
        Value::Null => FieldValue::Void,
        Value::Bool(truth) => FieldValue::Bool(*truth),
        Value::String(text) => FieldValue::str(text),
        Value::Array(list) => FieldValue::Array(list.iter().map(value).collect::<Result<_, _>>()?),
        Value::Object(object) => FieldValue::Table(table(object)?),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => FieldValue::I64(whole),
            (None, Some(_)) if number.is_u64() => {
                return Err(format!("{number} is over {}", i64::MAX));
            }
            (None, Some(fraction)) => FieldValue::F64(fraction),
            (None, None) => return Err(format!("{number} is no number AMQP has")),
        },
    })
}

/// The JSON that says what a table does.
pub fn json(table: &FieldTable) -> Value {
    let entries = table.iter();
    let entries = entries.map(|(name, value)| {
        let name = String::from_utf8_lossy(name).into_owned();
        (name, json_value(value))
    });
    Value::Object(entries.collect::<Map<_, _>>())
}

/// The JSON that says what a field value does: a timestamp is its seconds, and
/// octets that are no text are in Base64.
pub fn json_value(value: &FieldValue) -> Value {
    match value {
        FieldValue::LongStr(octets) | FieldValue::Octets(octets) => {
            match std::str::from_utf8(octets) {
                Ok(text) => text.into(),
                Err(_) => BASE64_STANDARD.encode(octets).into(),
            }
        }
        FieldValue::Bool(truth) => (*truth).into(),
        FieldValue::Timestamp(seconds) => (*seconds).into(),
        FieldValue::Decimal { scale, value } => {
            (f64::from(*value) / 10_f64.powi(i32::from(*scale))).into()
        }
        FieldValue::Table(table) => json(table),
        FieldValue::Array(values) => values.iter().map(json_value).collect(),
        FieldValue::Void => Value::Null,
        FieldValue::F64(_) | FieldValue::F32(_) => value.as_f64().into(),
        whole => whole.as_i64().into(),
    }
}
