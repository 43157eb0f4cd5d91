//! A small blocking client on the crate's own wire layer.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use bytes::BytesMut;
use harrier::wire::frame::ContentHeader;
use harrier::wire::method::*;
use harrier::wire::parse::LongStr;
use harrier::wire::{FieldTable, Frame, FrameKind, Method, Properties, encode};

use crate::transport::Transport;

/// What a client announces to understand, unless a test says otherwise.
pub const CAPABILITIES: &[&str] = &[
    "publisher_confirms",
    "consumer_cancel_notify",
    "connection.blocked",
    "basic.nack",
    "authentication_failure_close",
];

/// Properties of a persistent message, raw.
pub const PERSISTENT: &[u8] = &[0x10, 0, 2];
/// No properties, raw.
pub const TRANSIENT: &[u8] = &[0, 0];

/// How a client wants its connection.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    pub frame_max: u32,
    /// Seconds; 0 for none.
    pub heartbeat: u16,
    pub capabilities: &'a [&'a str],
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            frame_max: 131_072,
            heartbeat: 0,
            capabilities: CAPABILITIES,
        }
    }
}

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    pub exchange: String,
    pub routing_key: String,
    pub properties: Vec<u8>,
    pub body: Vec<u8>,
}

/// What the broker says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Deliver {
        channel: u16,
        consumer: String,
        tag: u64,
        redelivered: bool,
        message: Message,
    },
    Got {
        tag: u64,
        redelivered: bool,
        remaining: u32,
        message: Message,
    },
    Returned {
        channel: u16,
        code: u16,
        text: String,
        message: Message,
    },
    Ack {
        channel: u16,
        tag: u64,
        multiple: bool,
    },
    ConsumeOk(u16, String),
    Cancel(u16, String),
    CancelOk(u16, String),
    Declared {
        channel: u16,
        queue: String,
        messages: u32,
        consumers: u32,
    },
    Deleted(u16, u32),
    Purged(u16, u32),
    ChannelClosed(u16, u16, String),
    Closed(u16, String),
    Blocked(String),
    Heartbeat,
    /// Any other method, by class and method id.
    Other(u16, (u16, u16)),
    HungUp,
}

/// A client's end of a connection.
pub struct Client {
    stream: Transport,
    input: BytesMut,
    out: BytesMut,
    frame_max: u32,
    /// The largest frame that came, octets.
    pub largest: usize,
}

impl Client {
    /// A connection with everything as usual.
    pub fn connect(address: SocketAddr) -> Self {
        Self::with(address, Options::default())
    }

    /// A connection on which nothing was said yet.
    pub fn raw(address: SocketAddr) -> Self {
        Self::over(Transport::connect(address))
    }

