//! Confirms: in order, once, and in as few frames as possible.

use bytes::BytesMut;
use harrier::base::ids::Batch;
use harrier::wire::method::{BasicAck, BasicNack, BasicPublish, ChannelClose, ConfirmSelect};
use harrier::wire::{Refusal, ReplyCode};
use proptest::prelude::*;

use super::support::{Pace, Peer, header, method, shown};

/// A connection with these channels in confirm mode, `count` publishes on each.
fn publishing(channels: &[u16], count: usize) -> Peer {
    let mut peer = Peer::running(Pace::AllAtOnce);
    for &channel in channels {
        peer.open_channel(channel);
        peer.feed(&method(channel, ConfirmSelect { nowait: true }));
        publish(&mut peer, channel, count);
    }
    peer
}

fn publish(peer: &mut Peer, channel: u16, count: usize) {
    let one = [method(channel, BasicPublish::default()), header(channel, 0)].concat();
    assert_eq!(peer.feed(&one.repeat(count)).len(), count);
}

fn ack(channel: u16, delivery_tag: u64, multiple: bool) -> Vec<u8> {
    method(
        channel,
        BasicAck {
            delivery_tag,
            multiple,
        },
    )
}

fn nack(channel: u16, delivery_tag: u64, multiple: bool) -> Vec<u8> {
    let nack = BasicNack {
        delivery_tag,
        multiple,
        requeue: true,
    };
    method(channel, nack)
}

/// Releases up to `synced`; what is written, and what is waited for then.
fn release(peer: &mut Peer, synced: u64) -> (Vec<String>, Option<Batch>) {
    let waits = peer
        .connection
        .release_confirms(Batch(synced), &mut peer.out);
    (peer.sent(), waits)
}

fn released(frames: &[Vec<u8>], waits: Option<u64>) -> (Vec<String>, Option<Batch>) {
    (shown(&frames.concat()), waits.map(Batch))
}

#[test]
fn nothing_to_confirm_costs_nothing() {
    let mut peer = publishing(&[1], 3);
    assert_eq!(release(&mut peer, 9), released(&[], None));
}

#[test]
fn what_waits_for_nothing_is_confirmed_at_once() {
    let mut peer = publishing(&[1], 5);
    peer.connection.confirm(1, 1, None);
    assert_eq!(release(&mut peer, 0), released(&[ack(1, 1, false)], None));
    for seq in 2..=5 {
        peer.connection.confirm(1, seq, None);
    }
    assert_eq!(release(&mut peer, 0), released(&[ack(1, 5, true)], None));
    assert_eq!(release(&mut peer, 0), released(&[], None), "only once");
}

#[test]
fn a_confirm_waits_for_its_batch_and_for_those_before_it() {
    let mut peer = publishing(&[1], 6);
    for (seq, batch) in [
        (1, Some(4)),
        (2, None),
        (3, Some(5)),
        (4, Some(5)),
        (5, Some(7)),
        (6, None),
    ] {
        peer.connection.confirm(1, seq, batch.map(Batch));
    }
    assert_eq!(release(&mut peer, 3), released(&[], Some(4)));
    assert_eq!(release(&mut peer, 5), released(&[ack(1, 4, true)], Some(7)));
    assert_eq!(release(&mut peer, 6), released(&[], Some(7)));
    assert_eq!(release(&mut peer, 9), released(&[ack(1, 6, true)], None));
}

#[test]
fn a_nack_has_a_frame_of_its_own_in_its_place() {
    let mut peer = publishing(&[1], 7);
    peer.connection.confirm(1, 1, None);
    peer.connection.confirm(1, 2, Some(Batch(1)));
    peer.connection.nack(1, 3);
    peer.connection.confirm(1, 4, Some(Batch(2)));
    peer.connection.nack(1, 5);
    peer.connection.nack(1, 6);
    peer.connection.confirm(1, 7, None);
    let first = [ack(1, 2, true), nack(1, 3, false)];
    assert_eq!(release(&mut peer, 1), released(&first, Some(2)));
    let rest = [ack(1, 4, false), nack(1, 6, true), ack(1, 7, false)];
    assert_eq!(release(&mut peer, 2), released(&rest, None));
}

#[test]
fn reports_out_of_order_wait_for_those_before_them() {
    let mut peer = publishing(&[1], 4);
    peer.connection.confirm(1, 3, None);
    peer.connection.confirm(1, 2, None);
    assert_eq!(release(&mut peer, 9), released(&[], None));
    peer.connection.confirm(1, 1, Some(Batch(2)));
    assert_eq!(release(&mut peer, 1), released(&[], Some(2)));
    assert_eq!(release(&mut peer, 2), released(&[ack(1, 3, true)], None));
    peer.connection.nack(1, 3);
    peer.connection.confirm(1, 99, None);
    assert_eq!(
        release(&mut peer, 9),
        released(&[], None),
        "twice and never published"
    );
    peer.connection.confirm(1, 4, None);
    assert_eq!(release(&mut peer, 9), released(&[ack(1, 4, false)], None));
}

