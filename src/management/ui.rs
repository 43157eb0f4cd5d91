//! The web interface: everything outside `/api`.
//!
//! Files of this binary, served as they are; `ui/README.md` says what they are
//! made of and why.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::routes::Routes;

/// What the pages may do: run and draw what comes from here, talk to this broker,
/// save files that they made themselves. Nothing inline, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// The files, by their path below `ui/`.
macro_rules! files {
    ($($path:literal,)+) => {
        [$(($path, include_bytes!(concat!("ui/", $path)).as_slice())),+]
    };
}

static FILES: &[(&str, &[u8])] = &files![
    "index.html",
    "favicon.svg",
    "css/base.css",
    "css/pages.css",
    "css/parts.css",
    "fonts/LICENSE",
    "fonts/plex-mono-400.woff2",
    "fonts/plex-sans-400.woff2",
    "fonts/plex-sans-600.woff2",
    "js/api.js",
    "js/cell.js",
    "js/chart.js",
    "js/format.js",
    "js/frame.js",
    "js/history.js",
    "js/keys.js",
    "js/live.js",
    "js/login.js",
    "js/main.js",
    "js/pages/audit.js",
    "js/pages/binding_list.js",
    "js/pages/bindings.js",
    "js/pages/channels.js",
    "js/pages/common.js",
    "js/pages/connections.js",
    "js/pages/consumers.js",
    "js/pages/dead_letter_ways.js",
    "js/pages/dead_letters.js",
    "js/pages/definitions.js",
    "js/pages/exchanges.js",
    "js/pages/graph.js",
    "js/pages/limits.js",
    "js/pages/message.js",
    "js/pages/overview.js",
    "js/pages/parameters.js",
    "js/pages/policies.js",
    "js/pages/publish.js",
    "js/pages/queue.js",
    "js/pages/queues.js",
    "js/pages/traces.js",
    "js/pages/users.js",
    "js/pages/vhosts.js",
    "js/pages/workbench.js",
    "js/pages/workbench_acts.js",
    "js/pages/workbench_api.js",
    "js/pages/workbench_filters.js",
    "js/pages/workbench_messages.js",
    "js/pages/workbench_summary.js",
    "js/pairs.js",
    "js/parts.js",
    "js/router.js",
    "js/session.js",
    "js/settings.js",
    "js/table.js",
    "js/theme.js",
    "js/ui.js",
    "vendor/LICENSE-htm",
    "vendor/LICENSE-preact",
    "vendor/hooks.js",
    "vendor/htm.js",
    "vendor/preact.js",
];

/// A file with what is said about it.
struct File {
    kind: &'static str,
    /// Changes with the content, so that a browser keeps a file until then.
    tag: String,
    content: &'static [u8],
}

static BY_PATH: LazyLock<HashMap<&'static str, File>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(path, content)| (*path, file(path, content)))
        .collect()
});

fn file(path: &str, content: &'static [u8]) -> File {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    File {
        kind: kind(path),
        tag: format!("\"{:016x}\"", hasher.finish()),
        content,
    }
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        Some((_, "woff2")) => "font/woff2",
        _ => "text/plain; charset=utf-8",
    }
}

/// Its routes, from the root.
pub fn routes() -> Routes {
    Router::new().fallback(get(serve))
}

async fn serve(uri: Uri, asked: HeaderMap) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let Some(file) = BY_PATH.get(path) else {
        return (StatusCode::NOT_FOUND, "There is no such page.\n").into_response();
    };
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    if let Ok(tag) = HeaderValue::from_str(&file.tag) {
        headers.insert(ETAG, tag);
    }
    if is_known(&asked, &file.tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.kind));
    (headers, file.content).into_response()
}

/// Whether the browser has the file as it is.
fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let known = asked.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    known.is_some_and(|tags| {
        let mut tags = tags
            .split(',')
            .map(|each| each.trim().trim_start_matches("W/"));
        tags.any(|each| each == tag || each == "*")
    })
}
