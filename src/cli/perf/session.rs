//! Opening a connection with one channel, and asking for one thing at a time.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::error::{PerfError, io_error};
use super::link::{Link, closed_by};
use super::uri::AmqpUri;
use crate::wire::encode::{self, PROTOCOL_HEADER};
use crate::wire::method::{
    ChannelOpen, ConnectionClose, ConnectionOpen, ConnectionStartOk, ConnectionTune,
    ConnectionTuneOk,
};
use crate::wire::parse::LongStr;
use crate::wire::{FieldTable, FieldValue, FrameKind, Method};

/// The only channel of each connection.
pub const CHANNEL: u16 = 1;

/// The largest frame asked for, octets; larger ones would not fit the read buffer.
const FRAME_MAX: u32 = 131_072;

/// How long a server may take to answer while nothing is measured.
const PATIENCE: Duration = Duration::from_secs(30);

/// An open connection whose channel 1 is open.
pub struct Session {
    /// The socket.
    pub link: Link,
    /// The frame_max agreed on, octets of a whole frame.
    pub frame_max: u32,
    /// What the server says it is, such as `RabbitMQ 4.3.6`.
    pub server: String,
}

impl Session {
    /// Connects and opens the channel. `name` is what the server shows.
    ///
    /// # Errors
    /// [`PerfError`] when the server can't be reached or refuses.
    pub fn open(uri: &AmqpUri, name: &str) -> Result<Self, PerfError> {
        let mut session = Self {
            link: Link::new(connect(uri)?, PATIENCE)?,
            frame_max: FRAME_MAX,
            server: String::new(),
        };
        session.link.outbound.extend_from_slice(&PROTOCOL_HEADER);
        let start = |method: Method<'_>| match method {
            Method::ConnectionStart(start) => Some(server_name(&start.server_properties)),
            _ => None,
        };
        session.server = session.wait("connection.start", start, || false)?;
        let login = format!("\0{}\0{}", uri.user, uri.password);
        let tune = session.call(
            0,
            ConnectionStartOk {
                client_properties: client_properties(name),
                mechanism: "PLAIN",
                response: LongStr(login.as_bytes()),
                locale: "en_US",
            },
            "connection.tune",
            |method| match method {
                Method::ConnectionTune(tune) => Some(tune),
                _ => None,
            },
        )?;
        session.agree(&tune, &uri.vhost)?;
        session.ask(
            CHANNEL,
            ChannelOpen::default(),
            "channel.open-ok",
            |method| matches!(method, Method::ChannelOpenOk(_)),
        )?;
        Ok(session)
    }

    fn agree(&mut self, tune: &ConnectionTune, vhost: &str) -> Result<(), PerfError> {
        if tune.frame_max != 0 {
            self.frame_max = tune.frame_max.min(FRAME_MAX);
        }
        let tune_ok = ConnectionTuneOk {
            channel_max: tune.channel_max,
            frame_max: self.frame_max,
            // A run ends by itself; a busy server may be late with heartbeats.
            heartbeat: 0,
        };
        encode::method(&mut self.link.outbound, 0, tune_ok);
        let open = ConnectionOpen {
            virtual_host: vhost,
            ..ConnectionOpen::default()
        };
        self.ask(0, open, "connection.open-ok", |method| {
            matches!(method, Method::ConnectionOpenOk(_))
        })
    }

    /// Sends `method` and waits for the answer that `is_answer` knows.
    ///
    /// # Errors
    /// [`PerfError`] when the server closes, hangs up or doesn't answer in time.
    pub fn ask<'a>(
        &mut self,
        channel: u16,
        method: impl Into<Method<'a>>,
        expected: &str,
        is_answer: impl Fn(&Method<'_>) -> bool,
    ) -> Result<(), PerfError> {
        self.call(channel, method, expected, |method| {
            is_answer(&method).then_some(())
        })
    }

    /// Sends `method` and waits for the answer that `pick` takes something from.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub fn call<'a, T>(
        &mut self,
        channel: u16,
        method: impl Into<Method<'a>>,
        expected: &str,
        pick: impl Fn(Method<'_>) -> Option<T>,
    ) -> Result<T, PerfError> {
        encode::method(&mut self.link.outbound, channel, method);
        self.wait(expected, pick, || false)
    }

    /// Waits for the answer that `pick` takes something from; when patience has
    /// run out, `go_on` may have more.
    fn wait<T>(
        &mut self,
        expected: &str,
        pick: impl Fn(Method<'_>) -> Option<T>,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<T, PerfError> {
        if !self.link.flush()? {
            return Err(late("taking our requests"));
        }
        loop {
            while let Some(frame) = self.link.inbound.next_frame()? {
                if frame.kind != FrameKind::Method {
                    continue;
                }
                let method = parse(frame.payload)?;
                if let Some(closed) = closed_by(&method) {
                    return Err(closed);
                }
                if let Some(picked) = pick(method) {
                    return Ok(picked);
                }
            }
            if !self.link.read()? && !go_on() {
                return Err(late(expected));
            }
        }
    }

    /// Ends the connection. Once this returns the server has handled all that
    /// was sent on it.
    ///
    /// # Errors
    /// [`PerfError`] when the server complains instead, or doesn't answer.
    pub fn close(self) -> Result<(), PerfError> {
        self.close_while(|| false)
    }

    /// As [`Session::close`], for a connection with much on its way: when
    /// patience has run out, `busy` tells whether the server is still at it.
    ///
    /// # Errors
    /// As [`Session::close`].
    pub fn close_while(mut self, busy: impl FnMut() -> bool) -> Result<(), PerfError> {
        self.link.set_blocking(true)?;
        let close = ConnectionClose {
            reply_code: 200,
            reply_text: "done",
            ..ConnectionClose::default()
        };
        encode::method(&mut self.link.outbound, 0, close);
        let is_closed = |method: Method<'_>| match method {
            Method::ConnectionCloseOk(_) => Some(()),
            _ => None,
        };
        self.wait("connection.close-ok", is_closed, busy)
    }
}

