//! How commands print what they found.

use std::io::{self, ErrorKind, IsTerminal, Write};

use clap::ValueEnum;

use super::Failure;

/// How output is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

impl Format {
    /// `wanted`, or else what suits whoever reads the output.
    pub fn or_fitting(wanted: Option<Self>) -> Self {
        wanted.unwrap_or(if io::stdout().is_terminal() {
            Self::Table
        } else {
            Self::Json
        })
    }
}

/// Writes `text` and a line's end to stdout. Returns whether anybody still
/// reads it: `head` stops when it has enough, which is no failure.
///
/// # Errors
/// Whatever else the system says.
pub fn print(text: &str) -> Result<bool, Failure> {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Failed(format!("cannot print: {error}"))),
    }
}
