//! The methods of those who take messages: one handler each.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::BytesMut;

use super::channel::ChannelConsumer;
use super::methods::{answer, generated_name};
use super::outbox::{OutboxConsumer, OutboxGetter};
use super::session::{Session, WaitingGet};
use super::window::Place;
use crate::base::config::{GlobalQos, TimeoutResponse};
use crate::broker::access::Permission;
use crate::broker::consuming::{check_consume, check_get, has_usual_timeout};
use crate::broker::queue::{ConsumerSpec, Got, Queue};
use crate::broker::replies::DIRECT_REPLY_TO;
use crate::wire::encode;
use crate::wire::method::*;
use crate::wire::{Refusal, ReplyCode};

impl Session {
    pub(super) fn basic_qos(
        &mut self,
        channel: u16,
        method: &BasicQos,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        if method.global && self.limits.global_qos == GlobalQos::Channel {
            let slot = self.channel_mut(channel)?.slot;
            self.outbox.set_window(slot, method.prefetch_count);
            let view = &self.channel_mut(channel)?.view;
            view.set_global_prefetch(method.prefetch_count);
            self.serve_passed_over(channel);
        } else {
            let channel = self.channel_mut(channel)?;
            channel.prefetch = method.prefetch_count;
            channel.view.set_prefetch(method.prefetch_count);
        }
        encode::method(out, channel, BasicQosOk::default());
        Ok(())
    }

    pub(super) fn basic_consume(
        &mut self,
        number: u16,
        method: &BasicConsume<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        let tag = self.consumer_tag(number, method.consumer_tag)?;
        if method.queue == DIRECT_REPLY_TO {
            let consumer_tag = Arc::clone(&tag);
            let consumer_tag = &*consumer_tag;
            return self.consume_replies(number, tag, method.no_ack, |outbox| {
                answer(out, number, method.nowait, BasicConsumeOk { consumer_tag });
                outbox.append(out);
            });
        }
        self.permits().read(method.queue)?;
        let queue = self.queue(method.queue)?;
        let spec = self.consumer_spec(number, method, &queue)?;
        let slot = self.channel_mut(number)?.slot;
        let outbox = &self.outbox;
        let Some(source) = outbox.with_channel(slot, |c| c.join(&queue)) else {
            return Ok(());
        };
        let subscriber = Arc::new(OutboxConsumer {
            outbox: Arc::clone(outbox),
            channel: number,
            slot,
            tag: Arc::clone(&tag),
            source,
            no_ack: method.no_ack,
            cancel_notify: self.cancel_notify,
            timeout_closes: !self.cancel_notify
                || self.limits.timeout_response == TimeoutResponse::CloseChannel,
            place: Place::default(),
            is_off: AtomicBool::new(false),
        });
        // Deliveries may begin at once: the answer goes before them.
        let answer_first = || {
            let consumer_tag = &*tag;
            answer(out, number, method.nowait, BasicConsumeOk { consumer_tag });
            outbox.append(out);
        };
        let receiver = Arc::clone(&subscriber);
        let attached = queue.attach(spec, receiver, answer_first, &mut self.effects);
        let consumer_slot = attached.inspect_err(|_| subscriber.leave())?;
        self.tell_consumer_created(number, &tag, method, spec.prefetch);
        let consumer = ChannelConsumer {
            queue,
            slot: consumer_slot,
            source,
            subscriber,
        };
        let channel = self.channel_mut(number)?;
        channel.add_consumer(tag, consumer, spec, &method.arguments);
        self.see_to_effects();
        Ok(())
    }

    /// How a consumer is to be served, by its arguments and its channel.
    fn consumer_spec(
        &mut self,
        number: u16,
        method: &BasicConsume<'_>,
        queue: &Queue,
    ) -> Result<ConsumerSpec, Refusal> {
        let (slot, prefetch) = {
            let channel = self.channel_mut(number)?;
            (channel.slot, channel.prefetch)
        };
        let shares_prefetch = self.outbox.has_window(slot);
        let wanted = check_consume(queue, &method.arguments, shares_prefetch)?;
        Ok(ConsumerSpec {
            prefetch,
            no_ack: method.no_ack,
            exclusive: method.exclusive,
            priority: wanted.priority,
            timeout: wanted.timeout,
            usual_timeout: self.usual_timeout(queue),
        })
    }

    /// Milliseconds that a message of a queue may be held where neither the queue
    /// nor the consumer says.
    fn usual_timeout(&self, queue: &Queue) -> Option<u64> {
        has_usual_timeout(queue).then_some(self.limits.consumer_timeout)
    }

