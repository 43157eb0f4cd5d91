//! Dead letters of quorum queues that may not be lost, and that nothing takes.

use std::sync::Arc;

use harrier::base::clock::Now;
use harrier::base::ids::ConnectionId;
use harrier::broker::attempts::ReturnCause;
use harrier::broker::dead_lettering::see_to_effects;
use harrier::broker::effects::Effects;
use harrier::broker::queue::{Got, Incoming, Pushed, Queue, Settlement, Surroundings};
use harrier::broker::store::Store;
use harrier::broker::vhost::{QueueIds, Vhost};
use harrier::wire::method::QueueDeclare;
use harrier::wire::{FieldTable, FieldValue, Properties};

use crate::ledger::Ledger;
use crate::support::*;

/// Milliseconds until another attempt.
const RETRY: u64 = 30_000;

struct Host {
    ledger: Arc<Ledger>,
    vhost: Vhost,
    effects: Effects,
    now: u64,
}

impl Host {
    fn new() -> Self {
        let ledger = Arc::new(Ledger::default());
        ledger.answer_at_once();
        let mut host = Self {
            vhost: vhost(&ledger),
            ledger,
            effects: Effects::default(),
            now: 0,
        };
        host.wait(1_000_000);
        host
    }

    fn queue(&mut self, name: &str, arguments: FieldTable) -> Arc<Queue> {
        let declare = QueueDeclare {
            queue: name,
            durable: true,
            arguments,
            ..QueueDeclare::default()
        };
        self.vhost
            .declare_queue(&declare, ConnectionId(1), String::new, &mut self.effects)
            .unwrap()
    }

    fn push(&mut self, queue: &Arc<Queue>, number: u32) -> Pushed {
        let number = number.to_be_bytes();
        queue.push(&Incoming::new(content(&number, true)), &mut self.effects)
    }

    /// Rejects all that is ready.
    fn reject_all(&mut self, queue: &Arc<Queue>) {
        let sleeper = Arc::new(Sleeper::default());
        let mut held = Vec::new();
        let effects = &mut self.effects;
        while let Got::Message(slot) = queue.get(false, &sleeper, effects, |d, _| d.held) {
            held.extend(slot);
        }
        let discard = Settlement::Discard(ReturnCause::Rejected);
        queue.settle(&held, discard, &mut self.effects);
        see_to_effects(&self.vhost, &mut self.effects);
    }

    fn take_all(&mut self, queue: &Arc<Queue>) -> Vec<u32> {
        let sleeper = Arc::new(Sleeper::default());
        let mut all = Vec::new();
        let effects = &mut self.effects;
        while let Got::Message(one) =
            queue.get(true, &sleeper, effects, |d, _| number(d.message.body))
        {
            all.push(one);
        }
        all
    }

    fn wait(&mut self, ms: u64) {
        self.now += ms;
        self.effects.set_now(Now::at_ms(self.now));
        self.ledger.set_now(Now::at_ms(self.now));
    }

    /// Does what a timer would as long as the queue asks to be called.
    fn call(&mut self, queue: &Arc<Queue>) {
        let tried = queue.counts().undelivered;
        for _ in 0..=tried {
            queue.on_time(&mut self.effects);
            see_to_effects(&self.vhost, &mut self.effects);
        }
    }
}

fn vhost(ledger: &Arc<Ledger>) -> Vhost {
    let store = Arc::clone(ledger) as Arc<dyn Store>;
    let around = Surroundings::new(store, Arc::default());
    Vhost::new("/".into(), Arc::new(QueueIds::default()), around)
}

/// A quorum queue whose dead letters go to the queue `dead`.
fn careful() -> FieldTable {
    FieldTable::from_iter([
        ("x-queue-type", FieldValue::str("quorum")),
        ("x-dead-letter-exchange", FieldValue::str("")),
        ("x-dead-letter-routing-key", FieldValue::str("dead")),
        ("x-dead-letter-strategy", FieldValue::str("at-least-once")),
        ("x-overflow", FieldValue::str("reject-publish")),
    ])
}

#[test]
fn what_nothing_takes_stays_until_something_does() {
    let mut host = Host::new();
    let q = host.queue("q", careful());
    for number in 0..3 {
        host.push(&q, number);
    }
    host.reject_all(&q);
    let counts = q.counts();
    assert_eq!((counts.ready, counts.unacked), (0, 0));
    assert_eq!((counts.undelivered, counts.undelivered_bytes), (3, 12));
    assert_eq!(host.ledger.numbers(q.id()), [0, 1, 2]);
    let dead = host.queue("dead", FieldTable::new());
    host.wait(RETRY - 1);
    host.call(&q);
    assert_eq!(q.counts().undelivered, 3);
    host.wait(1);
    host.call(&q);
    assert_eq!(q.counts().undelivered, 0);
    assert!(host.ledger.numbers(q.id()).is_empty());
    assert_eq!(host.ledger.numbers(dead.id()), [0, 1, 2]);
    let stored = host.ledger.stored(dead.id());
    let properties = Properties::parse(stored[0].message.view().properties).unwrap();
    let headers = properties.headers_table().unwrap();
    let reason = headers.get("x-last-death-reason");
    assert_eq!(reason.and_then(FieldValue::as_str), Some("rejected"));
    assert_eq!(host.take_all(&dead), [0, 1, 2]);
}

