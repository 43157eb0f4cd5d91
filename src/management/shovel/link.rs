//! A connection to a broker with one channel, seen from the client's side.

use std::future::pending;
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::time::timeout;

use super::dial::Stream;
use super::uri::Address;
use crate::base::limits::{FRAME_MAX, READ_BUFFER};
use crate::wire::encode::{self, HEARTBEAT, PROTOCOL_HEADER};
use crate::wire::frame::HEAD_LEN;
use crate::wire::method::{
    ChannelCloseOk, ChannelOpen, ConnectionClose, ConnectionOpen, ConnectionStartOk,
    ConnectionTune, ConnectionTuneOk,
};
use crate::wire::parse::LongStr;
use crate::wire::{DecodeError, FieldTable, FieldValue, Frame, FrameKind, Method};

/// The only channel of each connection.
pub(super) const CHANNEL: u16 = 1;
/// The user that stands for the broker itself; it has no password.
const NOBODY: &str = "none";

/// A connection with its channel open.
pub(super) struct Link {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    inbound: BytesMut,
    /// What is to go out.
    pub(super) outbound: BytesMut,
    /// Written, and perhaps still in an encrypted stream's buffer.
    unflushed: bool,
    /// The largest frame agreed on, octets.
    pub(super) frame_max: u32,
    /// Seconds; 0 is none.
    heartbeat: u16,
    /// Seconds since something was received, and since something was sent.
    quiet: (u32, u32),
    /// The peer takes no messages for now.
    pub(super) blocked: bool,
}

/// A frame as it came.
pub(super) struct Incoming {
    pub(super) kind: FrameKind,
    pub(super) payload: Bytes,
}

/// How a connection came to its end, or never to its beginning.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The network.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The broker closed the connection or the channel.
    #[error("{code} {text}")]
    Closed {
        is_channel: bool,
        code: u16,
        text: String,
    },
    /// The consumer's queue is gone.
    #[error("the queue is gone")]
    Cancelled,
    /// Nothing was heard of the broker for too long.
    #[error("nothing was heard for two heartbeats")]
    Silent,
    /// It wasn't done in time.
    #[error("no connection within {0} s")]
    Late(u64),
    /// What came isn't AMQP.
    #[error("what came is no frame of AMQP: {0}")]
    Protocol(String),
}

