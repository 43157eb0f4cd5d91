//! The entries of a definition, taken one by one, and what is wrong with them
//! in RabbitMQ's words.

use serde_json::{Map, Value};

use crate::management::arguments;
use crate::management::term::term;
use crate::wire::{FieldTable, FieldValue};

/// The entries of an object that were not asked for yet, and all complaints.
pub(super) struct Terms<'a> {
    object: &'a Map<String, Value>,
    known: Vec<&'static str>,
    complaints: Vec<String>,
}

impl<'a> Terms<'a> {
    pub(super) fn new(object: &'a Map<String, Value>) -> Self {
        Self {
            object,
            known: Vec::new(),
            complaints: Vec::new(),
        }
    }

    /// Whether there is an entry.
    pub(super) fn has(&self, key: &str) -> bool {
        self.object.contains_key(key)
    }

    pub(super) fn complain(&mut self, what: impl Into<String>) {
        self.complaints.push(what.into());
    }

    /// The first of `keys` that there is; the others are its older names.
    fn take(&mut self, keys: &[&'static str]) -> Option<(&'static str, &'a Value)> {
        self.known.extend(keys);
        let object = self.object;
        keys.iter().find_map(|key| Some((*key, object.get(*key)?)))
    }

    fn wrong(&mut self, key: &str, expected: &str, actual: &Value) {
        let actual = term(actual);
        self.complain(format!("{key} should be {expected}, actually was {actual}"));
    }

    /// Text.
    pub(super) fn text(&mut self, keys: &[&'static str]) -> Option<&'a str> {
        let (key, value) = self.take(keys)?;
        if value.as_str().is_none() {
            self.wrong(key, "binary", value);
        }
        value.as_str()
    }

    /// A name of AMQP: text of up to 255 octets.
    pub(super) fn name(&mut self, key: &'static str) -> Option<String> {
        let text = self.text(&[key])?;
        if text.len() > u8::MAX.into() {
            self.complain(format!("{key} should have up to 255 octets"));
        }
        Some(text.to_owned())
    }

    /// Text or a list of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let (_, value) = self.take(&[key])?;
        let list = match value {
            Value::String(text) => return Some(vec![text.clone()]),
            Value::Array(list) => list,
            other => {
                self.wrong(key, "list", other);
                return Some(Vec::new());
            }
        };
        let mut texts = Vec::with_capacity(list.len());
        for entry in list {
            match entry.as_str() {
                Some(text) => texts.push(text.to_owned()),
                None => self.wrong(key, "list", entry),
            }
        }
        if list.is_empty() {
            self.complain(format!("{key} should be a list of one or more URIs"));
        }
        Some(texts)
    }

    /// A number.
    pub(super) fn number(&mut self, keys: &[&'static str]) -> Option<f64> {
        let (key, value) = self.take(keys)?;
        if value.as_f64().is_none() {
            self.wrong(key, "a number", value);
        }
        value.as_f64()
    }

    /// A truth value, false when there is none.
    pub(super) fn truth(&mut self, keys: &[&'static str]) -> bool {
        let Some((key, value)) = self.take(keys) else {
            return false;
        };
        if !value.is_boolean() {
            self.wrong(key, "boolean", value);
        }
        value.as_bool().unwrap_or_default()
    }

    /// One of some words.
    pub(super) fn one_of(
        &mut self,
        keys: &[&'static str],
        words: &[&'static str],
    ) -> Option<&'a str> {
        let text = self.text(keys)?;
        if !words.contains(&text) {
            let listed: Vec<_> = words.iter().map(|word| format!("<<{word:?}>>")).collect();
            let expected = format!("one of [{}]", listed.join(","));
            let key = keys.iter().find(|key| self.has(key)).unwrap_or(&"");
            self.wrong(key, &expected, &Value::from(text));
        }
        Some(text)
    }

    /// A table of arguments, empty when there is none.
    pub(super) fn table(&mut self, key: &'static str) -> FieldTable {
        let Some((_, json)) = self.take(&[key]) else {
            return FieldTable::new();
        };
        match arguments::value(json) {
            Ok(FieldValue::Table(table)) => return table,
            Ok(_) => self.wrong(key, "a map", json),
            Err(why) => self.complain(format!("{key}: {why}")),
        }
        FieldTable::new()
    }

    /// An entry as it is.
    pub(super) fn any(&mut self, keys: &[&'static str]) -> Option<(&'static str, &'a Value)> {
        self.take(keys)
    }

    /// What is wrong, entries that nobody asked for included, a line each.
    pub(super) fn end(self, of: &str) -> Vec<String> {
        let unknown = self.object.iter();
        let unknown = unknown.filter(|(key, _)| !self.known.contains(&key.as_str()));
        let unknown: Vec<_> = unknown
            .map(|(key, value)| format!("{{{},{}}}", term(&Value::from(key.as_str())), term(value)))
            .collect();
        let mut lines = Vec::new();
        if !unknown.is_empty() {
            lines.push(format!(
                "Unrecognised terms [{}] in {of}",
                unknown.join(",")
            ));
        }
        lines.extend(self.complaints);
        lines
    }
}
