//! Who takes spans.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use ureq::Agent;

use super::answer::{Answer, PROTOBUF};

/// The first wait before a collector is asked again.
const AGAIN_MIN: Duration = Duration::from_secs(1);
/// The longest wait before a collector that doesn't say for how long is asked again.
const AGAIN_MAX: Duration = Duration::from_secs(30);
/// The longest wait that a collector may ask for.
const TOLD_MAX: Duration = Duration::from_secs(300);
/// How long a collector has to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Octets of an answer that are read: it says little.
const ANSWER_MAX: u64 = 16 << 10;

/// A collector of OpenTelemetry.
#[derive(Debug, Clone)]
pub struct Collector {
    agent: Agent,
    url: Arc<str>,
}

impl Collector {
    /// The one whose OTLP over HTTP is at `endpoint`.
    pub fn at(endpoint: &str) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .build();
        Self {
            agent: config.into(),
            url: format!("{}/v1/traces", endpoint.trim_end_matches('/')).into(),
        }
    }

    /// Where it takes spans.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Hands a request over, as often as it takes: unless the collector doesn't want it.
    pub async fn hand_over(&self, request: &ExportTraceServiceRequest) {
        let body = Bytes::from(request.encode_to_vec());
        let mut wait = AGAIN_MIN;
        loop {
            let (to, body) = (self.clone(), body.clone());
            let sent = spawn_blocking(move || to.send(&body)).await;
            let answer = sent.unwrap_or_else(|error| Err(error.to_string()));
            let Some(told) = self.again(answer) else {
                return;
            };
            sleep(told.unwrap_or(wait).clamp(AGAIN_MIN, TOLD_MAX)).await;
            wait = (wait * 2).min(AGAIN_MAX);
        }
    }

    /// Whether to hand the same over again, and in what time where the collector
    /// says so; what became of the spans is logged unless it has them all.
    fn again(&self, answer: Result<Answer, String>) -> Option<Option<Duration>> {
        let url = &*self.url;
        match answer {
            Ok(Answer::Taken { rejected: 0, why }) if why.is_empty() => None,
            Ok(Answer::Taken { rejected: 0, why }) => {
                tracing::warn!(url, why, "the collector took spans, with a warning");
                None
            }
            Ok(Answer::Taken { rejected, why }) => {
                tracing::warn!(
                    url,
                    rejected,
                    why,
                    "the collector refused some spans: they are lost"
                );
                None
            }
            Ok(Answer::Refused { status, why }) => {
                tracing::warn!(
                    url,
                    status,
                    why,
                    "the collector refused spans: they are lost"
                );
                None
            }
            Ok(Answer::Later { status, after, why }) => {
                tracing::warn!(url, status, why, "the collector can't take spans now");
                Some(after)
            }
            Err(error) => {
                tracing::warn!(url, error, "the collector can't be reached");
                Some(None)
            }
        }
    }

    fn send(&self, body: &[u8]) -> Result<Answer, String> {
        let request = self.agent.post(&*self.url).content_type(PROTOBUF);
        let answer = request.send(body).map_err(|error| error.to_string())?;
        let (head, mut body) = answer.into_parts();
        // The status alone says whether spans were taken.
        let said = body.with_config().limit(ANSWER_MAX).read_to_vec();
        let said = said.unwrap_or_default();
        Ok(Answer::of(head.status.as_u16(), &head.headers, &said))
    }
}
