//! Shovels between brokers: nothing is lost, whatever fails on the way, and what
//! arrives is what was sent.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

#[allow(dead_code, reason = "shared with the tests of the server")]
#[path = "../server/broker.rs"]
mod broker;
#[allow(dead_code, reason = "shared with the tests of the server")]
#[path = "../server/client.rs"]
mod client;
mod failing;
#[allow(dead_code, reason = "shared with the tests of the server")]
#[path = "../server/hosted.rs"]
mod hosted;
mod moving;
mod site;
#[allow(dead_code, reason = "shared with the tests of the server")]
#[path = "../server/transport.rs"]
mod transport;
mod wire;
