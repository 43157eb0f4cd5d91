//! Policies outlive the broker, and go with their virtual host.

use std::path::Path;
use std::sync::Arc;

use harrier::base::ids::ConnectionId;
use harrier::broker::effects::Effects;
use harrier::broker::policy::{Policy, PolicyError, PolicyKind};
use harrier::broker::store::Store;
use harrier::broker::vhost::Vhost;
use harrier::broker::vhosts::Vhosts;
use harrier::storage::{LogStore, StoreOptions};
use harrier::wire::method::QueueDeclare;
use tempfile::tempdir;

use crate::support::{number, operator, policy, ranked};

/// A broker without a server.
struct Broker {
    store: Arc<LogStore>,
    vhosts: Vhosts,
}

impl Broker {
    fn open(dir: &Path) -> Self {
        let (store, recovered) = LogStore::open(dir, StoreOptions::default()).unwrap();
        let kept = Arc::clone(&store) as Arc<dyn Store>;
        let vhosts = Vhosts::restore(kept, recovered);
        Self { store, vhosts }
    }

    fn vhost(&self, name: &str) -> Arc<Vhost> {
        self.vhosts.get(name).unwrap()
    }

    fn set(&self, vhost: &str, policy: Policy) {
        let effects = &mut Effects::default();
        self.vhost(vhost).set_policy(policy, effects).unwrap();
    }

    fn close(self) {
        self.store.close().unwrap();
    }
}

fn declare(vhost: &Vhost, name: &str) {
    let declare = QueueDeclare {
        queue: name,
        durable: true,
        ..QueueDeclare::default()
    };
    let named = || panic!("it has a name");
    vhost
        .declare_queue(&declare, ConnectionId(1), named, &mut Effects::default())
        .unwrap();
}

#[test]
fn policies_are_there_and_apply_after_every_restart() {
    let dir = tempdir().unwrap();
    let broker = Broker::open(dir.path());
    let vhost = broker.vhost("/");
    declare(&vhost, "q");
    broker.set("/", ranked("p", "^q", -7, &[("max-length", number(5))]));
    broker.set("/", operator("p", "q$", &[("max-length", number(3))]));
    broker.set("/", policy("gone", "q", &[("max-length", number(1))]));
    broker.set(
        "/",
        policy(
            "x",
            "fanout",
            &[("alternate-exchange", "amq.direct".into())],
        ),
    );
    vhost
        .clear_policy(PolicyKind::User, "gone", &mut Effects::default())
        .unwrap();
    let before = [PolicyKind::User, PolicyKind::Operator].map(|kind| vhost.policies(kind));
    drop(vhost);
    broker.close();
    for round in 0..3 {
        let broker = Broker::open(dir.path());
        let vhost = broker.vhost("/");
        let after = [PolicyKind::User, PolicyKind::Operator].map(|kind| vhost.policies(kind));
        assert_eq!(before, after, "round {round}");
        let settings = vhost.queue("q", ConnectionId(1)).unwrap().settings();
        assert_eq!(settings.max_length, Some(3), "round {round}");
        let matched = vhost.policies_of_exchange("amq.fanout").unwrap();
        assert_eq!(
            matched.policy.unwrap().name().as_ref(),
            "x",
            "round {round}"
        );
        drop(vhost);
        broker.close();
    }
}

#[test]
fn policies_go_with_their_vhost_and_are_not_in_the_next_of_its_name() {
    let dir = tempdir().unwrap();
    let broker = Broker::open(dir.path());
    broker.vhosts.create("v");
    let vhost = broker.vhost("v");
    broker.set("v", policy("p", ".*", &[("max-length", number(5))]));
    broker.set("v", operator("o", ".*", &[("max-length", number(5))]));
    broker.vhosts.delete("v", &mut Effects::default()).unwrap();
    let late = policy("late", ".*", &[("max-length", number(5))]);
    assert_eq!(
        vhost.set_policy(late, &mut Effects::default()).err(),
        Some(PolicyError::NoSuchVhost("v".into()))
    );
    drop(vhost);
    broker.vhosts.create("v");
    broker.close();
    for _ in 0..2 {
        let broker = Broker::open(dir.path());
        for kind in [PolicyKind::User, PolicyKind::Operator] {
            assert!(broker.vhost("v").policies(kind).is_empty());
        }
        broker.close();
    }
}
