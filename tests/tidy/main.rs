//! The rules of the house, read from the source itself: which layer may import
//! which, what a layer never names, how long files and functions may get, and
//! that nothing is left over or points nowhere.
//!
//! Each rule is a function from files to complaints. One test runs it over the
//! repository, another over a made-up file that breaks it, so that a rule which
//! stopped seeing anything is noticed.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod budgets;
mod docs;
mod layers;
mod repository;
mod source;

use std::fmt;

use repository::Repository;

/// A place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    file: String,
    /// Counted from 1; 0 for the file as a whole.
    line: usize,
    what: String,
}

impl Complaint {
    fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Fails with every complaint of `rule` about this repository.
#[track_caller]
fn check(rule: impl Fn(&Repository) -> Vec<Complaint>) {
    let complaints = rule(&Repository::here());
    let lines: Vec<String> = complaints.iter().map(Complaint::to_string).collect();
    assert!(complaints.is_empty(), "\n{}\n", lines.join("\n"));
}

/// The complaints of `rule` about a repository of this one file.
fn complaints(
    rule: impl Fn(&Repository) -> Vec<Complaint>,
    path: &str,
    text: &str,
) -> Vec<Complaint> {
    rule(&Repository::of(&[(path, text)]))
}

#[test]
fn the_repository_is_found() {
    let here = Repository::here();
    assert!(here.file("src/lib.rs").is_some());
    assert!(here.rust().count() > 10);
}
