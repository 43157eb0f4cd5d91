//! A connection that tells the ledger what it does before it does it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use harrier::wire::method::*;
use parking_lot::{Mutex, MutexGuard};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::client::{Client, Message, Said, ack, consume, nack};
use crate::ledger::{Ledger, Link, Move};
use crate::message::{Id, body_len};
use crate::topology::{FENCES, Queue};

/// The channel with confirms; everything that isn't said below goes over it.
pub const CONFIRMING: u16 = 1;
/// The channel that consumes and gets.
pub const CONSUMING: u16 = 2;
/// The channel with transactions.
pub const TRANSACTIONAL: u16 = 3;

/// What came that isn't a confirm.
pub enum Heard {
    Confirm,
    Delivery { tag: u64, id: Id },
    Said(Said),
}

/// A connection of the load.
pub struct Linked {
    client: Client,
    pub ledger: Arc<Mutex<Ledger>>,
    pub link: Link,
    pub rng: SmallRng,
    seq: u32,
    /// Deliveries not settled, on the channel they came on.
    held: BTreeMap<u64, (Queue, Id)>,
}

impl Linked {
    /// A connection with channels for all that is done.
    pub fn connect(
        address: SocketAddr,
        ledger: &Arc<Mutex<Ledger>>,
        link: Link,
        seed: u64,
    ) -> Self {
        let mut client = Client::connect(address);
        for channel in [CONFIRMING, CONSUMING, TRANSACTIONAL] {
            client.open_channel(channel);
        }
        client.confirm_select(CONFIRMING);
        let selected = client.ask(TRANSACTIONAL, TxSelect::default());
        assert_eq!(selected, Said::Other(TRANSACTIONAL, (90, 11)));
        Self {
            client,
            ledger: Arc::clone(ledger),
            link,
            rng: SmallRng::seed_from_u64(seed),
            seq: 0,
            held: BTreeMap::new(),
        }
    }

