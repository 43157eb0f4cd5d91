//! What is to be moved, by what the old broker says it has.

use serde_json::{Value, json};

use super::endpoint::Endpoint;

/// What the shovels of a migration are called in front of their queue's name.
const PREFIX: &str = "migrate.";
/// Octets of a parameter's name.
const NAME_MAX: usize = 255;

/// A queue of the old broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) vhost: String,
    pub(super) name: String,
    /// `classic`, `quorum` or `stream`.
    pub(super) kind: String,
    /// Messages in it, ready or not, when last asked for.
    pub(super) messages: u64,
    pub(super) durable: bool,
    /// Why it isn't moved, if it isn't.
    pub(super) stays: Option<&'static str>,
}

/// What is to be moved, ordered by virtual host and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) queues: Vec<Queue>,
}

impl Plan {
    /// Of the `listed` queues those in `vhosts`, or in all when there are none.
    pub(super) fn of(listed: &Value, vhosts: &[String]) -> Self {
        let listed = listed.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut queues: Vec<Queue> = listed.iter().filter_map(queue).collect();
        queues.retain(|queue| vhosts.is_empty() || vhosts.contains(&queue.vhost));
        queues.sort_by(|a, b| (&a.vhost, &a.name).cmp(&(&b.vhost, &b.name)));
        Self { queues }
    }

    /// The queues that are moved.
    pub(super) fn moved(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter().filter(|queue| queue.stays.is_none())
    }

    /// The queues that stay where they are.
    pub(super) fn left(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter().filter(|queue| queue.stays.is_some())
    }
}

impl Queue {
    /// The name of its shovel.
    pub(super) fn shovel(&self) -> String {
        let name = format!("{PREFIX}{}", self.name);
        if name.len() <= NAME_MAX {
            return name;
        }
        // Two long names may begin alike; told apart by all of their octets.
        let mark = crc32c::crc32c(self.name.as_bytes());
        let cut = name.floor_char_boundary(NAME_MAX - 9);
        format!("{}~{mark:08x}", name.get(..cut).unwrap_or_default())
    }

    /// The parameter of its shovel.
    pub(super) fn parameter(&self, from: &Endpoint) -> Value {
        let to = Endpoint::here(&self.vhost);
        json!({ "value": {
            "src-protocol": "amqp091",
            "src-uri": from.of_vhost(&self.vhost),
            "src-queue": self.name,
            "src-predeclared": true,
            "src-delete-after": "never",
            "dest-protocol": "amqp091",
            "dest-uri": to,
            "dest-queue": self.name,
            "dest-predeclared": true,
            "ack-mode": "on-confirm",
            "reconnect-delay": 5,
        }})
    }
}

/// Whether a shovel is one of a migration.
pub(super) fn is_ours(shovel: &str) -> bool {
    shovel.starts_with(PREFIX)
}

fn queue(listed: &Value) -> Option<Queue> {
    let text = |key: &str| listed.get(key).and_then(Value::as_str);
    let truth = |key: &str| listed.get(key).and_then(Value::as_bool) == Some(true);
    // Before 3.8 there was one type, and nothing said so.
    let kind = text("type").unwrap_or("classic");
    // A queue without an owner says false, and before 3.8 nothing.
    let exclusive = truth("exclusive")
        || listed
            .get("owner_pid_details")
            .is_some_and(|owner| !owner.is_null() && owner.as_str() != Some(""));
    let stays = if exclusive {
        Some("exclusive: it ends with its connection")
    } else if truth("auto_delete") {
        Some("auto-delete: it ends with its last consumer, and its clients make it anew")
    } else if truth("internal") {
        Some("internal: a plugin's own")
    } else if !matches!(kind, "classic" | "quorum") {
        Some("its type isn't known here: read it to its end on the old broker")
    } else {
        None
    };
    Some(Queue {
        vhost: text("vhost")?.to_owned(),
        name: text("name")?.to_owned(),
        kind: kind.to_owned(),
        messages: listed.get("messages").and_then(Value::as_u64).unwrap_or(0),
        durable: truth("durable"),
        stays,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;

    fn listed() -> Value {
        json!([
            {"vhost": "/", "name": "b", "type": "quorum", "durable": true, "messages": 7},
            {"vhost": "/", "name": "a", "durable": true, "messages": 1, "owner_pid_details": ""},
            {"vhost": "/", "name": "s", "type": "stream", "durable": true, "messages": 9},
            {"vhost": "v", "name": "x", "type": "classic", "exclusive": true},
            {"vhost": "v", "name": "y", "type": "classic", "auto_delete": true},
            {"vhost": "v", "name": "z", "type": "classic", "durable": false},
        ])
    }

    #[test]
    fn queues_that_last_are_moved_and_the_others_told_of() {
        let plan = Plan::of(&listed(), &[]);
        let names = |queues: Vec<&Queue>| -> Vec<String> {
            queues.iter().map(|queue| queue.name.clone()).collect()
        };
        assert_eq!(names(plan.moved().collect()), ["a", "b", "z"]);
        assert_eq!(names(plan.left().collect()), ["s", "x", "y"]);
        let plan = Plan::of(&listed(), &["v".to_owned()]);
        assert_eq!(names(plan.moved().collect()), ["z"]);
    }

    #[test]
    fn a_shovel_goes_from_queue_to_queue_of_the_same_name() {
        let plan = Plan::of(&listed(), &[]);
        let queue = plan.moved().find(|queue| queue.name == "z").unwrap();
        let from = Endpoint::parse("amqp://u:p@old:1").unwrap();
        let value = &queue.parameter(&from)["value"];
        assert_eq!(value["src-uri"], "amqp://u:p@old:1/v");
        assert_eq!(value["dest-uri"], "amqp:///v");
        assert_eq!(value["src-queue"], value["dest-queue"]);
        assert_eq!(value["src-delete-after"], "never");
        assert_eq!(queue.shovel(), "migrate.z");
        assert!(is_ours(&queue.shovel()) && !is_ours("mine"));
    }

    #[test]
    fn long_names_that_begin_alike_have_shovels_of_their_own() {
        let mut queue = Plan::of(&listed(), &[]).queues.remove(0);
        let mut shovels = Vec::new();
        for end in ["x", "y"] {
            queue.name = format!("{}{end}", "é".repeat(126));
            shovels.push(queue.shovel());
        }
        assert!(
            shovels
                .iter()
                .all(|name| name.len() <= NAME_MAX && is_ours(name))
        );
        assert_ne!(shovels[0], shovels[1]);
    }
}
