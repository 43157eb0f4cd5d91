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

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use crate::base::limits::TRACE_EVENTS_MAX;
use crate::broker::trace::{Event, Happening, TraceId};

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
    pub fn request(&mut self, events: &[Arc<Event>]) -> Option<ExportTraceServiceRequest> {
        let spans: Vec<Span> = events.iter().flat_map(|event| self.of(event)).collect();
        if spans.is_empty() {
            return None;
        }
        let resource = Resource {
            attributes: vec![
                attribute("service.name", "harrier"),
                attribute("service.instance.id", &self.node),
            ],
            ..Resource::default()
        };
        let scope = InstrumentationScope {
            name: "harrier".to_owned(),
            ..InstrumentationScope::default()
        };
        let of_scope = ScopeSpans {
            scope: Some(scope),
            spans,
            ..ScopeSpans::default()
        };
        let of_resource = ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![of_scope],
            ..ResourceSpans::default()
        };
        Some(ExportTraceServiceRequest {
            resource_spans: vec![of_resource],
        })
    }

    fn of(&mut self, event: &Event) -> Vec<Span> {
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

    fn published(&mut self, event: &Event) -> Span {
        let id = span_id(event, 0);
        let mut span = span("send", SpanKind::Producer, id, event, event.at);
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
            attributes.push(attribute("messaging.destination.name", exchange));
            attributes.push(attribute(
                "messaging.rabbitmq.destination.routing_key",
                routing_key,
            ));
            attributes.push(attribute("enduser.id", &by.user));
            for (name, text) in [
                (
                    "messaging.message.conversation_id",
                    &identity.correlation_id,
                ),
                ("messaging.message.id", &identity.message_id),
            ] {
                attributes.extend(text.as_deref().map(|text| attribute(name, text)));
            }
            if let Some(parent) = identity.parent {
                trace = parent.trace;
                span.parent_span_id = octets(parent.span);
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
        span.trace_id = trace.to_be_bytes().to_vec();
        span
    }
}

impl Known {
    /// The spans that are over with what happened in `queue`.
    fn moved(&mut self, event: &Event, queue: &Arc<str>) -> Vec<Span> {
        let waited = self.waiting.remove(queue);
        let held = self.held.remove(queue);
        let (wait_id, process_id) = (span_id(event, 1), span_id(event, 2));
        let wait = |since| span("wait", SpanKind::Internal, wait_id, event, since);
        let process = |since| span("process", SpanKind::Consumer, process_id, event, since);
        let mut processed = held.map(process);
        match &event.what {
            Happening::Delivered { to_settle, .. } => {
                if *to_settle {
                    self.held.insert(Arc::clone(queue), event.at);
                } else {
                    processed = Some(process(event.at));
                }
            }
            Happening::Requeued { .. } => {
                self.waiting.insert(Arc::clone(queue), event.at);
            }
            _ => {}
        }
        let settled = event.what.name();
        let failed = matches!(settled, "rejected" | "dropped" | "dead_lettered");
        let over = waited.map(wait).into_iter().chain(processed);
        let over = over.map(|mut span| {
            span.name = format!("{} {queue}", span.name);
            span.trace_id = self.trace.to_be_bytes().to_vec();
            span.parent_span_id = octets(self.send);
            span.status = failed.then(|| Status {
                code: StatusCode::Error.into(),
                ..Status::default()
            });
            let attributes = &mut span.attributes;
            attributes.push(attribute("messaging.destination.name", queue));
            attributes.push(attribute("harrier.outcome", settled));
            span
        });
        over.collect()
    }
}

/// A span that is over with `event` and began then, milliseconds since 1970; its trace
/// is still to be said.
fn span(name: &str, kind: SpanKind, id: u64, event: &Event, began: u64) -> Span {
    Span {
        span_id: octets(id),
        name: name.to_owned(),
        kind: kind.into(),
        start_time_unix_nano: nanoseconds(began),
        end_time_unix_nano: nanoseconds(event.at),
        attributes: vec![
            attribute("messaging.system", "rabbitmq"),
            attribute("harrier.vhost", &event.vhost),
        ],
        ..Span::default()
    }
}

fn attribute(name: &str, text: &str) -> KeyValue {
    let value = Some(Value::StringValue(text.to_owned()));
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value }),
        ..KeyValue::default()
    }
}

/// A span's id as OTLP has it.
fn octets(id: u64) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

fn nanoseconds(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}

/// An id for one of the spans that end with an event: the same for none other of
/// this message, and hardly for one of another.
fn span_id(event: &Event, which: u64) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = event.trace.get().wrapping_mul(ODD) ^ (event.number << 2 | which);
    mixed.max(1)
}
