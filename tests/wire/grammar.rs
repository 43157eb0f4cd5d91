//! The grammar of AMQP 0-9-1 with RabbitMQ's extensions, a row a method,
//! transcribed from the specification's machine-readable form.
//!
//! The codec has such a table too, and generates its parsers from it. This one
//! exists so that a slip in that one is noticed: it keeps the specification's
//! names and order, and nothing but tests reads it.

use Type::{Bit, Long, LongLong, LongStr, Octet, Short, ShortStr, Table};

/// The types of arguments, after their domains are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Bit,
    Octet,
    Short,
    Long,
    LongLong,
    ShortStr,
    LongStr,
    Table,
}

/// A method: class id, method id, name, arguments in order.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) class: u16,
    pub(crate) method: u16,
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static [(&'static str, Type)],
}

const fn row(
    class: u16,
    method: u16,
    name: &'static str,
    arguments: &'static [(&'static str, Type)],
) -> Row {
    Row {
        class,
        method,
        name,
        arguments,
    }
}

#[rustfmt::skip]
pub(crate) const GRAMMAR: &[Row] = &[
    row(10, 10, "connection.start", &[("version-major", Octet), ("version-minor", Octet), ("server-properties", Table), ("mechanisms", LongStr), ("locales", LongStr)]),
    row(10, 11, "connection.start-ok", &[("client-properties", Table), ("mechanism", ShortStr), ("response", LongStr), ("locale", ShortStr)]),
    row(10, 20, "connection.secure", &[("challenge", LongStr)]),
    row(10, 21, "connection.secure-ok", &[("response", LongStr)]),
    row(10, 30, "connection.tune", &[("channel-max", Short), ("frame-max", Long), ("heartbeat", Short)]),
    row(10, 31, "connection.tune-ok", &[("channel-max", Short), ("frame-max", Long), ("heartbeat", Short)]),
    row(10, 40, "connection.open", &[("virtual-host", ShortStr), ("capabilities", ShortStr), ("insist", Bit)]),
    row(10, 41, "connection.open-ok", &[("known-hosts", ShortStr)]),
    row(10, 50, "connection.close", &[("reply-code", Short), ("reply-text", ShortStr), ("class-id", Short), ("method-id", Short)]),
    row(10, 51, "connection.close-ok", &[]),
    row(10, 60, "connection.blocked", &[("reason", ShortStr)]),
    row(10, 61, "connection.unblocked", &[]),
    row(10, 70, "connection.update-secret", &[("new-secret", LongStr), ("reason", ShortStr)]),
    row(10, 71, "connection.update-secret-ok", &[]),
    row(20, 10, "channel.open", &[("out-of-band", ShortStr)]),
    row(20, 11, "channel.open-ok", &[("channel-id", LongStr)]),
    row(20, 20, "channel.flow", &[("active", Bit)]),
    row(20, 21, "channel.flow-ok", &[("active", Bit)]),
    row(20, 40, "channel.close", &[("reply-code", Short), ("reply-text", ShortStr), ("class-id", Short), ("method-id", Short)]),
    row(20, 41, "channel.close-ok", &[]),
    row(30, 10, "access.request", &[("realm", ShortStr), ("exclusive", Bit), ("passive", Bit), ("active", Bit), ("write", Bit), ("read", Bit)]),
    row(30, 11, "access.request-ok", &[("ticket", Short)]),
    row(40, 10, "exchange.declare", &[("ticket", Short), ("exchange", ShortStr), ("type", ShortStr), ("passive", Bit), ("durable", Bit), ("auto-delete", Bit), ("internal", Bit), ("nowait", Bit), ("arguments", Table)]),
    row(40, 11, "exchange.declare-ok", &[]),
    row(40, 20, "exchange.delete", &[("ticket", Short), ("exchange", ShortStr), ("if-unused", Bit), ("nowait", Bit)]),
    row(40, 21, "exchange.delete-ok", &[]),
    row(40, 30, "exchange.bind", &[("ticket", Short), ("destination", ShortStr), ("source", ShortStr), ("routing-key", ShortStr), ("nowait", Bit), ("arguments", Table)]),
    row(40, 31, "exchange.bind-ok", &[]),
    row(40, 40, "exchange.unbind", &[("ticket", Short), ("destination", ShortStr), ("source", ShortStr), ("routing-key", ShortStr), ("nowait", Bit), ("arguments", Table)]),
    row(40, 51, "exchange.unbind-ok", &[]),
    row(50, 10, "queue.declare", &[("ticket", Short), ("queue", ShortStr), ("passive", Bit), ("durable", Bit), ("exclusive", Bit), ("auto-delete", Bit), ("nowait", Bit), ("arguments", Table)]),
    row(50, 11, "queue.declare-ok", &[("queue", ShortStr), ("message-count", Long), ("consumer-count", Long)]),
    row(50, 20, "queue.bind", &[("ticket", Short), ("queue", ShortStr), ("exchange", ShortStr), ("routing-key", ShortStr), ("nowait", Bit), ("arguments", Table)]),
    row(50, 21, "queue.bind-ok", &[]),
    row(50, 30, "queue.purge", &[("ticket", Short), ("queue", ShortStr), ("nowait", Bit)]),
    row(50, 31, "queue.purge-ok", &[("message-count", Long)]),
    row(50, 40, "queue.delete", &[("ticket", Short), ("queue", ShortStr), ("if-unused", Bit), ("if-empty", Bit), ("nowait", Bit)]),
    row(50, 41, "queue.delete-ok", &[("message-count", Long)]),
    row(50, 50, "queue.unbind", &[("ticket", Short), ("queue", ShortStr), ("exchange", ShortStr), ("routing-key", ShortStr), ("arguments", Table)]),
    row(50, 51, "queue.unbind-ok", &[]),
    row(60, 10, "basic.qos", &[("prefetch-size", Long), ("prefetch-count", Short), ("global", Bit)]),
    row(60, 11, "basic.qos-ok", &[]),
    row(60, 20, "basic.consume", &[("ticket", Short), ("queue", ShortStr), ("consumer-tag", ShortStr), ("no-local", Bit), ("no-ack", Bit), ("exclusive", Bit), ("nowait", Bit), ("arguments", Table)]),
    row(60, 21, "basic.consume-ok", &[("consumer-tag", ShortStr)]),
    row(60, 30, "basic.cancel", &[("consumer-tag", ShortStr), ("nowait", Bit)]),
    row(60, 31, "basic.cancel-ok", &[("consumer-tag", ShortStr)]),
    row(60, 40, "basic.publish", &[("ticket", Short), ("exchange", ShortStr), ("routing-key", ShortStr), ("mandatory", Bit), ("immediate", Bit)]),
    row(60, 50, "basic.return", &[("reply-code", Short), ("reply-text", ShortStr), ("exchange", ShortStr), ("routing-key", ShortStr)]),
    row(60, 60, "basic.deliver", &[("consumer-tag", ShortStr), ("delivery-tag", LongLong), ("redelivered", Bit), ("exchange", ShortStr), ("routing-key", ShortStr)]),
    row(60, 70, "basic.get", &[("ticket", Short), ("queue", ShortStr), ("no-ack", Bit)]),
    row(60, 71, "basic.get-ok", &[("delivery-tag", LongLong), ("redelivered", Bit), ("exchange", ShortStr), ("routing-key", ShortStr), ("message-count", Long)]),
    row(60, 72, "basic.get-empty", &[("cluster-id", ShortStr)]),
    row(60, 80, "basic.ack", &[("delivery-tag", LongLong), ("multiple", Bit)]),
    row(60, 90, "basic.reject", &[("delivery-tag", LongLong), ("requeue", Bit)]),
    row(60, 100, "basic.recover-async", &[("requeue", Bit)]),
    row(60, 110, "basic.recover", &[("requeue", Bit)]),
    row(60, 111, "basic.recover-ok", &[]),
    row(60, 120, "basic.nack", &[("delivery-tag", LongLong), ("multiple", Bit), ("requeue", Bit)]),
    row(60, 200, "basic.credit", &[("consumer-tag", ShortStr), ("credit", Long), ("drain", Bit)]),
    row(60, 201, "basic.credit-ok", &[("available", Long)]),
    row(60, 202, "basic.credit-drained", &[("consumer-tag", ShortStr), ("credit-drained", Long)]),
    row(85, 10, "confirm.select", &[("nowait", Bit)]),
    row(85, 11, "confirm.select-ok", &[]),
    row(90, 10, "tx.select", &[]),
    row(90, 11, "tx.select-ok", &[]),
    row(90, 20, "tx.commit", &[]),
    row(90, 21, "tx.commit-ok", &[]),
    row(90, 30, "tx.rollback", &[]),
    row(90, 31, "tx.rollback-ok", &[]),
];
