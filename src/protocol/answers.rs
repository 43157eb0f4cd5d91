//! What the server calls back when it has done what an action asked for, and
//! what it may say of its own accord.

use std::time::Duration;

use bytes::{BufMut, BytesMut};

use crate::base::clock::Now;
use crate::base::ids::Batch;
use crate::wire::method::{
    ChannelClose, ChannelCloseOk, ConnectionBlocked, ConnectionClose, ConnectionCloseOk,
    ConnectionUnblocked, ConnectionUpdateSecretOk,
};
use crate::wire::{Refusal, ReplyCode, encode};

use super::action::{Liveness, Phase};
use super::channel::{self, Mode};
use super::client::{Client, Tuned};
use super::confirm::Fate;
use super::connection::{Connection, State};
use super::error::NO_METHOD;

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

    /// Answers [`Action::CloseChannel`](super::Action::CloseChannel) when the channel is cleaned up.
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

    /// Answers [`Action::CloseConnection`](super::Action::CloseConnection) when everything is cleaned up; the
    /// socket can be closed once it is sent.
    pub fn close_ok(&mut self, out: &mut BytesMut) {
        if self.state == State::Leaving {
            // Until the client hangs up: whoever closes twice is answered twice.
            self.state = State::Closing;
            encode::method(out, 0, ConnectionCloseOk {});
        }
    }

    /// Answers [`Action::UpdateSecret`](super::Action::UpdateSecret) when the secret was accepted.
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

    /// The channels that went into confirm mode or began transactions since this
    /// was last asked.
    pub fn take_turned(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.turned)
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
        self.release_confirms_telling(synced, out, |_, _| {})
    }

    /// The same; tells of each channel where it had something to look at, how many
    /// of its publishes have been confirmed or refused by then.
    pub fn release_confirms_telling(
        &mut self,
        synced: Batch,
        out: &mut BytesMut,
        mut tell: impl FnMut(u16, u64),
    ) -> Option<Batch> {
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
            tell(id, confirms.written());
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
}
