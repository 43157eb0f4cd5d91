//! What a connection may do, kept at hand.

use std::sync::Arc;

use super::Access;
use super::permission::{Permission, Permissions, TopicRights};
use super::scopes::Scopes;
use super::user::IMPERSONATOR;
use crate::broker::resource::{Resource, access_refused};
use crate::wire::Refusal;

/// The name that permissions know the default exchange by.
const DEFAULT_EXCHANGE: &str = "amq.default";

/// The pattern that every name fits.
const ALL: &str = ".*";

/// What is permitted to a user in a virtual host, looked up.
#[derive(Debug, Default)]
pub(super) struct Rights {
    pub(super) permissions: Option<Arc<Permissions>>,
    pub(super) topics: Vec<Arc<TopicRights>>,
    pub(super) impersonates: bool,
    /// Where these say what is permitted, nothing else does.
    pub(super) scopes: Option<Arc<Scopes>>,
}

/// What the user of a connection may do in its virtual host.
///
/// A change is seen with the next question: each compares the generation of
/// the access rules, which is one load, and looks the rules up again when it
/// has moved on.
#[derive(Debug)]
pub struct Grants {
    access: Arc<Access>,
    user: Arc<str>,
    vhost: Arc<str>,
    generation: u64,
    rights: Rights,
    /// They are nobody's to change.
    fixed: bool,
    /// How often it was given other scopes.
    renewals: u64,
}

impl Grants {
    pub(super) fn new(access: Arc<Access>, user: Arc<str>, vhost: Arc<str>) -> Self {
        // Read first: what changes in between is looked up twice, not missed.
        let generation = access.generation();
        let rights = access.rights(&user, &vhost);
        Self {
            access,
            user,
            vhost,
            generation,
            rights,
            fixed: false,
            renewals: 0,
        }
    }

    /// Those of the broker itself: everything, whatever becomes of users.
    pub(super) fn all(access: Arc<Access>, user: Arc<str>, vhost: Arc<str>) -> Self {
        let generation = access.generation();
        let rights = Rights {
            permissions: Some(Arc::new(Permissions::kept(ALL, ALL, ALL))),
            topics: Vec::new(),
            impersonates: true,
            scopes: None,
        };
        Self {
            access,
            user,
            vhost,
            generation,
            rights,
            fixed: true,
            renewals: 0,
        }
    }

    pub(super) fn of_token(
        access: Arc<Access>,
        user: Arc<str>,
        vhost: Arc<str>,
        scopes: Arc<Scopes>,
    ) -> Self {
        Self {
            generation: access.generation(),
            access,
            user,
            vhost,
            rights: Rights::of(scopes),
            fixed: true,
            renewals: 0,
        }
    }

    /// Goes by the scopes of another token from now on.
    pub fn renew(&mut self, scopes: Arc<Scopes>) {
        self.rights = Rights::of(scopes);
        self.renewals += 1;
    }

    /// The user.
    pub fn user(&self) -> &Arc<str> {
        &self.user
    }

    /// What was permitted while this was the same still is.
    #[inline]
    pub fn generation(&self) -> u64 {
        // Far from where changes count.
        self.access.generation() + (self.renewals << 40)
    }

    fn rights(&mut self) -> &Rights {
        let generation = self.access.generation();
        if generation != self.generation && !self.fixed {
            self.rights = self.access.rights(&self.user, &self.vhost);
            self.generation = generation;
        }
        &self.rights
    }

    /// Whether the user may enter the virtual host at all.
    pub fn may_enter(&mut self) -> bool {
        let vhost = Arc::clone(&self.vhost);
        let rights = self.rights();
        match &rights.scopes {
            Some(scopes) => scopes.may_enter(&vhost),
            None => rights.permissions.is_some(),
        }
    }

    /// Whether the user's messages may name any `user_id`.
    pub fn may_impersonate(&mut self) -> bool {
        self.rights().impersonates
    }

    /// Whether the user has a permission for a queue.
    pub fn allow_queue(&mut self, permission: Permission, queue: &str) -> bool {
        self.allow(permission, queue)
    }

