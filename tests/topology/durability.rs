use std::sync::Arc;

use harrier::base::ids::QueueId;
use harrier::broker::change::Change;
use harrier::broker::queue::Surroundings;
use harrier::broker::routing::RoutingKeys;
use harrier::broker::store::{NullStore, Store};
use harrier::broker::vhost::{QueueIds, Vhost};
use harrier::wire::method::{ExchangeDeclare, QueueDeclare};

use crate::support::{Host, ME, exchange, queue, queue_with, table, to_exchange, to_queue};

/// The kinds of changes, as they were appended.
fn kinds(appended: Vec<Vec<Change>>) -> Vec<Vec<String>> {
    let kind = |change: &Change| match change {
        Change::ExchangeDeclared { spec, .. } => format!("+x {}", spec.name),
        Change::ExchangeDeleted { name, .. } => format!("-x {name}"),
        Change::QueueDeclared { spec, .. } => format!("+q {}", spec.name),
        Change::QueueDeleted { name, .. } => format!("-q {name}"),
        Change::Bound { spec, .. } => format!("+b {}", spec.source),
        Change::Unbound { spec, .. } => format!("-b {}", spec.source),
        other => format!("{other:?}"),
    };
    appended
        .iter()
        .map(|changes| changes.iter().map(kind).collect())
        .collect()
}

#[test]
fn what_is_durable_is_written() {
    let mut host = Host::new();
    host.exchange("x", "direct");
    host.queue("q");
    host.bind(to_queue("x", "q", "k")).unwrap();
    assert!(host.effects.take_batch().is_some());
    host.bind(to_queue("x", "q", "k")).unwrap();
    host.exchange("x", "direct");
    host.queue("q");
    assert!(host.effects.take_batch().is_none(), "nothing new");
    host.unbind(&to_queue("x", "q", "k")).unwrap();
    host.unbind(&to_queue("x", "q", "k")).unwrap();
    host.delete_queue("q").unwrap();
    host.delete_exchange("x").unwrap();
    assert_eq!(
        kinds(host.log.take()),
        [["+x x"], ["+q q"], ["+b x"], ["-b x"], ["-q q"], ["-x x"]]
    );
}

#[test]
fn what_is_transient_is_not() {
    let mut host = Host::new();
    let transient = ExchangeDeclare {
        durable: false,
        ..exchange("x", "direct")
    };
    host.declare_exchange(&transient).unwrap();
    for request in [
        QueueDeclare {
            durable: false,
            ..queue("t")
        },
        QueueDeclare {
            exclusive: true,
            ..queue("e")
        },
    ] {
        host.declare_queue(&request).unwrap();
        host.bind(to_queue("amq.direct", request.queue, ""))
            .unwrap();
        host.bind(to_queue("x", request.queue, "")).unwrap();
        host.unbind(&to_queue("x", request.queue, "")).unwrap();
        host.delete_queue(request.queue).unwrap();
    }
    host.delete_exchange("x").unwrap();
    assert!(host.log.take().is_empty());
}

#[test]
fn a_binding_lasts_if_both_ends_do() {
    let mut host = Host::new();
    let transient = ExchangeDeclare {
        durable: false,
        ..exchange("t", "direct")
    };
    host.declare_exchange(&transient).unwrap();
    host.exchange("x", "direct");
    host.queue("q");
    host.log.take();
    host.bind(to_queue("t", "q", "k")).unwrap();
    host.bind(to_exchange("x", "t", "k")).unwrap();
    host.bind(to_exchange("x", "amq.direct", "k")).unwrap();
    assert_eq!(kinds(host.log.take()), [["+b x"]]);
}

#[test]
fn what_goes_along_is_written_in_the_same_append() {
    let mut host = Host::new();
    for name in ["a", "b"] {
        let request = ExchangeDeclare {
            auto_delete: true,
            ..exchange(name, "fanout")
        };
        host.declare_exchange(&request).unwrap();
    }
    host.queue("q");
    host.bind(to_exchange("a", "b", "")).unwrap();
    host.bind(to_queue("b", "q", "")).unwrap();
    host.log.take();
    host.delete_queue("q").unwrap();
    assert_eq!(kinds(host.log.take()), [["-q q", "-x b", "-x a"]]);
}

fn empty_vhost() -> (Vhost, Arc<QueueIds>) {
    let ids = Arc::new(QueueIds::default());
    let store = Arc::new(NullStore::default()) as Arc<dyn Store>;
    (
        Vhost::new(
            "/".into(),
            Arc::clone(&ids),
            Surroundings::new(store, Arc::default()),
        ),
        ids,
    )
}

/// Everything durable that is shown of a virtual host.
fn shown(vhost: &Vhost) -> impl PartialEq + std::fmt::Debug + use<> {
    let queues = vhost.queues();
    let queues: Vec<_> = queues.iter().map(|q| (q.id(), q.spec().clone())).collect();
    (vhost.exchanges(), queues, vhost.bindings())
}

