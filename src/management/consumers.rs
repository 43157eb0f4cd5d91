//! Consumers.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::access::{OfVhost, Viewer};
use super::api::Api;
use super::arguments;
use super::listing::Listing;
use super::reply::{Reply, listed};
use super::routes::Routes;
use crate::base::ids::QueueId;
use crate::server::roster::{ChannelView, ConnectionView, ConsumerView};
use crate::server::shared::Shared;

/// `/consumers`.
pub fn routes() -> Routes {
    Router::new()
        .route("/consumers", get(all))
        .route("/consumers/{vhost}", get(of_vhost))
}

/// A consumer, and where it is.
#[derive(Debug, Clone)]
pub struct Consuming {
    connection: Arc<ConnectionView>,
    channel: Arc<ChannelView>,
    /// The consumer.
    pub consumer: Arc<ConsumerView>,
}

impl Consuming {
    /// All consumers there are, by the names of their connections.
    pub fn all(shared: &Shared) -> Vec<Self> {
        let mut connections = shared.roster.connections();
        connections.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let mut all = Vec::new();
        for connection in connections {
            for channel in connection.channels() {
                let consumers = channel.consumers().into_iter();
                all.extend(consumers.map(|consumer| Self {
                    connection: Arc::clone(&connection),
                    channel: Arc::clone(&channel),
                    consumer,
                }));
            }
        }
        all
    }

    /// All consumers there are, by queue.
    pub fn by_queue(shared: &Shared) -> HashMap<QueueId, Vec<Self>> {
        let mut by_queue: HashMap<_, Vec<_>> = HashMap::new();
        for one in Self::all(shared) {
            by_queue
                .entry(one.consumer.queue.id())
                .or_default()
                .push(one);
        }
        by_queue
    }

    /// Those of a channel.
    pub fn of(connection: &Arc<ConnectionView>, channel: &Arc<ChannelView>) -> Vec<Self> {
        let consumers = channel.consumers().into_iter();
        let found = consumers.map(|consumer| Self {
            connection: Arc::clone(connection),
            channel: Arc::clone(channel),
            consumer,
        });
        found.collect()
    }

    /// Whether messages are handed to it.
    pub fn is_active(&self) -> bool {
        self.consumer.queue.is_active(self.consumer.slot)
    }

    /// What RabbitMQ shows of it.
    pub fn shown(&self, api: &Api) -> Value {
        let node = api.node();
        // Where nothing is limited, RabbitMQ tells the usual limit all the same.
        let usual = api.shared.config.consumer_timeout;
        let consumer = &self.consumer;
        let active = self.is_active();
        json!({
            "consumer_tag": &*consumer.tag,
            "active": active,
            "activity_status": if active { "up" } else { "waiting" },
            "ack_required": consumer.ack_required,
            "exclusive": consumer.exclusive,
            "prefetch_count": consumer.prefetch,
            "consumer_timeout": consumer.timeout.unwrap_or(usual),
            "arguments": arguments::json(&consumer.arguments),
            "queue": {
                "name": &**consumer.queue.name(),
                "vhost": &**consumer.queue.vhost(),
            },
            "channel_details": channel_details(&self.connection, self.channel.number, node),
        })
    }
}

/// Which channel of which connection.
pub fn channel_details(connection: &ConnectionView, number: u16, node: &str) -> Value {
    let user = connection.opened().map(|opened| &*opened.user);
    json!({
        "connection_name": &*connection.name,
        "name": format!("{} ({number})", connection.name),
        "node": node,
        "number": number,
        "peer_host": connection.peer.ip().to_string(),
        "peer_port": connection.peer.port(),
        "user": user,
    })
}

async fn all(State(api): State<Arc<Api>>, Viewer(acting): Viewer, listing: Listing) -> Reply {
    let mut found = Consuming::all(&api.shared);
    let vhosts = acting.visible_vhosts();
    found.retain(|one| {
        let vhost = one.consumer.queue.vhost();
        vhosts.iter().any(|visible| visible.name() == vhost)
    });
    list(api, listing, found).await
}

async fn of_vhost(State(api): State<Arc<Api>>, place: OfVhost, listing: Listing) -> Reply {
    let mut found = Consuming::all(&api.shared);
    found.retain(|one| one.consumer.queue.vhost() == place.vhost.name());
    list(api, listing, found).await
}

async fn list(api: Arc<Api>, listing: Listing, rows: Vec<Consuming>) -> Reply {
    listed(listing, rows, tag, move |one| one.shown(&api)).await
}

fn tag(one: &Consuming) -> &str {
    &one.consumer.tag
}
