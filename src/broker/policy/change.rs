//! A change of policies, and what it may concern.

use super::{Matched, Policy, PolicyKind, Subject};

/// A change of policies.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) enum PolicyChange<'a> {
    /// One was set.
    Set(&'a Policy),
    /// One was cleared.
    Cleared(PolicyKind, &'a str),
}

impl PolicyChange<'_> {
    /// Whether other policies than those in `noted` may apply to `subject` now:
    /// the one that changed did, or does. One pattern tells, not all of them.
    pub(in crate::broker) fn concerns(self, subject: Subject<'_>, noted: &Matched) -> bool {
        let (kind, name) = match self {
            Self::Set(policy) => (policy.kind, &*policy.name),
            Self::Cleared(kind, name) => (kind, name),
        };
        let applied = noted.of(kind).is_some_and(|policy| *policy.name == *name);
        applied || matches!(self, Self::Set(policy) if policy.matches(subject))
    }
}
