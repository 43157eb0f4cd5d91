//! Changes that administrators make over HTTP, written down.
//!
//! Users, permissions, policies, virtual hosts, parameters, definitions, rules of
//! tracing, and whatever is deleted. What applications do as well isn't: declaring
//! queues, publishing and getting messages. The workbench keeps its own account,
//! which says more; what it refuses is written down here. Bodies aren't kept: there
//! are passwords in them.

use std::sync::{Arc, OnceLock};

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::access::Peer;
use super::api::Api;
use super::audit::{Act, Deed};

/// Who acts, told by whoever finds out while the request is answered.
#[derive(Debug, Clone, Default)]
pub struct Actor(Arc<OnceLock<Arc<str>>>);

impl Actor {
    /// Tells who it is.
    pub fn tell(&self, user: &Arc<str>) {
        self.0.get_or_init(|| Arc::clone(user));
    }
}

/// Passes a request on and writes down what came of it, if it is of that kind.
/// Who can't log in hasn't acted.
pub async fn note(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let Some((deed, when)) = kind(request.method(), request.uri().path()) else {
        return next.run(request).await;
    };
    let actor = Actor::default();
    request.extensions_mut().insert(actor.clone());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let response = next.run(request).await;
    let status = response.status();
    let Some(user) = actor.0.get().cloned() else {
        return response;
    };
    if when == When::Refused && !is_refused(status) {
        return response;
    }
    let written = spawn_blocking(move || {
        let from = peer.map(|peer| peer.to_string()).unwrap_or_default();
        let act = Act {
            deed,
            user: &user,
            from: &from,
            about: json!({ "method": method.as_str(), "path": path, "status": status.as_u16() }),
            count: 1,
            outcome: outcome(status),
        };
        let now = api.shared.now().unix_ms;
        api.audit.record(&act, now, api.shared.vhosts.herald());
    });
    // It logs what goes wrong.
    let _written = written.await;
    response
}

/// When a request is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Whatever comes of it.
    Always,
    /// When it is refused: what is done says so itself.
    Refused,
}

/// What a request is, if it is one that is written down.
fn kind(method: &Method, path: &str) -> Option<(Deed, When)> {
    let path = path.strip_prefix("/api/")?;
    let mut parts = path.split('/');
    let (first, second) = (parts.next()?, parts.next());
    match (method.as_str(), first, second) {
        ("GET" | "HEAD" | "OPTIONS", ..) | (_, "login", _) => None,
        ("DELETE", "harrier", Some("jobs")) => Some((Deed::Cancel, When::Always)),
        ("DELETE", ..) => Some((Deed::Delete, When::Always)),
        ("POST", "harrier", Some("queues" | "jobs")) => {
            let deed = match parts.next_back() {
                Some("replay") => Deed::Replay,
                Some("drop") => Deed::Drop,
                Some("import") => Deed::Import,
                _ => Deed::Change,
            };
            Some((deed, When::Refused))
        }
        (_, "queues" | "exchanges" | "bindings", _) => None,
        _ => Some((Deed::Change, When::Always)),
    }
}

fn is_refused(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

fn outcome(status: StatusCode) -> &'static str {
    if status.is_success() {
        return "done";
    }
    status.canonical_reason().unwrap_or("failed")
}
