//! Making, changing and deleting virtual hosts.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{post, put};

use super::access::Administrator;
use super::api::Api;
use super::body::Body;
use super::path::Path;
use super::reply::{self, ApiError, Reply, done};
use super::routes::Routes;
use super::users::read_tags;
use crate::broker::access::{AccessError, Permissions};
use crate::broker::vhost::VhostSettings;

/// `/vhosts/{vhost}`, as far as it changes something.
pub fn routes() -> Routes {
    Router::new()
        .route("/vhosts/{vhost}", put(set).delete(delete))
        .route(
            "/vhosts/{vhost}/deletion/protection",
            post(protect).delete(unprotect),
        )
        .route("/vhosts/{vhost}/start/{node}", post(start))
}

/// What isn't said of it is as if it were new, but for its limits and whether it
/// may be deleted, which have their own paths. Whoever makes one may do
/// everything in it.
async fn set(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path(name): Path<String>,
    body: Body,
) -> Reply {
    let by = acting.name();
    let tracing = body.flag("tracing")?;
    let given = settings(&api, &body)?;
    let known = api.shared.vhosts.get(&name);
    let settings = match known.map(|known| known.settings()) {
        Some(current) => VhostSettings {
            protected: current.protected,
            limits: current.limits,
            ..given
        },
        None => given,
    };
    let applied = api.shared.put_vhost(&name, settings, by);
    let applied = applied.map_err(ApiError::bad_request)?;
    let mut batch = applied.batch;
    if applied.created {
        let everything = Permissions::new(".*", ".*", ".*").map_err(ApiError::internal)?;
        let permitted = api.shared.set_permissions(by, &name, everything, by);
        // Somebody of whom a token tells isn't known here, and needs none.
        batch = permitted.map_or(batch, |permitted| permitted.batch.max(batch));
    }
    if let Some(vhost) = api.shared.vhosts.get(&name)
        && let Some(on) = tracing
    {
        vhost.set_tracing(on);
    }
    api.synced(batch).await;
    reply::put(applied.created)
}

fn settings(api: &Api, body: &Body) -> Result<VhostSettings, ApiError> {
    let kind = body.text("default_queue_type")?;
    let kind = kind.filter(|kind| !kind.is_empty() && *kind != "undefined");
    let kind = kind.unwrap_or(&api.shared.config.default_queue_type);
    let tags = body.get("tags").map(read_tags).transpose()?;
    Ok(VhostSettings {
        description: body.text("description")?.unwrap_or_default().into(),
        tags: tags.unwrap_or_default(),
        default_queue_type: Some(kind.into()),
        ..VhostSettings::default()
    })
}

async fn delete(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path(name): Path<String>,
) -> Reply {
    let deleted = api.shared.delete_vhost(&name, acting.name());
    let applied = deleted.map_err(|error| match error {
        AccessError::Protected(_) => ApiError::precondition_failed(error),
        _ => ApiError::not_found(),
    })?;
    api.synced(applied.batch).await;
    done()
}

async fn protect(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path(name): Path<String>,
) -> Reply {
    set_protected(&api, &name, true, acting.name()).await
}

async fn unprotect(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path(name): Path<String>,
) -> Reply {
    set_protected(&api, &name, false, acting.name()).await
}

async fn set_protected(api: &Api, name: &str, protected: bool, by: &str) -> Reply {
    let changed = api.shared.change_vhost(name, by, |settings| {
        settings.protected = protected;
        Ok(())
    });
    let applied = changed.map_err(|_| {
        let change = if protected { "enable" } else { "disable" };
        ApiError::missing(format!(
            "Cannot {change} deletion protection of virtual host '{name}' because it does not exist"
        ))
    })?;
    api.synced(applied.batch).await;
    done()
}

/// Virtual hosts are up whenever their node is.
async fn start(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path((vhost, node)): Path<(String, String)>,
) -> Reply {
    api.shared
        .vhosts
        .get(&vhost)
        .ok_or_else(ApiError::not_found)?;
    if node == api.node() {
        return done();
    }
    Err(ApiError::bad_request(format!("Unknown node: {node}")))
}
