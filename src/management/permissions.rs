//! What users may do in virtual hosts.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get};
use serde_json::{Value, json};

use super::access::Administrator;
use super::api::Api;
use super::body::{Body, unexpected};
use super::listing::Listing;
use super::path::Path;
use super::reply::{ApiError, Reply, done, found, listed, put};
use super::routes::Routes;
use crate::broker::access::{AccessError, Permissions, TopicPermission};
use crate::server::shared::Shared;

/// `/permissions` and `/topic-permissions`.
pub fn routes() -> Routes {
    Router::new()
        .route("/permissions", get(all))
        .route("/vhosts/{vhost}/permissions", get(in_vhost))
        .route("/users/{user}/permissions", get(of_user))
        .route(
            "/permissions/{vhost}/{user}",
            get(one).put(set).delete(clear),
        )
        .route("/topic-permissions", get(all_topics))
        .route("/vhosts/{vhost}/topic-permissions", get(topics_in_vhost))
        .route("/users/{user}/topic-permissions", get(topics_of_user))
        .route(
            "/topic-permissions/{vhost}/{user}",
            get(topics).put(set_topic).delete(clear_topics),
        )
        .route(
            "/topic-permissions/{vhost}/{user}/{exchange}",
            delete(clear_topic),
        )
}

/// A permission, of whatever sort.
struct Row {
    vhost: Arc<str>,
    user: Arc<str>,
    shown: Value,
}

fn rows(shared: &Shared) -> Vec<Row> {
    let all = shared.access.permissions().into_iter();
    all.map(|(vhost, user, may)| Row {
        shown: json!({
            "user": user,
            "vhost": vhost,
            "configure": may.configure.source(),
            "write": may.write.source(),
            "read": may.read.source(),
        }),
        vhost,
        user,
    })
    .collect()
}

fn topic_rows(shared: &Shared) -> Vec<Row> {
    let all = shared.access.topic_permissions().into_iter();
    all.map(|(vhost, user, may)| Row {
        shown: json!({
            "user": user,
            "vhost": vhost,
            "exchange": may.exchange,
            "write": may.write,
            "read": may.read,
        }),
        vhost,
        user,
    })
    .collect()
}

async fn list(listing: Listing, rows: Vec<Row>) -> Reply {
    listed(listing, rows, |row| &row.user, |row| row.shown.clone()).await
}

async fn all(State(api): State<Arc<Api>>, _: Administrator, listing: Listing) -> Reply {
    list(listing, rows(&api.shared)).await
}

async fn all_topics(State(api): State<Arc<Api>>, _: Administrator, listing: Listing) -> Reply {
    list(listing, topic_rows(&api.shared)).await
}

