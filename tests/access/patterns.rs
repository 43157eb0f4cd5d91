//! The patterns of permissions and policies.

use harrier::broker::pattern::Pattern;

#[track_caller]
fn found(source: &str, name: &str) -> bool {
    Pattern::new(source).unwrap().is_in(name)
}

#[test]
fn a_pattern_is_found_anywhere_unless_anchored() {
    assert!(found("or", "orders"));
    assert!(found("der", "orders"));
    assert!(!found("^der", "orders"));
    assert!(found("^(orders|payments)$", "orders"));
    assert!(!found("^(orders|payments)$", "orders2"));
    assert!(found("^team-\\d+\\.", "team-12.in"));
}

#[test]
fn everything_is_everything() {
    for source in [".*", "^.*", ""] {
        for name in ["", "x", "two\nlines", "é"] {
            assert!(found(source, name), "{source:?} in {name:?}");
        }
    }
}

#[test]
fn an_empty_permission_is_for_the_empty_name() {
    let pattern = Pattern::of_permission("").unwrap();
    assert!(pattern.is_in(""));
    assert!(!pattern.is_in("x"));
    assert_eq!(&**pattern.source(), "");
}

#[test]
fn look_around_and_back_references_work() {
    assert!(!found(r"^(?!amq\.).*", "amq.direct"));
    assert!(found(r"^(?!amq\.).*", "orders"));
    assert!(found(r"^(\w+)-\1$", "ab-ab"));
    assert!(!found(r"^(\w+)-\1$", "ab-ba"));
}

#[test]
fn a_pattern_that_takes_too_long_finds_nothing() {
    let pattern = Pattern::new(r"^(?=((a+)+)+$)(\w)+\3b$").unwrap();
    assert!(!pattern.is_in(&"a".repeat(200)));
}

#[test]
fn a_pattern_that_does_not_compile_is_refused() {
    for source in ["(", "[a", "*", "(?<n", "\\"] {
        let refused = Pattern::new(source).unwrap_err();
        let text = refused.to_string();
        let expected = format!("invalid regular expression '{source}': ");
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.len() > expected.len());
    }
}

#[test]
fn a_pattern_too_large_to_compile_is_refused() {
    assert!(Pattern::new(r"(\w{100}){100}").is_err());
}

/// One that doesn't compile any more could have stopped a broker from starting.
#[test]
fn a_kept_pattern_that_does_not_compile_is_found_nowhere() {
    let pattern = Pattern::kept("(");
    assert!(!pattern.is_in("("));
    assert!(!pattern.is_in(""));
    assert_eq!(pattern, pattern.clone());
    assert!(Pattern::kept("^a").is_in("ab"));
}
