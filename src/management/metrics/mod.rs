//! Metrics for Prometheus, by the names that RabbitMQ gives them, so that its
//! dashboards show them, and under `harrier_` what it has none of.
//!
//! ```text
//!   /metrics                  sums
//!   /metrics/per-object       the same of each queue, channel and connection
//!   /metrics/detailed         of each, the families asked for
//!   /metrics/memory-breakdown memory
//! ```
//!
//! Who names OpenMetrics in `Accept` is given that. A page is made of what there is
//! at the moment. Nothing is locked for longer
//! than it takes to copy the numbers of one queue or channel, and the text is
//! written on a thread of its own: no message waits for a scrape.

mod channels;
mod exchanges;
mod format;
mod global;
mod node;
mod page;
mod queues;
mod scrapes;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use percent_encoding::percent_decode_str;
use tokio::task::spawn_blocking;

use self::format::Format;
use self::node::Endpoint;
use self::page::{Labels, Page};
use self::queues::Which;
pub use self::scrapes::Scrapes;
use super::access::Monitor;
use super::api::Api;
use super::reply::{ApiError, Reply};
use super::routes::Routes;

const RABBITMQ: &str = "rabbitmq_";
const HARRIER: &str = "harrier_";

/// `/metrics` on an address of its own, where anybody may look.
pub fn open_routes() -> Routes {
    Router::new()
        .route("/metrics", get(aggregated))
        .route("/metrics/per-object", get(per_object))
        .route("/metrics/detailed", get(detailed))
        .route("/metrics/memory-breakdown", get(memory))
}

/// `/metrics` beside the management API, for users who may see what belongs to
/// others.
pub fn routes() -> Routes {
    Router::new()
        .route(
            "/metrics",
            get(async |_: Monitor, api: Served, asked: HeaderMap| aggregated(api, asked).await),
        )
        .route(
            "/metrics/per-object",
            get(async |_: Monitor, api: Served, asked: HeaderMap| per_object(api, asked).await),
        )
        .route(
            "/metrics/detailed",
            get(
                async |_: Monitor, api: Served, asked: HeaderMap, query: RawQuery| {
                    detailed(api, asked, query).await
                },
            ),
        )
        .route(
            "/metrics/memory-breakdown",
            get(async |_: Monitor, api: Served, asked: HeaderMap| memory(api, asked).await),
        )
}

type Served = State<Arc<Api>>;

async fn aggregated(api: Served, asked: HeaderMap) -> Reply {
    written(api, Endpoint::Aggregated, asked, sums).await
}

async fn per_object(api: Served, asked: HeaderMap) -> Reply {
    written(api, Endpoint::PerObject, asked, each).await
}

async fn detailed(api: Served, asked: HeaderMap, RawQuery(query): RawQuery) -> Reply {
    let wanted = Wanted::of(&query.unwrap_or_default());
    let write = move |page: &mut Page, api: &Api| some(page, api, &wanted);
    written(api, Endpoint::Detailed, asked, write).await
}

async fn memory(api: Served, asked: HeaderMap) -> Reply {
    written(api, Endpoint::Memory, asked, node::resources).await
}

async fn written(
    State(api): Served,
    endpoint: Endpoint,
    asked: HeaderMap,
    write: impl FnOnce(&mut Page, &Api) + Send + 'static,
) -> Reply {
    let format = Format::of(&asked);
    let text = spawn_blocking(move || {
        let begun = api.shared.now().monotonic_ms;
        let mut page = Page::new(RABBITMQ, format);
        node::identity(&mut page, &api, endpoint);
        write(&mut page, &api);
        let text = page.into_text();
        let ms = api.shared.now().monotonic_ms.saturating_sub(begun);
        let time = Duration::from_millis(ms);
        api.scrapes.count(endpoint, format, time, text.len());
        text
    });
    let text = text.await.map_err(ApiError::internal)?;
    Ok(([(CONTENT_TYPE, format.content_type())], text).into_response())
}

/// What is the same whether or not objects are told apart.
fn common(
    page: &mut Page,
    api: &Api,
    channels: &[(Labels, channels::ChannelRow)],
    queues: &[(Labels, queues::Row)],
) {
    let shared = &api.shared;
    node::resources(page, api);
    node::alarms(page, api);
    node::logins(page, api);
    let open = channels.iter().filter(|(_, row)| row.is_open);
    let there = queues.iter().filter(|(_, row)| !row.is_past).count();
    let consumers = queues.iter().map(|(_, row)| row.status.counts.consumers);
    let counts = (open.count() as u64, consumers.sum(), there as u64);
    node::churn(page, api, counts);
    global::published(page, shared, channels);
    global::handed_out(page, queues);
    global::dead_lettered(page, queues);
}

