//! Frames, content headers, properties and bodies.

use bytes::BytesMut;
use harrier::base::limits::FRAME_OVERHEAD;
use harrier::wire::encode::{self, DeliverArguments};
use harrier::wire::frame::{ContentHeader, FRAME_END};
use harrier::wire::method::BasicDeliver;
use harrier::wire::{Frame, FrameError, FrameHead, FrameKind, Method, Properties};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::methods::any_payload;
use crate::tables::table;

fn kind() -> impl Strategy<Value = FrameKind> {
    prop_oneof![
        Just(FrameKind::Method),
        Just(FrameKind::Header),
        Just(FrameKind::Body),
        Just(FrameKind::Heartbeat),
    ]
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(channel.to_be_bytes());
    out.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    out.extend(payload);
    out.push(FRAME_END);
    out
}

/// Octets for each of the properties that carries any, and the numbers.
#[derive(Debug, Clone)]
struct Owned {
    strings: [Option<Vec<u8>>; 10],
    headers: Option<Vec<u8>>,
    delivery_mode: Option<u8>,
    priority: Option<u8>,
    timestamp: Option<u64>,
}

impl Owned {
    fn borrow(&self) -> Properties<'_> {
        let [a, b, c, d, e, f, g, h, i, j] = self.strings.each_ref().map(Option::as_deref);
        Properties {
            content_type: a,
            content_encoding: b,
            headers: self.headers.as_deref(),
            delivery_mode: self.delivery_mode,
            priority: self.priority,
            correlation_id: c,
            reply_to: d,
            expiration: e,
            message_id: f,
            timestamp: self.timestamp,
            kind: g,
            user_id: h,
            app_id: i,
            cluster_id: j,
        }
    }
}

fn properties() -> impl Strategy<Value = Owned> {
    let string = || option::of(vec(any::<u8>(), 0..=255));
    let strings = prop::array::uniform10(string());
    let headers = option::of(table().prop_map(|table| {
        let mut entries = BytesMut::new();
        table.put_entries(&mut entries);
        entries.to_vec()
    }));
    let octet = || option::of(any::<u8>());
    (strings, headers, octet(), octet(), option::of(any::<u64>())).prop_map(
        |(strings, headers, delivery_mode, priority, timestamp)| Owned {
            strings,
            headers,
            delivery_mode,
            priority,
            timestamp,
        },
    )
}

/// The raw form of any properties.
pub(crate) fn any_properties() -> impl Strategy<Value = Vec<u8>> {
    properties().prop_map(|owned| {
        let mut out = BytesMut::new();
        owned.borrow().put(&mut out);
        out.to_vec()
    })
}

