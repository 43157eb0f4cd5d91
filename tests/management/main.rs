//! The management API as its clients meet it: over HTTP, on a broker within the
//! test's own process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod access;
mod accounts;
mod administration;
mod broker;
#[allow(dead_code, reason = "shared with the tests of the server")]
#[path = "../server/client.rs"]
mod client;
mod connections;
mod conventions;
mod definitions;
mod listing;
mod messages;
mod metrics;
mod objects;
mod origin;
mod otlp;
mod rates;
mod shovels;
mod traces;
#[allow(dead_code, reason = "shared with the tests of the server")]
#[path = "../server/transport.rs"]
mod transport;
mod ui;
mod workbench;
