//! The management API as its clients meet it: over HTTP, on a broker within the
//! test's own process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod access;
mod administration;
mod broker;
mod conventions;
mod definitions;
mod listing;
mod messages;
mod metrics;
mod objects;
mod rates;
mod ui;
mod workbench;
