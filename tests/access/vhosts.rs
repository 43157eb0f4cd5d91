//! Virtual hosts made and deleted.

use std::sync::Arc;

use harrier::base::ids::ConnectionId;
use harrier::broker::change::Change;
use harrier::broker::effects::Effects;
use harrier::broker::spec::{BindingSpec, Destination};
use harrier::broker::store::{Recovered, Store};
use harrier::broker::vhost::{Vhost, VhostSettings};
use harrier::broker::vhosts::Vhosts;
use harrier::wire::method::{ExchangeDeclare, QueueDeclare};
use harrier::wire::{FieldTable, Refusal};

use crate::support::Log;

const ME: ConnectionId = ConnectionId(1);

fn vhosts() -> (Vhosts, Arc<Log>) {
    let log = Arc::new(Log::default());
    let store = Arc::clone(&log) as Arc<dyn Store>;
    let vhosts = Vhosts::restore(store, Recovered::default());
    vhosts
        .put("v", VhostSettings::default(), "operator")
        .unwrap();
    (vhosts, log)
}

fn declare(vhost: &Vhost, queue: &str) -> Result<(), Refusal> {
    let request = QueueDeclare {
        queue,
        durable: true,
        auto_delete: true,
        ..QueueDeclare::default()
    };
    let effects = &mut Effects::default();
    vhost
        .declare_queue(&request, ME, String::new, effects)
        .map(drop)
}

fn binding() -> BindingSpec {
    BindingSpec {
        source: "amq.direct".into(),
        destination: Destination::Queue("q".into()),
        routing_key: "k".into(),
        arguments: FieldTable::new(),
    }
}

#[test]
fn nothing_is_declared_in_a_deleted_virtual_host() {
    let (vhosts, log) = vhosts();
    let old = vhosts.get("v").unwrap();
    declare(&old, "q").unwrap();
    let effects = &mut Effects::default();
    vhosts.delete("v", effects).unwrap();
    log.take();
    let text = "CONNECTION_FORCED - vhost 'v' is deleted";
    assert_eq!(declare(&old, "r").unwrap_err().text(), text);
    let exchange = ExchangeDeclare {
        exchange: "x",
        kind: "direct",
        durable: true,
        ..ExchangeDeclare::default()
    };
    let refused = old.declare_exchange(&exchange, effects).unwrap_err();
    assert_eq!(refused.text(), text);
    let refused = old.bind(binding(), ME, effects).unwrap_err();
    assert_eq!(refused.text(), text);
    assert_eq!(log.take(), []);
}

/// A connection of the old one, on its way out, could delete from the store
/// what had been declared in the new one.
#[test]
fn what_goes_of_a_deleted_virtual_host_does_not_touch_the_next_of_its_name() {
    let (vhosts, log) = vhosts();
    let old = vhosts.get("v").unwrap();
    let effects = &mut Effects::default();
    declare(&old, "q").unwrap();
    old.bind(binding(), ME, effects).unwrap();
    let queue = old.queue("q", ME).unwrap();
    vhosts.delete("v", effects).unwrap();
    vhosts
        .put("v", VhostSettings::default(), "operator")
        .unwrap();
    let new = vhosts.get("v").unwrap();
    declare(&new, "q").unwrap();
    log.take();
    old.unbind(&binding(), ME, effects).unwrap();
    old.remove_queue(&queue, effects);
    assert_eq!(log.take(), []);
    assert!(new.has_queue("q"));
}

#[test]
fn settings_are_written_when_they_change() {
    let (vhosts, log) = vhosts();
    assert!(matches!(&log.take()[..], [.., Change::VhostSet { .. }]));
    let same = vhosts
        .put("v", VhostSettings::default(), "operator")
        .unwrap();
    assert!(!same.created && same.batch.is_none());
    let settings = VhostSettings {
        description: "d".into(),
        ..VhostSettings::default()
    };
    let changed = vhosts.put("v", settings.clone(), "operator").unwrap();
    assert!(!changed.created && changed.batch.is_some());
    let store: Arc<dyn Store> = Arc::new(Log::default());
    let changes = log.take();
    let recovered = Recovered {
        changes,
        ..Recovered::default()
    };
    let again = Vhosts::restore(store, recovered);
    assert_eq!(*again.get("v").unwrap().settings(), settings);
}
