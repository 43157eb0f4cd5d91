//! From what is written to what is meant, checked as far as it goes by itself.

use std::sync::Arc;

use serde::Deserialize;

use super::document::{
    Binding, DestinationType, Document, Exchange, Object, Parameter, Permission, Queue, Tags,
    TopicPermission, User, Vhost,
};
use super::policies::{self, OPERATOR_POLICY};
use super::{Definitions, DefinitionsError, In};
use crate::broker::access::{self, AccessError, PasswordHash, Permissions, UserLimits};
use crate::broker::spec::{BindingSpec, Destination, ExchangeSpec, QueueSpec};
use crate::broker::vhost::{VhostLimits, VhostSettings};
use crate::management::arguments::table;

/// The argument that says what type of queue it is.
const QUEUE_TYPE: &str = "x-queue-type";
/// The component of parameters that are a virtual host's limits.
const VHOST_LIMITS: &str = "vhost-limits";

/// A user to be made.
#[derive(Debug)]
pub(super) struct UserEntry {
    pub(super) name: String,
    pub(super) password: Password,
    pub(super) tags: Vec<Arc<str>>,
    pub(super) limits: Option<UserLimits>,
}

/// What is said of a user's password.
pub(super) enum Password {
    /// Itself.
    Plain(String),
    Hash(PasswordHash),
}

/// A virtual host to be made. What isn't said of it stays.
#[derive(Debug)]
pub(super) struct VhostEntry {
    pub(super) name: String,
    description: Option<Arc<str>>,
    tags: Option<Vec<Arc<str>>>,
    default_queue_type: Option<Arc<str>>,
    protected: Option<bool>,
    limits: Option<VhostLimits>,
    /// It isn't made, only changed.
    pub(super) is_limit_only: bool,
}

/// What a user is to be permitted in a virtual host.
#[derive(Debug)]
pub(super) struct PermissionEntry {
    pub(super) user: String,
    pub(super) vhost: String,
    pub(super) permissions: Permissions,
}

/// What routing keys a user is to be permitted.
#[derive(Debug)]
pub(super) struct TopicEntry {
    pub(super) user: String,
    pub(super) vhost: String,
    pub(super) permission: access::TopicPermission,
}

impl Definitions {
    /// Reads definitions from JSON.
    ///
    /// # Errors
    /// [`DefinitionsError::Entry`] naming the first entry that makes no sense.
    pub fn parse(text: &str) -> Result<Self, DefinitionsError> {
        // A list would be taken for the entries in their order.
        if !text.trim_start().starts_with('{') {
            return Err(DefinitionsError::Entry {
                at: "definitions".into(),
                why: "expected a JSON object".into(),
            });
        }
        let json = &mut serde_json::Deserializer::from_str(text);
        let parsed: Result<Document, _> = serde_path_to_error::deserialize(&mut *json);
        let document = parsed.map_err(|error| DefinitionsError::Entry {
            at: error.path().to_string(),
            why: error.inner().to_string(),
        })?;
        json.end().map_err(|error| DefinitionsError::Entry {
            at: "after the definitions".into(),
            why: error.to_string(),
        })?;
        let operator_policies = policies::of_operators(&document.parameters)?;
        let limits = limits(&document.parameters)?;
        let taken = [VHOST_LIMITS, OPERATOR_POLICY];
        let parameters = document.parameters.into_iter().enumerate();
        let parameters = parameters.filter(|(_, one)| !taken.contains(&&*one.component));
        let parameters = parameters.collect();
        Ok(Self {
            users: each("users", document.users, user)?,
            vhosts: with_limits(each("vhosts", document.vhosts, vhost)?, limits),
            permissions: each("permissions", document.permissions, permission)?,
            topic_permissions: each("topic_permissions", document.topic_permissions, topic)?,
            exchanges: each("exchanges", document.exchanges, exchange)?,
            queues: each("queues", document.queues, queue)?,
            bindings: each("bindings", document.bindings, binding)?,
            parameters,
            global_parameters: document.global_parameters,
            policies: each("policies", document.policies, policies::of_users)?,
            operator_policies,
        })
    }
}

/// Converts the entries of a list, and says which of them can't be.
fn each<T, U>(
    list: &str,
    entries: Vec<T>,
    convert: impl Fn(T) -> Result<U, String>,
) -> Result<Vec<U>, DefinitionsError> {
    let numbered = entries.into_iter().enumerate();
    numbered
        .map(|(at, entry)| convert(entry).map_err(|why| DefinitionsError::entry(list, at, why)))
        .collect()
}

fn user(user: User) -> Result<UserEntry, String> {
    let hash = user.password_hash.as_deref();
    let password = match (hash, user.password) {
        (Some(hash), _) if !hash.is_empty() => {
            let hash = PasswordHash::parse(hash, user.hashing_algorithm.as_deref());
            Password::Hash(hash.map_err(|error| format!("password_hash: {error}"))?)
        }
        (_, Some(password)) if !password.is_empty() => Password::Plain(password),
        _ => Password::Hash(PasswordHash::none()),
    };
    let limits = user.limits.map(|given| {
        let mut limits = UserLimits::default();
        set_all(given, |name, value| limits.set(name, value)).map(|()| limits)
    });
    Ok(UserEntry {
        name: user.name,
        password,
        tags: tags(user.tags),
        limits: limits.transpose()?,
    })
}

