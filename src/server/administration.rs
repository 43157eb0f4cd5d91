//! Changing users, permissions, policies and virtual hosts of a running server:
//! what definitions and the management interface ask for.
//!
//! Every change takes effect at once and is on disk with its batch. One that
//! changes nothing says so and is written nowhere. The last argument, `by`, is
//! who asked for it, as events and the log say.

use std::sync::Arc;

use super::access_events::{
    tell_permissions, tell_permissions_cleared, tell_topic_permission,
    tell_topic_permissions_cleared, tell_user, tell_user_deleted, tell_user_limits,
};
use super::auth::new_vhost;
use super::shared::Shared;
use crate::base::ids::Batch;
use crate::broker::access::{
    AccessError, Applied, PasswordHash, Permissions, TopicPermission, UserLimits,
};
use crate::broker::dead_lettering::see_to_effects;
use crate::broker::effects::Effects;
use crate::broker::policy::{Policy, PolicyError, PolicyKind};
use crate::broker::vhost::{Vhost, VhostSettings};

impl Shared {
    /// Makes a user, or gives one a new password and new tags.
    ///
    /// # Errors
    /// [`AccessError::BadName`].
    pub fn put_user(
        &self,
        name: &str,
        password: PasswordHash,
        tags: Vec<Arc<str>>,
        by: &str,
    ) -> Result<Applied, AccessError> {
        let _one_at_a_time = self.administration.lock();
        let before = self.access.user(name);
        let applied = self.access.put_user(name, password, tags)?;
        if applied.batch.is_some() {
            if let Some(after) = self.access.user(name) {
                tell_user(self.vhosts.herald(), before.as_deref(), &after, by);
            }
            tracing::info!(user = name, created = applied.created, by, "user set");
        }
        Ok(applied)
    }

    /// Deletes a user with all permissions and closes the user's connections.
    ///
    /// # Errors
    /// [`AccessError::NoSuchUser`].
    pub fn delete_user(&self, name: &str, by: &str) -> Result<Applied, AccessError> {
        let _one_at_a_time = self.administration.lock();
        let applied = self.access.delete_user(name)?;
        tell_user_deleted(self.vhosts.herald(), name, by);
        let dismissed = self.seats.dismiss_user(name);
        tracing::info!(
            user = name,
            connections = dismissed.len(),
            by,
            "user deleted"
        );
        self.wake(&dismissed);
        Ok(applied)
    }

    /// Sets what a user may have open. What is open already stays so.
    ///
    /// # Errors
    /// [`AccessError::NoSuchUser`].
    pub fn set_user_limits(
        &self,
        name: &str,
        limits: UserLimits,
        by: &str,
    ) -> Result<Applied, AccessError> {
        let _one_at_a_time = self.administration.lock();
        self.limit_user(name, limits, by)
    }

    /// To be called with the lock held.
    fn limit_user(&self, name: &str, limits: UserLimits, by: &str) -> Result<Applied, AccessError> {
        let applied = self.access.set_user_limits(name, limits)?;
        if applied.batch.is_some() {
            tell_user_limits(self.vhosts.herald(), name, limits, by);
        }
        Ok(applied)
    }

    /// Sets or lifts one of a user's limits, the one that RabbitMQ calls `limit`.
    ///
    /// # Errors
    /// [`AccessError`] when there is no such user or limit.
    pub fn set_user_limit(
        &self,
        name: &str,
        limit: &str,
        value: Option<i64>,
        by: &str,
    ) -> Result<Applied, AccessError> {
        let _one_at_a_time = self.administration.lock();
        let found = self.access.user(name);
        let found = found.ok_or_else(|| AccessError::NoSuchUser(name.to_owned()))?;
        let mut limits = found.limits;
        limits.set(limit, value)?;
        self.limit_user(name, limits, by)
    }

    /// Says what a user may do in a virtual host.
    ///
    /// # Errors
    /// [`AccessError`] when there is no such user or virtual host.
    pub fn set_permissions(
        &self,
        user: &str,
        vhost: &str,
        permissions: Permissions,
        by: &str,
    ) -> Result<Applied, AccessError> {
        let _one_at_a_time = self.administration.lock();
        self.check_vhost(vhost)?;
        let applied = self
            .access
            .set_permissions(user, vhost, permissions.clone())?;
        if applied.batch.is_some() {
            tell_permissions(self.vhosts.herald(), user, vhost, &permissions, by);
            tracing::info!(user, vhost, by, "permissions set");
        }
        Ok(applied)
    }

    /// Takes a user's permissions in a virtual host away; returns the batch that
    /// says so, `None` when there were none.
    pub fn clear_permissions(&self, user: &str, vhost: &str, by: &str) -> Option<Batch> {
        let _one_at_a_time = self.administration.lock();
        let cleared = self.access.clear_permissions(user, vhost);
        if cleared.is_some() {
            tell_permissions_cleared(self.vhosts.herald(), user, vhost, by);
            tracing::info!(user, vhost, by, "permissions cleared");
        }
        cleared
    }

    /// Says with what routing keys a user may use a topic exchange.
    ///
    /// # Errors
    /// [`AccessError`] when there is no such user or virtual host.
    pub fn set_topic_permission(
        &self,
        user: &str,
        vhost: &str,
        permission: TopicPermission,
        by: &str,
    ) -> Result<Applied, AccessError> {
        let _one_at_a_time = self.administration.lock();
        self.check_vhost(vhost)?;
        let applied = self
            .access
            .set_topic_permission(user, vhost, permission.clone())?;
        if applied.batch.is_some() {
            tell_topic_permission(self.vhosts.herald(), user, vhost, &permission, by);
        }
        Ok(applied)
    }

