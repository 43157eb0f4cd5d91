//! The rules by which messages are traced.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::Value;

use super::json;
use crate::broker::trace::{Criteria, Rule, RuleError, Sample};
use crate::management::access::{Acting, InVhost, Monitor};
use crate::management::api::Api;
use crate::management::body::{Body, unexpected};
use crate::management::path::{Path, exchange_name};
use crate::management::reply::{ApiError, Reply, done, found, put};
use crate::management::routes::Routes;

/// All that a rule may say.
const KEYS: [&str; 10] = [
    "exchange",
    "routing_key",
    "queue",
    "user",
    "correlation_id",
    "message_id",
    "headers",
    "sample",
    // Named by the path, and sent back by who has read a rule.
    "vhost",
    "name",
];

/// `/harrier/trace-rules`.
pub fn routes() -> Routes {
    Router::new()
        .route("/harrier/trace-rules", get(all))
        .route("/harrier/trace-rules/{vhost}", get(all_in))
        .route(
            "/harrier/trace-rules/{vhost}/{name}",
            get(one).put(start).delete(stop),
        )
}

async fn all(State(api): State<Arc<Api>>, Monitor(acting): Monitor) -> Reply {
    let entered = acting.vhosts();
    let is_own = |rule: &Rule| entered.iter().any(|vhost| *vhost.name() == rule.vhost);
    listed(&api, is_own)
}

async fn all_in(State(api): State<Arc<Api>>, InVhost { acting, vhost }: InVhost) -> Reply {
    permit(&acting)?;
    listed(&api, |rule| rule.vhost == *vhost.name())
}

fn listed(api: &Api, is_wanted: impl Fn(&Rule) -> bool) -> Reply {
    let rules = api.tracer().rules();
    let wanted = rules.iter().filter(|rule| is_wanted(rule));
    found(wanted.map(|rule| json::rule(rule)).collect())
}

async fn one(
    State(api): State<Arc<Api>>,
    InVhost { acting, vhost }: InVhost,
    Path((_, name)): Path<(String, String)>,
) -> Reply {
    permit(&acting)?;
    let rules = api.tracer().rules();
    let mut own = rules.iter().filter(|rule| rule.vhost == *vhost.name());
    let rule = own.find(|rule| *rule.name == *name);
    found(json::rule(rule.ok_or_else(ApiError::not_found)?))
}

async fn start(
    State(api): State<Arc<Api>>,
    InVhost { acting, vhost }: InVhost,
    Path((_, name)): Path<(String, String)>,
    body: Body,
) -> Reply {
    permit(&acting)?;
    let (criteria, sample) = (criteria(&body)?, sample(&body)?);
    let key = (Arc::clone(vhost.name()), name.into());
    let (by, now) = (Arc::clone(acting.name()), api.shared.now());
    let rule = Rule::new(key, criteria, sample, by, now.unix_ms);
    let (name, user) = (Arc::clone(&rule.name), acting.name());
    let created = api.shared.vhosts.put_trace_rule(rule);
    let created = created.map_err(|why| match why {
        RuleError::NoSuchVhost(_) => ApiError::not_found(),
        other => ApiError::bad_request(other),
    })?;
    tracing::info!(name = &*name, vhost = %vhost.name(), by = &**user, "tracing started");
    put(created)
}

async fn stop(
    State(api): State<Arc<Api>>,
    InVhost { acting, vhost }: InVhost,
    Path((_, name)): Path<(String, String)>,
) -> Reply {
    permit(&acting)?;
    if !api.shared.vhosts.remove_trace_rule(vhost.name(), &name) {
        return Err(ApiError::not_found());
    }
    tracing::info!(name, vhost = %vhost.name(), by = &**acting.name(), "tracing stopped");
    done()
}

/// Whoever traces sees what others publish and consume.
fn permit(acting: &Acting) -> Result<(), ApiError> {
    if acting.is_monitor() {
        return Ok(());
    }
    Err(ApiError::not_authorised("Not monitor user"))
}

fn criteria(body: &Body) -> Result<Criteria, ApiError> {
    if let Some(unknown) = body.0.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let known = KEYS.join(", ");
        return Err(ApiError::bad_request(format!(
            "'{unknown}' is nothing a rule can say: expected one of {known}"
        )));
    }
    let text = |key| Ok::<_, ApiError>(body.text(key)?.map(Arc::from));
    let mut headers = Vec::new();
    for (name, value) in body.object("headers")?.into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.as_str().into(),
            Value::Number(_) | Value::Bool(_) => value.to_string().into(),
            other => return Err(unexpected(name, "a string, a number or a boolean", other)),
        };
        headers.push((name.as_str().into(), text));
    }
    Ok(Criteria {
        exchange: body
            .text("exchange")?
            .map(|name| exchange_name(name).into()),
        routing_key: text("routing_key")?,
        queue: text("queue")?,
        user: text("user")?,
        correlation_id: text("correlation_id")?,
        message_id: text("message_id")?,
        headers,
    })
}

fn sample(body: &Body) -> Result<Sample, ApiError> {
    let Some(value) = body.get("sample") else {
        return Ok(Sample::all());
    };
    let sample = value.as_f64().and_then(Sample::new);
    sample.ok_or_else(|| unexpected("sample", "a number above 0, and at most 1", value))
}
