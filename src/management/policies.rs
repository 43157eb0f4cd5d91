//! Policies, of those who use the broker and of those who run it.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::Value;

use super::access::{Acting, Administrator, InVhost, Viewer};
use super::api::Api;
use super::arguments::table;
use super::body::Body;
use super::definitions::export::rule;
use super::limits::SaysJson;
use super::listing::Listing;
use super::path::Path;
use super::reply::{ApiError, Reply, done, found, listed, put};
use super::routes::Routes;
use super::term::term;
use crate::broker::policy::{ApplyTo, Policy, PolicyError, PolicyKind};
use crate::broker::vhost::Vhost;

/// `/policies` and `/operator-policies`.
pub fn routes() -> Routes {
    Router::new()
        .route("/policies", get(of_users))
        .route("/policies/{vhost}", get(of_users_in))
        .route(
            "/policies/{vhost}/{name}",
            get(of_users_one).put(set_of_users).delete(clear_of_users),
        )
        .route("/operator-policies", get(of_operators))
        .route("/operator-policies/{vhost}", get(of_operators_in))
        .route(
            "/operator-policies/{vhost}/{name}",
            get(of_operators_one)
                .put(set_of_operators)
                .delete(clear_of_operators),
        )
}

/// Who may change what users' policies and parameters say in a virtual host.
///
/// # Errors
/// 401, or 404 to a policymaker who may not enter it.
pub fn check_policymaker(acting: &Acting, vhost: &Vhost) -> Result<(), ApiError> {
    if acting.is_administrator() {
        return Ok(());
    }
    if !acting.is_policymaker() {
        return Err(ApiError::not_authorised(
            "User not authorised to access object",
        ));
    }
    if acting.may_enter(vhost) {
        return Ok(());
    }
    Err(ApiError::hidden())
}

async fn list(listing: Listing, kind: PolicyKind, vhosts: Vec<Arc<Vhost>>) -> Reply {
    let rows: Vec<_> = vhosts
        .iter()
        .flat_map(|vhost| {
            let policies = vhost.policies(kind).into_iter();
            policies.map(|policy| (Arc::clone(vhost.name()), policy))
        })
        .collect();
    let shown = |(vhost, policy): &(Arc<str>, Arc<Policy>)| shown(vhost, policy);
    listed(listing, rows, |(_, policy)| policy.name(), shown).await
}

fn shown(vhost: &str, policy: &Policy) -> Value {
    let mut shown = rule(policy);
    shown["vhost"] = vhost.into();
    shown["name"] = (&**policy.name()).into();
    shown
}

async fn of_users(Viewer(acting): Viewer, listing: Listing) -> Reply {
    list(listing, PolicyKind::User, acting.vhosts()).await
}

async fn of_operators(Viewer(acting): Viewer, listing: Listing) -> Reply {
    list(listing, PolicyKind::Operator, acting.vhosts()).await
}

async fn of_users_in(within: InVhost, listing: Listing) -> Reply {
    list(listing, PolicyKind::User, vec![within.vhost]).await
}

async fn of_operators_in(within: InVhost, listing: Listing) -> Reply {
    list(listing, PolicyKind::Operator, vec![within.vhost]).await
}

async fn of_users_one(
    within: InVhost,
    Path((_, name)): Path<(String, String)>,
    listing: Listing,
) -> Reply {
    one(&within.vhost, PolicyKind::User, &name, &listing)
}

async fn of_operators_one(
    _: Administrator,
    within: InVhost,
    Path((_, name)): Path<(String, String)>,
    listing: Listing,
) -> Reply {
    one(&within.vhost, PolicyKind::Operator, &name, &listing)
}

fn one(vhost: &Vhost, kind: PolicyKind, name: &str, listing: &Listing) -> Reply {
    let policy = vhost.policy(kind, name).ok_or_else(ApiError::not_found)?;
    found(listing.project(shown(vhost.name(), &policy)))
}

async fn set_of_users(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path(names): Path<(String, String)>,
    body: Body,
) -> Reply {
    let vhost = known(&api, &names.0)?;
    check_policymaker(&acting, &vhost)?;
    set(&api, &acting, PolicyKind::User, names, &body).await
}

async fn set_of_operators(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path(names): Path<(String, String)>,
    _: SaysJson,
    body: Body,
) -> Reply {
    set(&api, &acting, PolicyKind::Operator, names, &body).await
}

async fn set(
    api: &Api,
    acting: &Acting,
    kind: PolicyKind,
    (vhost, name): (String, String),
    body: &Body,
) -> Reply {
    known(api, &vhost)?;
    let policy = read(kind, &name, body)?;
    let set = api.shared.set_policy(&vhost, policy, acting.name());
    let applied = set.map_err(|error| match error {
        PolicyError::NoSuchVhost(_) => ApiError::missing("vhost_not_found"),
        other => ApiError::bad_request(other),
    })?;
    api.synced(applied.batch).await;
    put(applied.created)
}

fn known(api: &Api, vhost: &str) -> Result<Arc<Vhost>, ApiError> {
    let vhost = api.shared.vhosts.get(vhost);
    vhost.ok_or_else(|| ApiError::missing("vhost_not_found"))
}

async fn clear_of_users(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path(names): Path<(String, String)>,
) -> Reply {
    let vhost = api.shared.vhosts.get(&names.0);
    let vhost = vhost.ok_or_else(ApiError::not_found)?;
    check_policymaker(&acting, &vhost)?;
    clear(&api, &acting, PolicyKind::User, names).await
}

async fn clear_of_operators(
    State(api): State<Arc<Api>>,
    Administrator(acting): Administrator,
    Path(names): Path<(String, String)>,
) -> Reply {
    clear(&api, &acting, PolicyKind::Operator, names).await
}

async fn clear(
    api: &Api,
    acting: &Acting,
    kind: PolicyKind,
    (vhost, name): (String, String),
) -> Reply {
    let cleared = api.shared.clear_policy(&vhost, kind, &name, acting.name());
    let Ok(Some(batch)) = cleared else {
        return Err(ApiError::not_found());
    };
    api.synced(Some(batch)).await;
    done()
}

fn read(kind: PolicyKind, name: &str, body: &Body) -> Result<Policy, ApiError> {
    let [pattern, definition] = body.required(["pattern", "definition"])?;
    let invalid = |why: String| ApiError::bad_request(format!("Validation failed\n\n{why}\n"));
    let pattern = pattern.as_str().ok_or_else(|| {
        invalid(format!(
            "pattern should be a binary but was {}",
            term(pattern)
        ))
    })?;
    let apply_to = match body.get("apply-to") {
        None => ApplyTo::default(),
        Some(Value::String(word)) => {
            ApplyTo::named(word).map_err(|error| invalid(error.to_string()))?
        }
        Some(other) => {
            let word = term(other);
            return Err(invalid(format!(
                "apply-to should be a string, actually was {word}"
            )));
        }
    };
    let priority = match body.get("priority") {
        None => 0,
        Some(given) => given.as_i64().ok_or_else(|| {
            let given = term(given);
            invalid(format!("priority should be a number, actually was {given}"))
        })?,
    };
    let definition = match definition {
        Value::Object(object) => table(object).map_err(invalid)?,
        Value::Array(none) if none.is_empty() => table([]).map_err(invalid)?,
        other => {
            let given = term(other);
            return Err(invalid(format!(
                "definition should be an object, actually was {given}"
            )));
        }
    };
    Policy::new(kind, name, pattern, apply_to, priority, definition)
        .map_err(|error| invalid(error.to_string()))
}