    /// The tag a consumer gets: the one asked for, if it is free, or a new one.
    fn consumer_tag(&mut self, number: u16, wanted: &str) -> Result<Arc<str>, Refusal> {
        let limit = self.limits.consumers_per_channel;
        let channel = self.channel_mut(number)?;
        if channel.has_consumer(wanted) {
            let text = format!("attempt to reuse consumer tag '{wanted}'");
            return Err(Refusal::new(ReplyCode::NotAllowed, text));
        }
        if channel.consumers.len() >= limit {
            let text = format!("reached maximum ({limit}) of consumers per channel");
            return Err(Refusal::new(ReplyCode::NotAllowed, text));
        }
        Ok(if wanted.is_empty() {
            generated_name("amq.ctag-").into()
        } else {
            wanted.into()
        })
    }

    pub(super) fn basic_cancel(
        &mut self,
        number: u16,
        method: &BasicCancel<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        let channel = self.channel_mut(number)?;
        if let Some(consumer) = channel.remove_consumer(method.consumer_tag) {
            consumer.queue.detach(consumer.slot, &mut self.effects);
            consumer.subscriber.leave();
            self.tell_consumer_deleted(number, method.consumer_tag, consumer.queue.name());
            self.see_to_effects();
        } else if let Some(requester) = channel
            .replies
            .take_if(|requester| *requester.tag == *method.consumer_tag)
        {
            self.vhost.replies().close(&requester.address);
        }
        let consumer_tag = method.consumer_tag;
        answer(out, number, method.nowait, BasicCancelOk { consumer_tag });
        Ok(())
    }

    /// Cancels the consumers whose queues the user may not read any more.
    pub(super) fn drop_unreadable(&mut self, out: &mut BytesMut) {
        let mut gone = Vec::new();
        for (number, channel) in &mut self.channels {
            let grants = &mut self.grants;
            let lost = channel.consumers.extract_if(|_, consumer| {
                !grants.allow_queue(Permission::Read, consumer.queue.name())
            });
            for (tag, consumer) in lost {
                consumer.queue.detach(consumer.slot, &mut self.effects);
                consumer.subscriber.leave();
                channel.view.remove_consumer(&tag);
                let cancel = BasicCancel {
                    consumer_tag: &tag,
                    nowait: true,
                };
                answer(out, *number, !self.cancel_notify, cancel);
                gone.push((*number, tag, consumer.queue));
            }
        }
        for (number, tag, queue) in gone {
            self.tell_consumer_deleted(number, &tag, queue.name());
        }
        self.see_to_effects();
    }

    pub(super) fn basic_get(
        &mut self,
        number: u16,
        method: &BasicGet<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        self.permits().read(method.queue)?;
        let queue = self.queue(method.queue)?;
        check_get(&queue)?;
        let slot = self.channel_mut(number)?.slot;
        self.outbox.append(out);
        let outbox = &self.outbox;
        let Some(source) = outbox.with_channel(slot, |c| c.join(&queue)) else {
            return Ok(());
        };
        let effects = &mut self.effects;
        let now = effects.now();
        let got = queue.get(method.no_ack, outbox, effects, |delivery, remaining| {
            outbox.put_get_ok(number, slot, source, delivery, (remaining, now));
            delivery.held
        });
        outbox.with_channel(slot, |c| c.leave(source));
        match got {
            Got::Message(Some(held)) => {
                let usual = self.usual_timeout(&queue);
                let getter = || OutboxGetter::shared(&self.outbox, slot, source);
                queue.time_got(held, usual, getter, &mut self.effects);
            }
            Got::Message(None) => {}
            Got::Nothing => {
                self.channel_mut(number)?.view.get_empty.add(1);
                encode::method(out, number, BasicGetEmpty::default());
            }
            Got::NotYet => {
                self.waiting_get = Some(WaitingGet {
                    channel: number,
                    queue: method.queue.to_owned(),
                    no_ack: method.no_ack,
                });
            }
        }
        // Those that turned out to be expired are dead letters.
        self.see_to_effects();
        Ok(())
    }

    /// Carries out again the `basic.get` that waits, if one does: its channel
    /// and what became of it.
    pub fn get_again(&mut self, out: &mut BytesMut) -> Option<(u16, Result<(), Refusal>)> {
        let get = self.waiting_get.take()?;
        let method = BasicGet {
            queue: &get.queue,
            no_ack: get.no_ack,
            ..BasicGet::default()
        };
        Some((get.channel, self.basic_get(get.channel, &method, out)))
    }
}
