//! Policies of users, which have a list of their own, and of operators, which
//! are among the parameters.

use serde::Deserialize;

use super::document::{self, Parameter, Rule};
use super::{DefinitionsError, In};
use crate::broker::policy::{ApplyTo, Policy, PolicyKind};
use crate::management::arguments::table;

/// The component of parameters that are policies of operators.
pub(super) const OPERATOR_POLICY: &str = PolicyKind::Operator.name();

/// A policy of users.
pub(super) fn of_users(entry: document::Policy) -> Result<In<Policy>, String> {
    let what = policy(PolicyKind::User, &entry.name, &entry.rule)?;
    let vhost = entry.vhost;
    Ok(In { vhost, what })
}

/// The policies of operators among `parameters`, with their places.
pub(super) fn of_operators(
    parameters: &[Parameter],
) -> Result<Vec<(usize, In<Policy>)>, DefinitionsError> {
    let numbered = parameters.iter().enumerate();
    numbered
        .filter(|(_, parameter)| parameter.component == OPERATOR_POLICY)
        .map(|(at, parameter)| {
            let refuse = |why| DefinitionsError::entry("parameters", at, why);
            let rule = Rule::deserialize(&parameter.value);
            let rule = rule.map_err(|error| refuse(error.to_string()))?;
            let what = policy(PolicyKind::Operator, &parameter.name, &rule).map_err(refuse)?;
            let vhost = parameter.vhost.clone();
            Ok((at, In { vhost, what }))
        })
        .collect()
}

fn policy(kind: PolicyKind, name: &str, rule: &Rule) -> Result<Policy, String> {
    let definition = table(&rule.definition)?;
    let apply_to = rule.apply_to.as_deref().map(ApplyTo::named).transpose();
    apply_to
        .and_then(|apply_to| {
            let apply_to = apply_to.unwrap_or_default();
            Policy::new(
                kind,
                name,
                &rule.pattern,
                apply_to,
                rule.priority,
                definition,
            )
        })
        .map_err(|error| error.to_string())
}
