//! What a shovel is to do, as it is written in its parameter.

use std::time::Duration;

use serde_json::{Map, Value};

use super::headers::Overrides;
use super::terms::Terms;
use super::uri::Address;
use crate::management::term::term;
use crate::wire::FieldTable;

/// Messages on their way at the same time, unless said.
const PREFETCH: u16 = 1000;
/// The wait before another attempt, unless said.
const RECONNECT_DELAY: Duration = Duration::from_secs(5);

/// What a shovel is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Where messages come from.
    pub(super) source: Source,
    /// Where they go.
    pub(super) destination: Destination,
    /// When the source may forget a message.
    pub(super) ack_mode: AckMode,
    /// The wait before another attempt; `None` is no other attempt.
    pub(super) reconnect_delay: Option<Duration>,
}

/// Where messages come from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Source {
    /// Tried in turn.
    pub(super) uris: Vec<String>,
    pub(super) from: From,
    pub(super) prefetch: u16,
    pub(super) delete_after: DeleteAfter,
    pub(super) consumer_arguments: FieldTable,
}

/// What of the source.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum From {
    Queue(Queue),
    /// A queue of our own is bound to it.
    Exchange {
        name: String,
        key: String,
    },
}

/// Where messages go.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Destination {
    /// Tried in turn.
    pub(super) uris: Vec<String>,
    pub(super) to: To,
    pub(super) forward_headers: bool,
    pub(super) timestamp_header: bool,
    pub(super) properties: Overrides,
}

/// What of the destination.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum To {
    Queue(Queue),
    Exchange {
        name: String,
        /// The message's own when `None`.
        key: Option<String>,
    },
    /// The exchange and the key that a message was published with.
    AsPublished,
}

/// A queue, declared unless it is there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) arguments: FieldTable,
    /// It has to be there.
    pub(super) predeclared: bool,
}

/// When a shovel is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeleteAfter {
    Never,
    /// With as many messages as are there when it begins.
    QueueLength,
    /// With so many messages.
    Messages(u64),
}

/// When the source may forget a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AckMode {
    /// Once the destination has confirmed it.
    OnConfirm,
    /// Once it is on its way.
    OnPublish,
    /// As soon as it is sent.
    NoAck,
}

impl Definition {
    /// Reads the value of the parameter called `name`.
    ///
    /// # Errors
    /// All that is wrong with it, in RabbitMQ's words, a line each.
    pub fn parse(name: &str, value: &Value) -> Result<Self, String> {
        let nothing = Map::new();
        let (object, no_object) = match value {
            Value::Object(object) => (object, None),
            other => (&nothing, Some(other)),
        };
        let mut terms = Terms::new(object);
        if let Some(other) = no_object {
            terms.complain(format!("Unrecognised terms {} in {name}", term(other)));
        }
        check_endpoints(&mut terms);
        let source = source(&mut terms, name);
        let destination = destination(&mut terms, name);
        let ack_mode = ack_mode(&mut terms);
        let reconnect_delay = match terms.number(&["reconnect-delay"]) {
            None => Some(RECONNECT_DELAY),
            Some(seconds) if seconds > 0.0 => {
                Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
            }
            Some(_) => None,
        };
        let complaints = terms.end(name);
        if complaints.is_empty() {
            return Ok(Self {
                source,
                destination,
                ack_mode,
                reconnect_delay,
            });
        }
        Err(complaints.join("\n"))
    }

    /// The virtual hosts of this broker that it enters without a password.
    pub fn trusted_vhosts(&self) -> impl Iterator<Item = String> {
        let uris = self.source.uris.iter().chain(&self.destination.uris);
        let addresses = uris.filter_map(|uri| uri.parse::<Address>().ok());
        addresses
            .filter(|address| address.host.is_none() && address.login.is_none())
            .map(|address| address.vhost)
    }
}

fn check_endpoints(terms: &mut Terms<'_>) {
    match (terms.has("src-exchange"), terms.has("src-queue")) {
        (false, false) => terms.complain("Must specify 'src-exchange' or 'src-queue'"),
        (true, true) => terms.complain("Cannot specify 'src-exchange' and 'src-queue'"),
        _ => {}
    }
    if terms.has("dest-exchange") && terms.has("dest-queue") {
        terms.complain("Cannot specify 'dest-exchange' and 'dest-queue'");
    }
    for key in ["src-protocol", "dest-protocol"] {
        let protocols = ["amqp10", "amqp091", "local"];
        if terms.one_of(&[key], &protocols) == Some("amqp10") {
            terms.complain(format!(
                "{key} amqp10 is not spoken here, expected amqp091 or local"
            ));
        }
    }
}

