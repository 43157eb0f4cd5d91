//! How refusals name the thing they are about.

use std::fmt;

use crate::wire::{Refusal, ReplyCode};

/// What every reserved name begins with.
pub(super) const RESERVED_PREFIX: &str = "amq.";

/// A queue or an exchange, as the explanation of a refusal names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resource<'a> {
    kind: &'static str,
    name: &'a str,
    vhost: &'a str,
}

impl<'a> Resource<'a> {
    pub(super) const fn queue(name: &'a str, vhost: &'a str) -> Self {
        Self {
            kind: "queue",
            name,
            vhost,
        }
    }

    pub(super) const fn exchange(name: &'a str, vhost: &'a str) -> Self {
        Self {
            kind: "exchange",
            name,
            vhost,
        }
    }

    /// The same without the virtual host.
    pub(super) fn short(self) -> String {
        format!("{} '{}'", self.kind, self.name)
    }

    /// 404: it isn't there.
    pub(super) fn not_found(self) -> Refusal {
        Refusal::new(ReplyCode::NotFound, format!("no {self}"))
    }

    /// 405: it belongs to another connection.
    pub(super) fn locked(self) -> Refusal {
        let text = format!(
            "cannot obtain exclusive access to locked {self}. It could be originally declared \
             on another connection or the exclusive property value does not match that of the \
             original declaration."
        );
        Refusal::new(ReplyCode::ResourceLocked, text)
    }

    /// 403: only the server makes names like that.
    pub(super) fn reserved(self) -> Refusal {
        let text = format!(
            "{} name '{}' contains reserved prefix 'amq.*'",
            self.kind, self.name
        );
        Refusal::new(ReplyCode::AccessRefused, text)
    }

    /// 406: somebody still needs it.
    pub(super) fn in_use(self) -> Refusal {
        precondition(format!("{self} in use"))
    }
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} '{}' in vhost '{}'", self.kind, self.name, self.vhost)
    }
}

/// 406 with `explanation`.
pub(super) fn precondition(explanation: impl Into<String>) -> Refusal {
    Refusal::new(ReplyCode::PreconditionFailed, explanation)
}

/// 403 with `explanation`.
pub(super) fn access_refused(explanation: impl Into<String>) -> Refusal {
    Refusal::new(ReplyCode::AccessRefused, explanation)
}
