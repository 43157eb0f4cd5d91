//! What all requests go through, and all answers share.

use axum::extract::Request;
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::origin::is_foreign;
use super::reply::ApiError;
use crate::base::limits::HTTP_REQUEST_TIMEOUT;

/// What every answer says unless the handler has said otherwise. The UI is
/// files of this origin and nothing else.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; \
         object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (CACHE_CONTROL, "no-cache"),
    (REFERRER_POLICY, "no-referrer"),
    (VARY, "accept, accept-encoding, origin"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
];

/// Sees a request on its way, and the answer on its way back.
pub async fn pass(mut request: Request, next: Next) -> Response {
    if let Some(uri) = without_last_slash(request.uri()) {
        *request.uri_mut() = uri;
    }
    if is_foreign(request.method(), request.headers()) {
        let foreign = "changes are not made at the wish of another site's page";
        return ApiError::new(StatusCode::FORBIDDEN, "forbidden", foreign).into_response();
    }
    let is_question = request.method() == Method::OPTIONS;
    let Ok(mut response) = timeout(HTTP_REQUEST_TIMEOUT, next.run(request)).await else {
        let late = "the request took too long";
        return ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", late).into_response();
    };
    // No handler is for OPTIONS, so what is allowed is said already.
    if is_question && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        *response.status_mut() = StatusCode::OK;
    }
    allow_options(response.headers_mut());
    for (name, value) in HEADERS {
        let headers = response.headers_mut();
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// OPTIONS is allowed wherever anything is.
fn allow_options(headers: &mut HeaderMap) {
    let allowed = headers.get(ALLOW).and_then(|allowed| allowed.to_str().ok());
    let Some(allowed) = allowed.filter(|allowed| !allowed.contains("OPTIONS")) else {
        return;
    };
    if let Ok(allowed) = HeaderValue::from_str(&format!("{allowed},OPTIONS")) {
        headers.insert(ALLOW, allowed);
    }
}

/// RabbitMQ takes `/api/queues/` for `/api/queues`.
fn without_last_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/')?;
    if !path.starts_with("/api") {
        return None;
    }
    let rest = uri.query().map(|query| format!("?{query}"));
    format!("{path}{}", rest.unwrap_or_default()).parse().ok()
}
