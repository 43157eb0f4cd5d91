//! The account of a run: what every queue should have got and what came out.

use super::delivery::Delivery;
use super::options::PerfCommand;
use super::sequence::{Arrival, Order, Sequence};

/// Which producer's messages belong in which queue, and as which of theirs.
#[derive(Debug, Clone, Copy)]
pub struct Routes {
    queues: u16,
    producers: u16,
    fanout: bool,
}

impl Routes {
    /// The routes of `plan`.
    pub fn new(plan: &PerfCommand) -> Self {
        Self {
            queues: plan.queues,
            producers: plan.producers,
            fanout: plan.fanout,
        }
    }

    /// Producers that share one queue, at most.
    fn slots(&self) -> usize {
        if self.fanout {
            return usize::from(self.producers);
        }
        usize::from(self.producers.div_ceil(self.queues))
    }

    /// The slot in `queue` of a producer's message `number`, and which of its
    /// messages to this queue it is; `None` if it doesn't belong there.
    fn place(&self, queue: u16, producer: u16, number: u64) -> Option<(usize, u64)> {
        if queue >= self.queues || producer >= self.producers {
            return None;
        }
        if self.fanout {
            return Some((usize::from(producer), number));
        }
        if self.producers >= self.queues {
            let own = producer % self.queues == queue;
            return own.then_some((usize::from(producer / self.queues), number));
        }
        let queues = u64::from(self.queues_of(producer));
        let turn = u64::from(queue / self.producers);
        let own = queue % self.producers == producer && number % queues == turn;
        own.then_some((0, number / queues))
    }

    /// How many queues `producer` serves in turn, of fewer producers than queues.
    fn queues_of(&self, producer: u16) -> u16 {
        (self.queues - producer).div_ceil(self.producers)
    }

    /// How many of a producer's first `sent` messages belong in `queue`.
    fn share(&self, queue: u16, producer: u16, sent: u64) -> u64 {
        if self.fanout {
            return sent;
        }
        if self.producers >= self.queues {
            return if producer % self.queues == queue {
                sent
            } else {
                0
            };
        }
        if queue % self.producers != producer {
            return 0;
        }
        let queues = u64::from(self.queues_of(producer));
        sent / queues + u64::from(u64::from(queue / self.producers) < sent % queues)
    }
}

/// Keeps the account while messages arrive.
#[derive(Debug)]
pub struct Verifier {
    routes: Routes,
    /// The length every body must have; `None` doesn't look.
    body_len: Option<u64>,
    /// By queue, then by slot.
    sequences: Vec<Sequence>,
    /// By queue and slot, or by consumer and slot when consumers share queues.
    orders: Vec<Order>,
    shared_queues: bool,
    account: Account,
}

/// What came out of the queues, and what didn't.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Different messages that arrived, each queue counted.
    pub received: u64,
    /// Messages that were sent and never arrived.
    pub lost: u64,
    /// Messages that arrived again without being marked as redelivered.
    pub duplicated: u64,
    /// Messages that arrived after a later one of the same producer and queue.
    pub reordered: u64,
    /// Messages that nobody sent to that queue, or with another body.
    pub foreign: u64,
    /// Messages marked as redelivered.
    pub redelivered: u64,
}

impl Verifier {
    /// An account of nothing yet.
    pub fn new(plan: &PerfCommand) -> Self {
        let routes = Routes::new(plan);
        let slots = routes.slots();
        let queues = usize::from(plan.queues);
        let shared_queues = plan.consumers > plan.queues;
        let orders = queues.max(usize::from(plan.consumers));
        Self {
            routes,
            body_len: (!plan.drain).then_some(plan.size as u64),
            sequences: std::iter::repeat_with(Sequence::default)
                .take(queues * slots)
                .collect(),
            orders: vec![Order::default(); orders * slots],
            shared_queues,
            account: Account::default(),
        }
    }

    /// Different messages that arrived so far.
    pub fn received(&self) -> u64 {
        self.account.received
    }

    /// Takes a message that `consumer` got.
    pub fn receive(&mut self, consumer: u16, delivery: &Delivery) {
        if self.enter(consumer, delivery).is_none() {
            self.account.foreign += 1;
        }
    }

    fn enter(&mut self, consumer: u16, delivery: &Delivery) -> Option<()> {
        let stamp = delivery.stamp?;
        if self.body_len.is_some_and(|len| len != delivery.body_len) {
            return None;
        }
        let routes = self.routes;
        let (slot, number) = routes.place(delivery.queue, stamp.producer, stamp.number)?;
        let by = if self.shared_queues {
            consumer
        } else {
            delivery.queue
        };
        let sequence = usize::from(delivery.queue) * routes.slots() + slot;
        let order = usize::from(by) * routes.slots() + slot;
        let arrival = self.sequences.get_mut(sequence)?.receive(number);
        match arrival {
            Arrival::First => self.account.received += 1,
            Arrival::Duplicate if delivery.redelivered => {}
            Arrival::Duplicate => self.account.duplicated += 1,
            Arrival::Foreign => return None,
        }
        if delivery.redelivered {
            self.account.redelivered += 1;
        } else if arrival == Arrival::First && !self.orders.get_mut(order)?.receive(number) {
            self.account.reordered += 1;
        }
        Some(())
    }

