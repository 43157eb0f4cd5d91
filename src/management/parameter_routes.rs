//! Runtime parameters over HTTP. Limits and policies of operators are shown
//! among them, as they are in definitions.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::access::{Acting, OfVhost, Viewer};
use super::api::Api;
use super::body::Body;
use super::definitions::export::{read, rule, vhost_limits};
use super::listing::Listing;
use super::parameters::{self, SetError};
use super::path::Path;
use super::policies::check_policymaker;
use super::reply::{ApiError, Reply, done, found, listed, put};
use super::routes::Routes;
use crate::broker::parameters::{ParameterError, ParameterKey};
use crate::broker::policy::PolicyKind;
use crate::broker::vhost::Vhost;
use crate::server::shared::Shared;

/// `/parameters` and `/global-parameters`.
pub fn routes() -> Routes {
    Router::new()
        .route("/parameters", get(all))
        .route("/parameters/{component}", get(of_component))
        .route("/parameters/{component}/{vhost}", get(of_component_in))
        .route(
            "/parameters/{component}/{vhost}/{name}",
            get(one).put(set).delete(clear),
        )
        .route("/global-parameters", get(all_global))
        .route(
            "/global-parameters/{name}",
            get(one_global).put(set_global).delete(clear_global),
        )
}

/// A parameter of a component, or what is shown as one.
struct Row {
    component: Arc<str>,
    vhost: Arc<str>,
    name: Arc<str>,
    value: Value,
}

fn shown(row: &Row) -> Value {
    json!({
        "component": row.component,
        "vhost": row.vhost,
        "name": row.name,
        "value": row.value,
    })
}

/// What there is in some virtual hosts. Users' policies are only among them for
/// those who ask for them.
fn rows(shared: &Shared, vhosts: &[Arc<Vhost>], component: Option<&str>) -> Vec<Row> {
    let mut rows = Vec::new();
    for vhost in vhosts {
        let row = |component: &str, name: &str, value| Row {
            component: component.into(),
            vhost: Arc::clone(vhost.name()),
            name: name.into(),
            value,
        };
        let limits = vhost_limits(vhost.settings().limits);
        if limits.as_object().is_some_and(|limits| !limits.is_empty()) {
            rows.push(row("vhost-limits", "limits", limits));
        }
        for kind in [PolicyKind::Operator, PolicyKind::User] {
            if kind == PolicyKind::Operator || component == Some(kind.name()) {
                let policies = vhost.policies(kind);
                rows.extend(
                    policies
                        .iter()
                        .map(|one| row(kind.name(), one.name(), rule(one))),
                );
            }
        }
    }
    for parameter in shared.vhosts.parameters().all() {
        if let ParameterKey::Of {
            component,
            vhost,
            name,
        } = parameter.key
            && vhosts.iter().any(|own| *own.name() == vhost)
        {
            rows.push(Row {
                component,
                vhost,
                name,
                value: read(&parameter.value),
            });
        }
    }
    rows.retain(|row| component.is_none_or(|component| *row.component == *component));
    rows
}

async fn list(listing: Listing, rows: Vec<Row>) -> Reply {
    listed(listing, rows, |row| &row.name, shown).await
}

/// Those who may see parameters at all: RabbitMQ asks for more than for most
/// lists, since there are passwords in the addresses that shovels have.
fn check_may_see(acting: &Acting) -> Result<(), ApiError> {
    if acting.is_policymaker() {
        return Ok(());
    }
    Err(ApiError::not_authorised(
        "User not authorised to access object",
    ))
}

async fn all(State(api): State<Arc<Api>>, Viewer(acting): Viewer, listing: Listing) -> Reply {
    check_may_see(&acting)?;
    list(listing, rows(&api.shared, &acting.visible_vhosts(), None)).await
}

async fn of_component(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path(component): Path<String>,
    listing: Listing,
) -> Reply {
    check_may_see(&acting)?;
    let vhosts = acting.visible_vhosts();
    list(listing, rows(&api.shared, &vhosts, Some(&component))).await
}

