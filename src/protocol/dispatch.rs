//! Methods and contents of channels: what the protocol itself answers or
//! refuses, and what goes on to the broker.

use bytes::{Bytes, BytesMut};

use crate::wire::method::{
    AccessRequestOk, BasicPublish, ChannelClose, ChannelCloseOk, ChannelFlowOk, ChannelOpen,
    ChannelOpenOk, ConfirmSelectOk, TxSelectOk,
};
use crate::wire::parse::LongStr;
use crate::wire::{Frame, FrameKind, Method, ReplyCode, encode};

use super::action::{Action, Settle};
use super::channel::{Mode, State};
use super::connection::{CONTINUE, Connection, Outcome, Stepped, parse_method};
use super::error::{Failure, Ids, NO_METHOD};
use super::names::NoQueue;

/// Class, weight and body size, before the properties.
const CONTENT_HEADER_LEN_MIN: usize = 12;

const OPEN: Ids = (ChannelOpen::CLASS, ChannelOpen::ID);
const CLOSE: Ids = (ChannelClose::CLASS, ChannelClose::ID);
const CLOSE_OK: Ids = (ChannelCloseOk::CLASS, ChannelCloseOk::ID);

impl Connection {
    /// A method frame on a channel other than 0.
    pub(super) fn channel_method<'i>(
        &mut self,
        frame: Frame<'i>,
        out: &mut BytesMut,
    ) -> Stepped<'i> {
        let id = frame.channel;
        match self.channels.get(id).map(|channel| channel.state) {
            Some(State::Open) => self.open_method(frame, out).map_err(|f| (id, f)),
            Some(State::Leaving) => CONTINUE,
            Some(closing) => self.closing_method(closing, frame, out),
            None => self.first_method(frame, out).map_err(|f| (id, f)),
        }
    }

    /// A method on a channel that isn't open: it must be `channel.open`.
    fn first_method<'i>(
        &mut self,
        frame: Frame<'i>,
        out: &mut BytesMut,
    ) -> Result<Outcome<'i>, Failure> {
        let max = self.tuned.channel_max;
        if max != 0 && self.channels.len() >= usize::from(max) {
            return Err(Failure::too_many_channels(self.channels.len(), max));
        }
        match parse_method(&frame)? {
            Method::ChannelOpen(_) => Ok(self.open_channel(frame.channel, out)),
            other => Err(Failure::expected_open(other.ids())),
        }
    }

    fn open_channel<'i>(&mut self, id: u16, out: &mut BytesMut) -> Outcome<'i> {
        self.channels.open(id);
        let channel_id = LongStr(b"");
        encode::method(out, id, ChannelOpenOk { channel_id });
        Outcome::Act(Action::OpenChannel(id))
    }

    /// A method on a channel that we have closed.
    fn closing_method<'i>(
        &mut self,
        state: State,
        frame: Frame<'i>,
        out: &mut BytesMut,
    ) -> Stepped<'i> {
        let id = frame.channel;
        match (state, Method::peek_ids(frame.payload)) {
            (_, Some(CLOSE_OK)) => self.channels.remove(id),
            (_, Some(CLOSE)) => {
                encode::method(out, id, ChannelCloseOk {});
                if let Some(channel) = self.channels.get_mut(id) {
                    channel.state = State::Crossed;
                }
            }
            // Some clients take our close-ok for the end and send none of their own.
            (State::Crossed, Some(OPEN)) => return Ok(self.open_channel(id, out)),
            _ => {}
        }
        CONTINUE
    }

    fn open_method<'i>(
        &mut self,
        frame: Frame<'i>,
        out: &mut BytesMut,
    ) -> Result<Outcome<'i>, Failure> {
        let id = frame.channel;
        if let Some(failure) = self
            .channels
            .get(id)
            .and_then(|channel| channel.assembly.refuses_method())
        {
            return Err(failure);
        }
        let method = parse_method(&frame)?;
        let ids = method.ids();
        let settle = |settle| {
            Ok(Outcome::Act(Action::Settle {
                channel: id,
                settle,
            }))
        };
        match method {
            Method::BasicPublish(publish) => self.begin_publish(id, &publish),
            Method::BasicAck(ack) => settle(Settle::Ack {
                tag: ack.delivery_tag,
                multiple: ack.multiple,
            }),
            Method::BasicNack(nack) => settle(Settle::Nack {
                tag: nack.delivery_tag,
                multiple: nack.multiple,
                requeue: nack.requeue,
            }),
            Method::BasicReject(reject) => settle(Settle::Reject {
                tag: reject.delivery_tag,
                requeue: reject.requeue,
            }),
            Method::ChannelOpen(_) => Err(Failure::second_open(ids)),
            Method::ChannelClose(_) => Ok(self.leave_channel(id)),
            Method::ChannelFlow(flow) if !flow.active => {
                Err(Failure::not_implemented(ids, "active=false"))
            }
            // Some answer the cancel that we send when a queue goes.
            Method::BasicCancelOk(_) => Ok(Outcome::Act(Action::Continue)),
            Method::ChannelFlow(_) => answered(id, ChannelFlowOk { active: true }, out),
            Method::AccessRequest(_) => answered(id, AccessRequestOk { ticket: 1 }, out),
            Method::ConfirmSelect(select) => self.select_confirm(id, ids, select.nowait, out),
            Method::TxSelect(_) => self.select_tx(id, ids, out),
            other => {
                self.check(id, &other)?;
                self.pass_on(id, other)
            }
        }
    }

    fn begin_publish<'i>(
        &mut self,
        id: u16,
        publish: &BasicPublish<'_>,
    ) -> Result<Outcome<'i>, Failure> {
        if publish.immediate {
            let ids = (BasicPublish::CLASS, BasicPublish::ID);
            return Err(Failure::not_implemented(ids, "immediate=true"));
        }
        if let Some(channel) = self.channels.get_mut(id) {
            channel.assembly.begin(publish);
        }
        Ok(Outcome::Act(Action::Continue))
    }

    fn leave_channel<'i>(&mut self, id: u16) -> Outcome<'i> {
        if let Some(channel) = self.channels.get_mut(id) {
            channel.stop(State::Leaving);
        }
        self.unreleased.retain(|listed| *listed != id);
        Outcome::Act(Action::CloseChannel(id))
    }

    fn select_confirm<'i>(
        &mut self,
        id: u16,
        ids: Ids,
        nowait: bool,
        out: &mut BytesMut,
    ) -> Result<Outcome<'i>, Failure> {
        if let Some(channel) = self.channels.get_mut(id) {
            match channel.mode {
                Mode::Tx => {
                    let text = "cannot switch from tx to confirm mode";
                    return Err(Failure::precondition(ids, text));
                }
                Mode::Plain => {
                    channel.mode = Mode::Confirm(Box::default());
                    self.turned.push(id);
                }
                Mode::Confirm(_) => {}
            }
        }
        if nowait {
            return Ok(Outcome::Act(Action::Continue));
        }
        answered(id, ConfirmSelectOk {}, out)
    }

    fn select_tx<'i>(
        &mut self,
        id: u16,
        ids: Ids,
        out: &mut BytesMut,
    ) -> Result<Outcome<'i>, Failure> {
        if let Some(channel) = self.channels.get_mut(id) {
            if let Mode::Confirm(_) = channel.mode {
                let text = "cannot switch from confirm to tx mode";
                return Err(Failure::precondition(ids, text));
            }
            channel.mode = Mode::Tx;
            self.turned.push(id);
        }
        answered(id, TxSelectOk {}, out)
    }

    /// Lets only methods through that a client may send and the broker carries out.
    fn check(&self, id: u16, method: &Method<'_>) -> Result<(), Failure> {
        let ids = method.ids();
        match method {
            Method::ExchangeDeclare(_)
            | Method::ExchangeDelete(_)
            | Method::ExchangeBind(_)
            | Method::ExchangeUnbind(_)
            | Method::QueueDeclare(_)
            | Method::QueueBind(_)
            | Method::QueuePurge(_)
            | Method::QueueDelete(_)
            | Method::QueueUnbind(_)
            | Method::BasicConsume(_)
            | Method::BasicCancel(_)
            | Method::BasicGet(_) => Ok(()),
            Method::BasicQos(qos) if qos.prefetch_size != 0 => {
                let text = format!("prefetch_size!=0 ({})", qos.prefetch_size);
                Err(Failure::not_implemented(ids, text))
            }
            Method::BasicQos(_) => Ok(()),
            Method::BasicRecover(recover) if recover.requeue => Ok(()),
            Method::BasicRecoverAsync(recover) if recover.requeue => Ok(()),
            Method::BasicRecover(_) | Method::BasicRecoverAsync(_) => {
                Err(Failure::not_implemented(ids, "requeue=false"))
            }
            Method::TxCommit(_) | Method::TxRollback(_) if self.is_tx(id) => Ok(()),
            Method::TxCommit(_) | Method::TxRollback(_) => {
                Err(Failure::precondition(ids, "channel is not transactional"))
            }
            _ => Err(Failure::unimplemented(ids)),
        }
    }

    /// Sees to the names in a method that goes on to the broker.
    fn pass_on<'i>(&mut self, id: u16, mut method: Method<'i>) -> Result<Outcome<'i>, Failure> {
        let ids = method.ids();
        let last = self
            .channels
            .get(id)
            .and_then(|channel| channel.last_queue.as_deref());
        match self.names.take(&mut method, last) {
            Ok(true) => Ok(Outcome::Renamed(id, method)),
            Ok(false) => Ok(Outcome::Act(Action::Method {
                channel: id,
                method,
            })),
            Err(NoQueue) => Err(Failure::new(
                ReplyCode::NotFound,
                ids,
                "no previously declared queue",
            )),
        }
    }

    /// A header or body frame on a channel other than 0.
    pub(super) fn content_frame<'i>(&mut self, frame: Frame<'i>, input: &Bytes) -> Stepped<'i> {
        let id = frame.channel;
        let size_max = self.settings.message_size_max;
        if frame.kind == FrameKind::Header && frame.payload.len() < CONTENT_HEADER_LEN_MIN {
            let failure = Failure::unknown_frame(frame.kind.octet(), frame.payload);
            return Err((id, failure));
        }
        let Some(channel) = self.channels.get_mut(id) else {
            let text = "expected method frame, got non method frame instead";
            return Err((id, Failure::out_of_turn(NO_METHOD, text)));
        };
        if channel.state != State::Open {
            return CONTINUE;
        }
        let shared = || input.slice_ref(frame.payload);
        match channel.assembly.take(&frame, size_max, shared) {
            Ok(None) => CONTINUE,
            Ok(Some(content)) => {
                self.assembled = Some(content);
                Ok(Outcome::Assembled(id))
            }
            Err(failure) => Err((id, failure)),
        }
    }
}

fn answered<'i, 'm>(
    id: u16,
    answer: impl Into<Method<'m>>,
    out: &mut BytesMut,
) -> Result<Outcome<'i>, Failure> {
    encode::method(out, id, answer);
    Ok(Outcome::Act(Action::Continue))
}
