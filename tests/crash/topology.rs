//! What is declared, and the ways a message can take through it.

use harrier::wire::FieldTable;
use harrier::wire::method::{ExchangeDeclare, QueueBind, QueueDeclare};

use crate::client::{Client, Said};

/// A queue, by its place in [`QUEUES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queue(pub usize);

/// Gets everything of [`EVENTS`]; nobody consumes from it.
pub const KEPT: Queue = Queue(0);
/// Gets everything of [`EVENTS`]; is consumed from.
pub const WORKED: Queue = Queue(1);
/// Gets what [`WORKED`] rejects.
pub const DEAD: Queue = Queue(2);
/// Is bound by a pattern and emptied by `basic.get`.
pub const FETCHED: Queue = Queue(3);
/// The first of three through which messages die on.
pub const CHAIN1: Queue = Queue(4);
/// The second.
pub const CHAIN2: Queue = Queue(5);
/// The last.
pub const CHAIN3: Queue = Queue(6);
/// What transactions work on.
pub const ORDERS: Queue = Queue(7);
/// Gets the orders rejected.
pub const REFUSED: Queue = Queue(8);
/// Gets everything of [`SHOP`], which transactions publish to.
pub const PAID: Queue = Queue(9);
/// The same.
pub const SHIPPED: Queue = Queue(10);
/// Gets the messages whose confirm shows that the disk has what went before.
pub const FENCES: Queue = Queue(11);
/// Is purged.
pub const PURGED: Queue = Queue(12);
/// Is deleted and declared again.
pub const DOOMED: Queue = Queue(13);

/// Fans out.
pub const EVENTS: &str = "events";
/// Routes by pattern.
pub const LOGS: &str = "logs";
/// Fans out.
pub const SHOP: &str = "shop";
/// Takes the dead.
pub const GRAVEYARD: &str = "graveyard";

/// How a queue is declared.
pub struct Spec {
    pub name: &'static str,
    /// The exchange and the queue that get its dead letters.
    pub dies_to: Option<(&'static str, Queue)>,
    /// Where its messages were published to first: queues with the same root
    /// pass messages on to each other.
    pub root: Queue,
    /// Nobody consumes from it while there is load.
    pub untouched: bool,
}

const fn spec(name: &'static str, root: Queue) -> Spec {
    Spec {
        name,
        dies_to: None,
        root,
        untouched: false,
    }
}

const fn dying(name: &'static str, root: Queue, exchange: &'static str, to: Queue) -> Spec {
    Spec {
        dies_to: Some((exchange, to)),
        ..spec(name, root)
    }
}

const fn untouched(name: &'static str, root: Queue) -> Spec {
    Spec {
        untouched: true,
        ..spec(name, root)
    }
}

/// Every queue.
pub const QUEUES: [Spec; 14] = [
    untouched("kept", KEPT),
    dying("worked", WORKED, GRAVEYARD, DEAD),
    untouched("dead", WORKED),
    spec("fetched", FETCHED),
    dying("chain-1", CHAIN1, "", CHAIN2),
    dying("chain-2", CHAIN1, GRAVEYARD, CHAIN3),
    untouched("chain-3", CHAIN1),
    dying("orders", ORDERS, "", REFUSED),
    untouched("refused", ORDERS),
    untouched("paid", PAID),
    untouched("shipped", SHIPPED),
    untouched("fences", FENCES),
    untouched("purged", PURGED),
    untouched("doomed", DOOMED),
];

/// The bindings: exchange, routing key, queue.
const BINDINGS: [(&str, &str, Queue); 7] = [
    (EVENTS, "", KEPT),
    (EVENTS, "", WORKED),
    (LOGS, "a.*.c", FETCHED),
    (SHOP, "", PAID),
    (SHOP, "", SHIPPED),
    (GRAVEYARD, "dead", DEAD),
    (GRAVEYARD, "chain-3", CHAIN3),
];

impl Queue {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..QUEUES.len()).map(Queue)
    }

    /// How it is declared.
    pub fn spec(self) -> &'static Spec {
        &QUEUES[self.0]
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// Where its messages were published to first.
    pub fn root(self) -> Self {
        self.spec().root
    }

    /// Where its dead letters go.
    pub fn dies_to(self) -> Option<Self> {
        self.spec().dies_to.map(|(_, queue)| queue)
    }

    /// The queue that died to this one last.
    pub fn predecessor(self) -> Option<Self> {
        Self::all().find(|queue| queue.dies_to() == Some(self))
    }

    /// Declares it; returns how many messages it has.
    pub fn declare(self, client: &mut Client) -> std::io::Result<Said> {
        client.send(1, self.declaration(false));
        client.try_said()
    }

    /// The method that declares it, or looks whether it is there.
    pub fn declaration(self, passive: bool) -> QueueDeclare<'static> {
        let mut arguments = FieldTable::new();
        if let Some((exchange, queue)) = self.spec().dies_to {
            arguments.push("x-dead-letter-exchange", exchange);
            arguments.push("x-dead-letter-routing-key", queue.name());
        }
        QueueDeclare {
            queue: self.name(),
            durable: true,
            passive,
            arguments,
            ..QueueDeclare::default()
        }
    }
}

/// Declares everything. Once is enough: it is durable.
pub fn declare(client: &mut Client) {
    let kinds = [
        (EVENTS, "fanout"),
        (LOGS, "topic"),
        (SHOP, "fanout"),
        (GRAVEYARD, "direct"),
    ];
    for (exchange, kind) in kinds {
        let declare = ExchangeDeclare {
            exchange,
            kind,
            durable: true,
            ..ExchangeDeclare::default()
        };
        assert_eq!(client.ask(1, declare), Said::Other(1, (40, 11)));
    }
    for queue in Queue::all() {
        let said = queue.declare(client).unwrap();
        assert!(matches!(said, Said::Declared { .. }), "{said:?}");
    }
    for (exchange, routing_key, queue) in BINDINGS {
        let bind = QueueBind {
            queue: queue.name(),
            exchange,
            routing_key,
            ..QueueBind::default()
        };
        assert_eq!(client.ask(1, bind), Said::Other(1, (50, 21)));
    }
}