#[test]
fn what_is_refused_everywhere_stays() {
    let mut host = Host::new();
    let q = host.queue("q", careful());
    let full = FieldTable::from_iter([
        ("x-max-length", FieldValue::I64(2)),
        ("x-overflow", FieldValue::str("reject-publish")),
    ]);
    let dead = host.queue("dead", full);
    for number in 0..5 {
        host.push(&q, number);
        host.reject_all(&q);
    }
    assert_eq!((dead.counts().ready, q.counts().undelivered), (2, 3));
    let mut found = host.take_all(&dead);
    while q.counts().undelivered > 0 {
        host.wait(RETRY);
        host.call(&q);
        let more = host.take_all(&dead);
        assert!(!more.is_empty());
        found.extend(more);
    }
    found.sort_unstable();
    assert_eq!(found, [0, 1, 2, 3, 4]);
}

#[test]
fn many_are_tried_without_waiting_once_they_are_taken() {
    let mut host = Host::new();
    let q = host.queue("q", careful());
    for number in 0..1000 {
        host.push(&q, number);
    }
    host.reject_all(&q);
    let dead = host.queue("dead", FieldTable::new());
    host.wait(RETRY);
    host.call(&q);
    assert_eq!(q.counts().undelivered, 0);
    assert_eq!(dead.counts().ready, 1000);
}

#[test]
fn they_take_room_in_their_queue() {
    let mut host = Host::new();
    let mut arguments = careful();
    arguments.push("x-max-length", 2);
    let q = host.queue("q", arguments);
    for number in 0..3 {
        assert_eq!(host.push(&q, number), Pushed::Taken);
    }
    host.reject_all(&q);
    assert_eq!(host.push(&q, 3), Pushed::Refused);
    host.queue("dead", FieldTable::new());
    host.wait(RETRY);
    host.call(&q);
    assert_eq!(host.push(&q, 3), Pushed::Taken);
}

#[test]
fn a_full_queue_takes_messages_again_once_it_is_purged() {
    let mut host = Host::new();
    let mut arguments = careful();
    arguments.push("x-max-length", 2);
    let q = host.queue("q", arguments);
    for number in 0..3 {
        assert_eq!(host.push(&q, number), Pushed::Taken);
    }
    host.reject_all(&q);
    assert_eq!(host.push(&q, 3), Pushed::Refused);
    q.purge(&mut host.effects);
    assert_eq!(host.push(&q, 3), Pushed::Taken);
}

#[test]
fn purging_and_deleting_drop_them() {
    let mut host = Host::new();
    let q = host.queue("q", careful());
    for number in 0..3 {
        host.push(&q, number);
    }
    host.reject_all(&q);
    host.push(&q, 3);
    assert_eq!(q.purge(&mut host.effects), 1);
    assert_eq!(q.counts().undelivered, 0);
    assert!(host.ledger.numbers(q.id()).is_empty());
    host.push(&q, 4);
    host.reject_all(&q);
    q.delete(&mut host.effects);
    assert_eq!(q.counts().undelivered, 0);
    host.wait(RETRY);
    host.call(&q);
    assert!(!host.effects.has_dead_letters());
}

#[test]
fn after_a_restart_they_are_ready_again() {
    let mut host = Host::new();
    let q = host.queue("q", careful());
    host.push(&q, 1);
    host.reject_all(&q);
    host.ledger.reopen();
    host.vhost = vhost(&host.ledger);
    for change in host.ledger.changes() {
        host.vhost.restore(&change);
    }
    let q = host.vhost.queue("q", ConnectionId(1)).unwrap();
    q.restore(q.id(), host.ledger.remainder(q.id()));
    q.resume_after_restart(&mut host.effects);
    assert_eq!((q.counts().ready, q.counts().undelivered), (1, 0));
    assert_eq!(host.take_all(&q), [1]);
}

#[test]
fn without_what_it_takes_they_are_dropped_as_ever() {
    for (name, value) in [
        ("x-dead-letter-strategy", "at-most-once"),
        ("x-overflow", "drop-head"),
    ] {
        let mut host = Host::new();
        let mut arguments = careful();
        arguments.set(name, value);
        let q = host.queue("q", arguments);
        host.push(&q, 1);
        host.reject_all(&q);
        assert_eq!(q.counts().undelivered, 0, "{name} {value}");
        assert!(host.ledger.numbers(q.id()).is_empty());
    }
}
