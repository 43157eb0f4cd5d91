//! The program's command line: what it prints, what it exits with, what it
//! reads its configuration from.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod asking;
mod configuration;
mod definitions;
mod examples;
mod fake_api;
mod https;
mod import_config;
mod importing;
mod listening;
mod managing;
mod manuals;
mod passwords;
mod program;
mod rendering;
mod running;
mod store;
mod top;
mod usage;
