//! A client that sends anything, and a server that grants whatever is asked.
//!
//! Each input is sent twice: all at once, and in small pieces. How the network
//! cuts a stream must not show: actions and replies have to be the same.

use bytes::{Bytes, BytesMut};
use harrier::base::ids::Batch;
use harrier::protocol::{Action, Connection, Publish, Settings};
use harrier::wire::encode::{self, PROTOCOL_HEADER};
use harrier::wire::method::{ConnectionOpen, ConnectionStartOk, ConnectionTuneOk};
use harrier::wire::parse::LongStr;
use harrier::wire::{FieldTable, FieldValue, Frame, FrameKind, Method};

/// Octets a read brings when the stream comes in pieces.
const PIECE: usize = 5;

/// A stream from its first octet.
pub fn handshake(octets: &[u8]) {
    send(octets);
}

/// A stream after a handshake that went well. The input is a row of frames:
/// an octet for kind and channel, one for the payload's length, the payload.
pub fn protocol(octets: &[u8]) {
    let mut stream = good_handshake();
    let mut rest = octets;
    while let [kind_and_channel, len, after @ ..] = rest {
        let (payload, after) = after.split_at(after.len().min(usize::from(*len)));
        put_frame(&mut stream, *kind_and_channel, payload);
        rest = after;
    }
    send(&stream);
}

fn good_handshake() -> BytesMut {
    let mut stream = BytesMut::from(&PROTOCOL_HEADER[..]);
    let capability = |name| (name, FieldValue::Bool(true));
    let capabilities = ["basic.nack", "consumer_cancel_notify", "connection.blocked"];
    let capabilities = FieldTable::from_iter(capabilities.map(capability));
    let client_properties =
        FieldTable::from_iter([("capabilities", FieldValue::Table(capabilities))]);
    let start_ok = ConnectionStartOk {
        client_properties,
        mechanism: "PLAIN",
        response: LongStr(b"\0guest\0guest"),
        locale: "en_US",
    };
    let tune_ok = ConnectionTuneOk {
        channel_max: 16,
        frame_max: 8192,
        heartbeat: 0,
    };
    let open = ConnectionOpen {
        virtual_host: "/",
        ..ConnectionOpen::default()
    };
    encode::method(&mut stream, 0, start_ok);
    encode::method(&mut stream, 0, tune_ok);
    encode::method(&mut stream, 0, open);
    stream
}

/// Appends a frame; one in eight is not framed at all.
fn put_frame(stream: &mut BytesMut, kind_and_channel: u8, payload: &[u8]) {
    let channel = [0, kind_and_channel >> 3];
    let kind = match kind_and_channel & 7 {
        0..=2 => 1,
        3..=4 => 2,
        5 => 3,
        6 => 8,
        _ => return stream.extend_from_slice(payload),
    };
    let len = (payload.len() as u32).to_be_bytes();
    stream.extend_from_slice(&[kind]);
    stream.extend_from_slice(&channel);
    stream.extend_from_slice(&len);
    stream.extend_from_slice(payload);
    stream.extend_from_slice(&[0xCE]);
}

fn send(stream: &[u8]) {
    let at_once = Server::served(stream.chunks(stream.len().max(1)));
    let in_pieces = Server::served(stream.chunks(PIECE));
    assert_eq!(at_once.seen, in_pieces.seen, "actions");
    assert_eq!(at_once.sent, in_pieces.sent, "replies");
    assert_well_formed(&at_once.sent);
}

/// What is sent has to be frames, and methods of the grammar in them.
fn assert_well_formed(mut sent: &[u8]) {
    if let Some(rest) = sent.strip_prefix(b"AMQP") {
        assert!(rest.len() == 4 && sent == PROTOCOL_HEADER);
        return;
    }
    while !sent.is_empty() {
        let cut = Frame::cut(sent, u32::MAX).expect("a frame");
        let (frame, len) = cut.expect("a whole frame");
        assert_eq!(frame.kind, FrameKind::Method);
        Method::parse(frame.payload).expect("a method");
        sent = &sent[len..];
    }
}

/// The connection's other side.
struct Server {
    connection: Connection,
    /// Each action that asked for something, as it prints.
    seen: Vec<String>,
    sent: BytesMut,
    over: bool,
}

/// What is to be called back once an action is no longer borrowed.
enum Reply {
    None,
    Authenticated,
    Opened,
    ChannelClosed(u16),
    Closed,
    SecretUpdated,
    Confirmed(u16, u64),
    Over,
}

impl Server {
    fn served<'a>(reads: impl Iterator<Item = &'a [u8]>) -> Self {
        let settings = Settings {
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: 60,
            mechanisms: "PLAIN AMQPLAIN ANONYMOUS".to_owned(),
            server_properties: FieldTable::new(),
            message_size_max: 100_000,
        };
        let mut server = Self {
            connection: Connection::new(settings),
            seen: Vec::new(),
            sent: BytesMut::new(),
            over: false,
        };
        let mut buffered = BytesMut::new();
        for read in reads {
            buffered.extend_from_slice(read);
            server.read(&mut buffered);
        }
        server
    }

    fn read(&mut self, buffered: &mut BytesMut) {
        while !self.over {
            let ready = self.connection.ready_len(buffered);
            assert!(ready <= buffered.len());
            if ready == 0 {
                assert!(self.connection.wanted_len(buffered) > buffered.len());
                return;
            }
            let input = buffered.split_to(ready).freeze();
            let mut at = 0;
            while at < input.len() && !self.over {
                let before = at;
                self.step(&input, &mut at);
                assert!(before < at && at <= input.len(), "a step goes on");
            }
        }
    }

    fn step(&mut self, input: &Bytes, at: &mut usize) {
        let action = self.connection.step(input, at, &mut self.sent);
        if !matches!(action, Action::Continue) {
            self.seen.push(format!("{action:?}"));
        }
        let reply = match action {
            Action::Authenticate { .. } => Reply::Authenticated,
            Action::Open { .. } => Reply::Opened,
            Action::CloseChannel(channel) => Reply::ChannelClosed(channel),
            Action::CloseConnection => Reply::Closed,
            Action::UpdateSecret { .. } => Reply::SecretUpdated,
            Action::Drop { .. } | Action::Finished => Reply::Over,
            Action::Publish(Publish {
                channel,
                seq: Some(seq),
                ..
            }) => Reply::Confirmed(channel, seq),
            _ => Reply::None,
        };
        self.reply(reply);
    }

    fn reply(&mut self, reply: Reply) {
        let out = &mut self.sent;
        match reply {
            Reply::None => {}
            Reply::Authenticated => self.connection.authenticated(out),
            Reply::Opened => self.connection.opened(out),
            Reply::ChannelClosed(channel) => self.connection.channel_close_ok(channel, out),
            Reply::SecretUpdated => self.connection.secret_updated(out),
            Reply::Confirmed(channel, seq) => {
                self.connection.confirm(channel, seq, None);
                self.connection.release_confirms(Batch(0), out);
            }
            Reply::Closed => {
                self.connection.close_ok(out);
                self.over = true;
            }
            Reply::Over => self.over = true,
        }
    }
}

#[test]
fn the_handshake_goes_well() {
    let stream = good_handshake();
    let server = Server::served([&stream[..]].into_iter());
    assert_eq!(server.connection.state(), harrier::protocol::Phase::Running);
}
