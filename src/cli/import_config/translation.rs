//! From entries of `rabbitmq.conf` to keys of Harrier's configuration.

use std::collections::BTreeMap;

use toml::Value;

use super::parse::Entry;
use super::table::{Meaning, Part, meaning};
use super::value;

/// A key of Harrier's configuration and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// What it is set to.
    pub value: Value,
    /// The entries it comes from, or why it is there without any.
    pub from: String,
}

/// An entry that sets nothing, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The entry.
    pub entry: Entry,
    /// Why.
    pub why: String,
}

/// What became of all entries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Translation {
    /// What is set, by key.
    pub settings: BTreeMap<String, Setting>,
    /// What is so in Harrier without being said.
    pub always: Vec<Remark>,
    /// What has no equivalent.
    pub without: Vec<Remark>,
    loopback_users: Option<Vec<String>>,
    management: (Option<Entry>, Option<Entry>),
}

impl Translation {
    /// Of these entries, of which the last counts where a key is set twice.
    pub fn of(entries: &[Entry]) -> Self {
        let mut translation = Self::default();
        for (at, entry) in entries.iter().enumerate() {
            let again = entries
                .iter()
                .skip(at + 1)
                .find(|later| later.key == entry.key);
            match again {
                Some(later) => {
                    let why = format!("line {} of {} sets it again", later.line, later.file);
                    translation.always.push(remark(entry, why));
                }
                None => translation.take(entry),
            }
        }
        translation.finish();
        translation
    }

    fn take(&mut self, entry: &Entry) {
        let Some(meaning) = meaning(&entry.key) else {
            let why = "no key of RabbitMQ's that is known here; is it spelled right?";
            return self.without(entry, why);
        };
        // Only RabbitMQ can read these.
        if entry.value.starts_with("encrypted:") {
            return self.without(
                entry,
                "the value is encrypted for RabbitMQ; put it in by hand",
            );
        }
        if entry.value.contains("$(") {
            let why = "the value has a variable in it; HARRIER_* variables set keys here";
            return self.without(entry, why);
        }
        match meaning {
            Meaning::Sets(key, convert) => match convert(&entry.value) {
                Ok(value) => self.set(key, value, entry),
                Err(why) => self.without(entry, &why),
            },
            Meaning::Part(part) => self.take_part(part, entry),
            Meaning::Always(why) => self.always.push(remark(entry, why)),
            Meaning::AlwaysIf(values, why) => {
                if values.contains(&&*entry.value) {
                    self.always.push(remark(entry, why));
                } else {
                    self.without(entry, why);
                }
            }
            Meaning::Nothing(why) => self.without(entry, why),
        }
    }

    fn take_part(&mut self, part: Part, entry: &Entry) {
        match part {
            Part::Listeners => self.without(
                entry,
                "AMQP is always served; on an address that nobody reaches, if need be",
            ),
            Part::Listener if self.settings.contains_key("amqp") => self.without(
                entry,
                "AMQP is served on one address; 0.0.0.0 and [::] are all of a machine's",
            ),
            Part::Listener => match value::listener(&entry.value) {
                Ok(value) => self.set("amqp", value, entry),
                Err(why) => self.without(entry, &why),
            },
            Part::ManagementIp => self.management.0 = Some(entry.clone()),
            Part::ManagementPort => self.management.1 = Some(entry.clone()),
            Part::LoopbackUsers => {
                self.loopback_users.get_or_insert_default();
                if entry.value != "none" {
                    self.without(
                        entry,
                        "expected none; users are named by loopback_users.NAME",
                    );
                }
            }
            Part::LoopbackUser => {
                let users = self.loopback_users.get_or_insert_default();
                let name = entry
                    .key
                    .strip_prefix("loopback_users.")
                    .unwrap_or_default();
                match value::boolean(&entry.value) {
                    Ok(true) => users.push(name.to_owned()),
                    Ok(false) => {}
                    Err(why) => self.without(entry, &why),
                }
            }
            Part::QueueType => match &*entry.value {
                "classic" | "quorum" => {
                    self.set("default_queue_type", entry.value.clone().into(), entry);
                }
                _ => self.without(
                    entry,
                    "expected classic or quorum; there are no others here",
                ),
            },
        }
    }

    fn finish(&mut self) {
        if let Some(users) = self.loopback_users.take() {
            let users = users.into_iter().map(Value::String).collect();
            self.put("loopback_users", Value::Array(users), "loopback_users");
        }
        let (ip, port) = std::mem::take(&mut self.management);
        if let Some(entry) = ip.as_ref().or(port.as_ref()) {
            let host = ip.as_ref().map_or("0.0.0.0", |ip| &ip.value);
            let port = port.as_ref().map_or("15672", |port| &port.value);
            match value::address(host, port) {
                Ok(address) => self.put("http", address, "management.tcp"),
                Err(why) => self.without(entry, &why),
            }
        }
        if !self.settings.contains_key("amqp") {
            let why = "RabbitMQ is open to all machines unless told otherwise";
            self.put("amqp", "0.0.0.0:5672".into(), why);
        }
    }

    fn set(&mut self, key: &str, value: Value, entry: &Entry) {
        self.put(key, value, &entry.key);
    }

    fn put(&mut self, key: &str, value: Value, from: &str) {
        let from = from.to_owned();
        self.settings
            .insert(key.to_owned(), Setting { value, from });
    }

    fn without(&mut self, entry: &Entry, why: &str) {
        self.without.push(remark(entry, why));
    }

    /// The configuration file, with everything that isn't in it as comments.
    pub fn toml(&self) -> String {
        let mut text = String::from(
            "# Made from rabbitmq.conf by `harrier import-config`. Keys that aren't here have\n\
             # their defaults. Where messages are kept isn't said in rabbitmq.conf: data_dir.\n",
        );
        for (key, Setting { value, from }) in &self.settings {
            text.push_str(&format!("\n# {from}\n{key} = {value}\n"));
        }
        for (title, remarks) in [
            ("These have no equivalent:", &self.without),
            ("These are so in any case:", &self.always),
        ] {
            if remarks.is_empty() {
                continue;
            }
            text.push_str(&format!("\n# {title}\n"));
            for Remark { entry, why } in remarks {
                // A secret is no comment.
                let value = match entry.key.contains("pass") || entry.key.contains("secret") {
                    true => "...",
                    false => &entry.value,
                };
                let (line, key) = (entry.line, &entry.key);
                text.push_str(&format!("#   line {line}: {key} = {value}\n#     {why}\n"));
            }
        }
        text
    }
}

fn remark(entry: &Entry, why: impl Into<String>) -> Remark {
    Remark {
        entry: entry.clone(),
        why: why.into(),
    }
}