    /// Takes a user's topic permission for an exchange away, or for all of a
    /// virtual host; returns the batch that says so, `None` when there was none.
    pub fn clear_topic_permissions(
        &self,
        user: &str,
        vhost: &str,
        exchange: Option<&str>,
        by: &str,
    ) -> Option<Batch> {
        let _one_at_a_time = self.administration.lock();
        let cleared = self.access.clear_topic_permissions(user, vhost, exchange);
        if cleared.is_some() {
            tell_topic_permissions_cleared(self.vhosts.herald(), user, vhost, by);
        }
        cleared
    }

    /// Makes a virtual host, or says something else of the one there is. A new
    /// one has the configured type of queue unless another is given.
    ///
    /// # Errors
    /// [`AccessError`] when the name or the settings make no sense.
    pub fn put_vhost(
        &self,
        name: &str,
        settings: VhostSettings,
        by: &str,
    ) -> Result<Applied, AccessError> {
        let _one_at_a_time = self.administration.lock();
        let mut settings = settings;
        if settings.default_queue_type.is_none() && self.vhosts.get(name).is_none() {
            settings.default_queue_type = new_vhost(&self.config).default_queue_type;
        }
        let applied = self.vhosts.put(name, settings, by)?;
        if applied.created {
            tracing::info!(vhost = name, by, "vhost created");
        }
        Ok(applied)
    }

    /// Says something else of a virtual host that is there.
    ///
    /// # Errors
    /// [`AccessError`] when there is none, or `change` has one, or what is said
    /// makes no sense.
    pub fn change_vhost(
        &self,
        name: &str,
        by: &str,
        change: impl FnOnce(&mut VhostSettings) -> Result<(), AccessError>,
    ) -> Result<Applied, AccessError> {
        let _one_at_a_time = self.administration.lock();
        let found = self.vhosts.get(name);
        let found = found.ok_or_else(|| AccessError::NoSuchVhost(name.to_owned()))?;
        let mut settings = (*found.settings()).clone();
        change(&mut settings)?;
        self.vhosts.put(name, settings, by)
    }

    /// Deletes a virtual host with all that is in it and all permissions in it,
    /// and closes its connections.
    ///
    /// # Errors
    /// [`AccessError`] when there is none, or it is protected.
    pub fn delete_vhost(&self, name: &str, by: &str) -> Result<Applied, AccessError> {
        let _one_at_a_time = self.administration.lock();
        let mut effects = Effects::default();
        effects.set_now(self.now());
        effects.set_actor(by.into());
        let applied = self.vhosts.delete(name, &mut effects)?;
        self.access.forget_vhost(name);
        self.parameter_changes.count();
        // Consumers lose their queues before their connections go.
        effects.tell_cancelled();
        let dismissed = self.seats.dismiss_from(name);
        tracing::info!(
            vhost = name,
            connections = dismissed.len(),
            by,
            "vhost deleted"
        );
        effects.wake_all();
        self.wake(&dismissed);
        Ok(applied)
    }

    /// Makes a policy, or has the one of its name say something else.
    ///
    /// # Errors
    /// [`PolicyError::NoSuchVhost`].
    pub fn set_policy(
        &self,
        vhost: &str,
        policy: Policy,
        by: &str,
    ) -> Result<Applied, PolicyError> {
        let (kind, name) = (policy.kind().name(), Arc::clone(policy.name()));
        let applied = self.change_policies(vhost, by, |vhost, effects| {
            vhost.set_policy(policy, effects)
        })?;
        if applied.batch.is_some() {
            tracing::info!(vhost, kind, name = &*name, by, "policy set");
        }
        Ok(applied)
    }

    /// Takes a policy away; returns the batch that says so, `None` when there is
    /// none of that name.
    ///
    /// # Errors
    /// [`PolicyError::NoSuchVhost`].
    pub fn clear_policy(
        &self,
        vhost: &str,
        kind: PolicyKind,
        name: &str,
        by: &str,
    ) -> Result<Option<Batch>, PolicyError> {
        let cleared = self.change_policies(vhost, by, |vhost, effects| {
            vhost.clear_policy(kind, name, effects)
        })?;
        if cleared.is_some() {
            tracing::info!(vhost, kind = kind.name(), name, by, "policy cleared");
        }
        Ok(cleared)
    }

    /// Changes policies, and sees to what follows: messages for which there is
    /// no room any more, queues that go.
    fn change_policies<T>(
        &self,
        vhost: &str,
        by: &str,
        change: impl FnOnce(&Vhost, &mut Effects) -> Result<T, PolicyError>,
    ) -> Result<T, PolicyError> {
        let _one_at_a_time = self.administration.lock();
        let found = self.vhosts.get(vhost);
        let found = found.ok_or_else(|| PolicyError::NoSuchVhost(vhost.to_owned()))?;
        let mut effects = Effects::default();
        effects.set_now(self.now());
        effects.set_actor(by.into());
        let changed = change(&found, &mut effects)?;
        see_to_effects(&found, &mut effects);
        effects.tell_cancelled();
        effects.wake_all();
        Ok(changed)
    }

    fn check_vhost(&self, name: &str) -> Result<(), AccessError> {
        match self.vhosts.get(name) {
            Some(_) => Ok(()),
            None => Err(AccessError::NoSuchVhost(name.to_owned())),
        }
    }
}
