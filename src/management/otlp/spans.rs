//! From events to spans.
//!
//! ```text
//!   published -------- delivered ------------ acknowledged
//!      send  |   wait      |      process          |        all children of `send`,
//!            `-- dead lettered -- wait -- ...               which is a child of the
//!                                                           publisher's own span
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::base::limits::TRACE_EVENTS_MAX;
use crate::broker::trace::{Event, Happening, TraceId};

/// The kinds of spans, by OTLP's numbers.
const INTERNAL: u8 = 1;
const PRODUCER: u8 = 4;
const CONSUMER: u8 = 5;
/// The status of a span that went wrong.
const ERROR: u8 = 2;

/// Makes spans of events; remembers what has begun.
#[derive(Debug)]
pub struct Spans {
    node: String,
    /// The messages that were seen published, as many as there can be events.
    traces: BTreeMap<TraceId, Known>,
}

/// A message that was seen published.
#[derive(Debug)]
struct Known {
    /// The trace among applications.
    trace: u128,
    /// The span in which it was published.
    send: u64,
    /// Since when it waits in a queue, milliseconds since 1970.
    waiting: HashMap<Arc<str>, u64>,
    /// Since when it is held from a queue.
    held: HashMap<Arc<str>, u64>,
}

/// A span that is over.
struct Span<'a> {
    name: String,
    kind: u8,
    id: u64,
    parent: Option<u64>,
    began: u64,
    ended: u64,
    failed: bool,
    attributes: Vec<(&'static str, &'a str)>,
}

impl Spans {
    /// Of the events on the node called `node`.
    pub fn new(node: &str) -> Self {
        Self {
            node: node.to_owned(),
            traces: BTreeMap::new(),
        }
    }

    /// The spans that are over with `events`, ready to be handed over; `None` when
    /// there are none.
    pub fn request(&mut self, events: &[Arc<Event>]) -> Option<Value> {
        let spans: Vec<Value> = events.iter().flat_map(|event| self.of(event)).collect();
        if spans.is_empty() {
            return None;
        }
        Some(json!({ "resourceSpans": [{
            "resource": { "attributes": [
                attribute("service.name", "harrier"),
                attribute("service.instance.id", &self.node),
            ] },
            "scopeSpans": [{ "scope": { "name": "harrier" }, "spans": spans }],
        }] }))
    }

    fn of(&mut self, event: &Event) -> Vec<Value> {
        let mut over = Vec::new();
        if let Happening::Published { .. } = event.what {
            over.push(self.published(event));
        }
        let Some(known) = self.traces.get_mut(&event.trace) else {
            return over;
        };
        if let Some(queue) = event.what.queue() {
            over.extend(known.moved(event, queue));
        }
        for queue in event.what.queues() {
            known.waiting.insert(Arc::clone(queue), event.at);
        }
        over
    }

    fn published(&mut self, event: &Event) -> Value {
        let id = span_id(event, 0);
        let mut span = Span::new("send", PRODUCER, id, event, event.at);
        let mut trace = u128::from(event.trace.get()) << 64 | u128::from(id);
        if let Happening::Published {
            exchange,
            routing_key,
            identity,
            by,
            ..
        } = &event.what
        {
            span.name = format!("send {exchange}");
            let attributes = &mut span.attributes;
            attributes.push(("messaging.destination.name", exchange));
            attributes.push(("messaging.rabbitmq.destination.routing_key", routing_key));
            attributes.push(("enduser.id", &by.user));
            for (name, text) in [
                (
                    "messaging.message.conversation_id",
                    &identity.correlation_id,
                ),
                ("messaging.message.id", &identity.message_id),
            ] {
                attributes.extend(text.as_deref().map(|text| (name, text)));
            }
            if let Some(parent) = identity.parent {
                trace = parent.trace;
                span.parent = Some(parent.span);
            }
        }
        let known = Known {
            trace,
            send: id,
            waiting: HashMap::new(),
            held: HashMap::new(),
        };
        self.traces.insert(event.trace, known);
        if self.traces.len() > TRACE_EVENTS_MAX {
            self.traces.pop_first();
        }
        span.json(trace)
    }
}

impl Known {
    /// The spans that are over with what happened in `queue`.
    fn moved(&mut self, event: &Event, queue: &Arc<str>) -> Vec<Value> {
        let waited = self.waiting.remove(queue);
        let held = self.held.remove(queue);
        let wait = waited.map(|since| Span::new("wait", INTERNAL, span_id(event, 1), event, since));
        let mut process =
            held.map(|since| Span::new("process", CONSUMER, span_id(event, 2), event, since));
        match &event.what {
            Happening::Delivered { to_settle, .. } => {
                if *to_settle {
                    self.held.insert(Arc::clone(queue), event.at);
                } else {
                    let id = span_id(event, 2);
                    process = Some(Span::new("process", CONSUMER, id, event, event.at));
                }
            }
            Happening::Requeued { .. } => {
                self.waiting.insert(Arc::clone(queue), event.at);
            }
            _ => {}
        }
        let settled = event.what.name();
        let over = wait.into_iter().chain(process).map(|mut span| {
            span.name = format!("{} {queue}", span.name);
            span.parent = Some(self.send);
            span.failed = matches!(settled, "rejected" | "dropped" | "dead_lettered");
            span.attributes.push(("messaging.destination.name", queue));
            span.attributes.push(("harrier.outcome", settled));
            span.json(self.trace)
        });
        over.collect()
    }
}

impl<'a> Span<'a> {
    fn new(name: &str, kind: u8, id: u64, event: &'a Event, began: u64) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            id,
            parent: None,
            began,
            ended: event.at,
            failed: false,
            attributes: vec![("harrier.vhost", &event.vhost)],
        }
    }

    fn json(&self, trace: u128) -> Value {
        let attributes = self.attributes.iter();
        let attributes = attributes.map(|(name, text)| attribute(name, text));
        let system = attribute("messaging.system", "rabbitmq");
        let mut json = json!({
            "traceId": format!("{trace:032x}"),
            "spanId": format!("{:016x}", self.id),
            "name": self.name,
            "kind": self.kind,
            "startTimeUnixNano": nanoseconds(self.began),
            "endTimeUnixNano": nanoseconds(self.ended),
            "attributes": attributes.chain([system]).collect::<Vec<_>>(),
        });
        if let Some(parent) = self.parent {
            json["parentSpanId"] = format!("{parent:016x}").into();
        }
        if self.failed {
            json["status"] = json!({ "code": ERROR });
        }
        json
    }
}

fn attribute(name: &str, text: &str) -> Value {
    json!({ "key": name, "value": { "stringValue": text } })
}

/// Numbers of 64 bits are texts in OTLP's JSON.
fn nanoseconds(ms: u64) -> String {
    (u128::from(ms) * 1_000_000).to_string()
}

/// An id for one of the spans that end with an event: the same for none other of
/// this message, and hardly for one of another.
fn span_id(event: &Event, which: u64) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = event.trace.get().wrapping_mul(ODD) ^ (event.number << 2 | which);
    mixed.max(1)
}
