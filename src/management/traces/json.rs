//! Rules, stories and events in JSON.

use serde_json::{Map, Value, json};

use crate::broker::trace::{Event, Happening, Identity, Rule, Story, Tracer, Way};

/// A rule; what it doesn't ask for isn't there.
pub fn rule(rule: &Rule) -> Value {
    let criteria = &rule.criteria;
    let mut shown = json!({
        "vhost": &*rule.vhost,
        "name": &*rule.name,
        "sample": rule.sample.rate(),
        "created_by": &*rule.by,
        "created_at": rule.since,
        "chosen": rule.chosen(),
    });
    for (key, value) in [
        ("exchange", &criteria.exchange),
        ("routing_key", &criteria.routing_key),
        ("queue", &criteria.queue),
        ("user", &criteria.user),
        ("correlation_id", &criteria.correlation_id),
        ("message_id", &criteria.message_id),
    ] {
        if let Some(value) = value {
            shown[key] = (&**value).into();
        }
    }
    if !criteria.headers.is_empty() {
        let headers = criteria.headers.iter();
        let headers: Map<_, _> = headers
            .map(|(name, text)| (name.as_ref().into(), (&**text).into()))
            .collect();
        shown["headers"] = headers.into();
    }
    shown
}

/// How full the ring is.
pub fn ring(tracer: &Tracer) -> Value {
    let status = tracer.status();
    json!({
        "events": status.events,
        "bytes": status.octets,
        "gone": status.gone,
        "rules": tracer.rules().len(),
    })
}

/// A story without its events.
pub fn summary(story: &Story) -> Value {
    let (first, last) = (story.events.first(), story.events.last());
    let stays = story.stays();
    let stays: Vec<_> = stays
        .iter()
        .map(|stay| {
            let state = if stay.is_held { "unacked" } else { "ready" };
            json!({ "queue": &*stay.queue, "state": state })
        })
        .collect();
    let mut shown = json!({
        "id": story.trace.to_string(),
        "vhost": first.map(|event| &*event.vhost),
        "first_at": first.map(|event| event.at),
        "last_at": last.map(|event| event.at),
        "last": last.map(|event| event.what.name()),
        "event_count": story.events.len(),
        "in": stays,
    });
    for event in &story.events {
        if let Happening::Published {
            exchange,
            routing_key,
            by,
            ..
        } = &event.what
        {
            shown["exchange"] = (&**exchange).into();
            shown["routing_key"] = (&**routing_key).into();
            shown["user"] = (&*by.user).into();
            break;
        }
    }
    if let Some(found) = story.identity() {
        identity(&mut shown, found);
    }
    shown
}

/// A story with its events.
pub fn story(story: &Story) -> Value {
    let mut shown = summary(story);
    shown["events"] = story.events.iter().map(|one| event(one)).collect();
    shown
}

/// An event.
pub fn event(event: &Event) -> Value {
    let mut shown = json!({
        "number": event.number,
        "trace": event.trace.to_string(),
        "at": event.at,
        "vhost": &*event.vhost,
        "what": event.what.name(),
    });
    if let Some(queue) = event.what.queue() {
        shown["queue"] = (&**queue).into();
    }
    if let Some(exchange) = event.what.exchange() {
        shown["exchange"] = (&**exchange).into();
        let queues = event.what.queues().iter();
        shown["queues"] = queues.map(|queue| Value::from(&**queue)).collect();
    }
    particulars(&mut shown, &event.what);
    shown
}

/// What only some kinds of events have.
fn particulars(shown: &mut Value, what: &Happening) {
    match what {
        Happening::Published {
            rule,
            by,
            channel,
            routing_key,
            identity: found,
            ways,
            ..
        } => {
            shown["rule"] = (&**rule).into();
            shown["user"] = (&*by.user).into();
            shown["connection"] = (&*by.connection).into();
            shown["channel"] = (*channel).into();
            shown["routing_key"] = (&**routing_key).into();
            shown["bindings"] = ways.iter().map(way).collect();
            identity(shown, found);
        }
        Happening::Delivered {
            to,
            channel,
            consumer,
            redelivered,
            to_settle,
            ..
        } => {
            shown["user"] = (&*to.user).into();
            shown["connection"] = (&*to.connection).into();
            shown["channel"] = (*channel).into();
            shown["consumer_tag"] = consumer.as_deref().into();
            shown["redelivered"] = (*redelivered).into();
            shown["ack_required"] = (*to_settle).into();
        }
        Happening::Acknowledged { by, .. }
        | Happening::Rejected { by, .. }
        | Happening::Removed { by, .. } => {
            shown["user"] = (&**by).into();
        }
        Happening::Requeued { by, cause, .. } => {
            shown["user"] = (&**by).into();
            shown["cause"] = (*cause).into();
        }
        Happening::Died {
            reason,
            routing_key,
            ..
        } => {
            shown["reason"] = (*reason).into();
            shown["routing_key"] = (&**routing_key).into();
        }
        Happening::Replayed {
            by, routing_key, ..
        } => {
            shown["user"] = (&**by).into();
            shown["routing_key"] = (&**routing_key).into();
        }
        Happening::Refused => {}
    }
}

fn identity(shown: &mut Value, identity: &Identity) {
    if let Some(id) = &identity.correlation_id {
        shown["correlation_id"] = (&**id).into();
    }
    if let Some(id) = &identity.message_id {
        shown["message_id"] = (&**id).into();
    }
    if let Some(parent) = &identity.parent {
        shown["traceparent"] = parent.to_string().into();
    }
    shown["body_bytes"] = identity.body_len.into();
}

fn way(way: &Way) -> Value {
    json!({
        "source": &*way.source,
        "destination": &*way.destination,
        "destination_type": if way.to_queue { "queue" } else { "exchange" },
        "routing_key": &*way.routing_key,
    })
}