fn vhost(vhost: Vhost) -> Result<VhostEntry, String> {
    let more = vhost.metadata.unwrap_or_default();
    let default_queue_type = vhost.default_queue_type.or(more.default_queue_type);
    let settings = VhostSettings {
        default_queue_type: default_queue_type
            .filter(|name| name != "undefined" && !name.is_empty())
            .map(Arc::from),
        ..VhostSettings::default()
    };
    settings.check().map_err(|error| error.to_string())?;
    Ok(VhostEntry {
        name: vhost.name,
        description: vhost.description.or(more.description).map(Arc::from),
        tags: vhost.tags.or(more.tags).map(tags),
        default_queue_type: settings.default_queue_type,
        protected: vhost
            .protected_from_deletion
            .or(more.protected_from_deletion),
        limits: vhost.limits.map(vhost_limits).transpose()?,
        is_limit_only: false,
    })
}

fn vhost_limits(given: Object<i64>) -> Result<VhostLimits, String> {
    let mut limits = VhostLimits::default();
    set_all(given, |name, value| limits.set(name, value))?;
    Ok(limits)
}

fn set_all(
    given: Object<i64>,
    mut set: impl FnMut(&str, Option<i64>) -> Result<(), AccessError>,
) -> Result<(), String> {
    given
        .iter()
        .try_for_each(|(name, value)| set(name, Some(*value)))
        .map_err(|error| error.to_string())
}

/// The limits of virtual hosts among the parameters: that is where older exports
/// have them.
fn limits(parameters: &[Parameter]) -> Result<Vec<(String, VhostLimits)>, DefinitionsError> {
    let mut limits = Vec::new();
    for (at, parameter) in parameters.iter().enumerate() {
        if parameter.component == VHOST_LIMITS {
            let given = Object::deserialize(&parameter.value).map_err(|error| error.to_string());
            let given = given.and_then(vhost_limits);
            let given = given.map_err(|why| DefinitionsError::entry("parameters", at, why))?;
            limits.push((parameter.vhost.clone(), given));
        }
    }
    Ok(limits)
}

fn with_limits(mut vhosts: Vec<VhostEntry>, limits: Vec<(String, VhostLimits)>) -> Vec<VhostEntry> {
    for (name, limits) in limits {
        match vhosts.iter_mut().find(|vhost| vhost.name == name) {
            Some(vhost) => vhost.limits = Some(limits),
            None => vhosts.push(VhostEntry {
                name,
                description: None,
                tags: None,
                default_queue_type: None,
                protected: None,
                limits: Some(limits),
                is_limit_only: true,
            }),
        }
    }
    vhosts
}

impl VhostEntry {
    /// The settings that result for a virtual host with `current` ones.
    pub(super) fn over(&self, current: &VhostSettings) -> VhostSettings {
        let kind = self.default_queue_type.as_ref();
        VhostSettings {
            description: self
                .description
                .as_ref()
                .unwrap_or(&current.description)
                .clone(),
            tags: self.tags.as_ref().unwrap_or(&current.tags).clone(),
            default_queue_type: kind.or(current.default_queue_type.as_ref()).cloned(),
            protected: self.protected.unwrap_or(current.protected),
            limits: self.limits.unwrap_or(current.limits),
        }
    }
}

fn permission(entry: Permission) -> Result<PermissionEntry, String> {
    let permissions = Permissions::new(&entry.configure, &entry.write, &entry.read);
    Ok(PermissionEntry {
        user: entry.user,
        vhost: entry.vhost,
        permissions: permissions.map_err(|error| error.to_string())?,
    })
}

fn topic(entry: TopicPermission) -> Result<TopicEntry, String> {
    let permission = access::TopicPermission::new(&entry.exchange, &entry.write, &entry.read);
    Ok(TopicEntry {
        user: entry.user,
        vhost: entry.vhost,
        permission: permission.map_err(|error| error.to_string())?,
    })
}

fn exchange(entry: Exchange) -> Result<In<ExchangeSpec>, String> {
    let what = ExchangeSpec {
        name: short(entry.name)?,
        kind: short(entry.kind)?,
        durable: entry.durable,
        auto_delete: entry.auto_delete,
        internal: entry.internal,
        arguments: table(&entry.arguments)?,
    };
    let vhost = entry.vhost;
    Ok(In { vhost, what })
}

fn queue(entry: Queue) -> Result<In<QueueSpec>, String> {
    let mut arguments = table(&entry.arguments)?;
    if let Some(kind) = entry.kind.filter(|_| arguments.get(QUEUE_TYPE).is_none()) {
        arguments.push(QUEUE_TYPE, kind.as_str());
    }
    let what = QueueSpec {
        name: short(entry.name)?,
        durable: entry.durable,
        exclusive: false,
        auto_delete: entry.auto_delete,
        arguments,
    };
    let vhost = entry.vhost;
    Ok(In { vhost, what })
}

fn binding(entry: Binding) -> Result<In<BindingSpec>, String> {
    let destination = short(entry.destination)?;
    let what = BindingSpec {
        source: short(entry.source)?,
        destination: match entry.destination_type {
            DestinationType::Queue => Destination::Queue(destination),
            DestinationType::Exchange => Destination::Exchange(destination),
        },
        routing_key: short(entry.routing_key)?,
        arguments: table(&entry.arguments)?,
    };
    let vhost = entry.vhost;
    Ok(In { vhost, what })
}

/// A text that AMQP has room for.
fn short(text: String) -> Result<Arc<str>, String> {
    match u8::try_from(text.len()) {
        Ok(_) => Ok(text.into()),
        Err(_) => Err(format!("'{text}' has over 255 octets")),
    }
}

fn tags(tags: Tags) -> Vec<Arc<str>> {
    tags.0.into_iter().map(Arc::from).collect()
}

/// A password doesn't get into a log.
impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}
