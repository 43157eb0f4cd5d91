//! What the broker is under when it is killed. Everything here goes on until
//! the connection breaks.

use std::io;

use harrier::wire::method::*;

use crate::client::{Said, ack, consume, nack};
use crate::ledger::Doomed;
use crate::link::{CONFIRMING, CONSUMING, Heard, Linked, TRANSACTIONAL};
use crate::message::Id;
use crate::topology::*;

/// Settles between two fences.
const SETTLES_OF_A_FENCE: u32 = 20;

/// A part of the load: set up, then gone through until it fails.
pub struct Part {
    pub prepare: fn(&mut Linked),
    pub run: fn(&mut Linked) -> io::Result<()>,
}

const fn part(prepare: fn(&mut Linked), run: fn(&mut Linked) -> io::Result<()>) -> Part {
    Part { prepare, run }
}

/// All of it.
pub const LOAD: [Part; 9] = [
    part(|_| {}, publish),
    part(|_| {}, publish),
    part(|link| link.consume(CONSUMING, WORKED, 200), work_singly),
    part(|link| link.consume(CONSUMING, WORKED, 100), work_in_runs),
    part(|_| {}, fetch),
    part(consume_chain, die_on),
    part(|link| link.consume(TRANSACTIONAL, ORDERS, 30), transact),
    part(|_| {}, purge),
    part(|_| {}, delete),
];

/// Publishes to everything that is consumed from, with a window of confirms.
fn publish(link: &mut Linked) -> io::Result<()> {
    let window = 1 + link.roll(80) as usize;
    loop {
        while link.waiting() < window {
            match link.roll(20) {
                0 => link.publish((EVENTS, ""), false, &[KEPT, WORKED]),
                1..5 => link.publish((LOGS, "a.b.c"), true, &[FETCHED]),
                5..9 => link.publish(("", CHAIN1.name()), true, &[CHAIN1]),
                9 => link.publish(("", ORDERS.name()), true, &[ORDERS]),
                _ => link.publish((EVENTS, ""), true, &[KEPT, WORKED]),
            }
        }
        link.hear()?;
    }
}

/// Puts a fence behind every so many settles, unless there are some already.
fn fence_now_and_then(link: &mut Linked) {
    if link.roll(SETTLES_OF_A_FENCE) == 0 && link.waiting() < 3 {
        link.fence();
    }
}

/// Settles each message by itself, and some never.
fn work_singly(link: &mut Linked) -> io::Result<()> {
    loop {
        let Heard::Delivery { tag, id, .. } = link.hear()? else {
            continue;
        };
        match link.roll(20) {
            _ if id.is_stubborn() => {}
            0 => link.give_back(tag, false),
            1..3 => link.settle(tag, false, true),
            _ => link.settle(tag, false, false),
        }
        fence_now_and_then(link);
    }
}

/// Settles as many messages at once as happen to have come.
fn work_in_runs(link: &mut Linked) -> io::Result<()> {
    loop {
        let Heard::Delivery { tag, .. } = link.hear()? else {
            continue;
        };
        match link.roll(60) {
            0 => link.give_back(tag, true),
            1 => link.settle(tag, true, true),
            2..5 => link.settle(tag, true, false),
            _ => {}
        }
        fence_now_and_then(link);
    }
}

/// Gets messages one by one.
fn fetch(link: &mut Linked) -> io::Result<()> {
    loop {
        let get = BasicGet {
            queue: FETCHED.name(),
            ..BasicGet::default()
        };
        link.put(CONSUMING, get);
        let got = link.hear_until(
            |_, _, _| {},
            |said| match said {
                Said::Got {
                    tag,
                    redelivered,
                    message,
                    ..
                } => Some(Some((*tag, *redelivered, message.clone()))),
                Said::Other(CONSUMING, (60, 72)) => Some(None),
                _ => None,
            },
        )?;
        let Some((tag, redelivered, message)) = got else {
            link.fence();
            link.hear_confirms()?;
            continue;
        };
        link.note(Some(FETCHED), tag, redelivered, &message)?;
        match link.roll(10) {
            0 => link.give_back(tag, false),
            // Without a dead-letter exchange that is an ack by another name.
            1 => link.settle(tag, false, true),
            2..4 => {}
            _ => link.settle(tag, true, false),
        }
        fence_now_and_then(link);
    }
}

fn consume_chain(link: &mut Linked) {
    link.consume(CONSUMING, CHAIN2, 50);
    // Its answer comes among deliveries of the other.
    link.put(CONSUMING, consume(CHAIN1.name(), CHAIN1.name()));
}

