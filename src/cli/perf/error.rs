//! Why a run could not be carried out.

use std::io;

/// What stopped a run. The text says what happened and, where it helps, what to do.
#[derive(Debug, thiserror::Error)]
pub enum PerfError {
    /// The options contradict each other; nothing was sent.
    #[error("{0}")]
    Usage(String),
    /// The socket or the file system failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server closed the connection or the channel.
    #[error("the server closed the {scope}: {code} {text}")]
    Closed {
        /// `connection` or `channel`.
        scope: &'static str,
        /// The reply code.
        code: u16,
        /// The reply text.
        text: String,
    },
    /// The server sent what AMQP 0-9-1 doesn't allow here, or nothing in time.
    #[error("{0}")]
    Protocol(String),
    /// The broker isn't in the state the run needs.
    #[error("{0}")]
    State(String),
}

/// Names what was being done when the system refused.
pub fn io_error(doing: impl Into<String>) -> impl FnOnce(io::Error) -> PerfError {
    let doing = doing.into();
    move |source| PerfError::Io { doing, source }
}
