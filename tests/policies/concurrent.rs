//! Policies come and go while queues are declared, published to and deleted.

use std::thread;

use harrier::broker::effects::Effects;
use harrier::broker::policy::PolicyKind;
use harrier::broker::queue::Settings;
use harrier::broker::vhost::Vhost;
use harrier::wire::method::{ExchangeDeclare, QueueDeclare};

use crate::support::{Host, ME, number, ranked};

/// The last one leaves both policies set.
const ROUNDS: usize = 302;

fn declare(vhost: &Vhost, round: usize) {
    let name = format!("q{}", round % 50);
    let declare = QueueDeclare {
        queue: &name,
        durable: true,
        ..QueueDeclare::default()
    };
    let named = || panic!("it has a name");
    let effects = &mut Effects::default();
    vhost.declare_queue(&declare, ME, named, effects).unwrap();
    let exchange = ExchangeDeclare {
        exchange: &name,
        kind: "fanout",
        ..ExchangeDeclare::default()
    };
    vhost.declare_exchange(&exchange, effects).unwrap();
}

fn delete(vhost: &Vhost, round: usize) {
    let name = format!("q{}", round * 7 % 50);
    let effects = &mut Effects::default();
    vhost
        .delete_queue(&name, false, false, ME, effects)
        .unwrap();
    vhost.delete_exchange(&name, false, effects).unwrap();
}

fn change(vhost: &Vhost, name: &str, round: usize) {
    let effects = &mut Effects::default();
    let limit = number(1 + (round % 9) as i64);
    let definition = [
        ("max-length", limit),
        ("alternate-exchange", "amq.fanout".into()),
    ];
    let priority = (round % 3) as i64;
    let rule = ranked(name, "q", priority, &definition);
    vhost.set_policy(rule, effects).unwrap();
    if round % 4 == 3 {
        vhost.clear_policy(PolicyKind::User, name, effects).unwrap();
    }
}

#[test]
fn everything_is_under_the_policies_there_are_at_the_end() {
    let host = Host::new();
    let vhost = &host.vhost;
    thread::scope(|scope| {
        scope.spawn(|| (0..ROUNDS).for_each(|round| declare(vhost, round)));
        scope.spawn(|| (0..ROUNDS).for_each(|round| delete(vhost, round)));
        for name in ["a", "b"] {
            scope.spawn(move || (0..ROUNDS).for_each(|round| change(vhost, name, round)));
        }
    });
    for round in 0..50 {
        declare(vhost, round);
    }
    let expected = vhost.policies(PolicyKind::User);
    let first = expected.iter().rev().max_by_key(|policy| policy.priority());
    for queue in vhost.queues() {
        let matched = vhost.policies_of_queue(queue.name()).unwrap();
        assert_eq!(matched.policy.as_ref(), first, "{}", queue.name());
        let under = Settings::under(&matched.definition(), &queue.spec().arguments);
        assert_eq!(*queue.settings(), under, "{}", queue.name());
        let exchange = vhost.policies_of_exchange(queue.name()).unwrap();
        assert_eq!(exchange.policy.as_ref(), first, "{}", queue.name());
    }
}