impl From<DecodeError> for LinkError {
    fn from(error: DecodeError) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl Link {
    /// Opens connection and channel over a `stream`. `name` is what the broker
    /// shows of us.
    ///
    /// # Errors
    /// [`LinkError`].
    pub(super) async fn open(
        stream: Box<dyn Stream>,
        address: &Address,
        name: &str,
    ) -> Result<Self, LinkError> {
        let (reader, writer) = split(stream);
        let mut link = Self {
            reader,
            writer,
            inbound: BytesMut::with_capacity(READ_BUFFER),
            outbound: BytesMut::from(&PROTOCOL_HEADER[..]),
            unflushed: false,
            frame_max: FRAME_MAX,
            heartbeat: 0,
            quiet: (0, 0),
            blocked: false,
        };
        let opened = timeout(address.timeout, link.shake_hands(address, name)).await;
        opened.map_err(|_| LinkError::Late(address.timeout.as_secs()))??;
        Ok(link)
    }

    async fn shake_hands(&mut self, address: &Address, name: &str) -> Result<(), LinkError> {
        self.answer(|method| matches!(method, Method::ConnectionStart(_)).then_some(()))
            .await?;
        let login = address.login.as_ref();
        // Where no host is given no one is known by a well-known password.
        let default = match address.host {
            Some(_) => ("guest", "guest"),
            None => (NOBODY, ""),
        };
        let (user, password) = login.map_or(default, |(user, password)| (user, password));
        let login = format!("\0{user}\0{password}");
        let start_ok = ConnectionStartOk {
            client_properties: client_properties(name),
            mechanism: "PLAIN",
            response: LongStr(login.as_bytes()),
            locale: "en_US",
        };
        let tune = self.call(0, start_ok, |method| match method {
            Method::ConnectionTune(tune) => Some(tune),
            _ => None,
        });
        let tune = tune.await?;
        self.agree(&tune, address);
        let open = ConnectionOpen {
            virtual_host: &address.vhost,
            ..ConnectionOpen::default()
        };
        self.call(0, open, |method| {
            matches!(method, Method::ConnectionOpenOk(_)).then_some(())
        })
        .await?;
        self.open_channel().await
    }

    fn agree(&mut self, tune: &ConnectionTune, address: &Address) {
        if tune.frame_max != 0 {
            self.frame_max = tune.frame_max.min(FRAME_MAX);
        }
        self.heartbeat = match (tune.heartbeat, address.heartbeat) {
            (0, own) | (own, 0) => own,
            (theirs, own) => theirs.min(own),
        };
        let tune_ok = ConnectionTuneOk {
            channel_max: tune.channel_max,
            frame_max: self.frame_max,
            heartbeat: self.heartbeat,
        };
        encode::method(&mut self.outbound, 0, tune_ok);
    }

    /// Opens the channel, again when the broker has closed it.
    ///
    /// # Errors
    /// [`LinkError`].
    pub(super) async fn open_channel(&mut self) -> Result<(), LinkError> {
        self.call(CHANNEL, ChannelOpen::default(), |method| {
            matches!(method, Method::ChannelOpenOk(_)).then_some(())
        })
        .await
    }

    /// Sends a method and waits for the answer that `pick` takes something
    /// from. Only for times when no messages are on their way.
    ///
    /// # Errors
    /// [`LinkError`].
    pub(super) async fn call<'a, T>(
        &mut self,
        channel: u16,
        method: impl Into<Method<'a>>,
        pick: impl Fn(Method<'_>) -> Option<T>,
    ) -> Result<T, LinkError> {
        encode::method(&mut self.outbound, channel, method);
        self.answer(pick).await
    }

    async fn answer<T>(&mut self, pick: impl Fn(Method<'_>) -> Option<T>) -> Result<T, LinkError> {
        loop {
            while let Some(frame) = self.next()? {
                if frame.kind != FrameKind::Method {
                    continue;
                }
                let method = Method::parse(&frame.payload)?;
                self.notice(&method)?;
                if let Some(picked) = pick(method) {
                    return Ok(picked);
                }
            }
            self.progress(true).await?;
        }
    }

    /// Sees to a method that concerns the connection itself.
    ///
    /// # Errors
    /// [`LinkError`] when it is its end.
    pub(super) fn notice(&mut self, method: &Method<'_>) -> Result<(), LinkError> {
        let (is_channel, code, text) = match method {
            Method::ConnectionClose(close) => (false, close.reply_code, close.reply_text),
            Method::ChannelClose(close) => {
                encode::method(&mut self.outbound, CHANNEL, ChannelCloseOk {});
                (true, close.reply_code, close.reply_text)
            }
            Method::BasicCancel(_) => return Err(LinkError::Cancelled),
            Method::ConnectionBlocked(_) => {
                self.blocked = true;
                return Ok(());
            }
            Method::ConnectionUnblocked(_) => {
                self.blocked = false;
                return Ok(());
            }
            _ => return Ok(()),
        };
        Err(LinkError::Closed {
            is_channel,
            code,
            text: text.to_owned(),
        })
    }

    /// The next whole frame that came in, if there is one.
    ///
    /// # Errors
    /// [`LinkError::Protocol`] when what came in is no frame.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, LinkError> {
        loop {
            let (kind, len) = match Frame::cut(&self.inbound, self.frame_max) {
                Ok(Some((frame, len))) => (frame.kind, len),
                Ok(None) => return Ok(None),
                Err(error) => return Err(LinkError::Protocol(format!("{error:?}"))),
            };
            let mut payload = self.inbound.split_to(len).freeze();
            payload.advance(HEAD_LEN);
            payload.truncate(payload.len().saturating_sub(1));
            if kind != FrameKind::Heartbeat {
                return Ok(Some(Incoming { kind, payload }));
            }
        }
    }

    /// Reads once, if `reading`, or writes once, whichever can be done first.
    /// Nothing is lost when this is dropped before it is ready.
    ///
    /// # Errors
    /// [`LinkError::Io`].
    pub(super) async fn progress(&mut self, reading: bool) -> Result<(), LinkError> {
        let writing = !self.outbound.is_empty();
        self.inbound.reserve(READ_BUFFER);
        let (writer, outbound) = (&mut self.writer, &self.outbound);
        // An encrypted stream keeps some of what it took until it is flushed.
        let send = async move {
            match writing {
                true => writer.write(outbound).await,
                false => writer.flush().await.map(|()| 0),
            }
        };
        tokio::select! {
            read = self.reader.read_buf(&mut self.inbound), if reading => {
                if read? == 0 {
                    let hung_up = "the broker hung up";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, hung_up).into());
                }
                self.quiet.0 = 0;
            }
            sent = send, if writing || self.unflushed => {
                self.outbound.advance(sent?);
                self.unflushed = writing;
                if writing {
                    self.quiet.1 = 0;
                }
            }
            () = pending() => {}
        }
        Ok(())
    }

    /// A second has gone by. `reading` is whether the peer could be heard.
    ///
    /// # Errors
    /// [`LinkError::Silent`].
    pub(super) fn tick(&mut self, reading: bool) -> Result<(), LinkError> {
        let heartbeat = u32::from(self.heartbeat);
        if heartbeat == 0 {
            return Ok(());
        }
        self.quiet.0 = if reading { self.quiet.0 + 1 } else { 0 };
        self.quiet.1 += 1;
        if self.quiet.0 > 2 * heartbeat {
            return Err(LinkError::Silent);
        }
        if self.quiet.1 >= heartbeat.div_ceil(2) && self.outbound.is_empty() {
            self.outbound.extend_from_slice(&HEARTBEAT);
        }
        Ok(())
    }

    /// Closes the connection, once all before it is sent.
    ///
    /// # Errors
    /// [`LinkError`] when it came to its end otherwise.
    pub(super) async fn close(mut self) -> Result<(), LinkError> {
        let close = ConnectionClose {
            reply_code: 200,
            reply_text: "done",
            ..ConnectionClose::default()
        };
        self.call(0, close, |method| {
            matches!(method, Method::ConnectionCloseOk(_)).then_some(())
        })
        .await
    }
}

fn client_properties(name: &str) -> FieldTable {
    let capabilities = [
        "basic.nack",
        "publisher_confirms",
        "connection.blocked",
        "consumer_cancel_notify",
        // A refused login says so instead of hanging up.
        "authentication_failure_close",
    ];
    let capabilities: FieldTable = capabilities
        .map(|name| (name, true.into()))
        .into_iter()
        .collect();
    FieldTable::from_iter([
        ("product", FieldValue::str("Harrier shovel")),
        ("version", FieldValue::str(env!("CARGO_PKG_VERSION"))),
        ("connection_name", FieldValue::str(name)),
        ("capabilities", FieldValue::Table(capabilities)),
    ])
}
