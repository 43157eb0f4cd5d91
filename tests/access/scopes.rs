//! What the scopes of a token permit.

use harrier::broker::access::{Permission, Scopes};

use Permission::{Configure, Read, Write};

fn scopes(list: &[&str]) -> Scopes {
    let claim = |name: &str| match name {
        "sub" => Some("ann".to_owned()),
        "team" => Some("a*/b".to_owned()),
        _ => None,
    };
    Scopes::new(list.iter().copied(), claim)
}

#[test]
fn a_scope_permits_what_it_says_where_it_says() {
    let some = scopes(&["read:v/q", "write:v/x", "configure:w/*"]);
    assert!(some.allow(Read, "v", "q"));
    assert!(!some.allow(Read, "v", "q2"));
    assert!(!some.allow(Read, "v", "a q"));
    assert!(!some.allow(Read, "w", "q"));
    assert!(!some.allow(Write, "v", "q"));
    assert!(some.allow(Write, "v", "x"));
    assert!(some.allow(Configure, "w", "anything"));
    assert!(some.may_enter("v") && some.may_enter("w") && !some.may_enter("/"));
    assert!(!scopes(&[]).may_enter("v"));
}

#[test]
fn wildcards_stand_for_any_text() {
    for (pattern, name, fits) in [
        ("*", "", true),
        ("*", "orders.in", true),
        ("orders*", "orders", true),
        ("orders*", "orders.in", true),
        ("orders*", "my orders", false),
        ("*.in", "orders.in", true),
        ("*.in", "orders.in.old", false),
        ("a*b*c", "abc", true),
        ("a*b*c", "a--b--b--c", true),
        ("a*b*c", "a--c--b", false),
        ("**", "x", true),
        ("*a*", "bbb", false),
        ("é*", "tété", false),
        ("é*é", "été", true),
        ("%2a", "*", true),
        ("%2a", "x", false),
        ("a%2Fb", "a/b", true),
        ("", "", true),
        ("", "x", false),
    ] {
        let one = scopes(&[&format!("read:v/{pattern}")]);
        assert_eq!(one.allow(Read, "v", name), fits, "{pattern} and {name}");
    }
    assert!(scopes(&["read:%2F/q"]).allow(Read, "/", "q"));
    assert!(scopes(&["read:*/*"]).allow(Read, "/", "q"));
}

/// Steps back are for the last wildcard only: this would take ages otherwise.
#[test]
fn a_wildcard_that_fits_nowhere_is_soon_given_up() {
    let one = scopes(&[&format!("read:v/{}b", "*a".repeat(120))]);
    assert!(!one.allow(Read, "v", &"a".repeat(255)));
}

#[test]
fn a_topic_takes_a_scope_with_a_routing_key() {
    let some = scopes(&["write:v/x/a.*", "read:v/x", "write:v/y/*"]);
    assert!(some.allow_topic(Write, "v", "x", "a.b"));
    assert!(!some.allow_topic(Write, "v", "x", "b.a"));
    assert!(!some.allow_topic(Write, "w", "x", "a.b"));
    assert!(some.allow_topic(Write, "v", "y", ""));
    // Without one it is for everything but topics.
    assert!(some.allow(Read, "v", "x"));
    assert!(!some.allow_topic(Read, "v", "x", "a.b"));
    // With one it is for the exchange, too.
    assert!(some.allow(Write, "v", "x"));
}

#[test]
fn names_in_braces_stand_for_what_the_token_says() {
    let some = scopes(&["read:{vhost}/q-{vhost}", "write:v/{sub}-*", "read:v/{none}"]);
    assert!(some.allow(Read, "v", "q-v") && some.allow(Read, "w", "q-w"));
    assert!(!some.allow(Read, "v", "q-w"));
    assert!(some.allow(Write, "v", "ann-1") && !some.allow(Write, "v", "bob-1"));
    assert!(some.allow(Read, "v", "none"));
    // Whoever chooses his claims chooses no wildcards, nor other places.
    let sly = scopes(&["read:v/{team}"]);
    assert!(sly.allow(Read, "v", "a*/b"));
    assert!(!sly.allow(Read, "v", "abc/b") && !sly.allow(Read, "va", "b"));
}

#[test]
fn what_is_no_scope_permits_nothing() {
    let none = scopes(&[
        "",
        "read",
        "read:",
        "read:v",
        "read:v/q/k/more",
        "Read:v/q",
        "own:v/q",
        "read v/q",
        ":v/q",
    ]);
    assert!(!none.may_enter("v") && !none.may_enter(""));
    assert!(none.tags().is_empty());
    assert!(!scopes(&["read:v/{q"]).allow(Read, "v", "q"));
}

#[test]
fn tags_are_kept_once() {
    let some = scopes(&["tag:monitoring", "tag:administrator", "tag:monitoring"]);
    let tags: Vec<_> = some.tags().iter().map(|tag| &**tag).collect();
    assert_eq!(tags, ["administrator", "monitoring"]);
    assert!(!some.may_enter("/"));
}