fn source(terms: &mut Terms<'_>, name: &str) -> Source {
    let uris = uris(terms, "src-uri", name);
    let queue = queue(terms, ["src-queue", "src-queue-args", "src-predeclared"]);
    let exchange = terms.name("src-exchange");
    let key = terms.name("src-exchange-key").unwrap_or_default();
    let from = match exchange {
        Some(name) => From::Exchange { name, key },
        None => From::Queue(queue.unwrap_or_else(|| Queue::called(""))),
    };
    let prefetch = terms.number(&["src-prefetch-count", "prefetch-count"]);
    Source {
        uris,
        from,
        // 0 would be no bound at all.
        prefetch: prefetch.map_or(PREFETCH, |count| (count as u16).max(1)),
        delete_after: delete_after(terms),
        consumer_arguments: terms.table("src-consumer-args"),
    }
}

fn destination(terms: &mut Terms<'_>, name: &str) -> Destination {
    let uris = uris(terms, "dest-uri", name);
    let queue = queue(terms, ["dest-queue", "dest-queue-args", "dest-predeclared"]);
    let exchange = terms.name("dest-exchange");
    let key = terms.name("dest-exchange-key");
    let to = match (queue, exchange) {
        (Some(queue), _) => To::Queue(queue),
        (None, Some(name)) => To::Exchange { name, key },
        (None, None) => To::AsPublished,
    };
    Destination {
        uris,
        to,
        forward_headers: terms.truth(&["dest-add-forward-headers", "add-forward-headers"]),
        timestamp_header: terms.truth(&["dest-add-timestamp-header", "add-timestamp-header"]),
        properties: Overrides::take(terms),
    }
}

impl Queue {
    fn called(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            arguments: FieldTable::new(),
            predeclared: false,
        }
    }
}

fn queue(terms: &mut Terms<'_>, keys: [&'static str; 3]) -> Option<Queue> {
    let [name, arguments, predeclared] = keys;
    let name = terms.name(name);
    let queue = Queue {
        arguments: terms.table(arguments),
        predeclared: terms.truth(&[predeclared]),
        ..Queue::called(name.as_deref()?)
    };
    Some(queue)
}

fn uris(terms: &mut Terms<'_>, key: &'static str, name: &str) -> Vec<String> {
    let Some(uris) = terms.texts(key) else {
        terms.complain(format!("Key {key:?} not found in {name}"));
        return Vec::new();
    };
    for uri in &uris {
        if let Err(bad) = uri.parse::<Address>() {
            terms.complain(bad.to_string());
        }
    }
    uris
}

fn ack_mode(terms: &mut Terms<'_>) -> AckMode {
    match terms.one_of(&["ack-mode"], &["no-ack", "on-publish", "on-confirm"]) {
        Some("no-ack") => AckMode::NoAck,
        Some("on-publish") => AckMode::OnPublish,
        _ => AckMode::OnConfirm,
    }
}

