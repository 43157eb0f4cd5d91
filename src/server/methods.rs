//! The methods that declare, bind and delete: one handler each.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::BytesMut;

use super::session::Session;
use crate::broker::replies::is_direct_reply_to;
use crate::broker::spec::{BindingSpec, Destination};
use crate::wire::encode;
use crate::wire::method::*;
use crate::wire::{FieldTable, Method, Refusal, ReplyCode};

impl Session {
    /// Carries out a method and appends its answer to `out`.
    ///
    /// # Errors
    /// The refusal that the channel or the connection is to be closed with.
    pub fn method(
        &mut self,
        channel: u16,
        method: Method<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        match method {
            Method::QueueDeclare(m) => self.queue_declare(channel, &m, out),
            Method::QueueBind(m) => self.queue_bind(channel, m, out),
            Method::QueueUnbind(m) => self.queue_unbind(channel, m, out),
            Method::QueuePurge(m) => self.queue_purge(channel, &m, out),
            Method::QueueDelete(m) => self.queue_delete(channel, &m, out),
            Method::ExchangeDeclare(m) => self.exchange_declare(channel, &m, out),
            Method::ExchangeDelete(m) => self.exchange_delete(channel, &m, out),
            Method::ExchangeBind(m) => self.exchange_bind(channel, m, out),
            Method::ExchangeUnbind(m) => self.exchange_unbind(channel, m, out),
            Method::BasicQos(m) => self.basic_qos(channel, &m, out),
            Method::BasicConsume(m) => self.basic_consume(channel, &m, out),
            Method::BasicCancel(m) => self.basic_cancel(channel, &m, out),
            Method::BasicGet(m) => self.basic_get(channel, &m, out),
            Method::BasicRecover(_) => {
                encode::method(out, channel, BasicRecoverOk::default());
                // What comes back may be delivered again at once, after the reply.
                self.outbox.append(out);
                self.recover(channel);
                Ok(())
            }
            Method::BasicRecoverAsync(_) => {
                self.recover(channel);
                Ok(())
            }
            Method::TxCommit(_) => self.tx_commit(channel, out),
            Method::TxRollback(_) => self.tx_rollback(channel, out),
            _ => Err(Refusal::new(
                ReplyCode::CommandInvalid,
                "unimplemented method",
            )),
        }
    }

    fn queue_declare(
        &mut self,
        channel: u16,
        method: &QueueDeclare<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        if is_direct_reply_to(method.queue) {
            return self.declare_reply_address(channel, method, out);
        }
        let name = if method.passive {
            method.queue.to_owned()
        } else {
            self.vhost
                .queue_name(method, || generated_name("amq.gen-"))?
        };
        self.permits().queue_declare(method, &name)?;
        let queue = self
            .vhost
            .declare_queue(method, self.id, || name, &mut self.effects)?;
        if !method.nowait {
            let counts = queue.counts();
            let answer = QueueDeclareOk {
                queue: queue.name(),
                message_count: saturating_u32(counts.ready),
                consumer_count: saturating_u32(counts.consumers),
            };
            encode::method(out, channel, answer);
        }
        self.channel_mut(channel)?.declared = Some(Arc::clone(queue.name()));
        Ok(())
    }

    /// Answers whether somebody waits for replies: with direct reply-to, every
    /// declaration is as good as a passive one.
    fn declare_reply_address(
        &mut self,
        channel: u16,
        method: &QueueDeclare<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        let queue = method.queue;
        self.check_reply_address(queue)?;
        let found = QueueDeclareOk {
            queue,
            message_count: 0,
            consumer_count: 1,
        };
        answer(out, channel, method.nowait, found);
        self.channel_mut(channel)?.declared = Some(queue.into());
        Ok(())
    }

    fn queue_bind(
        &mut self,
        channel: u16,
        method: QueueBind<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        let to = Destination::Queue(method.queue.into());
        let spec = binding(method.exchange, to, method.routing_key, method.arguments);
        self.bind(spec)?;
        answer(out, channel, method.nowait, QueueBindOk::default());
        Ok(())
    }

    fn queue_unbind(
        &mut self,
        channel: u16,
        method: QueueUnbind<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        let to = Destination::Queue(method.queue.into());
        let spec = binding(method.exchange, to, method.routing_key, method.arguments);
        self.unbind(&spec)?;
        answer(out, channel, false, QueueUnbindOk::default());
        Ok(())
    }

