//! What is fuzzed: a function each, from octets to a panic if something is wrong.
//!
//! They are compiled twice: into libFuzzer's programs (`tests/fuzz/bin`) and
//! into a test that a stable toolchain runs every time (`tests/fuzz_smoke.rs`).

#![allow(dead_code, reason = "each fuzzer uses one of them")]

mod client;
mod management;
mod wire;

pub use client::{handshake, protocol};
pub use management::definitions;
pub use wire::{frame, method, properties, table};

/// A target.
pub type Target = fn(&[u8]);

/// All targets by their names, which are those of their directories of seeds.
pub const ALL: [(&str, Target); 7] = [
    ("frame", frame),
    ("method", method),
    ("table", table),
    ("properties", properties),
    ("handshake", handshake),
    ("protocol", protocol),
    ("definitions", definitions),
];
