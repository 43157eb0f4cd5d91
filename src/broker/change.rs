//! Changes of what is declared: the commands that a log replays.

use std::sync::Arc;

use super::spec::{BindingSpec, ExchangeSpec, QueueSpec};
use crate::base::ids::QueueId;

/// One durable change of a virtual host. Carrying one out twice is the same as
/// once, so a log may be replayed over a state that has some of it already.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A virtual host was made.
    VhostCreated {
        /// Its name.
        vhost: Arc<str>,
    },
    /// A virtual host went, with all that was in it.
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
}

impl Change {
    /// The virtual host it happened in.
    pub fn vhost(&self) -> &Arc<str> {
        match self {
            Self::VhostCreated { vhost }
            | Self::VhostDeleted { vhost }
            | Self::ExchangeDeclared { vhost, .. }
            | Self::ExchangeDeleted { vhost, .. }
            | Self::QueueDeclared { vhost, .. }
            | Self::QueueDeleted { vhost, .. }
            | Self::Bound { vhost, .. }
            | Self::Unbound { vhost, .. } => vhost,
        }
    }
}
