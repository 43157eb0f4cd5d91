//! Changes of what is declared as octets.

use std::sync::Arc;

use bytes::BytesMut;

use super::access_codec::{put_permissions, put_settings, put_topic_permission, put_user};
use super::codec::{CodecError, Reader, put_number, put_text};
use super::policy_codec::{put_policy, put_policy_kind};
use crate::base::ids::QueueId;
use crate::broker::change::Change;
use crate::broker::parameters::ParameterKey;
use crate::broker::spec::{BindingSpec, Destination, ExchangeSpec, QueueSpec};
use crate::wire::FieldTable;

const VHOST_CREATED: u8 = 1;
const VHOST_DELETED: u8 = 2;
const EXCHANGE_DECLARED: u8 = 3;
const EXCHANGE_DELETED: u8 = 4;
const QUEUE_DECLARED: u8 = 5;
const QUEUE_DELETED: u8 = 6;
const BOUND: u8 = 7;
const UNBOUND: u8 = 8;
const VHOST_SET: u8 = 9;
const USER_SET: u8 = 10;
const USER_DELETED: u8 = 11;
const PERMISSIONS_SET: u8 = 12;
const PERMISSIONS_CLEARED: u8 = 13;
const TOPIC_PERMISSION_SET: u8 = 14;
const TOPIC_PERMISSION_CLEARED: u8 = 15;
const POLICY_SET: u8 = 16;
const POLICY_CLEARED: u8 = 17;
const PARAMETER_SET: u8 = 18;
const PARAMETER_CLEARED: u8 = 19;

const TO_QUEUE: u8 = b'q';
const TO_EXCHANGE: u8 = b'e';

/// A change as octets, the same every time.
pub fn encode_change(change: &Change) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let (kind, vhost) = kind_and_vhost(change);
    out.push(kind);
    put_text(&mut out, vhost);
    match change {
        Change::VhostCreated { .. } | Change::VhostDeleted { .. } => {}
        Change::ExchangeDeclared { spec, .. } => put_exchange(&mut out, spec),
        Change::ExchangeDeleted { name, .. } => put_text(&mut out, name),
        Change::QueueDeclared { id, spec, .. } => {
            put_number(&mut out, id.0);
            put_queue(&mut out, spec);
        }
        Change::QueueDeleted { id, name, .. } => {
            put_number(&mut out, id.0);
            put_text(&mut out, name);
        }
        Change::Bound { spec, .. } | Change::Unbound { spec, .. } => put_binding(&mut out, spec),
        Change::VhostSet { settings, .. } => put_settings(&mut out, settings),
        Change::UserSet { user } => put_user(&mut out, user),
        Change::UserDeleted { name } => put_text(&mut out, name),
        Change::PermissionsSet {
            user, permissions, ..
        } => {
            put_text(&mut out, user);
            put_permissions(&mut out, permissions);
        }
        Change::PermissionsCleared { user, .. } => put_text(&mut out, user),
        Change::TopicPermissionSet {
            user, permission, ..
        } => {
            put_text(&mut out, user);
            put_topic_permission(&mut out, permission);
        }
        Change::TopicPermissionCleared { user, exchange, .. } => {
            put_text(&mut out, user);
            put_text(&mut out, exchange);
        }
        Change::PolicySet { policy, .. } => put_policy(&mut out, policy),
        Change::PolicyCleared { kind, name, .. } => {
            put_policy_kind(&mut out, *kind);
            put_text(&mut out, name);
        }
        Change::ParameterSet { key, value } => {
            put_parameter_key(&mut out, key);
            put_text(&mut out, value);
        }
        Change::ParameterCleared { key } => put_parameter_key(&mut out, key),
    }
    out
}

