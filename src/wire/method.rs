//! Every method of the 0-9-1 grammar and of RabbitMQ's extensions, as one table.
//!
//! A row reads: class and method id, name, the arguments before the packed
//! bits, the bits (least significant first), the arguments after them.

use bytes::{BufMut, BytesMut};
use nom::number::complete::{be_u8, be_u16};

use super::error::{DecodeError, complete, fail};
use super::field::FieldTable;
use super::parse::{Argument, LongStr, Parsed};

macro_rules! methods {
    ($(
        $(#[$doc:meta])*
        $class:literal $id:literal $name:ident $(<$lt:lifetime>)? {
            $($field:ident: $type:ty),* ; $($bit:ident),* ; $($late:ident: $late_type:ty),*
        }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Default)]
            #[allow(missing_docs, reason = "the arguments are the grammar's")]
            pub struct $name $(<$lt>)? {
                $(pub $field: $type,)*
                $(pub $bit: bool,)*
                $(pub $late: $late_type,)*
            }

            impl $(<$lt>)? $name $(<$lt>)? {
                /// The class id.
                pub const CLASS: u16 = $class;
                /// The method id within its class.
                pub const ID: u16 = $id;
            }
        )*

        /// A method, by its name. What it borrows lives in the read buffer.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "one variant a method")]
        pub enum Method<'a> {
            $($name($name $(<$lt>)?),)*
        }

        impl<'a> Method<'a> {
            /// Class id and method id.
            pub const fn ids(&self) -> (u16, u16) {
                match self {
                    $(Self::$name(_) => ($class, $id),)*
                }
            }

            fn parse_arguments(class: u16, method: u16, input: &'a [u8]) -> Parsed<'a, Self> {
                match (class, method) {
                    $(($class, $id) => {
                        $(let (input, $field) = Argument::parse(input)?;)*
                        let (input, bits) = bits(input, &[$(stringify!($bit)),*])?;
                        let _unused = bits;
                        $(let $bit = bits & 1 != 0; let bits = bits >> 1; let _unused = bits;)*
                        $(let (input, $late) = Argument::parse(input)?;)*
                        Ok((input, Self::$name($name { $($field,)* $($bit,)* $($late,)* })))
                    })*
                    _ => fail(DecodeError::UnknownMethod { class, method }),
                }
            }

            /// Appends the payload of the method's frame.
            pub fn put(&self, out: &mut BytesMut) {
                match self {
                    $(Self::$name(_method) => {
                        out.put_u16($class);
                        out.put_u16($id);
                        $(_method.$field.put(out);)*
                        put_bits(out, &[$(_method.$bit),*]);
                        $(_method.$late.put(out);)*
                    })*
                }
            }
        }

        $(
            impl<'a> From<$name $(<$lt>)?> for Method<'a> where $($lt: 'a)? {
                fn from(method: $name $(<$lt>)?) -> Self {
                    Self::$name(method)
                }
            }
        )*
    };
}

