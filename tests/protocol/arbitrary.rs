//! Anything at all, in any pieces: nothing panics, nothing grows.

use bytes::{Bytes, BytesMut};
use harrier::base::clock::Now;
use harrier::base::ids::Batch;
use harrier::protocol::{Action, Connection, Phase};
use harrier::wire::method::{
    BasicAck, BasicConsume, BasicGet, BasicNack, BasicPublish, ChannelClose, ChannelCloseOk,
    ChannelFlow, ChannelOpen, ConfirmSelect, ConnectionClose, ConnectionCloseOk, QueueBind,
    QueueDeclare, TxCommit, TxSelect,
};
use harrier::wire::{FieldTable, Refusal, ReplyCode};
use proptest::prelude::*;

use super::allocations;
use super::support::{
    HEADER, Pace, Peer, body, frame, header, header_of, method, open, raw_method, settings,
    start_ok, tune_ok,
};

/// More than any of these exchanges may leave behind.
const LEFT_MAX: isize = 256 * 1024;

/// The server's part of an exchange: whatever is asked for is done.
fn serve(connection: &mut Connection, input: &Bytes, out: &mut BytesMut) {
    let mut at = 0;
    while at < input.len() {
        let before = at;
        enum Then {
            Nothing,
            Authenticated,
            Opened,
            ChannelClosed(u16),
            Closed,
            Confirm(u16, u64),
            Refuse(u16),
        }
        let then = match connection.step(input, &mut at, out) {
            Action::Authenticate { .. } => Then::Authenticated,
            Action::Open { .. } => Then::Opened,
            Action::CloseChannel(channel) => Then::ChannelClosed(channel),
            Action::CloseConnection => Then::Closed,
            Action::Publish(publish) => match publish.seq {
                Some(seq) => Then::Confirm(publish.channel, seq),
                None => Then::Nothing,
            },
            Action::Method { channel, .. } if channel % 3 == 0 => Then::Refuse(channel),
            _ => Then::Nothing,
        };
        match then {
            Then::Nothing => {}
            Then::Authenticated => connection.authenticated(out),
            Then::Opened => connection.opened(out),
            Then::ChannelClosed(channel) => connection.channel_close_ok(channel, out),
            Then::Closed => connection.close_ok(out),
            Then::Confirm(channel, seq) => connection.confirm(channel, seq, Some(Batch(seq))),
            Then::Refuse(channel) => {
                let refusal = Refusal::new(ReplyCode::NotFound, "it");
                connection.close_channel(channel, &refusal, (50, 10), out);
            }
        }
        assert!(at > before && at <= input.len());
    }
}

/// Lets `octets` arrive in pieces of these sizes.
fn drive(connection: &mut Connection, octets: &[u8], sizes: &[usize]) {
    let mut buffered = BytesMut::new();
    let mut out = BytesMut::new();
    let (mut rest, mut sizes) = (octets, sizes.iter().cycle());
    while !rest.is_empty() {
        let (piece, left) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        rest = left;
        buffered.extend_from_slice(piece);
        loop {
            let ready = connection.ready_len(&buffered);
            assert!(ready <= buffered.len());
            if ready == 0 {
                break;
            }
            serve(connection, &buffered.split_to(ready).freeze(), &mut out);
        }
        assert!(connection.wanted_len(&buffered) <= 2 * buffered.len() + 131_080);
        connection.release_confirms(Batch(1 << 20), &mut out);
        connection.tick(Now::at_ms(1), false, true, &mut out);
        out.clear();
    }
}

/// A frame that could be right at some moment.
fn some_frame() -> impl Strategy<Value = Vec<u8>> {
    let channel = prop_oneof![8 => 1_u16..5, 1 => Just(0), 1 => any::<u16>()];
    let payload = prop::collection::vec(any::<u8>(), 0..40);
    (channel, 0..26_u8, payload, any::<u16>()).prop_map(|(channel, which, payload, number)| {
        let nowait = number % 2 == 0;
        match which {
            0..=3 => method(channel, ChannelOpen::default()),
            4 => method(channel, ChannelClose::default()),
            5 => method(channel, ChannelCloseOk {}),
            6 => method(channel, ChannelFlow { active: nowait }),
            7 => method(channel, ConfirmSelect { nowait }),
            8 => method(channel, TxSelect {}),
            9 => method(channel, TxCommit {}),
            10 => method(
                channel,
                BasicConsume {
                    queue: "a\r\nb",
                    ..BasicConsume::default()
                },
            ),
            11 => method(channel, BasicGet::default()),
            12 => method(
                channel,
                BasicAck {
                    delivery_tag: number.into(),
                    multiple: nowait,
                },
            ),
            13 => method(channel, BasicNack::default()),
            14 => method(
                channel,
                QueueDeclare {
                    queue: "q",
                    ..QueueDeclare::default()
                },
            ),
            15 => method(channel, QueueBind::default()),
            16 | 17 => method(
                channel,
                BasicPublish {
                    immediate: number % 50 == 0,
                    ..BasicPublish::default()
                },
            ),
            18 => header(channel, u64::from(number % 20)),
            19 => header_of(channel, 60, 0, payload.len() as u64, &payload),
            20 => body(channel, &payload),
            21 => whole_publish(channel, &payload),
            22 => frame(8, 0, b""),
            23 => raw_method(channel, number / 256 % 100, number % 256, &payload),
            24 => frame((number % 9) as u8, channel, &payload),
            _ if number % 20 == 0 => method(0, ConnectionClose::default()),
            _ if number % 20 == 1 => method(0, ConnectionCloseOk {}),
            _ => whole_publish(channel, &payload),
        }
    })
}

