//! Imports point down, and a layer doesn't name what isn't its business.

use crate::repository::{File, Repository};
use crate::source::{NamedPath, paths, tokens};
use crate::{Complaint, check, complaints};

/// A layer: a directory of `src`.
struct Layer {
    name: &'static str,
    /// The layers below that it may import.
    imports: &'static [&'static str],
    /// Paths that may not occur in it, by their first names.
    never: &'static [&'static str],
}

const LAYERS: &[Layer] = &[
    Layer {
        name: "base",
        imports: &[],
        never: &[
            "tokio",
            "nom",
            "bytes",
            "std::fs",
            "std::net::TcpListener",
            "std::net::TcpStream",
            "std::net::UdpSocket",
        ],
    },
    Layer {
        name: "wire",
        imports: &["base"],
        never: &[
            "tokio",
            "parking_lot",
            "std::sync",
            "std::time",
            "std::fs",
            "std::net",
        ],
    },
    Layer {
        name: "protocol",
        imports: &["base", "wire"],
        never: &[
            "tokio",
            "parking_lot",
            "rand",
            "std::fs",
            "std::net",
            "serde_json",
        ],
    },
    Layer {
        name: "broker",
        imports: &["base", "wire"],
        never: &[
            "tokio",
            "rand",
            "sled",
            "std::fs",
            "std::net",
            "std::thread",
            "serde_json",
        ],
    },
    Layer {
        name: "storage",
        imports: &["base", "wire", "broker"],
        never: &["tokio", "std::net", "serde_json"],
    },
    Layer {
        name: "replication",
        imports: &["base", "wire", "broker", "storage"],
        never: &["std::net"],
    },
    Layer {
        name: "server",
        imports: &[
            "base",
            "wire",
            "protocol",
            "broker",
            "storage",
            "replication",
        ],
        never: &["sled"],
    },
    Layer {
        name: "management",
        imports: &["base", "wire", "broker", "server"],
        never: &["sled", "nom"],
    },
    Layer {
        // `harrier perf` is a client of its own and speaks `wire`.
        name: "cli",
        imports: &["base", "wire", "management"],
        never: &["sled"],
    },
];

/// Files that stand above the layers: they name them or wire them together.
const ROOTS: [&str; 2] = ["src/lib.rs", "src/main.rs"];

/// The only places that read a clock: whoever drives the rest, once a batch.
const CLOCK_READERS: [&str; 3] = ["src/base/clock.rs", "src/server/", "src/cli/"];

/// The only places that print; the others log.
const PRINTERS: [&str; 2] = ["src/main.rs", "src/cli/"];

/// The layer that a file of `src` belongs to.
fn layer_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix("src/")?.split('/').next()?;
    (!ROOTS.contains(&path)).then_some(name.trim_end_matches(".rs"))
}

/// The files of `src`, each with its paths.
fn sources(repository: &Repository) -> impl Iterator<Item = (&File, Vec<NamedPath>)> {
    repository
        .rust()
        .filter(|file| file.path.starts_with("src/"))
        .map(|file| (file, paths(&tokens(&file.text))))
}

/// The module of the crate's root that `path`, written in `file`, leads to.
fn root_module<'a>(file: &File, path: &'a NamedPath) -> Option<&'a str> {
    let segments = &path.segments;
    if path.starts_with("crate") {
        return segments.get(1).map(String::as_str);
    }
    let climbs = segments.iter().take_while(|name| *name == "super").count();
    let depth = file.path.trim_end_matches("/mod.rs").matches('/').count();
    if climbs == 0 || climbs < depth {
        return None;
    }
    let name = segments.get(climbs).map(String::as_str)?;
    LAYERS
        .iter()
        .any(|layer| layer.name == name)
        .then_some(name)
}

fn imports_point_down(repository: &Repository) -> Vec<Complaint> {
    let mut found = Vec::new();
    for (file, paths) in sources(repository) {
        let Some(name) = layer_of(&file.path).filter(|name| *name != "manual") else {
            continue;
        };
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
            let what = format!("`{name}` is no layer: give it a row in the table");
            found.push(Complaint::new(&file.path, 0, what));
            continue;
        };
        for path in paths {
            let Some(to) = root_module(file, &path) else {
                continue;
            };
            // Upper case: an item of the crate's root, such as a constant.
            let is_module = to.starts_with(|c: char| c.is_lowercase());
            if is_module && to != name && !layer.imports.contains(&to) {
                let what = format!("`{name}` may not import `{to}`");
                found.push(Complaint::new(&file.path, path.line, what));
            }
        }
    }
    found
}

