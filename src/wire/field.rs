//! Field tables, arrays and values, with the tags RabbitMQ uses.

use bytes::{BufMut, Bytes, BytesMut};
use nom::bytes::complete::take;
use nom::number::complete::{
    be_f32, be_f64, be_i8, be_i16, be_i32, be_i64, be_u8, be_u16, be_u32, be_u64,
};

use super::error::{DecodeError, complete, fail};
use super::parse::{
    Argument, Parsed, long_octets, put_long_octets, put_short_octets, set_len, short_octets,
};
use crate::base::limits::TABLE_DEPTH_MAX;

/// A value of a field table. The letter is its tag on the wire.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// `S`: opaque octets, by convention UTF-8.
    LongStr(Bytes),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l` when written, `l` or `L` when read.
    I64(i64),
    /// `s`
    I16(i16),
    /// `u`
    U16(u16),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `d`
    F64(f64),
    /// `f`
    F32(f32),
    /// `t`
    Bool(bool),
    /// `D`: `value / 10^scale`.
    Decimal {
        /// Digits after the point.
        scale: u8,
        /// The digits.
        value: u32,
    },
    /// `T`: seconds since the Unix epoch.
    Timestamp(u64),
    /// `F`
    Table(FieldTable),
    /// `A`
    Array(Vec<FieldValue>),
    /// `x`
    Octets(Bytes),
    /// `V`
    Void,
}

impl FieldValue {
    /// A string value.
    pub fn str(text: impl AsRef<str>) -> Self {
        Self::LongStr(Bytes::copy_from_slice(text.as_ref().as_bytes()))
    }

    /// The octets of a string value.
    pub fn as_octets(&self) -> Option<&[u8]> {
        match self {
            Self::LongStr(octets) => Some(octets),
            _ => None,
        }
    }

    /// The text of a string value that is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_octets()?).ok()
    }

    /// The value of any integer type.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::I8(v) => Some(v.into()),
            Self::U8(v) => Some(v.into()),
            Self::I16(v) => Some(v.into()),
            Self::U16(v) => Some(v.into()),
            Self::I32(v) => Some(v.into()),
            Self::U32(v) => Some(v.into()),
            Self::I64(v) => Some(v),
            _ => None,
        }
    }

    /// The value of any number, rounded if need be.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::F32(v) => Some(v.into()),
            Self::F64(v) => Some(v),
            _ => self.as_i64().map(|v| v as f64),
        }
    }

    /// RabbitMQ's name of the type, as its error texts give it.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::LongStr(_) => "longstr",
            Self::I32(_) => "signedint",
            Self::U32(_) => "unsignedint",
            Self::I64(_) => "long",
            Self::I16(_) => "short",
            Self::U16(_) => "unsignedshort",
            Self::I8(_) => "byte",
            Self::U8(_) => "unsignedbyte",
            Self::F64(_) => "double",
            Self::F32(_) => "float",
            Self::Bool(_) => "bool",
            Self::Decimal { .. } => "decimal",
            Self::Timestamp(_) => "timestamp",
            Self::Table(_) => "table",
            Self::Array(_) => "array",
            Self::Octets(_) => "binary",
            Self::Void => "void",
        }
    }

    fn parse(input: &[u8], depth: usize) -> Parsed<'_, Self> {
        let (rest, tag) = be_u8(input)?;
        match tag {
            b'S' => map(long_octets(rest)?, |v| {
                Self::LongStr(Bytes::copy_from_slice(v))
            }),
            b'I' => map(be_i32(rest)?, Self::I32),
            b'i' => map(be_u32(rest)?, Self::U32),
            b'l' | b'L' => map(be_i64(rest)?, Self::I64),
            b's' => map(be_i16(rest)?, Self::I16),
            b'u' => map(be_u16(rest)?, Self::U16),
            b'b' => map(be_i8(rest)?, Self::I8),
            b'B' => map(be_u8(rest)?, Self::U8),
            b'd' => map(be_f64(rest)?, Self::F64),
            b'f' => map(be_f32(rest)?, Self::F32),
            b't' => map(be_u8(rest)?, |v| Self::Bool(v != 0)),
            b'D' => {
                let (rest, scale) = be_u8(rest)?;
                map(be_u32(rest)?, |value| Self::Decimal { scale, value })
            }
            b'T' => map(be_u64(rest)?, Self::Timestamp),
            b'F' => map(FieldTable::parse_nested(rest, depth)?, Self::Table),
            b'A' => map(parse_array(rest, depth)?, Self::Array),
            b'x' => map(long_octets(rest)?, |v| {
                Self::Octets(Bytes::copy_from_slice(v))
            }),
            b'V' => Ok((rest, Self::Void)),
            other => fail(DecodeError::UnknownFieldType(other)),
        }
    }

    /// Appends the tag and the value.
    pub fn put(&self, out: &mut BytesMut) {
        match self {
            Self::LongStr(v) => {
                out.put_u8(b'S');
                put_long_octets(out, v);
            }
            Self::Octets(v) => {
                out.put_u8(b'x');
                put_long_octets(out, v);
            }
            Self::Table(v) => {
                out.put_u8(b'F');
                v.put(out);
            }
            Self::Array(v) => {
                out.put_u8(b'A');
                put_sized(out, |out| v.iter().for_each(|value| value.put(out)));
            }
            scalar => scalar.put_scalar(out),
        }
    }

    fn put_scalar(&self, out: &mut BytesMut) {
        macro_rules! tagged {
            ($tag:literal, $put:ident, $value:expr) => {{
                out.put_u8($tag);
                out.$put($value);
            }};
        }
        match *self {
            Self::I32(v) => tagged!(b'I', put_i32, v),
            Self::U32(v) => tagged!(b'i', put_u32, v),
            Self::I64(v) => tagged!(b'l', put_i64, v),
            Self::I16(v) => tagged!(b's', put_i16, v),
            Self::U16(v) => tagged!(b'u', put_u16, v),
            Self::I8(v) => tagged!(b'b', put_i8, v),
            Self::U8(v) => tagged!(b'B', put_u8, v),
            Self::F64(v) => tagged!(b'd', put_f64, v),
            Self::F32(v) => tagged!(b'f', put_f32, v),
            Self::Bool(v) => tagged!(b't', put_u8, u8::from(v)),
            Self::Timestamp(v) => tagged!(b'T', put_u64, v),
            Self::Decimal { scale, value } => {
                out.put_slice(&[b'D', scale]);
                out.put_u32(value);
            }
            _ => out.put_u8(b'V'),
        }
    }
}

impl From<&str> for FieldValue {
    fn from(text: &str) -> Self {
        Self::str(text)
    }
}

impl From<bool> for FieldValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for FieldValue {
    fn from(value: i32) -> Self {
        Self::I32(value)
    }
}

impl From<i64> for FieldValue {
    fn from(value: i64) -> Self {
        Self::I64(value)
    }
}

impl From<FieldTable> for FieldValue {
    fn from(table: FieldTable) -> Self {
        Self::Table(table)
    }
}

/// A field table: names and values in the order they came.
///
/// A name that comes twice is kept twice; look-ups find the first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FieldTable(Vec<(Bytes, FieldValue)>);

impl FieldTable {
    /// An empty table.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Parses octets that hold a table's entries, without the length before them.
    ///
    /// # Errors
    /// [`DecodeError`] when an entry is malformed or nests too deep.
    pub fn parse_entries(octets: &[u8]) -> Result<Self, DecodeError> {
        complete(octets, |input| parse_entries(input, 0))
    }

    fn parse_nested(input: &[u8], depth: usize) -> Parsed<'_, Self> {
        if depth >= TABLE_DEPTH_MAX {
            return fail(DecodeError::TooDeep);
        }
        let (rest, entries) = long_octets(input)?;
        let (_, table) = parse_entries(entries, depth)?;
        Ok((rest, table))
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value of the first entry called `name`.
    pub fn get(&self, name: &str) -> Option<&FieldValue> {
        self.get_octets(name.as_bytes())
    }

    /// The value of the first entry whose name is `name`, which need not be UTF-8.
    pub fn get_octets(&self, name: &[u8]) -> Option<&FieldValue> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// Sets the entry called `name`: in its place if there is one, else at the end.
    pub fn set(&mut self, name: &str, value: impl Into<FieldValue>) {
        let value = value.into();
        match self.0.iter_mut().find(|(n, _)| n == name.as_bytes()) {
            Some((_, old)) => *old = value,
            None => self.push(name, value),
        }
    }

    /// Adds an entry at the end.
    pub fn push(&mut self, name: &str, value: impl Into<FieldValue>) {
        let name = Bytes::copy_from_slice(name.as_bytes());
        self.0.push((name, value.into()));
    }

    /// Removes every entry called `name`; returns the first one's value.
    pub fn remove(&mut self, name: &str) -> Option<FieldValue> {
        let at = self.0.iter().position(|(n, _)| n == name.as_bytes())?;
        let (_, value) = self.0.remove(at);
        self.0.retain(|(n, _)| n != name.as_bytes());
        Some(value)
    }

    /// Orders the entries by name; those of one name stay as they were.
    pub fn sort(&mut self) {
        self.0.sort_by(|(one, _), (other, _)| one.cmp(other));
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &FieldValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// The entries as they go on the wire, without the length before them.
    pub fn put_entries(&self, out: &mut BytesMut) {
        for (name, value) in &self.0 {
            put_short_octets(out, name);
            value.put(out);
        }
    }
}

impl<N: AsRef<str>> FromIterator<(N, FieldValue)> for FieldTable {
    fn from_iter<I: IntoIterator<Item = (N, FieldValue)>>(entries: I) -> Self {
        let mut table = Self::new();
        for (name, value) in entries {
            table.push(name.as_ref(), value);
        }
        table
    }
}

impl<'a> Argument<'a> for FieldTable {
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        Self::parse_nested(input, 0)
    }

    fn put(&self, out: &mut BytesMut) {
        put_sized(out, |out| self.put_entries(out));
    }
}

fn parse_entries(mut input: &[u8], depth: usize) -> Parsed<'_, FieldTable> {
    let mut entries = Vec::new();
    while !input.is_empty() {
        let (rest, name) = short_octets(input)?;
        let (rest, value) = FieldValue::parse(rest, depth + 1)?;
        entries.push((Bytes::copy_from_slice(name), value));
        input = rest;
    }
    Ok((input, FieldTable(entries)))
}

fn parse_array(input: &[u8], depth: usize) -> Parsed<'_, Vec<FieldValue>> {
    if depth >= TABLE_DEPTH_MAX {
        return fail(DecodeError::TooDeep);
    }
    let (rest, len) = be_u32(input)?;
    let (rest, mut items) = take(len)(rest)?;
    let mut values = Vec::new();
    while !items.is_empty() {
        let (left, value) = FieldValue::parse(items, depth + 1)?;
        values.push(value);
        items = left;
    }
    Ok((rest, values))
}

fn map<'a, T, U>((rest, value): (&'a [u8], T), f: impl FnOnce(T) -> U) -> Parsed<'a, U> {
    Ok((rest, f(value)))
}

/// Appends what `body` appends, with its length before it.
fn put_sized(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let at = out.len();
    out.put_u32(0);
    body(out);
    set_len(out, at, out.len() - at - 4);
}
