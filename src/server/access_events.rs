//! The events of users and what they may do, with the fields that RabbitMQ gives
//! them.

use crate::broker::access::{Permissions, TopicPermission, User, UserLimits};
use crate::broker::announcements::Herald;
use crate::broker::events::{done, done_in};
use crate::wire::{FieldTable, FieldValue};

/// Tells of a user who was made, or given another password or other tags.
pub(super) fn tell_user(herald: &Herald, before: Option<&User>, after: &User, by: &str) {
    let name = &after.name;
    let fields = || done("name", name, by);
    match before {
        None => herald.event("user.created", fields),
        Some(before) if before.password != after.password => {
            herald.event("user.password.changed", fields);
        }
        Some(_) => {}
    }
    if before.is_none_or(|before| before.tags != after.tags) {
        herald.event("user.tags.set", || {
            let tags = after.tags.iter().map(FieldValue::str).collect();
            let mut headers = fields();
            headers.push("tags", FieldValue::Array(tags));
            headers
        });
    }
}

/// Tells of a user who was deleted.
pub(super) fn tell_user_deleted(herald: &Herald, name: &str, by: &str) {
    herald.event("user.deleted", || done("name", name, by));
}

/// Tells what a user may have open.
pub(super) fn tell_user_limits(herald: &Herald, name: &str, limits: UserLimits, by: &str) {
    let given = [
        ("max-connections", limits.max_connections),
        ("max-channels", limits.max_channels),
    ];
    let none = given.iter().all(|(_, value)| value.is_none());
    let key = if none {
        "user.limits.cleared"
    } else {
        "user.limits.set"
    };
    herald.event(key, || {
        let mut headers = done("name", "limits", by);
        headers.push("username", name);
        for (limit, value) in given {
            if let Some(value) = value {
                headers.push(limit, value);
            }
        }
        headers
    });
}

/// Tells what a user may do in a virtual host.
pub(super) fn tell_permissions(
    herald: &Herald,
    user: &str,
    vhost: &str,
    may: &Permissions,
    by: &str,
) {
    herald.event("permission.created", || {
        let mut headers = of_user(user, vhost, by);
        headers.push("configure", &**may.configure.source());
        headers.push("write", &**may.write.source());
        headers.push("read", &**may.read.source());
        headers
    });
}

/// Tells that a user may do nothing in a virtual host any more.
pub(super) fn tell_permissions_cleared(herald: &Herald, user: &str, vhost: &str, by: &str) {
    herald.event("permission.deleted", || of_user(user, vhost, by));
}

/// Tells with what routing keys a user may use a topic exchange.
pub(super) fn tell_topic_permission(
    herald: &Herald,
    user: &str,
    vhost: &str,
    may: &TopicPermission,
    by: &str,
) {
    herald.event("topic.permission.created", || {
        let mut headers = of_user(user, vhost, by);
        headers.push("exchange", &*may.exchange);
        headers.push("write", &*may.write);
        headers.push("read", &*may.read);
        headers
    });
}

/// Tells that a user may use topic exchanges with any routing key again.
pub(super) fn tell_topic_permissions_cleared(herald: &Herald, user: &str, vhost: &str, by: &str) {
    herald.event("topic.permission.deleted", || of_user(user, vhost, by));
}

fn of_user(user: &str, vhost: &str, by: &str) -> FieldTable {
    done_in(vhost, "user", user, by)
}
