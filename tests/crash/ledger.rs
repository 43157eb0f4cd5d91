//! What the clients know: where each message may be, and where it has to be.
//!
//! A message published to several queues is several copies, and a copy is in
//! one place at a time: nowhere, in the queue it was published to, in the one
//! it died to, nowhere again. The broker's log has these steps in this order,
//! so whatever a crash leaves of them is a beginning. How long a beginning at
//! least, the confirms say.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::client::Message;
use crate::message::Id;
use crate::topology::Queue;

/// Counts everything that a client does, in order.
pub type Tick = u64;

/// How many links a round may have.
pub const LINKS_OF_A_ROUND: u32 = 16;

/// Octets that a message takes besides its body and properties: the names it was
/// published to, and the head of its record.
const ENVELOPE: usize = 48;

/// A client's connection in a round; it publishes under this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link(pub u32);

impl Link {
    /// The round it belongs to.
    pub fn round(self) -> u32 {
        self.0 / LINKS_OF_A_ROUND
    }
}

/// A copy's way to a place.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The queue; `None` once it is settled.
    pub place: Option<Queue>,
    /// Who sent it there.
    pub by: Link,
    pub tick: Tick,
}

/// A message in one of the queues it was published to, or wherever it died to
/// from there.
#[derive(Debug)]
pub struct Copy {
    pub len: usize,
    /// Octets of its properties where it was seen last.
    pub properties: usize,
    pub persistent: bool,
    /// The steps taken. Before the first it was nowhere.
    pub steps: Vec<Step>,
    /// How many of them are on disk at least.
    pub certain: usize,
    /// When it was first handed out where it is.
    pub handed_out: Option<Tick>,
    /// Somebody has it right now.
    pub outstanding: bool,
}

impl Copy {
    /// Where it is after so many of its steps.
    pub fn after(&self, steps: usize) -> Option<Queue> {
        let last = steps.checked_sub(1)?;
        self.steps.get(last)?.place
    }

    /// Where it is when all of its steps were taken.
    pub fn place(&self) -> Option<Queue> {
        self.after(self.steps.len())
    }
}

/// A copy by the queue it was published to, and one of its steps.
pub type Move = (Queue, Id, usize);

/// Steps of which all or none survive.
#[derive(Debug)]
pub struct Unit {
    pub moves: Vec<Move>,
    pub committed: bool,
}

/// Whether the queue is there that is deleted and declared again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doomed {
    There,
    Deleting,
    Deleted,
    Declaring,
}

/// What one link waits to have confirmed.
#[derive(Debug, Default)]
struct Unconfirmed {
    /// By sequence number of the confirm.
    publishes: BTreeMap<u64, (Tick, Vec<Move>)>,
    sent: u64,
    settles: VecDeque<(Tick, Move)>,
}

/// Something the broker did that it mustn't.
#[derive(Debug)]
pub struct Fault {
    pub kind: &'static str,
    pub text: String,
}

/// Everything known.
pub struct Ledger {
    pub round: u32,
    tick: Tick,
    /// By the queue they were published to.
    copies: Vec<HashMap<Id, Copy>>,
    unconfirmed: HashMap<Link, Unconfirmed>,
    pub units: Vec<Unit>,
    /// Messages of each queue before the broker was started, as the tool counts.
    pub on_disk: BTreeMap<String, u64>,
    pub doomed: Doomed,
    /// Everything handed out before this is known on disk to have been.
    pub fenced: Tick,
    /// Connections may break from now on.
    pub killed: bool,
    pub faults: Vec<Fault>,
    /// What was done how often, over all rounds.
    pub done: BTreeMap<&'static str, u64>,
}

impl Ledger {
    /// Nothing was sent yet; everything is declared.
    pub fn new() -> Self {
        Self {
            round: 0,
            tick: 0,
            copies: Queue::all().map(|_| HashMap::new()).collect(),
            unconfirmed: HashMap::new(),
            units: Vec::new(),
            on_disk: BTreeMap::new(),
            doomed: Doomed::There,
            fenced: 0,
            killed: false,
            faults: Vec::new(),
            done: BTreeMap::new(),
        }
    }

