//! What requests are answered with.

use std::fmt::Display;

use axum::Json;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::listing::Listing;
use super::row::Wanted;
use crate::wire::{Refusal, ReplyCode};

/// Rows made into JSON without a thread of their own.
const ROWS_AT_ONCE: usize = 200;

/// What a handler answers.
pub type Reply = Result<Response, ApiError>;

/// Why a request isn't granted, as RabbitMQ words it.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// The status.
    pub status: StatusCode,
    /// What is wrong, in a word; none where the body is empty.
    pub error: &'static str,
    /// What exactly: a text with few exceptions.
    pub reason: Value,
}

impl ApiError {
    /// A failure of some kind.
    pub fn new(status: StatusCode, error: &'static str, reason: impl Into<Value>) -> Self {
        Self {
            status,
            error,
            reason: reason.into(),
        }
    }

    /// 400: what is asked for makes no sense.
    pub fn bad_request(reason: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", reason.to_string())
    }

    /// 400 with a reason that is no text.
    pub fn because(reason: Value) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", reason)
    }

    /// 404: there is no such thing, or no such route.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Object Not Found", "Not Found")
    }

    /// 404, to somebody who mustn't learn what there is.
    pub fn hidden() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not Found")
    }

    /// 404 with what it is that isn't there.
    pub fn missing(reason: impl Into<Value>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", reason)
    }

    /// 401: the user may not do that.
    pub fn not_authorised(reason: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "not_authorised", reason)
    }

    /// 401: the password isn't right.
    pub fn wrong_credentials() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "not_authorized", "Not_Authorized")
    }

    /// 401 to a request without credentials.
    pub fn no_credentials() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "", Value::Null)
    }

    /// 412: something has to be otherwise first.
    pub fn precondition_failed(reason: impl Display) -> Self {
        let reason = reason.to_string();
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition_failed",
            reason,
        )
    }

    /// 500: it isn't the request's fault.
    pub fn internal(reason: impl Display) -> Self {
        let reason = reason.to_string();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", reason)
    }
}

/// What AMQP refuses, HTTP refuses with a status of its own (`management-api` 1).
impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal.code {
            ReplyCode::NotFound => {
                Self::new(StatusCode::NOT_FOUND, "not_found", refusal.explanation)
            }
            ReplyCode::AccessRefused | ReplyCode::NotAllowed => {
                Self::not_authorised("Access refused.")
            }
            _ => Self::bad_request(refusal.explanation),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.error.is_empty() {
            let realm = HeaderValue::from_static("Basic realm=\"RabbitMQ Management\"");
            return (self.status, [(WWW_AUTHENTICATE, realm)]).into_response();
        }
        let body = json!({ "error": self.error, "reason": self.reason });
        (self.status, Json(body)).into_response()
    }
}

/// 200 with what was asked for.
///
/// # Errors
/// None: it is a [`Reply`] for handlers to end with.
pub fn found(body: Value) -> Reply {
    Ok(Json(body).into_response())
}

/// 200 with a list of `rows` that are made as a whole, see [`listed_in_part`].
///
/// # Errors
/// 400 as [`Listing::list`].
pub async fn listed<T: Send + 'static>(
    listing: Listing,
    rows: Vec<T>,
    name: impl Fn(&T) -> &str + Send + 'static,
    format: impl Fn(&T) -> Value + Send + 'static,
) -> Reply {
    listed_in_part(listing, rows, name, move |row, _| format(row)).await
}

/// 200 with a list of `rows`, see [`Listing::list`]. A long one is made on a
/// thread of its own: nobody's messages wait for it.
///
/// # Errors
/// 400 as [`Listing::list`].
pub async fn listed_in_part<T: Send + 'static>(
    listing: Listing,
    rows: Vec<T>,
    name: impl Fn(&T) -> &str + Send + 'static,
    format: impl Fn(&T, &Wanted<'_>) -> Value + Send + 'static,
) -> Reply {
    let is_long = rows.len() > ROWS_AT_ONCE;
    let make = move || {
        let list = listing.list(rows, name, format)?;
        Ok(Json(list).into_response())
    };
    if !is_long {
        return make();
    }
    spawn_blocking(make).await.map_err(ApiError::internal)?
}

/// 201 where something was `created`, 204 where it was there before.
///
/// # Errors
/// None: it is a [`Reply`] for handlers to end with.
pub fn put(created: bool) -> Reply {
    let status = if created {
        StatusCode::CREATED
    } else {
        StatusCode::NO_CONTENT
    };
    Ok(status.into_response())
}

/// 204: done, and nothing to say.
///
/// # Errors
/// None: it is a [`Reply`] for handlers to end with.
pub fn done() -> Reply {
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Adds the members of one object to another.
pub fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}