#[test]
fn a_log_replayed_once_or_twice_leads_to_the_same() {
    let mut host = Host::new();
    host.exchange("x", "headers");
    host.exchange("y", "topic");
    host.queue("q");
    let mut spec = to_queue("x", "q", "");
    spec.arguments = table(&[("b", 1.into()), ("a", "2".into())]);
    host.bind(spec).unwrap();
    host.bind(to_exchange("y", "x", "a.#")).unwrap();
    host.bind(to_queue("y", "q", "b")).unwrap();
    host.unbind(&to_queue("y", "q", "b")).unwrap();
    host.delete_queue("q").unwrap();
    host.declare_queue(&queue_with("q", &[("x-max-length", 5.into())]))
        .unwrap();
    host.bind(to_queue("y", "q", "c")).unwrap();
    host.exchange("z", "fanout");
    host.delete_exchange("z").unwrap();
    let changes: Vec<_> = host.log.take().into_iter().flatten().collect();

    let (vhost, ids) = empty_vhost();
    for _ in 0..2 {
        for change in &changes {
            vhost.restore(change);
        }
        assert_eq!(shown(&vhost), shown(&host.vhost));
    }
    assert_eq!(ids.next(), QueueId(3), "numbers aren't given out again");
    let found = vhost.queue("q", ME).unwrap();
    assert_eq!(found.owner(), None);
}

#[test]
fn messages_go_the_same_way_after_a_restart() {
    let mut host = Host::new();
    let mut by_header = exchange("by-header", "x-consistent-hash");
    by_header.arguments = table(&[("hash-header", "k".into())]);
    host.declare_exchange(&by_header).unwrap();
    host.exchange("by-key", "x-consistent-hash");
    host.exchange("modulus", "x-modulus-hash");
    for name in ["a", "b", "gone", "c", "d"] {
        host.queue(name);
        for source in ["by-header", "by-key", "modulus"] {
            host.bind(to_queue(source, name, "7")).unwrap();
        }
    }
    host.delete_queue("gone").unwrap();
    let mut changes: Vec<_> = host.log.take().into_iter().flatten().collect();
    // A checkpoint has what is declared in an order of its own.
    changes.retain(|change| !matches!(change, Change::QueueDeleted { .. }));
    changes.reverse();
    changes.sort_by_key(|change| matches!(change, Change::Bound { .. }));
    let (vhost, _) = empty_vhost();
    for change in &changes {
        vhost.restore(change);
    }
    vhost
        .delete_queue("gone", false, false, ME, &mut host.effects)
        .unwrap();
    for key in (0..200).map(|number| format!("key-{number}")) {
        let headers = table(&[("k", key.as_str().into())]);
        for source in ["by-header", "by-key", "modulus"] {
            let keys = RoutingKeys::one(&key);
            let mut out = Vec::new();
            vhost
                .route(source, keys, &mut headers.clone(), &mut out)
                .unwrap();
            let found: Vec<_> = out.iter().map(|queue| queue.name().to_string()).collect();
            assert_eq!(found, host.route_all(source, keys, headers.clone()));
        }
    }
}

#[test]
fn an_older_log_does_not_bring_back_a_deleted_queue() {
    let mut host = Host::new();
    host.queue("q");
    let first: Vec<_> = host.log.take().into_iter().flatten().collect();
    host.delete_queue("q").unwrap();
    host.queue("q");
    host.bind(to_queue("amq.direct", "q", "k")).unwrap();
    let all: Vec<_> = host.log.take().into_iter().flatten().collect();
    // A state that has only the later queue, and then the log from its start.
    let (vhost, _) = empty_vhost();
    for change in all.iter().skip(1).chain(&first).chain(&all) {
        vhost.restore(change);
    }
    assert_eq!(shown(&vhost), shown(&host.vhost));
}

#[test]
fn an_exchange_that_stays_is_not_lost_by_replaying() {
    let mut host = Host::new();
    let request = ExchangeDeclare {
        auto_delete: true,
        ..exchange("a", "direct")
    };
    host.declare_exchange(&request).unwrap();
    host.queue("q");
    let before: Vec<_> = host.log.take().into_iter().flatten().collect();
    host.delete_queue("q").unwrap();
    host.queue("q");
    host.bind(to_queue("a", "q", "k")).unwrap();
    let after: Vec<_> = host.log.take().into_iter().flatten().collect();
    // A state that has it all, and then the second half of the log again.
    let (vhost, _) = empty_vhost();
    for change in before.iter().chain(&after).chain(&after) {
        vhost.restore(change);
    }
    assert_eq!(shown(&vhost), shown(&host.vhost));
}
