//! Hands what traced messages go through to a collector, as spans of OpenTelemetry
//! in OTLP's JSON over HTTP.
//!
//! The request is written here. Of OpenTelemetry's crates (0.33) `opentelemetry-proto`
//! brings twelve more into the build, `prost` and the SDK among them, its exporter
//! fifteen; what they would take over is the fifty lines that write a span as JSON.
//! Which spans there are and with which ids is ours to say either way, and what waits
//! for the collector is the ring of events, of which the SDK would keep a copy.

mod spans;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use ureq::Agent;

pub use self::spans::Spans;
use super::api::Api;

/// How often it is seen whether there is something to hand over.
const EVERY: Duration = Duration::from_secs(1);
/// The longest wait before a collector that didn't answer is asked again.
const AGAIN_MAX: Duration = Duration::from_secs(30);
/// How long a collector has to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Events that are handed over together.
const EVENTS_TOGETHER: usize = 2048;

/// Has spans handed over until `ended` says so, if there is a collector to take them.
pub fn start(api: &Arc<Api>, ended: watch::Receiver<bool>) {
    if let Some(endpoint) = api.shared.config.otlp_endpoint.clone() {
        tokio::spawn(export(Arc::clone(api), endpoint, ended));
    }
}

/// Hands over to the collector at `endpoint` until `ended` says so. While it
/// doesn't answer, events wait in their ring, and the oldest are lost there.
async fn export(api: Arc<Api>, endpoint: String, mut ended: watch::Receiver<bool>) {
    let agent = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .build()
        .into();
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
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
                tracing::warn!(
                    lost,
                    url,
                    "events of traces gone before they were handed over"
                );
            }
            last = newest;
            if let Some(body) = spans.request(&events) {
                hand_over(&agent, &url, body).await;
            }
        }
    };
    tokio::select! {
        () = work => {}
        _gone = ended.changed() => {}
    }
}

/// Hands a request over, as often as it takes: unless the collector doesn't want it.
async fn hand_over(agent: &Agent, url: &str, body: Value) {
    let body: Arc<str> = body.to_string().into();
    let mut wait = EVERY;
    loop {
        let (agent, to, body) = (agent.clone(), url.to_owned(), Arc::clone(&body));
        let sent = spawn_blocking(move || send(&agent, &to, &body)).await;
        match sent.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(200..=299) => return,
            Ok(status) if status != 429 && status < 500 => {
                tracing::warn!(url, status, "the collector refused spans: they are lost");
                return;
            }
            Ok(status) => tracing::warn!(url, status, "the collector can't take spans now"),
            Err(error) => tracing::warn!(url, error, "the collector can't be reached"),
        }
        sleep(wait).await;
        wait = (wait * 2).min(AGAIN_MAX);
    }
}

fn send(agent: &Agent, url: &str, body: &str) -> Result<u16, String> {
    let request = agent.post(url).header("content-type", "application/json");
    let answer = request.send(body).map_err(|error| error.to_string())?;
    Ok(answer.status().as_u16())
}
