//! Holding what a broker has after a crash against what the clients know.

use std::collections::HashMap;

use harrier::wire::{FieldTable, FieldValue, Properties};

use crate::ledger::{Copy, Doomed, Ledger, Link, Step};
use crate::message::Id;
use crate::topology::{DOOMED, Queue};

/// A message as it was found.
pub struct Seen {
    /// `None` when the body has changed.
    pub id: Option<Id>,
    pub len: usize,
    pub redelivered: bool,
    pub properties: Vec<u8>,
}

/// What every queue holds, in order; `None` for a queue that isn't there.
pub type Found = Vec<Option<Vec<Seen>>>;

/// The messages of one root by where they were found.
type Places = HashMap<Id, Vec<Queue>>;

impl Ledger {
    /// Notes every contradiction, and takes what was found for what is so.
    pub fn judge(&mut self, found: &Found) {
        self.judge_doomed(found);
        for root in Queue::all().filter(|queue| queue.root() == *queue) {
            let places = self.places(root, found);
            let ids: Vec<Id> = self.copies(root).keys().copied().collect();
            for id in ids {
                let there = places.get(&id).map_or(&[][..], |queues| queues);
                self.judge_copy(root, id, there);
            }
            let unknown = places
                .keys()
                .filter(|id| !self.copies(root).contains_key(id));
            let unknown: Vec<String> = unknown
                .map(|id| format!("{id} in {}", root.name()))
                .collect();
            for text in unknown {
                self.fault("settled long ago, or never published", text);
            }
        }
        self.judge_units(&found_places(found));
        for queue in Queue::all() {
            let seen = found[queue.0].as_deref().unwrap_or_default();
            self.judge_order(queue, seen);
            self.judge_messages(queue, seen);
        }
        self.adopt(&found_places(found));
    }

    /// A delete that isn't on disk leaves the queue as it was.
    fn judge_doomed(&mut self, found: &Found) {
        let there = found[DOOMED.0].is_some();
        let expected = match self.doomed {
            Doomed::There => true,
            Doomed::Deleted => false,
            Doomed::Deleting | Doomed::Declaring => there,
        };
        if there != expected {
            self.fault(
                "a queue",
                format!("there: {there}, though {:?}", self.doomed),
            );
        }
        if there && self.doomed == Doomed::Deleting {
            // So none of it is gone either.
            for copy in self.copies(DOOMED).values_mut() {
                if copy.certain < copy.steps.len() {
                    copy.steps.pop_if(|step| step.place.is_none());
                }
            }
        }
        for queue in Queue::all().filter(|queue| *queue != DOOMED) {
            if found[queue.0].is_none() {
                self.fault("a queue", format!("{} isn't there", queue.name()));
            }
        }
    }

    fn places(&mut self, root: Queue, found: &Found) -> Places {
        let mut places = Places::new();
        for queue in Queue::all().filter(|queue| queue.root() == root) {
            for seen in found[queue.0].iter().flatten() {
                match seen.id {
                    Some(id) => places.entry(id).or_default().push(queue),
                    None => self.fault("changed", format!("a body in {}", queue.name())),
                }
            }
        }
        places
    }

    fn judge_copy(&mut self, root: Queue, id: Id, there: &[Queue]) {
        let Some(copy) = self.copies(root).get(&id) else {
            return;
        };
        let place = there.first().copied();
        let legal = (copy.certain..=copy.steps.len()).any(|steps| copy.after(steps) == place);
        let known = || {
            let steps: Vec<_> = copy
                .steps
                .iter()
                .map(|s| s.place.map(Queue::name))
                .collect();
            let there: Vec<_> = there.iter().map(|queue| queue.name()).collect();
            let certain = copy.certain;
            format!("{id}: found in {there:?}; sent to {steps:?}, {certain} of that certain")
        };
        let kind = match (there, copy.persistent) {
            ([_, _, ..], _) if there.iter().all(|queue| Some(*queue) == place) => "there twice",
            ([_, _, ..], _) => "in two queues",
            ([_], false) => "transient and there",
            ([], false) => return,
            ([], true) if !legal => "lost",
            (_, true) if !legal => "back",
            _ => return,
        };
        let text = known();
        self.fault(kind, text);
    }

    /// All of a transaction or none of it.
    fn judge_units(&mut self, found: &[Places]) {
        for unit in std::mem::take(&mut self.units) {
            let mut taken = Vec::new();
            for (root, id, step) in &unit.moves {
                let place = found[root.0].get(id).and_then(|there| there.first());
                let Some(copy) = self.copies(*root).get(id) else {
                    continue;
                };
                // Where even the step before may be missing, nothing can be told.
                if copy.certain + 1 >= *step {
                    // What came in by the step may have gone on since.
                    let mut from_there = *step..=copy.steps.len();
                    taken.push(from_there.any(|n| copy.after(n).as_ref() == place));
                }
            }
            if taken.contains(&true) && taken.contains(&false) {
                let part = taken.iter().filter(|taken| **taken).count();
                let text = format!("{part} of {} steps: {:?}", taken.len(), unit.moves);
                self.fault("half a transaction", text);
            }
        }
    }

