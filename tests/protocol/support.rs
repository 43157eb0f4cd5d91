//! A client and the server's side of the loop, both within the test.

use bytes::{Bytes, BytesMut};
use harrier::base::limits;
use harrier::protocol::{Action, Connection, Login, Phase, Settings, Settle};
use harrier::wire::frame::HEAD_LEN;
use harrier::wire::method::{
    ChannelClose, ChannelOpen, ConnectionClose, ConnectionOpen, ConnectionStartOk, ConnectionTuneOk,
};
use harrier::wire::parse::LongStr;
use harrier::wire::{Body, FieldTable, FieldValue, Frame, FrameKind, Method, encode};

/// The protocol header of AMQP 0-9-1.
pub const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// How octets arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    AllAtOnce,
    OneByOne,
}

/// Both paces, to run a test with each.
pub const PACES: [Pace; 2] = [Pace::AllAtOnce, Pace::OneByOne];

/// An action, owned.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Authenticate(&'static str, Option<(String, Vec<u8>)>),
    Anonymous,
    Open(String),
    OpenChannel(u16),
    CloseChannel(u16),
    ChannelFailed(u16),
    CloseConnection,
    Failed,
    Drop {
        delay: bool,
    },
    Finished,
    UpdateSecret(Vec<u8>, String),
    /// The channel and the method as it would be written.
    Method(u16, Vec<u8>),
    Settle(u16, Settle),
    Publish(Message),
}

/// A publish, owned.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message {
    pub channel: u16,
    pub exchange: String,
    pub routing_key: String,
    pub mandatory: bool,
    pub properties: Vec<u8>,
    pub body: Vec<u8>,
    pub seq: Option<u64>,
    pub transactional: bool,
}

impl Event {
    fn of(action: Action<'_>) -> Option<Self> {
        Some(match action {
            Action::Continue => return None,
            Action::Authenticate { mechanism, login } => match login {
                Login::Plain { user, password } => {
                    Self::Authenticate(mechanism, Some((user.to_owned(), password.to_vec())))
                }
                Login::External => Self::Authenticate(mechanism, None),
                Login::Anonymous => Self::Anonymous,
            },
            Action::Open { vhost } => Self::Open(vhost.to_owned()),
            Action::OpenChannel(channel) => Self::OpenChannel(channel),
            Action::CloseChannel(channel) => Self::CloseChannel(channel),
            Action::ChannelFailed { channel } => Self::ChannelFailed(channel),
            Action::CloseConnection => Self::CloseConnection,
            Action::Failed => Self::Failed,
            Action::Drop { delay } => Self::Drop { delay },
            Action::Finished => Self::Finished,
            Action::UpdateSecret { secret, reason } => {
                Self::UpdateSecret(secret.to_vec(), reason.to_owned())
            }
            Action::Method { channel, method } => Self::method(channel, method),
            Action::Settle { channel, settle } => Self::Settle(channel, settle),
            Action::Publish(publish) => Self::Publish(Message {
                channel: publish.channel,
                exchange: publish.exchange.as_str().to_owned(),
                routing_key: publish.routing_key.as_str().to_owned(),
                mandatory: publish.mandatory,
                properties: publish.properties.to_vec(),
                body: match publish.body {
                    Body::Borrowed(octets) => octets.to_vec(),
                    Body::Shared(octets) => octets.to_vec(),
                },
                seq: publish.seq,
                transactional: publish.transactional,
            }),
        })
    }

    /// The event of a method that goes on to the broker.
    pub fn method<'a>(channel: u16, method: impl Into<Method<'a>>) -> Self {
        let mut payload = BytesMut::new();
        method.into().put(&mut payload);
        Self::Method(channel, payload.to_vec())
    }
}

/// A connection under test, with what came in and what goes out.
pub struct Peer {
    pub connection: Connection,
    pub out: BytesMut,
    buffered: BytesMut,
    pace: Pace,
}

