//! `KEY=VALUE` on the command line.

use std::str::FromStr;

use serde_json::{Map, Value};

/// A key and its value. A value that is JSON is taken as such (`10`, `true`,
/// `["a"]`, `"10"` with its quotes as text); all else is text.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// What stands before the first `=`.
    pub key: String,
    /// What stands behind it.
    pub value: Value,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or("expected KEY=VALUE")?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        Ok(Self {
            key: key.to_owned(),
            value,
        })
    }
}

/// The pairs as an object.
pub fn object(pairs: &[Pair]) -> Map<String, Value> {
    let pairs = pairs.iter().cloned();
    pairs.map(|pair| (pair.key, pair.value)).collect()
}

/// A whole JSON object on the command line.
pub fn json_object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("expected a JSON object: {\"key\": value}".into()),
        Err(error) => Err(format!("expected a JSON object: {error}")),
    }
}

/// Any JSON value on the command line.
pub fn json_value(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("expected JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_have_the_type_they_look_like() {
        for (text, value) in [
            ("k=10", json!(10)),
            ("k=true", json!(true)),
            ("k=text", json!("text")),
            ("k=\"10\"", json!("10")),
            ("k=[1]", json!([1])),
            ("k=a=b", json!("a=b")),
            ("k=", json!("")),
        ] {
            assert_eq!(text.parse::<Pair>().unwrap().value, value, "{text}");
        }
        assert!("k".parse::<Pair>().is_err());
        assert!("=v".parse::<Pair>().is_err());
    }
}
