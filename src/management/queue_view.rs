//! A queue as RabbitMQ shows it.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::api::Api;
use super::arguments;
use super::consumers::Consuming;
use super::counters::{self, QUEUE, QUEUE_LENGTHS};
use super::query::Query;
use super::rates::{Ages, Subject};
use super::row::{Wanted, columns};
use super::times::rfc3339;
use crate::base::ids::{ConnectionId, QueueId};
use crate::base::limits::SAMPLE_INTERVAL;
use crate::broker::policy::Policy;
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

    /// A queue, as far as it is wanted.
    pub fn shown(&self, queue: &Arc<Queue>, wanted: &Wanted<'_>) -> Value {
        let status = queue.status();
        let mut shown = Map::new();
        self.declare(queue, wanted, &mut shown);
        if !self.plain {
            self.count(queue, &status, wanted, &mut shown);
            self.fill(&status, wanted, &mut shown);
            self.consume(queue, &status, wanted, &mut shown);
            if queue.settings().quorum {
                self.replicate(queue, &status, wanted, &mut shown);
            }
        } else if self.totals {
            let values = counters::of_queue(&status);
            for (name, value) in QUEUE.iter().zip(values).take(QUEUE_LENGTHS) {
                shown.insert((*name).to_owned(), value.into());
            }
        }
        shown.into()
    }

    /// What it was declared as, and what policies make of it.
    fn declare(&self, queue: &Queue, wanted: &Wanted<'_>, shown: &mut Map<String, Value>) {
        let spec = queue.spec();
        let kind = spec.arguments.get("x-queue-type");
        let holder = queue.holds_for().or(queue.remembers_for());
        let policies = LazyCell::new(|| {
            let vhost = self.api.shared.vhosts.get(queue.vhost());
            let policies = vhost.and_then(|vhost| vhost.policies_of_queue(queue.name()));
            policies.unwrap_or_default()
        });
        let name = |policy: &Option<Arc<Policy>>| policy.as_ref().map(|p| Arc::clone(p.name()));
        columns!(shown, wanted;
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
            "policy": name(&policies.policy),
            "operator_policy": name(&policies.operator),
            "effective_policy_definition": arguments::json(&policies.definition()),
        );
    }

    /// What there is and what has passed, with how fast that changes.
    fn count(
        &self,
        queue: &Queue,
        status: &QueueStatus,
        wanted: &Wanted<'_>,
        shown: &mut Map<String, Value>,
    ) {
        let subject = Subject::Queue(queue.id());
        let values = counters::of_queue(status);
        let (lengths, passed) = values.split_at(QUEUE_LENGTHS);
        let (length_names, passed_names) = QUEUE.split_at(QUEUE_LENGTHS);
        let rates = &self.api.rates;
        let lengths = (length_names, lengths);
        rates.put_wanted(shown, &subject, 0, lengths, self.ages.lengths, wanted);
        if wanted.has("message_stats") && passed.iter().any(|value| *value > 0) {
            let mut stats = Map::new();
            let (first, counters) = (QUEUE_LENGTHS, (passed_names, passed));
            rates.put(&mut stats, &subject, first, counters, self.ages.messages);
            shown.insert("message_stats".to_owned(), stats.into());
        }
    }

    fn fill(&self, status: &QueueStatus, wanted: &Wanted<'_>, shown: &mut Map<String, Value>) {
        let octets = status.octets;
        columns!(&mut *shown, wanted;
            "message_bytes": octets.ready + octets.unacked,
            "message_bytes_ready": octets.ready,
            "message_bytes_unacknowledged": octets.unacked,
            "head_message_timestamp": Value::Null,
            "oldest_message_received_timestamp": status.oldest,
            "messages_delayed": status.counts.delayed,
            "messages_duplicate": status.counts.duplicates,
        );
        let idle = self.now.saturating_sub(status.last_use) > SAMPLE_INTERVAL.as_millis() as u64;
        if idle && status.last_use > 0 {
            columns!(shown, wanted; "idle_since": rfc3339(status.last_use));
        }
    }

    /// Who consumes from it.
    fn consume(
        &self,
        queue: &Queue,
        status: &QueueStatus,
        wanted: &Wanted<'_>,
        shown: &mut Map<String, Value>,
    ) {
        let consumers = self.consumers.get(&queue.id());
        let consumers = consumers.map_or(&[][..], Vec::as_slice);
        let tag = |found: Option<&Consuming>| found.map(|one| one.consumer.tag.to_string());
        let exclusive = consumers.iter().find(|one| one.consumer.exclusive);
        let single = has_single_active(&queue.spec().arguments);
        let active = consumers.iter().find(|one| single && one.is_active());
        // Whether somebody is there for what comes now.
        let capacity = u64::from(status.counts.consumers > 0 && status.counts.ready == 0);
        columns!(&mut *shown, wanted;
            "consumers": status.counts.consumers,
            "consumer_capacity": capacity,
            "consumer_utilisation": capacity,
            "exclusive_consumer_tag": tag(exclusive),
            "single_active_consumer_tag": tag(active),
        );
        if let Some(owner) = queue.owner().and_then(|id| self.owners.get(&id)) {
            columns!(&mut *shown, wanted;
                "owner_pid_details": json!({
                    "name": &*owner.name,
                    "peer_host": owner.peer.ip().to_string(),
                    "peer_port": owner.peer.port(),
                }),
            );
        }
        if self.detailed {
            let each = || consumers.iter().map(|one| one.shown(&self.api));
            columns!(shown, wanted;
                "consumer_details": each().collect::<Vec<_>>(),
                "deliveries": Value::Array(Vec::new()),
                "incoming": Value::Array(Vec::new()),
            );
        }
    }

    /// What RabbitMQ says of a queue with replicas: here is one.
    fn replicate(
        &self,
        queue: &Queue,
        status: &QueueStatus,
        wanted: &Wanted<'_>,
        shown: &mut Map<String, Value>,
    ) {
        let node = self.api.node();
        columns!(shown, wanted;
            "leader": node,
            "members": [node],
            "online": [node],
            "delivery_limit": queue.settings().delivery_limit,
            "messages_dlx": status.counts.undelivered,
            "message_bytes_dlx": status.counts.undelivered_bytes,
        );
    }
}
