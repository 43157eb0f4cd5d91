//! Definitions as they are written: one type an entry.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A JSON object. RabbitMQ wrote empty ones as empty lists for a long time.
pub(super) type Object<T> = BTreeMap<String, T>;

/// A whole file. What isn't named here is for people to read.
#[derive(Debug, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct Document {
    pub(super) users: Vec<User>,
    pub(super) vhosts: Vec<Vhost>,
    pub(super) permissions: Vec<Permission>,
    pub(super) topic_permissions: Vec<TopicPermission>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) global_parameters: Vec<GlobalParameter>,
    pub(super) policies: Vec<Policy>,
    pub(super) exchanges: Vec<Exchange>,
    pub(super) queues: Vec<Queue>,
    pub(super) bindings: Vec<Binding>,
}

#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) password_hash: Option<String>,
    pub(super) hashing_algorithm: Option<String>,
    pub(super) password: Option<String>,
    #[serde(default)]
    pub(super) tags: Tags,
    #[serde(default, deserialize_with = "object_or_none")]
    pub(super) limits: Option<Object<i64>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Vhost {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) tags: Option<Tags>,
    pub(super) default_queue_type: Option<String>,
    pub(super) protected_from_deletion: Option<bool>,
    #[serde(default, deserialize_with = "object_or_none")]
    pub(super) limits: Option<Object<i64>>,
    pub(super) metadata: Option<Metadata>,
}

/// What newer exports have beside a virtual host's name once more.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metadata {
    pub(super) description: Option<String>,
    pub(super) tags: Option<Tags>,
    pub(super) default_queue_type: Option<String>,
    pub(super) protected_from_deletion: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Permission {
    pub(super) user: String,
    pub(super) vhost: String,
    pub(super) configure: String,
    pub(super) write: String,
    pub(super) read: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct TopicPermission {
    pub(super) user: String,
    pub(super) vhost: String,
    pub(super) exchange: String,
    pub(super) write: String,
    pub(super) read: String,
}

/// A runtime parameter.
#[derive(Debug, Deserialize)]
pub(super) struct Parameter {
    pub(super) component: String,
    pub(super) vhost: String,
    pub(super) name: String,
    pub(super) value: Value,
}

/// A runtime parameter of no virtual host.
#[derive(Debug, Deserialize)]
pub(super) struct GlobalParameter {
    pub(super) name: String,
    pub(super) value: Value,
}

/// A policy.
#[derive(Debug, Deserialize)]
pub(super) struct Policy {
    pub(super) vhost: String,
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) rule: Rule,
}

/// What a policy says of what. Those of operators are parameters with this as
/// their value.
#[derive(Debug, Deserialize)]
pub(super) struct Rule {
    pub(super) pattern: String,
    #[serde(rename = "apply-to")]
    pub(super) apply_to: Option<String>,
    #[serde(default)]
    pub(super) priority: i64,
    #[serde(deserialize_with = "object")]
    pub(super) definition: Object<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Exchange {
    pub(super) name: String,
    pub(super) vhost: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default = "yes")]
    pub(super) durable: bool,
    #[serde(default)]
    pub(super) auto_delete: bool,
    #[serde(default)]
    pub(super) internal: bool,
    #[serde(default, deserialize_with = "object")]
    pub(super) arguments: Object<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) vhost: String,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default = "yes")]
    pub(super) durable: bool,
    #[serde(default)]
    pub(super) auto_delete: bool,
    #[serde(default, deserialize_with = "object")]
    pub(super) arguments: Object<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Binding {
    pub(super) source: String,
    pub(super) vhost: String,
    pub(super) destination: String,
    pub(super) destination_type: DestinationType,
    #[serde(default)]
    pub(super) routing_key: String,
    #[serde(default, deserialize_with = "object")]
    pub(super) arguments: Object<Value>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DestinationType {
    Queue,
    Exchange,
}

/// Tags, a list or, as they once were written, words between commas.
#[derive(Debug, Default)]
pub(super) struct Tags(pub(super) Vec<String>);

fn yes() -> bool {
    true
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Tags;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of tags, or tags between commas")
            }

            fn visit_str<E>(self, words: &str) -> Result<Tags, E> {
                let words = words.split(',').map(str::trim);
                let words = words.filter(|word| !word.is_empty());
                Ok(Tags(words.map(str::to_owned).collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tags, A::Error> {
                let mut tags = Vec::new();
                while let Some(tag) = list.next_element()? {
                    tags.push(tag);
                }
                Ok(Tags(tags))
            }
        }
        deserializer.deserialize_any(Words)
    }
}

fn object<'de, D, T>(deserializer: D) -> Result<Object<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    object_or_none(deserializer).map(Option::unwrap_or_default)
}

fn object_or_none<'de, D, T>(deserializer: D) -> Result<Option<Object<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Entries<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
        type Value = Option<Object<T>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            match list.next_element::<Value>()? {
                None => Ok(Some(Object::new())),
                Some(_) => Err(serde::de::Error::invalid_type(
                    serde::de::Unexpected::Seq,
                    &self,
                )),
            }
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut object = Object::new();
            while let Some((name, value)) = map.next_entry()? {
                object.insert(name, value);
            }
            Ok(Some(object))
        }
    }
    deserializer.deserialize_any(Entries(PhantomData))
}
