//! The JSON that comes with requests.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::reply::ApiError;

/// The JSON object that a request comes with; an empty body is an empty one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Body(pub Map<String, Value>);

impl Body {
    /// Reads an object.
    ///
    /// # Errors
    /// 400 in RabbitMQ's words.
    pub fn parse(text: &[u8]) -> Result<Self, ApiError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice(text) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(Value::String(_)) => Err(ApiError::bad_request(
                "invalid payload: the request body JSON-decoded to a string. Is the input \
                 doubly-JSON-encoded?",
            )),
            _ => Err(ApiError::bad_request("not_json")),
        }
    }

    /// What the object has as `key`; `null` is as good as nothing.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// The values of keys that have to be there.
    ///
    /// # Errors
    /// 400 with the keys that aren't.
    pub fn required<const N: usize>(&self, keys: [&str; N]) -> Result<[&Value; N], ApiError> {
        const NOTHING: &Value = &Value::Null;
        let missing: Vec<_> = keys
            .iter()
            .filter(|key| !self.0.contains_key(**key))
            .map(|key| format!("{{key_missing,{key}}}"))
            .collect();
        if missing.is_empty() {
            return Ok(keys.map(|key| self.0.get(key).unwrap_or(NOTHING)));
        }
        // Erlang's way of printing a list breaks the line after each element but
        // the last where they don't fit one.
        let line = format!("[{}]", missing.join(","));
        let text = if line.len() <= LINE_MAX {
            line
        } else {
            format!("[{}]", missing.join(",\n "))
        };
        Err(ApiError::bad_request(text))
    }

    /// A text, if given.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn text(&self, key: &str) -> Result<Option<&str>, ApiError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(unexpected(key, "a string", other)),
        }
    }

    /// A boolean, if given; `"true"` and `"false"` are, too, for old clients.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, ApiError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(other) => Err(ApiError::because(json!(["not_boolean", other]))),
        }
    }

    /// A whole number, if given; also as a text.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn integer(&self, key: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let number = match value {
            Value::String(text) => text.parse().ok(),
            _ => value.as_i64(),
        };
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(ApiError::because(json!(["not_integer", value]))),
        }
    }

    /// An object, if given.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn object(&self, key: &str) -> Result<Option<&Map<String, Value>>, ApiError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            // Erlang's JSON writes an empty object that way.
            Some(Value::Array(array)) if array.is_empty() => Ok(None),
            Some(other) => Err(unexpected(key, "an object", other)),
        }
    }
}

/// What Erlang prints on one line of a list.
const LINE_MAX: usize = 72;

/// 400: what is called `key` isn't what it has to be.
pub fn unexpected(key: &str, expected: &str, found: &Value) -> ApiError {
    ApiError::bad_request(format!("{key} is {found}: expected {expected}"))
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let text = Bytes::from_request(request, state).await;
        Self::parse(&text.map_err(unreadable)?)
    }
}

/// Why a body can't be read to its end.
fn unreadable(rejection: BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return ApiError::bad_request("Exceeded HTTP request body size limit");
    }
    ApiError::bad_request(rejection.body_text())
}