    fn exchange_bind(
        &mut self,
        channel: u16,
        method: ExchangeBind<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        let to = Destination::Exchange(method.destination.into());
        let spec = binding(method.source, to, method.routing_key, method.arguments);
        self.bind(spec)?;
        answer(out, channel, method.nowait, ExchangeBindOk::default());
        Ok(())
    }

    fn exchange_unbind(
        &mut self,
        channel: u16,
        method: ExchangeUnbind<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        let to = Destination::Exchange(method.destination.into());
        let spec = binding(method.source, to, method.routing_key, method.arguments);
        self.unbind(&spec)?;
        answer(out, channel, method.nowait, ExchangeUnbindOk::default());
        Ok(())
    }

    fn bind(&mut self, spec: BindingSpec) -> Result<(), Refusal> {
        self.permits().binding(&spec)?;
        self.vhost.bind(spec, self.id, &mut self.effects)?;
        // What a recent-history exchange sends may be too much for a queue.
        self.see_to_effects();
        Ok(())
    }

    fn unbind(&mut self, spec: &BindingSpec) -> Result<(), Refusal> {
        self.permits().binding(spec)?;
        self.vhost.unbind(spec, self.id, &mut self.effects)?;
        self.see_to_effects();
        Ok(())
    }

    fn queue_purge(
        &mut self,
        channel: u16,
        method: &QueuePurge<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        self.permits().read(method.queue)?;
        let purged = self.queue(method.queue)?.purge(&mut self.effects);
        let message_count = saturating_u32(purged);
        answer(out, channel, method.nowait, QueuePurgeOk { message_count });
        Ok(())
    }

    fn queue_delete(
        &mut self,
        channel: u16,
        method: &QueueDelete<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        self.permits().queue_delete(method.queue)?;
        let deleted = self.vhost.delete_queue(
            method.queue,
            method.if_unused,
            method.if_empty,
            self.id,
            &mut self.effects,
        )?;
        let message_count = saturating_u32(deleted);
        answer(out, channel, method.nowait, QueueDeleteOk { message_count });
        Ok(())
    }

    fn exchange_declare(
        &mut self,
        channel: u16,
        method: &ExchangeDeclare<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        self.permits().exchange_declare(method)?;
        self.vhost.declare_exchange(method, &mut self.effects)?;
        answer(out, channel, method.nowait, ExchangeDeclareOk::default());
        Ok(())
    }

    fn exchange_delete(
        &mut self,
        channel: u16,
        method: &ExchangeDelete<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        self.permits().exchange_delete(method.exchange)?;
        self.vhost
            .delete_exchange(method.exchange, method.if_unused, &mut self.effects)?;
        answer(out, channel, method.nowait, ExchangeDeleteOk::default());
        Ok(())
    }

    fn tx_commit(&mut self, number: u16, out: &mut BytesMut) -> Result<(), Refusal> {
        let transaction = self.channel_mut(number)?.take_transaction();
        self.effects.take_batch();
        for publish in &transaction.publishes {
            self.return_held(number, publish, out);
        }
        self.commit(number, &transaction)?;
        encode::method(out, number, TxCommitOk::default());
        Ok(())
    }

    fn tx_rollback(&mut self, number: u16, out: &mut BytesMut) -> Result<(), Refusal> {
        let _rolled_back = self.channel_mut(number)?.take_transaction();
        encode::method(out, number, TxRollbackOk::default());
        Ok(())
    }
}

fn binding(from: &str, to: Destination, key: &str, arguments: FieldTable) -> BindingSpec {
    BindingSpec {
        source: from.into(),
        destination: to,
        routing_key: key.into(),
        arguments,
    }
}

/// Appends an answer, unless the client doesn't want one.
pub(super) fn answer<'a>(
    out: &mut BytesMut,
    channel: u16,
    nowait: bool,
    method: impl Into<Method<'a>>,
) {
    if !nowait {
        encode::method(out, channel, method);
    }
}

/// A name nobody else has: `prefix` and 128 random bits.
pub(super) fn generated_name(prefix: &str) -> String {
    let random: [u8; 16] = rand::random();
    format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(random))
}

fn saturating_u32(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
