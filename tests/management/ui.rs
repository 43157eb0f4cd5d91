//! The web interface: its files are all there, and say what browsers need.

use std::fs;
use std::path::{Path, PathBuf};

use crate::broker::Broker;

/// Where the files are in the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/management/ui")
}

/// The files below `directory`, but for what is only for readers of the source.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().unwrap() != "README.md" {
            found.push(path);
        }
    }
    found
}

fn address(file: &Path) -> String {
    format!("/{}", file.strip_prefix(root()).unwrap().display())
}

/// What a module imports or a page refers to, as written.
fn references(text: &str) -> Vec<&str> {
    let starts = [
        "from '", "import '", "from\"", "href=\"", "src=\"", "url(\"",
    ];
    let found = starts.iter().flat_map(|start| {
        let rests = text.split(start).skip(1);
        rests.filter_map(|rest| rest.split(['\'', '"']).next())
    });
    found.filter(|name| name.contains('.')).collect()
}

#[test]
fn every_file_is_served_as_it_is() {
    let broker = Broker::start();
    for file in files(&root()) {
        let content = fs::read(&file).unwrap();
        let text = str::from_utf8(&content).unwrap_or_default();
        // Of a typeface, which is no text, the length will do.
        let method = if text.is_empty() { "HEAD" } else { "GET" };
        let answer = broker.send(method, &address(&file), &[], "");
        assert_eq!(
            answer.status, 200,
            "{file:?} is not in src/management/ui.rs"
        );
        assert_eq!(answer.header("content-length"), content.len().to_string());
        assert_eq!(answer.body, text, "{file:?}");
    }
}

#[test]
fn what_files_refer_to_exists() {
    for file in files(&root()) {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        let is_ours = !file.starts_with(root().join("vendor")) || file.ends_with("hooks.js");
        for name in references(&text).into_iter().filter(|_| is_ours) {
            let target = file.parent().unwrap().join(name);
            let is_template = name.contains('$');
            assert!(is_template || target.exists(), "{file:?} names {name}");
        }
    }
}

#[test]
fn every_module_is_asked_for_at_once() {
    let page = fs::read_to_string(root().join("index.html")).unwrap();
    let modules = files(&root()).into_iter().map(|file| address(&file));
    for module in modules.filter(|path| path.ends_with(".js")) {
        let path = &module[1..];
        let is_named =
            page.contains(&format!("href=\"{path}\"")) || page.contains(&format!("src=\"{path}\""));
        assert!(is_named, "index.html doesn't name {path}");
    }
}

#[test]
fn the_first_page_runs_only_what_comes_from_the_broker() {
    let broker = Broker::start();
    let answer = broker.send("GET", "/", &[], "");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!answer.body.contains("://"), "it refers to another place");
}

#[test]
fn a_file_that_the_browser_has_is_not_sent_again() {
    let broker = Broker::start();
    let first = broker.send("GET", "/js/main.js", &[], "");
    let tag = first.header("etag");
    let kept = broker.send("GET", "/js/main.js", &[("if-none-match", tag)], "");
    kept.is(304, "");
    let other = [("if-none-match", "\"0\"")];
    assert_eq!(broker.send("GET", "/js/main.js", &other, "").status, 200);
}

#[test]
fn what_is_no_file_is_not_there() {
    let broker = Broker::start();
    for path in ["/js/none.js", "/README.md", "/js/../ui.rs", "/%2e%2e/ui.rs"] {
        assert_eq!(broker.send("GET", path, &[], "").status, 404, "{path}");
    }
    assert_eq!(broker.send("POST", "/", &[], "").status, 405);
}
