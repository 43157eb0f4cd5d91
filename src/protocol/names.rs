//! Names in methods: queue names that stand for the last one declared, and
//! names with line breaks in them, which RabbitMQ takes out.

use crate::wire::Method;

/// An empty queue name, and no queue declared yet that it could stand for.
pub(super) struct NoQueue;

/// Names that differ from what the client sent: without CR and LF, or the
/// queue declared last in place of an empty one.
#[derive(Debug, Default)]
pub(super) struct Names {
    first: Option<String>,
    second: Option<String>,
    key: bool,
}

/// The name arguments of a method: the queue or exchange, a second one, and
/// the routing key if an empty queue name stands for that too.
struct NameSlots<'m, 'i> {
    first: &'m mut &'i str,
    /// Whether an empty first name stands for the queue declared last.
    defaults: bool,
    second: Option<&'m mut &'i str>,
    key: Option<&'m mut &'i str>,
}

impl Names {
    /// Takes down which names have to change; `true` when some do.
    pub(super) fn take(
        &mut self,
        method: &mut Method<'_>,
        last: Option<&str>,
    ) -> Result<bool, NoQueue> {
        *self = Self::default();
        let Some(slots) = NameSlots::of(method) else {
            return Ok(false);
        };
        if slots.defaults && slots.first.is_empty() {
            self.first = Some(last.ok_or(NoQueue)?.to_owned());
            self.key = slots.key.is_some_and(|key| key.is_empty());
        } else {
            self.first = stripped(slots.first);
        }
        self.second = slots.second.and_then(|name| stripped(name));
        Ok(self.first.is_some() || self.second.is_some())
    }

    /// Puts the changed names into the method.
    pub(super) fn fill_in<'a>(&'a self, method: &mut Method<'a>) {
        let Some(slots) = NameSlots::of(method) else {
            return;
        };
        if let Some(name) = &self.first {
            *slots.first = name;
            if let (Some(key), true) = (slots.key, self.key) {
                *key = name;
            }
        }
        if let (Some(slot), Some(name)) = (slots.second, &self.second) {
            *slot = name;
        }
    }
}

impl<'m, 'i> NameSlots<'m, 'i> {
    fn of(method: &'m mut Method<'i>) -> Option<Self> {
        let (first, defaults, second, key) = match method {
            Method::ExchangeDeclare(m) => (&mut m.exchange, false, None, None),
            Method::ExchangeDelete(m) => (&mut m.exchange, false, None, None),
            Method::ExchangeBind(m) => (&mut m.destination, false, Some(&mut m.source), None),
            Method::ExchangeUnbind(m) => (&mut m.destination, false, Some(&mut m.source), None),
            Method::QueueDeclare(m) => (&mut m.queue, false, None, None),
            Method::QueueBind(m) => {
                let key = Some(&mut m.routing_key);
                (&mut m.queue, true, Some(&mut m.exchange), key)
            }
            Method::QueueUnbind(m) => {
                let key = Some(&mut m.routing_key);
                (&mut m.queue, true, Some(&mut m.exchange), key)
            }
            Method::QueuePurge(m) => (&mut m.queue, true, None, None),
            Method::QueueDelete(m) => (&mut m.queue, true, None, None),
            Method::BasicConsume(m) => (&mut m.queue, true, None, None),
            Method::BasicGet(m) => (&mut m.queue, true, None, None),
            _ => return None,
        };
        Some(Self {
            first,
            defaults,
            second,
            key,
        })
    }
}

/// The name without CR and LF, if it has any.
fn stripped(name: &str) -> Option<String> {
    name.contains(['\r', '\n'])
        .then(|| name.replace(['\r', '\n'], ""))
}
