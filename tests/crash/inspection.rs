//! Looking at everything a broker has, and putting away what is old.

use std::io;
use std::net::SocketAddr;

use harrier::wire::method::*;

use crate::client::{Client, Said, ack, consume};
use crate::ledger::{Ledger, Link};
use crate::message::Id;
use crate::topology::{DOOMED, FENCES, Queue};
use crate::verdict::{Found, Seen};

/// Rounds after which a message has been there long enough.
const ROUNDS_KEPT: u32 = 2;
/// The same for one that is stubborn.
const ROUNDS_STUBBORN: u32 = 12;

/// What came from one queue, each with its delivery tag.
struct Held {
    queue: Queue,
    tags: Vec<(u64, Id)>,
}

/// Takes stock, has the ledger judge it and acknowledges what is old. The rest
/// goes back to where it was.
pub fn inspect(address: SocketAddr, ledger: &mut Ledger, link: Link) -> io::Result<()> {
    let mut client = Client::connect(address);
    client.open_channel(1);
    let mut found: Found = Vec::new();
    let mut held = Vec::new();
    for queue in Queue::all() {
        // Each on a channel of its own, so that tags count from 1.
        let channel = queue.0 as u16 + 2;
        client.open_channel(channel);
        let Some(ready) = count(&mut client, channel, queue)? else {
            found.push(None);
            continue;
        };
        let by_get = (ledger.round as usize + queue.0).is_multiple_of(4);
        let seen = if by_get {
            get_all(&mut client, channel, queue)?
        } else {
            consume_all(&mut client, channel, queue, ready)?
        };
        if seen.len() != ready as usize {
            let text = format!("{}: {} of {ready}", queue.name(), seen.len());
            ledger.fault("a count", text);
        }
        let on_disk = ledger.on_disk.get(queue.name());
        if let Some(on_disk) = on_disk.filter(|on_disk| **on_disk != seen.len() as u64) {
            let text = format!("{}: {} of {on_disk}", queue.name(), seen.len());
            ledger.fault("a count by store check", text);
        }
        let tags = (1..).zip(&seen);
        let tags = tags.filter_map(|(tag, seen)| Some((tag, seen.id?)));
        held.push(Held {
            queue,
            tags: tags.collect(),
        });
        found.push(Some(seen));
    }
    ledger.judge(&found);
    put_away(&mut client, ledger, link, &held)?;
    client.close();
    Ok(())
}

/// How many messages a queue has ready, if it is there.
fn count(client: &mut Client, channel: u16, queue: Queue) -> io::Result<Option<u32>> {
    client.send(channel, queue.declaration(true));
    match client.try_said()? {
        Said::Declared { messages, .. } => Ok(Some(messages)),
        Said::ChannelClosed(_, 404, _) => {
            client.send(channel, ChannelCloseOk::default());
            client.open_channel(channel);
            Ok(None)
        }
        other => Err(unexpected(&other)),
    }
}

fn consume_all(
    client: &mut Client,
    channel: u16,
    queue: Queue,
    ready: u32,
) -> io::Result<Vec<Seen>> {
    client.send(channel, consume(queue.name(), "look"));
    let mut seen = Vec::new();
    loop {
        match client.try_said()? {
            Said::ConsumeOk(..) => {}
            Said::Deliver {
                redelivered,
                message,
                ..
            } => seen.push(of_message(redelivered, message.properties, &message.body)),
            Said::CancelOk(..) => return Ok(seen),
            other => return Err(unexpected(&other)),
        }
        // Behind the last there is to be nothing more.
        if seen.len() == ready as usize {
            let cancel = BasicCancel {
                consumer_tag: "look",
                ..BasicCancel::default()
            };
            client.send(channel, cancel);
        }
    }
}

fn get_all(client: &mut Client, channel: u16, queue: Queue) -> io::Result<Vec<Seen>> {
    let mut seen = Vec::new();
    loop {
        let get = BasicGet {
            queue: queue.name(),
            ..BasicGet::default()
        };
        client.send(channel, get);
        match client.try_said()? {
            Said::Got {
                redelivered,
                message,
                ..
            } => seen.push(of_message(redelivered, message.properties, &message.body)),
            Said::Other(_, (60, 72)) => return Ok(seen),
            other => return Err(unexpected(&other)),
        }
    }
}

fn of_message(redelivered: bool, properties: Vec<u8>, body: &[u8]) -> Seen {
    Seen {
        id: Id::of(body),
        len: body.len(),
        redelivered,
        properties,
    }
}

/// Acknowledges what is old, sees to it that the queue is there that is deleted
/// now and then, and waits until all that is on disk.
fn put_away(client: &mut Client, ledger: &mut Ledger, link: Link, held: &[Held]) -> io::Result<()> {
    let round = ledger.round;
    for Held { queue, tags } in held {
        for (tag, id) in tags {
            let kept = if id.is_stubborn() {
                ROUNDS_STUBBORN
            } else {
                ROUNDS_KEPT
            };
            if Link(id.publisher).round() + kept < round {
                ledger.settled(link, *queue, *id, false);
                client.put(queue.0 as u16 + 2, ack(*tag, false));
            } else {
                ledger.handed_out(*queue, *id);
            }
        }
    }
    let said = DOOMED.declare(client)?;
    if !matches!(said, Said::Declared { .. }) {
        return Err(unexpected(&said));
    }
    ledger.is_declared();
    client.confirm_select(1);
    let id = Id {
        publisher: link.0,
        seq: 1,
    };
    let moves = ledger.publish(id, 10, true, &[FENCES]);
    ledger.expect_confirm(link, moves);
    client.publish(1, ("", FENCES.name()), &id.properties(true), &id.body(10));
    client.confirmed(1);
    ledger.confirmed(link, 1, false);
    Ok(())
}

fn unexpected(said: &Said) -> io::Error {
    io::Error::other(format!("{said:?}"))
}
