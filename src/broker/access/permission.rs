//! What users may do in a virtual host.

use std::sync::Arc;

use crate::broker::pattern::{BadPattern, Pattern};

/// Something to be permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// To make and delete.
    Configure,
    /// To put messages in.
    Write,
    /// To take messages out.
    Read,
}

impl Permission {
    /// All there are, in RabbitMQ's order.
    pub const ALL: [Self; 3] = [Self::Configure, Self::Write, Self::Read];

    /// The word in texts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

/// What a user may do in a virtual host: the names of the queues and exchanges
/// that each permission is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// What may be made and deleted.
    pub configure: Pattern,
    /// What messages may be put into.
    pub write: Pattern,
    /// What messages may be taken from.
    pub read: Pattern,
}

impl Permissions {
    /// Permissions by these patterns. An empty one is for nothing but the empty
    /// name.
    ///
    /// # Errors
    /// [`BadPattern`] for the first that doesn't compile.
    pub fn new(configure: &str, write: &str, read: &str) -> Result<Self, BadPattern> {
        Pattern::of_permission(configure)?;
        if write != configure {
            Pattern::of_permission(write)?;
        }
        if read != write && read != configure {
            Pattern::of_permission(read)?;
        }
        Ok(Self::kept(configure, write, read))
    }

    /// The same of patterns that were some before.
    pub fn kept(configure: &str, write: &str, read: &str) -> Self {
        // Most often they are the same: those share what is compiled.
        let pattern = |source: &str, others: &[&Pattern]| {
            let same = others.iter().find(|other| **other.source() == *source);
            same.map_or_else(
                || Pattern::kept_of_permission(source),
                |same| Pattern::clone(same),
            )
        };
        let configure = pattern(configure, &[]);
        let write = pattern(write, &[&configure]);
        let read = pattern(read, &[&configure, &write]);
        Self {
            configure,
            write,
            read,
        }
    }

    /// Whether `permission` is given for `name`.
    pub fn allow(&self, permission: Permission, name: &str) -> bool {
        let pattern = match permission {
            Permission::Configure => &self.configure,
            Permission::Write => &self.write,
            Permission::Read => &self.read,
        };
        pattern.is_in(name)
    }
}

/// With what routing keys a user may publish to a topic exchange and bind
/// queues to it. `{username}`, `{vhost}` and `{client_id}` stand for those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPermission {
    /// The exchange.
    pub exchange: Arc<str>,
    /// Keys to publish with.
    pub write: Arc<str>,
    /// Keys to bind with.
    pub read: Arc<str>,
}

impl TopicPermission {
    /// A permission for `exchange`.
    ///
    /// # Errors
    /// [`BadPattern`] when a pattern wouldn't compile.
    pub fn new(exchange: &str, write: &str, read: &str) -> Result<Self, BadPattern> {
        for source in [write, read] {
            Pattern::of_permission(&expand(source, "", ""))?;
        }
        Ok(Self {
            exchange: exchange.into(),
            write: write.into(),
            read: read.into(),
        })
    }
}

/// A [`TopicPermission`] of one user in one virtual host.
#[derive(Debug)]
pub(super) struct TopicRights {
    pub(super) permission: Arc<TopicPermission>,
    write: Pattern,
    read: Pattern,
}

impl TopicRights {
    pub(super) fn new(permission: &TopicPermission, user: &str, vhost: &str) -> Self {
        let pattern = |source| Pattern::kept_of_permission(&expand(source, user, vhost));
        Self {
            write: pattern(&permission.write),
            read: pattern(&permission.read),
            permission: Arc::new(permission.clone()),
        }
    }

    /// The exchange it is for.
    pub(super) fn exchange(&self) -> &Arc<str> {
        &self.permission.exchange
    }

    /// Whether `permission` is given for a routing key. There is nothing to be
    /// configured about one.
    pub(super) fn allow(&self, permission: Permission, key: &str) -> bool {
        match permission {
            Permission::Write => self.write.is_in(key),
            Permission::Read => self.read.is_in(key),
            Permission::Configure => true,
        }
    }
}

/// Puts values in for names in braces, each to be matched as it is. AMQP 0-9-1
/// has no client ids: what is left of that one matches itself, as in RabbitMQ.
fn expand(source: &str, user: &str, vhost: &str) -> String {
    if !source.contains('{') {
        return source.to_owned();
    }
    source
        .replace("{username}", &fancy_regex::escape(user))
        .replace("{vhost}", &fancy_regex::escape(vhost))
        .replace("{client_id}", r"\{client_id\}")
}
