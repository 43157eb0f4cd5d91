//! What is told of a virtual host, and to whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use harrier::base::clock::Now;
use harrier::broker::announcements::{Announcement, Peer};
use harrier::broker::message::MessageView;
use harrier::broker::policy::{ApplyTo, Policy, PolicyKind};
use harrier::broker::queue::Got;
use harrier::broker::spec::BindingSpec;
use harrier::broker::store::{NullStore, Recovered};
use harrier::broker::subscriber::{Delivery, Wake};
use harrier::broker::vhost::{VhostLimits, VhostSettings};
use harrier::broker::vhosts::Vhosts;
use harrier::wire::method::{ExchangeDeclare, QueueDeclare};
use harrier::wire::{FieldTable, FieldValue, Properties};

use crate::support::{Host, ME, exchange, queue, table, to_exchange, to_queue};

const EVENTS: &str = "amq.rabbitmq.event";
const TRACE: &str = "amq.rabbitmq.trace";

/// A virtual host whose events somebody listens to, with a queue that isn't
/// durable: the store here takes no messages.
fn listened_to() -> Host {
    let mut host = Host::new();
    let listener = QueueDeclare {
        durable: false,
        ..queue("listener")
    };
    host.declare_queue(&listener).unwrap();
    host.bind(to_queue(EVENTS, "listener", "#")).unwrap();
    host.vhost.herald().take(100);
    host
}

fn told(host: &Host) -> Vec<Announcement> {
    host.vhost.herald().take(100).into()
}

/// What was told, each with what it is about and who did it.
fn keys(host: &Host) -> Vec<String> {
    let key = |told: &Announcement| {
        let field = |name| told.headers().get(name).and_then(FieldValue::as_str);
        let name = field("name").or_else(|| field("source_name")).unwrap();
        let by = field("user_who_performed_action").unwrap();
        format!("{} {name} {by}", told.routing_key())
    };
    told(host).iter().map(key).collect()
}

fn auto_delete(name: &str) -> ExchangeDeclare<'_> {
    ExchangeDeclare {
        auto_delete: true,
        ..exchange(name, "fanout")
    }
}

#[test]
fn nothing_is_put_down_for_nobody() {
    let mut host = Host::new();
    host.queue("q");
    host.exchange("x", "direct");
    assert!(told(&host).is_empty());
    host.bind(to_queue(EVENTS, "q", "#")).unwrap();
    assert_eq!(
        keys(&host),
        ["binding.created amq.rabbitmq.event rmq-internal"]
    );
    host.unbind(&to_queue(EVENTS, "q", "#")).unwrap();
    host.queue("p");
    assert!(told(&host).is_empty(), "nobody listens any more");
}

#[test]
fn only_the_default_virtual_host_has_events_for_all() {
    let vhosts = Vhosts::restore(Arc::new(NullStore::default()), Recovered::default());
    let other = vhosts.create("other");
    assert!(other.exchange(EVENTS).is_none());
    let default = vhosts.get("/").unwrap();
    let mut effects = Default::default();
    default
        .declare_queue(&queue("q"), ME, String::new, &mut effects)
        .unwrap();
    default
        .bind(to_queue(EVENTS, "q", "#"), ME, &mut effects)
        .unwrap();
    vhosts.herald().take(100);
    other
        .declare_queue(&queue("p"), ME, String::new, &mut effects)
        .unwrap();
    vhosts
        .put("third", VhostSettings::default(), "operator")
        .unwrap();
    let limited = VhostSettings {
        limits: five_queues(),
        ..VhostSettings::default()
    };
    vhosts.put("third", limited, "operator").unwrap();
    vhosts
        .put("third", VhostSettings::default(), "operator")
        .unwrap();
    vhosts.delete("third", &mut effects).unwrap();
    let told = vhosts.herald().take(100);
    let keys: Vec<_> = told.iter().map(Announcement::routing_key).collect();
    assert_eq!(
        keys,
        [
            "queue.created",
            "vhost.created",
            "vhost.limits.set",
            "vhost.limits.cleared",
            "vhost.deleted"
        ]
    );
    assert_eq!(told[0].headers().get("vhost"), Some(&"other".into()));
    assert_eq!(
        told[2].headers().get("max-queues"),
        Some(&FieldValue::I64(5))
    );
    assert!(told.iter().all(|told| **told.vhost() == *"/"));
}

