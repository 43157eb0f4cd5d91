//! What the events of one message come to.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Event, Happening, Identity, TraceId};

/// All that is known of one message, oldest first. Never without events.
#[derive(Debug, Clone)]
pub struct Story {
    /// The message.
    pub trace: TraceId,
    /// What happened to it.
    pub events: Vec<Arc<Event>>,
}

/// Where a message is, as far as its events tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// The queue.
    pub queue: Arc<str>,
    /// Whether somebody was handed it and hasn't settled it.
    pub is_held: bool,
}

/// What stories are looked for by; what isn't said doesn't matter.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Its correlation id.
    pub correlation_id: Option<String>,
    /// Its message id.
    pub message_id: Option<String>,
    /// A queue it came to.
    pub queue: Option<String>,
    /// An exchange it was published to.
    pub exchange: Option<String>,
    /// Its last event is as late as that, milliseconds since 1970.
    pub since: Option<u64>,
    /// Its first event is as early as that, milliseconds since 1970.
    pub until: Option<u64>,
}

impl Story {
    /// The stories that `events` tell, those that began last first.
    pub fn all(events: Vec<Arc<Event>>) -> Vec<Self> {
        let mut places = HashMap::new();
        let mut stories: Vec<Self> = Vec::new();
        for event in events {
            let trace = event.trace;
            let place = *places.entry(trace).or_insert(stories.len());
            match stories.get_mut(place) {
                Some(story) => story.events.push(event),
                None => stories.push(Self {
                    trace,
                    events: vec![event],
                }),
            }
        }
        stories.sort_unstable_by_key(|story| std::cmp::Reverse(story.trace));
        stories
    }

    /// What is told of `trace`; `None` when there are no events of it any more.
    pub fn of(trace: TraceId, mut events: Vec<Arc<Event>>) -> Option<Self> {
        events.retain(|event| event.trace == trace);
        (!events.is_empty()).then_some(Self { trace, events })
    }

    /// What tells the message from others, unless that event is gone.
    pub fn identity(&self) -> Option<&Identity> {
        self.events.iter().find_map(|event| match &event.what {
            Happening::Published { identity, .. } => Some(&**identity),
            _ => None,
        })
    }

    /// Where the message is now: the queues it came to and hasn't left.
    pub fn stays(&self) -> Vec<Stay> {
        let mut stays: Vec<Stay> = Vec::new();
        for event in &self.events {
            if let Some(queue) = event.what.queue() {
                note(&mut stays, queue, &event.what);
            }
            stays.extend(event.what.queues().iter().map(|queue| Stay {
                queue: Arc::clone(queue),
                is_held: false,
            }));
        }
        stays
    }

    fn is_like(&self, search: &Search) -> bool {
        let is = |wanted: &Option<String>, found: Option<&Arc<str>>| {
            wanted.is_none() || wanted.as_deref() == found.map(|found| &**found)
        };
        let any = |wanted: &Option<String>, has: fn(&Happening, &str) -> bool| {
            let mut events = self.events.iter();
            wanted
                .as_ref()
                .is_none_or(|wanted| events.any(|event| has(&event.what, wanted)))
        };
        let identity = self.identity();
        let (first, last) = (self.events.first(), self.events.last());
        is(
            &search.correlation_id,
            identity.and_then(|i| i.correlation_id.as_ref()),
        ) && is(
            &search.message_id,
            identity.and_then(|i| i.message_id.as_ref()),
        ) && any(&search.queue, touches)
            && any(&search.exchange, |what, name| {
                what.exchange().is_some_and(|exchange| **exchange == *name)
            })
            && search
                .since
                .is_none_or(|since| last.is_some_and(|e| e.at >= since))
            && search
                .until
                .is_none_or(|until| first.is_some_and(|e| e.at <= until))
    }
}

impl Search {
    /// Those of `stories` that are like that.
    pub fn find(&self, mut stories: Vec<Story>) -> Vec<Story> {
        stories.retain(|story| story.is_like(self));
        stories
    }
}

fn touches(what: &Happening, queue: &str) -> bool {
    let mut queues = what.queue().into_iter().chain(what.queues());
    queues.any(|name| **name == *queue)
}

/// Has what happened in `queue` change where the message is.
fn note(stays: &mut Vec<Stay>, queue: &Arc<str>, what: &Happening) {
    let place = stays.iter().position(|stay| stay.queue == *queue);
    let is_held = match what {
        Happening::Delivered { to_settle, .. } => to_settle.then_some(true),
        Happening::Requeued { .. } => Some(false),
        // It is where it was until its dead letter goes on.
        Happening::Rejected { .. } => return,
        _ => None,
    };
    match (place, is_held) {
        (Some(at), None) => drop(stays.swap_remove(at)),
        (Some(at), Some(is_held)) => {
            if let Some(stay) = stays.get_mut(at) {
                stay.is_held = is_held;
            }
        }
        (None, Some(is_held)) => stays.push(Stay {
            queue: Arc::clone(queue),
            is_held,
        }),
        (None, None) => {}
    }
}
