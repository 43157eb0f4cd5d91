//! Hands what traced messages go through to a collector, as spans of OpenTelemetry
//! by OTLP over HTTP, in protobuf.
//!
//! ```text
//!   ring of events --after--> Spans --request--> Collector --POST--> /v1/traces
//!    (bounded; the             what began          asks again while     Answer
//!     broker only               and is over         it is to
//!     ever adds)
//! ```
//!
//! The messages are `opentelemetry-proto`'s, made from the standard's own schema.
//! OpenTelemetry's SDK isn't used to send them: its spans belong to the code that
//! runs, with ids and times that it gives them, where these tell afterwards what
//! happened to messages; and what waits for the collector is the ring of events, of
//! which its batches would be a copy.

mod answer;
mod collector;
mod spans;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

pub use self::answer::Answer;
use self::collector::Collector;
pub use self::spans::Spans;
use super::api::Api;

/// How often it is seen whether there is something to hand over.
const EVERY: Duration = Duration::from_secs(1);
/// Events that are handed over together.
const EVENTS_TOGETHER: usize = 2048;

/// Has spans handed over until `ended` says so, if there is a collector to take them.
pub fn start(api: &Arc<Api>, ended: watch::Receiver<bool>) {
    if let Some(endpoint) = &api.shared.config.otlp_endpoint {
        let collector = Collector::at(endpoint);
        tokio::spawn(export(Arc::clone(api), collector, ended));
    }
}

/// Hands over to the collector until `ended` says so. While it doesn't answer,
/// events wait in their ring, and the oldest are lost there.
async fn export(api: Arc<Api>, collector: Collector, mut ended: watch::Receiver<bool>) {
    let work = async {
        let mut spans = Spans::new(api.node());
        let mut last = 0;
        loop {
            let events = api.tracer().after(last, EVENTS_TOGETHER);
            let Some(newest) = events.last().map(|event| event.number) else {
                sleep(EVERY).await;
                continue;
            };
            let first = events.first().map_or(newest, |event| event.number);
            if first > last + 1 {
                let lost = first - last - 1;
                let url = collector.url();
                tracing::warn!(
                    lost,
                    url,
                    "events of traces gone before they were handed over"
                );
            }
            last = newest;
            if let Some(request) = spans.request(&events) {
                collector.hand_over(&request).await;
            }
        }
    };
    tokio::select! {
        () = work => {}
        _gone = ended.changed() => {}
    }
}
