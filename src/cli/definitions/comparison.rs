//! What an import would do to what is there.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::LISTS;
use crate::cli::table::{Canvas, Cell, Table};

/// What definitions are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// All there is.
    Broker,
    /// What is in one virtual host.
    Vhost,
}

/// What would become of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    /// It isn't there.
    New,
    /// It is there and would be as the file says.
    Changed,
    /// It is there, not as the file says, and would stay: messages hang on it.
    Kept,
    /// It is there as the file says.
    Same,
}

const EFFECTS: [(Effect, &str); 4] = [
    (Effect::New, "new"),
    (Effect::Changed, "changed"),
    (Effect::Kept, "kept"),
    (Effect::Same, "same"),
];

/// What tells the entries of a list apart.
fn identity(list: &str) -> &'static [&'static str] {
    match list {
        "permissions" => &["user", "vhost"],
        "topic_permissions" => &["user", "vhost", "exchange"],
        "parameters" => &["vhost", "component", "name"],
        "policies" | "queues" | "exchanges" => &["vhost", "name"],
        "bindings" => &[
            "vhost",
            "source",
            "destination",
            "destination_type",
            "routing_key",
            "arguments",
        ],
        _ => &["name"],
    }
}

/// The entries of a file beside those of a broker, by list and effect.
pub(super) struct Comparison {
    found: BTreeMap<(&'static str, Effect), Vec<Value>>,
}

impl Comparison {
    /// `wanted` is a file, `there` what the broker exports now. Within one virtual host
    /// it doesn't matter whether entries name it: RabbitMQ's did in part before 4.
    pub(super) fn of(wanted: &Value, there: &Value, scope: Scope) -> Self {
        let mut found: BTreeMap<_, Vec<Value>> = BTreeMap::new();
        for list in LISTS {
            let known: BTreeMap<String, &Value> = entries(there, list)
                .map(|entry| (named(list, entry, scope).to_string(), entry))
                .collect();
            for entry in entries(wanted, list) {
                let name = named(list, entry, scope);
                let there = known.get(&name.to_string());
                let effect = effect(list, entry, there.copied());
                found.entry((list, effect)).or_default().push(name);
            }
        }
        Self { found }
    }

    /// How many of each list, for people.
    pub(super) fn to_table(&self) -> String {
        let titles = EFFECTS.iter().map(|(_, title)| *title);
        let mut table = Table::new(["list"].into_iter().chain(titles));
        for list in LISTS {
            let counts = EFFECTS.map(|(effect, _)| self.named(list, effect).len());
            if counts.iter().any(|count| *count > 0) {
                let mut row = vec![Cell::text(list)];
                row.extend(counts.map(|count| Cell::number(count.to_string())));
                table.push(row);
            }
        }
        table.render(Canvas::stdout())
    }

    /// Which ones, for programs; of those that are there already, how many.
    pub(super) fn to_json(&self) -> Value {
        let lists = LISTS.iter().map(|list| {
            let effects = EFFECTS.iter().map(|(effect, title)| {
                let names = self.named(list, *effect);
                let told = match effect {
                    Effect::Same => json!(names.len()),
                    _ => json!(names),
                };
                ((*title).to_owned(), told)
            });
            ((*list).to_owned(), Value::Object(effects.collect()))
        });
        Value::Object(lists.collect::<Map<_, _>>())
    }

    fn named(&self, list: &'static str, effect: Effect) -> &[Value] {
        self.found.get(&(list, effect)).map_or(&[], Vec::as_slice)
    }
}

fn entries<'a>(definitions: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    let found = definitions[list].as_array();
    found.into_iter().flatten()
}

/// The part of an entry that says which one it is.
fn named(list: &str, entry: &Value, scope: Scope) -> Value {
    let fields = identity(list).iter();
    let fields = fields.filter(|field| scope == Scope::Broker || **field != "vhost");
    let fields = fields.filter_map(|field| {
        let value = entry.get(*field).filter(|value| !is_nothing(value))?;
        Some(((*field).to_owned(), value.clone()))
    });
    Value::Object(fields.collect())
}

