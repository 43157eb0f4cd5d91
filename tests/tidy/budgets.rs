//! Files and functions that a reader can hold, and nothing left for later.

use crate::repository::Repository;
use crate::source::{functions, tokens};
use crate::{Complaint, check, complaints};

/// Lines of a Rust file.
const FILE_LINES_MAX: usize = 700;
/// Lines of a function, signature and closing brace included.
const FUNCTION_LINES_MAX: usize = 70;

/// Marks of unfinished work, spelled so that this file has none.
const LEFT_OVER: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
];

fn files_are_short(repository: &Repository) -> Vec<Complaint> {
    let lengths = repository
        .rust()
        .map(|file| (file, file.text.lines().count()));
    lengths
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(file, lines)| {
            let what = format!("{lines} lines, over {FILE_LINES_MAX}");
            Complaint::new(&file.path, 0, what)
        })
        .collect()
}

fn functions_are_short(repository: &Repository) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in repository.rust() {
        for function in functions(&tokens(&file.text)) {
            if function.lines > FUNCTION_LINES_MAX {
                let (name, lines) = (&function.name, function.lines);
                let what = format!("`{name}` has {lines} lines, over {FUNCTION_LINES_MAX}");
                found.push(Complaint::new(&file.path, function.line, what));
            }
        }
    }
    found
}

fn nothing_is_left_over(repository: &Repository) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in &repository.files {
        for (at, line) in file.text.lines().enumerate() {
            if let Some(mark) = LEFT_OVER.iter().find(|mark| line.contains(**mark)) {
                found.push(Complaint::new(
                    &file.path,
                    at + 1,
                    format!("`{mark}` left over"),
                ));
            }
        }
    }
    found
}

#[test]
fn no_file_is_over_its_budget() {
    check(files_are_short);
}

#[test]
fn a_long_file_is_seen() {
    let long = "\n".repeat(FILE_LINES_MAX + 1);
    assert_eq!(complaints(files_are_short, "src/base/a.rs", &long).len(), 1);
    assert_eq!(complaints(files_are_short, "src/base/a.rs", &long[1..]), []);
}

#[test]
fn no_function_is_over_its_budget() {
    check(functions_are_short);
}

#[test]
fn a_long_function_is_seen() {
    let body = "f();\n".repeat(FUNCTION_LINES_MAX - 1);
    let code = format!("fn long() {{\n{body}}}\n");
    let seen = complaints(functions_are_short, "src/base/a.rs", &code);
    assert_eq!(seen.len(), 1);
    let shorter = code.replacen("f();\n", "", 1);
    assert_eq!(
        complaints(functions_are_short, "src/base/a.rs", &shorter),
        []
    );
}

#[test]
fn no_work_is_left_over() {
    check(nothing_is_left_over);
}

#[test]
fn left_over_work_is_seen() {
    for mark in LEFT_OVER {
        let text = format!("line\n// {mark} later");
        let seen = complaints(nothing_is_left_over, "scripts/a", &text);
        assert_eq!(seen.len(), 1, "{mark}");
        assert_eq!(seen[0].line, 2);
    }
}