methods! {
    /// `connection.start`
    10 10 ConnectionStart<'a> { version_major: u8, version_minor: u8, server_properties: FieldTable, mechanisms: LongStr<'a>, locales: LongStr<'a>; ;  }
    /// `connection.start-ok`
    10 11 ConnectionStartOk<'a> { client_properties: FieldTable, mechanism: &'a str, response: LongStr<'a>, locale: &'a str; ;  }
    /// `connection.secure`
    10 20 ConnectionSecure<'a> { challenge: LongStr<'a>; ;  }
    /// `connection.secure-ok`
    10 21 ConnectionSecureOk<'a> { response: LongStr<'a>; ;  }
    /// `connection.tune`
    10 30 ConnectionTune { channel_max: u16, frame_max: u32, heartbeat: u16; ;  }
    /// `connection.tune-ok`
    10 31 ConnectionTuneOk { channel_max: u16, frame_max: u32, heartbeat: u16; ;  }
    /// `connection.open`
    10 40 ConnectionOpen<'a> { virtual_host: &'a str, capabilities: &'a str; insist;  }
    /// `connection.open-ok`
    10 41 ConnectionOpenOk<'a> { known_hosts: &'a str; ;  }
    /// `connection.close`
    10 50 ConnectionClose<'a> { reply_code: u16, reply_text: &'a str, class_id: u16, method_id: u16; ;  }
    /// `connection.close-ok`
    10 51 ConnectionCloseOk { ; ;  }
    /// `connection.blocked`
    10 60 ConnectionBlocked<'a> { reason: &'a str; ;  }
    /// `connection.unblocked`
    10 61 ConnectionUnblocked { ; ;  }
    /// `connection.update-secret`
    10 70 ConnectionUpdateSecret<'a> { new_secret: LongStr<'a>, reason: &'a str; ;  }
    /// `connection.update-secret-ok`
    10 71 ConnectionUpdateSecretOk { ; ;  }
    /// `channel.open`
    20 10 ChannelOpen<'a> { out_of_band: &'a str; ;  }
    /// `channel.open-ok`
    20 11 ChannelOpenOk<'a> { channel_id: LongStr<'a>; ;  }
    /// `channel.flow`
    20 20 ChannelFlow { ; active;  }
    /// `channel.flow-ok`
    20 21 ChannelFlowOk { ; active;  }
    /// `channel.close`
    20 40 ChannelClose<'a> { reply_code: u16, reply_text: &'a str, class_id: u16, method_id: u16; ;  }
    /// `channel.close-ok`
    20 41 ChannelCloseOk { ; ;  }
    /// `access.request`
    30 10 AccessRequest<'a> { realm: &'a str; exclusive, passive, active, write, read;  }
    /// `access.request-ok`
    30 11 AccessRequestOk { ticket: u16; ;  }
    /// `exchange.declare`
    40 10 ExchangeDeclare<'a> { ticket: u16, exchange: &'a str, kind: &'a str; passive, durable, auto_delete, internal, nowait; arguments: FieldTable }
    /// `exchange.declare-ok`
    40 11 ExchangeDeclareOk { ; ;  }
    /// `exchange.delete`
    40 20 ExchangeDelete<'a> { ticket: u16, exchange: &'a str; if_unused, nowait;  }
    /// `exchange.delete-ok`
    40 21 ExchangeDeleteOk { ; ;  }
    /// `exchange.bind`
    40 30 ExchangeBind<'a> { ticket: u16, destination: &'a str, source: &'a str, routing_key: &'a str; nowait; arguments: FieldTable }
    /// `exchange.bind-ok`
    40 31 ExchangeBindOk { ; ;  }
    /// `exchange.unbind`
    40 40 ExchangeUnbind<'a> { ticket: u16, destination: &'a str, source: &'a str, routing_key: &'a str; nowait; arguments: FieldTable }
    /// `exchange.unbind-ok`
    40 51 ExchangeUnbindOk { ; ;  }
    /// `queue.declare`
    50 10 QueueDeclare<'a> { ticket: u16, queue: &'a str; passive, durable, exclusive, auto_delete, nowait; arguments: FieldTable }
    /// `queue.declare-ok`
    50 11 QueueDeclareOk<'a> { queue: &'a str, message_count: u32, consumer_count: u32; ;  }
    /// `queue.bind`
    50 20 QueueBind<'a> { ticket: u16, queue: &'a str, exchange: &'a str, routing_key: &'a str; nowait; arguments: FieldTable }
    /// `queue.bind-ok`
    50 21 QueueBindOk { ; ;  }
    /// `queue.purge`
    50 30 QueuePurge<'a> { ticket: u16, queue: &'a str; nowait;  }
    /// `queue.purge-ok`
    50 31 QueuePurgeOk { message_count: u32; ;  }
    /// `queue.delete`
    50 40 QueueDelete<'a> { ticket: u16, queue: &'a str; if_unused, if_empty, nowait;  }
    /// `queue.delete-ok`
    50 41 QueueDeleteOk { message_count: u32; ;  }
    /// `queue.unbind`
    50 50 QueueUnbind<'a> { ticket: u16, queue: &'a str, exchange: &'a str, routing_key: &'a str, arguments: FieldTable; ;  }
    /// `queue.unbind-ok`
    50 51 QueueUnbindOk { ; ;  }
    /// `basic.qos`
    60 10 BasicQos { prefetch_size: u32, prefetch_count: u16; global;  }
    /// `basic.qos-ok`
    60 11 BasicQosOk { ; ;  }
    /// `basic.consume`
    60 20 BasicConsume<'a> { ticket: u16, queue: &'a str, consumer_tag: &'a str; no_local, no_ack, exclusive, nowait; arguments: FieldTable }
    /// `basic.consume-ok`
    60 21 BasicConsumeOk<'a> { consumer_tag: &'a str; ;  }
    /// `basic.cancel`
    60 30 BasicCancel<'a> { consumer_tag: &'a str; nowait;  }
    /// `basic.cancel-ok`
    60 31 BasicCancelOk<'a> { consumer_tag: &'a str; ;  }
    /// `basic.publish`
    60 40 BasicPublish<'a> { ticket: u16, exchange: &'a str, routing_key: &'a str; mandatory, immediate;  }
    /// `basic.return`
    60 50 BasicReturn<'a> { reply_code: u16, reply_text: &'a str, exchange: &'a str, routing_key: &'a str; ;  }
    /// `basic.deliver`
    60 60 BasicDeliver<'a> { consumer_tag: &'a str, delivery_tag: u64; redelivered; exchange: &'a str, routing_key: &'a str }
    /// `basic.get`
    60 70 BasicGet<'a> { ticket: u16, queue: &'a str; no_ack;  }
    /// `basic.get-ok`
    60 71 BasicGetOk<'a> { delivery_tag: u64; redelivered; exchange: &'a str, routing_key: &'a str, message_count: u32 }
    /// `basic.get-empty`
    60 72 BasicGetEmpty<'a> { cluster_id: &'a str; ;  }
    /// `basic.ack`
    60 80 BasicAck { delivery_tag: u64; multiple;  }
    /// `basic.reject`
    60 90 BasicReject { delivery_tag: u64; requeue;  }
    /// `basic.recover-async`
    60 100 BasicRecoverAsync { ; requeue;  }
    /// `basic.recover`
    60 110 BasicRecover { ; requeue;  }
    /// `basic.recover-ok`
    60 111 BasicRecoverOk { ; ;  }
    /// `basic.nack`
    60 120 BasicNack { delivery_tag: u64; multiple, requeue;  }
    /// `basic.credit`
    60 200 BasicCredit<'a> { consumer_tag: &'a str, credit: u32; drain;  }
    /// `basic.credit-ok`
    60 201 BasicCreditOk { available: u32; ;  }
    /// `basic.credit-drained`
    60 202 BasicCreditDrained<'a> { consumer_tag: &'a str, credit_drained: u32; ;  }
    /// `confirm.select`
    85 10 ConfirmSelect { ; nowait;  }
    /// `confirm.select-ok`
    85 11 ConfirmSelectOk { ; ;  }
    /// `tx.select`
    90 10 TxSelect { ; ;  }
    /// `tx.select-ok`
    90 11 TxSelectOk { ; ;  }
    /// `tx.commit`
    90 20 TxCommit { ; ;  }
    /// `tx.commit-ok`
    90 21 TxCommitOk { ; ;  }
    /// `tx.rollback`
    90 30 TxRollback { ; ;  }
    /// `tx.rollback-ok`
    90 31 TxRollbackOk { ; ;  }
}

