//! What a collector of OpenTelemetry is handed of traced messages.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use harrier::management::otlp::Answer;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use ureq::http::HeaderMap;

use crate::broker::{Broker, PATIENCE};
use crate::traces::Shop;

/// Somebody to hand spans to, who says what it was told to.
struct Collector {
    address: SocketAddr,
    seen: Receiver<ExportTraceServiceRequest>,
}

impl Collector {
    /// One that gives `answers` in turn, and then the last again and again.
    fn start(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (see, seen) = mpsc::channel();
        std::thread::spawn(move || {
            let last = answers.last().unwrap().clone();
            for answer in answers.into_iter().chain(std::iter::repeat(last)) {
                // Once the test has what it waits for, nobody listens.
                let _gone = see.send(collect(&listener, &answer));
            }
        });
        Self { address, seen }
    }

    fn shop(&self) -> Shop {
        let endpoint = format!("http://{}/", self.address);
        Shop::open(Broker::configured(|config| {
            config.otlp_endpoint = Some(endpoint);
        }))
    }

    #[track_caller]
    fn next(&self) -> ExportTraceServiceRequest {
        self.seen.recv_timeout(PATIENCE).unwrap()
    }
}

/// Reads one request and answers it; what is posted.
fn collect(listener: &TcpListener, answer: &[u8]) -> ExportTraceServiceRequest {
    let (socket, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(socket);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    assert_eq!(head[0], "post /v1/traces http/1.1");
    let header = |name: &str| head.iter().find_map(|line| line.strip_prefix(name));
    assert_eq!(header("content-type: "), Some("application/x-protobuf"));
    let length = header("content-length: ").unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    reader.get_mut().write_all(answer).unwrap();
    ExportTraceServiceRequest::decode(&*body).unwrap()
}

fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// What a collector says that took all but `rejected` spans.
fn partial(rejected: i64, why: &str) -> Vec<u8> {
    let partial = ExportTracePartialSuccess {
        rejected_spans: rejected,
        error_message: why.to_owned(),
    };
    let response = ExportTraceServiceResponse {
        partial_success: Some(partial),
    };
    response.encode_to_vec()
}

fn spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let of_resources = request.resource_spans.into_iter();
    let of_scopes = of_resources.flat_map(|resource| resource.scope_spans);
    of_scopes.flat_map(|scope| scope.spans).collect()
}

/// The texts among attributes.
fn texts(attributes: &[KeyValue]) -> Vec<(&str, &str)> {
    let texts = attributes.iter().map(|attribute| {
        match attribute.value.as_ref().and_then(|any| any.value.as_ref()) {
            Some(Value::StringValue(text)) => (attribute.key.as_str(), text.as_str()),
            other => panic!("{} is {other:?}", attribute.key),
        }
    });
    texts.collect()
}

/// The correlation id that each span of a request names.
fn correlation_ids(request: &ExportTraceServiceRequest) -> Vec<String> {
    let all = spans(request.clone());
    let ids = all.iter().flat_map(|span| texts(&span.attributes));
    ids.filter(|(name, _)| *name == "messaging.message.conversation_id")
        .map(|(_, text)| text.to_owned())
        .collect()
}

