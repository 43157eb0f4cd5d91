//! What a collector says to spans.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use ureq::http::HeaderMap;
use ureq::http::header::{AsHeaderName, CONTENT_TYPE, RETRY_AFTER};

/// The type of what goes both ways.
pub(super) const PROTOBUF: &str = "application/x-protobuf";

/// What a collector says to spans, as OTLP's specification has it for HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has them.
    Taken {
        /// But for so many, which it won't ever take.
        rejected: i64,
        /// Why it won't, or what it warns of; may be empty.
        why: String,
    },
    /// They are to be handed over again.
    Later {
        /// The status of the answer.
        status: u16,
        /// In what time, if it says.
        after: Option<Duration>,
        /// What is wrong; may be empty.
        why: String,
    },
    /// It won't ever take them.
    Refused {
        /// The status of the answer.
        status: u16,
        /// What is wrong; may be empty.
        why: String,
    },
}

/// How an answer that isn't a success says what is wrong: of `google.rpc.Status`,
/// the part that is for people.
#[derive(Clone, PartialEq, Message)]
struct Failed {
    #[prost(string, tag = "2")]
    message: String,
}

impl Answer {
    /// Reads an answer. A body that isn't what its status makes it tells nothing:
    /// there are collectors that write `OK`.
    pub fn of(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let is_protobuf = text(headers, CONTENT_TYPE).is_some_and(|it| it.starts_with(PROTOBUF));
        let body = if is_protobuf { body } else { &[] };
        if (200..300).contains(&status) {
            let response = ExportTraceServiceResponse::decode(body).unwrap_or_default();
            let partial = response.partial_success.unwrap_or_default();
            return Self::Taken {
                rejected: partial.rejected_spans,
                why: partial.error_message,
            };
        }
        let why = Failed::decode(body).unwrap_or_default().message;
        if matches!(status, 429 | 502 | 503 | 504) {
            let seconds = text(headers, RETRY_AFTER).and_then(|text| text.parse().ok());
            let after = seconds.map(Duration::from_secs);
            return Self::Later { status, after, why };
        }
        Self::Refused { status, why }
    }
}

fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
