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
    parts: Parts,
}

/// What waits for other entries to become a setting.
#[derive(Debug, Clone, Default, PartialEq)]
struct Parts {
    loopback_users: Option<Vec<String>>,
    mechanisms: Vec<String>,
    versions: Vec<String>,
    management: Endpoint,
    management_tls: Endpoint,
    management_files: Vec<Entry>,
    prometheus: Endpoint,
    lists: BTreeMap<&'static str, Vec<String>>,
}

/// An address given by two keys.
#[derive(Debug, Clone, Default, PartialEq)]
struct Endpoint {
    ip: Option<Entry>,
    port: Option<Entry>,
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
            Meaning::Lists(key) => {
                let list = self.parts.lists.entry(key).or_default();
                list.push(entry.value.clone());
            }
            Meaning::Names(table) => self.name(table, entry),
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
        let parts = &mut self.parts;
        match part {
            Part::Listeners => self.without(
                entry,
                "AMQP is always served; on an address that nobody reaches, if need be",
            ),
            Part::Listener => self.listener("amqp", entry),
            Part::TlsListener => self.listener("amqps", entry),
            Part::ManagementIp => parts.management.ip = Some(entry.clone()),
            Part::ManagementPort => parts.management.port = Some(entry.clone()),
            Part::ManagementTlsIp => parts.management_tls.ip = Some(entry.clone()),
            Part::ManagementTlsPort => parts.management_tls.port = Some(entry.clone()),
            Part::PrometheusIp => parts.prometheus.ip = Some(entry.clone()),
            Part::PrometheusPort => parts.prometheus.port = Some(entry.clone()),
            Part::ManagementTlsFile => parts.management_files.push(entry.clone()),
            Part::LoopbackUsers | Part::LoopbackUser => self.loopback_user(part, entry),
            Part::TlsVersion => match &*entry.value {
                "tlsv1.3" | "tlsv1.2" => parts.versions.push(entry.value.clone()),
                _ => self.without(entry, "expected tlsv1.3 or tlsv1.2; older ones aren't safe"),
            },
            Part::Mechanism => match &*entry.value {
                "PLAIN" | "AMQPLAIN" | "EXTERNAL" => parts.mechanisms.push(entry.value.clone()),
                _ => self.without(entry, "expected PLAIN, AMQPLAIN or EXTERNAL"),
            },
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

    fn name(&mut self, table: &str, entry: &Entry) {
        let name = entry.key.strip_prefix(table).unwrap_or_default();
        let name = name.trim_start_matches('.');
        if name.contains('.') {
            let why = format!("expected {table}.NAME = VALUE, with the name in the key");
            return self.without(entry, &why);
        }
        let name = Value::String(name.to_owned());
        self.set(
            &format!("{table}.{name}"),
            entry.value.clone().into(),
            entry,
        );
    }

    fn listener(&mut self, key: &str, entry: &Entry) {
        if self.settings.contains_key(key) {
            let why = format!("{key} is one address; 0.0.0.0 and [::] are all of a machine's");
            return self.without(entry, &why);
        }
        match value::listener(&entry.value) {
            Ok(value) => self.set(key, value, entry),
            Err(why) => self.without(entry, &why),
        }
    }

    fn loopback_user(&mut self, part: Part, entry: &Entry) {
        let users = self.parts.loopback_users.get_or_insert_default();
        if part == Part::LoopbackUsers {
            if entry.value != "none" {
                self.without(
                    entry,
                    "expected none; users are named by loopback_users.NAME",
                );
            }
            return;
        }
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

    fn finish(&mut self) {
        let parts = std::mem::take(&mut self.parts);
        if let Some(users) = parts.loopback_users {
            self.put("loopback_users", list(users), "loopback_users");
        }
        for (key, from, found) in [
            ("auth_mechanisms", "auth_mechanisms", parts.mechanisms),
            (
                "ssl_options.versions",
                "ssl_options.versions",
                parts.versions,
            ),
        ] {
            if !found.is_empty() {
                self.put(key, list(found), from);
            }
        }
        for (key, found) in parts.lists {
            self.put(key, list(found), key);
        }
        for entry in &parts.management_files {
            self.management_file(entry);
        }
        self.endpoint("http", "management.tcp", "15672", &parts.management);
        self.endpoint("prometheus", "prometheus.tcp", "15692", &parts.prometheus);
        self.endpoint("https", "management.ssl", "15671", &parts.management_tls);
        if !self.settings.contains_key("amqp") {
            let why = "RabbitMQ is open to all machines unless told otherwise";
            self.put("amqp", "0.0.0.0:5672".into(), why);
        }
    }

    fn endpoint(&mut self, key: &str, from: &str, usual: &str, given: &Endpoint) {
        let Some(entry) = given.ip.as_ref().or(given.port.as_ref()) else {
            return;
        };
        let host = given.ip.as_ref().map_or("0.0.0.0", |ip| &ip.value);
        let port = given.port.as_ref().map_or(usual, |port| &port.value);
        match value::address(host, port) {
            Ok(address) => self.put(key, address, from),
            Err(why) => self.without(entry, &why),
        }
    }

    /// RabbitMQ may have another certificate for its management API.
    fn management_file(&mut self, entry: &Entry) {
        let file = entry.key.rsplit('.').next().unwrap_or_default();
        let key = format!("ssl_options.{file}");
        match self.settings.get(&key).map(|setting| &setting.value) {
            None => self.set(&key, entry.value.clone().into(), entry),
            Some(Value::String(there)) if *there == entry.value => {
                let why = format!("{key} is for the management API, too");
                self.always.push(remark(entry, why));
            }
            Some(_) => {
                let why = format!("{key} is another, and one certificate serves both here");
                self.without(entry, &why);
            }
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

fn list(texts: Vec<String>) -> Value {
    Value::Array(texts.into_iter().map(Value::String).collect())
}

fn remark(entry: &Entry, why: impl Into<String>) -> Remark {
    Remark {
        entry: entry.clone(),
        why: why.into(),
    }
}