/// Parses a method that the server sent.
///
/// # Errors
/// [`PerfError::Protocol`] when it isn't one.
pub fn parse(payload: &[u8]) -> Result<Method<'_>, PerfError> {
    Method::parse(payload)
        .map_err(|error| PerfError::Protocol(format!("the server sent a bad method: {error}")))
}

fn late(expected: &str) -> PerfError {
    let seconds = PATIENCE.as_secs();
    PerfError::Protocol(format!(
        "the server was not done with {expected} in {seconds} s"
    ))
}

fn connect(uri: &AmqpUri) -> Result<TcpStream, PerfError> {
    let doing = || format!("connecting to {uri}");
    let addresses = (uri.host.as_str(), uri.port)
        .to_socket_addrs()
        .map_err(io_error(doing()))?;
    let mut refused = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => refused = error,
        }
    }
    Err(io_error(doing())(refused))
}

fn client_properties(name: &str) -> FieldTable {
    let yes = || FieldValue::Bool(true);
    let capabilities = FieldTable::from_iter([
        ("basic.nack", yes()),
        ("publisher_confirms", yes()),
        ("connection.blocked", yes()),
        ("consumer_cancel_notify", yes()),
        // Makes a refused login say so instead of hanging up.
        ("authentication_failure_close", yes()),
    ]);
    FieldTable::from_iter([
        ("product", FieldValue::str("harrier perf")),
        ("version", FieldValue::str(env!("CARGO_PKG_VERSION"))),
        ("connection_name", FieldValue::str(name)),
        ("capabilities", FieldValue::Table(capabilities)),
    ])
}

fn server_name(properties: &FieldTable) -> String {
    let text = |name| properties.get(name).and_then(FieldValue::as_str);
    let words = [text("product"), text("version")];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
