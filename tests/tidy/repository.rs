//! The files that the rules look at.

use std::fs;
use std::path::Path;

/// Directories that tools fill and nobody reads.
const NOT_OURS: [&str; 8] = [
    ".git",
    "target",
    "harrier-data",
    "node_modules",
    "__pycache__",
    "corpus",
    "artifacts",
    "proptest-regressions",
];

/// What may lie at the top of the repository, besides names with a dot in front.
const TOP_LEVEL: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "src",
    "tests",
    "conformance",
    "config",
    "scripts",
];

/// A text file, by its path from the top with `/` between names.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The text files of a repository and the names at its top.
#[derive(Default)]
pub(crate) struct Repository {
    pub(crate) files: Vec<File>,
    pub(crate) top_level: Vec<String>,
    /// Paths of everything that exists, directories and binary files included.
    pub(crate) paths: Vec<String>,
}

impl Repository {
    /// The one this test was built from.
    pub(crate) fn here() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = Self::default();
        found.add_directory(root, "");
        found
    }

    /// A made-up one.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut made = Self::default();
        for (path, text) in files {
            let top = path.split('/').next().unwrap_or(path);
            made.top_level.push(top.to_owned());
            made.paths.push((*path).to_owned());
            made.files.push(File {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            });
        }
        made
    }

    fn add_directory(&mut self, directory: &Path, prefix: &str) {
        let mut entries: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap())
            .collect();
        entries.sort_by_key(|entry| entry.file_name());
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            if NOT_OURS.contains(&name.as_str()) {
                continue;
            }
            let path = format!("{prefix}{name}");
            if prefix.is_empty() {
                self.top_level.push(name);
            }
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                self.add_directory(&entry.path(), &format!("{path}/"));
            } else if let (true, Ok(text)) = (kind.is_file(), fs::read_to_string(entry.path())) {
                self.files.push(File {
                    path: path.clone(),
                    text,
                });
            }
            self.paths.push(path);
        }
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// Whether something lies at `path`.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.paths.iter().any(|known| known == path)
    }
}

mod tests {
    use super::{Repository, TOP_LEVEL};
    use crate::{Complaint, check, complaints};

    fn nothing_strange_at_the_top(repository: &Repository) -> Vec<Complaint> {
        let strange = |name: &&String| !name.starts_with('.') && !TOP_LEVEL.contains(&&***name);
        let names = repository.top_level.iter().filter(strange);
        names
            .map(|name| Complaint::new(name, 0, "has no place at the top of the repository"))
            .collect()
    }

    #[test]
    fn top_level() {
        check(nothing_strange_at_the_top);
    }

    #[test]
    fn a_strange_file_at_the_top_is_seen() {
        assert_eq!(
            complaints(nothing_strange_at_the_top, "notes.txt", "").len(),
            1
        );
        assert!(complaints(nothing_strange_at_the_top, "src/lib.rs", "").is_empty());
    }
}
