//! Field tables: every type of value, nested.

use bytes::{Bytes, BytesMut};
use harrier::base::limits::TABLE_DEPTH_MAX;
use harrier::wire::parse::Argument;
use harrier::wire::{DecodeError, FieldTable, FieldValue};
use proptest::collection::vec;
use proptest::prelude::*;

fn octets(len: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..len).prop_map(Bytes::from)
}

fn scalar() -> impl Strategy<Value = FieldValue> {
    prop_oneof![
        octets(40).prop_map(FieldValue::LongStr),
        any::<i32>().prop_map(FieldValue::I32),
        any::<u32>().prop_map(FieldValue::U32),
        any::<i64>().prop_map(FieldValue::I64),
        any::<i16>().prop_map(FieldValue::I16),
        any::<u16>().prop_map(FieldValue::U16),
        any::<i8>().prop_map(FieldValue::I8),
        any::<u8>().prop_map(FieldValue::U8),
        any::<f64>().prop_map(FieldValue::F64),
        any::<f32>().prop_map(FieldValue::F32),
        any::<bool>().prop_map(FieldValue::Bool),
        (any::<u8>(), any::<u32>()).prop_map(|(scale, value)| FieldValue::Decimal { scale, value }),
        any::<u64>().prop_map(FieldValue::Timestamp),
        octets(40).prop_map(FieldValue::Octets),
        Just(FieldValue::Void),
    ]
}

fn entries<V: Strategy<Value = FieldValue>>(value: V) -> impl Strategy<Value = FieldTable> {
    vec(("\\PC{0,12}", value), 0..6).prop_map(FieldTable::from_iter)
}

fn value() -> impl Strategy<Value = FieldValue> {
    scalar().prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            entries(inner.clone()).prop_map(FieldValue::Table),
            vec(inner, 0..6).prop_map(FieldValue::Array),
        ]
    })
}

/// Any table.
pub(crate) fn table() -> impl Strategy<Value = FieldTable> {
    entries(value())
}

fn written(table: &FieldTable) -> BytesMut {
    let mut out = BytesMut::new();
    table.put_entries(&mut out);
    out
}

/// The entries of a table with tables, or arrays, nested in it: `depth` levels,
/// the table's own counted.
pub(crate) fn nested(depth: usize, kind: u8) -> Vec<u8> {
    let mut out = vec![];
    for _ in 1..depth {
        let len = u32::try_from(out.len()).unwrap().to_be_bytes();
        let name: &[u8] = if kind == b'F' { &[0] } else { &[] };
        out.splice(0..0, [name, &[kind], &len].concat());
    }
    if kind == b'A' && depth > 1 {
        // Arrays hold values without names; the outermost is a table's entry.
        out.insert(0, 0);
    }
    out
}

proptest! {
    #[test]
    fn tables_are_read_as_they_were_written(table in table()) {
        let entries = written(&table);
        prop_assert_eq!(&FieldTable::parse_entries(&entries).unwrap(), &table);
        let mut argument = BytesMut::new();
        table.put(&mut argument);
        prop_assert_eq!(argument.len(), entries.len() + 4);
        let (rest, parsed) = <FieldTable as Argument<'_>>::parse(&argument).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(parsed, table);
    }

    #[test]
    fn a_table_cut_short_is_no_table_or_a_shorter_one(
        table in table(),
        cut in any::<prop::sample::Index>(),
    ) {
        let entries = written(&table);
        prop_assume!(!entries.is_empty());
        let short = &entries[..cut.index(entries.len())];
        match FieldTable::parse_entries(short) {
            // The cut fell between two entries.
            Ok(parsed) => prop_assert_eq!(&written(&parsed)[..], short),
            Err(error) => prop_assert_eq!(error, DecodeError::Truncated),
        }
    }

    #[test]
    fn a_name_is_set_found_and_removed(table in table(), name in "[a-c]{1}", n in any::<i32>()) {
        let mut changed = table.clone();
        changed.set(&name, n);
        prop_assert_eq!(changed.get(&name), Some(&FieldValue::I32(n)));
        prop_assert_eq!(changed.remove(&name), Some(FieldValue::I32(n)));
        prop_assert_eq!(changed.get(&name), None);
        let others = table.iter().filter(|(known, _)| known[..] != *name.as_bytes());
        prop_assert_eq!(changed.len(), others.count());
    }
}

#[test]
fn nesting_has_an_end() {
    for kind in [b'F', b'A'] {
        let deepest = (1..=2 * TABLE_DEPTH_MAX)
            .take_while(|depth| FieldTable::parse_entries(&nested(*depth, kind)).is_ok())
            .last();
        assert_eq!(deepest, Some(TABLE_DEPTH_MAX));
        let deeper = nested(20_000, kind);
        assert_eq!(
            FieldTable::parse_entries(&deeper),
            Err(DecodeError::TooDeep),
            "{kind}"
        );
    }
}

#[test]
fn an_unknown_tag_is_named() {
    for tag in 0..=u8::MAX {
        let known = b"SIilLsubBdftDTFAxV".contains(&tag);
        let unknown = Err(DecodeError::UnknownFieldType(tag));
        let entries = [&[1, b'n', tag][..], &[0; 16]].concat();
        assert_eq!(FieldTable::parse_entries(&entries) == unknown, !known);
    }
}
