//! Changes of what is declared: the commands that a log replays.

use std::sync::Arc;

use super::access::{Permissions, TopicPermission, User};
use super::parameters::ParameterKey;
use super::policy::{Policy, PolicyKind};
use super::spec::{BindingSpec, ExchangeSpec, QueueSpec};
use super::vhost::VhostSettings;
use crate::base::ids::QueueId;

/// One durable change. Carrying one out twice is the same as
/// once, so a log may be replayed over a state that has some of it already.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A virtual host was made.
    VhostCreated {
        /// Its name.
        vhost: Arc<str>,
    },
    /// A virtual host was made, or is said to be otherwise.
    VhostSet {
        /// Its name.
        vhost: Arc<str>,
        /// What is said of it.
        settings: VhostSettings,
    },
    /// A virtual host went, with all that was in it and all permissions in it.
    VhostDeleted {
        /// Its name.
        vhost: Arc<str>,
    },
    /// A durable exchange was declared.
    ExchangeDeclared {
        /// The virtual host.
        vhost: Arc<str>,
        /// What was declared.
        spec: ExchangeSpec,
    },
    /// A durable exchange went, and with it every binding from or to it.
    ExchangeDeleted {
        /// The virtual host.
        vhost: Arc<str>,
        /// Its name.
        name: Arc<str>,
    },
    /// A durable queue was declared.
    QueueDeclared {
        /// The virtual host.
        vhost: Arc<str>,
        /// The number its messages are stored under.
        id: QueueId,
        /// What was declared.
        spec: QueueSpec,
    },
    /// A durable queue went, and with it its messages and bindings.
    QueueDeleted {
        /// The virtual host.
        vhost: Arc<str>,
        /// Its number.
        id: QueueId,
        /// Its name.
        name: Arc<str>,
    },
    /// A binding between durable ends was made.
    Bound {
        /// The virtual host.
        vhost: Arc<str>,
        /// What was bound.
        spec: BindingSpec,
    },
    /// A binding between durable ends went.
    Unbound {
        /// The virtual host.
        vhost: Arc<str>,
        /// What was unbound.
        spec: BindingSpec,
    },
    /// There is a policy from now on, or it says something else.
    PolicySet {
        /// The virtual host.
        vhost: Arc<str>,
        /// The policy.
        policy: Policy,
    },
    /// A policy went.
    PolicyCleared {
        /// The virtual host.
        vhost: Arc<str>,
        /// Whose it was.
        kind: PolicyKind,
        /// Its name.
        name: Arc<str>,
    },
    /// There is a parameter from now on, or it has another value.
    ParameterSet {
        /// What it is known by.
        key: ParameterKey,
        /// The text of its JSON.
        value: Arc<str>,
    },
    /// A parameter went.
    ParameterCleared {
        /// What it was known by.
        key: ParameterKey,
    },
    /// A user was made or changed.
    UserSet {
        /// What the user is from now on.
        user: User,
    },
    /// A user went, with all permissions.
    UserDeleted {
        /// The user's name.
        name: Arc<str>,
    },
    /// A user may do this in a virtual host from now on.
    PermissionsSet {
        /// The virtual host.
        vhost: Arc<str>,
        /// The user.
        user: Arc<str>,
        /// What the user may do.
        permissions: Permissions,
    },
    /// A user may do nothing in a virtual host any more.
    PermissionsCleared {
        /// The virtual host.
        vhost: Arc<str>,
        /// The user.
        user: Arc<str>,
    },
    /// A user may use a topic exchange with these routing keys only.
    TopicPermissionSet {
        /// The virtual host.
        vhost: Arc<str>,
        /// The user.
        user: Arc<str>,
        /// The exchange and the keys.
        permission: TopicPermission,
    },
    /// A user may use a topic exchange with any routing key again.
    TopicPermissionCleared {
        /// The virtual host.
        vhost: Arc<str>,
        /// The user.
        user: Arc<str>,
        /// The exchange.
        exchange: Arc<str>,
    },
}

impl Change {
    /// The virtual host that what is declared changed in: not of users,
    /// permissions and parameters.
    pub fn vhost(&self) -> Option<&Arc<str>> {
        match self {
            Self::VhostCreated { vhost }
            | Self::VhostSet { vhost, .. }
            | Self::VhostDeleted { vhost }
            | Self::ExchangeDeclared { vhost, .. }
            | Self::ExchangeDeleted { vhost, .. }
            | Self::QueueDeclared { vhost, .. }
            | Self::QueueDeleted { vhost, .. }
            | Self::Bound { vhost, .. }
            | Self::Unbound { vhost, .. }
            | Self::PolicySet { vhost, .. }
            | Self::PolicyCleared { vhost, .. } => Some(vhost),
            Self::ParameterSet { .. }
            | Self::ParameterCleared { .. }
            | Self::UserSet { .. }
            | Self::UserDeleted { .. }
            | Self::PermissionsSet { .. }
            | Self::PermissionsCleared { .. }
            | Self::TopicPermissionSet { .. }
            | Self::TopicPermissionCleared { .. } => None,
        }
    }
}
