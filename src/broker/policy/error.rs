//! Why a policy can't be as somebody wants it.

use crate::broker::pattern::BadPattern;

/// Why a policy can't be as somebody wants it. The texts are RabbitMQ's where it
/// has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// There is no such virtual host.
    #[error("no such vhost '{0}'")]
    NoSuchVhost(String),
    /// A policy can't be called that.
    #[error("the name of a policy has 1 to 255 octets, '{0}' doesn't")]
    BadName(String),
    /// Its pattern doesn't compile.
    #[error("pattern should be regular expression but is invalid: {why}", why = .0.why)]
    BadPattern(#[from] BadPattern),
    /// There is nothing of that name that it could be for.
    #[error(
        "apply-to '{0}' unrecognised; should be one of: 'queues', 'classic_queues',  \
         'quorum_queues', 'streams', 'exchanges', or 'all'"
    )]
    UnknownApplyTo(String),
    /// It says nothing.
    #[error("no policy provided")]
    Empty,
    /// It says something under keys that no such policy has.
    #[error("[{0}] are not recognised policy settings")]
    UnknownKeys(String),
    /// A value isn't one that its key can have.
    #[error("{value} is not a valid {what}")]
    BadValue {
        /// The value, as Erlang prints it.
        value: String,
        /// What it should have been.
        what: &'static str,
    },
    /// Values that don't go together.
    #[error("{0}")]
    Conflict(String),
}
