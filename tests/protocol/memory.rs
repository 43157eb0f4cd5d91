//! What comes most allocates nothing, and what a client announces costs nothing.

use bytes::{Bytes, BytesMut};
use harrier::base::ids::Batch;
use harrier::protocol::Action;
use harrier::wire::method::{BasicAck, BasicPublish, ConfirmSelect};

use super::allocations;
use super::publish::frames_of;
use super::support::{Event, Message, Pace, Peer, body, header, method, settings};

/// Octets that no test below may keep.
const LITTLE: isize = 64 * 1024;

#[test]
fn publishes_acks_and_confirms_allocate_nothing() {
    let mut peer = Peer::with_channel(Pace::AllAtOnce);
    peer.feed(&method(1, ConfirmSelect { nowait: true }));
    let message = Message {
        channel: 1,
        exchange: "orders".to_owned(),
        routing_key: "order.placed".to_owned(),
        properties: vec![0x10, 0, 2],
        body: vec![7; 1024],
        ..Message::default()
    };
    let mut octets = frames_of(&message, 4096).repeat(100);
    octets.extend(method(1, BasicAck::default()).repeat(100));
    let input = Bytes::from(octets);
    let mut out = BytesMut::with_capacity(4096);
    let mut counts = Vec::new();
    for round in 1..=3 {
        let before = allocations::count();
        let (mut at, mut publishes, mut settles) = (0, 0, 0);
        assert_eq!(peer.connection.ready_len(&input), input.len());
        while at < input.len() {
            let seq = match peer.connection.step(&input, &mut at, &mut out) {
                Action::Publish(publish) => publish.seq,
                Action::Settle { .. } => {
                    settles += 1;
                    continue;
                }
                other => panic!("{other:?}"),
            };
            publishes += 1;
            peer.connection.confirm(1, seq.unwrap(), Some(Batch(round)));
        }
        peer.connection.release_confirms(Batch(round), &mut out);
        assert_eq!((publishes, settles), (100, 100));
        assert_eq!(out.len(), 21, "one ack for all");
        out.clear();
        counts.push(allocations::count() - before);
    }
    assert_eq!(
        counts[1..],
        [0, 0],
        "after the first round there is room for everything"
    );
}

#[test]
fn a_body_costs_what_came_of_it() {
    let mut generous = settings();
    generous.message_size_max = u64::MAX;
    let mut peer = Peer::running_with(Pace::AllAtOnce, generous, &[]);
    peer.open_channel(1);
    let before = allocations::live();
    let announced = [method(1, BasicPublish::default()), header(1, 536_870_912)].concat();
    assert_eq!(peer.feed(&announced), []);
    assert_eq!(peer.feed(&body(1, &[0; 1000])), []);
    assert!(allocations::live() - before < LITTLE);

    // Over the configured size nothing at all is kept.
    let mut peer = Peer::with_channel(Pace::AllAtOnce);
    let before = allocations::live();
    let announced = [method(1, BasicPublish::default()), header(1, 16_777_217)].concat();
    assert_eq!(peer.feed(&announced), [Event::ChannelFailed(1)]);
    for _ in 0..200 {
        peer.feed(&body(1, &[0; 100_000]));
    }
    assert!(
        allocations::live() - before < 4 * LITTLE,
        "only the read buffer is left"
    );
}

#[test]
fn a_channel_costs_the_same_whatever_its_number() {
    let mut peer = Peer::running(Pace::AllAtOnce);
    let before = allocations::live();
    peer.open_channel(65_535);
    assert!(allocations::live() - before < LITTLE);
}

#[test]
fn no_more_room_is_wanted_than_a_frame_may_take() {
    let mut unlimited = settings();
    unlimited.frame_max = 0;
    let peer = Peer::running_with(Pace::AllAtOnce, unlimited, &[]);
    let head = [3, 0, 1, 0x10, 0, 0, 0];
    let wanted = peer.connection.wanted_len(&head);
    assert!(wanted <= 131_080, "{wanted}: nothing has come of it yet");
    let mut buffered = head.to_vec();
    buffered.resize(1_000_000, 0);
    let wanted = peer.connection.wanted_len(&buffered);
    assert_eq!(wanted, 2_000_000, "twice what has come");

    let peer = Peer::running(Pace::AllAtOnce);
    assert_eq!(peer.connection.wanted_len(&[]), 8);
    assert_eq!(peer.connection.wanted_len(&body(1, &[0; 5000])[..20]), 5008);
    let whole = body(1, b"abc");
    assert_eq!(peer.connection.ready_len(&whole), whole.len());
    let two = [whole.clone(), body(1, &[0; 300])].concat();
    assert_eq!(peer.connection.ready_len(&two[..60]), whole.len());
    assert_eq!(peer.connection.wanted_len(&two[..60]), 308);
    let oversized = [3, 0, 1, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(
        peer.connection.ready_len(&oversized),
        7,
        "an error is ready at once"
    );
}
