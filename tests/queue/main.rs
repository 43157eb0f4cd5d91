//! Queues: the state machine against a naive model of it, what becomes of dead
//! letters, and what a message's properties ask for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod browsing;
mod concurrent;
mod dead_letters;
mod deduplication;
mod delayed;
mod features;
mod groups;
mod ledger;
mod model;
mod once;
mod paging;
mod publishing;
mod settings;
mod single_active;
mod support;
mod timeouts;
mod traffic;
mod undelivered;
mod units;