/// Rejects, so that messages die twice.
fn die_on(link: &mut Linked) -> io::Result<()> {
    loop {
        let Heard::Delivery { tag, id, .. } = link.hear()? else {
            continue;
        };
        match link.roll(10) {
            _ if id.is_stubborn() => link.settle(tag, false, true),
            0 => link.give_back(tag, false),
            1..4 => link.settle(tag, false, false),
            _ => link.settle(tag, false, true),
        }
        fence_now_and_then(link);
    }
}

/// Works on orders in transactions: what comes in goes, what comes of it is
/// published, or none of that.
fn transact(link: &mut Linked) -> io::Result<()> {
    let mut orders: Vec<(u64, Id)> = Vec::new();
    loop {
        for _ in 0..link.roll(12) {
            link.publish(("", ORDERS.name()), true, &[ORDERS]);
        }
        while link.waiting() > 0 || orders.is_empty() {
            if let Heard::Delivery { tag, id, .. } = link.hear()? {
                orders.push((tag, id));
            }
            if link.waiting() == 0 && orders.is_empty() {
                link.publish(("", ORDERS.name()), true, &[ORDERS]);
            }
        }
        let published = link.roll(4);
        let published: Vec<_> = (0..published)
            .map(|_| link.publish_in_transaction((SHOP, "")))
            .collect();
        let refused = link.roll(5) == 0;
        for (tag, _) in &orders {
            if refused {
                link.put(TRANSACTIONAL, nack(*tag, false, false));
            } else {
                link.put(TRANSACTIONAL, ack(*tag, false));
            }
        }
        if link.roll(6) == 0 {
            link.put(TRANSACTIONAL, TxRollback::default());
            link.hear_until(
                |_, tag, id| orders.push((tag, id)),
                is(TRANSACTIONAL, (90, 31)),
            )?;
            link.ledger().count("rolled back");
            continue;
        }
        let settled: Vec<_> = orders
            .iter()
            .map(|(_, id)| (ORDERS, *id, refused))
            .collect();
        let unit = link.note_commit(&settled, &published, &[PAID, SHIPPED]);
        orders.clear();
        link.put(TRANSACTIONAL, TxCommit::default());
        link.hear_until(
            |_, tag, id| orders.push((tag, id)),
            is(TRANSACTIONAL, (90, 21)),
        )?;
        link.ledger().committed(unit);
    }
}

/// Fills a queue and purges it.
fn purge(link: &mut Linked) -> io::Result<()> {
    loop {
        fill(link, PURGED)?;
        let purge = QueuePurge {
            queue: PURGED.name(),
            ..QueuePurge::default()
        };
        let moves = link.ledger().emptied(link.link, PURGED);
        link.put(CONFIRMING, purge);
        link.hear_until(
            |_, _, _| {},
            |said| matches!(said, Said::Purged(..)).then_some(()),
        )?;
        link.ledger().is_emptied(&moves);
    }
}

/// Fills a queue, deletes it and declares it again.
fn delete(link: &mut Linked) -> io::Result<()> {
    loop {
        fill(link, DOOMED)?;
        let delete = QueueDelete {
            queue: DOOMED.name(),
            ..QueueDelete::default()
        };
        let moves = link.ledger().emptied(link.link, DOOMED);
        link.ledger().doomed = Doomed::Deleting;
        link.put(CONFIRMING, delete);
        link.hear_until(
            |_, _, _| {},
            |said| matches!(said, Said::Deleted(..)).then_some(()),
        )?;
        link.ledger().is_emptied(&moves);
        link.ledger().doomed = Doomed::Declaring;
        link.put(CONFIRMING, DOOMED.declaration(false));
        link.hear_until(
            |_, _, _| {},
            |said| matches!(said, Said::Declared { .. }).then_some(()),
        )?;
        link.ledger().doomed = Doomed::There;
    }
}

/// Publishes some messages to a queue, and waits for the confirms more or less.
fn fill(link: &mut Linked, queue: Queue) -> io::Result<()> {
    for _ in 0..1 + link.roll(40) {
        link.publish(("", queue.name()), true, &[queue]);
    }
    let unconfirmed = link.roll(3) as usize * 10;
    while link.waiting() > unconfirmed {
        link.hear()?;
    }
    Ok(())
}

/// Takes one method, known by its ids, for the answer.
fn is(channel: u16, ids: (u16, u16)) -> impl Fn(&Said) -> Option<()> {
    move |said| (*said == Said::Other(channel, ids)).then_some(())
}
