//! Frames written octet by octet from the specification.

use bytes::{Bytes, BytesMut};
use harrier::wire::encode;
use harrier::wire::method::{
    BasicPublish, ChannelOpenOk, ConnectionClose, ConnectionStart, ConnectionTune, QueueDeclare,
};
use harrier::wire::parse::LongStr;
use harrier::wire::{DecodeError, FieldTable, FieldValue, Frame, FrameKind, Method, Properties};

/// The frame at the front of `octets`, which it has to fill.
#[track_caller]
fn whole(octets: &[u8]) -> Frame<'_> {
    let (frame, len) = Frame::cut(octets, 131_072).unwrap().unwrap();
    assert_eq!(len, octets.len());
    frame
}

/// Checks that `octets` are the frame of `method`, read and written.
#[track_caller]
fn assert_method<'a>(octets: &'a [u8], channel: u16, method: impl Into<Method<'a>>) {
    let method = method.into();
    let frame = whole(octets);
    assert_eq!((frame.kind, frame.channel), (FrameKind::Method, channel));
    assert_eq!(Method::parse(frame.payload), Ok(method.clone()));
    let mut out = BytesMut::new();
    encode::method(&mut out, channel, method);
    assert_eq!(&out[..], octets);
}

#[test]
fn protocol_header() {
    assert_eq!(&encode::PROTOCOL_HEADER, b"AMQP\x00\x00\x09\x01");
}

#[test]
fn heartbeat() {
    assert_eq!(encode::HEARTBEAT, *b"\x08\x00\x00\x00\x00\x00\x00\xCE");
    assert_eq!(whole(&encode::HEARTBEAT).kind, FrameKind::Heartbeat);
}

#[test]
fn connection_start() {
    let capabilities = FieldTable::from_iter([("basic.nack", FieldValue::Bool(true))]);
    let server_properties = FieldTable::from_iter([
        ("capabilities", FieldValue::Table(capabilities)),
        ("product", FieldValue::str("P")),
    ]);
    let octets = b"\x01\x00\x00\x00\x00\x00\x52\
        \x00\x0A\x00\x0A\x00\x09\
        \x00\x00\x00\x2D\
        \x0Ccapabilities\x46\x00\x00\x00\x0D\x0Abasic.nack\x74\x01\
        \x07product\x53\x00\x00\x00\x01P\
        \x00\x00\x00\x0EPLAIN AMQPLAIN\
        \x00\x00\x00\x05en_US\xCE";
    let method = ConnectionStart {
        version_major: 0,
        version_minor: 9,
        server_properties,
        mechanisms: LongStr(b"PLAIN AMQPLAIN"),
        locales: LongStr(b"en_US"),
    };
    assert_method(octets, 0, method);
}

#[test]
fn connection_tune() {
    let octets =
        b"\x01\x00\x00\x00\x00\x00\x0C\x00\x0A\x00\x1E\x07\xFF\x00\x02\x00\x00\x00\x3C\xCE";
    let method = ConnectionTune {
        channel_max: 2047,
        frame_max: 131_072,
        heartbeat: 60,
    };
    assert_method(octets, 0, method);
}

#[test]
fn connection_close() {
    let octets =
        b"\x01\x00\x00\x00\x00\x00\x0F\x00\x0A\x00\x32\x01\x40\x04bye!\x00\x00\x00\x00\xCE";
    let method = ConnectionClose {
        reply_code: 320,
        reply_text: "bye!",
        class_id: 0,
        method_id: 0,
    };
    assert_method(octets, 0, method);
}

#[test]
fn channel_open_ok() {
    let octets = b"\x01\x00\x01\x00\x00\x00\x08\x00\x14\x00\x0B\x00\x00\x00\x00\xCE";
    let method = ChannelOpenOk {
        channel_id: LongStr(b""),
    };
    assert_method(octets, 1, method);
}

#[test]
fn queue_declare() {
    // passive 1, durable 2, exclusive 4, auto-delete 8, nowait 16
    let octets = b"\x01\x12\x34\x00\x00\x00\x24\
        \x00\x32\x00\x0A\x00\x00\x06orders\x0A\
        \x00\x00\x00\x12\x0Cx-max-length\x49\x00\x00\x03\xE8\xCE";
    let method = QueueDeclare {
        queue: "orders",
        durable: true,
        auto_delete: true,
        arguments: FieldTable::from_iter([("x-max-length", FieldValue::I32(1000))]),
        ..QueueDeclare::default()
    };
    assert_method(octets, 0x1234, method);
}

#[test]
fn basic_publish() {
    let octets = b"\x01\x00\x01\x00\x00\x00\x0D\x00\x3C\x00\x28\x00\x00\x01x\x03a.b\x01\xCE";
    let method = BasicPublish {
        exchange: "x",
        routing_key: "a.b",
        mandatory: true,
        ..BasicPublish::default()
    };
    assert_method(octets, 1, method);
}

