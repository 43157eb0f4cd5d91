//! One client's connection: frames in, actions and replies out.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::base::limits::{CONTENT_SIZE_MAX, FRAME_MAX, FRAME_MAX_BEFORE_TUNE, FRAME_OVERHEAD};
use crate::wire::frame::HEAD_LEN;
use crate::wire::method::{ConnectionClose, ConnectionCloseOk};
use crate::wire::{Frame, FrameError, FrameHead, FrameKind, Method, encode};

use super::action::{Action, Login};
use super::assembly::Content;
use super::channel::Channels;
use super::client::{Client, Settings, Tuned};
use super::error::{Failure, Ids};
use super::heartbeat::Heartbeat;
use super::names::Names;

/// Octets of the protocol header.
pub(super) const PROTOCOL_HEADER_LEN: usize = 8;

/// The state machine of one connection.
///
/// Its owner feeds [`step`](Self::step) with what it reads, carries out each
/// [`Action`], and calls the methods that answer one. All of them append what
/// the client is to be sent to `out`. A call that doesn't fit the state (a
/// second close, a confirm on a channel that is gone) does nothing.
#[derive(Debug)]
pub struct Connection {
    pub(super) settings: Arc<Settings>,
    pub(super) state: State,
    pub(super) tuned: Tuned,
    pub(super) client: Client,
    pub(super) channels: Channels,
    /// Channels with confirms to release.
    pub(super) unreleased: Vec<u16>,
    /// Channels whose publishes are answered otherwise than before.
    pub(super) turned: Vec<u16>,
    /// The content put together last, while the server looks at it.
    pub(super) assembled: Option<Box<Content>>,
    /// Names that could not be borrowed from the input as they were.
    pub(super) names: Names,
    /// What an AMQPLAIN response said, while the server looks at it.
    pub(super) credentials: (String, Vec<u8>),
    /// Octets of an oversized frame that are still to be skipped.
    skip: usize,
    pub(super) heartbeat: Heartbeat,
    pub(super) failure: Option<String>,
}

/// Where a connection stands; the module's picture shows the way through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Header,
    Starting,
    Authenticating,
    Tuning,
    Tuned,
    Opening,
    Running,
    Closing,
    Leaving,
    Closed,
}

impl State {
    /// RabbitMQ's word for it, as error texts use it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Header => "pre_init",
            Self::Starting => "starting",
            Self::Authenticating => "securing",
            Self::Tuning => "tuning",
            Self::Tuned | Self::Opening => "opening",
            Self::Running => "running",
            Self::Closing | Self::Leaving => "closing",
            Self::Closed => "closed",
        }
    }
}

