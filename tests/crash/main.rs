//! The broker killed at random moments under everything a client can do, and
//! started again on what it left, over and over on one data directory.
//!
//! `HARRIER_CRASH_ROUNDS` and `HARRIER_CRASH_SEED` say how often and from which
//! seed. The seed decides what is done and when the broker is killed, not how
//! its threads run: a failure may need several runs to come again. That is why
//! the data directory of a failure is kept.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

#[allow(dead_code, reason = "shared with the tests of the server")]
#[path = "../server/broker.rs"]
mod broker;
mod check;
#[allow(dead_code, reason = "shared with the tests of the server")]
#[path = "../server/client.rs"]
mod client;
mod faults;
mod inspection;
mod ledger;
mod link;
mod load;
mod message;
mod replaying;
mod rounds;
mod topology;
#[allow(dead_code, reason = "shared with the tests of the server")]
#[path = "../server/transport.rs"]
mod transport;
mod verdict;