#[test]
fn a_whole_content() {
    let properties = Properties {
        content_type: Some(b"text/plain"),
        delivery_mode: Some(2),
        timestamp: Some(1),
        ..Properties::default()
    };
    let mut raw = BytesMut::new();
    properties.put(&mut raw);
    assert_eq!(
        &raw[..],
        b"\x90\x40\x0Atext/plain\x02\x00\x00\x00\x00\x00\x00\x00\x01"
    );
    let mut out = BytesMut::new();
    encode::content_header(&mut out, 1, 5, &raw);
    encode::body(&mut out, 1, b"hello", 4096);
    let octets = b"\x02\x00\x01\x00\x00\x00\x22\
        \x00\x3C\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\
        \x90\x40\x0Atext/plain\x02\x00\x00\x00\x00\x00\x00\x00\x01\xCE\
        \x03\x00\x01\x00\x00\x00\x05hello\xCE";
    assert_eq!(&out[..], octets);
}

/// One entry of each type: the tag and value as octets, and what they mean.
fn values() -> Vec<(&'static [u8], FieldValue)> {
    let inner = FieldTable::from_iter([("k", FieldValue::Void)]);
    vec![
        (
            b"S\x00\x00\x00\x02\xFF\x00",
            FieldValue::LongStr(Bytes::from_static(b"\xFF\x00")),
        ),
        (b"I\xFF\xFF\xFF\xFE", FieldValue::I32(-2)),
        (b"i\xFF\xFF\xFF\xFE", FieldValue::U32(4_294_967_294)),
        (b"l\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE", FieldValue::I64(-2)),
        (b"s\xFF\xFE", FieldValue::I16(-2)),
        (b"u\xFF\xFE", FieldValue::U16(65_534)),
        (b"b\xFE", FieldValue::I8(-2)),
        (b"B\xFE", FieldValue::U8(254)),
        (b"d\x3F\xF8\x00\x00\x00\x00\x00\x00", FieldValue::F64(1.5)),
        (b"f\x3F\xC0\x00\x00", FieldValue::F32(1.5)),
        (b"t\x01", FieldValue::Bool(true)),
        (b"t\x00", FieldValue::Bool(false)),
        (
            b"D\x02\x00\x00\x01\x3A",
            FieldValue::Decimal {
                scale: 2,
                value: 314,
            },
        ),
        (
            b"T\x00\x00\x00\x00\x65\x00\x00\x00",
            FieldValue::Timestamp(1_694_498_816),
        ),
        (b"F\x00\x00\x00\x03\x01kV", FieldValue::Table(inner)),
        (
            b"A\x00\x00\x00\x03t\x01V",
            FieldValue::Array(vec![FieldValue::Bool(true), FieldValue::Void]),
        ),
        (
            b"x\x00\x00\x00\x01\x00",
            FieldValue::Octets(Bytes::from_static(b"\x00")),
        ),
        (b"V", FieldValue::Void),
    ]
}

#[test]
fn field_values() {
    for (octets, value) in values() {
        let entry = [b"\x01n", octets].concat();
        let table = FieldTable::parse_entries(&entry).unwrap();
        assert_eq!(table.get("n"), Some(&value));
        let mut out = BytesMut::new();
        table.put_entries(&mut out);
        assert_eq!(&out[..], &entry[..], "{value:?}");
    }
}

#[test]
fn values_read_but_never_written() {
    let read = |octets: &[u8]| FieldTable::parse_entries(octets).unwrap();
    let long = read(b"\x01nL\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE");
    assert_eq!(long.get("n"), Some(&FieldValue::I64(-2)));
    assert_eq!(read(b"\x01nt\x07").get("n"), Some(&FieldValue::Bool(true)));
    let odd_name = read(b"\x02\xFF\xFEV");
    assert_eq!(odd_name.get_octets(b"\xFF\xFE"), Some(&FieldValue::Void));
}

#[test]
fn a_short_string_argument_must_be_utf_8() {
    let payload = b"\x00\x14\x00\x0A\x02\xC3\x28";
    assert_eq!(Method::parse(payload), Err(DecodeError::NotUtf8));
}

#[test]
fn a_long_short_string_is_cut_between_characters() {
    let mut out = BytesMut::new();
    let text = format!("a{}", "é".repeat(200));
    harrier::wire::parse::put_short_str(&mut out, &text);
    assert_eq!(out[0], 255);
    assert_eq!(&out[1..], &text.as_bytes()[..255]);
    out.clear();
    harrier::wire::parse::put_short_str(&mut out, &text[1..]);
    assert_eq!(out[0], 254);
}

#[test]
fn property_flags_beyond_the_basic_class_are_refused() {
    for raw in [b"\x00\x01", b"\x00\x02"] {
        let flags = u16::from_be_bytes(*raw);
        assert_eq!(
            Properties::parse(raw),
            Err(DecodeError::UnknownProperty(flags))
        );
    }
    assert_eq!(Properties::parse(b"\x00\x00"), Ok(Properties::default()));
}
