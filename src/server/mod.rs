//! Layer 6: sockets and tasks. The only asynchronous layer of the data path.
//!
//! One task a connection reads, works and writes. It calls straight into the
//! queues it publishes to and takes from; what they hand to other connections
//! goes into those connections' outboxes.
//!
#![doc = include_str!("../manual/data_path.md")]
// What a peer sends gets this far: no index without a check.
#![warn(clippy::indexing_slicing)]

mod access_events;
mod actions;
pub mod administration;
pub mod attempts;
pub mod auth;
mod certificate;
mod channel;
mod connection;
mod consuming;
pub mod direct;
mod events;
mod flow;
mod herald;
mod insider;
mod listener;
mod methods;
pub mod oauth2;
mod outbox;
mod parameters;
mod permits;
mod publish;
mod reload;
mod replies;
pub mod roster;
mod routes;
mod seats;
mod session;
pub mod shared;
mod stream;
pub mod supervisor;
mod tap;
pub mod throttle;
mod ticker;
pub mod tls;
pub mod traffic;
mod unacked;
mod window;

pub use self::certificate::PeerCertificate;
pub use self::flow::Resources;
pub use self::listener::Server;
pub use self::stream::Encryption;
