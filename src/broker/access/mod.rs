//! Who may do what: users, and their permissions in virtual hosts.
//!
//! ```text
//!   user --- permissions in a vhost: configure, write, read: patterns of names
//!    |   `-- topic permissions: patterns of routing keys, by exchange
//!    `------ tags, limits, password hash
//! ```
//!
//! One lock is over all of it. A change is written to the store before the lock
//! is released, so the log has changes in the order they took effect.

mod error;
mod grants;
mod password;
mod permission;
mod rules;
mod scopes;
mod user;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

pub use self::error::AccessError;
pub use self::grants::Grants;
pub use self::password::{Algorithm, BadHash, PasswordHash};
pub use self::permission::{Permission, Permissions, TopicPermission};
pub use self::scopes::Scopes;
pub use self::user::{ADMINISTRATOR, IMPERSONATOR, PROTECTED, User, UserLimits, allowed};

use self::grants::Rights;
use self::rules::{Entry, Rules};
use super::change::Change;
use super::store::{Record, Store};
use super::vhost::VhostSettings;
use crate::base::ids::Batch;
use crate::base::limits::SHORT_STR_MAX;

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// There was nothing of that name before.
    pub created: bool,
    /// The batch it is stored in; `None` when all was as it should be already.
    pub batch: Option<Batch>,
}

/// Users and their permissions.
#[derive(Debug)]
pub struct Access {
    store: Arc<dyn Store>,
    rules: RwLock<Rules>,
    generation: AtomicU64,
}

impl Access {
    /// What `changes` lead to.
    pub fn restore(store: Arc<dyn Store>, changes: &[Change]) -> Self {
        let mut rules = Rules::default();
        for change in changes {
            rules.replay(change);
        }
        Self {
            store,
            rules: RwLock::new(rules),
            generation: AtomicU64::new(0),
        }
    }

    /// Moves on with every change. What was permitted after this was read is
    /// permitted for as long as this stays the same.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The user that name and password stand for.
    pub fn authenticate(&self, name: &str, password: &[u8]) -> Option<Arc<User>> {
        let Some(user) = self.user(name) else {
            // As much work as for a user who is there.
            PasswordHash::none().verify(password);
            return None;
        };
        user.password.verify(password).then_some(user)
    }

    /// The user called `name`.
    pub fn user(&self, name: &str) -> Option<Arc<User>> {
        self.rules.read().users.get(name).cloned()
    }

    /// All users by name.
    pub fn users(&self) -> Vec<Arc<User>> {
        self.rules.read().users.values().cloned().collect()
    }

    /// Makes a user, or gives one a new password and new tags. Limits stay.
    ///
    /// # Errors
    /// [`AccessError::BadName`].
    pub fn put_user(
        &self,
        name: &str,
        password: PasswordHash,
        tags: Vec<Arc<str>>,
    ) -> Result<Applied, AccessError> {
        check_name(name)?;
        let mut rules = self.rules.write();
        let known = rules.users.get(name).cloned();
        let limits = known.as_ref().map(|known| known.limits).unwrap_or_default();
        let user = User {
            name: name.into(),
            password,
            tags,
            limits,
        };
        if known.as_deref() == Some(&user) {
            return Ok(UNCHANGED);
        }
        let batch = self.change(&mut rules, &[Change::UserSet { user }]);
        Ok(Applied {
            created: known.is_none(),
            batch,
        })
    }

    /// Makes the first user, an administrator, and the first virtual host, where
    /// that user may do everything. All of it is kept, or nothing. Returns the
    /// change that makes the virtual host, which is still to be carried out.
    ///
    /// # Errors
    /// [`AccessError::BadName`].
    pub fn put_first_user(
        &self,
        name: &str,
        password: PasswordHash,
        (vhost, settings): (&str, VhostSettings),
    ) -> Result<Change, AccessError> {
        check_name(name)?;
        check_name(vhost)?;
        let user = User {
            name: name.into(),
            password,
            tags: vec![ADMINISTRATOR.into()],
            limits: UserLimits::default(),
        };
        let everything = Permissions::new(".*", ".*", ".*")?;
        let permissions = Change::PermissionsSet {
            vhost: vhost.into(),
            user: Arc::clone(&user.name),
            permissions: everything,
        };
        let made = Change::VhostSet {
            vhost: vhost.into(),
            settings,
        };
        let changes = [Change::UserSet { user }, permissions, made.clone()];
        self.change(&mut self.rules.write(), &changes);
        Ok(made)
    }

