//! What a published message's properties ask of the broker (`semantics` 8.1).

use bytes::{Bytes, BytesMut};

use super::message::put_blind_keys;
use crate::wire::{FieldTable, FieldValue, Properties, Refusal, ReplyCode};

/// The longest time to live, milliseconds: ten years.
const EXPIRATION_MAX_MS: u64 = 315_360_000_000;

/// The sender-selected distribution of a message: keys beside its routing key.
#[derive(Debug, Default)]
pub struct Copies {
    /// The keys of its `CC` and `BCC` headers.
    pub keys: Vec<Bytes>,
    /// Those of its `BCC` header, put together by [`put_blind_keys`].
    pub blind_copies: Vec<u8>,
    /// Its properties without the `BCC` header, when it had one.
    pub properties: Option<BytesMut>,
}

impl Copies {
    /// Reads `CC` and `BCC`; `None` when there is neither.
    ///
    /// # Errors
    /// 406 when one of them isn't an array of strings, 501 when the header
    /// table is malformed.
    pub fn from_properties(properties: &Properties<'_>) -> Result<Option<Self>, Refusal> {
        // Almost no message has them, and decoding a table allocates.
        let mentioned = properties
            .headers
            .is_some_and(|raw| mentions(raw, b"CC") || mentions(raw, b"BCC"));
        if !mentioned {
            return Ok(None);
        }
        let mut headers = properties.headers_table().map_err(|error| {
            Refusal::new(
                ReplyCode::FrameError,
                format!("cannot decode headers: {error}"),
            )
        })?;
        let mut copies = Self::default();
        copies.add(&headers, "CC")?;
        let seen = copies.keys.len();
        copies.add(&headers, "BCC")?;
        let blind = copies.keys.iter().skip(seen).map(|key| &key[..]);
        put_blind_keys(&mut copies.blind_copies, blind);
        if headers.remove("BCC").is_some() {
            copies.properties = Some(properties.with_headers(&headers));
        }
        Ok(Some(copies))
    }

    fn add(&mut self, headers: &FieldTable, name: &str) -> Result<(), Refusal> {
        match headers.get(name) {
            None => Ok(()),
            Some(FieldValue::Array(keys)) => {
                // As RabbitMQ does, anything in it but a string names no queue.
                let names = keys.iter().filter_map(|key| match key {
                    FieldValue::LongStr(key) => Some(key.clone()),
                    _ => None,
                });
                self.keys.extend(names);
                Ok(())
            }
            Some(other) => {
                let kind = other.type_name();
                let text =
                    format!("invalid message: {{unacceptable_type_in_header,\"{name}\",{kind}}}");
                Err(Refusal::new(ReplyCode::PreconditionFailed, text))
            }
        }
    }
}

/// Whether `raw` header entries may have one of that name at their top level.
fn mentions(raw: &[u8], name: &[u8]) -> bool {
    raw.windows(name.len() + 1).any(|window| {
        window
            .split_first()
            .is_some_and(|(len, rest)| usize::from(*len) == name.len() && rest == name)
    })
}

/// Reads the `expiration` property, milliseconds: decimal digits, at most ten years.
///
/// # Errors
/// 406 with the term RabbitMQ gives.
pub fn expiration_ms(expiration: &[u8]) -> Result<u64, Refusal> {
    let text = String::from_utf8_lossy(expiration);
    let refuse = |why: String| {
        let text = format!("invalid expiration '{text}': {why}");
        Err(Refusal::new(ReplyCode::PreconditionFailed, text))
    };
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, &*text),
    };
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    let (number, leftover) = digits.split_at(end);
    if number.is_empty() {
        return refuse("no_integer".into());
    }
    if !leftover.is_empty() {
        return refuse(format!("{{leftover_string,\"{leftover}\"}}"));
    }
    let value = number.parse::<u64>().unwrap_or(u64::MAX);
    if sign && value > 0 {
        return refuse(format!("{{value_negative,-{number}}}"));
    }
    if value > EXPIRATION_MAX_MS {
        return refuse(format!("{{value_too_large,{number}}}"));
    }
    Ok(value)
}

/// Checks the `user_id` property against the user who publishes.
///
/// # Errors
/// 406 when it names somebody else.
pub fn check_user_id(claimed: &[u8], user: &str) -> Result<(), Refusal> {
    if claimed == user.as_bytes() {
        return Ok(());
    }
    let claimed = String::from_utf8_lossy(claimed);
    let text = format!("user_id property set to '{claimed}' but authenticated user was '{user}'");
    Err(Refusal::new(ReplyCode::PreconditionFailed, text))
}
