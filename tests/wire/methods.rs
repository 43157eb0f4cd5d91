//! Every method of the grammar, encoded here by the grammar alone and read by
//! the codec: it has to see the same method and to write the same octets.

use bytes::BytesMut;
use harrier::wire::{DecodeError, FieldTable, Method};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::grammar::{GRAMMAR, Row, Type};
use crate::tables::table;

/// An argument as the grammar types it.
#[derive(Debug, Clone)]
enum Argument {
    Bit(bool),
    Number(Vec<u8>),
    ShortStr(String),
    LongStr(Vec<u8>),
    Table(FieldTable),
}

fn argument(kind: Type) -> BoxedStrategy<Argument> {
    let number = |len: usize| vec(any::<u8>(), len).prop_map(Argument::Number).boxed();
    match kind {
        Type::Bit => any::<bool>().prop_map(Argument::Bit).boxed(),
        Type::Octet => number(1),
        Type::Short => number(2),
        Type::Long => number(4),
        Type::LongLong => number(8),
        // At most 63 characters, each of at most four octets.
        Type::ShortStr => "\\PC{0,63}".prop_map(Argument::ShortStr).boxed(),
        Type::LongStr => vec(any::<u8>(), 0..300).prop_map(Argument::LongStr).boxed(),
        Type::Table => table().prop_map(Argument::Table).boxed(),
    }
}

/// Any method: its row and its arguments.
fn any_method() -> impl Strategy<Value = (&'static Row, Vec<Argument>)> {
    (0..GRAMMAR.len()).prop_flat_map(|at| {
        let row = &GRAMMAR[at];
        let arguments: Vec<_> = row.arguments.iter().map(|(_, t)| argument(*t)).collect();
        (Just(row), arguments)
    })
}

/// The payload of any method's frame.
pub(crate) fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    any_method().prop_map(|(row, arguments)| encode(row, &arguments))
}

/// Writes a method as the specification tells (4.2.5): consecutive bits share
/// an octet, the first one lowest.
fn encode(row: &Row, arguments: &[Argument]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(row.class.to_be_bytes());
    out.extend(row.method.to_be_bytes());
    let mut bits_before = 0;
    for argument in arguments {
        if let Argument::Bit(bit) = argument {
            if bits_before == 0 {
                out.push(0);
            }
            *out.last_mut().unwrap() |= u8::from(*bit) << bits_before;
            bits_before = (bits_before + 1) % 8;
            continue;
        }
        bits_before = 0;
        match argument {
            Argument::Bit(_) => unreachable!("handled above"),
            Argument::Number(octets) => out.extend(octets),
            Argument::ShortStr(text) => {
                out.push(u8::try_from(text.len()).unwrap());
                out.extend(text.as_bytes());
            }
            Argument::LongStr(octets) => put_long(&mut out, octets),
            Argument::Table(table) => {
                let mut entries = BytesMut::new();
                table.put_entries(&mut entries);
                put_long(&mut out, &entries);
            }
        }
    }
    out
}

fn put_long(out: &mut Vec<u8>, octets: &[u8]) {
    out.extend(u32::try_from(octets.len()).unwrap().to_be_bytes());
    out.extend(octets);
}

/// The row's arguments, each zero or empty.
fn empty(row: &Row) -> Vec<Argument> {
    let of = |kind: &Type| match kind {
        Type::Bit => Argument::Bit(false),
        Type::Octet => Argument::Number(vec![0]),
        Type::Short => Argument::Number(vec![0; 2]),
        Type::Long => Argument::Number(vec![0; 4]),
        Type::LongLong => Argument::Number(vec![0; 8]),
        Type::ShortStr => Argument::ShortStr(String::new()),
        Type::LongStr => Argument::LongStr(Vec::new()),
        Type::Table => Argument::Table(FieldTable::new()),
    };
    row.arguments.iter().map(|(_, kind)| of(kind)).collect()
}

