//! Definitions carried out.

use std::sync::Arc;

use super::parse::{Password, UserEntry, VhostEntry};
use super::{Definitions, DefinitionsError, Imported, In, LeftOut};
use crate::base::ids::{Batch, ConnectionId};
use crate::broker::access::{AccessError, Applied};
use crate::broker::effects::Effects;
use crate::broker::parameters::ParameterKey;
use crate::broker::spec::{BindingSpec, Destination, ExchangeSpec, QueueSpec};
use crate::broker::vhost::Vhost;
use crate::management::parameters;
use crate::server::auth::hashed;
use crate::server::shared::Shared;
use crate::wire::Refusal;
use crate::wire::method::{ExchangeDeclare, QueueDeclare};

/// What the names begin with that only a broker gives.
const RESERVED: &str = "amq.";
/// Whom nothing belongs to.
const NOBODY: ConnectionId = ConnectionId(0);

impl Definitions {
    /// Has all of it be there. What is there already and otherwise declared stays
    /// as it is.
    ///
    /// # Errors
    /// [`DefinitionsError::Entry`] naming the first entry that is refused. What
    /// comes before it is applied.
    pub fn apply(&self, shared: &Shared, by: &str) -> Result<Imported, DefinitionsError> {
        let mut imported = Imported::default();
        let last = &mut imported.batch;
        each("users", &self.users, last, |user| {
            put_user(shared, user, by)
        })?;
        each("vhosts", &self.vhosts, last, |vhost| {
            put_vhost(shared, vhost, by)
        })?;
        each("permissions", &self.permissions, last, |entry| {
            let permissions = entry.permissions.clone();
            shared.set_permissions(&entry.user, &entry.vhost, permissions, by)
        })?;
        each(
            "topic_permissions",
            &self.topic_permissions,
            last,
            |entry| {
                let permission = entry.permission.clone();
                shared.set_topic_permission(&entry.user, &entry.vhost, permission, by)
            },
        )?;
        self.apply_policies(shared, last, by)?;
        let mut effects = Effects::default();
        effects.set_now(shared.now());
        effects.set_actor(by.into());
        let effects = &mut effects;
        in_vhosts("exchanges", &self.exchanges, shared, |vhost, spec| {
            declare_exchange(vhost, spec, effects)
        })?;
        in_vhosts("queues", &self.queues, shared, |vhost, spec| {
            declare_queue(vhost, spec, effects)
        })?;
        self.apply_bindings(shared, effects, &mut imported.left_out)?;
        self.apply_parameters(shared, last, by)?;
        *last = effects.take_batch().max(*last);
        tracing::info!(
            users = self.users.len(),
            vhosts = self.vhosts.len(),
            exchanges = self.exchanges.len(),
            queues = self.queues.len(),
            bindings = self.bindings.len(),
            left_out = imported.left_out.len(),
            policies = self.policies.len() + self.operator_policies.len(),
            by,
            "definitions imported"
        );
        Ok(imported)
    }

    /// Policies come before what they apply to.
    fn apply_policies(
        &self,
        shared: &Shared,
        last: &mut Option<Batch>,
        by: &str,
    ) -> Result<(), DefinitionsError> {
        let policies = self.policies.iter().enumerate();
        let policies = policies.map(|(at, entry)| ("policies", at, entry));
        let operator = self.operator_policies.iter();
        let operator = operator.map(|(at, entry)| ("parameters", *at, entry));
        for (list, at, entry) in policies.chain(operator) {
            let refuse = |why: String| DefinitionsError::entry(list, at, why);
            vhost_of(shared, &entry.vhost).map_err(refuse)?;
            let set = shared.set_policy(&entry.vhost, entry.what.clone(), by);
            let applied = set.map_err(|error| refuse(error.to_string()))?;
            *last = applied.batch.max(*last);
        }
        Ok(())
    }