    /// Forgets what no connection is left to confirm.
    pub fn begin_round(&mut self, round: u32) {
        self.round = round;
        self.killed = false;
        self.unconfirmed.clear();
        self.units.clear();
    }

    /// Notes something that mustn't be.
    pub fn fault(&mut self, kind: &'static str, text: String) {
        self.faults.push(Fault { kind, text });
    }

    /// Counts something done.
    pub fn count(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    /// Octets of the messages that are somewhere, as they were last seen.
    pub fn live_octets(&self) -> u64 {
        let copies = self.copies.iter().flat_map(HashMap::values);
        let live = copies.filter(|copy| copy.place().is_some());
        live.map(|copy| (copy.len + copy.properties + ENVELOPE) as u64)
            .sum()
    }

    /// The copies published to a queue.
    pub fn copies(&mut self, root: Queue) -> &mut HashMap<Id, Copy> {
        &mut self.copies[root.0]
    }

    /// A copy, as a message of this id seen in `queue` must be one of.
    pub fn copy(&mut self, queue: Queue, id: Id) -> Option<&mut Copy> {
        self.copies[queue.root().0].get_mut(&id)
    }

    /// The next moment.
    pub fn tick(&mut self) -> Tick {
        self.tick += 1;
        self.tick
    }

    /// A message is about to be published. Nobody waits for a confirm yet.
    pub fn publish(&mut self, id: Id, len: usize, persistent: bool, to: &[Queue]) -> Vec<Move> {
        let tick = self.tick();
        let by = Link(id.publisher);
        let copy = |queue: Queue| Copy {
            len,
            properties: 0,
            persistent,
            steps: vec![Step {
                place: Some(queue),
                by,
                tick,
            }],
            certain: 0,
            handed_out: None,
            outstanding: false,
        };
        for queue in to {
            self.copies[queue.0].insert(id, copy(*queue));
        }
        to.iter().map(|queue| (*queue, id, 1)).collect()
    }

    /// What was just published will be confirmed under the next number.
    pub fn expect_confirm(&mut self, link: Link, moves: Vec<Move>) {
        let tick = self.tick();
        let waiting = self.unconfirmed.entry(link).or_default();
        waiting.sent += 1;
        waiting.publishes.insert(waiting.sent, (tick, moves));
    }

    /// Publishes of a link that aren't confirmed.
    pub fn waiting(&self, link: Link) -> usize {
        self.unconfirmed
            .get(&link)
            .map_or(0, |waiting| waiting.publishes.len())
    }

    /// A confirm came.
    pub fn confirmed(&mut self, link: Link, tag: u64, multiple: bool) {
        let waiting = self.unconfirmed.entry(link).or_default();
        let mut confirmed = Vec::new();
        if multiple {
            let rest = waiting.publishes.split_off(&(tag + 1));
            confirmed.extend(std::mem::replace(&mut waiting.publishes, rest).into_values());
        } else {
            confirmed.extend(waiting.publishes.remove(&tag));
        }
        if confirmed.is_empty() {
            return self.fault("confirm of nothing", format!("{link:?}: {tag}"));
        }
        // A transient message is confirmed whatever the disk has.
        let copies = &self.copies;
        let is_kept = |(root, id, _): &Move| copies[root.0].get(id).is_some_and(|c| c.persistent);
        let durable = confirmed
            .iter()
            .filter(|(_, moves)| moves.iter().any(is_kept));
        let latest = durable.map(|(tick, _)| *tick).max().unwrap_or_default();
        *self.done.entry("confirmed").or_default() += confirmed.len() as u64;
        let mut moves: Vec<Move> = confirmed.into_iter().flat_map(|(_, moves)| moves).collect();
        // The log has them in the order they were sent on a connection.
        while let Some((_, step)) = waiting.settles.pop_front_if(|(tick, _)| *tick < latest) {
            moves.push(step);
        }
        self.fenced = self.fenced.max(latest);
        self.make_certain(&moves);
    }

    /// These steps are on disk.
    fn make_certain(&mut self, moves: &[Move]) {
        for (root, id, step) in moves {
            if let Some(copy) = self.copies[root.0].get_mut(id) {
                copy.certain = copy.certain.max(*step);
            }
        }
    }

    /// A delivery came; returns the id if it makes sense.
    pub fn delivered(&mut self, queue: Queue, message: &Message, redelivered: bool) -> Option<Id> {
        let tick = self.tick();
        let round = self.round;
        let Some(id) = Id::of(&message.body) else {
            self.fault("changed", format!("a body in {}", queue.name()));
            return None;
        };
        let Some(copy) = self
            .copy(queue, id)
            .filter(|copy| copy.place() == Some(queue))
        else {
            let text = format!("{id} from {}", queue.name());
            self.fault("delivered once settled", text);
            return None;
        };
        let fresh = copy.steps.last().is_some_and(|s| s.by.round() == round);
        let twice = std::mem::replace(&mut copy.outstanding, true);
        let before = copy.handed_out.is_some();
        copy.handed_out.get_or_insert(tick);
        if twice {
            let text = format!("{id} from {}", queue.name());
            self.fault("delivered to two", text);
        }
        // A dead letter that came back from a closed channel before it died says so
        // for good.
        let has_past = queue != queue.root();
        if before != redelivered && (before || (fresh && !has_past)) {
            let text = format!("{id} from {}: {redelivered}", queue.name());
            self.fault("redelivered flag of a delivery", text);
        }
        Some(id)
    }

    /// A message is handed out to somebody who only looks.
    pub fn handed_out(&mut self, queue: Queue, id: Id) {
        let tick = self.tick();
        if let Some(copy) = self.copy(queue, id) {
            copy.handed_out.get_or_insert(tick);
        }
    }

    /// The queue that is deleted now and then is there.
    pub fn is_declared(&mut self) {
        self.doomed = Doomed::There;
    }

    /// A delivery goes back to its queue.
    pub fn returned(&mut self, queue: Queue, id: Id) {
        if let Some(copy) = self.copy(queue, id) {
            copy.outstanding = false;
        }
        self.count("returned");
    }

    /// A delivery is about to be settled: for good, or to die.
    pub fn settled(&mut self, link: Link, queue: Queue, id: Id, dies: bool) {
        let tick = self.tick();
        let step = self.step(link, queue, id, dies);
        let waiting = self.unconfirmed.entry(link).or_default();
        waiting.settles.push_back((tick, step));
        self.count(if dies { "rejected" } else { "acked" });
    }

    /// A delivery is settled, whoever makes sure of it.
    pub fn step(&mut self, by: Link, queue: Queue, id: Id, dies: bool) -> Move {
        let tick = self.tick();
        let place = queue.dies_to().filter(|_| dies);
        let root = queue.root();
        let Some(copy) = self.copies[root.0].get_mut(&id) else {
            return (root, id, 0);
        };
        copy.steps.push(Step { place, by, tick });
        copy.outstanding = false;
        copy.handed_out = None;
        (root, id, copy.steps.len())
    }

    /// A queue is about to be purged or deleted: what it has goes.
    pub fn emptied(&mut self, link: Link, queue: Queue) -> Vec<Move> {
        let (root, tick) = (queue.root(), self.tick());
        let step = Step {
            place: None,
            by: link,
            tick,
        };
        let mut moves = Vec::new();
        for (id, copy) in &mut self.copies[root.0] {
            if copy.place() == Some(queue) {
                copy.steps.push(step);
                copy.handed_out = None;
                moves.push((root, *id, copy.steps.len()));
            }
        }
        self.count("emptied");
        moves
    }

    /// A transaction is about to be committed; returns its number.
    pub fn commit(&mut self, moves: Vec<Move>) -> usize {
        self.units.push(Unit {
            moves,
            committed: false,
        });
        self.units.len() - 1
    }

    /// It was.
    pub fn committed(&mut self, unit: usize) {
        self.units[unit].committed = true;
        let moves = std::mem::take(&mut self.units[unit].moves);
        self.make_certain(&moves);
        self.units[unit].moves = moves;
        self.count("committed");
    }

    /// The broker answered that the queue is empty, once that was on disk.
    pub fn is_emptied(&mut self, moves: &[Move]) {
        self.make_certain(moves);
    }
}
