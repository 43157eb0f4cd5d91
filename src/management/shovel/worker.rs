//! The task of one shovel: connect, move messages, begin again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};

use super::definition::{Definition, DeleteAfter, From, Queue, To};
use super::dial::dial;
use super::headers::Stamp;
use super::link::{CHANNEL, Link, LinkError};
use super::progress::{Progress, State};
use super::relay::{Failure, OUTBOUND_HIGH, Relay, Route};
use super::transfer::Transfer;
use super::uri::{Address, shown};
use crate::server::shared::Shared;
use crate::wire::method::{
    BasicCancel, BasicConsume, BasicNack, BasicQos, ConfirmSelect, QueueBind, QueueDeclare,
};
use crate::wire::{FieldTable, FieldValue, Method};

/// How the heartbeats and the patience of a stop are counted.
const TICK: Duration = Duration::from_secs(1);
/// Ticks that a stop waits for what is on its way to be confirmed.
const STOP_TICKS: u32 = 5;
/// How long the source has to take messages back.
const RETURN_PATIENCE: Duration = Duration::from_secs(5);
const CONSUMER: &str = "shovel";
const NOT_FOUND: u16 = 404;

/// How a shovel came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It has moved all that it was to move.
    Done,
    /// It was told to stop.
    Stopped,
    /// It failed, and is not to try again.
    GivenUp,
}

/// One shovel at work.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) vhost: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) definition: Arc<Definition>,
    pub(super) progress: Arc<Progress>,
    /// Turns true when it is to stop.
    pub(super) stop: watch::Receiver<bool>,
}

/// Both connections, and what goes on between them.
struct Pair {
    source: Link,
    destination: Link,
    relay: Relay,
}

impl Worker {
    /// Works until there is nothing left to do.
    pub(super) async fn run(mut self) -> End {
        let mut left = match self.definition.source.delete_after {
            DeleteAfter::Messages(count) => Some(count),
            _ => None,
        };
        loop {
            self.enter(State::Starting);
            let mut stop = self.stop.clone();
            let failure = tokio::select! {
                pair = self.connect(left) => match pair {
                    Ok(mut pair) => match self.work(&mut pair).await {
                        Ok(end) => {
                            pair.finish().await;
                            return end;
                        }
                        Err(failure) => {
                            left = left.and(pair.relay.transfer.remaining_unacked());
                            pair.give_back(&failure).await;
                            failure.to_string()
                        }
                    },
                    Err(why) => why,
                },
                () = stopped(&mut stop) => return End::Stopped,
            };
            let (vhost, name) = (&*self.vhost, &*self.name);
            tracing::warn!(vhost, name, failure, "shovel failed");
            self.enter(State::Terminated { reason: failure });
            let Some(delay) = self.definition.reconnect_delay else {
                return End::GivenUp;
            };
            tokio::select! {
                () = sleep(delay) => {}
                () = stopped(&mut self.stop) => return End::Stopped,
            }
        }
    }

    fn enter(&self, state: State) {
        self.progress.enter(state, self.shared.now());
    }

    /// Opens both connections and begins to consume, for `left` messages if
    /// that is a number.
    async fn connect(&self, left: Option<u64>) -> Result<Pair, String> {
        let definition = &self.definition;
        let (source_uri, mut source) = self.reach("source", &definition.source.uris).await?;
        let (queue, count) = self.prepare_source(&mut source).await.map_err(|error| {
            format!(
                "failed to prepare the source {}: {error}",
                shown(source_uri)
            )
        })?;
        let uris = &definition.destination.uris;
        let (uri, mut destination) = self.reach("destination", uris).await?;
        let left = match definition.source.delete_after {
            DeleteAfter::QueueLength => Some(u64::from(count)),
            _ => left,
        };
        let transfer = Transfer::new(definition.ack_mode, left);
        let route = self.prepare_destination(&mut destination, &transfer).await;
        let route = route.map_err(|error| {
            format!("failed to prepare the destination {}: {error}", shown(uri))
        })?;
        if !transfer.is_done() {
            let consumed = self.consume(&mut source, &queue, &transfer).await;
            consumed.map_err(|error| format!("failed to consume from '{queue}': {error}"))?;
        }
        self.progress.connected(source_uri, uri);
        let stamp = self.stamp(source_uri, uri);
        Ok(Pair {
            source,
            destination,
            relay: Relay::new(transfer, route, stamp),
        })
    }

