//! A queue as RabbitMQ shows it.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::api::Api;
use super::arguments;
use super::consumers::Consuming;
use super::counters::{self, QUEUE, QUEUE_LENGTHS};
use super::query::Query;
use super::rates::{Ages, Subject};
use super::reply::merge;
use super::times::rfc3339;
use crate::base::ids::{ConnectionId, QueueId};
use crate::base::limits::SAMPLE_INTERVAL;
use crate::broker::policy::Matched;
use crate::broker::queue::{Queue, QueueStatus, has_single_active};
use crate::server::roster::ConnectionView;

/// How queues are to be shown, and what is looked up once for all of them.
#[derive(Debug)]
pub struct QueueView {
    api: Arc<Api>,
    ages: Ages,
    /// Nothing that moves, but for the totals if these are wanted.
    plain: bool,
    totals: bool,
    /// With consumers and where messages come from.
    detailed: bool,
    consumers: HashMap<QueueId, Vec<Consuming>>,
    owners: HashMap<ConnectionId, Arc<ConnectionView>>,
    now: u64,
}

impl QueueView {
    /// Queues as `query` asks for them.
    pub fn new(api: &Arc<Api>, query: &Query, detailed: bool) -> Self {
        let connections = api.shared.roster.connections();
        Self {
            api: Arc::clone(api),
            ages: Ages::of(query),
            plain: query.flag("disable_stats"),
            totals: query.flag("enable_queue_totals"),
            detailed,
            consumers: Consuming::by_queue(&api.shared),
            owners: connections.into_iter().map(|c| (c.id, c)).collect(),
            now: api.shared.now().unix_ms,
        }
    }

    /// A queue.
    pub fn shown(&self, queue: &Arc<Queue>) -> Value {
        let status = queue.status();
        let mut shown = self.declared(queue);
        if self.plain {
            if self.totals {
                let values = counters::of_queue(&status);
                for (name, value) in QUEUE.iter().zip(values).take(QUEUE_LENGTHS) {
                    shown.insert((*name).to_owned(), value.into());
                }
            }
            return shown.into();
        }
        self.count(queue, &status, &mut shown);
        let mut shown = Value::Object(shown);
        merge(&mut shown, self.contents(&status));
        merge(&mut shown, self.consumed(queue, &status));
        if queue.settings().quorum {
            merge(&mut shown, self.replicated(queue, &status));
        }
        shown
    }

    /// What it was declared as, and what policies make of it.
    fn declared(&self, queue: &Queue) -> Map<String, Value> {
        let spec = queue.spec();
        let kind = spec.arguments.get("x-queue-type");
        let holder = queue.holds_for().or(queue.remembers_for());
        let vhost = self.api.shared.vhosts.get(queue.vhost());
        let policies = vhost.and_then(|vhost| vhost.policies_of_queue(queue.name()));
        let Matched { policy, operator } = policies.clone().unwrap_or_default();
        let definition = policies.unwrap_or_default();
        let shown = json!({
            "name": &*spec.name,
            "vhost": &**queue.vhost(),
            "type": kind.and_then(|kind| kind.as_str()).unwrap_or("classic"),
            "node": self.api.node(),
            "state": "running",
            "durable": spec.durable,
            "auto_delete": spec.auto_delete,
            "exclusive": spec.exclusive,
            "internal": holder.is_some(),
            "internal_owner": match holder {
                Some(name) => json!({
                    "name": name, "vhost": &**queue.vhost(), "kind": "exchange",
                }),
                None => Value::Bool(false),
            },
            "arguments": arguments::json(&spec.arguments),
            "policy": policy.as_ref().map(|policy| &**policy.name()),
            "operator_policy": operator.as_ref().map(|policy| &**policy.name()),
            "effective_policy_definition": arguments::json(&definition.definition()),
        });
        match shown {
            Value::Object(shown) => shown,
            _ => Map::new(),
        }
    }

    /// What there is and what has passed, with how fast that changes.
    fn count(&self, queue: &Queue, status: &QueueStatus, shown: &mut Map<String, Value>) {
        let subject = Subject::Queue(queue.id());
        let values = counters::of_queue(status);
        let (lengths, passed) = values.split_at(QUEUE_LENGTHS);
        let (length_names, passed_names) = QUEUE.split_at(QUEUE_LENGTHS);
        let rates = &self.api.rates;
        rates.put(
            shown,
            &subject,
            0,
            (length_names, lengths),
            self.ages.lengths,
        );
        if passed.iter().any(|value| *value > 0) {
            let mut stats = Map::new();
            let counters = (passed_names, passed);
            rates.put(
                &mut stats,
                &subject,
                QUEUE_LENGTHS,
                counters,
                self.ages.messages,
            );
            shown.insert("message_stats".to_owned(), stats.into());
        }
    }

    fn contents(&self, status: &QueueStatus) -> Value {
        let octets = status.octets;
        let idle = self.now.saturating_sub(status.last_use) > SAMPLE_INTERVAL.as_millis() as u64;
        let mut contents = json!({
            "message_bytes": octets.ready + octets.unacked,
            "message_bytes_ready": octets.ready,
            "message_bytes_unacknowledged": octets.unacked,
            "head_message_timestamp": null,
            "oldest_message_received_timestamp": status.oldest,
            "messages_delayed": status.counts.delayed,
            "messages_duplicate": status.counts.duplicates,
        });
        if idle && status.last_use > 0 {
            let since = rfc3339(status.last_use);
            merge(&mut contents, json!({ "idle_since": since }));
        }
        contents
    }

    /// Who consumes from it.
    fn consumed(&self, queue: &Queue, status: &QueueStatus) -> Value {
        let consumers = self.consumers.get(&queue.id());
        let consumers = consumers.map_or(&[][..], Vec::as_slice);
        let tag = |found: Option<&Consuming>| found.map(|one| one.consumer.tag.to_string());
        let exclusive = consumers.iter().find(|one| one.consumer.exclusive);
        let single = has_single_active(&queue.spec().arguments);
        let active = consumers.iter().find(|one| single && one.is_active());
        // Whether somebody is there for what comes now.
        let capacity = u64::from(status.counts.consumers > 0 && status.counts.ready == 0);
        let mut consumed = json!({
            "consumers": status.counts.consumers,
            "consumer_capacity": capacity,
            "consumer_utilisation": capacity,
            "exclusive_consumer_tag": tag(exclusive),
            "single_active_consumer_tag": tag(active),
        });
        if let Some(owner) = queue.owner().and_then(|id| self.owners.get(&id)) {
            let details = json!({
                "name": &*owner.name,
                "peer_host": owner.peer.ip().to_string(),
                "peer_port": owner.peer.port(),
            });
            merge(&mut consumed, json!({ "owner_pid_details": details }));
        }
        if self.detailed {
            let list: Vec<_> = consumers.iter().map(|one| one.shown(&self.api)).collect();
            let details = json!({ "consumer_details": list, "deliveries": [], "incoming": [] });
            merge(&mut consumed, details);
        }
        consumed
    }

    /// What RabbitMQ says of a queue with replicas: here is one.
    fn replicated(&self, queue: &Queue, status: &QueueStatus) -> Value {
        let node = self.api.node();
        json!({
            "leader": node,
            "members": [node],
            "online": [node],
            "delivery_limit": queue.settings().delivery_limit,
            "messages_dlx": status.counts.undelivered,
            "message_bytes_dlx": status.counts.undelivered_bytes,
        })
    }
}