    /// RabbitMQ writes down the bindings of internal exchanges, but not these
    /// exchanges. Such a binding leads nowhere, and is left out.
    fn apply_bindings(
        &self,
        shared: &Shared,
        effects: &mut Effects,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<(), DefinitionsError> {
        for (at, entry) in self.bindings.iter().enumerate() {
            let refuse = |why: String| DefinitionsError::entry("bindings", at, why);
            let vhost = vhost_of(shared, &entry.vhost).map_err(refuse)?;
            if let Some(exchange) = missing_exchange(&vhost, &entry.what) {
                let one = LeftOut {
                    at: format!("bindings[{at}]"),
                    exchange: Arc::clone(exchange),
                    vhost: Arc::clone(vhost.name()),
                };
                tracing::warn!("{one}");
                left_out.push(one);
                continue;
            }
            let bound = vhost.bind(entry.what.clone(), NOBODY, effects);
            bound.map_err(|refusal| refuse(refusal.explanation))?;
        }
        Ok(())
    }

    /// Parameters come last: what they have done may need all the rest. Those of
    /// components that aren't here are kept, so that they're exported again.
    fn apply_parameters(
        &self,
        shared: &Shared,
        last: &mut Option<Batch>,
        by: &str,
    ) -> Result<(), DefinitionsError> {
        for (at, parameter) in &self.parameters {
            let refuse = |why: String| DefinitionsError::entry("parameters", *at, why);
            vhost_of(shared, &parameter.vhost).map_err(refuse)?;
            let (component, name) = (&parameter.component, &parameter.name);
            let key = ParameterKey::Of {
                component: component.as_str().into(),
                vhost: parameter.vhost.as_str().into(),
                name: name.as_str().into(),
            };
            let set = parameters::import(shared, key, &parameter.value, by);
            let applied = set.map_err(|error| refuse(error.to_string()))?;
            *last = applied.batch.max(*last);
        }
        for (at, parameter) in self.global_parameters.iter().enumerate() {
            let name = parameter.name.as_str().into();
            let key = ParameterKey::Global { name };
            let set = parameters::import(shared, key, &parameter.value, by);
            let applied =
                set.map_err(|error| DefinitionsError::entry("global_parameters", at, error))?;
            *last = applied.batch.max(*last);
        }
        Ok(())
    }
}

fn each<T>(
    list: &str,
    entries: &[T],
    last: &mut Option<Batch>,
    apply: impl Fn(&T) -> Result<Applied, AccessError>,
) -> Result<(), DefinitionsError> {
    for (at, entry) in entries.iter().enumerate() {
        let applied = apply(entry).map_err(|error| DefinitionsError::entry(list, at, error))?;
        *last = applied.batch.max(*last);
    }
    Ok(())
}

fn in_vhosts<T>(
    list: &str,
    entries: &[In<T>],
    shared: &Shared,
    mut apply: impl FnMut(&Vhost, &T) -> Result<(), Refusal>,
) -> Result<(), DefinitionsError> {
    for (at, entry) in entries.iter().enumerate() {
        let refuse = |why: String| DefinitionsError::entry(list, at, why);
        let vhost = vhost_of(shared, &entry.vhost).map_err(refuse)?;
        apply(&vhost, &entry.what).map_err(|refusal| refuse(refusal.explanation))?;
    }
    Ok(())
}

fn vhost_of(shared: &Shared, name: &str) -> Result<Arc<Vhost>, String> {
    shared.vhosts.get(name).ok_or_else(|| {
        format!("Please create virtual host \"{name}\" prior to importing definitions.")
    })
}

fn put_user(shared: &Shared, user: &UserEntry, by: &str) -> Result<Applied, AccessError> {
    let known = shared.access.user(&user.name);
    let password = match &user.password {
        Password::Hash(hash) => hash.clone(),
        // Hashed again it would be another hash.
        Password::Plain(password) => known
            .filter(|known| known.password.verify(password.as_bytes()))
            .map_or_else(
                || hashed(password.as_bytes()),
                |known| known.password.clone(),
            ),
    };
    let mut applied = shared.put_user(&user.name, password, user.tags.clone(), by)?;
    if let Some(limits) = user.limits {
        let limited = shared.set_user_limits(&user.name, limits, by)?;
        applied.batch = limited.batch.max(applied.batch);
    }
    Ok(applied)
}

fn put_vhost(shared: &Shared, entry: &VhostEntry, by: &str) -> Result<Applied, AccessError> {
    let known = shared.vhosts.get(&entry.name);
    if known.is_none() && entry.is_limit_only {
        return Err(AccessError::NoSuchVhost(entry.name.clone()));
    }
    let current = known.map(|known| known.settings()).unwrap_or_default();
    shared.put_vhost(&entry.name, entry.over(&current), by)
}

fn declare_exchange(
    vhost: &Vhost,
    spec: &ExchangeSpec,
    effects: &mut Effects,
) -> Result<(), Refusal> {
    if vhost.has_exchange(&spec.name) {
        return Ok(());
    }
    if spec.name.starts_with(RESERVED) {
        tracing::warn!(
            exchange = &*spec.name,
            "no such system exchange here: left out"
        );
        return Ok(());
    }
    let request = ExchangeDeclare {
        exchange: &spec.name,
        kind: &spec.kind,
        durable: spec.durable,
        auto_delete: spec.auto_delete,
        internal: spec.internal,
        arguments: spec.arguments.clone(),
        ..ExchangeDeclare::default()
    };
    vhost.declare_exchange(&request, effects)
}

fn declare_queue(vhost: &Vhost, spec: &QueueSpec, effects: &mut Effects) -> Result<(), Refusal> {
    if vhost.has_queue(&spec.name) {
        return Ok(());
    }
    // A name that a broker has made up may only be made up again.
    let is_given = !spec.name.starts_with(RESERVED);
    let request = QueueDeclare {
        queue: if is_given { &spec.name } else { "" },
        durable: spec.durable,
        auto_delete: spec.auto_delete,
        arguments: spec.arguments.clone(),
        ..QueueDeclare::default()
    };
    let name = || spec.name.as_ref().to_owned();
    vhost
        .declare_queue(&request, NOBODY, name, effects)
        .map(drop)
}

/// The exchange that a binding begins or ends at and that isn't there.
fn missing_exchange<'a>(vhost: &Vhost, binding: &'a BindingSpec) -> Option<&'a Arc<str>> {
    let to = match &binding.destination {
        Destination::Exchange(to) => Some(to),
        Destination::Queue(_) => None,
    };
    let mut ends = [Some(&binding.source), to].into_iter().flatten();
    ends.find(|name| !vhost.has_exchange(name))
}