proptest! {
    #[test]
    fn a_frame_is_cut_once_it_is_whole(
        kind in kind(),
        channel in any::<u16>(),
        payload in vec(any::<u8>(), 0..300),
        after in vec(any::<u8>(), 0..20),
    ) {
        let mut input = frame(kind.octet(), channel, &payload);
        let len = input.len();
        for cut in 0..len {
            prop_assert_eq!(Frame::cut(&input[..cut], 300), Ok(None));
        }
        input.extend(after);
        let expected = Frame { kind, channel, payload: &payload };
        prop_assert_eq!(Frame::cut(&input, 300), Ok(Some((expected, len))));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_by_its_head(
        kind in any::<u8>(),
        channel in any::<u16>(),
        limit in 8..u32::MAX,
        over in 1..=u32::MAX,
    ) {
        let Some(size) = limit.checked_add(over) else { return Ok(()) };
        let mut head = vec![kind];
        head.extend(channel.to_be_bytes());
        head.extend(size.to_be_bytes());
        prop_assert_eq!(
            FrameHead::peek(&head),
            Some(FrameHead { kind, channel, size })
        );
        let limit_shown = limit - u32::try_from(FRAME_OVERHEAD).unwrap();
        let expected = FrameError::TooLarge { kind, size, limit: limit_shown };
        prop_assert_eq!(Frame::cut(&head, limit), Err(expected));
    }

    #[test]
    fn a_wrong_end_or_kind_is_seen(
        kind in any::<u8>(),
        payload in vec(any::<u8>(), 0..40),
        end in any::<u8>(),
    ) {
        let mut input = frame(kind, 1, &payload);
        *input.last_mut().unwrap() = end;
        match Frame::cut(&input, 100) {
            Err(FrameError::BadEnd { end: seen, payload: kept, .. }) => {
                prop_assert!(seen == end && end != FRAME_END);
                prop_assert_eq!(kept, payload);
            }
            Err(FrameError::UnknownKind { kind: seen, .. }) => {
                prop_assert_eq!(seen, kind);
                prop_assert_eq!(FrameKind::from_octet(kind), None);
            }
            Ok(Some((frame, _))) => prop_assert_eq!(frame.kind.octet(), kind),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn a_method_s_frame_holds_its_payload(channel in any::<u16>(), payload in any_payload()) {
        let method = Method::parse(&payload).unwrap();
        let mut out = BytesMut::from(&b"before"[..]);
        encode::method(&mut out, channel, method);
        prop_assert_eq!(&out[6..], &frame(1, channel, &payload)[..]);
    }

    #[test]
    fn properties_are_read_as_they_were_written(owned in properties()) {
        let properties = owned.borrow();
        let mut raw = BytesMut::new();
        properties.put(&mut raw);
        prop_assert_eq!(Properties::parse(&raw), Ok(properties));
        if let Some(entries) = &owned.headers {
            let mut again = BytesMut::new();
            properties.headers_table().unwrap().put_entries(&mut again);
            prop_assert_eq!(&again[..], &entries[..]);
        }
    }

    #[test]
    fn other_headers_change_nothing_else(owned in properties(), headers in table()) {
        let changed = owned.borrow().with_headers(&headers);
        let parsed = Properties::parse(&changed).unwrap();
        prop_assert_eq!(parsed.headers_table().unwrap(), headers);
        let without = |properties| Properties { headers: None, ..properties };
        prop_assert_eq!(without(parsed), without(owned.borrow()));
    }

    #[test]
    fn a_content_header_is_read_as_it_was_written(
        channel in any::<u16>(),
        body_size in any::<u64>(),
        properties in any_properties(),
    ) {
        let mut out = BytesMut::new();
        encode::content_header(&mut out, channel, body_size, &properties);
        let (cut, len) = Frame::cut(&out, u32::MAX).unwrap().unwrap();
        prop_assert_eq!((cut.kind, cut.channel, len), (FrameKind::Header, channel, out.len()));
        let expected = ContentHeader { class: 60, weight: 0, body_size, properties: &properties };
        prop_assert_eq!(ContentHeader::parse(cut.payload), Ok(expected));
    }

    #[test]
    fn a_body_is_cut_to_frame_max(
        body in vec(any::<u8>(), 0..2000),
        frame_max in prop_oneof![Just(0), 0..40_u32, 40..3000_u32],
    ) {
        let mut out = BytesMut::new();
        encode::body(&mut out, 7, &body, frame_max);
        let mut rest = &out[..];
        let mut joined: Vec<u8> = Vec::new();
        while !rest.is_empty() {
            let (cut, len) = Frame::cut(rest, u32::MAX).unwrap().unwrap();
            prop_assert_eq!((cut.kind, cut.channel), (FrameKind::Body, 7));
            prop_assert!(!cut.payload.is_empty());
            // Below nine octets not even one of body would fit.
            prop_assert!(frame_max == 0 || len <= frame_max.max(9) as usize);
            joined.extend(cut.payload);
            rest = &rest[len..];
        }
        prop_assert_eq!(joined, body);
    }

    #[test]
    fn a_delivery_is_encoded_alike_both_ways(
        channel in any::<u16>(),
        consumer_tag in "\\PC{0,63}",
        delivery_tag in any::<u64>(),
        redelivered in any::<bool>(),
        exchange in "\\PC{0,63}",
        routing_key in "\\PC{0,63}",
    ) {
        let mut short_way = BytesMut::new();
        encode::deliver(&mut short_way, &DeliverArguments {
            channel,
            consumer_tag: &consumer_tag,
            delivery_tag,
            redelivered,
            exchange: exchange.as_bytes(),
            routing_key: routing_key.as_bytes(),
        });
        let mut long_way = BytesMut::new();
        encode::method(&mut long_way, channel, BasicDeliver {
            consumer_tag: &consumer_tag,
            delivery_tag,
            redelivered,
            exchange: &exchange,
            routing_key: &routing_key,
        });
        prop_assert_eq!(short_way, long_way);
    }
}
