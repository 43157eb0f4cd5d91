//! The manual's commands do what it says.

use std::fs;
use std::path::Path;

use crate::managing::Place;

/// The lines of shell in a chapter, in order.
fn commands(chapter: &str) -> Vec<String> {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manual");
    let text = fs::read_to_string(manual.join(chapter)).unwrap();
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => found.push(line.to_owned()),
            _ => {}
        }
    }
    found
}

/// What a line of the manual prints, which succeeds.
#[track_caller]
fn says(place: &Place, line: &str) -> String {
    let outcome = place.shell(line);
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""), "{line}");
    outcome.stdout
}

#[test]
fn the_chapter_on_traces_finds_where_an_order_went() {
    let commands = commands("trace.md");
    let [start, find, show, stop] = &commands[..] else {
        panic!("{commands:?}");
    };
    let place = Place::new();
    for line in [
        "harrier exchanges declare orders --type topic",
        "harrier queues declare billing",
        "harrier bindings declare orders billing --routing-key 'order.#'",
    ] {
        says(&place, line);
    }
    says(&place, start);
    // The rule takes every tenth.
    for _ in 0..10 {
        let publish = "harrier publish order.new hello --exchange orders \
                       --correlation-id order-4711";
        says(&place, publish);
    }
    says(&place, "harrier get billing --count 10 --then reject");
    let found: serde_json::Value = serde_json::from_str(&says(&place, find)).unwrap();
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    let id = found[0]["id"].as_str().unwrap();
    // The manual has an id of its own.
    let (command, _) = show.rsplit_once(' ').unwrap();
    let story = says(&place, &format!("{command} {id}"));
    for word in ["published", "billing", "delivered", "rejected", "dropped"] {
        assert!(story.contains(word), "no {word:?} in: {story}");
    }
    says(&place, stop);
    assert_eq!(says(&place, "harrier trace rules").trim(), "[]");
}