fn five_queues() -> VhostLimits {
    let mut limits = VhostLimits::default();
    limits.set("max-queues", Some(5)).unwrap();
    limits
}

#[test]
fn what_is_declared_and_deleted_is_told_with_what_goes_along() {
    let mut host = listened_to();
    host.effects.set_actor("alice".into());
    host.exchange("x", "topic");
    host.declare_exchange(&auto_delete("a")).unwrap();
    host.queue("q");
    host.bind(to_exchange("a", "x", "")).unwrap();
    host.bind(to_queue("x", "q", "k")).unwrap();
    // As it is already.
    host.exchange("x", "topic");
    host.queue("q");
    host.bind(to_queue("x", "q", "k")).unwrap();
    assert_eq!(
        keys(&host),
        [
            "exchange.created x alice",
            "exchange.created a alice",
            "queue.created q alice",
            "binding.created a alice",
            "binding.created x alice",
        ]
    );
    host.delete_queue("q").unwrap();
    assert_eq!(
        keys(&host),
        ["binding.deleted x rmq-internal", "queue.deleted q alice"]
    );
    host.delete_exchange("x").unwrap();
    assert_eq!(
        keys(&host),
        [
            "exchange.deleted x alice",
            "exchange.deleted a alice",
            "binding.deleted a alice",
        ]
    );
    host.delete_queue("q").unwrap();
    host.delete_exchange("x").unwrap();
    host.unbind(&to_queue("x", "q", "k")).unwrap();
    assert!(told(&host).is_empty(), "there was nothing to delete");
}

#[test]
fn a_queue_that_goes_with_its_connection_is_deleted_by_nobody() {
    let mut host = listened_to();
    host.effects.set_actor("alice".into());
    let request = QueueDeclare {
        exclusive: true,
        ..queue("q")
    };
    let queue = host.declare_queue(&request).unwrap();
    host.declare_exchange(&auto_delete("a")).unwrap();
    host.bind(to_queue("a", "q", "")).unwrap();
    told(&host);
    host.vhost.remove_queue(&queue, &mut host.effects);
    assert_eq!(
        keys(&host),
        [
            "exchange.deleted a rmq-internal",
            "binding.deleted a rmq-internal",
            "queue.deleted q rmq-internal",
        ]
    );
}

#[test]
fn events_have_the_fields_of_rabbitmq() {
    let mut host = listened_to();
    host.effects.set_actor("alice".into());
    host.vhost.herald().set_node("harrier@here".into());
    let mut request = exchange("x", "topic");
    request.arguments = table(&[("alternate-exchange", "foo".into())]);
    host.declare_exchange(&request).unwrap();
    let exclusive = QueueDeclare {
        exclusive: true,
        durable: true,
        ..queue("q")
    };
    host.declare_queue(&exclusive).unwrap();
    host.bind(BindingSpec {
        arguments: table(&[("a", 1.into())]),
        ..to_queue("x", "q", "k")
    })
    .unwrap();
    let fields = told(&host).into_iter().map(|told| {
        let mut headers = told.headers().clone();
        headers.sort();
        let entries = headers.iter();
        let entries = entries.map(|(name, value)| {
            let name = String::from_utf8_lossy(name);
            match value {
                FieldValue::Array(terms) => {
                    let terms: Vec<_> = terms.iter().map(|term| term.as_str().unwrap()).collect();
                    format!("{name}=[{}]", terms.join(" "))
                }
                FieldValue::Bool(value) => format!("{name}={value}"),
                value => format!("{name}={}", value.as_str().unwrap()),
            }
        });
        entries.collect::<Vec<_>>().join(", ")
    });
    let fields: Vec<_> = fields.collect();
    assert_eq!(
        fields,
        [
            "arguments=[{<<\"alternate-exchange\">>,longstr,<<\"foo\">>}], auto_delete=false, \
             durable=true, internal=false, name=x, policy=, type=topic, \
             user_who_performed_action=alice, vhost=/",
            "arguments=[{<<\"x-queue-type\">>,longstr,<<\"classic\">>}], auto_delete=false, \
             durable=false, exclusive=true, leader=harrier@here, members=[harrier@here], name=q, \
             owner_pid=<harrier@here.1.0>, type=rabbit_classic_queue, \
             user_who_performed_action=alice, vhost=/",
            "arguments=[{<<\"a\">>,signedint,1}], destination_kind=queue, destination_name=q, \
             routing_key=k, source_kind=exchange, source_name=x, user_who_performed_action=alice, \
             vhost=/",
        ]
    );
}