/// Things of a kind, with their labels.
type Rows<T> = Vec<(Labels, T)>;

/// Channels and queues, with what has passed those that are gone.
fn all_rows(api: &Api) -> (Rows<channels::ChannelRow>, Rows<queues::Row>) {
    let shared = &api.shared;
    let mut channels = channels::channels(shared);
    let past = channels::past(shared, &channels);
    channels.push((Labels::default(), past));
    let mut queues = queues::rows(shared, &Which::default());
    let [classic, quorum] = shared.vhosts.totals().gone();
    for (is_quorum, traffic) in [(false, classic), (true, quorum)] {
        let past = queues::Row::of_past(is_quorum, traffic);
        queues.push((Labels::default(), past));
    }
    (channels, queues)
}

fn sums(page: &mut Page, api: &Api) {
    let (channels, queues) = all_rows(api);
    common(page, api, &channels, &queues);
    let connections = channels::connections(&api.shared);
    let all = |_: &str| true;
    page.table(queues::QUEUES, &queues, true, all);
    page.table(channels::CHANNELS, &channels, true, all);
    page.table(channels::CONNECTIONS, &connections, true, all);
    page.prefix(HARRIER);
    page.table(queues::OWN_QUEUES, &queues, true, all);
    global::own(page, api, &queues);
    page.prefix("");
    api.scrapes.put(page);
}

fn each(page: &mut Page, api: &Api) {
    let (mut channels, mut queues) = all_rows(api);
    common(page, api, &channels, &queues);
    page.prefix(HARRIER);
    global::own(page, api, &queues);
    // What is gone has no labels.
    channels.retain(|(_, row)| row.is_open);
    queues.retain(|(_, row)| !row.is_past);
    let connections = channels::connections(&api.shared);
    let all = |_: &str| true;
    page.table(queues::OWN_QUEUES, &queues, false, all);
    page.table(queues::AGES, &queues, false, all);
    page.prefix(RABBITMQ);
    page.table(queues::QUEUES, &queues, false, all);
    page.table(channels::CHANNELS, &channels, false, all);
    page.table(channels::CONNECTIONS, &connections, false, all);
    exchanges::traffic(page, &api.shared);
    page.prefix("");
    api.scrapes.put(page);
}

/// What a detailed page is to have.
#[derive(Debug, Default)]
struct Wanted {
    families: Vec<String>,
    which: Which,
}

impl Wanted {
    fn of(query: &str) -> Self {
        let mut wanted = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.replace('+', " ");
            let value = percent_decode_str(&value).decode_utf8_lossy().into_owned();
            match name {
                "family" | "family[]" => wanted.families.push(value),
                "vhost" | "vhost[]" => wanted.which.vhosts.push(value),
                "queue" | "queue[]" => wanted.which.queues.push(value),
                _ => {}
            }
        }
        wanted
    }

    fn has(&self, family: &str) -> bool {
        self.families.iter().any(|own| own == family)
    }
}

fn some(page: &mut Page, api: &Api, wanted: &Wanted) {
    let shared = &api.shared;
    page.prefix("rabbitmq_detailed_");
    let is_wanted = |family: &str| wanted.has(family);
    let queues = queues::rows(shared, &wanted.which);
    page.table(queues::QUEUES, &queues, false, is_wanted);
    if wanted
        .families
        .iter()
        .any(|family| family.starts_with("channel_"))
    {
        let channels = channels::channels(shared);
        page.table(channels::CHANNELS, &channels, false, is_wanted);
    }
    if wanted
        .families
        .iter()
        .any(|family| family.starts_with("connection_"))
    {
        let connections = channels::connections(shared);
        page.table(channels::CONNECTIONS, &connections, false, is_wanted);
    }
    if wanted.has("channel_exchange_metrics") {
        exchanges::traffic(page, shared);
    }
    page.prefix("harrier_detailed_");
    page.table(queues::OWN_QUEUES, &queues, false, is_wanted);
    page.table(queues::AGES, &queues, false, is_wanted);
    page.prefix("rabbitmq_cluster_");
    if wanted.has("vhost_status") {
        exchanges::vhosts(page, shared);
    }
    if wanted.has("exchange_names") {
        exchanges::names(page, shared);
    }
    if wanted.has("exchange_bindings") {
        exchanges::bindings(page, shared);
    }
    page.prefix(RABBITMQ);
    if wanted.has("node_metrics") {
        node::resources(page, api);
        node::alarms(page, api);
    }
}