    /// Sets what a user may have open.
    ///
    /// # Errors
    /// [`AccessError::NoSuchUser`].
    pub fn set_user_limits(&self, name: &str, limits: UserLimits) -> Result<Applied, AccessError> {
        let mut rules = self.rules.write();
        let mut user = User::clone(rules.user(name)?);
        if user.limits == limits {
            return Ok(UNCHANGED);
        }
        user.limits = limits;
        Ok(self.changed(&mut rules, Change::UserSet { user }))
    }

    /// Deletes a user with all permissions. The user's connections are the
    /// server's to close.
    ///
    /// # Errors
    /// [`AccessError::NoSuchUser`].
    pub fn delete_user(&self, name: &str) -> Result<Applied, AccessError> {
        let mut rules = self.rules.write();
        let name = Arc::clone(&rules.user(name)?.name);
        Ok(self.changed(&mut rules, Change::UserDeleted { name }))
    }

    /// Says what a user may do in a virtual host. Whether there is one of that
    /// name is the caller's to know.
    ///
    /// # Errors
    /// [`AccessError::NoSuchUser`].
    pub fn set_permissions(
        &self,
        user: &str,
        vhost: &str,
        permissions: Permissions,
    ) -> Result<Applied, AccessError> {
        let mut rules = self.rules.write();
        let user = Arc::clone(&rules.user(user)?.name);
        let known = rules
            .entry(vhost, &user)
            .and_then(|e| e.permissions.clone());
        if known.as_deref() == Some(&permissions) {
            return Ok(UNCHANGED);
        }
        let vhost = vhost.into();
        let change = Change::PermissionsSet {
            vhost,
            user,
            permissions,
        };
        let batch = self.change(&mut rules, &[change]);
        Ok(Applied {
            created: known.is_none(),
            batch,
        })
    }

    /// Takes a user's permissions in a virtual host away; returns the batch that
    /// says so, `None` when there were none.
    pub fn clear_permissions(&self, user: &str, vhost: &str) -> Option<Batch> {
        let mut rules = self.rules.write();
        rules.entry(vhost, user)?.permissions.as_ref()?;
        let change = Change::PermissionsCleared {
            vhost: vhost.into(),
            user: user.into(),
        };
        self.change(&mut rules, &[change])
    }

    /// Says with what routing keys a user may use an exchange.
    ///
    /// # Errors
    /// [`AccessError::NoSuchUser`].
    pub fn set_topic_permission(
        &self,
        user: &str,
        vhost: &str,
        permission: TopicPermission,
    ) -> Result<Applied, AccessError> {
        let mut rules = self.rules.write();
        let user = Arc::clone(&rules.user(user)?.name);
        let known = rules
            .entry(vhost, &user)
            .and_then(|entry| entry.topics.get(&permission.exchange))
            .cloned();
        if known
            .as_ref()
            .is_some_and(|known| *known.permission == permission)
        {
            return Ok(UNCHANGED);
        }
        let change = Change::TopicPermissionSet {
            vhost: vhost.into(),
            user,
            permission,
        };
        let batch = self.change(&mut rules, &[change]);
        Ok(Applied {
            created: known.is_none(),
            batch,
        })
    }