#[derive(Debug, Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn whoever_publishes_is_woken_once_for_all_that_waits() {
    let mut host = listened_to();
    let bell = Arc::new(Bell::default());
    host.vhost
        .herald()
        .listen(Arc::clone(&bell) as Arc<dyn Wake>);
    let rung = || bell.0.load(Ordering::Relaxed);
    host.queue("a");
    host.queue("b");
    assert_eq!(rung(), 1);
    assert_eq!(told(&host).len(), 2);
    host.queue("c");
    assert_eq!(rung(), 2);
}

#[test]
fn what_is_announced_reaches_who_is_bound() {
    let mut host = listened_to();
    let listener = host.vhost.queue("listener", ME).unwrap();
    host.queue("q");
    host.effects.set_now(Now::at_ms(5_432_100));
    for told in told(&host) {
        host.vhost.announce(&told, &mut host.effects);
    }
    let sleeper = Arc::new(Bell::default());
    let look = |delivery: &Delivery<'_>, _| {
        let message = delivery.message;
        assert_eq!(message.exchange, EVENTS.as_bytes());
        assert_eq!(message.routing_key, b"queue.created");
        assert!(message.body.is_empty());
        let properties = Properties::parse(message.properties).unwrap();
        assert_eq!(properties.delivery_mode, Some(2));
        assert_eq!(properties.timestamp, Some(5432));
        let headers = properties.headers_table().unwrap();
        assert_eq!(headers.get("timestamp_in_ms"), Some(&5_432_100_i64.into()));
        assert_eq!(headers.get("name"), Some(&"q".into()));
    };
    let got = listener.get(true, &sleeper, &mut host.effects, look);
    assert_eq!(got, Got::Message(()));
    assert_eq!(listener.counts().ready, 0);
}

#[test]
fn a_key_that_is_too_long_loses_its_end() {
    let mut host = listened_to();
    let listener = host.vhost.queue("listener", ME).unwrap();
    host.bind(to_queue(TRACE, "listener", "#")).unwrap();
    told(&host);
    let name = "é".repeat(127);
    delivered_from(&host, &name, b"");
    assert_eq!(host.vhost.publish_copies(100, &mut host.effects), 1);
    let sleeper = Arc::new(Bell::default());
    let got = listener.get(true, &sleeper, &mut host.effects, |delivery, _| {
        String::from_utf8(delivery.message.routing_key.to_vec()).unwrap()
    });
    let cut = format!("deliver.{}", "é".repeat(123));
    assert_eq!(got, Got::Message(cut));
}

fn delivered(host: &Host, body: &[u8]) {
    delivered_from(host, "q", body);
}

fn delivered_from(host: &Host, queue: &str, body: &[u8]) {
    let peer = Peer {
        connection: "one -> other".into(),
        user: "alice".into(),
    };
    let message = MessageView {
        exchange: b"x",
        routing_key: b"k",
        properties: &[0, 0],
        blind_copies: &[],
        body,
        shared_body: None,
    };
    host.vhost
        .firehose()
        .delivered(&peer, 7, queue, &message, true);
}

#[test]
fn the_firehose_is_on_when_it_is_switched_on_and_somebody_is_bound() {
    let mut host = Host::new();
    host.queue("q");
    let is_on = |host: &Host| host.vhost.firehose().switch().is_on();
    let is_kept = |host: &Host, exchange| host.vhost.check_publish(exchange).unwrap().cacheable;
    let before = host.vhost.generation();
    host.vhost.set_tracing(true);
    assert!(host.vhost.is_traced());
    assert!(
        host.vhost.generation() > before,
        "routes that are kept are found anew"
    );
    assert!(!is_on(&host), "nobody is bound");
    assert!(is_kept(&host, "amq.direct") && is_kept(&host, ""));
    host.bind(to_queue(TRACE, "q", "#")).unwrap();
    assert!(is_on(&host));
    assert!(!is_kept(&host, "amq.direct") && !is_kept(&host, ""));
    host.vhost.set_tracing(false);
    assert!(!is_on(&host) && !host.vhost.is_traced());
    assert!(is_kept(&host, "amq.direct"));
    host.vhost.set_tracing(true);
    host.delete_queue("q").unwrap();
    assert!(!is_on(&host));
}

