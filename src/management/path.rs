//! The names in a path.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::reply::ApiError;

/// The names in a path, decoded, in their order: one text, or a tuple. The
/// default exchange goes by `amq.default`; see [`exchange_name`].
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        match path {
            Ok(axum::extract::Path(names)) => Ok(Self(names)),
            // Only octets that are no UTF-8, which nothing here is called by.
            Err(_) => Err(ApiError::not_found()),
        }
    }
}

/// The exchange that a path or a body calls `name`.
pub fn exchange_name(name: &str) -> &str {
    if name == "amq.default" { "" } else { name }
}
