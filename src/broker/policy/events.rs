//! The events of policies, with the fields that RabbitMQ gives them.

use super::{Policy, PolicyChange, PolicyKind};
use crate::broker::announcements::Herald;
use crate::broker::events::{done, done_in, of_queue};
use crate::broker::queue::Queue;
use crate::wire::FieldTable;

impl Herald {
    /// Operators' policies are parameters, too: that is told before all else.
    pub(in crate::broker) fn policy_parameter(
        &self,
        vhost: &str,
        change: PolicyChange<'_>,
        by: &str,
    ) {
        match change {
            PolicyChange::Set(policy) if policy.kind == PolicyKind::Operator => {
                self.event("parameter.set", || {
                    let mut headers = of_parameter(vhost, &policy.name, by);
                    let mut value = FieldTable::new();
                    put_rule(&mut value, policy);
                    headers.push("value", value);
                    headers
                });
            }
            PolicyChange::Cleared(PolicyKind::Operator, name) => {
                self.event("parameter.cleared", || of_parameter(vhost, name, by));
            }
            _ => {}
        }
    }

    /// Other policies apply to a queue since the change.
    pub(in crate::broker) fn queue_policy(
        &self,
        queue: &Queue,
        change: PolicyChange<'_>,
        by: &str,
    ) {
        match change {
            PolicyChange::Set(policy) => self.event("queue.policy.updated", || {
                let mut headers = of_queue(queue, by);
                put_rule(&mut headers, policy);
                headers
            }),
            PolicyChange::Cleared(..) => self.event("queue.policy.cleared", || of_queue(queue, by)),
        }
    }

    /// The change itself, once it has had its effects. RabbitMQ doesn't tell
    /// that an operator's policy was cleared.
    pub(in crate::broker) fn policy(&self, vhost: &str, change: PolicyChange<'_>, by: &str) {
        match change {
            PolicyChange::Set(policy) => self.event("policy.set", || {
                let mut headers = done_in(vhost, "name", &policy.name, by);
                put_rule(&mut headers, policy);
                headers
            }),
            PolicyChange::Cleared(PolicyKind::User, name) => {
                self.event("policy.cleared", || done_in(vhost, "name", name, by));
            }
            PolicyChange::Cleared(PolicyKind::Operator, _) => {}
        }
    }
}

fn of_parameter(vhost: &str, name: &str, by: &str) -> FieldTable {
    let mut headers = done("name", name, by);
    headers.push("component", PolicyKind::Operator.name());
    headers.push("vhost", vhost);
    headers
}

fn put_rule(headers: &mut FieldTable, policy: &Policy) {
    headers.push("pattern", &**policy.pattern.source());
    headers.push("apply-to", policy.apply_to.name());
    headers.push("definition", policy.definition.clone());
    headers.push("priority", policy.priority);
}
