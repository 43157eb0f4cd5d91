//! The queues, the exchange and the bindings of a run, and who uses which.

use bytes::BytesMut;

use super::error::PerfError;
use super::options::{ExchangeKind, PerfCommand};
use super::session::{CHANNEL, Session};
use super::template::Target;
use crate::wire::method::{ExchangeDeclare, ExchangeDelete, QueueBind, QueueDeclare, QueueDelete};
use crate::wire::{FieldTable, FieldValue, Method, Properties};

/// Bindings sent before their answers are waited for: enough to hide the way
/// there and back, few enough not to fill both sockets.
const BIND_BATCH: u32 = 256;

/// The name of the header that a headers exchange looks at.
const HEADER: &str = "perf-queue";

/// What is declared, and the routes between its ends.
#[derive(Debug, Clone)]
pub struct Topology {
    prefix: String,
    kind: ExchangeKind,
    queues: u16,
    producers: u16,
    consumers: u16,
    fanout: bool,
    persistent: bool,
    durable: bool,
    bindings: u32,
    queue_arguments: FieldTable,
}

impl Topology {
    /// The topology that `plan` asks for.
    pub fn new(plan: &PerfCommand) -> Self {
        let arguments = plan.queue_args.iter();
        Self {
            prefix: plan.prefix(),
            kind: plan.exchange,
            queues: plan.queues,
            producers: plan.producers,
            consumers: plan.consumers,
            fanout: plan.fanout,
            persistent: plan.persistent,
            durable: plan.durable,
            bindings: plan.bindings,
            queue_arguments: arguments
                .map(|(name, value)| (name, value.to_field()))
                .collect(),
        }
    }

    /// The name of queue `queue`; all are of the same length.
    pub fn queue_name(&self, queue: u16) -> String {
        format!("{}-{queue:05}", self.prefix)
    }

    fn exchange_name(&self) -> String {
        match self.kind {
            ExchangeKind::Default => String::new(),
            kind => format!("{}-{kind}", self.prefix),
        }
    }

    /// The queues that `producer` publishes to in turn; with fan-out each
    /// publish goes to all queues, and this is the first.
    pub fn queues_of_producer(&self, producer: u16) -> Vec<u16> {
        if self.fanout {
            return vec![0];
        }
        share(producer, self.producers, self.queues)
    }

    /// The queues that `consumer` consumes from.
    pub fn queues_of_consumer(&self, consumer: u16) -> Vec<u16> {
        share(consumer, self.consumers, self.queues)
    }

    /// Where `producer` publishes, in turn.
    pub fn targets(&self, producer: u16) -> Vec<Target> {
        let queues = self.queues_of_producer(producer).into_iter();
        let target = |queue| Target {
            exchange: self.exchange_name(),
            routing_key: self.routing_key(queue),
            properties: self.properties(queue),
        };
        queues.map(target).collect()
    }

    fn routing_key(&self, queue: u16) -> String {
        match self.kind {
            ExchangeKind::Default => self.queue_name(queue),
            ExchangeKind::Direct => format!("perf.{queue:05}"),
            ExchangeKind::Topic => format!("perf.{queue:05}.event"),
            ExchangeKind::Fanout | ExchangeKind::Headers => String::new(),
        }
    }

    fn properties(&self, queue: u16) -> Vec<u8> {
        let properties = Properties {
            delivery_mode: self.persistent.then_some(2),
            ..Properties::default()
        };
        let mut raw = BytesMut::new();
        if self.kind == ExchangeKind::Headers {
            let number = FieldValue::I32(i32::from(queue));
            raw = properties.with_headers(&FieldTable::from_iter([(HEADER, number)]));
        } else {
            properties.put(&mut raw);
        }
        raw.to_vec()
    }

    /// Routing key and arguments of binding `number`. Publishes for queue `q`
    /// match binding `q` and no other.
    fn binding(&self, number: u32) -> (String, FieldTable) {
        match self.kind {
            ExchangeKind::Topic => (format!("*.{number:05}.#"), FieldTable::new()),
            ExchangeKind::Headers => {
                let number = FieldValue::I32(i32::try_from(number).unwrap_or(i32::MAX));
                let all = [("x-match", FieldValue::str("all")), (HEADER, number)];
                (String::new(), FieldTable::from_iter(all))
            }
            _ => (format!("perf.{number:05}"), FieldTable::new()),
        }
    }

