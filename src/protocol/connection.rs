//! One client's connection: frames in, actions and replies out.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use crate::base::clock::Now;
use crate::base::ids::Batch;
use crate::base::limits::FRAME_MAX_BEFORE_TUNE;
use crate::wire::frame::HEAD_LEN;
use crate::wire::method::{
    ChannelClose, ChannelCloseOk, ConnectionBlocked, ConnectionClose, ConnectionCloseOk,
    ConnectionUnblocked, ConnectionUpdateSecretOk,
};
use crate::wire::{Frame, FrameError, FrameHead, FrameKind, Method, Refusal, ReplyCode, encode};

use super::action::{Action, Liveness, Login, Phase};
use super::assembly::Content;
use super::channel::{self, Channels, Mode};
use super::client::{Client, Settings, Tuned};
use super::confirm::Fate;
use super::dispatch::Names;
use super::error::{Failure, Ids, NO_METHOD};
use super::heartbeat::Heartbeat;

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
    /// The content put together last, while the server looks at it.
    pub(super) assembled: Option<Box<Content>>,
    /// Names that could not be borrowed from the input as they were.
    pub(super) names: Names,
    /// What an AMQPLAIN response said, while the server looks at it.
    pub(super) credentials: (String, Vec<u8>),
    /// Octets of an oversized frame that are still to be skipped.
    skip: usize,
    pub(super) heartbeat: Heartbeat,
    failure: Option<String>,
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
    const fn name(self) -> &'static str {
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

    /// How many octets the first frame in `buffered` that isn't whole needs
    /// in all; never more than the largest frame allowed.
    pub fn wanted_len(&self, buffered: &[u8]) -> usize {
        let (ready, wanted) = self.hop(buffered);
        wanted.max(buffered.len().saturating_sub(ready).min(HEAD_LEN) + 1)
    }

    /// Works on the unit at `*at` and moves `*at` past it. Replies that need
    /// nobody else are appended to `out`. A unit that isn't whole leaves `*at`
    /// where it is.
    #[inline]
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

    /// The largest payload of a frame taken: eight octets more than agreed, as
    /// RabbitMQ does.
    #[inline]
    pub(super) fn payload_max(&self) -> u32 {
        match self.tuned.frame_max {
            0 => u32::MAX,
            max => max,
        }
    }

    fn hop(&self, buffered: &[u8]) -> (usize, usize) {
        let units_max = match self.state {
            State::Header if buffered.len() < PROTOCOL_HEADER_LEN => {
                return (0, PROTOCOL_HEADER_LEN);
            }
            State::Header => return (PROTOCOL_HEADER_LEN, 0),
            State::Leaving | State::Closed => return (buffered.len(), 0),
            State::Running | State::Closing => usize::MAX,
            _ => 1,
        };
        let mut ready = self.skip.min(buffered.len());
        let mut units = usize::from(ready > 0);
        while units < units_max {
            let rest = buffered.get(ready..).unwrap_or_default();
            let Some(head) = FrameHead::peek(rest) else {
                break;
            };
            if head.size > self.payload_max() {
                return (ready + HEAD_LEN, 0);
            }
            if head.frame_len() > rest.len() {
                return (ready, head.frame_len());
            }
            ready += head.frame_len();
            units += 1;
        }
        (ready, 0)
    }

    fn forget_channels(&mut self) {
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

/// What the server calls back, and may ask.
impl Connection {
    /// Closes a channel for `refusal`, with class and method id at fault:
    /// writes `channel.close` and discards what comes on it until `close-ok`.
    pub fn close_channel(
        &mut self,
        channel: u16,
        refusal: &Refusal,
        ids: (u16, u16),
        out: &mut BytesMut,
    ) {
        let Some(open) = self.channels.get_mut(channel) else {
            return;
        };
        if self.state != State::Running || open.state != channel::State::Open {
            return;
        }
        open.stop(channel::State::Closing);
        self.unreleased.retain(|listed| *listed != channel);
        let text = refusal.text();
        let close = ChannelClose {
            reply_code: refusal.code.code(),
            reply_text: &text,
            class_id: ids.0,
            method_id: ids.1,
        };
        encode::method(out, channel, close);
        self.failure = Some(text);
    }

    /// Closes the connection for `refusal`, with class and method id at
    /// fault: writes `connection.close` and discards what comes until `close-ok`.
    pub fn close(&mut self, refusal: &Refusal, ids: (u16, u16), out: &mut BytesMut) {
        match self.state {
            State::Closing | State::Leaving | State::Closed => return,
            // To a client that hasn't spoken yet there is nothing to be said.
            State::Header => {
                self.state = State::Closed;
                return;
            }
            _ => self.state = State::Closing,
        }
        self.forget_channels();
        let text = refusal.text();
        let close = ConnectionClose {
            reply_code: refusal.code.code(),
            reply_text: &text,
            class_id: ids.0,
            method_id: ids.1,
        };
        encode::method(out, 0, close);
        self.failure = Some(text);
    }

    /// Closes the connection because the server stops.
    pub fn shutdown(&mut self, out: &mut BytesMut) {
        let text = "broker forced connection closure with reason 'shutdown'";
        let refusal = Refusal::new(ReplyCode::ConnectionForced, text);
        self.close(&refusal, NO_METHOD, out);
    }

    /// Answers [`Action::CloseChannel`] when the channel is cleaned up.
    pub fn channel_close_ok(&mut self, channel: u16, out: &mut BytesMut) {
        let leaving = self
            .channels
            .get(channel)
            .is_some_and(|open| open.state == channel::State::Leaving);
        if leaving {
            self.channels.remove(channel);
            encode::method(out, channel, ChannelCloseOk {});
        }
    }

    /// Answers [`Action::CloseConnection`] when everything is cleaned up; the
    /// socket can be closed once it is sent.
    pub fn close_ok(&mut self, out: &mut BytesMut) {
        if self.state == State::Leaving {
            self.state = State::Closed;
            encode::method(out, 0, ConnectionCloseOk {});
        }
    }

    /// Answers [`Action::UpdateSecret`] when the secret was accepted.
    pub fn secret_updated(&mut self, out: &mut BytesMut) {
        if self.state == State::Running {
            encode::method(out, 0, ConnectionUpdateSecretOk {});
        }
    }

    /// Tells the client that nothing is read from it, and why; only if it
    /// said that it understands.
    pub fn blocked(&mut self, reason: &str, out: &mut BytesMut) {
        if self.hears_blocked() {
            encode::method(out, 0, ConnectionBlocked { reason });
        }
    }

    /// Takes [`blocked`](Self::blocked) back.
    pub fn unblocked(&mut self, out: &mut BytesMut) {
        if self.hears_blocked() {
            encode::method(out, 0, ConnectionUnblocked {});
        }
    }

    fn hears_blocked(&self) -> bool {
        self.state == State::Running && self.client.capabilities.connection_blocked
    }

    /// Notes the queue a channel has declared: what an empty name stands for
    /// from now on.
    pub fn set_last_queue(&mut self, channel: u16, queue: &str) {
        if let Some(open) = self.channels.get_mut(channel) {
            open.last_queue = Some(queue.to_owned());
        }
    }

    /// Whether publishes and settles on the channel wait for `tx.commit`.
    pub fn is_tx(&self, channel: u16) -> bool {
        self.channels.get(channel).is_some_and(|open| open.is_tx())
    }

    /// Takes down that publish `seq` of a channel was taken and is confirmed
    /// once `batch` is on disk; `None`: there is nothing to wait for.
    pub fn confirm(&mut self, channel: u16, seq: u64, batch: Option<Batch>) {
        self.report(channel, seq, Fate::Ack(batch.unwrap_or_default()));
    }

    /// Takes down that publish `seq` of a channel was refused.
    pub fn nack(&mut self, channel: u16, seq: u64) {
        self.report(channel, seq, Fate::Nack);
    }

    fn report(&mut self, channel: u16, seq: u64, fate: Fate) {
        let Some(open) = self.channels.get_mut(channel) else {
            return;
        };
        if let Mode::Confirm(confirms) = &mut open.mode {
            confirms.report(seq, fate);
            if !confirms.listed {
                confirms.listed = true;
                self.unreleased.push(channel);
            }
        }
    }

    /// Writes the confirms that can be given now that everything up to batch
    /// `synced` is on disk. Returns the lowest batch that others wait for.
    pub fn release_confirms(&mut self, synced: Batch, out: &mut BytesMut) -> Option<Batch> {
        if self.unreleased.is_empty() {
            return None;
        }
        let mut lowest: Option<Batch> = None;
        let channels = &mut self.channels;
        self.unreleased.retain(|&id| {
            let Some(Mode::Confirm(confirms)) = channels.get_mut(id).map(|open| &mut open.mode)
            else {
                return false;
            };
            if let Some(batch) = confirms.release(id, synced, out) {
                lowest = Some(lowest.map_or(batch, |least| least.min(batch)));
            }
            confirms.listed = !confirms.is_settled();
            confirms.listed
        });
        lowest
    }

    /// The heartbeat interval agreed on.
    pub fn heartbeat_interval(&self) -> Option<Duration> {
        self.heartbeat.interval()
    }

    /// How often [`tick`](Self::tick) has to be called: twice an interval.
    pub fn tick_interval(&self) -> Option<Duration> {
        self.heartbeat.interval().map(|interval| interval / 2)
    }

    /// Half an interval has passed: sends a heartbeat if nothing was sent
    /// meanwhile, and judges whether the client is still there.
    pub fn tick(
        &mut self,
        now: Now,
        sent_since_last_tick: bool,
        received_since: bool,
        out: &mut BytesMut,
    ) -> Liveness {
        if self.heartbeat.interval().is_none() || self.state == State::Closed {
            return Liveness::Alive;
        }
        if !sent_since_last_tick && self.state != State::Closing {
            out.put_slice(&encode::HEARTBEAT);
        }
        self.heartbeat.listen(now, received_since)
    }

    /// What was agreed on; before that, what the server proposes.
    pub fn tuned(&self) -> Tuned {
        self.tuned
    }

    /// What the client said about itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Where the connection stands.
    pub fn state(&self) -> Phase {
        match self.state {
            State::Header => Phase::AwaitingHeader,
            State::Running => Phase::Running,
            State::Closing | State::Leaving => Phase::Closing,
            State::Closed => Phase::Closed,
            _ => Phase::Handshake,
        }
    }

    /// The reply text of the last close we sent, of a channel or of the
    /// connection, or why the socket is to be dropped: for the log.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Ends the connection without a word to the client.
    pub(super) fn give_up(&mut self, reason: String) {
        self.state = State::Closed;
        self.failure = Some(reason);
    }
}