#[test]
fn a_collector_is_handed_spans_below_that_of_the_publisher() {
    let collector = Collector::start(vec![answer("200 OK", &[])]);
    let mut shop = collector.shop();
    shop.trace("");
    shop.publish("order-1");
    shop.reject("orders", false);
    shop.ack("dead");
    let mut all = Vec::new();
    while all.len() < 5 {
        let request = collector.next();
        let of = &request.resource_spans[0];
        let resource = texts(&of.resource.as_ref().unwrap().attributes);
        assert_eq!(resource[0], ("service.name", "harrier"));
        assert_eq!(resource[1].0, "service.instance.id");
        assert_eq!(of.scope_spans[0].scope.as_ref().unwrap().name, "harrier");
        all.extend(spans(request));
    }
    let names: Vec<_> = all.iter().map(|span| span.name.as_str()).collect();
    let expected = [
        "send orders",
        "wait orders",
        "process orders",
        "wait dead",
        "process dead",
    ];
    assert_eq!(names, expected);
    let kinds = all.iter().map(Span::kind);
    let (wait, process) = (SpanKind::Internal, SpanKind::Consumer);
    assert!(kinds.eq([SpanKind::Producer, wait, process, wait, process]));
    let send = &all[0];
    assert_eq!(send.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    let trace = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes();
    for span in &all {
        assert_eq!(span.trace_id, trace);
        assert_eq!(span.span_id.len(), 8);
        assert!(span.start_time_unix_nano > 0);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
    }
    for span in &all[1..] {
        assert_eq!(span.parent_span_id, send.span_id);
    }
    let status = |at: usize| all[at].status.as_ref().map(|status| status.code());
    assert_eq!(status(2), Some(StatusCode::Error));
    assert_eq!(status(4), None);
    let mut sent = texts(&send.attributes);
    sent.sort_unstable();
    let expected = [
        ("enduser.id", "guest"),
        ("harrier.vhost", "/"),
        ("messaging.destination.name", "orders"),
        ("messaging.message.conversation_id", "order-1"),
        (
            "messaging.rabbitmq.destination.routing_key",
            "order.created",
        ),
        ("messaging.system", "rabbitmq"),
    ];
    assert_eq!(sent, expected);
    let mut processed = texts(&all[4].attributes);
    processed.sort_unstable();
    let expected = [
        ("harrier.outcome", "acknowledged"),
        ("harrier.vhost", "/"),
        ("messaging.destination.name", "dead"),
        ("messaging.system", "rabbitmq"),
    ];
    assert_eq!(processed, expected);
}

#[test]
fn spans_are_handed_over_again_only_when_they_may_be_taken_then() {
    let collector = Collector::start(vec![
        answer("503 Service Unavailable", &[]),
        answer("200 OK", &partial(1, "too old")),
        answer("400 Bad Request", &[]),
        answer("500 Internal Server Error", &[]),
        answer("200 OK", &[]),
    ]);
    let mut shop = collector.shop();
    shop.trace("");
    shop.publish("busy");
    let first = collector.next();
    assert_eq!(correlation_ids(&first), ["busy"]);
    assert_eq!(collector.next(), first);
    for message in ["after a partial success", "after a refusal", "at the end"] {
        shop.publish(message);
        assert_eq!(correlation_ids(&collector.next()), [message]);
    }
}

#[test]
fn an_answer_says_whether_spans_were_taken_and_why_not() {
    let failed = b"\x08\x03\x12\x06no ids";
    let taken = |rejected: i64, why: &str| Answer::Taken {
        rejected,
        why: why.to_owned(),
    };
    let later = |status: u16, after: Option<u64>, why: &str| Answer::Later {
        status,
        after: after.map(Duration::from_secs),
        why: why.to_owned(),
    };
    let refused = |status: u16, why: &str| Answer::Refused {
        status,
        why: why.to_owned(),
    };
    let (protobuf, text) = ("application/x-protobuf", "text/plain");
    let (too_old, slower) = (partial(3, "too old"), partial(0, "send less"));
    let cases: [(u16, &str, &str, &[u8], Answer); 13] = [
        (200, protobuf, "", b"", taken(0, "")),
        (200, protobuf, "", &too_old, taken(3, "too old")),
        (202, protobuf, "", &slower, taken(0, "send less")),
        (200, protobuf, "", b"\xff\xff", taken(0, "")),
        (200, text, "", b"OK", taken(0, "")),
        (200, "application/json", "", b"{}", taken(0, "")),
        (429, protobuf, "7", b"", later(429, Some(7), "")),
        (503, protobuf, "soon", failed, later(503, None, "no ids")),
        (502, text, "", b"bad gateway", later(502, None, "")),
        (504, text, "", b"", later(504, None, "")),
        (400, protobuf, "", failed, refused(400, "no ids")),
        (404, text, "", b"not found", refused(404, "")),
        (500, protobuf, "7", b"\xff", refused(500, "")),
    ];
    for (status, content_type, retry_after, body, expected) in cases {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.parse().unwrap());
        if !retry_after.is_empty() {
            headers.insert("retry-after", retry_after.parse().unwrap());
        }
        let seen = Answer::of(status, &headers, body);
        assert_eq!(seen, expected, "{status} {content_type}");
    }
}
