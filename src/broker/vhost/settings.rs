//! What is said of a virtual host beside its name.

use std::sync::Arc;

use crate::broker::access::AccessError;
use crate::broker::arguments::QueueType;

/// What is said of a virtual host beside its name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VhostSettings {
    /// For people to read.
    pub description: Arc<str>,
    /// For people to sort by.
    pub tags: Vec<Arc<str>>,
    /// The type of queues declared without one, where they can be of it.
    pub default_queue_type: Option<Arc<str>>,
    /// It isn't deleted before this is taken back.
    pub protected: bool,
    /// What may be in it.
    pub limits: VhostLimits,
}

/// What may be in a virtual host at the same time. As given: a negative number
/// is no limit, as none is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VhostLimits {
    /// Connections.
    pub max_connections: Option<i64>,
    /// Queues.
    pub max_queues: Option<i64>,
}

impl VhostLimits {
    /// Sets the limit that RabbitMQ calls `name`, or lifts it.
    ///
    /// # Errors
    /// [`AccessError::UnknownLimit`] when there is none of that name.
    pub fn set(&mut self, name: &str, value: Option<i64>) -> Result<(), AccessError> {
        let limit = match name {
            "max-connections" => &mut self.max_connections,
            "max-queues" => &mut self.max_queues,
            _ => return Err(AccessError::unknown_limit(name, value, "limits")),
        };
        *limit = value;
        Ok(())
    }
}

impl VhostSettings {
    /// Whether they make sense.
    ///
    /// # Errors
    /// [`AccessError::UnknownQueueType`].
    pub fn check(&self) -> Result<(), AccessError> {
        match self.default_queue_type.as_deref() {
            Some(name) if QueueType::of_name(name.as_bytes()).is_none() => {
                Err(AccessError::UnknownQueueType(name.to_owned()))
            }
            _ => Ok(()),
        }
    }
}
