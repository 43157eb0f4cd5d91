//! Values as RabbitMQ's error texts print them: as terms of Erlang. Clients
//! match on these texts.

use std::fmt::Write;

use crate::wire::{FieldTable, FieldValue};

/// Octets as a binary: text in quotes if all of it can be printed, else numbers.
pub(super) fn binary(octets: &[u8]) -> String {
    let printable = |octet: &u8| matches!(octet, 0x20..=0x7e | b'\t' | b'\n' | b'\r');
    if !octets.is_empty() && octets.iter().all(printable) {
        return format!("<<{:?}>>", String::from_utf8_lossy(octets));
    }
    let numbers: Vec<_> = octets.iter().map(u8::to_string).collect();
    format!("<<{}>>", numbers.join(","))
}

/// Text as a binary: as it is where Erlang's printer knows it for text.
pub(super) fn text_binary(text: &str) -> String {
    if text.is_ascii() || text.contains(|c: char| c.is_control()) {
        return binary(text.as_bytes());
    }
    format!("<<{text:?}/utf8>>")
}

/// A name as an atom: in quotes unless it looks like one without.
pub(super) fn atom(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '@');
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_plain) {
        return name.into();
    }
    format!("'{name}'")
}

/// A value as a term, without its type.
pub(super) fn term(value: &FieldValue) -> String {
    match value {
        FieldValue::LongStr(octets) | FieldValue::Octets(octets) => binary(octets),
        FieldValue::Bool(value) => value.to_string(),
        FieldValue::F64(value) => format!("{value:?}"),
        FieldValue::F32(value) => format!("{:?}", f64::from(*value)),
        FieldValue::Timestamp(value) => value.to_string(),
        FieldValue::Decimal { scale, value } => format!("{{{scale},{value}}}"),
        FieldValue::Void => "undefined".into(),
        FieldValue::Array(values) => list(values.iter().map(typed)),
        FieldValue::Table(table) => list(entries(table).into_iter()),
        integer => integer.as_i64().unwrap_or_default().to_string(),
    }
}

/// The entries of a table, a term each.
pub(super) fn entries(table: &FieldTable) -> Vec<String> {
    table
        .iter()
        .map(|(name, value)| tuple(&[&binary(name), value.type_name(), &term(value)]))
        .collect()
}

/// A value that came as JSON, as a term.
pub(super) fn json_term(value: &FieldValue) -> String {
    match value {
        FieldValue::LongStr(octets) => text_binary(&String::from_utf8_lossy(octets)),
        FieldValue::Void => "null".into(),
        FieldValue::Array(values) => list(values.iter().map(json_term)),
        FieldValue::Table(table) => {
            let entry = |name: &[u8], value| format!("{} => {}", binary(name), json_term(value));
            let entries: Vec<_> = table.iter().map(|(name, v)| entry(name, v)).collect();
            format!("#{{{}}}", entries.join(","))
        }
        other => term(other),
    }
}

/// A value as people read it: text as it is, anything else as a term.
pub(super) fn display(value: &FieldValue) -> String {
    match value.as_octets() {
        Some(octets) => String::from_utf8_lossy(octets).into_owned(),
        None => term(value),
    }
}

fn typed(value: &FieldValue) -> String {
    tuple(&[value.type_name(), &term(value)])
}

fn tuple(parts: &[&str]) -> String {
    format!("{{{}}}", parts.join(","))
}

fn list(items: impl Iterator<Item = String>) -> String {
    let mut out = String::from("[");
    for (at, item) in items.enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Writing to a string can't fail.
        let _ = write!(out, "{comma}{item}");
    }
    out.push(']');
    out
}