fn whole_publish(channel: u16, octets: &[u8]) -> Vec<u8> {
    let mut frames = method(channel, BasicPublish::default());
    frames.extend(header(channel, octets.len() as u64));
    if !octets.is_empty() {
        frames.extend(body(channel, octets));
    }
    frames
}

fn read_sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1_usize..200, 1..20)
}

proptest! {
    #[test]
    fn any_octets_are_survived(
        stage in 0..4_usize,
        octets in prop::collection::vec(any::<u8>(), 0..2000),
        sizes in read_sizes(),
    ) {
        let before = allocations::live();
        let mut peer = match stage {
            0 => Peer::new(Pace::AllAtOnce, settings()),
            1 => Peer::starting(Pace::AllAtOnce, settings()),
            2 => Peer::tuning(Pace::AllAtOnce, settings(), &[]),
            _ => Peer::with_channel(Pace::AllAtOnce),
        };
        drive(&mut peer.connection, &octets, &sizes);
        prop_assert!(allocations::live() - before < LEFT_MAX);
    }

    #[test]
    fn any_frames_are_survived(
        frames in prop::collection::vec(some_frame(), 0..200),
        sizes in read_sizes(),
    ) {
        let before = allocations::live();
        let mut peer = Peer::with_channel(Pace::AllAtOnce);
        drive(&mut peer.connection, &frames.concat(), &sizes);
        prop_assert!(allocations::live() - before < LEFT_MAX);
    }

    /// A whole conversation with some of its octets changed.
    #[test]
    fn damaged_conversations_are_survived(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        sizes in read_sizes(),
    ) {
        let mut octets = [
            HEADER.to_vec(),
            start_ok("AMQPLAIN", b"\x05LOGINS\0\0\0\x01a\x08PASSWORDS\0\0\0\x01b", &["basic.nack"]),
            tune_ok(0, 0, 0),
            open("/"),
            method(1, ChannelOpen::default()),
            method(1, ConfirmSelect { nowait: false }),
            whole_publish(1, b"hello"),
            whole_publish(1, b""),
            method(1, ChannelClose::default()),
            method(0, ConnectionClose::default()),
        ]
        .concat();
        let intact = changes.is_empty();
        for (at, value) in changes {
            *at.get_mut(&mut octets) = value;
        }
        let mut connection = Connection::new(settings());
        drive(&mut connection, &octets, &sizes);
        prop_assert!(!intact || connection.state() == Phase::Closing);
    }

    /// Looking a table through finds what taking it apart finds.
    #[test]
    fn tables_are_checked_as_they_are_parsed(octets in table_like()) {
        let parsed = FieldTable::parse_entries(&octets).map(|_| ());
        prop_assert_eq!(FieldTable::check_entries(&octets), parsed);
    }
}

/// Octets that often are a table: entries with a tag and about enough after it.
fn table_like() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop::sample::select(b"tbBsuIilLdfDTSxFAVZ".to_vec());
    let entry = (tag, prop::collection::vec(any::<u8>(), 0..10)).prop_map(|(tag, rest)| {
        let mut entry = vec![1, b'k', tag];
        match tag {
            b'S' | b'x' | b'F' | b'A' => {
                entry.extend((rest.len() as u32).to_be_bytes());
                entry.extend(&rest);
            }
            b't' | b'b' | b'B' => entry.push(1),
            b's' | b'u' => entry.extend([0; 2]),
            b'I' | b'i' | b'f' => entry.extend([0; 4]),
            b'V' => {}
            _ => entry.extend(&rest),
        }
        entry
    });
    prop::collection::vec(entry, 0..6).prop_map(|entries| entries.concat())
}

#[test]
fn tables_nest_only_so_deep() {
    for (depth, fits) in [(1, true), (60, true), (63, true), (64, false), (70, false)] {
        for tag in [b'F', b'A'] {
            let mut octets = Vec::new();
            for level in 0..depth {
                let mut outer = if tag == b'F' || level + 1 == depth {
                    vec![1, b'k', tag]
                } else {
                    vec![tag]
                };
                outer.extend((octets.len() as u32).to_be_bytes());
                outer.extend(&octets);
                octets = outer;
            }
            assert_eq!(
                FieldTable::check_entries(&octets).is_ok(),
                fits,
                "{depth} {tag}"
            );
            assert_eq!(
                FieldTable::parse_entries(&octets).is_ok(),
                fits,
                "{depth} {tag}"
            );
        }
    }
}
