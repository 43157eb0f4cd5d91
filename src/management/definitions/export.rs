//! What there is, written down as RabbitMQ does.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::policies::OPERATOR_POLICY;
use crate::broker::access::{User, UserLimits};
use crate::broker::parameters::ParameterKey;
use crate::broker::policy::{Policy, PolicyKind};
use crate::broker::queue::Queue;
use crate::broker::spec::{BindingSpec, Destination, ExchangeSpec};
use crate::broker::vhost::{Vhost, VhostLimits, VhostSettings};
use crate::management::arguments;
use crate::server::shared::{COMPATIBLE_VERSION, Shared};

/// The component of parameters that are a virtual host's limits.
const VHOST_LIMITS: &str = "vhost-limits";
/// The argument that says what type of queue it is.
const QUEUE_TYPE: &str = "x-queue-type";
/// What the names of exchanges begin with that are always there.
const RESERVED: &str = "amq.";

/// All there is on the broker that calls itself `cluster`.
pub fn whole(shared: &Shared, cluster: &str) -> Value {
    let mut vhosts = shared.vhosts.all();
    vhosts.sort_unstable_by(|one, other| one.name().cmp(other.name()));
    let mut all = versions();
    all.insert("rabbitmq_definition_format".into(), "cluster".into());
    all.insert("original_cluster_name".into(), cluster.into());
    let explanation = format!("Definitions of cluster '{cluster}'");
    all.insert("explanation".into(), explanation.into());
    let users: Vec<_> = shared.access.users().iter().map(|one| user(one)).collect();
    all.insert("users".into(), users.into());
    all.insert("vhosts".into(), vhosts.iter().map(of).collect());
    all.insert("permissions".into(), permissions(shared));
    all.insert("topic_permissions".into(), topic_permissions(shared));
    all.insert("global_parameters".into(), global_parameters(shared));
    for (list, rows) in lists(shared, &vhosts) {
        let rows = rows.into_iter().map(|(vhost, mut row)| {
            row["vhost"] = (*vhost).into();
            row
        });
        all.insert(list.into(), rows.collect());
    }
    all.into()
}

/// All there is in a virtual host.
pub fn of_vhost(shared: &Shared, vhost: &Arc<Vhost>) -> Value {
    let (name, settings) = (vhost.name(), vhost.settings());
    let mut all = versions();
    let format = "single_virtual_host";
    all.insert("rabbitmq_definition_format".into(), format.into());
    all.insert("original_vhost_name".into(), (&**name).into());
    let explanation = format!("Definitions of virtual host '{name}'");
    all.insert("explanation".into(), explanation.into());
    all.insert("description".into(), (&*settings.description).into());
    all.insert("metadata".into(), metadata(&settings));
    all.insert("limits".into(), vhost_limits(settings.limits));
    for (list, rows) in lists(shared, std::slice::from_ref(vhost)) {
        let rows = rows.into_iter().map(|(_, row)| row);
        all.insert(list.into(), rows.collect());
    }
    all.into()
}

fn versions() -> Map<String, Value> {
    let mut all = Map::new();
    for key in ["rabbit_version", "rabbitmq_version", "product_version"] {
        all.insert(key.into(), COMPATIBLE_VERSION.into());
    }
    all.insert("product_name".into(), "RabbitMQ".into());
    all
}

type Rows = Vec<(Arc<str>, Value)>;

