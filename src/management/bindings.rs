//! Bindings: seen, made, removed.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use axum::routing::get;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::access::{InVhost, Viewer};
use super::api::Api;
use super::arguments;
use super::body::Body;
use super::fields;
use super::listing::Listing;
use super::path::{Path, exchange_name};
use super::properties_key::properties_key;
use super::reply::{ApiError, Reply, done, found, listed_in_part};
use super::routes::Routes;
use super::row::{Wanted, columns};
use crate::broker::spec::{BindingSpec, Destination};
use crate::broker::vhost::Vhost;

/// What needn't be encoded in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// `/bindings`, and those of queues and exchanges.
pub fn routes() -> Routes {
    Router::new()
        .route("/bindings", get(all))
        .route("/bindings/{vhost}", get(of_vhost))
        .route(
            "/bindings/{vhost}/e/{source}/{kind}/{to}",
            get(between).post(bind),
        )
        .route(
            "/bindings/{vhost}/e/{source}/{kind}/{to}/{properties}",
            get(one).delete(unbind),
        )
        .route("/queues/{vhost}/{queue}/bindings", get(of_queue))
        .route(
            "/exchanges/{vhost}/{exchange}/bindings/source",
            get(from_exchange),
        )
        .route(
            "/exchanges/{vhost}/{exchange}/bindings/destination",
            get(to_exchange),
        )
}

/// A binding, and where it is.
type Row = (Arc<Vhost>, BindingSpec);

async fn list(listing: Listing, vhost: Arc<Vhost>, bindings: Vec<BindingSpec>) -> Reply {
    let rows = bindings.into_iter();
    let rows = rows.map(|binding| (Arc::clone(&vhost), binding)).collect();
    listed_in_part(listing, rows, name, shown).await
}

fn name((_, binding): &Row) -> &str {
    &binding.source
}

fn shown((vhost, binding): &Row, wanted: &Wanted<'_>) -> Value {
    let mut shown = Map::new();
    columns!(&mut shown, wanted;
        "source": &*binding.source,
        "vhost": &**vhost.name(),
        "destination": &**binding.destination.name(),
        "destination_type": match binding.destination {
            Destination::Queue(_) => "queue",
            Destination::Exchange(_) => "exchange",
        },
        "routing_key": &*binding.routing_key,
        "arguments": arguments::json(&binding.arguments),
        "properties_key": properties_key(&binding.routing_key, &binding.arguments),
    );
    shown.into()
}

async fn all(Viewer(acting): Viewer, listing: Listing) -> Reply {
    let mut rows = Vec::new();
    for vhost in acting.vhosts() {
        let bindings = vhost.bindings().into_iter();
        rows.extend(bindings.map(|binding| (Arc::clone(&vhost), binding)));
    }
    listed_in_part(listing, rows, name, shown).await
}

async fn of_vhost(place: InVhost, listing: Listing) -> Reply {
    let bindings = place.vhost.bindings();
    list(listing, place.vhost, bindings).await
}

/// None of what isn't there, as RabbitMQ answers: clients that remove a binding that
/// may be gone count on it.
async fn of_queue(
    place: InVhost,
    Path((_, name)): Path<(String, String)>,
    listing: Listing,
) -> Reply {
    let to = Destination::Queue(name.into());
    let bindings = place.vhost.bindings_of(&to);
    list(listing, place.vhost, bindings).await
}

async fn from_exchange(
    place: InVhost,
    Path((_, name)): Path<(String, String)>,
    listing: Listing,
) -> Reply {
    let bindings = place.vhost.bindings_from(exchange_name(&name));
    list(listing, place.vhost, bindings).await
}

async fn to_exchange(
    place: InVhost,
    Path((_, name)): Path<(String, String)>,
    listing: Listing,
) -> Reply {
    let to = Destination::Exchange(exchange_name(&name).into());
    let bindings = place.vhost.bindings_of(&to);
    list(listing, place.vhost, bindings).await
}

/// The ends that a path names.
fn ends<'a>(source: &'a str, kind: &str, to: &str) -> Result<(&'a str, Destination), ApiError> {
    let to = match kind {
        "q" => Destination::Queue(to.into()),
        "e" => Destination::Exchange(exchange_name(to).into()),
        _ => return Err(ApiError::not_found()),
    };
    Ok((exchange_name(source), to))
}

fn bindings_between(vhost: &Vhost, source: &str, to: &Destination) -> Vec<BindingSpec> {
    let mut bindings = vhost.bindings_of(to);
    bindings.retain(|binding| *binding.source == *source);
    bindings
}

async fn between(
    place: InVhost,
    Path((_, source, kind, to)): Path<(String, String, String, String)>,
    listing: Listing,
) -> Reply {
    let (source, to) = ends(&source, &kind, &to)?;
    let bindings = bindings_between(&place.vhost, source, &to);
    list(listing, place.vhost, bindings).await
}

async fn bind(
    State(api): State<Arc<Api>>,
    place: InVhost,
    Path((_, source, kind, name)): Path<(String, String, String, String)>,
    body: Body,
) -> Reply {
    let (source, destination) = ends(&source, &kind, &name)?;
    let key = body.text("routing_key")?.unwrap_or_default();
    if key.len() > 255 {
        return Err(ApiError::bad_request("routing_key is over 255 octets"));
    }
    let spec = BindingSpec {
        source: source.into(),
        destination,
        routing_key: key.into(),
        arguments: fields::arguments(&body)?,
    };
    let mut sorted = spec.arguments.clone();
    sorted.sort();
    let properties = properties_key(key, &sorted);
    let mut direct = place.direct(&api);
    direct.bind(spec)?;
    api.synced(direct.take_batch()).await;
    let encoded = |segment| utf8_percent_encode(segment, SEGMENT).to_string();
    let location = format!("{}/{}", encoded(&name), encoded(&properties));
    Ok((StatusCode::CREATED, [(LOCATION, location)]).into_response())
}

/// The binding that a path names.
fn named(place: &InVhost, path: &Named) -> Result<BindingSpec, ApiError> {
    let (_, source, kind, to, properties) = path;
    let (source, to) = ends(source, kind, to)?;
    let mut bindings = bindings_between(&place.vhost, source, &to).into_iter();
    let found = bindings
        .find(|binding| properties_key(&binding.routing_key, &binding.arguments) == *properties);
    found.ok_or_else(ApiError::not_found)
}

/// Virtual host, source, kind of destination, destination, properties key.
type Named = (String, String, String, String, String);

async fn one(place: InVhost, Path(path): Path<Named>, listing: Listing) -> Reply {
    let binding = named(&place, &path)?;
    found(listing.project(shown(&(place.vhost, binding), &Wanted::All)))
}

async fn unbind(State(api): State<Arc<Api>>, place: InVhost, Path(path): Path<Named>) -> Reply {
    let binding = named(&place, &path)?;
    let mut direct = place.direct(&api);
    direct.unbind(&binding)?;
    api.synced(direct.take_batch()).await;
    done()
}