    /// Takes a user's topic permission for an exchange away, or for all of a
    /// virtual host; returns the batch that says so, `None` when there was none.
    pub fn clear_topic_permissions(
        &self,
        user: &str,
        vhost: &str,
        exchange: Option<&str>,
    ) -> Option<Batch> {
        let mut rules = self.rules.write();
        let topics = rules.entry(vhost, user).map(|entry| &entry.topics);
        let gone: Vec<_> = topics
            .into_iter()
            .flat_map(|topics| topics.keys())
            .filter(|own| exchange.is_none_or(|exchange| ***own == *exchange))
            .map(|exchange| Change::TopicPermissionCleared {
                vhost: vhost.into(),
                user: user.into(),
                exchange: Arc::clone(exchange),
            })
            .collect();
        self.change(&mut rules, &gone)
    }

    /// Forgets the permissions in a virtual host that was deleted. The store
    /// knows from that deletion.
    pub fn forget_vhost(&self, vhost: &str) {
        let mut rules = self.rules.write();
        rules.forget_vhost(vhost);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Every permission there is: virtual host, user, what is permitted.
    pub fn permissions(&self) -> Vec<(Arc<str>, Arc<str>, Arc<Permissions>)> {
        self.entries(|entry| entry.permissions.iter().cloned().collect())
    }

    /// Every topic permission there is: virtual host, user, what is permitted.
    pub fn topic_permissions(&self) -> Vec<(Arc<str>, Arc<str>, Arc<TopicPermission>)> {
        self.entries(|entry| {
            let rights = entry.topics.values();
            rights
                .map(|rights| Arc::clone(&rights.permission))
                .collect()
        })
    }

    fn entries<T>(&self, of: impl Fn(&Entry) -> Vec<T>) -> Vec<(Arc<str>, Arc<str>, T)> {
        let rules = self.rules.read();
        let mut all = Vec::new();
        for ((vhost, user), entry) in &rules.entries {
            let found = of(entry).into_iter();
            all.extend(found.map(|one| (Arc::clone(vhost), Arc::clone(user), one)));
        }
        all
    }

    /// What `user` may do in `vhost`.
    pub fn grants(self: &Arc<Self>, user: &Arc<str>, vhost: &Arc<str>) -> Grants {
        Grants::new(Arc::clone(self), Arc::clone(user), Arc::clone(vhost))
    }

    /// What the broker itself may do in `vhost` under the name `user`: all there is.
    pub fn all_grants(self: &Arc<Self>, user: &Arc<str>, vhost: &Arc<str>) -> Grants {
        Grants::all(Arc::clone(self), Arc::clone(user), Arc::clone(vhost))
    }

    /// What somebody may do in `vhost` who has shown a token, whatever is kept of
    /// a user of that name.
    pub fn grants_of_token(
        self: &Arc<Self>,
        user: &Arc<str>,
        vhost: &Arc<str>,
        scopes: Arc<Scopes>,
    ) -> Grants {
        Grants::of_token(
            Arc::clone(self),
            Arc::clone(user),
            Arc::clone(vhost),
            scopes,
        )
    }

    fn rights(&self, user: &str, vhost: &str) -> Rights {
        self.rules.read().rights(user, vhost)
    }

    fn changed(&self, rules: &mut Rules, change: Change) -> Applied {
        Applied {
            created: false,
            batch: self.change(rules, &[change]),
        }
    }

    /// To be called with the rules locked.
    fn change(&self, rules: &mut Rules, changes: &[Change]) -> Option<Batch> {
        for change in changes {
            rules.replay(change);
        }
        self.generation.fetch_add(1, Ordering::Release);
        let records: Vec<_> = changes.iter().map(Record::Topology).collect();
        (!records.is_empty()).then(|| self.store.append(&records))
    }
}

/// All was as it should be already.
const UNCHANGED: Applied = Applied {
    created: false,
    batch: None,
};

/// Whether a user, or a virtual host, may be called that.
///
/// # Errors
/// [`AccessError::BadName`].
pub(super) fn check_name(name: &str) -> Result<(), AccessError> {
    if (1..=SHORT_STR_MAX).contains(&name.len()) {
        return Ok(());
    }
    Err(AccessError::BadName(name.to_owned()))
}