/// Settings as the server has them by default.
pub fn settings() -> Settings {
    Settings {
        channel_max: limits::CHANNEL_MAX,
        frame_max: limits::FRAME_MAX,
        heartbeat: limits::HEARTBEAT_SECS,
        mechanisms: "PLAIN AMQPLAIN".to_owned(),
        server_properties: FieldTable::from_iter([("product", FieldValue::str("Harrier"))]),
        message_size_max: limits::MESSAGE_SIZE_MAX,
    }
}

impl Peer {
    /// A connection just accepted.
    pub fn new(pace: Pace, settings: Settings) -> Self {
        Self {
            connection: Connection::new(settings),
            out: BytesMut::new(),
            buffered: BytesMut::new(),
            pace,
        }
    }

    /// A connection that waits for `start-ok`.
    pub fn starting(pace: Pace, settings: Settings) -> Self {
        let mut peer = Self::new(pace, settings);
        assert_eq!(peer.feed(HEADER), []);
        peer.out.clear();
        peer
    }

    /// A connection that waits for `tune-ok`.
    pub fn tuning(pace: Pace, settings: Settings, capabilities: &[&str]) -> Self {
        let mut peer = Self::starting(pace, settings);
        peer.feed(&start_ok("PLAIN", b"\0guest\0guest", capabilities));
        peer.connection.authenticated(&mut peer.out);
        peer.out.clear();
        peer
    }

    /// A connection that runs, tuned to what `settings` propose.
    pub fn running_with(pace: Pace, settings: Settings, capabilities: &[&str]) -> Self {
        let tune_ok = tune_ok(settings.channel_max, settings.frame_max, settings.heartbeat);
        let mut peer = Self::tuning(pace, settings, capabilities);
        assert_eq!(peer.feed(&tune_ok), []);
        assert_eq!(peer.feed(&open("/")), [Event::Open("/".to_owned())]);
        peer.connection.opened(&mut peer.out);
        assert_eq!(peer.connection.state(), Phase::Running);
        peer.out.clear();
        peer
    }

    /// A connection that runs.
    pub fn running(pace: Pace) -> Self {
        Self::running_with(pace, settings(), &[])
    }

    /// A running connection with channel 1 open.
    pub fn with_channel(pace: Pace) -> Self {
        let mut peer = Self::running(pace);
        peer.open_channel(1);
        peer
    }

    /// Opens a channel.
    pub fn open_channel(&mut self, channel: u16) {
        let events = self.feed(&method(channel, ChannelOpen { out_of_band: "" }));
        assert_eq!(events, [Event::OpenChannel(channel)]);
        self.out.clear();
    }

    /// Lets octets arrive, and does with them what the server does.
    pub fn feed(&mut self, octets: &[u8]) -> Vec<Event> {
        let piece = match self.pace {
            Pace::AllAtOnce => octets.len().max(1),
            Pace::OneByOne => 1,
        };
        let mut events = Vec::new();
        for arrived in octets.chunks(piece) {
            self.buffered.extend_from_slice(arrived);
            self.work(&mut events);
        }
        events
    }

    fn work(&mut self, events: &mut Vec<Event>) {
        loop {
            let ready = self.connection.ready_len(&self.buffered);
            if ready == 0 {
                return;
            }
            let input: Bytes = self.buffered.split_to(ready).freeze();
            let mut at = 0;
            while at < input.len() {
                let before = at;
                events.extend(Event::of(self.connection.step(
                    &input,
                    &mut at,
                    &mut self.out,
                )));
                assert!(at > before, "ready units are worked on");
            }
        }
    }

    /// What was sent since the last call, readable.
    pub fn sent(&mut self) -> Vec<String> {
        shown(&self.out.split())
    }

    /// Feeds octets that break a rule of the connection: it fails with this
    /// close and is over with the close-ok.
    pub fn fails_with(&mut self, octets: &[u8], code: u16, text: &str, ids: (u16, u16)) {
        assert_eq!(self.feed(octets), [Event::Failed], "{text}");
        assert_eq!(self.sent(), shown(&closes_connection(code, text, ids)));
        assert_eq!(self.connection.failure(), Some(text));
        assert_eq!(self.connection.state(), Phase::Closing);
    }

