//! What a shovel changes in a message's properties, where it is asked to.

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::terms::Terms;
use crate::management::term::term;
use crate::wire::{DecodeError, FieldTable, FieldValue, Properties};

/// Where the way of a message is noted, the last shovel first.
const SHOVELLED: &str = "x-shovelled";
/// When it went through the last one, seconds since the Unix epoch.
const SHOVELLED_TIMESTAMP: &str = "x-shovelled-timestamp";
/// The queues that a message goes to besides the one that its key names.
const COPIES: &str = "CC";

/// Properties that every message gets in place of its own.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Overrides {
    texts: Vec<(&'static str, String)>,
    delivery_mode: Option<u8>,
    priority: Option<u8>,
    timestamp: Option<u64>,
}

/// The properties that are text, by RabbitMQ's names.
const TEXTS: [&str; 10] = [
    "content_type",
    "content_encoding",
    "correlation_id",
    "reply_to",
    "expiration",
    "message_id",
    "type",
    "user_id",
    "app_id",
    "cluster_id",
];

impl Overrides {
    /// Takes them from a definition.
    pub(super) fn take(terms: &mut Terms<'_>) -> Self {
        let keys = ["dest-publish-properties", "publish-properties"];
        let object = match terms.any(&keys) {
            None => return Self::default(),
            Some((_, Value::Object(object))) => object,
            Some((key, other)) => {
                terms.complain(format!("{key} not a list {}", term(other)));
                return Self::default();
            }
        };
        let mut own = Terms::new(object);
        let octet = |number: f64| number as u8;
        let overrides = Self {
            texts: TEXTS
                .into_iter()
                .filter_map(|key| Some((key, own.name(key)?)))
                .collect(),
            delivery_mode: own.number(&["delivery_mode"]).map(octet),
            priority: own.number(&["priority"]).map(octet),
            timestamp: own.number(&["timestamp"]).map(|number| number as u64),
        };
        for line in own.end("dest-publish-properties") {
            terms.complain(line);
        }
        overrides
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn apply<'a>(&'a self, properties: &mut Properties<'a>) {
        for (name, value) in &self.texts {
            let property = match *name {
                "content_type" => &mut properties.content_type,
                "content_encoding" => &mut properties.content_encoding,
                "correlation_id" => &mut properties.correlation_id,
                "reply_to" => &mut properties.reply_to,
                "expiration" => &mut properties.expiration,
                "message_id" => &mut properties.message_id,
                "type" => &mut properties.kind,
                "user_id" => &mut properties.user_id,
                "app_id" => &mut properties.app_id,
                _ => &mut properties.cluster_id,
            };
            *property = Some(value.as_bytes());
        }
        properties.delivery_mode = self.delivery_mode.or(properties.delivery_mode);
        properties.priority = self.priority.or(properties.priority);
        properties.timestamp = self.timestamp.or(properties.timestamp);
    }
}

/// All that a shovel changes in properties.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    pub(super) overrides: Overrides,
    /// The entry of `x-shovelled`.
    pub(super) way: Option<FieldTable>,
    /// Whether to say when.
    pub(super) timestamp: bool,
    /// The message is for one queue alone. Routed by its header as well it
    /// would be copied again into queues whose copies are moved themselves.
    pub(super) one_queue: bool,
}

impl Stamp {
    /// The properties to publish with, for the `raw` ones of a message, at
    /// `seconds` since the Unix epoch. Those nothing is changed in stay
    /// octet by octet what they were, and so do those that make no sense.
    pub(super) fn apply(&self, raw: Bytes, seconds: u64) -> Bytes {
        let changed = self.changed(&raw, seconds);
        changed.ok().flatten().unwrap_or(raw)
    }

