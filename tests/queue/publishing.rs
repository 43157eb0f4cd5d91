//! What a message's properties ask for, and what they may not say.

use harrier::broker::publishing::{Copies, check_user_id, expiration_ms};
use harrier::wire::{FieldTable, FieldValue, Properties, ReplyCode};
use proptest::prelude::*;

fn refusal(expiration: &str) -> String {
    let refusal = expiration_ms(expiration.as_bytes()).unwrap_err();
    assert_eq!(refusal.code, ReplyCode::PreconditionFailed);
    refusal.text()
}

#[test]
fn an_expiration_is_a_number_of_milliseconds() {
    for (fine, ms) in [
        ("0", 0),
        ("1", 1),
        ("60000", 60_000),
        ("007", 7),
        ("+5", 5),
        ("-0", 0),
        ("315360000000", 315_360_000_000),
    ] {
        assert_eq!(expiration_ms(fine.as_bytes()), Ok(ms), "{fine}");
    }
    for (given, problem) in [
        ("", "no_integer"),
        ("abc", "no_integer"),
        ("-", "no_integer"),
        (" 5", "no_integer"),
        ("-1", "{value_negative,-1}"),
        ("5s", "{leftover_string,\"s\"}"),
        ("1.5", "{leftover_string,\".5\"}"),
        ("315360000001", "{value_too_large,315360000001}"),
        (
            "99999999999999999999999",
            "{value_too_large,99999999999999999999999}",
        ),
    ] {
        let text = format!("PRECONDITION_FAILED - invalid expiration '{given}': {problem}");
        assert_eq!(refusal(given), text);
    }
}

#[test]
fn a_user_id_names_the_user() {
    assert_eq!(check_user_id(b"guest", "guest"), Ok(()));
    let refusal = check_user_id(b"bob", "guest").unwrap_err();
    assert_eq!(
        refusal.text(),
        "PRECONDITION_FAILED - user_id property set to 'bob' but authenticated user was 'guest'"
    );
}

fn strings(keys: &[&str]) -> FieldValue {
    FieldValue::Array(keys.iter().map(FieldValue::str).collect())
}

/// What `Copies` makes of a header table.
#[derive(Debug, PartialEq)]
struct Read {
    keys: Vec<String>,
    /// The headers that go on, if they are others.
    left: Option<FieldTable>,
}

fn copies(headers: &FieldTable) -> Result<Option<Read>, String> {
    let raw = Properties::default().with_headers(headers);
    let properties = Properties::parse(&raw).unwrap();
    let copies = Copies::from_properties(&properties).map_err(|refusal| refusal.text())?;
    let text = |key: &bytes::Bytes| String::from_utf8(key.to_vec()).unwrap();
    Ok(copies.map(|copies| Read {
        keys: copies.keys.iter().map(text).collect(),
        left: copies.properties.map(|raw| {
            let properties = Properties::parse(&raw).unwrap();
            properties.headers_table().unwrap()
        }),
    }))
}

#[test]
fn copies_are_what_cc_and_bcc_name() {
    let headers = FieldTable::from_iter([
        ("BCC", strings(&["secret"])),
        ("mine", FieldValue::I32(1)),
        ("CC", strings(&["a", "b"])),
    ]);
    let read = copies(&headers).unwrap().unwrap();
    assert_eq!(read.keys, ["a", "b", "secret"]);
    let mut expected = headers.clone();
    expected.remove("BCC");
    assert_eq!(read.left, Some(expected));
}

#[test]
fn without_bcc_the_properties_stay_as_they_are() {
    let headers = FieldTable::from_iter([("CC", strings(&["a"]))]);
    let read = Read {
        keys: vec!["a".to_owned()],
        left: None,
    };
    assert_eq!(copies(&headers).unwrap(), Some(read));
    let none = FieldTable::from_iter([("ACCOUNT", FieldValue::str("BCC"))]);
    let found = copies(&none).unwrap();
    assert!(found.is_none_or(|read| read.keys.is_empty() && read.left.is_none()));
}

#[test]
fn what_is_no_string_among_the_copies_is_passed_over() {
    let mixed = FieldValue::Array(vec![FieldValue::I32(5), FieldValue::str("a")]);
    let headers = FieldTable::from_iter([("CC", mixed)]);
    assert_eq!(copies(&headers).unwrap().unwrap().keys, ["a"]);
}

#[test]
fn copies_that_are_no_arrays_are_refused() {
    for (name, value, kind) in [
        ("CC", FieldValue::str("a"), "longstr"),
        ("BCC", FieldValue::str("a"), "longstr"),
        ("BCC", FieldValue::Bool(true), "bool"),
    ] {
        let headers = FieldTable::from_iter([(name, value)]);
        let text = format!(
            "PRECONDITION_FAILED - invalid message: {{unacceptable_type_in_header,\"{name}\",{kind}}}"
        );
        assert_eq!(copies(&headers).unwrap_err(), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_octets_are_judged_as_an_expiration(octets in prop::collection::vec(any::<u8>(), 0..20)) {
        let plain = std::str::from_utf8(&octets)
            .ok()
            .filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()))
            .and_then(|text| text.parse::<u64>().ok());
        let verdict = expiration_ms(&octets);
        if let Some(ms) = plain.filter(|ms| *ms <= 315_360_000_000) {
            prop_assert_eq!(verdict, Ok(ms));
        } else if let Err(refusal) = verdict {
            prop_assert_eq!(refusal.code, ReplyCode::PreconditionFailed);
        }
    }
}
