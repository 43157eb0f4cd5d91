//! The broker as its clients meet it: a process of its own, driven over
//! sockets with this crate's wire layer.
//!
//! No test measures time. Deadlines are generous and only keep a broken broker
//! from hanging the test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod access;
mod backlogs;
mod broker;
mod client;
mod closing;
mod consuming;
mod deduplication;
mod durability;
mod events;
mod firehose;
mod garbage;
mod groups;
mod hosted;
mod parameters;
mod prefetch;
mod pressure;
mod publishing;
mod queues;
mod replies;
mod restart;
mod roster;
mod settling;
mod single_active;
mod timeouts;
mod tls;
mod tokens;
mod transactions;
mod transport;
mod users;
mod waiting;
