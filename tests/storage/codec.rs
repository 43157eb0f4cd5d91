//! Changes as octets: what goes in comes out, and damage is an error.

use std::sync::Arc;

use harrier::base::ids::QueueId;
use harrier::broker::access::{PasswordHash, Permissions, TopicPermission, User, UserLimits};
use harrier::broker::change::Change;
use harrier::broker::parameters::ParameterKey;
use harrier::broker::pattern::Pattern;
use harrier::broker::policy::{ApplyTo, Policy, PolicyKind};
use harrier::broker::spec::{BindingSpec, Destination, ExchangeSpec, QueueSpec};
use harrier::broker::vhost::{VhostLimits, VhostSettings};
use harrier::storage::{decode_change, encode_change};
use harrier::wire::{FieldTable, FieldValue};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z.\u{0}é]{1,20}", "\\PC{0,60}"]
}

fn value() -> impl Strategy<Value = FieldValue> {
    let scalar = prop_oneof![
        name().prop_map(FieldValue::str),
        any::<i32>().prop_map(FieldValue::I32),
        any::<i64>().prop_map(FieldValue::I64),
        any::<bool>().prop_map(FieldValue::Bool),
        any::<u64>().prop_map(FieldValue::Timestamp),
        (-1e9..1e9).prop_map(FieldValue::F64),
        Just(FieldValue::Void),
    ];
    scalar.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(FieldValue::Array),
            table_of(inner).prop_map(FieldValue::Table),
        ]
    })
}

fn table_of(values: impl Strategy<Value = FieldValue>) -> impl Strategy<Value = FieldTable> {
    proptest::collection::vec(("[a-z-]{0,12}", values), 0..5)
        .prop_map(|entries| entries.into_iter().collect())
}

fn exchange() -> impl Strategy<Value = ExchangeSpec> {
    let flags = any::<(bool, bool, bool)>();
    (name(), name(), flags, table_of(value())).prop_map(|(name, kind, flags, arguments)| {
        let (durable, auto_delete, internal) = flags;
        ExchangeSpec {
            name: name.into(),
            kind: kind.into(),
            durable,
            auto_delete,
            internal,
            arguments,
        }
    })
}

fn queue() -> impl Strategy<Value = QueueSpec> {
    let flags = any::<(bool, bool, bool)>();
    (name(), flags, table_of(value())).prop_map(|(name, flags, arguments)| {
        let (durable, exclusive, auto_delete) = flags;
        QueueSpec {
            name: name.into(),
            durable,
            exclusive,
            auto_delete,
            arguments,
        }
    })
}

fn binding() -> impl Strategy<Value = BindingSpec> {
    (name(), name(), any::<bool>(), name(), table_of(value())).prop_map(
        |(source, to, is_queue, key, arguments)| BindingSpec {
            source: source.into(),
            destination: match is_queue {
                true => Destination::Queue(to.into()),
                false => Destination::Exchange(to.into()),
            },
            routing_key: key.into(),
            arguments,
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    let id = any::<u64>().prop_map(QueueId);
    prop_oneof![
        name().prop_map(|vhost| Change::VhostCreated {
            vhost: vhost.into()
        }),
        name().prop_map(|vhost| Change::VhostDeleted {
            vhost: vhost.into()
        }),
        (name(), exchange()).prop_map(|(vhost, spec)| Change::ExchangeDeclared {
            vhost: vhost.into(),
            spec
        }),
        (name(), name()).prop_map(|(vhost, name)| Change::ExchangeDeleted {
            vhost: vhost.into(),
            name: name.into()
        }),
        (name(), id.clone(), queue()).prop_map(|(vhost, id, spec)| Change::QueueDeclared {
            vhost: vhost.into(),
            id,
            spec
        }),
        (name(), id, name()).prop_map(|(vhost, id, name)| Change::QueueDeleted {
            vhost: vhost.into(),
            id,
            name: name.into()
        }),
        (name(), binding()).prop_map(|(vhost, spec)| Change::Bound {
            vhost: vhost.into(),
            spec
        }),
        (name(), binding()).prop_map(|(vhost, spec)| Change::Unbound {
            vhost: vhost.into(),
            spec
        }),
        policy_change(),
        parameter_change(),
    ]
}

fn parameter_key() -> impl Strategy<Value = ParameterKey> {
    let given = || "\\PC{1,20}".prop_map(Arc::from);
    prop_oneof![
        name().prop_map(|name| ParameterKey::Global { name: name.into() }),
        (given(), given(), name()).prop_map(|(component, vhost, name)| ParameterKey::Of {
            component,
            vhost,
            name: name.into(),
        }),
    ]
}

fn parameter_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (parameter_key(), name()).prop_map(|(key, value)| Change::ParameterSet {
            key,
            value: value.into(),
        }),
        parameter_key().prop_map(|key| Change::ParameterCleared { key }),
    ]
}

