//! Exchanges: seen, declared, deleted.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Map, Value, json};

use super::access::{InVhost, Viewer};
use super::api::Api;
use super::arguments;
use super::body::Body;
use super::counters::{self, EXCHANGE};
use super::fields;
use super::listing::Listing;
use super::path::{Path, exchange_name};
use super::query::Query;
use super::rates::{Ages, Subject};
use super::reply::{ApiError, Reply, done, found, listed_in_part, merge, put};
use super::routes::Routes;
use super::row::{Wanted, columns};
use crate::broker::spec::ExchangeSpec;
use crate::broker::vhost::Vhost;
use crate::wire::method::ExchangeDeclare;

/// `/exchanges`.
pub fn routes() -> Routes {
    Router::new()
        .route("/exchanges", get(all))
        .route("/exchanges/{vhost}", get(of_vhost))
        .route(
            "/exchanges/{vhost}/{exchange}",
            get(one).put(declare).delete(remove),
        )
}

/// An exchange, and where it is.
type Row = (Arc<Vhost>, ExchangeSpec);

fn rows(vhost: &Arc<Vhost>) -> impl Iterator<Item = Row> {
    let exchanges = vhost.exchanges().into_iter();
    let vhost = Arc::clone(vhost);
    exchanges.map(move |exchange| (Arc::clone(&vhost), exchange))
}

async fn all(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    query: Query,
    listing: Listing,
) -> Reply {
    let vhosts = acting.vhosts();
    let all = vhosts.iter().flat_map(rows).collect();
    list(api, &query, listing, all).await
}

async fn of_vhost(
    State(api): State<Arc<Api>>,
    place: InVhost,
    query: Query,
    listing: Listing,
) -> Reply {
    let all = rows(&place.vhost).collect();
    list(api, &query, listing, all).await
}

async fn list(api: Arc<Api>, query: &Query, listing: Listing, all: Vec<Row>) -> Reply {
    let ages = Ages::of(query);
    let shown = move |row: &Row, wanted: &Wanted<'_>| shown(&api, row, ages, wanted);
    listed_in_part(listing, all, name, shown).await
}

fn name((_, exchange): &Row) -> &str {
    &exchange.name
}

fn shown(api: &Api, row: &Row, ages: Ages, wanted: &Wanted<'_>) -> Value {
    let (vhost, exchange) = row;
    let mut shown = Map::new();
    columns!(&mut shown, wanted;
        "name": &*exchange.name,
        "vhost": &**vhost.name(),
        "type": &*exchange.kind,
        "durable": exchange.durable,
        "auto_delete": exchange.auto_delete,
        "internal": exchange.internal,
        "arguments": arguments::json(&exchange.arguments),
    );
    if wanted.has("policy") {
        let policies = vhost.policies_of_exchange(&exchange.name);
        if let Some(policy) = policies.and_then(|found| found.policy) {
            shown.insert("policy".to_owned(), json!(&**policy.name()));
        }
    }
    if wanted.has("message_stats") {
        shown.extend(stats(api, row, ages));
    }
    shown.into()
}

/// What has passed it, if anything has.
fn stats(api: &Api, (vhost, exchange): &Row, ages: Ages) -> Option<(String, Value)> {
    let traffic = vhost.exchange_traffic(&exchange.name)?;
    let values = counters::of_exchange(&traffic);
    values.iter().find(|value| **value > 0)?;
    let subject = Subject::Exchange(Arc::clone(vhost.name()), Arc::clone(&exchange.name));
    let mut stats = Map::new();
    let rates = &api.rates;
    rates.put(&mut stats, &subject, 0, (&EXCHANGE, &values), ages.messages);
    Some(("message_stats".to_owned(), stats.into()))
}

async fn one(
    State(api): State<Arc<Api>>,
    place: InVhost,
    Path((_, name)): Path<(String, String)>,
    ages: Ages,
    listing: Listing,
) -> Reply {
    let exchange = place.vhost.exchange(exchange_name(&name));
    let exchange = exchange.ok_or_else(ApiError::not_found)?;
    let row = (place.vhost, exchange);
    let mut shown = shown(&api, &row, ages, &Wanted::All);
    merge(&mut shown, json!({ "incoming": [], "outgoing": [] }));
    found(listing.project(shown))
}

async fn declare(
    State(api): State<Arc<Api>>,
    place: InVhost,
    Path((_, name)): Path<(String, String)>,
    body: Body,
) -> Reply {
    let method = ExchangeDeclare {
        exchange: exchange_name(&name),
        kind: body.text("type")?.unwrap_or("direct"),
        durable: body.flag("durable")?.unwrap_or(false),
        auto_delete: body.flag("auto_delete")?.unwrap_or(false),
        internal: body.flag("internal")?.unwrap_or(false),
        arguments: fields::arguments(&body)?,
        ..ExchangeDeclare::default()
    };
    let mut direct = place.direct(&api);
    let created = direct.declare_exchange(&method)?;
    api.synced(direct.take_batch()).await;
    put(created)
}

async fn remove(
    State(api): State<Arc<Api>>,
    place: InVhost,
    Path((_, name)): Path<(String, String)>,
    query: Query,
) -> Reply {
    let name = exchange_name(&name);
    if place.vhost.exchange(name).is_none() {
        return Err(ApiError::not_found());
    }
    let mut direct = place.direct(&api);
    direct.delete_exchange(name, query.flag("if-unused"))?;
    api.synced(direct.take_batch()).await;
    done()
}
