//! Changes that administrators make over HTTP, written down.
//!
//! Users, permissions, policies, virtual hosts, parameters, definitions, and
//! whatever is deleted. What applications do as well isn't: declaring queues,
//! publishing and getting messages. The workbench keeps its own account, which
//! says more. Bodies aren't kept: there are passwords in them.

use std::sync::{Arc, OnceLock};

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::access::Peer;
use super::api::Api;
use super::audit::Act;

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
    let Some(act) = kind(request.method(), request.uri().path()) else {
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
    let written = spawn_blocking(move || {
        let from = peer.map(|peer| peer.to_string()).unwrap_or_default();
        let act = Act {
            act,
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

/// What a request is, if it is one that is written down.
fn kind(method: &Method, path: &str) -> Option<&'static str> {
    let mut parts = path.strip_prefix("/api/")?.split('/');
    let first = parts.next()?;
    match (method.as_str(), first) {
        ("GET" | "HEAD" | "OPTIONS", _) | (_, "harrier" | "login") => None,
        ("DELETE", _) => Some("delete"),
        (_, "queues" | "exchanges" | "bindings") => None,
        _ => Some("change"),
    }
}

fn outcome(status: StatusCode) -> &'static str {
    if status.is_success() {
        return "done";
    }
    status.canonical_reason().unwrap_or("failed")
}
