//! Why a parameter can't be as somebody wants it.

use crate::base::limits::PARAMETER_BYTES_MAX;

/// Why a parameter can't be as somebody wants it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// There is no such virtual host.
    #[error("no such vhost '{0}'")]
    NoSuchVhost(String),
    /// A component or parameter can't be called that.
    #[error("the name of a parameter has 1 to 255 octets, '{0}' doesn't")]
    BadName(String),
    /// Its value is too long, octets.
    #[error("the value of a parameter has at most {PARAMETER_BYTES_MAX} octets, not {0}")]
    TooLong(usize),
}