/// What is no virtual host's business has the empty name here.
fn kind_and_vhost(change: &Change) -> (u8, &str) {
    match change {
        Change::VhostCreated { vhost } => (VHOST_CREATED, vhost),
        Change::VhostDeleted { vhost } => (VHOST_DELETED, vhost),
        Change::ExchangeDeclared { vhost, .. } => (EXCHANGE_DECLARED, vhost),
        Change::ExchangeDeleted { vhost, .. } => (EXCHANGE_DELETED, vhost),
        Change::QueueDeclared { vhost, .. } => (QUEUE_DECLARED, vhost),
        Change::QueueDeleted { vhost, .. } => (QUEUE_DELETED, vhost),
        Change::Bound { vhost, .. } => (BOUND, vhost),
        Change::Unbound { vhost, .. } => (UNBOUND, vhost),
        Change::VhostSet { vhost, .. } => (VHOST_SET, vhost),
        Change::UserSet { .. } => (USER_SET, ""),
        Change::UserDeleted { .. } => (USER_DELETED, ""),
        Change::PermissionsSet { vhost, .. } => (PERMISSIONS_SET, vhost),
        Change::PermissionsCleared { vhost, .. } => (PERMISSIONS_CLEARED, vhost),
        Change::TopicPermissionSet { vhost, .. } => (TOPIC_PERMISSION_SET, vhost),
        Change::TopicPermissionCleared { vhost, .. } => (TOPIC_PERMISSION_CLEARED, vhost),
        Change::PolicySet { vhost, .. } => (POLICY_SET, vhost),
        Change::PolicyCleared { vhost, .. } => (POLICY_CLEARED, vhost),
        Change::ParameterSet { key, .. } => (PARAMETER_SET, vhost_or_none(key)),
        Change::ParameterCleared { key } => (PARAMETER_CLEARED, vhost_or_none(key)),
    }
}

fn vhost_or_none(key: &ParameterKey) -> &str {
    key.vhost().map_or("", |vhost| vhost)
}

/// Reads back what [`encode_change`] wrote.
///
/// # Errors
/// [`CodecError`] when the octets aren't exactly one change.
pub fn decode_change(octets: &[u8]) -> Result<Change, CodecError> {
    let mut input = Reader(octets);
    let kind = input.octet()?;
    let vhost = input.text()?;
    let change = match kind {
        VHOST_CREATED => Change::VhostCreated { vhost },
        VHOST_DELETED => Change::VhostDeleted { vhost },
        EXCHANGE_DECLARED => Change::ExchangeDeclared {
            vhost,
            spec: input.exchange()?,
        },
        EXCHANGE_DELETED => Change::ExchangeDeleted {
            vhost,
            name: input.text()?,
        },
        QUEUE_DECLARED => Change::QueueDeclared {
            vhost,
            id: QueueId(input.number()?),
            spec: input.queue()?,
        },
        QUEUE_DELETED => Change::QueueDeleted {
            vhost,
            id: QueueId(input.number()?),
            name: input.text()?,
        },
        BOUND => Change::Bound {
            vhost,
            spec: input.binding()?,
        },
        UNBOUND => Change::Unbound {
            vhost,
            spec: input.binding()?,
        },
        VHOST_SET => Change::VhostSet {
            vhost,
            settings: input.settings()?,
        },
        POLICY_SET => Change::PolicySet {
            vhost,
            policy: input.policy()?,
        },
        POLICY_CLEARED => Change::PolicyCleared {
            vhost,
            kind: input.policy_kind()?,
            name: input.text()?,
        },
        PARAMETER_SET => Change::ParameterSet {
            key: input.parameter_key(vhost)?,
            value: input.text()?,
        },
        PARAMETER_CLEARED => Change::ParameterCleared {
            key: input.parameter_key(vhost)?,
        },
        _ => input.access_change(kind, vhost)?,
    };
    match input.0 {
        [] => Ok(change),
        _ => Err(CodecError),
    }
}

/// Appends a table.
pub(super) fn put_table(out: &mut Vec<u8>, table: &FieldTable) {
    let mut entries = BytesMut::new();
    table.put_entries(&mut entries);
    put_number(out, entries.len() as u64);
    out.extend_from_slice(&entries);
}

fn put_flags(out: &mut Vec<u8>, flags: [bool; 3]) {
    let [a, b, c] = flags.map(u8::from);
    out.push(a | b << 1 | c << 2);
}

fn put_exchange(out: &mut Vec<u8>, spec: &ExchangeSpec) {
    put_text(out, &spec.name);
    put_text(out, &spec.kind);
    put_flags(out, [spec.durable, spec.auto_delete, spec.internal]);
    put_table(out, &spec.arguments);
}