    /// Publishers are in the order they published in, the dead in the order
    /// they were buried in.
    fn judge_order(&mut self, queue: Queue, seen: &[Seen]) {
        let mut last: HashMap<Link, u64> = HashMap::new();
        let mut round = 0;
        let ids: Vec<Id> = seen.iter().filter_map(|seen| seen.id).collect();
        for id in ids {
            let Some((by, number)) = self.copy(queue, id).and_then(|copy| arrival(copy, queue))
            else {
                continue;
            };
            let before = last.insert(by, number).unwrap_or_default();
            if before >= number || by.round() < round {
                self.fault("out of order", format!("{id} in {}", queue.name()));
            }
            round = round.max(by.round());
        }
    }

    fn judge_messages(&mut self, queue: Queue, seen: &[Seen]) {
        let fenced = self.fenced;
        for seen in seen {
            let Some(id) = seen.id else {
                continue;
            };
            let Some(copy) = self.copy(queue, id) else {
                continue;
            };
            copy.properties = seen.properties.len();
            let stayed = copy.place() == Some(queue);
            let handed_out = copy.handed_out;
            let len = copy.len;
            let known = handed_out.is_some_and(|tick| tick < fenced);
            if stayed && known && !seen.redelivered {
                let text = format!("{id} in {}", queue.name());
                self.fault("handed out before and not redelivered", text);
            }
            // Elsewhere somebody may have been handed it and died, and a dead letter
            // that came back from a closed channel before it died says so for good.
            let has_no_past = queue.spec().untouched && queue == queue.root();
            let never = handed_out.is_none() && has_no_past;
            if stayed && never && seen.redelivered {
                let text = format!("{id} in {}", queue.name());
                self.fault("never handed out and redelivered", text);
            }
            if seen.len != len {
                let text = format!("{id} in {}: {} octets of {len}", queue.name(), seen.len);
                self.fault("changed", text);
            }
            if let Err(what) = check_properties(queue, id, &seen.properties) {
                self.fault("changed", format!("{id} in {}: {what}", queue.name()));
            }
        }
    }

    fn adopt(&mut self, found: &[Places]) {
        for root in Queue::all() {
            self.copies(root).retain(|id, copy| {
                let place = found[root.0].get(id).and_then(|there| there.first());
                let step = copy.steps.iter().rfind(|step| step.place.as_ref() == place);
                let arrived = step.copied().filter(|step| step.place.is_some());
                let stays = copy.place().as_ref() == place;
                copy.handed_out = copy.handed_out.filter(|_| stays);
                copy.outstanding = false;
                copy.certain = 1;
                copy.steps = arrived.into_iter().collect();
                !copy.steps.is_empty()
            });
        }
        if self.doomed != Doomed::There {
            self.doomed = Doomed::Deleted;
        }
    }
}

fn found_places(found: &Found) -> Vec<Places> {
    let mut places: Vec<Places> = Queue::all().map(|_| Places::new()).collect();
    for queue in Queue::all() {
        for id in found[queue.0].iter().flatten().filter_map(|seen| seen.id) {
            places[queue.root().0].entry(id).or_default().push(queue);
        }
    }
    places
}

/// Who sent a copy to `queue`, and as which of theirs.
fn arrival(copy: &Copy, queue: Queue) -> Option<(Link, u64)> {
    let Step { by, tick, .. } = *copy.steps.iter().find(|s| s.place == Some(queue))?;
    Some((by, tick))
}

/// What was published is there as it was; a dead letter has its deaths besides.
fn check_properties(queue: Queue, id: Id, raw: &[u8]) -> Result<(), String> {
    let published = id.properties(true);
    if queue == queue.root() {
        let same = raw == published;
        return if same {
            Ok(())
        } else {
            Err(format!("properties {raw:?}"))
        };
    }
    let parse = |raw| Properties::parse(raw).map_err(|error| error.to_string());
    let (there, published) = (parse(raw)?, parse(&published)?);
    let table = |properties: &Properties<'_>| {
        let table = properties.headers_table();
        table.map_err(|error| error.to_string())
    };
    let (headers, own) = (table(&there)?, table(&published)?);
    if there.message_id != published.message_id || headers.get("number") != own.get("number") {
        return Err(format!("headers {headers:?}"));
    }
    let expected: Vec<_> = std::iter::successors(queue.predecessor(), |q| q.predecessor())
        .map(|queue| (queue.name().to_owned(), "rejected".to_owned(), 1))
        .collect();
    match deaths(&headers) {
        Some(deaths) if deaths == expected => Ok(()),
        other => Err(format!("deaths {other:?}, not {expected:?}")),
    }
}

/// Queue, reason and count of every death in `x-death`.
fn deaths(headers: &FieldTable) -> Option<Vec<(String, String, i64)>> {
    let FieldValue::Array(deaths) = headers.get("x-death")? else {
        return None;
    };
    let death = |death: &FieldValue| {
        let FieldValue::Table(death) = death else {
            return None;
        };
        let text = |name| Some(death.get(name)?.as_str()?.to_owned());
        Some((
            text("queue")?,
            text("reason")?,
            death.get("count")?.as_i64()?,
        ))
    };
    deaths.iter().map(death).collect()
}
