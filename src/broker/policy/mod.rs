//! Policies: what queues and exchanges go by beside what they were declared
//! with, by name and from outside (`semantics` 16).
//!
//! ```text
//!   policies of users     --the first that matches--> policy   --.
//!   policies of operators --the first that matches--> operator --+--merged--> definition
//!                                                                                 |
//!                             queue's arguments --------------------merged--------'
//!                                                                      `--> settings
//! ```

mod change;
mod error;
mod events;
mod keys;
mod matching;
mod merge;

use std::fmt;
use std::sync::Arc;

pub(super) use self::change::PolicyChange;
pub use self::error::PolicyError;
pub use self::matching::Matched;
pub(super) use self::matching::{Policies, Subject};
pub(super) use self::merge::with_arguments;

use super::access::check_name;
use super::arguments::QueueType;
use super::pattern::Pattern;
use crate::wire::FieldTable;

/// Whose policy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    /// Of those who use the broker.
    User,
    /// Of those who run it: it bounds what users' policies allow.
    Operator,
}

impl PolicyKind {
    /// What RabbitMQ calls one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "policy",
            Self::Operator => "operator_policy",
        }
    }
}

/// What a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApplyTo {
    /// Queues and exchanges.
    #[default]
    All,
    /// Queues of every type.
    Queues,
    /// Queues of type `classic`.
    ClassicQueues,
    /// Queues of type `quorum`.
    QuorumQueues,
    /// Queues of type `stream`.
    Streams,
    /// Exchanges.
    Exchanges,
}

impl ApplyTo {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::All,
        Self::Queues,
        Self::ClassicQueues,
        Self::QuorumQueues,
        Self::Streams,
        Self::Exchanges,
    ];

    /// The word in definitions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Queues => "queues",
            Self::ClassicQueues => "classic_queues",
            Self::QuorumQueues => "quorum_queues",
            Self::Streams => "streams",
            Self::Exchanges => "exchanges",
        }
    }

    /// What that word stands for.
    ///
    /// # Errors
    /// [`PolicyError::UnknownApplyTo`].
    pub fn named(name: &str) -> Result<Self, PolicyError> {
        let found = Self::ALL.into_iter().find(|one| one.name() == name);
        found.ok_or_else(|| PolicyError::UnknownApplyTo(name.to_owned()))
    }

    fn covers(self, subject: Subject<'_>) -> bool {
        match (self, subject) {
            (Self::All, _) => true,
            (Self::Exchanges, Subject::Exchange(_)) => true,
            (Self::Queues, Subject::Queue(..)) => true,
            (Self::ClassicQueues, Subject::Queue(_, kind)) => kind == QueueType::Classic,
            (Self::QuorumQueues, Subject::Queue(_, kind)) => kind == QueueType::Quorum,
            _ => false,
        }
    }
}

/// A policy of a virtual host.
#[derive(Clone, PartialEq)]
pub struct Policy {
    kind: PolicyKind,
    name: Arc<str>,
    pattern: Pattern,
    apply_to: ApplyTo,
    priority: i64,
    definition: FieldTable,
    /// The types of queue that have all of it, a bit each.
    types: u8,
}

impl Policy {
    /// A policy that applies to what has `pattern` in its name. Of several, the
    /// one with the highest `priority` does.
    ///
    /// # Errors
    /// [`PolicyError`] naming what of it makes no sense.
    pub fn new(
        kind: PolicyKind,
        name: &str,
        pattern: &str,
        apply_to: ApplyTo,
        priority: i64,
        definition: FieldTable,
    ) -> Result<Self, PolicyError> {
        check_name(name).map_err(|_| PolicyError::BadName(name.to_owned()))?;
        let pattern = Pattern::new(pattern)?;
        let policy = Self::kept(kind, name.into(), pattern, apply_to, priority, definition);
        keys::check(kind, &policy.definition)?;
        Ok(policy)
    }

    /// The same from where it was kept after it had been checked.
    pub fn kept(
        kind: PolicyKind,
        name: Arc<str>,
        pattern: Pattern,
        apply_to: ApplyTo,
        priority: i64,
        mut definition: FieldTable,
    ) -> Self {
        definition.sort();
        Self {
            kind,
            name,
            pattern,
            apply_to,
            priority,
            types: keys::types(&definition),
            definition,
        }
    }

    /// Whose it is.
    pub fn kind(&self) -> PolicyKind {
        self.kind
    }

    /// Its name, unique among those of its kind.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What has to be in the name of what it applies to.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// What it is for.
    pub fn apply_to(&self) -> ApplyTo {
        self.apply_to
    }

    /// Its priority among those of its kind.
    pub fn priority(&self) -> i64 {
        self.priority
    }

    /// What it says, ordered by key.
    pub fn definition(&self) -> &FieldTable {
        &self.definition
    }

    /// Whether it applies to `subject` unless another one comes first. One that
    /// says something that a type of queue doesn't have isn't for that type.
    fn matches(&self, subject: Subject<'_>) -> bool {
        let has_all = match subject {
            Subject::Queue(_, kind) => self.types & kind.column() != 0,
            Subject::Exchange(_) => true,
        };
        has_all && self.apply_to.covers(subject) && self.pattern.is_in(subject.name())
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} '{}'", self.kind.name(), self.name)?;
        write!(f, " {:?} {}", self.pattern, self.apply_to.name())?;
        write!(f, " {} {:?}", self.priority, self.definition)
    }
}
