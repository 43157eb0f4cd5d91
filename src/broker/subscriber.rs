//! Who a queue hands messages to.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::BytesMut;

use super::attempts::Attempts;
use super::effects::Effects;
use super::message::MessageView;

/// The place of an unacknowledged message in its queue: what settles it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeldSlot(pub u32);

/// A message on its way to a consumer.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The message.
    pub message: MessageView<'a>,
    /// Whether it may have been handed out before.
    pub redelivered: bool,
    /// How it fared so far, if its consumers are to know.
    pub attempts: Option<Attempts>,
    /// Where the queue holds it until it is settled; `None` when nothing is
    /// held, because the consumer doesn't acknowledge.
    pub held: Option<HeldSlot>,
}

impl<'a> Delivery<'a> {
    /// Its properties with what its consumers are to know of earlier attempts;
    /// `None` when that is nothing, as it is with most.
    pub fn annotated(&self) -> Option<BytesMut> {
        let attempts = self.attempts?;
        Some(attempts.annotate(self.message.properties))
    }

    /// The message with `properties` in place of its own, if given.
    pub fn message_with<'b>(&self, properties: Option<&'b [u8]>) -> MessageView<'b>
    where
        'a: 'b,
    {
        MessageView {
            properties: properties.unwrap_or(self.message.properties),
            ..self.message
        }
    }
}

/// The receiving end of a consumer.
///
/// Called with the queue's lock held: must neither wait nor call back into a queue.
pub trait Subscriber: Debug + Send + Sync {
    /// Whether a delivery is welcome now. Once it is said to be, one comes before
    /// the queue's lock is released. One that comes all the same is taken.
    fn accepts(&self) -> bool;

    /// Takes a delivery.
    fn deliver(&self, delivery: &Delivery<'_>, effects: &mut Effects);

    /// Gives back what of `held` it hasn't begun to settle, having had it for
    /// longer than `timeout` milliseconds. If that is anything, it has lost its
    /// place as a consumer.
    fn give_back(&self, held: Vec<HeldSlot>, timeout: u64, effects: &mut Effects) -> Vec<HeldSlot>;

    /// Learns that the queue is gone, and the consumer with it.
    fn cancelled(&self, effects: &mut Effects);
}

/// Somebody with something to write, woken once for many deliveries.
pub trait Wake: Debug + Send + Sync {
    /// Sees to it that what was delivered gets written.
    fn wake(self: Arc<Self>);
}
