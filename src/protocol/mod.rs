//! Layer 2: connections and channels as state machines, without sockets,
//! clocks or a broker.
//!
//! ```text
//!    octets read            replies                 what others have to do
//!        |                     ^                            ^
//!        v                     |                            |
//!   +---------------------------------------------------------------+
//!   | Connection::step(input, at, out)                   -> Action  |
//!   |   publish     what comes most, the short way                  |
//!   |   connection  frames, channel 0, closes                       |
//!   |   handshake   channel 0 until open-ok       auth, client      |
//!   |   dispatch    methods of channels           names             |
//!   |   channel     one each: assembly of contents, confirm         |
//!   |   answers     what the server calls back    heartbeat         |
//!   +---------------------------------------------------------------+
//!        ^
//!        | authenticated, opened, close_ok, channel_close_ok, confirm, ...
//!   the server calls back when it has done what an Action asked for
//! ```
//!
//! The states of a connection; a broken rule leads from any of them to *closing*:
//!
//! ```text
//!  header --AMQP 0 0 9 1--> starting --start-ok--> authenticating --authenticated()--+
//!    |                                                                               v
//!    +--other--> closed     running <--opened()-- opening <--open-- tuned <--tune-ok-- tuning
//!                             |   |
//!         close() or a broken |   | connection.close
//!                 rule: close v   v
//!                       closing <--close_ok()-- leaving
//!                             |
//!                             +--close-ok (closes are answered, all else discarded)--> closed
//! ```
//!
//! The states of a channel:
//!
//! ```text
//!  (none) --open--> open --close_channel() or a broken rule--> closing --close-ok--> (none)
//!                     |                                           | close
//!                     | close                                     v
//!                     v                                        crossed --close-ok or open-->
//!                  leaving --channel_close_ok()--> (none)
//! ```
//!
//! Errors are sorted by what they take down: a soft code the channel, a hard
//! one the connection ([`ReplyCode::is_hard`](crate::wire::ReplyCode::is_hard)).

// What a peer sends gets this far: no index without a check.
#![warn(clippy::indexing_slicing)]

mod action;
mod answers;
mod assembly;
mod auth;
mod channel;
mod client;
mod confirm;
mod connection;
mod dispatch;
mod erlang;
mod error;
mod handshake;
mod heartbeat;
mod names;
mod publish;

pub use crate::wire::Body;
pub use action::{Action, Liveness, Login, Phase, Publish, Settle};
pub use client::{Capabilities, Client, Settings, Tuned};
pub use connection::Connection;