    fn allow(&mut self, permission: Permission, name: &str) -> bool {
        self.rights();
        match &self.rights {
            Rights {
                scopes: Some(scopes),
                ..
            } => scopes.allow(permission, &self.vhost, name),
            Rights { permissions, .. } => permissions
                .as_ref()
                .is_some_and(|p| p.allow(permission, name)),
        }
    }

    /// Asks for a permission for a queue.
    ///
    /// # Errors
    /// 403.
    pub fn check_queue(&mut self, permission: Permission, queue: &str) -> Result<(), Refusal> {
        if self.allow_queue(permission, queue) {
            return Ok(());
        }
        Err(self.refused(permission, Resource::queue(queue, &self.vhost)))
    }

    /// Asks for a permission for an exchange.
    ///
    /// # Errors
    /// 403.
    pub fn check_exchange(&mut self, permission: Permission, name: &str) -> Result<(), Refusal> {
        let name = if name.is_empty() {
            DEFAULT_EXCHANGE
        } else {
            name
        };
        if self.allow(permission, name) {
            return Ok(());
        }
        Err(self.refused(permission, Resource::exchange(name, &self.vhost)))
    }

    /// Asks for any permission at all for a queue.
    ///
    /// # Errors
    /// 403.
    pub fn check_any_on_queue(&mut self, queue: &str) -> Result<(), Refusal> {
        if Permission::ALL
            .iter()
            .any(|one| self.allow_queue(*one, queue))
        {
            return Ok(());
        }
        self.check_queue(Permission::Configure, queue)
    }

    /// Asks for any permission at all for an exchange.
    ///
    /// # Errors
    /// 403.
    pub fn check_any_on_exchange(&mut self, exchange: &str) -> Result<(), Refusal> {
        let [configure, others @ ..] = Permission::ALL;
        let refused = self.check_exchange(configure, exchange);
        if others
            .iter()
            .any(|one| self.check_exchange(*one, exchange).is_ok())
        {
            return Ok(());
        }
        refused
    }

    /// Whether some routing keys may be closed to the user at an exchange, if
    /// that is a topic exchange.
    pub fn restrict_topics(&mut self, exchange: &str) -> bool {
        let rights = self.rights();
        let of_exchange = |topic: &Arc<TopicRights>| **topic.exchange() == *exchange;
        rights.scopes.is_some() || rights.topics.iter().any(of_exchange)
    }

    /// Asks for a permission for a routing key of a topic exchange.
    ///
    /// # Errors
    /// 403.
    pub fn check_topic(
        &mut self,
        permission: Permission,
        exchange: &str,
        key: &[u8],
    ) -> Result<(), Refusal> {
        let key = String::from_utf8_lossy(key);
        self.rights();
        let rights = &self.rights;
        let allowed = match &rights.scopes {
            Some(scopes) => scopes.allow_topic(permission, &self.vhost, exchange, &key),
            None => rights
                .topics
                .iter()
                .all(|topic| **topic.exchange() != *exchange || topic.allow(permission, &key)),
        };
        if allowed {
            return Ok(());
        }
        Err(access_refused(format!(
            "{} access to topic '{key}' in {} refused for user '{}'",
            permission.name(),
            Resource::exchange(exchange, &self.vhost),
            self.user
        )))
    }

    fn refused(&self, permission: Permission, resource: Resource<'_>) -> Refusal {
        access_refused(format!(
            "{} access to {resource} refused for user '{}'",
            permission.name(),
            self.user
        ))
    }
}

impl Rights {
    fn of(scopes: Arc<Scopes>) -> Self {
        Self {
            impersonates: Self::impersonation(scopes.tags()),
            scopes: Some(scopes),
            ..Self::default()
        }
    }

    /// Of a user with `tags`.
    pub(super) fn impersonation(tags: &[Arc<str>]) -> bool {
        tags.iter().any(|tag| &**tag == IMPERSONATOR)
    }
}