/// What a step found; tied to the input only, so that the connection is free
/// to react before it lends itself to an [`Action`].
#[allow(
    clippy::large_enum_variant,
    reason = "it lives for one call and is never stored"
)]
pub(super) enum Outcome<'i> {
    Act(Action<'i>),
    /// The credentials are in `credentials`.
    AmqPlain(&'static str),
    /// A content is whole, in `assembled`.
    Assembled(u16),
    /// A method of which some names are in `names`.
    Renamed(u16, Method<'i>),
}

pub(super) type Stepped<'i> = Result<Outcome<'i>, (u16, Failure)>;

pub(super) const CONTINUE: Stepped<'static> = Ok(Outcome::Act(Action::Continue));

impl Connection {
    /// A connection that has just been accepted.
    pub fn new(settings: impl Into<Arc<Settings>>) -> Self {
        let settings = settings.into();
        let tuned = Tuned {
            channel_max: settings.channel_max,
            frame_max: FRAME_MAX_BEFORE_TUNE,
            heartbeat: 0,
        };
        Self {
            settings,
            state: State::Header,
            tuned,
            client: Client::default(),
            channels: Channels::default(),
            unreleased: Vec::new(),
            turned: Vec::new(),
            assembled: None,
            names: Names::default(),
            credentials: Default::default(),
            skip: 0,
            heartbeat: Heartbeat::default(),
            failure: None,
        }
    }

    /// How many octets at the front of `buffered` are whole units (protocol
    /// header, frames) for [`step`](Self::step); 0 is: read more. Up to the
    /// end of the handshake it is one unit at a time. A frame head that shows
    /// an error is ready without its payload.
    pub fn ready_len(&self, buffered: &[u8]) -> usize {
        self.hop(buffered).0
    }

    /// How many octets in all to make room for, so that the first unit in
    /// `buffered` that isn't whole can be read: its size, but no more than a
    /// frame of the usual limit or twice what has come of it.
    pub fn wanted_len(&self, buffered: &[u8]) -> usize {
        let (ready, wanted) = self.hop(buffered);
        let come = buffered.len().saturating_sub(ready);
        wanted.min((come * 2).max(FRAME_MAX as usize + FRAME_OVERHEAD))
    }

    /// Works on the unit at `*at` and moves `*at` past it. Replies that need
    /// nobody else are appended to `out`. A unit that isn't whole leaves `*at`
    /// where it is.
    #[inline(always)]
    pub fn step<'a>(
        &'a mut self,
        input: &'a Bytes,
        at: &mut usize,
        out: &mut BytesMut,
    ) -> Action<'a> {
        if self.state == State::Running
            && let Some(action) = self.quick_step(input, at)
        {
            return action;
        }
        self.long_step(input, at, out)
    }

    #[inline(never)]
    fn long_step<'a>(
        &'a mut self,
        input: &'a Bytes,
        at: &mut usize,
        out: &mut BytesMut,
    ) -> Action<'a> {
        match self.advance(input, at, out) {
            Ok(Outcome::Act(action)) => action,
            Ok(Outcome::Assembled(channel)) => self.publish_assembled(channel),
            Ok(Outcome::Renamed(channel, mut method)) => {
                self.names.fill_in(&mut method);
                Action::Method { channel, method }
            }
            Ok(Outcome::AmqPlain(mechanism)) => Action::Authenticate {
                mechanism,
                login: Login::Plain {
                    user: &self.credentials.0,
                    password: &self.credentials.1,
                },
            },
            Err((channel, failure)) => self.fail(channel, failure, out),
        }
    }

    fn advance<'i>(&mut self, input: &'i Bytes, at: &mut usize, out: &mut BytesMut) -> Stepped<'i> {
        let Some(rest) = input.get(*at..) else {
            return CONTINUE;
        };
        if self.skip > 0 {
            let skipped = self.skip.min(rest.len());
            self.skip -= skipped;
            *at += skipped;
            return CONTINUE;
        }
        match self.state {
            State::Header => return self.protocol_header(rest, at, out),
            State::Leaving | State::Closed => {
                *at = input.len();
                return CONTINUE;
            }
            _ => {}
        }
        match Frame::cut(rest, self.payload_max()) {
            Ok(None) => CONTINUE,
            Ok(Some((frame, len))) => {
                *at += len;
                match self.state {
                    State::Running => self.running_frame(frame, input, out),
                    State::Closing => Ok(self.closing_frame(frame, out)),
                    _ => self.handshake_frame(frame, out).map_err(|f| (0, f)),
                }
            }
            Err(error) => self.broken_frame(error, rest, at),
        }
    }

    fn broken_frame<'i>(&mut self, error: FrameError, rest: &[u8], at: &mut usize) -> Stepped<'i> {
        let len = FrameHead::peek(rest).map_or(rest.len(), FrameHead::frame_len);
        if let FrameError::TooLarge { .. } = error {
            // The close-ok to come can be found only behind the payload.
            *at += HEAD_LEN;
            self.skip = len - HEAD_LEN;
        } else {
            *at += len;
        }
        if self.state == State::Closing {
            return CONTINUE;
        }
        Err((0, error.into()))
    }

    fn running_frame<'i>(
        &mut self,
        frame: Frame<'i>,
        input: &Bytes,
        out: &mut BytesMut,
    ) -> Stepped<'i> {
        let misplaced = match (frame.kind, frame.channel) {
            (FrameKind::Heartbeat, _) if !frame.payload.is_empty() => {
                Failure::unknown_frame(frame.kind.octet(), frame.payload)
            }
            (FrameKind::Heartbeat, 0) => return CONTINUE,
            (FrameKind::Method, 0) => return self.control_method(frame).map_err(|f| (0, f)),
            (FrameKind::Method, _) => return self.channel_method(frame, out),
            (FrameKind::Header | FrameKind::Body, 1..) => {
                return self.content_frame(frame, input);
            }
            _ => Failure::unexpected_frame(&frame),
        };
        Err((0, misplaced))
    }

    /// A method on channel 0 of a running connection.
    fn control_method<'i>(&mut self, frame: Frame<'i>) -> Result<Outcome<'i>, Failure> {
        match parse_method(&frame)? {
            Method::ConnectionClose(_) => Ok(self.leave()),
            Method::ConnectionUpdateSecret(update) => Ok(Outcome::Act(Action::UpdateSecret {
                secret: update.new_secret.0,
                reason: update.reason,
            })),
            other => Err(self.unexpected(other.ids())),
        }
    }

    pub(super) fn unexpected(&self, ids: Ids) -> Failure {
        Failure::unexpected_method(ids, self.state.name())
    }

    /// The client closes the connection.
    pub(super) fn leave<'i>(&mut self) -> Outcome<'i> {
        self.state = State::Leaving;
        self.forget_channels();
        Outcome::Act(Action::CloseConnection)
    }

    /// While we wait for close-ok nothing else counts, but a close that
    /// crossed ours is answered.
    fn closing_frame<'i>(&mut self, frame: Frame<'i>, out: &mut BytesMut) -> Outcome<'i> {
        if frame.channel == 0 && frame.kind == FrameKind::Method {
            match Method::peek_ids(frame.payload) {
                Some((ConnectionCloseOk::CLASS, ConnectionCloseOk::ID)) => {
                    self.state = State::Closed;
                    return Outcome::Act(Action::Finished);
                }
                Some((ConnectionClose::CLASS, ConnectionClose::ID)) => {
                    encode::method(out, 0, ConnectionCloseOk {});
                }
                _ => {}
            }
        }
        Outcome::Act(Action::Continue)
    }

    fn fail(&mut self, channel: u16, failure: Failure, out: &mut BytesMut) -> Action<'static> {
        if failure.refusal.code.is_hard() {
            self.close(&failure.refusal, failure.ids, out);
            return Action::Failed;
        }
        self.close_channel(channel, &failure.refusal, failure.ids, out);
        Action::ChannelFailed { channel }
    }

    /// Ends the connection without a word to the client.
    pub(super) fn give_up(&mut self, reason: String) {
        self.state = State::Closed;
        self.failure = Some(reason);
    }

    /// The largest payload of a frame taken: eight octets more than agreed, as
    /// RabbitMQ does. Without a limit, what no content may exceed.
    #[inline]
    pub(super) fn payload_max(&self) -> u32 {
        match self.tuned.frame_max {
            0 => CONTENT_SIZE_MAX as u32,
            max => max,
        }
    }

    /// Octets of the whole units at the front, and of the unit after them.
    fn hop(&self, buffered: &[u8]) -> (usize, usize) {
        let units_max = match self.state {
            State::Header if buffered.len() < PROTOCOL_HEADER_LEN => {
                return (0, PROTOCOL_HEADER_LEN);
            }
            State::Header => return (PROTOCOL_HEADER_LEN, FRAME_OVERHEAD),
            State::Leaving | State::Closed => return (buffered.len(), FRAME_OVERHEAD),
            State::Running | State::Closing => usize::MAX,
            _ => 1,
        };
        let mut ready = self.skip.min(buffered.len());
        for _ in 0..units_max {
            let rest = buffered.get(ready..).unwrap_or_default();
            match FrameHead::peek(rest) {
                None => break,
                Some(head) if head.size > self.payload_max() => {
                    return (ready + HEAD_LEN, FRAME_OVERHEAD);
                }
                Some(head) if head.frame_len() > rest.len() => return (ready, head.frame_len()),
                Some(head) => ready += head.frame_len(),
            }
        }
        (ready, FRAME_OVERHEAD)
    }

    pub(super) fn forget_channels(&mut self) {
        self.channels.clear();
        self.unreleased = Vec::new();
        self.assembled = None;
    }
}

/// Parses a method frame, with RabbitMQ's words when it can't be.
pub(super) fn parse_method<'i>(frame: &Frame<'i>) -> Result<Method<'i>, Failure> {
    let payload = frame.payload;
    let Some(ids) = Method::peek_ids(payload) else {
        return Err(Failure::unknown_frame(frame.kind.octet(), payload));
    };
    Method::parse(payload).map_err(|error| {
        let arguments = payload.get(4..).unwrap_or_default();
        Failure::undecodable(error, ids, arguments)
    })
}