fn kind() -> impl Strategy<Value = PolicyKind> {
    prop_oneof![Just(PolicyKind::User), Just(PolicyKind::Operator)]
}

fn policy_change() -> impl Strategy<Value = Change> {
    let rule = (name(), 0..ApplyTo::ALL.len(), any::<i64>());
    prop_oneof![
        (name(), kind(), name(), rule, table_of(value())).prop_map(
            |(vhost, kind, name, (pattern, apply_to, priority), definition)| {
                let pattern = Pattern::kept(&pattern);
                let apply_to = ApplyTo::ALL[apply_to];
                let name = name.into();
                Change::PolicySet {
                    vhost: vhost.into(),
                    policy: Policy::kept(kind, name, pattern, apply_to, priority, definition),
                }
            }
        ),
        (name(), kind(), name()).prop_map(|(vhost, kind, name)| Change::PolicyCleared {
            vhost: vhost.into(),
            kind,
            name: name.into()
        }),
    ]
}

fn limit() -> impl Strategy<Value = Option<i64>> {
    proptest::option::of(any::<i64>())
}

fn names() -> impl Strategy<Value = Vec<Arc<str>>> {
    proptest::collection::vec(name().prop_map(Arc::from), 0..4)
}

fn user() -> impl Strategy<Value = User> {
    (name(), any::<[u8; 4]>(), name(), names(), limit(), limit()).prop_map(
        |(name, salt, password, tags, max_connections, max_channels)| User {
            name: name.into(),
            password: PasswordHash::of(password.as_bytes(), salt),
            tags,
            limits: UserLimits {
                max_connections,
                max_channels,
            },
        },
    )
}

fn settings() -> impl Strategy<Value = VhostSettings> {
    let kind = prop_oneof![Just(None), Just(Some("quorum".into()))];
    (name(), names(), kind, any::<bool>(), limit(), limit()).prop_map(
        |(description, tags, kind, protected, max_connections, max_queues)| VhostSettings {
            description: description.into(),
            tags,
            default_queue_type: kind,
            protected,
            limits: VhostLimits {
                max_connections,
                max_queues,
            },
        },
    )
}

fn access_change() -> impl Strategy<Value = Change> {
    let both = || (name(), name()).prop_map(|(vhost, user)| (vhost.into(), user.into()));
    let three = || (name(), name(), name());
    prop_oneof![
        (name(), settings()).prop_map(|(vhost, settings)| Change::VhostSet {
            vhost: vhost.into(),
            settings
        }),
        user().prop_map(|user| Change::UserSet { user }),
        name().prop_map(|name| Change::UserDeleted { name: name.into() }),
        (both(), three()).prop_map(|((vhost, user), (c, w, r))| Change::PermissionsSet {
            vhost,
            user,
            permissions: Permissions::kept(&c, &w, &r),
        }),
        both().prop_map(|(vhost, user)| Change::PermissionsCleared { vhost, user }),
        (both(), three()).prop_map(|((vhost, user), (exchange, write, read))| {
            let permission = TopicPermission {
                exchange: exchange.into(),
                write: write.into(),
                read: read.into(),
            };
            Change::TopicPermissionSet {
                vhost,
                user,
                permission,
            }
        }),
        (both(), name()).prop_map(|((vhost, user), exchange)| {
            let exchange = exchange.into();
            Change::TopicPermissionCleared {
                vhost,
                user,
                exchange,
            }
        }),
    ]
}

proptest! {
    #[test]
    fn a_change_of_users_comes_back(change in access_change()) {
        prop_assert_eq!(decode_change(&encode_change(&change)), Ok(change));
    }

    #[test]
    fn a_change_of_users_cut_off_is_an_error(
        change in access_change(),
        cut in any::<prop::sample::Index>(),
    ) {
        let octets = encode_change(&change);
        prop_assert!(decode_change(&octets[..cut.index(octets.len())]).is_err());
    }

    #[test]
    fn damaged_octets_of_users_never_panic(
        change in access_change(),
        at in any::<prop::sample::Index>(),
        octet in any::<u8>(),
    ) {
        let mut octets = encode_change(&change);
        let at = at.index(octets.len());
        octets[at] = octet;
        decode_change(&octets).ok();
    }

    #[test]
    fn a_change_comes_back(change in change()) {
        prop_assert_eq!(decode_change(&encode_change(&change)), Ok(change));
    }

    #[test]
    fn a_change_cut_off_is_an_error(change in change(), cut in any::<prop::sample::Index>()) {
        let octets = encode_change(&change);
        prop_assert!(decode_change(&octets[..cut.index(octets.len())]).is_err());
    }

    #[test]
    fn damaged_octets_never_panic(
        change in change(),
        at in any::<prop::sample::Index>(),
        octet in any::<u8>(),
    ) {
        let mut octets = encode_change(&change);
        let at = at.index(octets.len());
        octets[at] = octet;
        decode_change(&octets).ok();
    }

    #[test]
    fn any_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        decode_change(&octets).ok();
    }
}
