//! Arguments in JSON as AMQP has them.

use serde_json::Value;

use super::document::Object;
use crate::wire::{FieldTable, FieldValue};

/// The table that an object stands for. Numbers without a fraction are signed
/// and of 64 bits, as RabbitMQ reads them.
///
/// # Errors
/// What is wrong, when a number is too large or a name too long for AMQP.
pub(in crate::management) fn table(object: &Object<Value>) -> Result<FieldTable, String> {
    entries(object.iter())
}

fn entries<'a>(
    entries: impl Iterator<Item = (&'a String, &'a Value)>,
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
pub(in crate::management) fn value(json: &Value) -> Result<FieldValue, String> {
    Ok(match json {
        Value::Null => FieldValue::Void,
        Value::Bool(truth) => FieldValue::Bool(*truth),
        Value::String(text) => FieldValue::str(text),
        Value::Array(list) => FieldValue::Array(list.iter().map(value).collect::<Result<_, _>>()?),
        Value::Object(object) => FieldValue::Table(entries(object.iter())?),
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
