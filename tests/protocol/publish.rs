//! Contents: put together from whatever pieces they come in.

use bytes::{Bytes, BytesMut};
use harrier::base::limits::MESSAGE_INLINE_MAX;
use harrier::protocol::{Action, Publish};
use harrier::wire::method::{BasicAck, BasicPublish, ChannelOpen, ConfirmSelect};
use harrier::wire::{Body, FieldTable, Properties, encode};
use proptest::prelude::*;

use super::support::{
    Event, Message, PACES, Pace, Peer, body, header, header_of, method, settings,
};

/// A publish as a client sends it, its body in frames of at most `piece`.
pub fn frames_of(message: &Message, piece: usize) -> Vec<u8> {
    let publish = BasicPublish {
        ticket: 0,
        exchange: &message.exchange,
        routing_key: &message.routing_key,
        mandatory: message.mandatory,
        immediate: false,
    };
    let channel = message.channel;
    let size = message.body.len() as u64;
    let mut octets = method(channel, publish);
    octets.extend(header_of(channel, 60, 0, size, &message.properties));
    for part in message.body.chunks(piece) {
        octets.extend(body(channel, part));
    }
    octets
}

fn properties() -> Vec<u8> {
    let mut headers = FieldTable::new();
    headers.set("x-number", 7_i64);
    let properties = Properties {
        content_type: Some(b"text/plain"),
        delivery_mode: Some(2),
        ..Properties::default()
    };
    properties.with_headers(&headers).to_vec()
}

fn message(body: &[u8]) -> Message {
    Message {
        channel: 1,
        exchange: "orders".to_owned(),
        routing_key: "order.placed".to_owned(),
        mandatory: true,
        properties: properties(),
        body: body.to_vec(),
        seq: None,
        transactional: false,
    }
}

#[test]
fn a_message_is_the_same_however_it_is_cut() {
    for pace in PACES {
        for size in [0, 1, 5, MESSAGE_INLINE_MAX, MESSAGE_INLINE_MAX + 1, 200_000] {
            let sent = message(&vec![7; size]);
            for piece in [1_000, 131_064] {
                let mut peer = Peer::with_channel(pace);
                let events = peer.feed(&frames_of(&sent, piece));
                assert!(
                    events == [Event::Publish(sent.clone())],
                    "{size} in {piece}"
                );
            }
        }
    }
}

#[test]
fn empty_body_frames_are_no_harm() {
    for pace in PACES {
        let mut peer = Peer::with_channel(pace);
        let octets = [
            method(1, BasicPublish::default()),
            header(1, 2),
            body(1, b""),
            body(1, b"ab"),
        ];
        let events = peer.feed(&octets.concat());
        assert!(matches!(&events[..], [Event::Publish(message)] if message.body == b"ab"));
    }
}

#[test]
fn properties_come_raw_and_taken_apart() {
    for cut in [false, true] {
        let mut peer = Peer::with_channel(Pace::AllAtOnce);
        let octets = frames_of(&message(b"hello"), if cut { 2 } else { 5 });
        let seen = with_publish(&mut peer, &octets, |publish| {
            assert_eq!(publish.properties, properties());
            assert_eq!(publish.parsed.content_type, Some(&b"text/plain"[..]));
            assert!(publish.parsed.is_persistent());
            let headers = publish.parsed.headers_table().unwrap();
            assert_eq!(headers.get("x-number").unwrap().as_i64(), Some(7));
        });
        assert!(seen);
    }
}