    /// Closes the account: producer `p` sent `sent[p]` messages.
    pub fn close(mut self, sent: &[u64]) -> Account {
        self.account.lost = self.missing(|queue, producer, _| {
            let sent = sent.get(usize::from(producer)).copied().unwrap_or(0);
            self.routes.share(queue, producer, sent)
        });
        self.account
    }

    /// Closes the account of a drain: the queues held `waiting` messages, sent
    /// by producers that began with number 0 into empty queues.
    pub fn close_drained(mut self, waiting: u64) -> Account {
        let gaps = self.missing(|_, _, sequence| sequence.end());
        self.account.lost = gaps.max(waiting.saturating_sub(self.account.received));
        self.account
    }

    fn missing(&self, expected: impl Fn(u16, u16, &Sequence) -> u64) -> u64 {
        let slots = self.routes.slots();
        let mut missing = 0;
        for (at, sequence) in self.sequences.iter().enumerate() {
            let (queue, slot) = ((at / slots) as u16, (at % slots) as u16);
            let producer = if self.routes.fanout {
                slot
            } else if self.routes.producers >= self.routes.queues {
                queue + slot * self.routes.queues
            } else {
                queue % self.routes.producers
            };
            if producer < self.routes.producers {
                let expected = expected(queue, producer, sequence);
                missing += expected.saturating_sub(sequence.received());
            }
        }
        missing
    }
}

impl Account {
    /// Whether each message arrived once and in order.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.reordered == 0 && self.foreign == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::stamp::Stamp;
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        perf: PerfCommand,
    }

    fn plan(line: &str) -> PerfCommand {
        let words = std::iter::once("perf").chain(line.split_whitespace());
        Line::parse_from(words).perf.settled().expect("a good plan")
    }

    fn delivery(queue: u16, producer: u16, number: u64) -> Delivery {
        Delivery {
            queue,
            tag: 0,
            redelivered: false,
            body_len: 16,
            stamp: Some(Stamp {
                producer,
                number,
                sent_ns: 0,
            }),
        }
    }

    /// Sends `each` messages per producer the way producers do; consumers get them all.
    fn run(line: &str, each: u64) -> Account {
        let plan = plan(line);
        let topology = super::super::topology::Topology::new(&plan);
        let mut verifier = Verifier::new(&plan);
        for producer in 0..plan.producers {
            let queues = if plan.fanout {
                (0..plan.queues).collect()
            } else {
                topology.queues_of_producer(producer)
            };
            for number in 0..each {
                if plan.fanout {
                    for queue in &queues {
                        verifier.receive(*queue, &delivery(*queue, producer, number));
                    }
                } else {
                    let queue = queues[number as usize % queues.len()];
                    let consumer = queue % plan.consumers;
                    verifier.receive(consumer, &delivery(queue, producer, number));
                }
            }
        }
        verifier.close(&vec![each; usize::from(plan.producers)])
    }

    #[test]
    fn all_shapes_of_traffic_come_out_clean() {
        for (line, expected) in [
            ("", 100),
            ("--producers 7 --queues 3 --consumers 3", 700),
            ("--producers 3 --queues 10 --consumers 2", 300),
            ("--producers 3 --queues 10 --consumers 20", 300),
            ("--producers 2 --queues 5 --consumers 5 --fanout", 1000),
        ] {
            let account = run(line, 100);
            assert_eq!(account.received, expected, "{line}");
            assert!(account.is_clean(), "{line}: {account:?}");
        }
    }

    #[test]
    fn each_fault_has_its_own_count() {
        let plan = plan("--producers 2 --queues 2 --consumers 2");
        let mut verifier = Verifier::new(&plan);
        for number in [0, 1, 1, 4, 3] {
            verifier.receive(0, &delivery(0, 0, number));
        }
        verifier.receive(1, &delivery(1, 0, 5));
        verifier.receive(
            1,
            &Delivery {
                stamp: None,
                ..delivery(1, 1, 0)
            },
        );
        verifier.receive(
            1,
            &Delivery {
                body_len: 17,
                ..delivery(1, 1, 0)
            },
        );
        let account = verifier.close(&[5, 1]);
        let expected = Account {
            received: 4,
            lost: 2,
            duplicated: 1,
            reordered: 1,
            foreign: 3,
            redelivered: 0,
        };
        assert_eq!(account, expected);
    }

    #[test]
    fn a_redelivery_is_no_duplicate() {
        let mut verifier = Verifier::new(&plan(""));
        verifier.receive(0, &delivery(0, 0, 0));
        verifier.receive(0, &delivery(0, 0, 1));
        let again = Delivery {
            redelivered: true,
            ..delivery(0, 0, 0)
        };
        verifier.receive(0, &again);
        let account = verifier.close(&[2]);
        assert!(account.is_clean(), "{account:?}");
        assert_eq!(account.redelivered, 1);
    }

    #[test]
    fn a_drain_finds_gaps_and_shortages() {
        let mut verifier = Verifier::new(&plan("--drain --queue-name q"));
        for number in [0, 1, 3] {
            verifier.receive(0, &delivery(0, 0, number));
        }
        assert_eq!(verifier.close_drained(3).lost, 1);
        let verifier = Verifier::new(&plan("--drain --queue-name q"));
        assert_eq!(verifier.close_drained(8).lost, 8);
    }
}
