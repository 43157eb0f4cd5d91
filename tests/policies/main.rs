//! Policies: what they may say, what they apply to, and what comes of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod checking;
mod concurrent;
mod definitions;
mod durability;
mod effect;
mod matching;
mod merging;
mod speed;
mod support;