    /// The properties if they are to be others.
    fn changed(&self, raw: &[u8], seconds: u64) -> Result<Option<Bytes>, DecodeError> {
        let mut properties = Properties::parse(raw)?;
        let writes = self.way.is_some() || self.timestamp;
        let has_copies = self.one_queue && properties.headers.is_some();
        if self.overrides.is_empty() && !writes && !has_copies {
            return Ok(None);
        }
        let mut headers = properties.headers_table()?;
        let removed = self.one_queue && headers.remove(COPIES).is_some();
        if !writes && !removed && self.overrides.is_empty() {
            return Ok(None);
        }
        if let Some(way) = &self.way {
            let mut ways = vec![FieldValue::Table(way.clone())];
            if let Some(FieldValue::Array(before)) = headers.get(SHOVELLED) {
                ways.extend(before.iter().cloned());
            }
            headers.set(SHOVELLED, FieldValue::Array(ways));
        }
        if self.timestamp {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            headers.set(SHOVELLED_TIMESTAMP, FieldValue::I64(seconds));
        }
        self.overrides.apply(&mut properties);
        if writes || removed {
            return Ok(Some(properties.with_headers(&headers).freeze()));
        }
        let mut out = BytesMut::with_capacity(raw.len() + 64);
        properties.put(&mut out);
        Ok(Some(out.freeze()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn raw(headers: &[(&str, FieldValue)]) -> Bytes {
        let table: FieldTable = headers.iter().cloned().collect();
        let properties = Properties {
            delivery_mode: Some(1),
            app_id: Some(b"orig"),
            ..Properties::default()
        };
        properties.with_headers(&table).freeze()
    }

    fn overrides(json: Value) -> Overrides {
        let object = json!({"dest-publish-properties": json});
        let mut terms = Terms::new(object.as_object().unwrap());
        Overrides::take(&mut terms)
    }

    #[test]
    fn properties_pass_as_they_are() {
        let raw = raw(&[("h", FieldValue::U8(3))]);
        let stamp = Stamp {
            one_queue: true,
            ..Stamp::default()
        };
        assert_eq!(stamp.apply(raw.clone(), 0), raw);
    }

    #[test]
    fn what_is_asked_for_is_changed_and_nothing_else() {
        let stamp = Stamp {
            overrides: overrides(json!({"delivery_mode": 2, "type": "t"})),
            ..Stamp::default()
        };
        let stamped = stamp.apply(raw(&[("h", FieldValue::U8(3))]), 0);
        let properties = Properties::parse(&stamped).unwrap();
        assert_eq!(properties.delivery_mode, Some(2));
        assert_eq!(properties.kind, Some(&b"t"[..]));
        assert_eq!(properties.app_id, Some(&b"orig"[..]));
        let headers = properties.headers_table().unwrap();
        assert_eq!(headers.get("h"), Some(&FieldValue::U8(3)));
    }

    #[test]
    fn the_way_is_noted_the_last_shovel_first() {
        let mut bytes = raw(&[]);
        for name in ["first", "second"] {
            let way: FieldTable = [("shovel-name", FieldValue::str(name))]
                .into_iter()
                .collect();
            let stamp = Stamp {
                way: Some(way),
                timestamp: true,
                ..Stamp::default()
            };
            bytes = stamp.apply(bytes, 77);
        }
        let headers = Properties::parse(&bytes).unwrap().headers_table().unwrap();
        assert_eq!(headers.get(SHOVELLED_TIMESTAMP), Some(&FieldValue::I64(77)));
        let Some(FieldValue::Array(ways)) = headers.get(SHOVELLED) else {
            unreachable!("{headers:?}");
        };
        let names: Vec<_> = ways
            .iter()
            .map(|way| match way {
                FieldValue::Table(way) => way.get("shovel-name").and_then(FieldValue::as_str),
                _ => None,
            })
            .collect();
        assert_eq!(names, [Some("second"), Some("first")]);
    }

    #[test]
    fn a_message_for_one_queue_is_not_copied_into_others_again() {
        let copies = FieldValue::Array(vec![FieldValue::str("other")]);
        let raw = raw(&[("CC", copies), ("h", FieldValue::Bool(true))]);
        let stamp = Stamp {
            one_queue: true,
            ..Stamp::default()
        };
        let stamped = stamp.apply(raw.clone(), 0);
        let headers = Properties::parse(&stamped)
            .unwrap()
            .headers_table()
            .unwrap();
        assert!(headers.get("CC").is_none());
        assert_eq!(headers.get("h"), Some(&FieldValue::Bool(true)));
        assert_eq!(Stamp::default().apply(raw.clone(), 0), raw);
    }
}