fn effect(list: &str, wanted: &Value, there: Option<&Value>) -> Effect {
    match there {
        None => Effect::New,
        Some(there) if agrees(wanted, there) => Effect::Same,
        Some(_) if matches!(list, "queues" | "exchanges") => Effect::Kept,
        Some(_) => Effect::Changed,
    }
}

/// Whether all that is said of `wanted` holds already. What isn't said is as it is.
fn agrees(wanted: &Value, there: &Value) -> bool {
    let mut said = wanted.as_object().into_iter().flatten();
    said.all(|(field, value)| match (value, there.get(field)) {
        (value, None) => is_nothing(value) || field == "vhost",
        // RabbitMQ's tags were text once.
        (Value::String(text), Some(Value::Array(words))) => {
            let split = text.split(',').map(str::trim);
            let split = split.filter(|word| !word.is_empty());
            split.eq(words.iter().filter_map(Value::as_str))
        }
        (Value::Object(wanted), Some(Value::Object(there))) if field == "arguments" => {
            same_arguments(wanted, there)
        }
        (value, Some(there)) => value == there,
    })
}

/// Whether they are the same, but for a type that was given to a queue because nobody named one.
fn same_arguments(wanted: &Map<String, Value>, there: &Map<String, Value>) -> bool {
    let mut declared = there.iter();
    wanted
        .iter()
        .all(|(name, value)| there.get(name) == Some(value))
        && declared.all(|(name, _)| name == "x-queue-type" || wanted.contains_key(name))
}

/// Whether it says no more than its absence.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects(wanted: &Value, there: &Value) -> Vec<(&'static str, Effect, usize)> {
        let found = Comparison::of(wanted, there, Scope::Broker)
            .found
            .into_iter();
        found
            .map(|((list, effect), names)| (list, effect, names.len()))
            .collect()
    }

    #[test]
    fn entries_are_told_apart_as_the_broker_does() {
        let there = json!({
            "queues": [{"name": "q", "vhost": "/", "durable": true,
                        "arguments": {"x-queue-type": "classic"}}],
            "bindings": [{"source": "x", "vhost": "/", "destination": "q",
                          "destination_type": "queue", "routing_key": "", "arguments": {}}],
        });
        let wanted = json!({
            "queues": [{"name": "q", "vhost": "/", "durable": true, "auto_delete": false,
                        "arguments": {}},
                       {"name": "q", "vhost": "other", "durable": true}],
            "bindings": [{"source": "x", "vhost": "/", "destination": "q",
                          "destination_type": "queue"},
                         {"source": "x", "vhost": "/", "destination": "q",
                          "destination_type": "queue", "routing_key": "a"}],
        });
        let expected = [
            ("bindings", Effect::New, 1),
            ("bindings", Effect::Same, 1),
            ("queues", Effect::New, 1),
            ("queues", Effect::Same, 1),
        ];
        assert_eq!(effects(&wanted, &there), expected);
    }

    #[test]
    fn queues_stay_as_they_are_and_the_rest_is_changed() {
        let there = json!({
            "queues": [{"name": "q", "vhost": "/", "arguments": {"x-max-length": 1}}],
            "policies": [{"name": "p", "vhost": "/", "definition": {"max-length": 1}}],
            "users": [{"name": "ann", "password_hash": "a", "tags": ["monitoring", "own"]},
                      {"name": "bob", "password_hash": "b", "tags": []}],
        });
        let wanted = json!({
            "queues": [{"name": "q", "vhost": "/", "arguments": {}}],
            "policies": [{"name": "p", "vhost": "/", "definition": {"max-length": 2}}],
            "users": [{"name": "ann", "password_hash": "a", "tags": "monitoring, own"},
                      {"name": "bob", "password": "secret", "tags": ""}],
        });
        let expected = [
            ("policies", Effect::Changed, 1),
            ("queues", Effect::Kept, 1),
            ("users", Effect::Changed, 1),
            ("users", Effect::Same, 1),
        ];
        assert_eq!(effects(&wanted, &there), expected);
    }
}
