//! What `harrier store dump` prints of a message.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::cli::format::Format;
use crate::wire::{FieldTable, FieldValue, Properties};

/// A message as it is stored.
#[derive(Debug)]
pub struct StoredMessage<'a> {
    /// Its place in the queue.
    pub position: u64,
    /// The exchange it was published to.
    pub exchange: &'a [u8],
    /// The routing key it was published with.
    pub routing_key: &'a [u8],
    /// Its properties, raw.
    pub properties: &'a [u8],
    /// Its body.
    pub body: &'a [u8],
    /// Whether it was handed out before.
    pub redelivered: bool,
    /// How often it came back to the queue.
    pub returns: u32,
    /// How many of these were failed attempts.
    pub failures: u16,
    /// Why it came back last.
    pub last_return: Option<&'static str>,
    /// When it expires, milliseconds since 1970.
    pub deadline: Option<u64>,
}

impl StoredMessage<'_> {
    pub(super) fn render(&self, format: Format) -> String {
        match format {
            Format::Json => self.json().to_string(),
            Format::Table => self.text(),
        }
    }

    /// The names are those of RabbitMQ's management API.
    fn json(&self) -> Value {
        let (encoding, payload) = match std::str::from_utf8(self.body) {
            Ok(text) => ("string", text.to_owned()),
            Err(_) => ("base64", BASE64_STANDARD.encode(self.body)),
        };
        json!({
            "position": self.position,
            "exchange": text(self.exchange),
            "routing_key": text(self.routing_key),
            "redelivered": self.redelivered,
            "returns": self.returns,
            "failures": self.failures,
            "last_return": self.last_return,
            "expires_ms": self.deadline,
            "properties": properties(self.properties),
            "payload_bytes": self.body.len(),
            "payload_encoding": encoding,
            "payload": payload,
        })
    }

    fn text(&self) -> String {
        let mut lines = format!(
            "position {}, exchange '{}', routing key '{}', {} bytes",
            self.position,
            printable(&text(self.exchange)),
            printable(&text(self.routing_key)),
            self.body.len()
        );
        if self.redelivered {
            lines.push_str(", handed out before");
        }
        if self.returns > 0 {
            // Writing to a string can't fail.
            let (returns, failures) = (self.returns, self.failures);
            let last = self.last_return.unwrap_or("unknown");
            write!(
                lines,
                ", came back: {returns} (failed: {failures}, last: {last})"
            )
            .ok();
        }
        if let Some(deadline) = self.deadline {
            write!(lines, ", expires {}", utc(deadline)).ok();
        }
        for (name, value) in properties(self.properties) {
            write!(lines, "\n  {name}: {value}").ok();
        }
        match std::str::from_utf8(self.body) {
            Ok(body) => write!(lines, "\n  {}", printable(body)).ok(),
            Err(_) => write!(lines, "\n  base64: {}", BASE64_STANDARD.encode(self.body)).ok(),
        };
        lines
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// On one line, and without what a terminal would obey.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            printable.extend(letter.escape_default());
        } else {
            printable.push(letter);
        }
    }
    printable
}

