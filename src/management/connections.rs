//! Connections: seen, and closed.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use serde_json::{Map, Value, json};

use super::access::{Acting, Monitor, OfVhost, Viewer};
use super::api::Api;
use super::arguments;
use super::channels;
use super::counters::{self, CONNECTION};
use super::listing::Listing;
use super::path::Path;
use super::rates::{Ages, Subject};
use super::reply::{ApiError, Reply, done, found, listed_in_part};
use super::routes::Routes;
use super::row::{Wanted, columns};
use crate::base::clock::Now;
use crate::server::roster::ConnectionView;

/// What a client hears whose connection is closed, unless there is a better reason.
const CLOSED: &str = "Closed via management plugin";

/// `/connections`.
pub fn routes() -> Routes {
    Router::new()
        .route("/connections", get(all))
        .route("/connections/{name}", get(one).delete(close))
        .route("/connections/{name}/channels", get(channels_of))
        .route("/connections/{name}/sessions", get(sessions))
        .route(
            "/connections/username/{user}",
            get(of_user).delete(close_all),
        )
        .route("/vhosts/{vhost}/connections", get(of_vhost))
}

/// The connections that somebody may see, by name: a monitor all, others their own.
pub fn visible(api: &Api, acting: &Acting) -> Vec<Arc<ConnectionView>> {
    let mut all = api.shared.roster.connections();
    all.retain(|connection| is_visible(acting, connection));
    all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    all
}

fn is_visible(acting: &Acting, connection: &ConnectionView) -> bool {
    acting.is_monitor() || is_of(connection, acting.name())
}

fn is_of(connection: &ConnectionView, user: &str) -> bool {
    let opened = connection.opened();
    opened.is_some_and(|opened| *opened.user == *user)
}

/// The connection that a path names, if `acting` may see it.
fn named(api: &Api, acting: &Acting, name: &str) -> Result<Arc<ConnectionView>, ApiError> {
    let found = api.shared.roster.named(name);
    let found = found.ok_or_else(ApiError::not_found)?;
    if is_visible(acting, &found) {
        return Ok(found);
    }
    Err(ApiError::not_authorised(
        "User not authorised to access object",
    ))
}

async fn list(
    api: Arc<Api>,
    listing: Listing,
    ages: Ages,
    rows: Vec<Arc<ConnectionView>>,
) -> Reply {
    let shown =
        move |connection: &Arc<_>, wanted: &Wanted<'_>| shown(&api, connection, ages, wanted);
    listed_in_part(listing, rows, name, shown).await
}

fn name(connection: &Arc<ConnectionView>) -> &str {
    &connection.name
}

async fn all(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    ages: Ages,
    listing: Listing,
) -> Reply {
    let rows = visible(&api, &acting);
    list(api, listing, ages, rows).await
}

async fn of_vhost(
    State(api): State<Arc<Api>>,
    place: OfVhost,
    ages: Ages,
    listing: Listing,
) -> Reply {
    let mut rows = visible(&api, &place.acting);
    let vhost = place.vhost.name();
    rows.retain(|one| one.opened().is_some_and(|opened| opened.vhost == *vhost));
    list(api, listing, ages, rows).await
}

async fn of_user(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path(user): Path<String>,
    ages: Ages,
    listing: Listing,
) -> Reply {
    let mut rows = visible(&api, &acting);
    rows.retain(|one| is_of(one, &user));
    list(api, listing, ages, rows).await
}

async fn one(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path(name): Path<String>,
    ages: Ages,
    listing: Listing,
) -> Reply {
    let connection = named(&api, &acting, &name)?;
    let shown = shown(&api, &connection, ages, &listing.wanted());
    found(listing.project(shown))
}

async fn channels_of(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path(name): Path<String>,
    ages: Ages,
    listing: Listing,
) -> Reply {
    let connection = named(&api, &acting, &name)?;
    let rows = channels::rows(&connection);
    channels::list(api, listing, ages, rows).await
}

/// Those of AMQP 1.0, which isn't spoken here.
async fn sessions(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path(name): Path<String>,
) -> Reply {
    named(&api, &acting, &name)?;
    found(json!([]))
}

