//! One socket with its buffers, read frame by frame without copying.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Buf, BytesMut};

use super::error::{PerfError, io_error};
use crate::wire::{Frame, FrameHead, Method};

/// Octets of a read buffer: one read takes what the server wrote in several.
const INBOUND_LEN: usize = 256 * 1024;

/// What came in and wasn't looked at yet.
pub struct Inbound {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    payload_max: u32,
}

impl Inbound {
    fn new() -> Self {
        Self {
            buffer: vec![0; INBOUND_LEN],
            start: 0,
            end: 0,
            payload_max: (INBOUND_LEN - 64) as u32,
        }
    }

    /// The next whole frame, if there is one; it counts as read.
    ///
    /// # Errors
    /// [`PerfError::Protocol`] when what came in isn't a frame.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, PerfError> {
        let waiting = self.buffer.get(self.start..self.end).unwrap_or_default();
        match Frame::cut(waiting, self.payload_max) {
            Ok(Some((frame, len))) => {
                self.start += len;
                Ok(Some(frame))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(PerfError::Protocol(format!(
                "the server sent what is not a frame: {error:?}"
            ))),
        }
    }

    /// Octets still missing of the frame that has begun to come in.
    fn missing(&self) -> usize {
        let waiting = self.buffer.get(self.start..self.end).unwrap_or_default();
        match FrameHead::peek(waiting) {
            Some(head) => head.frame_len().saturating_sub(waiting.len()),
            None => 1,
        }
    }

    /// Makes room behind what is waiting: moves it to the front when the next
    /// frame would not fit, or when nothing or next to nothing has to move.
    fn room(&mut self) -> &mut [u8] {
        let waiting = self.end - self.start;
        let cramped = self.buffer.len() - self.end < self.missing();
        if cramped || waiting < 4096 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.start = 0;
            self.end = waiting;
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }
}

/// A connected socket.
pub struct Link {
    stream: TcpStream,
    /// What came in.
    pub inbound: Inbound,
    /// What is to go out, apart from publishes.
    pub outbound: BytesMut,
}

impl Link {
    /// Wraps a fresh socket, which blocks at most `patience` in each call.
    ///
    /// # Errors
    /// [`PerfError::Io`] when the socket's options can't be set.
    pub fn new(stream: TcpStream, patience: Duration) -> Result<Self, PerfError> {
        let options = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(patience)))
            .and_then(|()| stream.set_write_timeout(Some(patience)));
        options.map_err(io_error("setting the socket's options"))?;
        Ok(Self {
            stream,
            inbound: Inbound::new(),
            outbound: BytesMut::new(),
        })
    }

    /// The socket, to wait for.
    pub fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Whether calls wait (as [`Link::new`] says) or return at once.
    ///
    /// # Errors
    /// [`PerfError::Io`] when the system refuses.
    pub fn set_blocking(&self, blocking: bool) -> Result<(), PerfError> {
        let set = self.stream.set_nonblocking(!blocking);
        set.map_err(io_error("setting the socket's mode"))
    }

    /// Reads once; false when nothing is there for now.
    ///
    /// # Errors
    /// [`PerfError::Io`] when the socket fails or the server has closed it.
    pub fn read(&mut self) -> Result<bool, PerfError> {
        loop {
            match self.stream.read(self.inbound.room()) {
                Ok(0) => {
                    let source = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Err(io_error("the server hung up")(source));
                }
                Ok(len) => {
                    self.inbound.end += len;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error("reading from the server")(error)),
            }
        }
    }

    /// Writes as much of `octets` as the socket takes now; returns how much.
    ///
    /// # Errors
    /// [`PerfError::Io`] when the socket fails.
    pub fn write(&mut self, octets: &[u8]) -> Result<usize, PerfError> {
        write_some(&mut self.stream, octets)
    }

    /// Writes from `outbound`; true when nothing is left there.
    ///
    /// # Errors
    /// [`PerfError::Io`] when the socket fails.
    pub fn flush(&mut self) -> Result<bool, PerfError> {
        if self.outbound.is_empty() {
            return Ok(true);
        }
        let written = write_some(&mut self.stream, &self.outbound)?;
        self.outbound.advance(written);
        Ok(self.outbound.is_empty())
    }
}

fn write_some(stream: &mut TcpStream, octets: &[u8]) -> Result<usize, PerfError> {
    let mut written = 0;
    while let Some(rest) = octets.get(written..).filter(|rest| !rest.is_empty()) {
        match stream.write(rest) {
            Ok(len) => written += len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io_error("writing to the server")(error)),
        }
    }
    Ok(written)
}

/// The error that a closing method stands for, if it is one.
pub fn closed_by(method: &Method<'_>) -> Option<PerfError> {
    let (scope, code, text) = match method {
        Method::ConnectionClose(close) => ("connection", close.reply_code, close.reply_text),
        Method::ChannelClose(close) => ("channel", close.reply_code, close.reply_text),
        Method::BasicCancel(cancel) => {
            return Some(PerfError::State(format!(
                "the server cancelled consumer '{}': its queue is gone",
                cancel.consumer_tag
            )));
        }
        _ => return None,
    };
    Some(PerfError::Closed {
        scope,
        code,
        text: text.to_owned(),
    })
}