/// The date and time of so many milliseconds since 1970, as RFC 3339 has it.
fn utc(milliseconds: u64) -> String {
    let (seconds, milliseconds) = (milliseconds / 1000, milliseconds % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

/// Year, month and day, so many days after the first of 1970. Years are taken
/// to begin with March, so that a leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    // Counted from the first of March of the year 0.
    let days = days + 719_468;
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let leap_days = day / 1460 + day / (DAYS_OF_400_YEARS - 1);
    let year = (day - leap_days + day / 36_524) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months of 31, 30, 31, 30, 31 days, over and over.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (400 * era + year + u64::from(month <= 2), month, day)
}

/// Those that are set, under RabbitMQ's names.
fn properties(raw: &[u8]) -> Map<String, Value> {
    let mut map = Map::new();
    // They were checked when the message came.
    let Ok(found) = Properties::parse(raw) else {
        return map;
    };
    let texts = [
        ("content_type", found.content_type),
        ("content_encoding", found.content_encoding),
        ("correlation_id", found.correlation_id),
        ("reply_to", found.reply_to),
        ("expiration", found.expiration),
        ("message_id", found.message_id),
        ("type", found.kind),
        ("user_id", found.user_id),
        ("app_id", found.app_id),
        ("cluster_id", found.cluster_id),
    ];
    for (name, value) in texts {
        if let Some(octets) = value {
            map.insert(name.into(), text(octets).into());
        }
    }
    let numbers = [
        ("delivery_mode", found.delivery_mode.map(u64::from)),
        ("priority", found.priority.map(u64::from)),
        ("timestamp", found.timestamp),
    ];
    for (name, value) in numbers {
        if let Some(number) = value {
            map.insert(name.into(), number.into());
        }
    }
    if let (Some(_), Ok(headers)) = (found.headers, found.headers_table()) {
        map.insert("headers".into(), table(&headers));
    }
    map
}

fn table(table: &FieldTable) -> Value {
    let entries = table.iter();
    let entries = entries.map(|(name, field)| (text(name), value(field)));
    Value::Object(entries.collect())
}

fn value(field: &FieldValue) -> Value {
    match field {
        FieldValue::LongStr(octets) | FieldValue::Octets(octets) => text(octets).into(),
        FieldValue::I32(number) => (*number).into(),
        FieldValue::U32(number) => (*number).into(),
        FieldValue::I64(number) => (*number).into(),
        FieldValue::I16(number) => (*number).into(),
        FieldValue::U16(number) => (*number).into(),
        FieldValue::I8(number) => (*number).into(),
        FieldValue::U8(number) => (*number).into(),
        FieldValue::F64(number) => (*number).into(),
        FieldValue::F32(number) => (*number).into(),
        FieldValue::Bool(truth) => (*truth).into(),
        FieldValue::Decimal { scale, value } => {
            (f64::from(*value) / 10_f64.powi(i32::from(*scale))).into()
        }
        FieldValue::Timestamp(seconds) => (*seconds).into(),
        FieldValue::Table(entries) => table(entries),
        FieldValue::Array(values) => values.iter().map(value).collect(),
        FieldValue::Void => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    fn message(properties: &[u8], body: &[u8], format: Format) -> String {
        let message = StoredMessage {
            position: 7,
            exchange: b"orders",
            routing_key: b"eu.new",
            properties,
            body,
            redelivered: true,
            returns: 2,
            failures: 1,
            last_return: Some("rejected"),
            deadline: Some(1_700_000_000_000),
        };
        message.render(format)
    }

    fn properties_of(headers: &FieldTable) -> Vec<u8> {
        let properties = Properties {
            content_type: Some(b"text/plain"),
            priority: Some(3),
            kind: Some(b"order"),
            ..Properties::default()
        };
        properties.with_headers(headers).to_vec()
    }

    #[test]
    fn a_message_is_a_line_of_json() {
        let death = FieldTable::from_iter([("queue", FieldValue::str("first"))]);
        let headers = FieldTable::from_iter([
            ("x-death", FieldValue::Array(vec![FieldValue::Table(death)])),
            ("retries", FieldValue::I32(-1)),
            ("nothing", FieldValue::Void),
            (
                "price",
                FieldValue::Decimal {
                    scale: 2,
                    value: 1250,
                },
            ),
        ]);
        let line = message(&properties_of(&headers), b"two\nlines", Format::Json);
        assert!(!line.contains('\n'));
        let value: Value = serde_json::from_str(&line).unwrap();
        let expected = json!({
            "position": 7,
            "exchange": "orders",
            "routing_key": "eu.new",
            "redelivered": true,
            "returns": 2,
            "failures": 1,
            "last_return": "rejected",
            "expires_ms": 1_700_000_000_000_u64,
            "properties": {
                "content_type": "text/plain",
                "priority": 3,
                "type": "order",
                "headers": {
                    "x-death": [{"queue": "first"}],
                    "retries": -1,
                    "nothing": null,
                    "price": 12.5,
                },
            },
            "payload_bytes": 9,
            "payload_encoding": "string",
            "payload": "two\nlines",
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn a_body_that_is_no_text_is_in_base64() {
        let mut raw = BytesMut::new();
        Properties::default().put(&mut raw);
        let line = message(&raw, &[0xff, 0, 1], Format::Json);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["payload_encoding"], "base64");
        assert_eq!(value["payload"], "/wAB");
        assert_eq!(value["payload_bytes"], 3);
        let shown = message(&raw, &[0xff, 0, 1], Format::Table);
        assert!(shown.ends_with("\n  base64: /wAB"), "{shown}");
    }

    #[test]
    fn days_have_their_dates() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(utc(seconds * 1000), date);
        }
        assert_eq!(utc(7), "1970-01-01T00:00:00.007Z");
    }

    #[test]
    fn people_see_properties_and_a_body_that_moves_no_cursor() {
        let headers = FieldTable::from_iter([("retries", FieldValue::I32(1))]);
        let shown = message(&properties_of(&headers), b"a\x1b[2Jb\nc", Format::Table);
        let expected = "position 7, exchange 'orders', routing key 'eu.new', 8 bytes, \
                        handed out before, came back: 2 (failed: 1, last: rejected), expires 2023-11-14T22:13:20.000Z\n  \
                        content_type: \"text/plain\"\n  headers: {\"retries\":1}\n  priority: 3\n  \
                        type: \"order\"\n  a\\u{1b}[2Jb\\nc";
        assert_eq!(shown, expected);
    }
}