    /// The same over what is connected already.
    pub fn over(stream: Transport) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            out: BytesMut::new(),
            frame_max: 131_072,
            largest: 0,
        }
    }

    /// A connection with options.
    pub fn with(address: SocketAddr, options: Options<'_>) -> Self {
        let mut client = Self::raw(address);
        client.write(&encode::PROTOCOL_HEADER);
        assert_eq!(client.said(), Said::Other(0, (10, 10)));
        client.start_ok(b"\0guest\0guest", options.capabilities);
        assert_eq!(client.said(), Said::Other(0, (10, 30)));
        client.put(
            0,
            ConnectionTuneOk {
                channel_max: 2047,
                frame_max: options.frame_max,
                heartbeat: options.heartbeat,
            },
        );
        client.frame_max = options.frame_max;
        let open = ConnectionOpen {
            virtual_host: "/",
            ..ConnectionOpen::default()
        };
        assert_eq!(client.ask(0, open), Said::Other(0, (10, 41)));
        client
    }

    /// Logs in as `user`, whose password is the name, and asks for a virtual
    /// host; returns what is said to that.
    pub fn enter(address: SocketAddr, user: &str, virtual_host: &str) -> (Self, Said) {
        let mut client = Self::raw(address);
        client.write(&encode::PROTOCOL_HEADER);
        assert_eq!(client.said(), Said::Other(0, (10, 10)));
        let response = format!("\0{user}\0{user}");
        client.start_ok(response.as_bytes(), CAPABILITIES);
        assert_eq!(client.said(), Said::Other(0, (10, 30)));
        let said = client.tune_and_open(virtual_host);
        (client, said)
    }

    /// Agrees to what was proposed and asks for a virtual host; returns what is
    /// said to that.
    pub fn tune_and_open(&mut self, virtual_host: &str) -> Said {
        self.put(
            0,
            ConnectionTuneOk {
                channel_max: 2047,
                frame_max: 131_072,
                heartbeat: 0,
            },
        );
        let open = ConnectionOpen {
            virtual_host,
            ..ConnectionOpen::default()
        };
        self.ask(0, open)
    }

    /// Logs in by PLAIN.
    pub fn start_ok(&mut self, response: &[u8], capabilities: &[&str]) {
        self.start_ok_by("PLAIN", response, capabilities);
    }

    /// Logs in by any mechanism.
    pub fn start_ok_by(&mut self, mechanism: &str, response: &[u8], capabilities: &[&str]) {
        let capabilities: FieldTable = capabilities
            .iter()
            .map(|name| (*name, true.into()))
            .collect();
        let mut client_properties = FieldTable::new();
        client_properties.push("capabilities", capabilities);
        let start_ok = ConnectionStartOk {
            client_properties,
            mechanism,
            response: LongStr(response),
            locale: "en_US",
        };
        self.send(0, start_ok);
    }

    /// Opens a channel.
    pub fn open_channel(&mut self, channel: u16) {
        let said = self.ask(channel, ChannelOpen::default());
        assert_eq!(said, Said::Other(channel, (20, 11)));
    }

    /// Puts a method into the next write.
    pub fn put<'a>(&mut self, channel: u16, method: impl Into<Method<'a>>) {
        encode::method(&mut self.out, channel, method);
    }

    /// Puts a publish into the next write.
    pub fn put_publish(&mut self, channel: u16, to: (&str, &str), properties: &[u8], body: &[u8]) {
        self.put_publish_as(channel, publish(to), properties, body);
    }

    /// The same with the method given.
    pub fn put_publish_as(
        &mut self,
        channel: u16,
        method: BasicPublish<'_>,
        properties: &[u8],
        body: &[u8],
    ) {
        self.put(channel, method);
        encode::content_header(&mut self.out, channel, body.len() as u64, properties);
        encode::body(&mut self.out, channel, body, self.frame_max);
    }

    /// Writes what was put, at once.
    pub fn flush(&mut self) {
        let out = self.out.split();
        self.write(&out);
    }

    /// Writes octets, whatever they are.
    pub fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap();
    }

    /// Writes octets until the broker takes no more of them.
    pub fn try_write(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(octets)
    }

    /// What was put and not written.
    pub fn take_put(&mut self) -> BytesMut {
        self.out.split()
    }

    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        self.stream.socket()
    }

    /// The socket, and what may encrypt it.
    pub fn transport(&self) -> &Transport {
        &self.stream
    }

    /// Sends a method.
    pub fn send<'a>(&mut self, channel: u16, method: impl Into<Method<'a>>) {
        self.put(channel, method);
        self.flush();
    }

    /// Sends a method and takes the next thing said for the answer.
    pub fn ask<'a>(&mut self, channel: u16, method: impl Into<Method<'a>>) -> Said {
        self.send(channel, method);
        self.said()
    }

    /// Publishes.
    pub fn publish(&mut self, channel: u16, to: (&str, &str), properties: &[u8], body: &[u8]) {
        self.put_publish(channel, to, properties, body);
        self.flush();
    }

    /// Declares a queue that lives as long as the broker.
    pub fn declare(&mut self, queue: &str) {
        let declare = QueueDeclare {
            queue,
            ..QueueDeclare::default()
        };
        let said = self.ask(1, declare);
        assert!(matches!(said, Said::Declared { .. }), "{said:?}");
    }

    /// Declares a durable queue.
    pub fn declare_durable(&mut self, queue: &str, arguments: FieldTable) {
        let declare = QueueDeclare {
            queue,
            durable: true,
            arguments,
            ..QueueDeclare::default()
        };
        let said = self.ask(1, declare);
        assert!(matches!(said, Said::Declared { .. }), "{said:?}");
    }

    /// Messages ready and consumers of a queue.
    pub fn counts(&mut self, channel: u16, queue: &str) -> (u32, u32) {
        let declare = QueueDeclare {
            queue,
            passive: true,
            ..QueueDeclare::default()
        };
        match self.ask(channel, declare) {
            Said::Declared {
                messages,
                consumers,
                ..
            } => (messages, consumers),
            other => panic!("{other:?}"),
        }
    }

    /// Consumes from a queue under a tag.
    pub fn consume(&mut self, channel: u16, queue: &str, consumer_tag: &str) {
        let said = self.ask(channel, consume(queue, consumer_tag));
        assert_eq!(said, Said::ConsumeOk(channel, consumer_tag.into()));
    }

    /// Sets the prefetch of consumers to come. Its answer also shows that
    /// whatever went before on this connection is dealt with.
    pub fn qos(&mut self, channel: u16, prefetch_count: u16) {
        let qos = BasicQos {
            prefetch_count,
            ..BasicQos::default()
        };
        assert_eq!(self.ask(channel, qos), Said::Other(channel, (60, 11)));
    }

    /// Sees to it that nothing was said that nobody asked for.
    #[track_caller]
    pub fn is_silent(&mut self) {
        let said = self.ask(1, BasicQos::default());
        assert_eq!(said, Said::Other(1, (60, 11)), "expected silence");
    }

    /// Turns confirms on.
    pub fn confirm_select(&mut self, channel: u16) {
        let said = self.ask(channel, ConfirmSelect::default());
        assert_eq!(said, Said::Other(channel, (85, 11)));
    }

    /// Takes confirms until `tag` is among them.
    pub fn confirmed(&mut self, upto: u64) {
        let mut singles = 0;
        loop {
            match self.said() {
                Said::Ack { tag, multiple, .. } if multiple && tag >= upto => return,
                Said::Ack { tag, multiple, .. } => {
                    singles += 1;
                    // Confirms are cumulative and in order here.
                    if tag >= upto {
                        return;
                    }
                    assert!(multiple || singles <= upto);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// The body and tag of the delivery that comes next.
    #[track_caller]
    pub fn delivery(&mut self) -> (u64, bool, Vec<u8>) {
        match self.said() {
            Said::Deliver {
                tag,
                redelivered,
                message,
                ..
            } => (tag, redelivered, message.body),
            other => panic!("expected a delivery: {other:?}"),
        }
    }

    /// Gets a message without acknowledging it.
    pub fn get(&mut self, queue: &str) -> Option<(u64, bool, Message)> {
        let get = BasicGet {
            queue,
            ..BasicGet::default()
        };
        match self.ask(1, get) {
            Said::Got {
                tag,
                redelivered,
                message,
                ..
            } => Some((tag, redelivered, message)),
            Said::Other(1, (60, 72)) => None,
            other => panic!("{other:?}"),
        }
    }

    /// Closes the connection and takes the answer. As with RabbitMQ it is the
    /// client who hangs up then.
    pub fn close(mut self) {
        let close = ConnectionClose {
            reply_code: 200,
            ..ConnectionClose::default()
        };
        assert_eq!(self.ask(0, close), Said::Other(0, (10, 51)));
    }

    /// Hangs up without a word.
    pub fn hang_up(self) {
        // The broker may have done so first.
        let _gone = self.stream.socket().shutdown(Shutdown::Both);
    }

    /// The next thing said that isn't a heartbeat.
    #[track_caller]
    pub fn said(&mut self) -> Said {
        self.try_said()
            .unwrap_or_else(|error| panic!("nothing comes: {error}"))
    }

    /// The next thing said.
    #[track_caller]
    pub fn said_or_beat(&mut self) -> Said {
        self.try_said_or_beat()
            .unwrap_or_else(|error| panic!("nothing comes: {error}"))
    }

    /// The next thing said that isn't a heartbeat, by a broker that may be gone
    /// at any moment.
    ///
    /// # Errors
    /// What the socket fails with; `UnexpectedEof` when it ends within a frame
    /// or between the frames of a message.
    pub fn try_said(&mut self) -> std::io::Result<Said> {
        loop {
            let said = self.try_said_or_beat()?;
            if said != Said::Heartbeat {
                return Ok(said);
            }
        }
    }

    fn try_said_or_beat(&mut self) -> std::io::Result<Said> {
        let Some((kind, channel, payload)) = self.frame()? else {
            return Ok(Said::HungUp);
        };
        if kind == FrameKind::Heartbeat {
            return Ok(Said::Heartbeat);
        }
        assert_eq!(kind, FrameKind::Method, "a stray content frame");
        let method = Method::parse(&payload).unwrap();
        if method.has_content() {
            let (properties, body) = self.content(channel)?;
            return Ok(with_content(channel, method, properties, body));
        }
        Ok(without_content(channel, method))
    }

    /// The header and body that follow a method: contiguous, as RabbitMQ sends them.
    fn content(&mut self, channel: u16) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
        let (kind, on, payload) = self.frame_of_content()?;
        assert_eq!((kind, on), (FrameKind::Header, channel));
        let header = ContentHeader::parse(&payload).unwrap();
        Properties::parse(header.properties).unwrap();
        let mut body = Vec::new();
        while (body.len() as u64) < header.body_size {
            let (kind, on, piece) = self.frame_of_content()?;
            assert_eq!((kind, on), (FrameKind::Body, channel));
            body.extend_from_slice(&piece);
        }
        assert_eq!(body.len() as u64, header.body_size);
        Ok((header.properties.to_vec(), body))
    }

    fn frame_of_content(&mut self) -> std::io::Result<(FrameKind, u16, Vec<u8>)> {
        let frame = self.frame()?;
        frame.ok_or_else(|| cut_short("the broker hung up within a message"))
    }

    /// The next frame; `None` once the broker has hung up.
    fn frame(&mut self) -> std::io::Result<Option<(FrameKind, u16, Vec<u8>)>> {
        loop {
            if let Some((frame, len)) = Frame::cut(&self.input, u32::MAX - 8).unwrap() {
                let cut = (frame.kind, frame.channel, frame.payload.to_vec());
                self.largest = self.largest.max(len);
                bytes::Buf::advance(&mut self.input, len);
                return Ok(Some(cut));
            }
            let mut piece = [0; 65_536];
            match self.stream.read(&mut piece) {
                Ok(0) if self.input.is_empty() => return Ok(None),
                Ok(0) => return Err(cut_short("the broker hung up within a frame")),
                Ok(read) => self.input.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// What a reader makes of the next method.
    #[track_caller]
    pub fn hear<T>(&mut self, reader: impl FnOnce(Method<'_>) -> T) -> T {
        let Ok(Some((FrameKind::Method, _, payload))) = self.frame() else {
            panic!("no method comes");
        };
        reader(Method::parse(&payload).unwrap())
    }

    /// Everything up to the end of the connection, raw.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = self.input.split().to_vec();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the broker doesn't hang up: {error}"),
        }
        rest
    }
}

fn cut_short(what: &str) -> std::io::Error {
    std::io::Error::new(ErrorKind::UnexpectedEof, what)
}

fn with_content(channel: u16, method: Method<'_>, properties: Vec<u8>, body: Vec<u8>) -> Said {
    let message = |exchange: &str, routing_key: &str| Message {
        exchange: exchange.into(),
        routing_key: routing_key.into(),
        properties,
        body,
    };
    match method {
        Method::BasicDeliver(m) => Said::Deliver {
            channel,
            consumer: m.consumer_tag.into(),
            tag: m.delivery_tag,
            redelivered: m.redelivered,
            message: message(m.exchange, m.routing_key),
        },
        Method::BasicGetOk(m) => Said::Got {
            tag: m.delivery_tag,
            redelivered: m.redelivered,
            remaining: m.message_count,
            message: message(m.exchange, m.routing_key),
        },
        Method::BasicReturn(m) => Said::Returned {
            channel,
            code: m.reply_code,
            text: m.reply_text.into(),
            message: message(m.exchange, m.routing_key),
        },
        other => panic!("{other:?}"),
    }
}

fn without_content(channel: u16, method: Method<'_>) -> Said {
    match method {
        Method::BasicAck(m) => Said::Ack {
            channel,
            tag: m.delivery_tag,
            multiple: m.multiple,
        },
        Method::BasicConsumeOk(m) => Said::ConsumeOk(channel, m.consumer_tag.into()),
        Method::BasicCancel(m) => Said::Cancel(channel, m.consumer_tag.into()),
        Method::BasicCancelOk(m) => Said::CancelOk(channel, m.consumer_tag.into()),
        Method::QueueDeclareOk(m) => Said::Declared {
            channel,
            queue: m.queue.into(),
            messages: m.message_count,
            consumers: m.consumer_count,
        },
        Method::QueueDeleteOk(m) => Said::Deleted(channel, m.message_count),
        Method::QueuePurgeOk(m) => Said::Purged(channel, m.message_count),
        Method::ChannelClose(m) => Said::ChannelClosed(channel, m.reply_code, m.reply_text.into()),
        Method::ConnectionClose(m) => Said::Closed(m.reply_code, m.reply_text.into()),
        Method::ConnectionBlocked(m) => Said::Blocked(m.reason.into()),
        other => Said::Other(channel, other.ids()),
    }
}

/// `basic.publish` to an exchange with a routing key.
pub fn publish<'a>(to: (&'a str, &'a str)) -> BasicPublish<'a> {
    BasicPublish {
        exchange: to.0,
        routing_key: to.1,
        ..BasicPublish::default()
    }
}

/// `basic.consume` with acknowledgements.
pub fn consume<'a>(queue: &'a str, consumer_tag: &'a str) -> BasicConsume<'a> {
    BasicConsume {
        queue,
        consumer_tag,
        ..BasicConsume::default()
    }
}

/// `basic.ack`.
pub fn ack(delivery_tag: u64, multiple: bool) -> BasicAck {
    BasicAck {
        delivery_tag,
        multiple,
    }
}

/// `basic.nack`.
pub fn nack(delivery_tag: u64, multiple: bool, requeue: bool) -> BasicNack {
    BasicNack {
        delivery_tag,
        multiple,
        requeue,
    }
}
