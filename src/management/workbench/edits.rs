//! What is changed about a message that is sent on.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::letter::{Letter, REPLAYED};
use super::payload;
use crate::management::arguments;
use crate::management::body::{Body, unexpected};
use crate::management::reply::ApiError;
use crate::wire::{FieldTable, FieldValue};

/// What is changed about messages that are sent on.
#[derive(Debug, Clone, Default)]
pub(super) struct Edits {
    set: FieldTable,
    remove: Vec<String>,
    pub(super) body: Option<Bytes>,
}

/// Who sends messages on, as they are stamped.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub(super) queue: Arc<str>,
    pub(super) by: Arc<str>,
    pub(super) job: String,
}

impl Edits {
    /// Reads `set_headers`, `remove_headers`, `payload` and `payload_encoding`.
    ///
    /// # Errors
    /// 400 when one of them makes no sense.
    pub(super) fn parse(body: &Body) -> Result<Self, ApiError> {
        let mut edits = Self::default();
        if let Some(set) = body.object("set_headers")? {
            for (name, value) in set {
                let value = arguments::value(value).map_err(|why| {
                    ApiError::bad_request(format!("set_headers: '{name}': {why}"))
                })?;
                if u8::try_from(name.len()).is_err() {
                    let text = format!("set_headers: '{name}' is over 255 octets");
                    return Err(ApiError::bad_request(text));
                }
                edits.set.push(name, value);
            }
        }
        match body.get("remove_headers") {
            None => {}
            Some(Value::Array(names)) => {
                let names = names.iter().map(|name| name.as_str().map(str::to_owned));
                let names: Option<Vec<_>> = names.collect();
                edits.remove = names.ok_or_else(|| {
                    ApiError::bad_request("remove_headers: expected a list of names")
                })?;
            }
            Some(other) => return Err(unexpected("remove_headers", "a list of names", other)),
        }
        if let Some(payload) = body.text("payload")? {
            let decoded = payload::decode(payload, body.text("payload_encoding")?);
            edits.body = Some(decoded.map_err(ApiError::bad_request)?.into());
        }
        Ok(edits)
    }

    /// The properties that a message is sent on with, stamped: at a time in
    /// seconds since 1970.
    pub(super) fn properties(&self, letter: &Letter<'_>, sender: &Sender, now: u64) -> BytesMut {
        let mut headers = letter.headers.clone();
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in self.set.iter() {
            headers.set(&String::from_utf8_lossy(name), value.clone());
        }
        let before = letter.stamp().and_then(|stamp| stamp.get("count"));
        let before = before.and_then(FieldValue::as_i64).unwrap_or(0);
        let stamp = FieldTable::from_iter([
            ("count", FieldValue::I64(before.saturating_add(1))),
            ("time", FieldValue::Timestamp(now)),
            ("queue", FieldValue::str(&sender.queue)),
            ("by", FieldValue::str(&sender.by)),
            ("job", FieldValue::str(&sender.job)),
        ]);
        headers.set(REPLAYED, stamp);
        letter.properties().with_headers(&headers)
    }
}

/// Whether a message was sent on by a job before.
pub(super) fn is_stamped_by(letter: &Letter<'_>, job: &str) -> bool {
    let stamp = letter.stamp().and_then(|stamp| stamp.get("job"));
    stamp.and_then(FieldValue::as_str) == Some(job)
}