async fn close(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Reply {
    let connection = named(&api, &acting, &name)?;
    let closed = api.shared.close_connection(connection.id, reason(&headers));
    tracing::info!(
        name,
        user = &**acting.name(),
        closed,
        "connection closed over HTTP"
    );
    done()
}

async fn close_all(
    State(api): State<Arc<Api>>,
    Monitor(acting): Monitor,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Reply {
    let mut rows = visible(&api, &acting);
    rows.retain(|one| is_of(one, &user));
    for connection in &rows {
        api.shared.close_connection(connection.id, reason(&headers));
    }
    let (by, connections) = (&**acting.name(), rows.len());
    tracing::info!(of = user, by, connections, "connections closed over HTTP");
    done()
}

fn reason(headers: &HeaderMap) -> &str {
    let given = headers.get("x-reason");
    let given = given.and_then(|reason| reason.to_str().ok());
    given.unwrap_or(CLOSED)
}

fn shown(api: &Api, connection: &ConnectionView, ages: Ages, wanted: &Wanted<'_>) -> Value {
    let (reads, writes) = connection.packets();
    let mut shown = Map::new();
    columns!(&mut shown, wanted;
        "name": &*connection.name,
        "node": api.node(),
        "type": "network",
        "protocol": "AMQP 0-9-1",
        "state": state(connection, api.shared.now()),
        "host": connection.local.ip().to_string(),
        "port": connection.local.port(),
        "peer_host": connection.peer.ip().to_string(),
        "peer_port": connection.peer.port(),
        "connected_at": connection.since,
        "channels": connection.channel_count(),
        "recv_cnt": reads,
        "send_cnt": writes,
        "send_pend": connection.pending(),
    );
    let (subject, values) = (
        Subject::Connection(connection.id),
        counters::of_connection(connection),
    );
    let counters = (&CONNECTION[..], &values[..]);
    let rates = &api.rates;
    rates.put_wanted(&mut shown, &subject, 0, counters, ages.data, wanted);
    put_opened(connection, wanted, &mut shown);
    put_encryption(connection, wanted, &mut shown);
    shown.into()
}

/// What is known once the client has opened it.
fn put_opened(connection: &ConnectionView, wanted: &Wanted<'_>, shown: &mut Map<String, Value>) {
    let Some(opened) = connection.opened() else {
        columns!(shown, wanted; "user": "", "vhost": "", "client_properties": {});
        return;
    };
    columns!(&mut *shown, wanted;
        "user": &*opened.user,
        "user_who_performed_action": &*opened.user,
        "vhost": &*opened.vhost,
        "auth_mechanism": opened.mechanism,
        "channel_max": opened.channel_max,
        "frame_max": opened.frame_max,
        "timeout": opened.heartbeat,
        "client_properties": arguments::json(&opened.client),
    );
    if let Some(name) = &opened.client_name {
        columns!(shown, wanted; "user_provided_name": name);
    }
}

fn put_encryption(
    connection: &ConnectionView,
    wanted: &Wanted<'_>,
    shown: &mut Map<String, Value>,
) {
    let by = connection
        .opened()
        .and_then(|opened| opened.encryption.as_ref());
    let peer = by.and_then(|by| by.peer.as_ref());
    columns!(shown, wanted;
        "ssl": by.is_some(),
        "ssl_protocol": by.map_or("", |by| &by.protocol),
        "ssl_cipher": by.map_or("", |by| &by.cipher),
        "ssl_hash": by.map_or("", |by| &by.hash),
        "ssl_key_exchange": by.map_or("", |by| &by.key_exchange),
        "peer_cert_subject": peer.map_or("", |peer| &peer.subject),
        "peer_cert_issuer": peer.map_or("", |peer| &peer.issuer),
        "peer_cert_serial_number": peer.map_or("", |peer| &peer.serial),
        "peer_cert_validity": peer.map_or("", |peer| &peer.validity),
    );
}

fn state(connection: &ConnectionView, now: Now) -> &'static str {
    match connection.opened() {
        None => "opening",
        Some(_) if connection.is_blocked() => "blocked",
        Some(_) if connection.is_in_flow(now) => "flow",
        Some(_) => "running",
    }
}