fn layers_keep_to_their_business(repository: &Repository) -> Vec<Complaint> {
    let mut found = Vec::new();
    for (file, paths) in sources(repository) {
        let name = layer_of(&file.path);
        let layer = LAYERS.iter().find(|layer| Some(layer.name) == name);
        let never = layer.map_or(&[][..], |layer| layer.never);
        for path in paths {
            if let Some(word) = never.iter().find(|word| path.starts_with(word)) {
                let what = format!("`{word}` has no business in `{}`", name.unwrap_or("src"));
                found.push(Complaint::new(&file.path, path.line, what));
            }
        }
    }
    found
}

fn names_in_their_place(repository: &Repository) -> Vec<Complaint> {
    let mut found = Vec::new();
    for (file, paths) in sources(repository) {
        let within = |places: &[&str]| places.iter().any(|place| file.path.starts_with(place));
        for path in paths {
            let any = |names: &[&str]| names.iter().any(|name| path.ends_with(name));
            let what = if any(&["Instant::now", "SystemTime::now"]) && !within(&CLOCK_READERS) {
                "time is an argument here: take it from whoever drives this"
            } else if any(&["println!", "eprintln!", "print!", "eprint!"]) && !within(&PRINTERS) {
                "only the command line prints; use tracing"
            } else if any(&["std::sync::Mutex", "std::sync::RwLock"]) {
                "use parking_lot's"
            } else if any(&["unbounded_channel"])
                || path.ends_with("mpsc::channel") && path.starts_with("std")
            {
                "everything has a bound"
            } else {
                continue;
            };
            found.push(Complaint::new(&file.path, path.line, what));
        }
    }
    found
}

#[test]
fn layers_import_downwards() {
    check(imports_point_down);
}

#[test]
fn upward_imports_are_seen() {
    let seen = |path, text| complaints(imports_point_down, path, text).len();
    assert_eq!(seen("src/wire/a.rs", "use crate::broker::Queue;"), 1);
    assert_eq!(seen("src/wire/a.rs", "use crate::{base::ids, storage};"), 1);
    assert_eq!(seen("src/broker/queue/a.rs", "crate::protocol::f()"), 1);
    assert_eq!(seen("src/broker/a.rs", "super::super::storage::f()"), 1);
    assert_eq!(seen("src/broker/mod.rs", "use super::storage::Log;"), 1);
    assert_eq!(seen("src/cli/a.rs", "use crate::broker::Queue;"), 1);
    assert_eq!(seen("src/odds/a.rs", ""), 1);
    assert_eq!(
        seen("src/broker/queue/a.rs", "use super::super::wire::Method;"),
        0
    );
    assert_eq!(
        seen(
            "src/broker/a.rs",
            "use super::queue; use crate::wire::Method;"
        ),
        0
    );
    assert_eq!(seen("src/wire/a.rs", "// crate::broker"), 0);
    assert_eq!(seen("src/main.rs", "use crate::server;"), 0);
}

#[test]
fn layers_name_only_what_is_theirs() {
    check(layers_keep_to_their_business);
}

#[test]
fn names_of_other_layers_are_seen() {
    let seen = |path: &str, text: &str| complaints(layers_keep_to_their_business, path, text).len();
    for layer in ["base", "wire", "protocol", "broker", "storage"] {
        let path = format!("src/{layer}/a.rs");
        assert_eq!(seen(&path, "use tokio::sync::mpsc;"), 1, "{layer}");
    }
    assert_eq!(seen("src/broker/a.rs", "let _ = std::fs::read(name);"), 1);
    assert_eq!(seen("src/broker/a.rs", "use std::{fs, net};"), 2);
    assert_eq!(seen("src/wire/a.rs", "use parking_lot::Mutex;"), 1);
    assert_eq!(seen("src/server/a.rs", "use tokio::net::TcpStream;"), 0);
}

#[test]
fn every_name_is_in_its_place() {
    check(names_in_their_place);
}

#[test]
fn misplaced_names_are_seen() {
    let seen = |path, text| complaints(names_in_their_place, path, text).len();
    assert_eq!(seen("src/broker/a.rs", "let t = Instant::now();"), 1);
    assert_eq!(seen("src/protocol/a.rs", "std::time::SystemTime::now()"), 1);
    assert_eq!(seen("src/storage/a.rs", "println!(\"x\")"), 1);
    assert_eq!(seen("src/server/a.rs", "use std::sync::{Arc, Mutex};"), 1);
    assert_eq!(seen("src/server/a.rs", "mpsc::unbounded_channel()"), 1);
    assert_eq!(seen("src/base/clock.rs", "Instant::now()"), 0);
    assert_eq!(seen("src/cli/a.rs", "println!(\"x\")"), 0);
}
