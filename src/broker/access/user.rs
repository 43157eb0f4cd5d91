//! Who may log in.

use std::sync::Arc;

use super::error::AccessError;
use super::password::PasswordHash;

/// The tag of users who may do everything over the management interface.
pub const ADMINISTRATOR: &str = "administrator";
/// The tag of users whose messages may name any `user_id`.
pub const IMPERSONATOR: &str = "impersonator";
/// The tag of users that the management interface leaves alone.
pub const PROTECTED: &str = "protected";

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name, by which everything else refers to it.
    pub name: Arc<str>,
    /// What is kept of the password.
    pub password: PasswordHash,
    /// What else the user may do, in the order given.
    pub tags: Vec<Arc<str>>,
    /// What the user may have open.
    pub limits: UserLimits,
}

impl User {
    /// Whether the user has a tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| &**own == tag)
    }
}

/// What one user may have open at the same time. As given: a negative number
/// is no limit, as none is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UserLimits {
    /// Connections.
    pub max_connections: Option<i64>,
    /// Channels of all connections together.
    pub max_channels: Option<i64>,
}

impl UserLimits {
    /// Sets the limit that RabbitMQ calls `name`, or lifts it.
    ///
    /// # Errors
    /// [`AccessError::UnknownLimit`] when there is none of that name.
    pub fn set(&mut self, name: &str, value: Option<i64>) -> Result<(), AccessError> {
        let limit = match name {
            "max-connections" => &mut self.max_connections,
            "max-channels" => &mut self.max_channels,
            _ => return Err(AccessError::unknown_limit(name, value, "user-limits")),
        };
        *limit = value;
        Ok(())
    }
}

/// What is allowed by a limit; `None` is as much as there is.
pub fn allowed(limit: Option<i64>) -> Option<u64> {
    limit.and_then(|limit| u64::try_from(limit).ok())
}
