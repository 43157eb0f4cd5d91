//! Bodies as people can read them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::management::reply::{ApiError, merge};

/// How bodies are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Text as it is, the rest in Base64.
    Auto,
    Base64,
    Hex,
    No,
}

/// How bodies are shown, and how much of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payloads {
    pub(super) shown: Shown,
    /// Octets at most.
    pub(super) truncate: usize,
}

impl Payloads {
    /// What is asked for as `auto`, `base64`, `hex` or `none`.
    ///
    /// # Errors
    /// 400 for anything else.
    pub(super) fn parse(shown: Option<&str>, truncate: Option<usize>) -> Result<Self, ApiError> {
        let shown = match shown {
            None | Some("auto") => Shown::Auto,
            Some("base64") => Shown::Base64,
            Some("hex") => Shown::Hex,
            Some("none") => Shown::No,
            Some(other) => {
                let text = format!("payload is '{other}': expected auto, base64, hex or none");
                return Err(ApiError::bad_request(text));
            }
        };
        let truncate = truncate.unwrap_or(TRUNCATED);
        Ok(Self { shown, truncate })
    }

    /// The members of a message's JSON that show its body.
    pub(super) fn show(self, body: &[u8], into: &mut Value) {
        let kind = kind(body);
        merge(
            into,
            json!({ "payload_bytes": body.len(), "payload_type": kind }),
        );
        if self.shown == Shown::No {
            return;
        }
        let mut cut = body.get(..self.truncate).unwrap_or(body);
        let is_text = kind != "binary" && self.shown == Shown::Auto;
        if is_text {
            // Not in the middle of a character.
            let whole = str::from_utf8(cut).map_or_else(|e| e.valid_up_to(), str::len);
            cut = cut.get(..whole).unwrap_or(cut);
        }
        let (payload, encoding) = match self.shown {
            Shown::Hex => (hex(cut), "hex"),
            _ if is_text => (String::from_utf8_lossy(cut).into_owned(), "string"),
            _ => (base64(cut), "base64"),
        };
        let shown = json!({
            "payload": payload,
            "payload_encoding": encoding,
            "payload_truncated": cut.len() < body.len(),
        });
        merge(into, shown);
    }
}

/// Octets of a body that are shown unless told otherwise.
const TRUNCATED: usize = 4096;

/// What a body is: `json`, `text` or `binary`.
fn kind(body: &[u8]) -> &'static str {
    let Ok(text) = str::from_utf8(body) else {
        return "binary";
    };
    let is_object = text.trim_start().starts_with(['{', '[']);
    match is_object && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        true => "json",
        false => "text",
    }
}

/// Octets in Base64.
pub(super) fn base64(octets: &[u8]) -> String {
    BASE64_STANDARD.encode(octets)
}

/// The body that `payload` and `payload_encoding` stand for.
///
/// # Errors
/// What is wrong with them.
pub(super) fn decode(payload: &str, encoding: Option<&str>) -> Result<Vec<u8>, String> {
    match encoding {
        None | Some("string") => Ok(payload.as_bytes().to_vec()),
        Some("base64") => (BASE64_STANDARD.decode(payload))
            .map_err(|error| format!("payload isn't Base64: {error}")),
        Some(other) => Err(format!(
            "payload_encoding is '{other}': expected string or base64"
        )),
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(shown: &str, truncate: usize, body: &[u8]) -> Value {
        let mut into = json!({});
        let payloads = Payloads::parse(Some(shown), Some(truncate)).unwrap();
        payloads.show(body, &mut into);
        into
    }

    #[test]
    fn bodies_are_shown_as_what_they_are() {
        let json = shown("auto", 100, b"{\"a\":1}");
        assert_eq!(json["payload_type"], "json");
        assert_eq!(json["payload"], "{\"a\":1}");
        assert_eq!(shown("auto", 100, b"hello")["payload_type"], "text");
        let binary = shown("auto", 100, &[0xff, 0]);
        assert_eq!(binary["payload"], "/wA=");
        assert_eq!(binary["payload_encoding"], "base64");
        assert_eq!(shown("hex", 100, &[0xff, 0])["payload"], "ff00");
        assert!(shown("none", 100, b"hello").get("payload").is_none());
    }

    #[test]
    fn text_is_cut_between_characters() {
        let cut = shown("auto", 2, "aß".as_bytes());
        assert_eq!(cut["payload"], "a");
        assert_eq!(cut["payload_truncated"], true);
        assert_eq!(cut["payload_bytes"], 3);
    }

    #[test]
    fn what_is_no_way_to_show_a_body_is_refused() {
        assert!(Payloads::parse(Some("zork"), None).is_err());
        assert!(decode("x", Some("hex")).unwrap_err().contains("hex"));
        assert_eq!(decode("/wA=", Some("base64")), Ok(vec![0xff, 0]));
    }
}
