//! Policies as octets.

use super::changes::put_table;
use super::codec::{CodecError, Reader, put_number, put_text};
use crate::broker::pattern::Pattern;
use crate::broker::policy::{ApplyTo, Policy, PolicyKind};

const OF_USERS: u8 = b'u';
const OF_OPERATORS: u8 = b'o';

pub(super) fn put_policy(out: &mut Vec<u8>, policy: &Policy) {
    put_policy_kind(out, policy.kind());
    put_text(out, policy.name());
    put_text(out, policy.pattern().source());
    put_text(out, policy.apply_to().name());
    put_number(out, policy.priority().cast_unsigned());
    put_table(out, policy.definition());
}

pub(super) fn put_policy_kind(out: &mut Vec<u8>, kind: PolicyKind) {
    out.push(match kind {
        PolicyKind::User => OF_USERS,
        PolicyKind::Operator => OF_OPERATORS,
    });
}

impl Reader<'_> {
    /// A pattern that doesn't compile any more applies to nothing.
    pub(super) fn policy(&mut self) -> Result<Policy, CodecError> {
        let kind = self.policy_kind()?;
        let name = self.text()?;
        let source = self.text()?;
        let pattern = Pattern::kept(&source);
        let apply_to = ApplyTo::named(&self.text()?).map_err(|_| CodecError)?;
        let priority = self.number()?.cast_signed();
        let definition = self.table()?;
        Ok(Policy::kept(
            kind, name, pattern, apply_to, priority, definition,
        ))
    }

    pub(super) fn policy_kind(&mut self) -> Result<PolicyKind, CodecError> {
        match self.octet()? {
            OF_USERS => Ok(PolicyKind::User),
            OF_OPERATORS => Ok(PolicyKind::Operator),
            _ => Err(CodecError),
        }
    }
}
