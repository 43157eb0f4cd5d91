//! The codec against the grammar, against itself, against garbage and against
//! octets written by hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod content;
mod garbage;
mod golden;
mod grammar;
mod memory;
mod methods;
mod tables;
