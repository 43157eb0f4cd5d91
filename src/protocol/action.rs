//! Everything the protocol layer can ask of the server, in one place.

use crate::wire::{Body, Method, Properties, ShortStr};

/// What the server has to do after one [`step`](super::Connection::step).
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "boxing the large one, the publish, would cost an allocation per message"
)]
pub enum Action<'a> {
    /// Nothing.
    Continue,
    /// Check who the client is, then [`authenticated`](super::Connection::authenticated)
    /// or [`refuse_login`](super::Connection::refuse_login).
    Authenticate {
        /// The SASL mechanism the client chose, one of those offered.
        mechanism: &'static str,
        /// What it says to prove itself.
        login: Login<'a>,
    },
    /// Check the virtual host, then [`opened`](super::Connection::opened) or
    /// [`close`](super::Connection::close).
    Open {
        /// The virtual host asked for.
        vhost: &'a str,
    },
    /// A channel was opened; `open-ok` is written already.
    OpenChannel(u16),
    /// The client closes a channel: clean up, then
    /// [`channel_close_ok`](super::Connection::channel_close_ok).
    CloseChannel(u16),
    /// A channel broke a rule and `channel.close` is written already: clean up.
    ChannelFailed {
        /// The channel.
        channel: u16,
    },
    /// The client closes the connection: clean up, then
    /// [`close_ok`](super::Connection::close_ok).
    CloseConnection,
    /// The connection broke a rule and `connection.close` is written already:
    /// terminate all channels and read on until [`Action::Finished`].
    Failed,
    /// Close the socket, after what is written has been sent.
    Drop {
        /// Whether to wait [`AUTH_FAILURE_DELAY`](crate::base::limits::AUTH_FAILURE_DELAY) first.
        delay: bool,
    },
    /// The client has acknowledged our close: close the socket now.
    Finished,
    /// Check the new secret, then [`secret_updated`](super::Connection::secret_updated)
    /// or [`close`](super::Connection::close).
    UpdateSecret {
        /// The new password or token.
        secret: &'a [u8],
        /// Why, in the client's words.
        reason: &'a str,
    },
    /// A method for the broker, already checked for what the protocol itself demands.
    Method {
        /// The channel.
        channel: u16,
        /// The method, with its names filled in.
        method: Method<'a>,
    },
    /// Deliveries are settled.
    Settle {
        /// The channel.
        channel: u16,
        /// How.
        settle: Settle,
    },
    /// A message is published.
    Publish(Publish<'a>),
}

/// What a client says to prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login<'a> {
    /// A name and a password, from PLAIN or AMQPLAIN.
    Plain {
        /// The user's name.
        user: &'a str,
        /// The password, which need not be text.
        password: &'a [u8],
    },
    /// The client's TLS certificate speaks for it.
    External,
    /// Nothing: the user is the one configured for anonymous clients.
    Anonymous,
}

/// How deliveries are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// `basic.ack`
    Ack {
        /// The delivery tag.
        tag: u64,
        /// All up to it, too.
        multiple: bool,
    },
    /// `basic.nack`
    Nack {
        /// The delivery tag.
        tag: u64,
        /// All up to it, too.
        multiple: bool,
        /// Back to the queue, rather than dead-lettered.
        requeue: bool,
    },
    /// `basic.reject`
    Reject {
        /// The delivery tag.
        tag: u64,
        /// Back to the queue, rather than dead-lettered.
        requeue: bool,
    },
}

impl Settle {
    /// The delivery tag; 0 with [`Settle::is_multiple`] stands for all.
    pub const fn tag(&self) -> u64 {
        match *self {
            Self::Ack { tag, .. } | Self::Nack { tag, .. } | Self::Reject { tag, .. } => tag,
        }
    }

    /// Class and method id of the method that said so.
    pub const fn ids(&self) -> (u16, u16) {
        match self {
            Self::Ack { .. } => (60, 80),
            Self::Nack { .. } => (60, 120),
            Self::Reject { .. } => (60, 90),
        }
    }

    /// Whether all deliveries up to the tag are meant.
    pub const fn is_multiple(&self) -> bool {
        matches!(
            self,
            Self::Ack { multiple: true, .. } | Self::Nack { multiple: true, .. }
        )
    }

    /// The same for another tag.
    pub const fn with_tag(self, tag: u64) -> Self {
        match self {
            Self::Ack { multiple, .. } => Self::Ack { tag, multiple },
            Self::Nack {
                multiple, requeue, ..
            } => Self::Nack {
                tag,
                multiple,
                requeue,
            },
            Self::Reject { requeue, .. } => Self::Reject { tag, requeue },
        }
    }
}

/// A whole message, as the client published it.
#[derive(Debug)]
pub struct Publish<'a> {
    /// The channel.
    pub channel: u16,
    /// The exchange; empty is the default one.
    pub exchange: ShortStr<'a>,
    /// The routing key.
    pub routing_key: ShortStr<'a>,
    /// Whether it comes back when no queue takes it.
    pub mandatory: bool,
    /// The properties as they came, known to be well formed.
    pub properties: &'a [u8],
    /// The same, taken apart.
    pub parsed: Properties<'a>,
    /// The body: small and borrowed, or large and shared with the read buffer.
    pub body: Body<'a>,
    /// The number to confirm, on a channel in confirm mode.
    pub seq: Option<u64>,
    /// Whether it takes effect only with `tx.commit`.
    pub transactional: bool,
}

/// Where a connection stands, as far as the server has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not even the protocol header has come.
    AwaitingHeader,
    /// Between the protocol header and `connection.open-ok`.
    Handshake,
    /// Channels work.
    Running,
    /// One side has sent `connection.close`, the answer is outstanding.
    Closing,
    /// Over: nothing is read or written any more.
    Closed,
}

/// Whether the peer is still there, judged by its heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It is, or may be.
    Alive,
    /// Nothing came for more than two intervals: close the socket, without a frame.
    Dead,
}