async fn in_vhost(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Reply {
    list(listing, those_in_vhost(&api.shared, &vhost, rows)?).await
}

async fn topics_in_vhost(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Reply {
    list(listing, those_in_vhost(&api.shared, &vhost, topic_rows)?).await
}

fn those_in_vhost(
    shared: &Shared,
    vhost: &str,
    all: fn(&Shared) -> Vec<Row>,
) -> Result<Vec<Row>, ApiError> {
    shared.vhosts.get(vhost).ok_or_else(ApiError::not_found)?;
    let mut rows = all(shared);
    rows.retain(|row| *row.vhost == *vhost);
    Ok(rows)
}

async fn of_user(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(user): Path<String>,
    listing: Listing,
) -> Reply {
    list(listing, those_of_user(&api.shared, &user, rows)?).await
}

async fn topics_of_user(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(user): Path<String>,
    listing: Listing,
) -> Reply {
    list(listing, those_of_user(&api.shared, &user, topic_rows)?).await
}

fn those_of_user(
    shared: &Shared,
    user: &str,
    all: fn(&Shared) -> Vec<Row>,
) -> Result<Vec<Row>, ApiError> {
    shared.access.user(user).ok_or_else(ApiError::not_found)?;
    let mut rows = all(shared);
    rows.retain(|row| *row.user == *user);
    Ok(rows)
}

/// Those of one user in one virtual host, of which there are some.
fn those_of(
    shared: &Shared,
    (vhost, user): (&str, &str),
    all: fn(&Shared) -> Vec<Row>,
) -> Result<Vec<Row>, ApiError> {
    let mut rows = all(shared);
    rows.retain(|row| *row.vhost == *vhost && *row.user == *user);
    if rows.is_empty() {
        return Err(ApiError::not_found());
    }
    Ok(rows)
}

async fn one(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path((vhost, user)): Path<(String, String)>,
    listing: Listing,
) -> Reply {
    let mut rows = those_of(&api.shared, (&vhost, &user), rows)?;
    let row = rows.pop().ok_or_else(ApiError::not_found)?;
    found(listing.project(row.shown))
}

async fn set(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path((vhost, user)): Path<(String, String)>,
    body: Body,
) -> Reply {
    let patterns = body.required(["configure", "write", "read"])?;
    let [configure, write, read] = texts(["configure", "write", "read"], patterns)?;
    let may = Permissions::new(configure, write, read).map_err(ApiError::bad_request)?;
    let set = api
        .shared
        .set_permissions(&user, &vhost, may, acting.name());
    let applied = set.map_err(refused)?;
    api.synced(applied.batch).await;
    put(applied.created)
}

async fn clear(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path((vhost, user)): Path<(String, String)>,
) -> Reply {
    let cleared = api.shared.clear_permissions(&user, &vhost, acting.name());
    if cleared.is_none() {
        return Err(ApiError::not_found());
    }
    api.synced(cleared).await;
    done()
}

async fn topics(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path((vhost, user)): Path<(String, String)>,
    listing: Listing,
) -> Reply {
    list(listing, those_of(&api.shared, (&vhost, &user), topic_rows)?).await
}

/// As RabbitMQ has it, only the first one of a user in a virtual host counts as
/// made.
async fn set_topic(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path((vhost, user)): Path<(String, String)>,
    body: Body,
) -> Reply {
    let keys = ["exchange", "write", "read"];
    let [exchange, write, read] = texts(keys, body.required(keys)?)?;
    let may = TopicPermission::new(exchange, write, read).map_err(ApiError::bad_request)?;
    let is_first = those_of(&api.shared, (&vhost, &user), topic_rows).is_err();
    let set = api
        .shared
        .set_topic_permission(&user, &vhost, may, acting.name());
    let applied = set.map_err(refused)?;
    api.synced(applied.batch).await;
    put(is_first)
}

async fn clear_topics(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path((vhost, user)): Path<(String, String)>,
) -> Reply {
    those_of(&api.shared, (&vhost, &user), topic_rows)?;
    let shared = &api.shared;
    let cleared = shared.clear_topic_permissions(&user, &vhost, None, acting.name());
    api.synced(cleared).await;
    done()
}

async fn clear_topic(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path((vhost, user, exchange)): Path<(String, String, String)>,
) -> Reply {
    those_of(&api.shared, (&vhost, &user), topic_rows)?;
    let shared = &api.shared;
    let cleared = shared.clear_topic_permissions(&user, &vhost, Some(&exchange), acting.name());
    api.synced(cleared).await;
    done()
}

fn texts<'a, const N: usize>(
    keys: [&str; N],
    values: [&'a Value; N],
) -> Result<[&'a str; N], ApiError> {
    let mut texts = [""; N];
    for ((text, key), value) in texts.iter_mut().zip(keys).zip(values) {
        let given = value.as_str();
        *text = given.ok_or_else(|| unexpected(key, "a string", value))?;
    }
    Ok(texts)
}

fn refused(error: AccessError) -> ApiError {
    match error {
        AccessError::NoSuchUser(_) | AccessError::NoSuchVhost(_) => {
            ApiError::bad_request("vhost_or_user_not_found")
        }
        other => ApiError::bad_request(other),
    }
}
