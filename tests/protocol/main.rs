//! The protocol layer fed with octets: every row of the behaviour RabbitMQ
//! shows in handshake, frame errors, close flows and channel methods, without
//! a socket and without waiting.
//!
//! Each exchange runs twice: with all octets at once, and one octet at a time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod allocations;
mod arbitrary;
mod channel;
mod close;
mod confirm;
mod frames;
mod handshake;
mod heartbeat;
mod memory;
mod names;
mod publish;
mod support;
