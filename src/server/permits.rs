//! What each method has to be permitted (`semantics` 5).
//!
//! ```text
//!   exchange.declare, delete   configure the exchange; with an alternate one
//!                              read it, too, and write to the alternate
//!   queue.declare, delete      configure the queue; with a dead letter exchange
//!                              read it, too, and write to that exchange
//!   passive declares           anything
//!   bind, unbind               write to the destination, read the source, and
//!                              the routing key of a topic exchange
//!   basic.publish              write to the exchange, and the routing key
//!   get, consume, purge        read the queue
//! ```
//!
//! Permissions are asked for before anything is looked up, so that nobody
//! learns what there is. What is refused for its name alone is left to be.

use super::session::Session;
use crate::broker::access::{Grants, Permission};
use crate::broker::replies::is_direct_reply_to;
use crate::broker::spec::{BindingSpec, Destination};
use crate::broker::vhost::{Vhost, check_exchange_type, without_line_ends};
use crate::wire::method::{ExchangeDeclare, QueueDeclare};
use crate::wire::{FieldTable, Refusal};

use Permission::{Configure, Read, Write};

/// What the names begin with that clients can't give.
const RESERVED: &str = "amq.";

/// What a user may do in a virtual host, asked for by method.
pub(super) struct Permits<'a> {
    /// Who, as far as permissions go.
    pub(super) grants: &'a mut Grants,
    /// Where.
    pub(super) vhost: &'a Vhost,
}

impl Session {
    /// What its user may do.
    pub(super) fn permits(&mut self) -> Permits<'_> {
        Permits {
            grants: &mut self.grants,
            vhost: &self.vhost,
        }
    }
}

impl Permits<'_> {
    /// Whether a queue may be declared as `name`, given or made up.
    pub(super) fn queue_declare(
        &mut self,
        method: &QueueDeclare<'_>,
        name: &str,
    ) -> Result<(), Refusal> {
        let name = without_line_ends(name);
        if method.passive {
            return self.grants.check_any_on_queue(&name);
        }
        self.grants.check_queue(Configure, &name)?;
        match exchange_in(&method.arguments, "x-dead-letter-exchange") {
            Some(to) if !self.vhost.has_queue(&name) => {
                self.grants.check_queue(Read, &name)?;
                self.grants.check_exchange(Write, to)
            }
            _ => Ok(()),
        }
    }

    /// Whether an exchange may be declared.
    pub(super) fn exchange_declare(&mut self, method: &ExchangeDeclare<'_>) -> Result<(), Refusal> {
        let name = without_line_ends(method.exchange);
        if !method.passive {
            check_exchange_type(method)?;
        }
        if name.is_empty() {
            return Ok(());
        }
        if method.passive {
            return self.grants.check_any_on_exchange(&name);
        }
        self.grants.check_exchange(Configure, &name)?;
        match exchange_in(&method.arguments, "alternate-exchange") {
            Some(to) if !name.starts_with(RESERVED) && !self.vhost.has_exchange(&name) => {
                self.grants.check_exchange(Read, &name)?;
                self.grants.check_exchange(Write, to)
            }
            _ => Ok(()),
        }
    }

    /// Whether an exchange may be deleted.
    pub(super) fn exchange_delete(&mut self, name: &str) -> Result<(), Refusal> {
        let name = without_line_ends(name);
        if name.is_empty() || name.starts_with(RESERVED) {
            return Ok(());
        }
        self.grants.check_exchange(Configure, &name)
    }

    /// Whether a queue may be deleted.
    pub(super) fn queue_delete(&mut self, name: &str) -> Result<(), Refusal> {
        self.grants.check_queue(Configure, &without_line_ends(name))
    }

    /// Whether messages may be taken from a queue.
    pub(super) fn read(&mut self, queue: &str) -> Result<(), Refusal> {
        self.grants.check_queue(Read, &without_line_ends(queue))
    }

    /// Whether two ends may be bound together, or set apart.
    pub(super) fn binding(&mut self, spec: &BindingSpec) -> Result<(), Refusal> {
        match &spec.destination {
            // Refused to everybody (`semantics` 13).
            Destination::Queue(name) if is_direct_reply_to(name) => return Ok(()),
            Destination::Queue(name) => {
                self.grants.check_queue(Write, &without_line_ends(name))?;
            }
            Destination::Exchange(name) => {
                self.grants
                    .check_exchange(Write, &without_line_ends(name))?;
            }
        }
        let source = without_line_ends(&spec.source);
        if source.is_empty() || spec.destination.name().is_empty() {
            return Ok(());
        }
        self.grants.check_exchange(Read, &source)?;
        self.keys(Read, &source, [spec.routing_key.as_bytes()])
    }

    /// Whether a message may be published with `copies` among its keys. The
    /// exchange is known to be permitted.
    pub(super) fn publish_keys(
        &mut self,
        exchange: &str,
        key: &str,
        copies: &[&[u8]],
    ) -> Result<(), Refusal> {
        let keys = std::iter::once(key.as_bytes()).chain(copies.iter().copied());
        self.keys(Write, exchange, keys)
    }

    /// Whether an exchange may be used with `keys`, should it be of type topic.
    fn keys<'k>(
        &mut self,
        permission: Permission,
        exchange: &str,
        keys: impl IntoIterator<Item = &'k [u8]>,
    ) -> Result<(), Refusal> {
        if !self.grants.restrict_topics(exchange) || !self.vhost.is_topic_exchange(exchange) {
            return Ok(());
        }
        keys.into_iter()
            .try_for_each(|key| self.grants.check_topic(permission, exchange, key))
    }
}

/// The exchange that an argument names, if it is a name.
fn exchange_in<'a>(arguments: &'a FieldTable, argument: &str) -> Option<&'a str> {
    arguments.get(argument)?.as_str()
}
