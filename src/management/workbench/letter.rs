//! A message as the workbench sees it.

use std::cell::OnceCell;

use serde_json::{Map, Value, json};

use super::death::History;
use super::payload::Payloads;
use crate::broker::queue::Seen;
use crate::management::{arguments, fields};
use crate::wire::{FieldTable, FieldValue, Properties};

/// The header that says that a message was sent back before.
pub(super) const REPLAYED: &str = "x-replayed";

/// Headers that tell what went wrong, by what frameworks write: names in lower
/// case, or how they begin.
const ERRORS: [&str; 8] = [
    "x-exception*",
    "x-error*",
    "exception*",
    "error*",
    "x-original-exception*",
    "x-last-error*",
    "nservicebus.exceptioninfo.*",
    "mt-fault-*",
];

/// A message as the workbench sees it: what a look found, decoded.
pub(super) struct Letter<'a> {
    pub(super) seen: &'a Seen,
    pub(super) headers: FieldTable,
    pub(super) history: History,
    json: OnceCell<Option<Value>>,
}

impl<'a> Letter<'a> {
    pub(super) fn of(seen: &'a Seen) -> Self {
        let headers = properties(seen).headers_table().unwrap_or_default();
        Self {
            seen,
            history: History::read(&headers),
            headers,
            json: OnceCell::new(),
        }
    }

    pub(super) fn properties(&self) -> Properties<'a> {
        properties(self.seen)
    }

    pub(super) fn body(&self) -> &'a [u8] {
        self.seen.message().view().body
    }

    pub(super) fn exchange(&self) -> String {
        fields::text(self.seen.message().view().exchange)
    }

    pub(super) fn routing_key(&self) -> String {
        fields::text(self.seen.message().view().routing_key)
    }

    /// The body, if it is JSON.
    pub(super) fn json(&self) -> Option<&Value> {
        let json = self
            .json
            .get_or_init(|| serde_json::from_slice(self.body()).ok());
        json.as_ref()
    }

    /// When it came here as far as it tells: when it died last, or when its
    /// publisher says to have sent it. Seconds since 1970.
    pub(super) fn time(&self) -> Option<u64> {
        self.history.time().or(self.properties().timestamp)
    }

    /// The headers that tell what went wrong: the usual ones, and those called
    /// like one of `more`.
    pub(super) fn errors(&self, more: &[String]) -> Map<String, Value> {
        let all = self
            .headers
            .iter()
            .map(|(name, value)| (fields::text(name), value));
        let told = all.filter(|(name, _)| {
            let name = name.to_lowercase();
            let usual = ERRORS.iter().any(|pattern| glob(pattern, &name));
            usual
                || more
                    .iter()
                    .any(|pattern| glob(&pattern.to_lowercase(), &name))
        });
        told.map(|(name, value)| (name, arguments::json_value(value)))
            .collect()
    }

    /// What says that it was sent back before.
    pub(super) fn stamp(&self) -> Option<&FieldTable> {
        match self.headers.get(REPLAYED) {
            Some(FieldValue::Table(stamp)) => Some(stamp),
            _ => None,
        }
    }

    /// In JSON.
    pub(super) fn shown(&self, payloads: Payloads) -> Value {
        let attempts = self.seen.attempts();
        let mut shown = json!({
            "id": self.seen.place().to_string(),
            "exchange": self.exchange(),
            "routing_key": self.routing_key(),
            "redelivered": self.seen.is_redelivered(),
            "returns": attempts.returns,
            "failures": attempts.failures,
            "expires_at": self.seen.deadline(),
            "delayed_until": self.seen.due(),
            "time": self.time(),
            "properties": self.shown_properties(),
            "deaths": self.history.shown(),
            "told": self.history.told(),
            "first_death_queue": self.history.first_queue(),
            "reason": self.history.reason(),
            "errors": self.errors(&[]),
            "replayed": self.stamp().map(arguments::json),
        });
        payloads.show(self.body(), &mut shown);
        shown
    }

    /// The properties by RabbitMQ's names.
    pub(super) fn shown_properties(&self) -> Value {
        let mut shown = fields::without_headers(&self.properties());
        if !self.headers.is_empty() {
            shown.insert("headers".into(), arguments::json(&self.headers));
        }
        shown.into()
    }
}

fn properties(seen: &Seen) -> Properties<'_> {
    // Checked when the message came in.
    Properties::parse(seen.message().view().properties).unwrap_or_default()
}

/// Whether a text is like a pattern, in which `*` stands for anything.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text) in [
            ("a", "a"),
            ("a*", "abc"),
            ("*c", "abc"),
            ("a*b*c", "aXbYc"),
            ("*", ""),
            ("a**b", "ab"),
        ] {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a*a", "a"), ("*b", "abc"), ("a*b*b", "ab")] {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }
}
