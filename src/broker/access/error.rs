//! Why users, permissions and virtual hosts can't be as somebody wants them.

use super::password::BadHash;
use crate::broker::pattern::BadPattern;

/// Why users, permissions and virtual hosts can't be as somebody wants them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// There is no such user.
    #[error("no such user '{0}'")]
    NoSuchUser(String),
    /// There is no such virtual host.
    #[error("no such vhost '{0}'")]
    NoSuchVhost(String),
    /// A user, virtual host or exchange can't be called that.
    #[error("a name has 1 to 255 octets, '{0}' doesn't")]
    BadName(String),
    /// The virtual host may not be deleted.
    #[error("Refusing to delete virtual host '{0}' because it is protected from deletion")]
    Protected(String),
    /// There is no such type of queue.
    #[error("{0} is not a valid queue type")]
    UnknownQueueType(String),
    /// There is no such limit.
    #[error("Unrecognised terms [{{<<\"{name}\">>,{value}}}] in {whose}")]
    UnknownLimit {
        /// Its name.
        name: String,
        /// What it should have been.
        value: i64,
        /// `limits` of a virtual host, or `user-limits`.
        whose: &'static str,
    },
    /// A pattern of a permission doesn't compile.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
    /// A password hash is none.
    #[error(transparent)]
    Hash(#[from] BadHash),
}

impl AccessError {
    pub(in crate::broker) fn unknown_limit(
        name: &str,
        value: Option<i64>,
        whose: &'static str,
    ) -> Self {
        Self::UnknownLimit {
            name: name.to_owned(),
            value: value.unwrap_or_default(),
            whose,
        }
    }
}