    /// Connects to the first broker of several that can be reached.
    async fn reach<'u>(&self, end: &str, uris: &'u [String]) -> Result<(&'u str, Link), String> {
        let mut failed = String::new();
        for uri in uris {
            let (name, vhost) = (&*self.name, &*self.vhost);
            let opened = match uri.parse::<Address>() {
                Ok(address) => open(&self.shared, &address, name).await,
                Err(bad) => Err(LinkError::Protocol(bad.to_string())),
            };
            match opened {
                Ok(link) => return Ok((uri, link)),
                Err(error) => {
                    failed = format!("failed to connect to {end} {}: {error}", shown(uri));
                    tracing::info!(vhost, name, failed, "shovel tries the next address");
                }
            }
        }
        Err(failed)
    }

    /// Has the queue to consume from be there; its name, and how many messages
    /// are ready in it.
    async fn prepare_source(&self, link: &mut Link) -> Result<(String, u32), LinkError> {
        match &self.definition.source.from {
            From::Queue(queue) => {
                let count = declare(link, queue).await?;
                Ok((queue.name.clone(), count))
            }
            From::Exchange { name, key } => {
                let own = QueueDeclare {
                    exclusive: true,
                    ..QueueDeclare::default()
                };
                let queue = link.call(CHANNEL, own, |method| match method {
                    Method::QueueDeclareOk(declared) => Some(declared.queue.to_owned()),
                    _ => None,
                });
                let queue = queue.await?;
                let bind = QueueBind {
                    queue: &queue,
                    exchange: name,
                    routing_key: key,
                    ..QueueBind::default()
                };
                link.call(CHANNEL, bind, |method| {
                    matches!(method, Method::QueueBindOk(_)).then_some(())
                })
                .await?;
                Ok((queue, 0))
            }
        }
    }

    async fn prepare_destination(
        &self,
        link: &mut Link,
        transfer: &Transfer,
    ) -> Result<Route, LinkError> {
        let octets = |text: &String| Bytes::copy_from_slice(text.as_bytes());
        let route = match &self.definition.destination.to {
            To::Queue(queue) => {
                declare(link, queue).await?;
                Route {
                    exchange: Some(Bytes::new()),
                    routing_key: Some(octets(&queue.name)),
                    mandatory: true,
                }
            }
            To::Exchange { name, key } => Route {
                exchange: Some(octets(name)),
                routing_key: key.as_ref().map(octets),
                mandatory: false,
            },
            To::AsPublished => Route::default(),
        };
        if transfer.wants_confirms() {
            link.call(CHANNEL, ConfirmSelect { nowait: false }, |method| {
                matches!(method, Method::ConfirmSelectOk(_)).then_some(())
            })
            .await?;
        }
        Ok(route)
    }

    async fn consume(
        &self,
        link: &mut Link,
        queue: &str,
        transfer: &Transfer,
    ) -> Result<(), LinkError> {
        let source = &self.definition.source;
        let qos = BasicQos {
            prefetch_count: source.prefetch,
            ..BasicQos::default()
        };
        link.call(CHANNEL, qos, |method| {
            matches!(method, Method::BasicQosOk(_)).then_some(())
        })
        .await?;
        let consume = BasicConsume {
            queue,
            consumer_tag: CONSUMER,
            no_ack: transfer.takes_for_good(),
            arguments: source.consumer_arguments.clone(),
            ..BasicConsume::default()
        };
        link.call(CHANNEL, consume, |method| {
            matches!(method, Method::BasicConsumeOk(_)).then_some(())
        })
        .await
    }

    fn stamp(&self, source_uri: &str, uri: &str) -> Stamp {
        let destination = &self.definition.destination;
        Stamp {
            overrides: destination.properties.clone(),
            way: destination
                .forward_headers
                .then(|| self.way(source_uri, uri)),
            timestamp: destination.timestamp_header,
            one_queue: matches!(destination.to, To::Queue(_)),
        }
    }

    /// What is noted in messages of the way they went, ordered by name.
    fn way(&self, source_uri: &str, uri: &str) -> FieldTable {
        let node = self.shared.vhosts.herald().node();
        let mut way = FieldTable::from_iter([
            ("shovelled-by", FieldValue::str(node)),
            ("shovel-type", FieldValue::str("dynamic")),
            ("shovel-name", FieldValue::str(&self.name)),
            ("shovel-vhost", FieldValue::str(&self.vhost)),
            ("src-uri", FieldValue::str(shown(source_uri))),
            ("dest-uri", FieldValue::str(shown(uri))),
        ]);
        match &self.definition.source.from {
            From::Queue(queue) => way.push("src-queue", &*queue.name),
            From::Exchange { name, key } => {
                way.push("src-exchange", &**name);
                way.push("src-exchange-key", &**key);
            }
        }
        match &self.definition.destination.to {
            To::Queue(queue) => way.push("dest-queue", &*queue.name),
            To::Exchange { name, key } => {
                way.push("dest-exchange", &**name);
                if let Some(key) = key {
                    way.push("dest-exchange-key", &**key);
                }
            }
            To::AsPublished => {}
        }
        way.sort();
        way
    }

    /// Moves messages until all is done, or until it is to stop and nothing is
    /// on its way any more.
    async fn work(&self, pair: &mut Pair) -> Result<End, Failure> {
        self.enter(State::Running);
        let mut ticks = interval(TICK);
        let mut stop = self.stop.clone();
        let mut ticks_left = STOP_TICKS;
        loop {
            let stopping = *stop.borrow_and_update() || stop.has_changed().is_err();
            let taking = pair.take(stopping, self.shared.now().unix_secs())?;
            let forwarded = pair.relay.take_forwarded();
            let blocked = pair.destination.blocked;
            self.progress.note(&pair.relay.transfer, forwarded, blocked);
            if pair.relay.transfer.is_done() {
                return Ok(End::Done);
            }
            let quiet = pair.relay.is_between_messages() && pair.relay.transfer.pending() == 0;
            if stopping && (quiet || ticks_left == 0) {
                return Ok(End::Stopped);
            }
            tokio::select! {
                moved = pair.source.progress(taking) => moved.map_err(Failure::Source)?,
                moved = pair.destination.progress(true) => moved.map_err(Failure::Destination)?,
                _ = ticks.tick() => {
                    pair.source.tick(taking).map_err(Failure::Source)?;
                    pair.destination.tick(true).map_err(Failure::Destination)?;
                    ticks_left -= u32::from(stopping && ticks_left > 0);
                }
                _ = stop.changed(), if !stopping => {}
            }
        }
    }
}

