//! The web interface: everything outside `/api`.

use axum::Router;
use axum::http::StatusCode;

use super::routes::Routes;

/// Its routes, from the root.
pub fn routes() -> Routes {
    Router::new().fallback(async || StatusCode::NOT_FOUND)
}