impl<'a> Method<'a> {
    /// Parses the payload of a method frame.
    ///
    /// # Errors
    /// [`DecodeError`] when the method is unknown or its arguments don't fill
    /// the payload exactly.
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        complete(payload, |input| {
            let (rest, class) = be_u16(input)?;
            let (rest, method) = be_u16(rest)?;
            Self::parse_arguments(class, method, rest)
        })
    }

    /// Class id and method id at the front of a method frame's payload.
    pub fn peek_ids(payload: &[u8]) -> Option<(u16, u16)> {
        let [c0, c1, m0, m1, ..] = *payload else {
            return None;
        };
        Some((u16::from_be_bytes([c0, c1]), u16::from_be_bytes([m0, m1])))
    }

    /// Whether a content header and body follow the method.
    pub const fn has_content(&self) -> bool {
        matches!(
            self,
            Self::BasicPublish(_)
                | Self::BasicReturn(_)
                | Self::BasicDeliver(_)
                | Self::BasicGetOk(_)
        )
    }
}

/// Reads the octet that `names` share; no bits, no octet.
fn bits<'a>(input: &'a [u8], names: &[&str]) -> Parsed<'a, u8> {
    if names.is_empty() {
        return Ok((input, 0));
    }
    be_u8(input)
}

fn put_bits(out: &mut BytesMut, bits: &[bool]) {
    if bits.is_empty() {
        return;
    }
    let octet = bits
        .iter()
        .rev()
        .fold(0, |octet, bit| octet << 1 | u8::from(*bit));
    out.put_u8(octet);
}