fn put_queue(out: &mut Vec<u8>, spec: &QueueSpec) {
    put_text(out, &spec.name);
    put_flags(out, [spec.durable, spec.auto_delete, spec.exclusive]);
    put_table(out, &spec.arguments);
}

/// Appends where a binding leads.
pub(super) fn put_destination(out: &mut Vec<u8>, destination: &Destination) {
    out.push(match destination {
        Destination::Queue(_) => TO_QUEUE,
        Destination::Exchange(_) => TO_EXCHANGE,
    });
    put_text(out, destination.name());
}

fn put_binding(out: &mut Vec<u8>, spec: &BindingSpec) {
    put_text(out, &spec.source);
    put_destination(out, &spec.destination);
    put_text(out, &spec.routing_key);
    put_table(out, &spec.arguments);
}

/// Those of the whole broker have the empty component.
fn put_parameter_key(out: &mut Vec<u8>, key: &ParameterKey) {
    let component = match key {
        ParameterKey::Global { .. } => "",
        ParameterKey::Of { component, .. } => component,
    };
    put_text(out, component);
    put_text(out, key.name());
}

impl Reader<'_> {
    fn parameter_key(&mut self, vhost: Arc<str>) -> Result<ParameterKey, CodecError> {
        let (component, name) = (self.text()?, self.text()?);
        match (&*vhost, &*component) {
            ("", "") => Ok(ParameterKey::Global { name }),
            (_, "") => Err(CodecError),
            _ => Ok(ParameterKey::Of {
                component,
                vhost,
                name,
            }),
        }
    }

    /// A change of users and permissions.
    fn access_change(&mut self, kind: u8, vhost: Arc<str>) -> Result<Change, CodecError> {
        Ok(match kind {
            USER_SET => Change::UserSet { user: self.user()? },
            USER_DELETED => Change::UserDeleted { name: self.text()? },
            PERMISSIONS_SET => Change::PermissionsSet {
                vhost,
                user: self.text()?,
                permissions: self.permissions()?,
            },
            PERMISSIONS_CLEARED => Change::PermissionsCleared {
                vhost,
                user: self.text()?,
            },
            TOPIC_PERMISSION_SET => Change::TopicPermissionSet {
                vhost,
                user: self.text()?,
                permission: self.topic_permission()?,
            },
            TOPIC_PERMISSION_CLEARED => Change::TopicPermissionCleared {
                vhost,
                user: self.text()?,
                exchange: self.text()?,
            },
            _ => return Err(CodecError),
        })
    }

    /// The next table.
    pub(super) fn table(&mut self) -> Result<FieldTable, CodecError> {
        let size = self.number()?;
        FieldTable::parse_entries(self.take(size)?).map_err(|_| CodecError)
    }

    fn flags(&mut self) -> Result<[bool; 3], CodecError> {
        match self.octet()? {
            flags @ 0..8 => Ok([flags & 1 != 0, flags & 2 != 0, flags & 4 != 0]),
            _ => Err(CodecError),
        }
    }

    fn exchange(&mut self) -> Result<ExchangeSpec, CodecError> {
        let name = self.text()?;
        let kind = self.text()?;
        let [durable, auto_delete, internal] = self.flags()?;
        Ok(ExchangeSpec {
            name,
            kind,
            durable,
            auto_delete,
            internal,
            arguments: self.table()?,
        })
    }

    fn queue(&mut self) -> Result<QueueSpec, CodecError> {
        let name = self.text()?;
        let [durable, auto_delete, exclusive] = self.flags()?;
        Ok(QueueSpec {
            name,
            durable,
            exclusive,
            auto_delete,
            arguments: self.table()?,
        })
    }

    fn binding(&mut self) -> Result<BindingSpec, CodecError> {
        let source = self.text()?;
        let kind = self.octet()?;
        let name = self.text()?;
        let destination = match kind {
            TO_QUEUE => Destination::Queue(name),
            TO_EXCHANGE => Destination::Exchange(name),
            _ => return Err(CodecError),
        };
        Ok(BindingSpec {
            source,
            destination,
            routing_key: self.text()?,
            arguments: self.table()?,
        })
    }
}