#[test]
fn copies_are_bounded_in_octets() {
    let mut host = Host::new();
    let body = vec![0; 1024 * 1024];
    for _ in 0..100 {
        delivered(&host, &body);
    }
    let mut publish = |count| host.vhost.publish_copies(count, &mut host.effects);
    assert_eq!((publish(30), publish(30)), (30, 1));
    delivered(&host, &body);
    let mut publish = |count| host.vhost.publish_copies(count, &mut host.effects);
    assert_eq!(publish(30), 1, "there is room again");
}

#[test]
fn policies_are_told_of_with_the_queues_they_change() {
    let mut host = listened_to();
    host.queue("q1");
    host.queue("q2");
    host.log.take();
    told(&host);
    let set = |host: &mut Host, kind, name| {
        let definition = table(&[("max-length", FieldValue::I64(5))]);
        let policy = Policy::new(kind, name, "^q", ApplyTo::Queues, 3, definition);
        let set = host.vhost.set_policy(policy.unwrap(), &mut host.effects);
        set.unwrap();
    };
    set(&mut host, PolicyKind::User, "p");
    let events = told(&host);
    let rule = |headers: &FieldTable| {
        let of = |name| headers.get(name).cloned().unwrap();
        ["pattern", "apply-to", "definition", "priority"].map(of)
    };
    let expected = [
        "^q".into(),
        "queues".into(),
        table(&[("max-length", FieldValue::I64(5))]).into(),
        FieldValue::I64(3),
    ];
    let mut keys_of: Vec<_> = events.iter().map(Announcement::routing_key).collect();
    assert_eq!(keys_of.pop(), Some("policy.set"));
    assert_eq!(keys_of, ["queue.policy.updated"; 2]);
    for event in &events {
        assert_eq!(rule(event.headers()), expected);
    }
    let updated = events[0].headers();
    assert_eq!(updated.get("type"), Some(&"rabbit_classic_queue".into()));
    set(&mut host, PolicyKind::User, "p");
    assert!(keys(&host).is_empty(), "nothing has changed");

    host.delete_queue("q2").unwrap();
    told(&host);
    set(&mut host, PolicyKind::Operator, "o");
    let events = told(&host);
    assert_eq!(events[0].routing_key(), "parameter.set");
    let Some(FieldValue::Table(value)) = events[0].headers().get("value") else {
        panic!("{events:?}");
    };
    assert_eq!(rule(value), expected);
    assert_eq!(events[1].routing_key(), "queue.policy.updated");
    assert_eq!(events[2].routing_key(), "policy.set");
    for (kind, name) in [(PolicyKind::User, "p"), (PolicyKind::Operator, "o")] {
        let cleared = host.vhost.clear_policy(kind, name, &mut host.effects);
        assert!(cleared.unwrap().is_some());
    }
    assert_eq!(
        keys(&host),
        [
            "queue.policy.cleared q1 rmq-internal",
            "policy.cleared p rmq-internal",
            "parameter.cleared o rmq-internal",
            "queue.policy.cleared q1 rmq-internal",
        ]
    );
}

#[test]
fn a_new_exchange_is_told_of_with_its_policy() {
    let mut host = listened_to();
    let definition = table(&[("alternate-exchange", "amq.fanout".into())]);
    let policy = Policy::new(PolicyKind::User, "p", "^x", ApplyTo::All, 0, definition);
    let set = host.vhost.set_policy(policy.unwrap(), &mut host.effects);
    set.unwrap();
    told(&host);
    for (name, policy) in [("x", "p"), ("y", "")] {
        host.exchange(name, "fanout");
        let created = told(&host);
        assert_eq!(created[0].headers().get("policy"), Some(&policy.into()));
    }
}
