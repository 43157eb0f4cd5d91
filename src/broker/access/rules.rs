//! The users and permissions there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::AccessError;
use super::grants::Rights;
use super::permission::{Permissions, TopicRights};
use super::user::User;
use crate::broker::change::Change;

/// What one user may do in one virtual host.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) permissions: Option<Arc<Permissions>>,
    /// By exchange.
    pub(super) topics: BTreeMap<Arc<str>, Arc<TopicRights>>,
}

/// The users and permissions there are.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) users: BTreeMap<Arc<str>, Arc<User>>,
    /// By virtual host and user.
    pub(super) entries: BTreeMap<(Arc<str>, Arc<str>), Entry>,
}

impl Rules {
    pub(super) fn user(&self, name: &str) -> Result<&Arc<User>, AccessError> {
        let found = self.users.get(name);
        found.ok_or_else(|| AccessError::NoSuchUser(name.to_owned()))
    }

    pub(super) fn entry(&self, vhost: &str, user: &str) -> Option<&Entry> {
        self.entries.get(&(vhost.into(), user.into()))
    }

    /// What `user` may do in `vhost`.
    pub(super) fn rights(&self, user: &str, vhost: &str) -> Rights {
        let (Some(entry), Some(known)) = (self.entry(vhost, user), self.users.get(user)) else {
            return Rights::default();
        };
        Rights {
            permissions: entry.permissions.clone(),
            topics: entry.topics.values().cloned().collect(),
            impersonates: Rights::impersonation(&known.tags),
            ..Rights::default()
        }
    }

    /// Carries out a change; again is the same as once.
    pub(super) fn replay(&mut self, change: &Change) {
        match change {
            Change::UserSet { user } => {
                let name = Arc::clone(&user.name);
                self.users.insert(name, Arc::new(user.clone()));
            }
            Change::UserDeleted { name } => {
                self.users.remove(name);
                self.entries.retain(|(_, user), _| user != name);
            }
            Change::PermissionsSet {
                vhost,
                user,
                permissions,
            } => {
                self.entry_mut(vhost, user).permissions = Some(Arc::new(permissions.clone()));
            }
            Change::PermissionsCleared { vhost, user } => {
                self.entry_mut(vhost, user).permissions = None;
                self.drop_empty(vhost, user);
            }
            Change::TopicPermissionSet {
                vhost,
                user,
                permission,
            } => {
                let rights = TopicRights::new(permission, user, vhost);
                let topics = &mut self.entry_mut(vhost, user).topics;
                topics.insert(Arc::clone(rights.exchange()), Arc::new(rights));
            }
            Change::TopicPermissionCleared {
                vhost,
                user,
                exchange,
            } => {
                self.entry_mut(vhost, user).topics.remove(exchange);
                self.drop_empty(vhost, user);
            }
            Change::VhostDeleted { vhost } => self.forget_vhost(vhost),
            _ => {}
        }
    }

    pub(super) fn forget_vhost(&mut self, vhost: &str) {
        self.entries.retain(|(own, _), _| **own != *vhost);
    }

    fn entry_mut(&mut self, vhost: &Arc<str>, user: &Arc<str>) -> &mut Entry {
        let key = (Arc::clone(vhost), Arc::clone(user));
        self.entries.entry(key).or_default()
    }

    fn drop_empty(&mut self, vhost: &Arc<str>, user: &Arc<str>) {
        let key = (Arc::clone(vhost), Arc::clone(user));
        let is_empty = |entry: &Entry| entry.permissions.is_none() && entry.topics.is_empty();
        if self.entries.get(&key).is_some_and(is_empty) {
            self.entries.remove(&key);
        }
    }
}
