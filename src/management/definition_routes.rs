//! Definitions over HTTP.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::routing::get;
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::access::Administrator;
use super::api::Api;
use super::definitions::{self, DefinitionsError, Imported, LeftOut, export};
use super::path::Path;
use super::query::Query;
use super::reply::{ApiError, Reply, done, found};
use super::routes::Routes;

/// The part of a form that has the definitions.
const FILE: &str = "file";
/// The header that names entries that were left out.
const LEFT_OUT: HeaderName = HeaderName::from_static("x-harrier-left-out");
/// How many of them it names.
const LEFT_OUT_TOLD: usize = 20;

/// `/definitions`, and its older name.
pub fn routes() -> Routes {
    Router::new()
        .route("/definitions", get(whole).post(import))
        .route("/definitions/{vhost}", get(of_vhost).post(import_vhost))
        .route("/all-configuration", get(whole).post(import))
}

async fn whole(State(api): State<Arc<Api>>, _: Administrator, query: Query) -> Reply {
    let written = move || export::whole(&api.shared, &api.cluster_name());
    let all = spawn_blocking(written).await.map_err(ApiError::internal)?;
    written_as(&query, all)
}

async fn of_vhost(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(vhost): Path<String>,
    query: Query,
) -> Reply {
    let vhost = api.shared.vhosts.get(&vhost);
    let vhost = vhost.ok_or_else(|| ApiError::missing("vhost_not_found"))?;
    let written = move || export::of_vhost(&api.shared, &vhost);
    let all = spawn_blocking(written).await.map_err(ApiError::internal)?;
    written_as(&query, all)
}

/// With `download`, what follows is the name of the file to be made of it.
fn written_as(query: &Query, all: Value) -> Reply {
    let mut reply = found(all)?;
    if let Some(name) = query.get("download") {
        let name: String = name.chars().filter(|c| is_of_file_names(*c)).collect();
        if let Ok(value) = HeaderValue::try_from(format!("attachment; filename={name}")) {
            reply.headers_mut().insert(CONTENT_DISPOSITION, value);
        }
    }
    Ok(reply)
}

/// Nothing that a header or a file system takes for something else.
fn is_of_file_names(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

async fn import(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Text(text): Text,
) -> Reply {
    take(api, text, None, Arc::clone(acting.name())).await
}

async fn import_vhost(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path(vhost): Path<String>,
    Text(text): Text,
) -> Reply {
    if api.shared.vhosts.get(&vhost).is_none() {
        return Err(ApiError::missing("vhost_not_found"));
    }
    take(api, text, Some(vhost), Arc::clone(acting.name())).await
}

/// Many definitions take a while, in which connections are to be served.
async fn take(api: Arc<Api>, text: String, vhost: Option<String>, by: Arc<str>) -> Reply {
    if text.is_empty() {
        return done();
    }
    let shared = Arc::clone(&api.shared);
    let import = move || definitions::import(&shared, &text, vhost.as_deref(), &by);
    let imported = spawn_blocking(import).await.map_err(ApiError::internal)?;
    let Imported { batch, left_out } = imported.map_err(refused)?;
    api.synced(batch).await;
    let mut reply = done()?;
    if let Some(told) = told(&left_out) {
        reply.headers_mut().insert(LEFT_OUT, told);
    }
    Ok(reply)
}

/// Which entries were left out, for a header: 204 has no body, and RabbitMQ's
/// clients expect it. Their names are in the log.
fn told(left_out: &[LeftOut]) -> Option<HeaderValue> {
    let first = left_out.iter().take(LEFT_OUT_TOLD);
    let mut told: Vec<_> = first.map(|one| one.at.clone()).collect();
    let more = left_out.len() - told.len();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    let told = HeaderValue::try_from(told.join(", ")).ok();
    told.filter(|_| !left_out.is_empty())
}

/// What is wrong comes first, as RabbitMQ says it, and then where.
fn refused(error: DefinitionsError) -> ApiError {
    match error {
        DefinitionsError::Entry { at, why } => ApiError::bad_request(format!("{why} ({at})")),
        other => ApiError::bad_request(other),
    }
}

/// The text that a request comes with, by itself or as a file of a form.
struct Text(String);

impl FromRequest<Arc<Api>> for Text {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, ApiError> {
        let kind = request.headers().get(CONTENT_TYPE);
        let is_form = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/form-data"));
        let octets = if is_form {
            file_of_form(request, api).await?
        } else {
            let read = Bytes::from_request(request, api).await;
            read.map_err(|rejection| unreadable(rejection.status(), &rejection.body_text()))?
        };
        let text = String::from_utf8(octets.into());
        let text = text.map_err(|_| ApiError::bad_request("failed_to_parse_json"))?;
        Ok(Self(text))
    }
}

async fn file_of_form(request: Request, api: &Arc<Api>) -> Result<Bytes, ApiError> {
    let form = Multipart::from_request(request, api).await;
    let mut form = form.map_err(|error| ApiError::bad_request(error.body_text()))?;
    loop {
        let part = form.next_field().await;
        let part = part.map_err(|error| unreadable(error.status(), &error.body_text()))?;
        let Some(part) = part else {
            return Err(ApiError::bad_request(
                "the form has no part called 'file', which is to be the definitions",
            ));
        };
        if part.name() == Some(FILE) {
            let octets = part.bytes().await;
            return octets.map_err(|error| unreadable(error.status(), &error.body_text()));
        }
    }
}

fn unreadable(status: StatusCode, why: &str) -> ApiError {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::bad_request("Exceeded HTTP request body size limit")
        }
        _ => ApiError::bad_request(why),
    }
}