/// Steps through `octets` and shows the first publish to `look`.
fn with_publish(peer: &mut Peer, octets: &[u8], look: impl FnOnce(Publish<'_>)) -> bool {
    let input = Bytes::copy_from_slice(octets);
    let mut at = 0;
    while at < input.len() {
        if let Action::Publish(publish) = peer.connection.step(&input, &mut at, &mut peer.out) {
            look(publish);
            return true;
        }
    }
    false
}

#[test]
fn small_bodies_are_borrowed_and_large_ones_shared() {
    for (size, piece, shared) in [
        (0, 1, false),
        (MESSAGE_INLINE_MAX, MESSAGE_INLINE_MAX, false),
        (MESSAGE_INLINE_MAX, 1000, false),
        (MESSAGE_INLINE_MAX + 1, 100_000, true),
        (MESSAGE_INLINE_MAX + 1, 1000, true),
    ] {
        let mut peer = Peer::with_channel(Pace::AllAtOnce);
        let octets = frames_of(&message(&vec![1; size]), piece);
        let seen = with_publish(&mut peer, &octets, |publish| {
            assert_eq!(
                matches!(publish.body, Body::Shared(_)),
                shared,
                "{size} {piece}"
            );
        });
        assert!(seen);
    }
}

#[test]
fn a_large_body_in_one_frame_is_never_copied() {
    let octets = Bytes::from(frames_of(&message(&[3; 100_000]), 131_064));
    // Once with everything in one buffer, once with the body in a buffer of its own.
    for split in [0, octets.len() - 100_008] {
        let mut peer = Peer::with_channel(Pace::AllAtOnce);
        let mut found = false;
        for input in [octets.slice(..split), octets.slice(split..)] {
            let (mut at, mut out) = (0, BytesMut::new());
            while at < input.len() {
                let action = peer.connection.step(&input, &mut at, &mut out);
                if let Action::Publish(Publish {
                    body: Body::Shared(body),
                    ..
                }) = action
                {
                    let place = octets.as_ptr_range();
                    found = place.contains(&body.as_ptr());
                }
            }
        }
        assert!(found, "split at {split}");
    }
}

#[test]
fn publishes_are_numbered_in_confirm_mode() {
    for pace in PACES {
        let mut peer = Peer::with_channel(pace);
        peer.feed(&frames_of(&message(b"before"), 10));
        peer.feed(&method(1, ConfirmSelect { nowait: true }));
        // Short way, long way, and a select between that changes nothing.
        let octets = [
            frames_of(&message(b"one"), 10),
            frames_of(&message(b"two"), 2),
            method(1, ConfirmSelect { nowait: true }),
            frames_of(&message(b"three"), 10),
        ];
        let numbers: Vec<_> = peer
            .feed(&octets.concat())
            .into_iter()
            .map(|event| match event {
                Event::Publish(message) => message.seq,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
    }
}

#[test]
fn a_message_over_the_configured_size_closes_its_channel() {
    for pace in PACES {
        let mut small = settings();
        small.message_size_max = 10;
        let mut peer = Peer::running_with(pace, small, &[]);
        peer.open_channel(1);
        let fits = frames_of(&message(&[1; 10]), 100);
        assert!(matches!(peer.feed(&fits)[..], [Event::Publish(_)]));
        let octets = frames_of(&message(&[1; 11]), 100);
        let text = "PRECONDITION_FAILED - message size 11 is larger than configured max size 10";
        peer.channel_fails_with(&octets, 406, text, (60, 40));
        let rest = [fits, method(1, BasicAck::default())].concat();
        assert_eq!(peer.feed(&rest), [], "a closed channel is deaf");
        assert_eq!(peer.sent(), [""; 0]);
    }
}

#[test]
fn contents_of_several_channels_may_alternate() {
    for pace in PACES {
        let mut peer = Peer::with_channel(pace);
        peer.open_channel(2);
        let octets = [
            method(
                1,
                BasicPublish {
                    exchange: "a",
                    ..BasicPublish::default()
                },
            ),
            method(
                2,
                BasicPublish {
                    exchange: "b",
                    ..BasicPublish::default()
                },
            ),
            header(2, 2),
            header(1, 4),
            body(1, b"on"),
            body(2, b"tw"),
            body(1, b"es"),
        ];
        let events = peer.feed(&octets.concat());
        let seen: Vec<_> = events
            .iter()
            .map(|event| match event {
                Event::Publish(message) => {
                    (message.channel, &message.exchange[..], &message.body[..])
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(seen, [(2, "b", &b"tw"[..]), (1, "a", &b"ones"[..])]);
    }
}

fn any_message() -> impl Strategy<Value = (Message, usize)> {
    let text = "[a-zé.]{0,20}";
    let body = prop::collection::vec(any::<u8>(), 0..300);
    (1_u16..4, text, text, any::<bool>(), body, 1_usize..400).prop_map(
        |(channel, exchange, routing_key, mandatory, body, piece)| {
            let message = Message {
                channel,
                exchange,
                routing_key,
                mandatory,
                properties: properties(),
                body,
                seq: None,
                transactional: false,
            };
            (message, piece)
        },
    )
}

proptest! {
    #[test]
    fn any_messages_come_through_any_read_sizes(
        messages in prop::collection::vec(any_message(), 1..20),
        reads in prop::collection::vec(1_usize..500, 1..50),
    ) {
        let mut peer = Peer::running(Pace::AllAtOnce);
        for channel in 1..4 {
            peer.feed(&method(channel, ChannelOpen::default()));
        }
        let octets: Vec<u8> = messages
            .iter()
            .flat_map(|(message, piece)| frames_of(message, *piece))
            .collect();
        let mut events = Vec::new();
        let (mut rest, mut sizes) = (&octets[..], reads.iter().cycle());
        while !rest.is_empty() {
            let size = (*sizes.next().unwrap()).min(rest.len());
            events.extend(peer.feed(&rest[..size]));
            rest = &rest[size..];
        }
        let expected: Vec<_> = messages
            .into_iter()
            .map(|(message, _)| Event::Publish(message))
            .collect();
        prop_assert_eq!(events, expected);
    }
}

#[test]
fn what_the_server_writes_can_be_read_back() {
    let mut out = BytesMut::new();
    encode::method(&mut out, 1, BasicPublish::default());
    encode::content_header(&mut out, 1, 20_000, &[0, 0]);
    encode::body(&mut out, 1, &[5; 20_000], 4096);
    for pace in PACES {
        let mut peer = Peer::with_channel(pace);
        let events = peer.feed(&out);
        assert!(matches!(&events[..], [Event::Publish(message)] if message.body == [5; 20_000]));
    }
}
