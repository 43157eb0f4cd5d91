//! `harrier store check`, of what a broker left.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What it said.
pub struct Checked {
    pub damaged: bool,
    /// To programs.
    pub report: Value,
    /// To people.
    pub complaint: String,
}

/// Checks a data directory that no broker has.
pub fn check(directory: &Path) -> Checked {
    let mut check = Command::new(env!("CARGO_BIN_EXE_harrier"));
    check
        .env_clear()
        .args(["store", "check", "--format", "json"]);
    let said = check.arg("--data-dir").arg(directory).output().unwrap();
    let report: Value = serde_json::from_slice(&said.stdout).unwrap();
    let damaged = report["damaged"].as_bool().unwrap();
    assert_eq!(said.status.success(), !damaged);
    Checked {
        damaged,
        report,
        complaint: String::from_utf8(said.stderr).unwrap(),
    }
}