/// What is in virtual hosts, list by list, each row with the name of its own.
fn lists(shared: &Shared, vhosts: &[Arc<Vhost>]) -> [(&'static str, Rows); 5] {
    fn each(vhosts: &[Arc<Vhost>], rows: impl Fn(&Vhost) -> Vec<Value>) -> Rows {
        let named = vhosts.iter().flat_map(|vhost| {
            let rows = rows(vhost).into_iter();
            rows.map(|row| (Arc::clone(vhost.name()), row))
        });
        named.collect()
    }
    let policies = |vhost: &Vhost| {
        let policies = vhost.policies(PolicyKind::User);
        policies.iter().map(|one| policy(one)).collect()
    };
    [
        (
            "parameters",
            each(vhosts, |vhost| parameters(shared, vhost)),
        ),
        ("policies", each(vhosts, policies)),
        ("queues", each(vhosts, queues)),
        ("exchanges", each(vhosts, exchanges)),
        ("bindings", each(vhosts, bindings)),
    ]
}

/// A user as the management interface shows one.
pub(in crate::management) fn user(user: &User) -> Value {
    json!({
        "name": user.name,
        "password_hash": user.password.to_base64(),
        "hashing_algorithm": user.password.algorithm().name(),
        "tags": user.tags,
        "limits": user_limits(user.limits),
    })
}

/// The limits that a user has.
pub(in crate::management) fn user_limits(limits: UserLimits) -> Value {
    given([
        ("max-connections", limits.max_connections),
        ("max-channels", limits.max_channels),
    ])
}

/// The limits that a virtual host has.
pub(in crate::management) fn vhost_limits(limits: VhostLimits) -> Value {
    given([
        ("max-connections", limits.max_connections),
        ("max-queues", limits.max_queues),
    ])
}

fn given(limits: [(&str, Option<i64>); 2]) -> Value {
    let given = limits
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    Value::Object(given.collect())
}

fn of(vhost: &Arc<Vhost>) -> Value {
    let settings = vhost.settings();
    json!({
        "name": vhost.name(),
        "limits": vhost_limits(settings.limits),
        "metadata": metadata(&settings),
    })
}

fn metadata(settings: &VhostSettings) -> Value {
    let mut metadata = json!({
        "description": settings.description,
        "tags": settings.tags,
    });
    if let Some(kind) = &settings.default_queue_type {
        metadata["default_queue_type"] = (&**kind).into();
    }
    if settings.protected {
        metadata["protected_from_deletion"] = true.into();
    }
    metadata
}

fn permissions(shared: &Shared) -> Value {
    let all = shared.access.permissions();
    let row = all.iter().map(|(vhost, user, may)| {
        json!({
            "user": user,
            "vhost": vhost,
            "configure": may.configure.source(),
            "write": may.write.source(),
            "read": may.read.source(),
        })
    });
    row.collect()
}

fn topic_permissions(shared: &Shared) -> Value {
    let all = shared.access.topic_permissions();
    let row = all.iter().map(|(vhost, user, may)| {
        json!({
            "user": user,
            "vhost": vhost,
            "exchange": may.exchange,
            "write": may.write,
            "read": may.read,
        })
    });
    row.collect()
}

fn global_parameters(shared: &Shared) -> Value {
    let all = shared.vhosts.parameters().all();
    let global = all.iter().filter_map(|one| match &one.key {
        ParameterKey::Global { name } => Some(json!({"name": name, "value": read(&one.value)})),
        ParameterKey::Of { .. } => None,
    });
    global.collect()
}

/// The JSON of a parameter's value.
pub(in crate::management) fn read(value: &str) -> Value {
    // It was written from JSON.
    serde_json::from_str(value).unwrap_or_default()
}

/// Limits and the policies of operators are parameters, too.
fn parameters(shared: &Shared, vhost: &Vhost) -> Vec<Value> {
    let row = |component: &str, name: &str, value: Value| json!({"component": component, "name": name, "value": value});
    let mut rows = Vec::new();
    let limits = vhost_limits(vhost.settings().limits);
    if limits.as_object().is_some_and(|limits| !limits.is_empty()) {
        rows.push(row(VHOST_LIMITS, "limits", limits));
    }
    let operator = vhost.policies(PolicyKind::Operator);
    rows.extend(
        operator
            .iter()
            .map(|one| row(OPERATOR_POLICY, one.name(), rule(one))),
    );
    for one in shared.vhosts.parameters().all() {
        if let ParameterKey::Of {
            component,
            vhost: own,
            name,
        } = &one.key
            && own == vhost.name()
        {
            rows.push(row(component, name, read(&one.value)));
        }
    }
    rows
}

/// What a policy says, without its name.
pub(in crate::management) fn rule(policy: &Policy) -> Value {
    json!({
        "pattern": policy.pattern().source(),
        "apply-to": policy.apply_to().name(),
        "definition": arguments::json(policy.definition()),
        "priority": policy.priority(),
    })
}

fn policy(policy: &Policy) -> Value {
    let mut row = rule(policy);
    row["name"] = (&**policy.name()).into();
    row
}

/// Whether others can declare it, and it is there for others.
fn is_shared(queue: &Queue) -> bool {
    let is_own = queue.holds_for().or(queue.remembers_for()).is_some();
    queue.owner().is_none() && !queue.spec().exclusive && !is_own
}

fn queues(vhost: &Vhost) -> Vec<Value> {
    let all = vhost.queues();
    let row = |queue: &Arc<Queue>| {
        let spec = queue.spec();
        let mut given = spec.arguments.clone();
        let kind = given.get(QUEUE_TYPE).and_then(|kind| kind.as_str());
        let kind = kind.unwrap_or("classic").to_owned();
        given.set(QUEUE_TYPE, kind.as_str());
        json!({
            "name": spec.name,
            "type": kind,
            "durable": spec.durable,
            "auto_delete": spec.auto_delete,
            "arguments": arguments::json(&given),
        })
    };
    all.iter()
        .filter(|queue| is_shared(queue))
        .map(row)
        .collect()
}

fn exchanges(vhost: &Vhost) -> Vec<Value> {
    let is_always_there =
        |spec: &ExchangeSpec| spec.name.is_empty() || spec.name.starts_with(RESERVED);
    let all = vhost.exchanges();
    let row = |spec: &ExchangeSpec| {
        let mut row = json!({
            "name": spec.name,
            "type": spec.kind,
            "durable": spec.durable,
            "auto_delete": spec.auto_delete,
            "arguments": arguments::json(&spec.arguments),
        });
        // RabbitMQ leaves these exchanges out, and so the word for all others.
        if spec.internal {
            row["internal"] = true.into();
        }
        row
    };
    all.iter()
        .filter(|spec| !is_always_there(spec))
        .map(row)
        .collect()
}

fn bindings(vhost: &Vhost) -> Vec<Value> {
    let row = |spec: &BindingSpec| {
        let kind = match spec.destination {
            Destination::Queue(_) => "queue",
            Destination::Exchange(_) => "exchange",
        };
        json!({
            "source": spec.source,
            "destination": spec.destination.name(),
            "destination_type": kind,
            "routing_key": spec.routing_key,
            "arguments": arguments::json(&spec.arguments),
        })
    };
    let shared: std::collections::HashSet<_> = vhost
        .queues()
        .iter()
        .filter(|queue| is_shared(queue))
        .map(|queue| Arc::clone(queue.name()))
        .collect();
    let goes_along = |spec: &BindingSpec| match &spec.destination {
        Destination::Queue(name) => shared.contains(name),
        Destination::Exchange(_) => true,
    };
    let all = vhost.bindings();
    let written = all.iter().filter(|spec| !spec.source.is_empty());
    written.filter(|spec| goes_along(spec)).map(row).collect()
}
