//! Values in the API's JSON: found by their path, compared, shown to people.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::table::{Cell, Tone};

/// How a value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// As it is.
    Plain,
    /// Octets, as KiB and so on.
    Bytes,
    /// Something a second.
    Rate,
    /// Milliseconds, as days and hours.
    Span,
    /// Milliseconds since 1970, as how long ago that was.
    Since,
}

/// A column of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Where its value is in an object.
    pub field: String,
    /// What stands above it.
    pub title: String,
    /// How its values are shown.
    pub shape: Shape,
}

/// A column that a list has unless asked for others: field, title, shape.
pub type Usual = (&'static str, &'static str, Shape);

impl Column {
    /// One of the usual columns.
    pub fn usual(&(field, title, shape): &Usual) -> Self {
        Self {
            field: field.to_owned(),
            title: title.to_owned(),
            shape,
        }
    }

    /// The column that is asked for as `name`: the title or the field of a usual
    /// one, or any other field.
    pub fn named(name: &str, usual: &[Usual]) -> Self {
        let known = usual
            .iter()
            .find(|(field, title, _)| *field == name || *title == name);
        known.map_or_else(
            || Self {
                field: name.to_owned(),
                title: name.to_owned(),
                shape: Shape::Plain,
            },
            Self::usual,
        )
    }

    /// What stands in this column for `object`, at `now` (milliseconds since 1970).
    pub fn cell(&self, object: &Value, now: u64) -> Cell {
        let value = at(object, &self.field);
        let cell = cell(value, self.shape, now);
        cell.toned(tone(&self.field, value))
    }
}

/// The value at a path of names with dots between; null if there is none. Names
/// may have dots in them themselves.
pub fn at<'a>(object: &'a Value, field: &str) -> &'a Value {
    if let Some(value) = object.get(field) {
        return value;
    }
    for (dot, _) in field.match_indices('.') {
        let (name, rest) = field.split_at(dot);
        if let Some(inner) = object.get(name) {
            return at(inner, &rest[1..]);
        }
    }
    &Value::Null
}

/// `object` with nothing but these fields, which stay where they are in it.
pub fn project(object: &Value, fields: &[&str]) -> Value {
    let mut projected = Map::new();
    for field in fields {
        put(&mut projected, object, field);
    }
    Value::Object(projected)
}

fn put(into: &mut Map<String, Value>, object: &Value, field: &str) {
    if let Some(value) = object.get(field) {
        into.insert(field.to_owned(), value.clone());
        return;
    }
    for (dot, _) in field.match_indices('.') {
        let (name, rest) = field.split_at(dot);
        let Some(inner) = object.get(name) else {
            continue;
        };
        let place = into
            .entry(name)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(place) = place {
            put(place, inner, &rest[1..]);
        }
        return;
    }
}

/// Numbers by size, text by letter; what is missing comes last.
pub fn compare(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64(), other.as_f64());
            one.partial_cmp(&other).unwrap_or(Ordering::Equal)
        }
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        _ => text(one).cmp(&text(other)),
    }
}

/// All there is in `object`, inner objects by paths with dots.
pub fn flat(object: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    flatten("", object, &mut found);
    found
}

fn flatten<'a>(prefix: &str, value: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let path = if prefix.is_empty() {
                    name.clone()
                } else {
                    format!("{prefix}.{name}")
                };
                flatten(&path, value, found);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (at, item) in items.iter().enumerate() {
                found.push((format!("{prefix}[{}]", at + 1), item));
            }
        }
        value => found.push((prefix.to_owned(), value)),
    }
}

/// A value as a cell.
pub fn cell(value: &Value, shape: Shape, now: u64) -> Cell {
    match (shape, value.as_f64()) {
        (Shape::Bytes, Some(octets)) => Cell::number(bytes(octets)),
        (Shape::Rate, Some(rate)) => Cell::number(per_second(rate)),
        (Shape::Span, Some(ms)) => Cell::number(span(ms)),
        (Shape::Since, Some(ms)) => Cell::number(span(now as f64 - ms)),
        _ if value.is_number() => Cell::number(value.to_string()),
        _ => Cell::text(&text(value)),
    }
}

fn tone(field: &str, value: &Value) -> Tone {
    match value {
        Value::Bool(true) if field.ends_with("_alarm") => Tone::Bad,
        Value::Bool(false) if field == "running" => Tone::Bad,
        Value::String(state) if field == "state" => match state.as_str() {
            "down" | "crashed" | "minority" | "stopped" | "terminated" | "blocked" => Tone::Bad,
            "flow" | "blocking" | "recovering" | "closing" => Tone::Odd,
            _ => Tone::Plain,
        },
        _ => Tone::Plain,
    }
}

/// A value as people write it.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let pair = |(name, value): (&String, &Value)| match value {
                Value::Object(_) => format!("{name}={value}"),
                value => format!("{name}={}", text(value)),
            };
            fields.iter().map(pair).collect::<Vec<_>>().join(", ")
        }
        number => number.to_string(),
    }
}

/// Octets with the largest unit that leaves one before the point.
pub fn bytes(octets: f64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut amount, mut unit) = (octets, 0);
    while amount.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && amount.abs() < 100.0);
    format!("{amount:.decimals$} {}", UNITS[unit])
}

/// A rate: small ones with a decimal, large ones without.
pub fn per_second(rate: f64) -> String {
    let decimals = usize::from(rate != 0.0 && rate.abs() < 100.0);
    format!("{rate:.decimals$}")
}

/// A duration in its two largest units.
pub fn span(ms: f64) -> String {
    let seconds = (ms.max(0.0) / 1000.0) as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_found_by_its_path_even_with_dots_in_names() {
        let object = json!({"a": {"b": 1, "c.d": 2}, "e.f": 3});
        assert_eq!(at(&object, "a.b"), 1);
        assert_eq!(at(&object, "a.c.d"), 2);
        assert_eq!(at(&object, "e.f"), 3);
        assert_eq!(at(&object, "a.x"), &Value::Null);
        assert_eq!(at(&object, ""), &Value::Null);
    }

    #[test]
    fn a_projection_keeps_fields_in_their_place() {
        let object = json!({"a": {"b": 1, "c": 2}, "d": 3, "e": 4});
        let projected = project(&object, &["a.b", "d", "x.y"]);
        assert_eq!(projected, json!({"a": {"b": 1}, "d": 3}));
    }

    #[test]
    fn amounts_are_written_for_people() {
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(bytes(1536.0), "1.5 KiB");
        assert_eq!(bytes(500.0 * 1024.0 * 1024.0), "500 MiB");
        assert_eq!(per_second(0.0), "0");
        assert_eq!(per_second(0.25), "0.2");
        assert_eq!(per_second(12_345.6), "12346");
        assert_eq!(span(59_999.0), "59s");
        assert_eq!(span(3_723_000.0), "1h 2m");
        assert_eq!(span(200_000_000.0), "2d 7h");
        assert_eq!(text(&json!({"a": [1, true], "b": "c"})), "a=1, yes, b=c");
    }

    #[test]
    fn numbers_sort_by_size_and_what_is_missing_comes_last() {
        let mut values = [json!(10), Value::Null, json!(9), json!(-1.5)];
        values.sort_by(compare);
        assert_eq!(values, [json!(-1.5), json!(9), json!(10), Value::Null]);
    }
}