    /// What is known. Not to be held while anything is waited for.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock()
    }

    /// Consumes from a queue, under its name.
    pub fn consume(&mut self, channel: u16, queue: Queue, prefetch: u16) {
        self.client.qos(channel, prefetch);
        self.client
            .send(channel, consume(queue.name(), queue.name()));
        // Deliveries may come at once behind the answer.
        let said = self.client.said();
        assert_eq!(said, Said::ConsumeOk(channel, queue.name().into()));
    }

    /// Puts a method into the next write.
    pub fn put<'a>(&mut self, channel: u16, method: impl Into<harrier::wire::Method<'a>>) {
        self.client.put(channel, method);
    }

    /// Puts a publish into the next write that reaches the queues `to`.
    pub fn publish(&mut self, exchange: (&str, &str), persistent: bool, to: &[Queue]) {
        let (id, len) = self.next_message();
        let mut ledger = self.ledger.lock();
        let moves = ledger.publish(id, len, persistent, to);
        ledger.expect_confirm(self.link, moves);
        drop(ledger);
        self.put_message(CONFIRMING, exchange, id, len, persistent);
    }

    /// The same within the transaction.
    pub fn publish_in_transaction(&mut self, exchange: (&str, &str)) -> (Id, usize) {
        let (id, len) = self.next_message();
        self.put_message(TRANSACTIONAL, exchange, id, len, true);
        (id, len)
    }

    /// A publish whose confirm shows that what went before is on disk.
    pub fn fence(&mut self) {
        self.publish(("", FENCES.name()), true, &[FENCES]);
    }

    /// Publishes that aren't confirmed yet.
    pub fn waiting(&self) -> usize {
        self.ledger.lock().waiting(self.link)
    }

    /// Settles the delivery `tag`: for good, or to die.
    pub fn settle(&mut self, tag: u64, multiple: bool, dies: bool) {
        let taken = self.take(tag, multiple);
        let mut ledger = self.ledger.lock();
        for (queue, id) in taken {
            ledger.settled(self.link, queue, id, dies);
        }
        drop(ledger);
        if dies {
            self.client.put(CONSUMING, nack(tag, multiple, false));
        } else {
            self.client.put(CONSUMING, ack(tag, multiple));
        }
    }

    /// Gives the delivery `tag` back.
    pub fn give_back(&mut self, tag: u64, multiple: bool) {
        let taken = self.take(tag, multiple);
        let mut ledger = self.ledger.lock();
        for (queue, id) in taken {
            ledger.returned(queue, id);
        }
        drop(ledger);
        self.client.put(CONSUMING, nack(tag, multiple, true));
    }

    /// Takes a delivery out of those held, with `multiple` all older ones, too.
    pub fn take(&mut self, tag: u64, multiple: bool) -> Vec<(Queue, Id)> {
        if !multiple {
            return self.held.remove(&tag).into_iter().collect();
        }
        let rest = self.held.split_off(&(tag + 1));
        std::mem::replace(&mut self.held, rest)
            .into_values()
            .collect()
    }

    /// Writes what was put and takes the next thing said.
    pub fn hear(&mut self) -> io::Result<Heard> {
        self.write()?;
        let said = self.client.try_said()?;
        Ok(match said {
            Said::Ack { tag, multiple, .. } => {
                self.ledger.lock().confirmed(self.link, tag, multiple);
                Heard::Confirm
            }
            Said::Deliver {
                consumer,
                tag,
                redelivered,
                message,
                ..
            } => {
                let queue = Queue::all().find(|queue| queue.name() == consumer);
                self.note(queue, tag, redelivered, &message)?
            }
            Said::HungUp => return Err(io::ErrorKind::ConnectionReset.into()),
            Said::Closed(..) | Said::ChannelClosed(..) => {
                let text = format!("{said:?}");
                self.ledger
                    .lock()
                    .fault("a channel or connection closed", text);
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            other => Heard::Said(other),
        })
    }

    /// Notes a delivery.
    pub fn note(
        &mut self,
        queue: Option<Queue>,
        tag: u64,
        redelivered: bool,
        message: &Message,
    ) -> io::Result<Heard> {
        let queue = queue.ok_or(io::ErrorKind::InvalidData)?;
        let id = self.ledger.lock().delivered(queue, message, redelivered);
        let id = id.ok_or(io::ErrorKind::InvalidData)?;
        self.held.insert(tag, (queue, id));
        Ok(Heard::Delivery { tag, id })
    }

    /// Hears until something is said that `wanted` makes something of; what
    /// is delivered meanwhile is handed to `delivered`.
    pub fn hear_until<T>(
        &mut self,
        mut delivered: impl FnMut(&mut Self, u64, Id),
        wanted: impl Fn(&Said) -> Option<T>,
    ) -> io::Result<T> {
        loop {
            match self.hear()? {
                Heard::Confirm => {}
                Heard::Delivery { tag, id, .. } => delivered(self, tag, id),
                Heard::Said(said) => match wanted(&said) {
                    Some(answer) => return Ok(answer),
                    None => {
                        let text = format!("{said:?}");
                        self.ledger.lock().fault("an answer to nothing", text);
                    }
                },
            }
        }
    }

    /// Hears until everything published is confirmed.
    pub fn hear_confirms(&mut self) -> io::Result<()> {
        while self.waiting() > 0 {
            self.hear()?;
        }
        Ok(())
    }

    /// Notes steps taken in a transaction; returns its number.
    pub fn note_commit(
        &mut self,
        settled: &[(Queue, Id, bool)],
        published: &[(Id, usize)],
        to: &[Queue],
    ) -> usize {
        let mut ledger = self.ledger.lock();
        let mut moves: Vec<Move> = Vec::new();
        for (id, len) in published {
            moves.extend(ledger.publish(*id, *len, true, to));
        }
        for (queue, id, dies) in settled {
            moves.push(ledger.step(self.link, *queue, *id, *dies));
        }
        ledger.commit(moves)
    }

    fn write(&mut self) -> io::Result<()> {
        let put = self.client.take_put();
        self.client.try_write(&put)
    }

    fn next_message(&mut self) -> (Id, usize) {
        self.seq += 1;
        let id = Id {
            publisher: self.link.0,
            seq: self.seq,
        };
        (id, body_len(&mut self.rng))
    }

    fn put_message(
        &mut self,
        channel: u16,
        to: (&str, &str),
        id: Id,
        len: usize,
        persistent: bool,
    ) {
        let properties = id.properties(persistent);
        self.client
            .put_publish(channel, to, &properties, &id.body(len));
    }

    /// A number below `of`.
    pub fn roll(&mut self, of: u32) -> u32 {
        self.rng.random_range(0..of)
    }
}