impl Pair {
    /// Works through what has come in, as far as the destination takes it;
    /// whether more may come from the source.
    fn take(&mut self, stopping: bool, seconds: u64) -> Result<bool, Failure> {
        let Self {
            source,
            destination,
            relay,
        } = self;
        while let Some(frame) = destination.next().map_err(Failure::Destination)? {
            relay.take_confirm(&frame, (source, destination))?;
        }
        loop {
            let has_room = !destination.blocked && destination.outbound.len() < OUTBOUND_HIGH;
            let wants_more = !stopping || !relay.is_between_messages();
            if !has_room || !wants_more {
                return Ok(false);
            }
            let Some(frame) = source.next().map_err(Failure::Source)? else {
                return Ok(true);
            };
            let moved = relay.take_delivery(frame, (source, destination), seconds);
            moved.map_err(Failure::Source)?;
        }
    }

    /// Closes both connections. What is left unacknowledged goes back.
    async fn finish(self) {
        let Self {
            source,
            destination,
            ..
        } = self;
        let ends = async {
            // Its last confirms are in; how it closes makes no difference.
            let _closed = destination.close().await;
            give_back(source).await;
        };
        // A broker that doesn't answer gives them back when the socket closes.
        let _in_time = timeout(RETURN_PATIENCE, ends).await;
    }

    /// Gives back what the source delivered and the destination didn't confirm.
    async fn give_back(self, failure: &Failure) {
        if !matches!(failure, Failure::Source(_)) {
            let _in_time = timeout(RETURN_PATIENCE, give_back(self.source)).await;
        }
    }
}

/// Ends the consumer and returns its messages before the connection goes: a
/// quorum queue counts what it loses with a connection as a failed delivery,
/// and drops a message with too many of those.
async fn give_back(mut source: Link) {
    let cancel = BasicCancel {
        consumer_tag: CONSUMER,
        nowait: false,
    };
    let cancelled = source.call(CHANNEL, cancel, |method| {
        matches!(method, Method::BasicCancelOk(_)).then_some(())
    });
    if cancelled.await.is_err() {
        return;
    }
    let all = BasicNack {
        delivery_tag: 0,
        multiple: true,
        requeue: true,
    };
    crate::wire::encode::method(&mut source.outbound, CHANNEL, all);
    let _closed = source.close().await;
}

/// Waits until a shovel is to stop, or there is nobody left to say so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _told = stop.wait_for(|stop| *stop).await;
}

async fn open(shared: &Arc<Shared>, address: &Address, name: &str) -> Result<Link, LinkError> {
    let stream = timeout(address.timeout, dial(shared, address)).await;
    let stream = stream.map_err(|_| LinkError::Late(address.timeout.as_secs()))??;
    Link::open(stream, address, &format!("Shovel {name}")).await
}

/// Has a queue be there; how many messages are ready in it.
async fn declare(link: &mut Link, queue: &Queue) -> Result<u32, LinkError> {
    let ask = |passive| QueueDeclare {
        queue: &queue.name,
        passive,
        durable: true,
        arguments: match passive {
            true => FieldTable::new(),
            false => queue.arguments.clone(),
        },
        ..QueueDeclare::default()
    };
    let count = |method: Method<'_>| match method {
        Method::QueueDeclareOk(declared) => Some(declared.message_count),
        _ => None,
    };
    match link.call(CHANNEL, ask(true), count).await {
        Err(LinkError::Closed {
            is_channel: true,
            code: NOT_FOUND,
            ..
        }) if !queue.predeclared => {
            link.open_channel().await?;
            link.call(CHANNEL, ask(false), count).await
        }
        other => other,
    }
}
