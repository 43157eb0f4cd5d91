//! JSON as Erlang prints it, which is how RabbitMQ quotes what it refuses.

use serde_json::Value;

/// What Erlang prints for a value.
pub fn term(value: &Value) -> String {
    match value {
        Value::String(text) => format!("<<{}>>", Value::from(text.as_str())),
        Value::Array(values) => format!("[{}]", joined(values.iter().map(term))),
        Value::Object(object) => {
            let entries = object.iter().map(|(key, value)| {
                let key = term(&Value::from(key.as_str()));
                format!("{key} => {}", term(value))
            });
            format!("#{{{}}}", joined(entries))
        }
        other => other.to_string(),
    }
}

fn joined(terms: impl Iterator<Item = String>) -> String {
    terms.collect::<Vec<_>>().join(",")
}
