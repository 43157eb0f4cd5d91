//! Channels.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Map, Value, json};

use super::access::{OfVhost, Viewer};
use super::api::Api;
use super::connections;
use super::consumers::Consuming;
use super::counters::{self, CHANNEL};
use super::listing::Listing;
use super::path::Path;
use super::rates::{Ages, Subject};
use super::reply::{ApiError, Reply, found, listed_in_part, merge};
use super::routes::Routes;
use super::row::{Wanted, columns};
use super::times::rfc3339;
use crate::base::limits::SAMPLE_INTERVAL;
use crate::server::roster::{ChannelMode, ChannelView, ConnectionView};

/// `/channels`.
pub fn routes() -> Routes {
    Router::new()
        .route("/channels", get(all))
        .route("/channels/{name}", get(one))
        .route("/vhosts/{vhost}/channels", get(of_vhost))
}

/// A channel, where it is, and what it is called.
pub struct Row {
    name: String,
    connection: Arc<ConnectionView>,
    channel: Arc<ChannelView>,
}

/// The channels of a connection.
pub fn rows(connection: &Arc<ConnectionView>) -> Vec<Row> {
    let row = |channel: Arc<ChannelView>| Row {
        name: format!("{} ({})", connection.name, channel.number),
        connection: Arc::clone(connection),
        channel,
    };
    connection.channels().into_iter().map(row).collect()
}

/// A list of channels.
///
/// # Errors
/// As [`listed_in_part`].
pub async fn list(api: Arc<Api>, listing: Listing, ages: Ages, rows: Vec<Row>) -> Reply {
    let shown = move |row: &Row, wanted: &Wanted<'_>| shown(&api, row, ages, wanted);
    listed_in_part(listing, rows, name, shown).await
}

fn name(row: &Row) -> &str {
    &row.name
}

async fn all(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    ages: Ages,
    listing: Listing,
) -> Reply {
    let connections = connections::visible(&api, &acting);
    let all = connections.iter().flat_map(rows).collect();
    list(api, listing, ages, all).await
}

async fn of_vhost(
    State(api): State<Arc<Api>>,
    place: OfVhost,
    ages: Ages,
    listing: Listing,
) -> Reply {
    let mut connections = connections::visible(&api, &place.acting);
    let vhost = place.vhost.name();
    connections.retain(|one| one.opened().is_some_and(|opened| opened.vhost == *vhost));
    let all = connections.iter().flat_map(rows).collect();
    list(api, listing, ages, all).await
}

async fn one(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path(name): Path<String>,
    ages: Ages,
    listing: Listing,
) -> Reply {
    let connections = connections::visible(&api, &acting);
    let mut of_that_name = connections
        .iter()
        .filter(|connection| name.starts_with(&*connection.name))
        .flat_map(rows);
    let row = of_that_name.find(|row| row.name == name);
    let row = row.ok_or_else(ApiError::not_found)?;
    let consumers = Consuming::of(&row.connection, &row.channel);
    let consumers: Vec<_> = consumers.iter().map(|one| one.shown(&api)).collect();
    let mut shown = shown(&api, &row, ages, &Wanted::All);
    let details = json!({ "consumer_details": consumers, "publishes": [], "deliveries": [] });
    merge(&mut shown, details);
    found(listing.project(shown))
}

fn shown(api: &Api, row: &Row, ages: Ages, wanted: &Wanted<'_>) -> Value {
    let Row {
        name,
        connection,
        channel,
    } = row;
    let opened = connection.opened();
    let user = opened.map_or("", |opened| &*opened.user);
    let mode = channel.mode();
    let mut shown = Map::new();
    columns!(&mut shown, wanted;
        "name": name,
        "number": channel.number,
        "node": api.node(),
        "vhost": opened.map_or("", |opened| &*opened.vhost),
        "user": user,
        "user_who_performed_action": user,
        "state": "running",
        "connection_details": json!({
            "name": &*connection.name,
            "peer_host": connection.peer.ip().to_string(),
            "peer_port": connection.peer.port(),
        }),
        "confirm": mode == ChannelMode::Confirm,
        "transactional": mode == ChannelMode::Transactional,
        "consumer_count": channel.consumer_count(),
        "prefetch_count": channel.prefetch(),
        "global_prefetch_count": channel.global_prefetch(),
        "messages_unacknowledged": channel.unacked(),
        "messages_unconfirmed": channel.unconfirmed(),
        "messages_uncommitted": channel.uncommitted(),
        "acks_uncommitted": channel.acks_uncommitted(),
        "pending_raft_commands": 0,
        "cached_segments": 0,
    );
    let idle = api.shared.now().unix_ms.saturating_sub(channel.last_use());
    if channel.last_use() > 0 && idle > SAMPLE_INTERVAL.as_millis() as u64 {
        columns!(&mut shown, wanted; "idle_since": rfc3339(channel.last_use()));
    }
    if wanted.has("message_stats") {
        shown.extend(stats(api, row, ages));
    }
    shown.into()
}

/// What has passed it, if anything has.
fn stats(api: &Api, row: &Row, ages: Ages) -> Option<(String, Value)> {
    let values = counters::of_channel(&row.channel.traffic());
    values.iter().find(|value| **value > 0)?;
    let subject = Subject::Channel(row.connection.id, row.channel.number);
    let mut stats = Map::new();
    let rates = &api.rates;
    rates.put(&mut stats, &subject, 0, (&CHANNEL, &values), ages.messages);
    Some(("message_stats".to_owned(), stats.into()))
}