    /// Feeds octets that break a rule of channel 1: it fails with this close.
    pub fn channel_fails_with(&mut self, octets: &[u8], code: u16, text: &str, ids: (u16, u16)) {
        assert_eq!(self.feed(octets), [Event::ChannelFailed(1)], "{text}");
        assert_eq!(self.sent(), shown(&closes_channel(1, code, text, ids)));
        assert_eq!(self.connection.failure(), Some(text));
    }
}

/// Frames in readable form, for comparison and for what a failed one prints.
pub fn shown(mut octets: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    while let Ok(Some((frame, len))) = Frame::cut(octets, u32::MAX) {
        octets = &octets[len..];
        let channel = frame.channel;
        frames.push(match frame.kind {
            FrameKind::Method => format!("{channel}: {:?}", Method::parse(frame.payload)),
            kind => format!("{channel}: {kind:?} {:?}", frame.payload),
        });
    }
    if !octets.is_empty() {
        frames.push(format!("{:?}", octets.escape_ascii().to_string()));
    }
    frames
}

/// A method frame.
pub fn method<'a>(channel: u16, method: impl Into<Method<'a>>) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode::method(&mut out, channel, method);
    out.to_vec()
}

/// A frame of any type octet.
pub fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(channel.to_be_bytes());
    out.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    out.extend(payload);
    out.push(0xCE);
    assert_eq!(out.len(), HEAD_LEN + payload.len() + 1);
    out
}

/// A method frame from ids and raw arguments.
pub fn raw_method(channel: u16, class: u16, id: u16, arguments: &[u8]) -> Vec<u8> {
    let payload = [&class.to_be_bytes(), &id.to_be_bytes(), arguments].concat();
    frame(1, channel, &payload)
}

/// A header frame of the basic class without properties.
pub fn header(channel: u16, body_size: u64) -> Vec<u8> {
    header_of(channel, 60, 0, body_size, &[0, 0])
}

/// A header frame with everything given.
pub fn header_of(channel: u16, class: u16, weight: u16, size: u64, properties: &[u8]) -> Vec<u8> {
    let payload = [
        &class.to_be_bytes()[..],
        &weight.to_be_bytes(),
        &size.to_be_bytes(),
        properties,
    ];
    frame(2, channel, &payload.concat())
}

/// A body frame.
pub fn body(channel: u16, octets: &[u8]) -> Vec<u8> {
    frame(3, channel, octets)
}

/// `start-ok` from a client with these capabilities.
pub fn start_ok(mechanism: &str, response: &[u8], capabilities: &[&str]) -> Vec<u8> {
    let mut table = FieldTable::new();
    for name in capabilities {
        table.set(name, true);
    }
    let mut client_properties = FieldTable::new();
    client_properties.set("capabilities", table);
    client_properties.set("connection_name", "a test");
    method(
        0,
        ConnectionStartOk {
            client_properties,
            mechanism,
            response: LongStr(response),
            locale: "en_US",
        },
    )
}

/// `tune-ok`.
pub fn tune_ok(channel_max: u16, frame_max: u32, heartbeat: u16) -> Vec<u8> {
    method(
        0,
        ConnectionTuneOk {
            channel_max,
            frame_max,
            heartbeat,
        },
    )
}

/// `connection.open`.
pub fn open(virtual_host: &str) -> Vec<u8> {
    method(
        0,
        ConnectionOpen {
            virtual_host,
            capabilities: "",
            insist: false,
        },
    )
}

/// `connection.close`.
pub fn closes_connection(code: u16, text: &str, ids: (u16, u16)) -> Vec<u8> {
    method(
        0,
        ConnectionClose {
            reply_code: code,
            reply_text: text,
            class_id: ids.0,
            method_id: ids.1,
        },
    )
}

/// `channel.close`.
pub fn closes_channel(channel: u16, code: u16, text: &str, ids: (u16, u16)) -> Vec<u8> {
    method(
        channel,
        ChannelClose {
            reply_code: code,
            reply_text: text,
            class_id: ids.0,
            method_id: ids.1,
        },
    )
}