#[test]
fn each_channel_has_one_frame_and_the_lowest_batch_counts() {
    let mut peer = publishing(&[1, 2, 40_000], 10);
    for seq in 1..=10 {
        peer.connection.confirm(1, seq, Some(Batch(1)));
        peer.connection
            .confirm(2, seq, Some(Batch(if seq < 6 { 1 } else { 8 })));
        peer.connection.confirm(40_000, seq, Some(Batch(5)));
    }
    let frames = [ack(1, 10, true), ack(2, 5, true)];
    assert_eq!(release(&mut peer, 1), released(&frames, Some(5)));
    let frames = [ack(2, 10, true), ack(40_000, 10, true)];
    assert_eq!(release(&mut peer, 8), released(&frames, None));
}

#[test]
fn a_channel_that_is_closed_confirms_no_more() {
    let mut peer = publishing(&[1, 2], 2);
    for channel in [1, 2] {
        peer.connection.confirm(channel, 1, Some(Batch(1)));
    }
    peer.feed(&method(1, ChannelClose::default()));
    let refusal = Refusal::new(ReplyCode::NotFound, "no queue");
    peer.connection
        .close_channel(2, &refusal, (60, 40), &mut peer.out);
    peer.out.clear();
    for channel in [1, 2] {
        peer.connection.confirm(channel, 2, None);
    }
    assert_eq!(release(&mut peer, 9), released(&[], None));
    // The number opened again starts from 1.
    peer.connection.channel_close_ok(1, &mut peer.out);
    peer.open_channel(1);
    peer.feed(&method(1, ConfirmSelect { nowait: true }));
    publish(&mut peer, 1, 1);
    peer.connection.confirm(1, 1, None);
    assert_eq!(release(&mut peer, 0), released(&[ack(1, 1, false)], None));
}

#[test]
fn channels_without_confirm_mode_are_left_alone() {
    let mut peer = Peer::with_channel(Pace::AllAtOnce);
    publish(&mut peer, 1, 1);
    peer.connection.confirm(1, 1, None);
    peer.connection.nack(7, 1);
    assert_eq!(release(&mut peer, 9), released(&[], None));
}

/// The numbers an ack or nack frame settles, given those open so far.
fn settle(open: &mut Vec<u64>, settled: &mut Vec<(u64, bool)>, out: &mut BytesMut) {
    use harrier::wire::{Frame, Method};
    let octets = out.split();
    let mut rest = &octets[..];
    while let Ok(Some((frame, len))) = Frame::cut(rest, u32::MAX) {
        rest = &rest[len..];
        let (tag, multiple, good) = match Method::parse(frame.payload).unwrap() {
            Method::BasicAck(ack) => (ack.delivery_tag, ack.multiple, true),
            Method::BasicNack(nack) => (nack.delivery_tag, nack.multiple, false),
            other => panic!("{other:?}"),
        };
        let hit = |seq: u64| if multiple { seq <= tag } else { seq == tag };
        assert!(open.contains(&tag), "{tag} is settled once");
        settled.extend(open.iter().filter(|seq| hit(**seq)).map(|seq| (*seq, good)));
        open.retain(|seq| !hit(*seq));
    }
}

proptest! {
    /// Whatever the order of reports and syncs: every publish is settled once,
    /// as reported, and never before its batch is on disk.
    #[test]
    fn each_publish_is_settled_once_and_not_too_early(
        fates in prop::collection::vec((any::<bool>(), 0_u64..3), 1..60),
        keys in prop::collection::vec(any::<u32>(), 60),
        every in 1_usize..8,
    ) {
        let count = fates.len();
        let mut peer = publishing(&[1], count);
        let mut batch = 0;
        let batches: Vec<u64> = fates.iter().map(|(_, step)| { batch += step; batch }).collect();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|at| (at / 5, keys[*at]));
        let (mut open, mut settled) = ((1..=count as u64).collect(), Vec::new());
        for (done, at) in order.into_iter().enumerate() {
            let seq = at as u64 + 1;
            match fates[at].0 {
                true => peer.connection.confirm(1, seq, Some(Batch(batches[at]))),
                false => peer.connection.nack(1, seq),
            }
            if done % every == 0 {
                let synced = batches[at].saturating_sub(1);
                peer.connection.release_confirms(Batch(synced), &mut peer.out);
                let before = settled.len();
                settle(&mut open, &mut settled, &mut peer.out);
                for (seq, good) in &settled[before..] {
                    prop_assert!(!good || batches[*seq as usize - 1] <= synced);
                }
            }
        }
        prop_assert_eq!(peer.connection.release_confirms(Batch(batch), &mut peer.out), None);
        settle(&mut open, &mut settled, &mut peer.out);
        let expected: Vec<_> = (1..).zip(fates.iter().map(|fate| fate.0)).collect();
        prop_assert_eq!(settled, expected, "in order");
    }
}
