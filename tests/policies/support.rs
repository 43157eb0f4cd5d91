//! A virtual host with policies, and a clock that stands still.

use std::sync::Arc;

use harrier::base::clock::Now;
use harrier::base::ids::ConnectionId;
use harrier::broker::attempts::ReturnCause;
use harrier::broker::dead_lettering::see_to_effects;
use harrier::broker::effects::Effects;
use harrier::broker::message::Content;
use harrier::broker::policy::{ApplyTo, Policy, PolicyKind};
use harrier::broker::queue::{Got, Incoming, Pushed, Queue, Settlement, Surroundings};
use harrier::broker::routing::RoutingKeys;
use harrier::broker::store::{NullStore, Store};
use harrier::broker::subscriber::Wake;
use harrier::broker::vhost::{QueueIds, Vhost};
use harrier::wire::method::{ExchangeDeclare, QueueDeclare};
use harrier::wire::{Body, FieldTable, FieldValue};

/// The connection that does everything.
pub const ME: ConnectionId = ConnectionId(1);
/// When everything happens, milliseconds since 1970.
pub const START: u64 = 1_700_000_000_000;

/// Somebody who is never woken.
#[derive(Debug, Default)]
pub struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

/// A virtual host `/`, and what there is to do after each step.
#[derive(Debug)]
pub struct Host {
    pub vhost: Vhost,
    pub effects: Effects,
}

impl Host {
    pub fn new() -> Self {
        let store = Arc::new(NullStore::default()) as Arc<dyn Store>;
        let around = Surroundings::new(store, Arc::default());
        let mut effects = Effects::default();
        effects.set_now(Now::at_ms(START));
        Self {
            vhost: Vhost::new("/".into(), Arc::new(QueueIds::default()), around),
            effects,
        }
    }

    /// Lets time pass, without anybody noticing yet.
    pub fn set_time(&mut self, ms: u64) {
        self.effects.set_now(Now::at_ms(START + ms));
    }

    pub fn set(&mut self, policy: Policy) {
        self.vhost.set_policy(policy, &mut self.effects).unwrap();
        see_to_effects(&self.vhost, &mut self.effects);
    }

    pub fn clear(&mut self, name: &str) {
        let cleared = self
            .vhost
            .clear_policy(PolicyKind::User, name, &mut self.effects);
        assert!(cleared.unwrap().is_some(), "{name}");
        see_to_effects(&self.vhost, &mut self.effects);
    }

    /// A durable queue of a type.
    pub fn queue(
        &mut self,
        name: &str,
        kind: &str,
        arguments: &[(&str, FieldValue)],
    ) -> Arc<Queue> {
        let mut all = table(arguments);
        all.push("x-queue-type", kind);
        let declare = QueueDeclare {
            queue: name,
            durable: true,
            arguments: all,
            ..QueueDeclare::default()
        };
        let named = || panic!("it has a name");
        self.vhost
            .declare_queue(&declare, ME, named, &mut self.effects)
            .unwrap()
    }

    /// A durable fanout exchange.
    pub fn exchange(&mut self, name: &str, arguments: &[(&str, FieldValue)]) {
        let declare = ExchangeDeclare {
            exchange: name,
            kind: "fanout",
            durable: true,
            arguments: table(arguments),
            ..ExchangeDeclare::default()
        };
        self.vhost
            .declare_exchange(&declare, &mut self.effects)
            .unwrap();
    }

    pub fn push(&mut self, queue: &Arc<Queue>, body: &str) -> Pushed {
        let content = Content {
            exchange: b"",
            routing_key: queue.name().as_bytes(),
            properties: &[0, 0],
            persistent: false,
            dead_lettered: false,
            failed: false,
            blind_copies: &[],
            body: Body::Borrowed(body.as_bytes()),
        };
        let pushed = queue.push(&Incoming::new(content), &mut self.effects);
        see_to_effects(&self.vhost, &mut self.effects);
        pushed
    }

    /// Takes the first message and refuses it, to have it again.
    pub fn reject(&mut self, queue: &Arc<Queue>) -> bool {
        let nobody = Arc::new(Nobody);
        let got = queue.get(false, &nobody, &mut self.effects, |delivery, _| {
            delivery.held
        });
        let Got::Message(held) = got else {
            return false;
        };
        let how = Settlement::Requeue(ReturnCause::Rejected);
        queue.settle(&[held.unwrap()], how, &mut self.effects);
        see_to_effects(&self.vhost, &mut self.effects);
        true
    }

    /// The bodies of what is ready, taken.
    pub fn drain(&mut self, queue: &Arc<Queue>) -> Vec<String> {
        let nobody = Arc::new(Nobody);
        let mut bodies = Vec::new();
        while let Got::Message(body) = queue.get(true, &nobody, &mut self.effects, |delivery, _| {
            String::from_utf8(delivery.message.body.to_vec()).unwrap()
        }) {
            bodies.push(body);
        }
        see_to_effects(&self.vhost, &mut self.effects);
        bodies
    }

    /// The names of the queues that a message to an exchange goes to.
    pub fn route(&self, exchange: &str, key: &str) -> Vec<String> {
        let mut found = Vec::new();
        let keys = RoutingKeys::one(key);
        self.vhost
            .route(exchange, keys, &mut FieldTable::new(), &mut found)
            .unwrap();
        found.iter().map(|queue| queue.name().to_string()).collect()
    }

    /// The policies that apply to a queue, by name.
    pub fn of_queue(&self, name: &str) -> (Option<String>, Option<String>) {
        let matched = self.vhost.policies_of_queue(name).unwrap();
        let name = |policy: Option<Arc<Policy>>| Some(policy?.name().to_string());
        (name(matched.policy), name(matched.operator))
    }

    /// The policy that applies to a queue, by name.
    pub fn policy_of(&self, name: &str) -> Option<String> {
        self.of_queue(name).0
    }
}

pub fn table(entries: &[(&str, FieldValue)]) -> FieldTable {
    entries.iter().cloned().collect()
}

/// A number, as definitions have them.
pub fn number(value: i64) -> FieldValue {
    FieldValue::I64(value)
}

/// A policy for everything that `pattern` is found in.
pub fn policy(name: &str, pattern: &str, definition: &[(&str, FieldValue)]) -> Policy {
    ranked(name, pattern, 0, definition)
}

/// The same with a priority.
pub fn ranked(
    name: &str,
    pattern: &str,
    priority: i64,
    definition: &[(&str, FieldValue)],
) -> Policy {
    let definition = table(definition);
    Policy::new(
        PolicyKind::User,
        name,
        pattern,
        ApplyTo::All,
        priority,
        definition,
    )
    .unwrap()
}

/// The same of operators.
pub fn operator(name: &str, pattern: &str, definition: &[(&str, FieldValue)]) -> Policy {
    let definition = table(definition);
    Policy::new(
        PolicyKind::Operator,
        name,
        pattern,
        ApplyTo::All,
        0,
        definition,
    )
    .unwrap()
}