/// How `Debug` shows the row's method when its arguments are [`empty`].
fn shown(row: &Row) -> String {
    let capitalised = |word: &str| word[..1].to_uppercase() + &word[1..];
    let name: String = row.name.split(['.', '-']).map(capitalised).collect();
    let argument = |(name, kind): &(&str, Type)| {
        // `type` is a word of Rust's own.
        let name = if *name == "type" { "kind" } else { name };
        let value = match kind {
            Type::Bit => "false",
            Type::ShortStr => "\"\"",
            Type::LongStr => "LongStr([])",
            Type::Table => "FieldTable([])",
            _ => "0",
        };
        format!("{}: {value}", name.replace('-', "_"))
    };
    let arguments: Vec<_> = row.arguments.iter().map(argument).collect();
    if arguments.is_empty() {
        return format!("{name}({name})");
    }
    format!("{name}({name} {{ {} }})", arguments.join(", "))
}

#[test]
fn every_method_has_the_grammar_s_name_and_arguments() {
    for row in GRAMMAR {
        let payload = encode(row, &empty(row));
        let method = Method::parse(&payload).unwrap_or_else(|e| panic!("{}: {e}", row.name));
        assert_eq!(format!("{method:?}"), shown(row));
        assert_eq!(method.ids(), (row.class, row.method));
    }
}

#[test]
fn no_method_is_there_that_the_grammar_lacks() {
    let known = |class, method| {
        let mut rows = GRAMMAR.iter();
        rows.any(|row| (row.class, row.method) == (class, method))
    };
    for class in 0..=u16::from(u8::MAX) {
        for method in 0..=u16::from(u8::MAX) {
            let mut payload = Vec::from(class.to_be_bytes());
            payload.extend(method.to_be_bytes());
            let unknown = Err(DecodeError::UnknownMethod { class, method });
            assert_eq!(Method::parse(&payload) == unknown, !known(class, method));
        }
    }
}

#[test]
fn each_bit_has_its_own_place() {
    for row in GRAMMAR {
        for at in 0..row.arguments.len() {
            let mut arguments = empty(row);
            let Argument::Bit(bit) = &mut arguments[at] else {
                continue;
            };
            *bit = true;
            let payload = encode(row, &arguments);
            let name = row.arguments[at].0.replace('-', "_");
            let shown = format!("{:?}", Method::parse(&payload).unwrap());
            assert!(shown.contains(&format!("{name}: true")), "{shown}");
            assert_eq!(shown.matches("true").count(), 1, "{shown}");
        }
    }
}

#[test]
fn contents_follow_four_methods() {
    let with_content = GRAMMAR.iter().filter(|row| {
        let payload = encode(row, &empty(row));
        Method::parse(&payload).unwrap().has_content()
    });
    let names: Vec<_> = with_content.map(|row| row.name).collect();
    assert_eq!(
        names,
        [
            "basic.publish",
            "basic.return",
            "basic.deliver",
            "basic.get-ok"
        ]
    );
}

proptest! {
    #[test]
    fn what_the_grammar_writes_is_read_and_written_again(
        (row, arguments) in any_method()
    ) {
        let payload = encode(row, &arguments);
        let method = Method::parse(&payload).unwrap();
        prop_assert_eq!(method.ids(), (row.class, row.method));
        prop_assert_eq!(Method::peek_ids(&payload), Some((row.class, row.method)));
        let mut written = BytesMut::new();
        method.put(&mut written);
        prop_assert_eq!(&written[..], &payload[..]);
    }

    #[test]
    fn a_method_cut_short_or_too_long_is_refused(
        (row, arguments) in any_method(),
        cut in any::<prop::sample::Index>(),
        more in vec(any::<u8>(), 1..9),
    ) {
        let mut payload = encode(row, &arguments);
        let short = &payload[..cut.index(payload.len())];
        prop_assert_eq!(Method::parse(short), Err(DecodeError::Truncated));
        payload.extend(&more);
        prop_assert_eq!(Method::parse(&payload), Err(DecodeError::Trailing(more.len())));
    }
}
