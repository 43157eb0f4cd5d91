//! Users.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::access::Administrator;
use super::api::Api;
use super::body::{Body, unexpected};
use super::definitions::export;
use super::listing::Listing;
use super::path::Path;
use super::reply::{ApiError, Reply, done, found, listed, put};
use super::routes::Routes;
use crate::broker::access::{AccessError, PROTECTED, PasswordHash, User};
use crate::server::auth::hashed;
use crate::server::shared::Shared;

/// `/users`, and the hash of a password.
pub fn routes() -> Routes {
    Router::new()
        .route("/users", get(all))
        .route("/users/without-permissions", get(without_permissions))
        .route("/users/bulk-delete", post(delete_some))
        .route("/users/{user}", get(one).put(set).delete(delete))
        .route("/auth/hash_password/{password}", get(hash))
}

async fn all(State(api): State<Arc<Api>>, _: Administrator, listing: Listing) -> Reply {
    list(listing, api.shared.access.users()).await
}

async fn without_permissions(
    State(api): State<Arc<Api>>,
    _: Administrator,
    listing: Listing,
) -> Reply {
    let permissions = api.shared.access.permissions();
    let permitted: HashSet<_> = permissions.iter().map(|(_, user, _)| user).collect();
    let mut users = api.shared.access.users();
    users.retain(|user| !permitted.contains(&user.name));
    list(listing, users).await
}

async fn list(listing: Listing, users: Vec<Arc<User>>) -> Reply {
    listed(listing, users, |user| &user.name, |user| export::user(user)).await
}

async fn one(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(name): Path<String>,
    listing: Listing,
) -> Reply {
    let user = api.shared.access.user(&name);
    let user = user.ok_or_else(ApiError::not_found)?;
    found(listing.project(export::user(&user)))
}

async fn set(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path(name): Path<String>,
    body: Body,
) -> Reply {
    check_unprotected(&api.shared, &name)?;
    let tags = body.get("tags");
    let tags = tags.ok_or_else(|| ApiError::bad_request("tags_not_present"))?;
    let tags = read_tags(tags)?;
    let password = password(&body)?;
    let applied = api.shared.put_user(&name, password, tags, acting.name());
    let applied = applied.map_err(ApiError::bad_request)?;
    api.synced(applied.batch).await;
    put(applied.created)
}

async fn delete(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path(name): Path<String>,
) -> Reply {
    check_unprotected(&api.shared, &name)?;
    let applied = api.shared.delete_user(&name, acting.name());
    let applied = applied.map_err(|_| ApiError::not_found())?;
    api.synced(applied.batch).await;
    done()
}

/// Those who aren't there, or are to stay, are passed over.
async fn delete_some(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    body: Body,
) -> Reply {
    let [names] = body.required(["users"])?;
    let names = names.as_array();
    let texts = names.map(|names| names.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    let Some(Some(names)) = texts else {
        return Err(ApiError::bad_request(
            "users is to be a list of names, each a string",
        ));
    };
    let mut last = None;
    for name in names {
        if check_unprotected(&api.shared, name).is_ok() {
            match api.shared.delete_user(name, acting.name()) {
                Ok(applied) => last = applied.batch.max(last),
                Err(AccessError::NoSuchUser(_)) => {}
                Err(error) => return Err(ApiError::bad_request(error)),
            }
        }
    }
    api.synced(last).await;
    done()
}

async fn hash(_: Administrator, Path(password): Path<String>) -> Reply {
    let hash = hashed(password.as_bytes());
    found(json!({ "ok": hash.to_base64() }))
}

fn check_unprotected(shared: &Shared, name: &str) -> Result<(), ApiError> {
    let user = shared.access.user(name);
    if user.is_some_and(|user| user.has_tag(PROTECTED)) {
        return Err(ApiError::bad_request(
            "Protected users cannot be modified via the HTTP API",
        ));
    }
    Ok(())
}

/// Nothing, or nothing in it, means that nobody logs in by password.
fn password(body: &Body) -> Result<PasswordHash, ApiError> {
    let (plain, hash) = (body.text("password")?, body.text("password_hash")?);
    match (plain, hash) {
        (Some(_), Some(_)) => Err(ApiError::bad_request(
            "both_password_and_password_hash_are_provided",
        )),
        (Some(plain), None) if !plain.is_empty() => Ok(hashed(plain.as_bytes())),
        (None, Some(hash)) if !hash.is_empty() => {
            let algorithm = body.text("hashing_algorithm")?;
            PasswordHash::parse(hash, algorithm)
                .map_err(|error| ApiError::bad_request(format!("password_hash: {error}")))
        }
        _ => Ok(PasswordHash::none()),
    }
}

/// Tags: a list, or a text with commas between them.
///
/// # Errors
/// 400 when they're something else.
pub fn read_tags(given: &Value) -> Result<Vec<Arc<str>>, ApiError> {
    let refused = || unexpected("tags", "a list of strings, or a string", given);
    match given {
        Value::String(text) => {
            let tags = text.split(',').map(str::trim);
            Ok(tags.filter(|tag| !tag.is_empty()).map(Arc::from).collect())
        }
        Value::Array(tags) => {
            let tags = tags.iter().map(|tag| tag.as_str().map(Arc::from));
            tags.collect::<Option<_>>().ok_or_else(refused)
        }
        _ => Err(refused()),
    }
}