fn delete_after(terms: &mut Terms<'_>) -> DeleteAfter {
    let Some((key, value)) = terms.any(&["src-delete-after", "delete-after"]) else {
        return DeleteAfter::Never;
    };
    match (value.as_str(), value.as_u64()) {
        (Some("never"), _) => DeleteAfter::Never,
        (Some("queue-length"), _) => DeleteAfter::QueueLength,
        (_, Some(count)) => DeleteAfter::Messages(count),
        _ => {
            let actual = term(value);
            terms.complain(format!(
                "{key} should be a number greater than or equal to 0, \"never\" or \
                 \"queue-length\", actually was {actual}"
            ));
            DeleteAfter::Never
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn with(key: &str, value: Value) -> Result<Definition, String> {
        let mut definition = json!({
            "src-uri": "amqp://", "src-queue": "a", "dest-uri": "amqp://", "dest-queue": "b"
        });
        definition[key] = value;
        Definition::parse("t", &definition)
    }

    fn refused(key: &str, value: Value) -> String {
        with(key, value).unwrap_err()
    }

    #[test]
    fn a_definition_says_what_to_do() {
        let definition = Definition::parse(
            "t",
            &json!({
                "src-uri": ["amqp://", "amqp:///v"], "src-exchange": "x", "src-exchange-key": "k",
                "src-prefetch-count": 7, "src-delete-after": 3, "dest-uri": "amqp://h",
                "dest-exchange": "y", "ack-mode": "no-ack", "reconnect-delay": 0,
                "dest-add-forward-headers": true, "src-protocol": "amqp091"
            }),
        )
        .unwrap();
        let source = &definition.source;
        assert_eq!(source.uris.len(), 2);
        assert_eq!(
            source.from,
            From::Exchange {
                name: "x".into(),
                key: "k".into()
            }
        );
        assert_eq!(source.prefetch, 7);
        assert_eq!(source.delete_after, DeleteAfter::Messages(3));
        let to = To::Exchange {
            name: "y".into(),
            key: None,
        };
        assert_eq!(definition.destination.to, to);
        assert!(definition.destination.forward_headers);
        assert_eq!(definition.ack_mode, AckMode::NoAck);
        assert_eq!(definition.reconnect_delay, None);
        assert_eq!(definition.trusted_vhosts().collect::<Vec<_>>(), ["/", "v"]);
    }

    #[test]
    fn a_queue_may_be_all_that_is_said() {
        let definition = with("src-delete-after", json!("queue-length")).unwrap();
        assert_eq!(definition.source.delete_after, DeleteAfter::QueueLength);
        assert_eq!(definition.source.prefetch, 1000);
        assert_eq!(definition.ack_mode, AckMode::OnConfirm);
        assert_eq!(definition.destination.to, To::Queue(Queue::called("b")));
    }

    #[test]
    fn refusals_have_rabbitmqs_words() {
        let cases = [
            (
                "src-uri",
                json!(1),
                "src-uri should be list, actually was 1",
            ),
            (
                "src-queue",
                json!(1),
                "src-queue should be binary, actually was 1",
            ),
            (
                "src-exchange",
                json!("x"),
                "Cannot specify 'src-exchange' and 'src-queue'",
            ),
            (
                "dest-exchange",
                json!("x"),
                "Cannot specify 'dest-exchange' and 'dest-queue'",
            ),
            (
                "ack-mode",
                json!("zork"),
                r#"ack-mode should be one of [<<"no-ack">>,<<"on-publish">>,<<"on-confirm">>], actually was <<"zork">>"#,
            ),
            (
                "src-prefetch-count",
                json!("x"),
                r#"src-prefetch-count should be a number, actually was <<"x">>"#,
            ),
            (
                "src-delete-after",
                json!(-1),
                r#"src-delete-after should be a number greater than or equal to 0, "never" or "queue-length", actually was -1"#,
            ),
            (
                "dest-add-forward-headers",
                json!(1),
                "dest-add-forward-headers should be boolean, actually was 1",
            ),
            (
                "zork",
                json!(1),
                r#"Unrecognised terms [{<<"zork">>,1}] in t"#,
            ),
            (
                "dest-publish-properties",
                json!({"zork": 1}),
                r#"Unrecognised terms [{<<"zork">>,1}] in dest-publish-properties"#,
            ),
            (
                "dest-publish-properties",
                json!({"priority": "x"}),
                r#"priority should be a number, actually was <<"x">>"#,
            ),
            (
                "src-protocol",
                json!("zork"),
                r#"src-protocol should be one of [<<"amqp10">>,<<"amqp091">>,<<"local">>], actually was <<"zork">>"#,
            ),
        ];
        for (key, value, text) in cases {
            assert_eq!(refused(key, value), text);
        }
    }

    #[test]
    fn all_that_is_missing_is_said_at_once() {
        let refused = Definition::parse("t", &json!({})).unwrap_err();
        let lines: Vec<_> = refused.lines().collect();
        assert!(lines.contains(&"Must specify 'src-exchange' or 'src-queue'"));
        assert!(lines.contains(&"Key \"dest-uri\" not found in t"));
        assert!(lines.contains(&"Key \"src-uri\" not found in t"));
        let refused = Definition::parse("t", &json!([1])).unwrap_err();
        assert!(refused.contains("Unrecognised terms [1] in t"), "{refused}");
    }
}