    /// Declares everything, the queues empty.
    ///
    /// # Errors
    /// [`PerfError`] when the server refuses, or a queue holds messages already.
    pub fn declare(&self, session: &mut Session) -> Result<(), PerfError> {
        for queue in 0..self.queues {
            let waiting = self.declare_queue(session, queue, false)?;
            if waiting > 0 {
                let name = self.queue_name(queue);
                return Err(PerfError::State(format!(
                    "queue '{name}' already holds {waiting} messages: \
                     consume them with --drain, or choose another --queue-name"
                )));
            }
        }
        if self.kind == ExchangeKind::Default {
            return Ok(());
        }
        self.declare_exchange(session)?;
        self.bind(session)
    }

    fn declare_queue(
        &self,
        session: &mut Session,
        queue: u16,
        passive: bool,
    ) -> Result<u32, PerfError> {
        let declare = QueueDeclare {
            queue: &self.queue_name(queue),
            passive,
            durable: self.durable,
            arguments: self.queue_arguments.clone(),
            ..QueueDeclare::default()
        };
        session.call(
            CHANNEL,
            declare,
            "queue.declare-ok",
            |method| match method {
                Method::QueueDeclareOk(ok) => Some(ok.message_count),
                _ => None,
            },
        )
    }

    fn declare_exchange(&self, session: &mut Session) -> Result<(), PerfError> {
        let declare = ExchangeDeclare {
            exchange: &self.exchange_name(),
            kind: &self.kind.to_string(),
            durable: self.durable,
            ..ExchangeDeclare::default()
        };
        session.ask(CHANNEL, declare, "exchange.declare-ok", |method| {
            matches!(method, Method::ExchangeDeclareOk(_))
        })
    }

    fn bind(&self, session: &mut Session) -> Result<(), PerfError> {
        let exchange = self.exchange_name();
        let needed = u32::from(self.queues);
        for number in 0..needed.max(self.bindings) {
            let queue = (number % needed) as u16;
            // With fan-out all queues are bound the way queue 0 is.
            let (routing_key, arguments) = if self.fanout && number < needed {
                self.binding(0)
            } else {
                self.binding(number)
            };
            let is_last_of_batch =
                number % BIND_BATCH == 0 || number + 1 >= needed.max(self.bindings);
            let bind = QueueBind {
                queue: &self.queue_name(queue),
                exchange: &exchange,
                routing_key: &routing_key,
                nowait: !is_last_of_batch,
                arguments,
                ..QueueBind::default()
            };
            if is_last_of_batch {
                session.ask(CHANNEL, bind, "queue.bind-ok", |method| {
                    matches!(method, Method::QueueBindOk(_))
                })?;
            } else {
                crate::wire::encode::method(&mut session.link.outbound, CHANNEL, bind);
            }
        }
        Ok(())
    }

    /// How many messages wait in each queue.
    ///
    /// # Errors
    /// [`PerfError`] when a queue isn't there.
    pub fn depths(&self, session: &mut Session) -> Result<Vec<u64>, PerfError> {
        let queues = 0..self.queues;
        let depth = |queue| self.declare_queue(session, queue, true).map(u64::from);
        queues.map(depth).collect()
    }

    /// Deletes everything.
    ///
    /// # Errors
    /// [`PerfError`] when the server refuses.
    pub fn delete(&self, session: &mut Session) -> Result<(), PerfError> {
        for queue in 0..self.queues {
            let name = self.queue_name(queue);
            let delete = QueueDelete {
                queue: &name,
                ..QueueDelete::default()
            };
            session.ask(CHANNEL, delete, "queue.delete-ok", |method| {
                matches!(method, Method::QueueDeleteOk(_))
            })?;
        }
        if self.kind == ExchangeKind::Default {
            return Ok(());
        }
        let delete = ExchangeDelete {
            exchange: &self.exchange_name(),
            ..ExchangeDelete::default()
        };
        session.ask(CHANNEL, delete, "exchange.delete-ok", |method| {
            matches!(method, Method::ExchangeDeleteOk(_))
        })
    }
}

/// The queues of connection `index` of `connections`: with at least as many
/// connections as queues one each, else every `connections`-th.
fn share(index: u16, connections: u16, queues: u16) -> Vec<u16> {
    if connections >= queues {
        return vec![index % queues.max(1)];
    }
    (index..queues)
        .step_by(usize::from(connections.max(1)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_queue_is_served() {
        for (connections, queues) in [(1, 1), (3, 10), (10, 3), (4, 4)] {
            let mut served: Vec<_> = (0..connections)
                .flat_map(|index| share(index, connections, queues))
                .collect();
            served.sort_unstable();
            served.dedup();
            assert_eq!(served, (0..queues).collect::<Vec<_>>());
        }
    }

    #[test]
    fn with_more_producers_than_queues_each_has_one() {
        assert_eq!(share(7, 10, 3), [1]);
        assert_eq!(share(1, 3, 10), [1, 4, 7]);
    }
}
