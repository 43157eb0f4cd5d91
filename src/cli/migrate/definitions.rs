//! The definitions of the old broker, less what would do harm here.

use serde_json::Value;

use super::plan::Plan;

/// Parameters of components that would begin to work as soon as they are here:
/// they would compete with the old broker's, which are still at work.
const AT_WORK: [&str; 3] = ["shovel", "federation-upstream", "federation-upstream-set"];
/// What says which broker the old one is.
const IDENTITY: [&str; 2] = ["cluster_name", "internal_cluster_id"];

/// Takes out of `definitions` what isn't to come along; what that is, a line
/// each. `keep_user` is who imports them, and stays as it is.
pub(super) fn filter(
    definitions: &mut Value,
    plan: &Plan,
    vhosts: &[String],
    keep_user: &str,
) -> Vec<String> {
    let mut left_out = Vec::new();
    let text = |entry: &Value, key: &str| {
        let text = entry.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let unwanted = |vhost: &str| !vhosts.is_empty() && !vhosts.iter().any(|own| own == vhost);
    if !vhosts.is_empty() {
        take(definitions, "vhosts", |vhost| {
            unwanted(&text(vhost, "name"))
        });
        let lists = [
            "permissions",
            "topic_permissions",
            "parameters",
            "policies",
            "queues",
            "exchanges",
            "bindings",
        ];
        for list in lists {
            take(definitions, list, |entry| unwanted(&text(entry, "vhost")));
        }
    }
    let users = take(definitions, "users", |user| text(user, "name") == keep_user);
    if !users.is_empty() {
        left_out.push(format!(
            "user '{keep_user}', who logs in here: stays as it is"
        ));
    }
    take(definitions, "global_parameters", |parameter| {
        IDENTITY.contains(&&*text(parameter, "name"))
    });
    let parameters = take(definitions, "parameters", |parameter| {
        AT_WORK.contains(&&*text(parameter, "component"))
    });
    for parameter in parameters {
        left_out.push(format!(
            "{} '{}' in vhost '{}': set it here once the old broker's is gone",
            text(&parameter, "component"),
            text(&parameter, "name"),
            text(&parameter, "vhost"),
        ));
    }
    let unknown = |vhost: &str, name: &str| {
        let mut streams = plan.left().filter(|queue| queue.kind == "stream");
        streams.any(|queue| queue.vhost == vhost && queue.name == name)
    };
    take(definitions, "queues", |queue| {
        unknown(&text(queue, "vhost"), &text(queue, "name"))
    });
    take(definitions, "bindings", |binding| {
        text(binding, "destination_type") == "queue"
            && unknown(&text(binding, "vhost"), &text(binding, "destination"))
    });
    left_out
}

/// Takes some entries out of a list.
fn take(definitions: &mut Value, list: &str, unwanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let Some(Value::Array(entries)) = definitions.get_mut(list) else {
        return Vec::new();
    };
    let (taken, kept) = std::mem::take(entries)
        .into_iter()
        .partition(|entry| unwanted(entry));
    *entries = kept;
    taken
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]

    use serde_json::json;

    use super::*;

    #[test]
    fn what_would_do_harm_stays_behind_and_is_told_of() {
        let listed = json!([{"vhost": "/", "name": "s", "type": "stream"}]);
        let plan = Plan::of(&listed, &[]);
        let mut definitions = json!({
            "users": [{"name": "guest"}, {"name": "app"}],
            "vhosts": [{"name": "/"}, {"name": "v"}],
            "global_parameters": [{"name": "cluster_name"}, {"name": "mine"}],
            "parameters": [
                {"component": "shovel", "name": "sh", "vhost": "/"},
                {"component": "operator_policy", "name": "op", "vhost": "/"},
            ],
            "queues": [{"name": "s", "vhost": "/"}, {"name": "s", "vhost": "v"}],
            "bindings": [
                {"vhost": "/", "destination_type": "queue", "destination": "s"},
                {"vhost": "/", "destination_type": "exchange", "destination": "s"},
            ],
        });
        let left_out = filter(&mut definitions, &plan, &[], "guest");
        assert_eq!(left_out.len(), 2, "{left_out:?}");
        assert!(left_out[0].contains("'guest'") && left_out[1].contains("'sh'"));
        assert_eq!(definitions["users"], json!([{"name": "app"}]));
        assert_eq!(definitions["global_parameters"], json!([{"name": "mine"}]));
        assert_eq!(definitions["parameters"][0]["name"], "op");
        assert_eq!(definitions["queues"], json!([{"name": "s", "vhost": "v"}]));
        assert_eq!(definitions["bindings"][0]["destination_type"], "exchange");
        filter(&mut definitions, &plan, &["/".to_owned()], "guest");
        assert_eq!(definitions["vhosts"], json!([{"name": "/"}]));
        assert_eq!(definitions["queues"], json!([]));
    }
}
