//! A message on its way into queues.

use std::cell::OnceCell;

use crate::broker::message::{Content, Message, MessageView};
use crate::wire::Properties;

/// A message on its way into queues.
#[derive(Debug)]
pub struct Incoming<'a> {
    origin: Origin<'a>,
    expiration: Option<u64>,
}

#[derive(Debug)]
enum Origin<'a> {
    /// Just read: the first queue that has to keep it detaches it from the
    /// read buffer, for all of them.
    Read {
        content: Content<'a>,
        detached: OnceCell<Message>,
    },
    /// Detached already, because something held it back before.
    Kept(Message),
}

impl<'a> Incoming<'a> {
    /// A message just read.
    pub fn new(content: Content<'a>) -> Self {
        Self {
            origin: Origin::Read {
                content,
                detached: OnceCell::new(),
            },
            expiration: None,
        }
    }

    /// A message that was held back and is detached already.
    pub fn kept(message: Message) -> Self {
        Self {
            origin: Origin::Kept(message),
            expiration: None,
        }
    }

    /// The same, to expire that many milliseconds after it has come.
    pub fn expiring(self, expiration: Option<u64>) -> Self {
        Self { expiration, ..self }
    }

    /// The same with other blind copies, see [`Content::blind_copies`].
    pub fn with_blind_copies(self, blind_copies: &'a [u8]) -> Self {
        match self.origin {
            Origin::Read { content, .. } => Self {
                origin: Origin::Read {
                    content: Content {
                        blind_copies,
                        ..content
                    },
                    detached: OnceCell::new(),
                },
                ..self
            },
            Origin::Kept(_) => self,
        }
    }

    /// Whether it counts as handed out before: an attempt at it failed in a queue
    /// it was dead-lettered from.
    pub fn has_failed(&self) -> bool {
        match &self.origin {
            Origin::Read { content, .. } => content.failed,
            Origin::Kept(message) => message.has_failed(),
        }
    }

    /// Milliseconds after which it expires, as its publisher has it.
    pub fn expiration(&self) -> Option<u64> {
        self.expiration
    }

    /// What a delivery needs of it.
    pub fn view(&self) -> MessageView<'_> {
        match &self.origin {
            Origin::Read { content, .. } => content.view(),
            Origin::Kept(message) => message.view(),
        }
    }

    /// The priority it asks for.
    pub fn priority(&self) -> Option<u8> {
        // Checked when it came in; what can't be read asks for none.
        Properties::parse(self.view().properties).ok()?.priority
    }

    /// The message, detached.
    pub fn message(&self) -> &Message {
        match &self.origin {
            Origin::Read { content, detached } => detached.get_or_init(|| Message::new(content)),
            Origin::Kept(message) => message,
        }
    }

    /// Whether it asks to survive a restart.
    pub fn is_persistent(&self) -> bool {
        match &self.origin {
            Origin::Read { content, .. } => content.persistent,
            Origin::Kept(message) => message.is_persistent(),
        }
    }
}
