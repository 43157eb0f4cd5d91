//! A channel's side of the broker: its consumers, its deliveries, its transaction.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::outbox::{ChannelSlot, OutboxConsumer};
use super::replies::ReplyConsumer;
use super::roster::{ChannelView, ConsumerView};
use super::unacked::SourceSlot;
use crate::broker::message::Message;
use crate::broker::queue::{ConsumerSlot, ConsumerSpec, Queue};
use crate::protocol::Settle;
use crate::wire::FieldTable;

/// A consumer as its channel knows it.
#[derive(Debug)]
pub struct ChannelConsumer {
    /// The queue it consumes from.
    pub queue: Arc<Queue>,
    /// Its name there.
    pub slot: ConsumerSlot,
    /// Where the channel notes what it took from that queue.
    pub source: SourceSlot,
    /// What the queue hands its messages to.
    pub subscriber: Arc<OutboxConsumer>,
}

/// A publish that waits for its transaction to be committed: already checked
/// and routed, as RabbitMQ does it (`semantics` 8.4).
#[derive(Debug)]
pub struct HeldPublish {
    /// The message.
    pub message: Message,
    /// Milliseconds after its arrival at which it expires, as its publisher has it.
    pub expiration: Option<u64>,
    /// Where it goes.
    pub targets: Vec<Arc<Queue>>,
    /// The direct reply-to addresses it goes to.
    pub replies: Vec<Arc<str>>,
    /// Whether it comes back when it goes nowhere.
    pub mandatory: bool,
}

impl HeldPublish {
    /// Whether it goes anywhere.
    pub fn is_routed(&self) -> bool {
        let mut targets = self.targets.iter();
        targets.any(|queue| queue.remembers_for().is_none()) || !self.replies.is_empty()
    }
}

/// What a transaction gathers until it is committed or rolled back.
#[derive(Debug, Default)]
pub struct Transaction {
    /// Publishes, in order.
    pub publishes: Vec<HeldPublish>,
    /// Acknowledgements and rejections, in order. None of them is for all that
    /// is outstanding: what is delivered later isn't meant.
    pub settles: Vec<Settle>,
    /// Delivery tags that `settles` covers one by one.
    settled: BTreeSet<u64>,
    /// Delivery tags up to this one are covered all together.
    settled_up_to: u64,
}

impl Transaction {
    /// Whether `tag` was settled in this transaction already.
    pub fn has_settled(&self, tag: u64) -> bool {
        tag <= self.settled_up_to || self.settled.contains(&tag)
    }

    /// Keeps a settlement for the commit.
    pub fn settle(&mut self, settle: Settle) {
        if settle.is_multiple() {
            self.settled_up_to = self.settled_up_to.max(settle.tag());
        } else {
            self.settled.insert(settle.tag());
        }
        self.settles.push(settle);
    }
}

/// An open channel.
#[derive(Debug)]
pub struct Channel {
    /// Its place in the outbox.
    pub slot: ChannelSlot,
    /// What others see of it.
    pub view: Arc<ChannelView>,
    /// The prefetch that consumers made from now on get.
    pub prefetch: u16,
    /// Its consumers by tag.
    pub consumers: HashMap<Arc<str>, ChannelConsumer>,
    /// The consumer of direct replies, if it is a requester.
    pub replies: Option<ReplyConsumer>,
    /// The queue just declared on it, for the protocol to hear of.
    pub declared: Option<Arc<str>>,
    /// What its transaction has gathered, when it is in one.
    pub transaction: Transaction,
}

impl Channel {
    /// Whether it has a consumer of that tag.
    pub fn has_consumer(&self, tag: &str) -> bool {
        let requester = self.replies.as_ref();
        self.consumers.contains_key(tag)
            || requester.is_some_and(|requester| *requester.tag == *tag)
    }

    /// Adds a consumer, made with `arguments`.
    pub fn add_consumer(
        &mut self,
        tag: Arc<str>,
        consumer: ChannelConsumer,
        spec: ConsumerSpec,
        arguments: &FieldTable,
    ) {
        let queue = Arc::clone(&consumer.queue);
        let own = spec.timeout.or(queue.settings().consumer_timeout);
        self.view.add_consumer(ConsumerView {
            tag: Arc::clone(&tag),
            slot: consumer.slot,
            ack_required: !spec.no_ack,
            exclusive: spec.exclusive,
            prefetch: spec.prefetch,
            timeout: own.or(spec.usual_timeout).filter(|ms| *ms > 0),
            arguments: arguments.clone(),
            queue,
        });
        self.consumers.insert(tag, consumer);
    }

    /// Takes out what its transaction has gathered.
    pub fn take_transaction(&mut self) -> Transaction {
        self.view.uncommitted.set(0);
        self.view.unsettled.set(0);
        std::mem::take(&mut self.transaction)
    }

    /// Takes a consumer out.
    pub fn remove_consumer(&mut self, tag: &str) -> Option<ChannelConsumer> {
        let removed = self.consumers.remove(tag)?;
        self.view.remove_consumer(tag);
        Some(removed)
    }

    /// A channel just opened.
    pub fn new(slot: ChannelSlot, view: Arc<ChannelView>, prefetch: u16) -> Self {
        view.set_prefetch(prefetch);
        Self {
            slot,
            view,
            prefetch,
            consumers: HashMap::new(),
            replies: None,
            declared: None,
            transaction: Transaction::default(),
        }
    }
}
