//! What the documents point to exists.

use crate::repository::{File, Repository};
use crate::{Complaint, check, complaints};

/// A word of a document that starts like this means a file of the repository.
const PREFIXES: [&str; 6] = [
    "src/",
    "tests/",
    "conformance/",
    "config/",
    "scripts/",
    ".ci/",
];

/// Characters that make a word a pattern or a made-up example.
const NOT_LITERAL: [char; 7] = ['*', '{', '<', '$', '…', '[', '='];

fn paths_in_documents_exist(repository: &Repository) -> Vec<Complaint> {
    let mut found = Vec::new();
    let documents = repository
        .files
        .iter()
        .filter(|file| file.path.ends_with(".md"));
    for file in documents {
        for (at, line) in file.text.lines().enumerate() {
            for path in mentioned(file, line) {
                if !repository.has(&path) {
                    let what = format!("`{path}` doesn't exist");
                    found.push(Complaint::new(&file.path, at + 1, what));
                }
            }
        }
    }
    found
}

/// The paths from the top that a line mentions: as a word, or as the target of
/// a link, which starts at the document's own directory.
fn mentioned(file: &File, line: &str) -> Vec<String> {
    let separators = |c: char| c.is_whitespace() || "`()\"',;|#".contains(c);
    let words = line.split(separators).map(|word| {
        let word = word.trim_start_matches("./");
        word.trim_end_matches(['.', ':'])
    });
    let mut paths: Vec<String> = words
        .filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)))
        .filter(|word| !word.contains(NOT_LITERAL))
        .map(str::to_owned)
        .collect();
    let directory = file
        .path
        .rsplit_once('/')
        .map_or("", |(directory, _)| directory);
    // A link's target was taken for a word as well.
    paths.retain(|path| !links(line).any(|target| target == path));
    paths.extend(links(line).filter_map(|target| resolve(directory, target)));
    paths
}

/// The targets of a line's links within the repository.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    targets
        .map(|target| target.split('#').next().unwrap_or(target))
        .filter(|target| !target.is_empty() && !target.contains(':') && !target.contains("::"))
}

/// `target` seen from `directory`; nothing if it climbs out of the repository.
fn resolve(directory: &str, target: &str) -> Option<String> {
    let mut names: Vec<&str> = directory
        .split('/')
        .filter(|name| !name.is_empty())
        .collect();
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop()?;
            }
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}

#[test]
fn documents_point_to_what_exists() {
    check(paths_in_documents_exist);
}

#[test]
fn dead_paths_are_seen() {
    let seen = |text: &str| {
        let files = [
            ("README.md", text),
            ("src/a.rs", ""),
            ("src/b.md", "[a](a.rs)"),
        ];
        paths_in_documents_exist(&Repository::of(&files)).len()
    };
    assert_eq!(seen("see `src/gone.rs`."), 1);
    assert_eq!(seen("see [this](src/gone.rs)"), 1);
    assert_eq!(seen("run `scripts/gone pika`"), 1);
    assert_eq!(
        seen("see `src/a.rs`, [it](src/a.rs#part), [web](https://x/src/y)"),
        0
    );
    assert_eq!(seen("see `src/*.rs`"), 0);
    assert_eq!(
        complaints(paths_in_documents_exist, "src/b.md", "[a](c.rs)").len(),
        1
    );
}
