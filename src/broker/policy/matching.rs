//! Which policies apply to what.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;

use super::merge::with_operator;
use super::{Policy, PolicyKind};
use crate::broker::arguments::{self, QueueType};
use crate::broker::change::Change;
use crate::broker::spec::QueueSpec;
use crate::wire::FieldTable;

/// What a policy may apply to.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) enum Subject<'a> {
    /// An exchange, by name.
    Exchange(&'a str),
    /// A queue, by name, and its type.
    Queue(&'a str, QueueType),
}

impl<'a> Subject<'a> {
    /// A queue as declared.
    pub(in crate::broker) fn queue(spec: &'a QueueSpec) -> Self {
        let kind = arguments::queue_type(&spec.arguments).unwrap_or_default();
        Self::Queue(&spec.name, kind)
    }

    pub(super) fn name(self) -> &'a str {
        match self {
            Self::Exchange(name) | Self::Queue(name, _) => name,
        }
    }
}

/// The policies that apply to something: one of each kind at most.
#[derive(Debug, Clone, Default)]
pub struct Matched {
    /// The policy.
    pub policy: Option<Arc<Policy>>,
    /// The operator's policy.
    pub operator: Option<Arc<Policy>>,
}

impl Matched {
    /// Whether none applies.
    pub fn is_empty(&self) -> bool {
        self.policy.is_none() && self.operator.is_none()
    }

    /// The one of a kind.
    pub(super) fn of(&self, kind: PolicyKind) -> Option<&Arc<Policy>> {
        match kind {
            PolicyKind::User => self.policy.as_ref(),
            PolicyKind::Operator => self.operator.as_ref(),
        }
    }

    /// What they come to, by key.
    pub fn definition(&self) -> Cow<'_, FieldTable> {
        match (&self.policy, &self.operator) {
            (None, None) => Cow::Owned(FieldTable::new()),
            (Some(one), None) | (None, Some(one)) => Cow::Borrowed(one.definition()),
            (Some(policy), Some(operator)) => {
                Cow::Owned(with_operator(policy.definition(), operator.definition()))
            }
        }
    }

    /// Whether both are the very same.
    pub(in crate::broker) fn is(&self, other: &Self) -> bool {
        let is = |one: &Option<Arc<Policy>>, other: &Option<Arc<Policy>>| match (one, other) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        is(&self.policy, &other.policy) && is(&self.operator, &other.operator)
    }
}

/// The policies of a virtual host.
#[derive(Debug, Default)]
pub(in crate::broker) struct Policies {
    user: Ranked,
    operator: Ranked,
}

impl Policies {
    /// Carries out a change.
    pub(in crate::broker) fn replay(&mut self, change: &Change) {
        match change {
            Change::PolicySet { policy, .. } => {
                self.ranked_mut(policy.kind()).set(Arc::new(policy.clone()));
            }
            Change::PolicyCleared { kind, name, .. } => self.ranked_mut(*kind).clear(name),
            _ => {}
        }
    }

    /// The policy called `name`.
    pub(in crate::broker) fn get(&self, kind: PolicyKind, name: &str) -> Option<&Arc<Policy>> {
        self.all(kind).find(|policy| *policy.name == *name)
    }

    /// All policies of a kind, those that come first before the others.
    pub(in crate::broker) fn all(&self, kind: PolicyKind) -> impl Iterator<Item = &Arc<Policy>> {
        match kind {
            PolicyKind::User => self.user.0.iter(),
            PolicyKind::Operator => self.operator.0.iter(),
        }
    }

    /// The policies that apply to `subject`.
    pub(in crate::broker) fn matching(&self, subject: Subject<'_>) -> Matched {
        let first = |kind| {
            self.all(kind)
                .find(|policy| policy.matches(subject))
                .cloned()
        };
        Matched {
            policy: first(PolicyKind::User),
            operator: first(PolicyKind::Operator),
        }
    }

    fn ranked_mut(&mut self, kind: PolicyKind) -> &mut Ranked {
        match kind {
            PolicyKind::User => &mut self.user,
            PolicyKind::Operator => &mut self.operator,
        }
    }
}

/// Policies of a kind: those with the highest priority first, those of the same
/// one by name.
#[derive(Debug, Default)]
struct Ranked(Vec<Arc<Policy>>);

impl Ranked {
    fn set(&mut self, policy: Arc<Policy>) {
        self.clear(&policy.name);
        fn rank(policy: &Policy) -> (Reverse<i64>, &str) {
            (Reverse(policy.priority), &policy.name)
        }
        let at = self.0.partition_point(|other| rank(other) < rank(&policy));
        self.0.insert(at, policy);
    }

    fn clear(&mut self, name: &str) {
        self.0.retain(|policy| *policy.name != *name);
    }
}