async fn of_component_in(
    State(api): State<Arc<Api>>,
    within: OfVhost,
    Path((component, _)): Path<(String, String)>,
    listing: Listing,
) -> Reply {
    check_may_see(&within.acting)?;
    list(
        listing,
        rows(&api.shared, &[within.vhost], Some(&component)),
    )
    .await
}

async fn one(
    State(api): State<Arc<Api>>,
    within: OfVhost,
    Path((component, _, name)): Path<(String, String, String)>,
    listing: Listing,
) -> Reply {
    check_may_see(&within.acting)?;
    let rows = rows(&api.shared, &[within.vhost], Some(&component));
    let row = rows.iter().find(|row| *row.name == *name);
    found(listing.project(shown(row.ok_or_else(ApiError::not_found)?)))
}

fn key(component: &str, vhost: &str, name: &str) -> ParameterKey {
    ParameterKey::Of {
        component: component.into(),
        vhost: vhost.into(),
        name: name.into(),
    }
}

async fn set(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path((component, vhost, name)): Path<(String, String, String)>,
    body: Body,
) -> Reply {
    let known = api.shared.vhosts.get(&vhost);
    let known = known.ok_or_else(|| ApiError::missing("vhost_not_found"))?;
    check_policymaker(&acting, &known)?;
    put_value(&api, &acting, key(&component, &vhost, &name), &body).await
}

async fn put_value(api: &Api, acting: &Acting, key: ParameterKey, body: &Body) -> Reply {
    let [value] = body.required(["value"])?;
    let set = parameters::set(&api.shared, key, value, acting.name());
    let applied = set.map_err(refused)?;
    api.synced(applied.batch).await;
    put(applied.created)
}

fn refused(error: SetError) -> ApiError {
    match error {
        SetError::Refused(ParameterError::NoSuchVhost(_)) => ApiError::missing("vhost_not_found"),
        other => ApiError::bad_request(format!("Validation failed\n\n{other}\n")),
    }
}

async fn clear(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path((component, vhost, name)): Path<(String, String, String)>,
) -> Reply {
    let known = api.shared.vhosts.get(&vhost);
    let known = known.ok_or_else(ApiError::not_found)?;
    check_policymaker(&acting, &known)?;
    clear_value(&api, &acting, &key(&component, &vhost, &name)).await
}

async fn clear_value(api: &Api, acting: &Acting, key: &ParameterKey) -> Reply {
    let batch = api.shared.clear_parameter(key, acting.name());
    let batch = batch.ok_or_else(ApiError::not_found)?;
    api.synced(Some(batch)).await;
    done()
}

/// Those of the whole broker, with their names.
fn globals(shared: &Shared) -> Vec<(Arc<str>, Value)> {
    let all = shared.vhosts.parameters().all().into_iter();
    let globals = all.filter_map(|one| match one.key {
        ParameterKey::Global { name } => Some((name, read(&one.value))),
        ParameterKey::Of { .. } => None,
    });
    globals.collect()
}

fn shown_global((name, value): &(Arc<str>, Value)) -> Value {
    json!({ "name": name, "value": value })
}

async fn all_global(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    listing: Listing,
) -> Reply {
    check_may_see(&acting)?;
    listed(
        listing,
        globals(&api.shared),
        |(name, _)| name,
        shown_global,
    )
    .await
}

async fn one_global(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path(name): Path<String>,
    listing: Listing,
) -> Reply {
    check_may_see(&acting)?;
    let globals = globals(&api.shared);
    let row = globals.iter().find(|(own, _)| **own == *name);
    found(listing.project(shown_global(row.ok_or_else(ApiError::not_found)?)))
}

async fn set_global(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path(name): Path<String>,
    body: Body,
) -> Reply {
    check_may_see(&acting)?;
    let name = name.as_str().into();
    put_value(&api, &acting, ParameterKey::Global { name }, &body).await
}

async fn clear_global(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path(name): Path<String>,
) -> Reply {
    check_may_see(&acting)?;
    let name = name.as_str().into();
    clear_value(&api, &acting, &ParameterKey::Global { name }).await
}
