//! Where messages went: from a rule to the story of a message.

use std::sync::Arc;

use harrier::base::ids::QueueId;
use harrier::broker::message::MessageView;
use harrier::broker::queue::{Queue, Surroundings};
use harrier::broker::spec::QueueSpec;
use harrier::broker::store::NullStore;
use harrier::broker::trace::{
    Criteria, Event, Happening, Ring, Sample, Search, Story, TraceId, TraceParent, fits,
};
use harrier::wire::method::{BasicAck, BasicReject, ExchangeDeclare, QueueBind};
use harrier::wire::{FieldTable, FieldValue, Properties};
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::client::{Client, Said};

fn id(number: u64) -> TraceId {
    TraceId::new(number).unwrap()
}

fn acknowledged(queue: &str) -> Happening {
    Happening::Acknowledged {
        queue: queue.into(),
        by: "guest".into(),
    }
}

#[test]
fn names_fit_where_stars_stand_for_anything() {
    for (wanted, name, expected) in [
        ("orders", "orders", true),
        ("orders", "orders.eu", false),
        ("", "", true),
        ("", "x", false),
        ("*", "", true),
        ("*", "anything", true),
        ("orders*", "orders.eu", true),
        ("*eu", "orders.eu", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "a-c-b", false),
        ("a*a", "a", false),
        ("*ab*ab", "ab", false),
        ("*ab*ab", "abab", true),
    ] {
        assert_eq!(fits(wanted, name.as_bytes()), expected, "{wanted} {name}");
    }
}

#[test]
fn a_traceparent_is_read_as_the_standard_has_it() {
    let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let parent = TraceParent::parse(text).unwrap();
    assert_eq!(parent.to_string(), text);
    assert!(parent.is_sampled);
    let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more";
    assert!(!TraceParent::parse(later).unwrap().is_sampled);
    for bad in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e473\u{e4}-00f067aa0ba902b7-01",
    ] {
        assert_eq!(TraceParent::parse(bad), None, "{bad}");
    }
}

#[test]
fn a_ring_keeps_the_latest_within_its_bounds() {
    let vhost: Arc<str> = "/".into();
    let mut ring = Ring::new(3, 1 << 20);
    for number in 1..=5 {
        ring.push(id(number), number, &vhost, acknowledged("q"));
    }
    let kept = |events: Vec<Arc<Event>>| events.iter().map(|e| e.number).collect::<Vec<_>>();
    assert_eq!(kept(ring.after(0, 10)), [3, 4, 5]);
    assert_eq!(kept(ring.after(3, 1)), [4]);
    assert!(kept(ring.after(9, 10)).is_empty());
    assert_eq!((ring.status().events, ring.status().gone), (3, 2));
    ring.clear();
    assert_eq!((ring.status().octets, ring.status().gone), (0, 5));
    ring.push(id(6), 6, &vhost, acknowledged("q"));
    assert_eq!(kept(ring.after(0, 10)), [6]);

    let mut ring = Ring::new(100, 2000);
    for number in 1..=50 {
        ring.push(id(number), number, &vhost, acknowledged("q"));
        assert!(ring.status().octets <= 2000);
    }
    assert!((1..50).contains(&ring.status().events));
}

#[test]
fn a_sample_is_even_and_begins_at_once() {
    assert!(Sample::new(0.0).is_none());
    assert!(Sample::new(1.5).is_none());
    assert!(Sample::new(f64::NAN).is_none());
    for (rate, of_thousand) in [(1.0, 1000), (0.5, 500), (0.1, 100), (0.001, 1)] {
        let sample = Sample::new(rate).unwrap();
        assert!(sample.takes(), "{rate}");
        let taken = 1 + (1..1000).filter(|_| sample.takes()).count();
        assert!(taken.abs_diff(of_thousand) <= 1, "{rate}: {taken}");
    }
}

fn queue(name: &str) -> Arc<Queue> {
    let spec = QueueSpec {
        name: name.into(),
        durable: false,
        exclusive: false,
        auto_delete: false,
        arguments: FieldTable::new(),
    };
    let store = Arc::new(NullStore::default());
    let around = Surroundings::new(store, Arc::default());
    Arc::new(Queue::new(QueueId(1), "/".into(), spec, None, &around))
}

#[test]
fn criteria_are_met_together() {
    let mut headers = FieldTable::new();
    headers.push("tenant", "acme");
    headers.push("attempt", 3_i32);
    let properties = Properties {
        correlation_id: Some(b"order-1"),
        message_id: Some(b"m-1"),
        ..Properties::default()
    };
    let raw = properties.with_headers(&headers);
    let message = MessageView {
        exchange: b"orders",
        routing_key: b"order.created",
        properties: &raw,
        blind_copies: &[],
        body: b"{}",
        shared_body: None,
    };
    let queues = [queue("billing")];
    let met = |ask: fn(&mut Criteria)| {
        let mut criteria = Criteria::default();
        ask(&mut criteria);
        criteria.are_met("guest", &message, &queues)
    };
    let asked_and_met: [fn(&mut Criteria); 9] = [
        |_| (),
        |c| c.exchange = Some("ord*".into()),
        |c| c.routing_key = Some("order.*".into()),
        |c| c.queue = Some("billing".into()),
        |c| c.user = Some("guest".into()),
        |c| c.correlation_id = Some("order-1".into()),
        |c| c.message_id = Some("m-1".into()),
        |c| c.headers = vec![("tenant".into(), "acme".into())],
        |c| c.headers = vec![("attempt".into(), "3".into())],
    ];
    assert!(asked_and_met.into_iter().all(met));
    let asked_in_vain: [fn(&mut Criteria); 7] = [
        |c| c.exchange = Some("".into()),
        |c| c.queue = Some("bill".into()),
        |c| c.user = Some("other".into()),
        |c| c.correlation_id = Some("order-*".into()),
        |c| c.headers = vec![("attempt".into(), "4".into())],
        |c| c.headers = vec![("missing".into(), "3".into())],
        |c| (c.exchange, c.message_id) = (Some("orders".into()), Some("m-2".into())),
    ];
    assert!(!asked_in_vain.into_iter().any(met));
}

#[test]
fn a_story_tells_where_the_message_is() {
    let vhost: Arc<str> = "/".into();
    let mut ring = Ring::new(100, 1 << 20);
    let delivered = |queue: &str| Happening::Delivered {
        queue: queue.into(),
        to: harrier::broker::announcements::Peer {
            connection: "c".into(),
            user: "guest".into(),
        },
        channel: 1,
        consumer: None,
        redelivered: false,
        to_settle: true,
    };
    ring.push(id(7), 1, &vhost, delivered("q"));
    let stays = |ring: &Ring| {
        let story = Story::of(id(7), ring.after(0, 100)).unwrap();
        let stays = story.stays().into_iter();
        stays
            .map(|s| (s.queue.to_string(), s.is_held))
            .collect::<Vec<_>>()
    };
    assert_eq!(stays(&ring), [("q".to_owned(), true)]);
    let died = Happening::Died {
        queue: "q".into(),
        reason: "rejected",
        exchange: Some("dlx".into()),
        routing_key: "k".into(),
        queues: vec!["dead".into()],
    };
    ring.push(id(7), 2, &vhost, died);
    assert_eq!(stays(&ring), [("dead".to_owned(), false)]);
    ring.push(id(7), 3, &vhost, delivered("dead"));
    ring.push(id(7), 4, &vhost, acknowledged("dead"));
    assert!(stays(&ring).is_empty());
    let by_queue = Search {
        queue: Some("dead".to_owned()),
        since: Some(4),
        until: Some(1),
        ..Search::default()
    };
    assert_eq!(by_queue.find(Story::all(ring.after(0, 100))).len(), 1);
    let later = Search {
        since: Some(5),
        ..by_queue
    };
    assert!(later.find(Story::all(ring.after(0, 100))).is_empty());
}

/// A client on a broker with an exchange `orders`, bound to the queue `orders` by
/// `order.#`; the dead letters of that go to `dead`.
pub struct Shop {
    pub broker: Broker,
    client: Client,
}

/// The `traceparent` of all that a [`Shop`] publishes.
pub const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

impl Shop {
    pub fn open(broker: Broker) -> Self {
        let mut client = Client::connect(broker.amqp);
        client.open_channel(1);
        let declare = ExchangeDeclare {
            exchange: "orders",
            kind: "topic",
            ..ExchangeDeclare::default()
        };
        assert_eq!(client.ask(1, declare), Said::Other(1, (40, 11)));
        let arguments = FieldTable::from_iter([
            ("x-dead-letter-exchange", FieldValue::str("")),
            ("x-dead-letter-routing-key", FieldValue::str("dead")),
        ]);
        client.declare_durable("orders", arguments);
        client.declare_durable("dead", FieldTable::new());
        for routing_key in ["order.#", "bill.#"] {
            let bind = QueueBind {
                queue: "orders",
                exchange: "orders",
                routing_key,
                ..QueueBind::default()
            };
            assert_eq!(client.ask(1, bind), Said::Other(1, (50, 21)));
        }
        Self { broker, client }
    }

    /// Has everything traced that `rule` chooses.
    #[track_caller]
    pub fn trace(&self, rule: &str) {
        let path = "/harrier/trace-rules/%2F/rule";
        self.broker.put(path, rule).is(201, "");
    }

    /// Publishes a message that is part of the trace of [`PARENT`].
    pub fn publish(&mut self, correlation_id: &str) {
        let headers = FieldTable::from_iter([("traceparent", FieldValue::str(PARENT))]);
        let properties = Properties {
            delivery_mode: Some(2),
            correlation_id: Some(correlation_id.as_bytes()),
            ..Properties::default()
        };
        let raw = properties.with_headers(&headers);
        let to = ("orders", "order.created");
        self.client.publish(1, to, &raw, b"{}");
        self.flush();
    }

    /// Takes a message and says that it is done.
    pub fn ack(&mut self, queue: &str) {
        let (delivery_tag, ..) = self.client.get(queue).unwrap();
        let ack = BasicAck {
            delivery_tag,
            ..BasicAck::default()
        };
        self.client.send(1, ack);
        self.flush();
    }

    /// Takes a message and refuses it; its properties.
    pub fn reject(&mut self, queue: &str, requeue: bool) -> Vec<u8> {
        let (delivery_tag, _, message) = self.client.get(queue).unwrap();
        let reject = BasicReject {
            delivery_tag,
            requeue,
        };
        self.client.send(1, reject);
        self.flush();
        message.properties
    }

    /// Waits until what was sent before has been seen to: what is answered comes
    /// after it.
    fn flush(&mut self) {
        self.client.counts(1, "orders");
    }

    /// The one story there is.
    #[track_caller]
    fn story(&self) -> Value {
        let found = self.broker.json("/harrier/traces");
        assert_eq!(found["found"], 1);
        let id = found["items"][0]["id"].as_str().unwrap();
        self.broker.json(&format!("/harrier/traces/{id}"))
    }
}

fn whats(story: &Value) -> Vec<&str> {
    let events = story["events"].as_array().unwrap();
    let whats = events.iter().map(|event| event["what"].as_str().unwrap());
    whats.collect()
}

#[test]
fn a_message_is_followed_from_its_publisher_to_its_end() {
    let mut shop = Shop::open(Broker::start());
    // Kept routes must not hide what is published once there is a rule.
    shop.publish("before");
    shop.trace(r#"{"queue": "orders"}"#);
    shop.publish("order-1");
    shop.ack("orders");
    let seen = shop.reject("orders", true);
    let headers = Properties::parse(&seen).unwrap().headers_table().unwrap();
    assert_eq!(headers.len(), 1, "no client sees what it is followed by");
    shop.reject("orders", false);
    shop.ack("dead");
    let story = shop.story();
    let expected = [
        "published",
        "delivered",
        "requeued",
        "delivered",
        "rejected",
        "dead_lettered",
        "delivered",
        "acknowledged",
    ];
    assert_eq!(whats(&story), expected);
    assert_eq!(story["in"], json!([]));
    assert_eq!(story["traceparent"], PARENT);
    let events = &story["events"];
    let way = json!({
        "source": "orders",
        "destination": "orders",
        "destination_type": "queue",
        "routing_key": "order.#"
    });
    assert_eq!(events[0]["bindings"], json!([way]));
    assert_eq!(events[0]["queues"], json!(["orders"]));
    assert_eq!(events[0]["user"], "guest");
    assert_eq!(events[2]["cause"], "rejected");
    assert_eq!(events[3]["redelivered"], true);
    assert_eq!(events[5]["reason"], "rejected");
    assert_eq!(events[5]["queues"], json!(["dead"]));
    assert_eq!(events[7]["queue"], "dead");
    let rule = shop.broker.json("/harrier/trace-rules/%2F/rule");
    assert_eq!(rule["chosen"], 1);
}

#[test]
fn a_message_that_is_sent_back_goes_on_with_its_story() {
    let mut shop = Shop::open(Broker::start());
    shop.trace("");
    shop.publish("order-1");
    shop.reject("orders", false);
    let begun = shop.broker.post(
        "/harrier/queues/%2F/dead/messages/replay",
        r#"{"all": true}"#,
    );
    assert_eq!(begun.status, 202, "{}", begun.body);
    let at = begun.header("location").strip_prefix("/api").unwrap();
    assert_eq!(shop.broker.json(&format!("{at}?wait=60"))["done"], 1);
    shop.ack("orders");
    let story = shop.story();
    let expected = [
        "published",
        "delivered",
        "rejected",
        "dead_lettered",
        "replayed",
        "delivered",
        "acknowledged",
    ];
    assert_eq!(whats(&story), expected);
    assert_eq!(story["events"][4]["queue"], "dead");
    assert_eq!(story["events"][4]["queues"], json!(["orders"]));
    assert_eq!(story["events"][4]["user"], "guest");
}

#[test]
fn nothing_is_taken_down_without_rules() {
    let mut shop = Shop::open(Broker::start());
    let last = |shop: &Shop| shop.broker.json("/harrier/trace-events?after=0")["last"].clone();
    shop.publish("order-1");
    shop.ack("orders");
    assert_eq!(last(&shop), 0);
    shop.trace("");
    let rule = "/harrier/trace-rules/%2F/rule";
    shop.broker.put(rule, r#"{"sample": 0.5}"#).is(204, "");
    shop.broker.delete(rule).is(204, "");
    shop.publish("order-2");
    assert_eq!(last(&shop), 0);
    assert_eq!(shop.broker.json("/harrier/trace-rules"), json!([]));
}

#[test]
fn a_message_that_dies_where_no_letters_go_is_said_to_be_dropped() {
    let mut shop = Shop::open(Broker::start());
    shop.trace(r#"{"correlation_id": "order-1"}"#);
    shop.publish("order-1");
    shop.publish("order-2");
    for queue in ["orders", "orders", "dead"] {
        shop.reject(queue, false);
    }
    let story = shop.story();
    assert_eq!(whats(&story).last(), Some(&"dropped"));
    assert_eq!(story["in"], json!([]));
    let found =
        |query: &str| shop.broker.json(&format!("/harrier/traces?{query}"))["found"].clone();
    assert_eq!(found("queue=dead&vhost=%2F"), 1);
    assert_eq!(found("queue=none"), 0);
    assert_eq!(found("correlation_id=order-1&exchange=orders"), 1);
    shop.broker.delete("/harrier/traces").is(204, "");
    assert_eq!(found(""), 0);
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let broker = Broker::start();
    for (body, reason) in [
        (
            r#"{"sample": 0}"#,
            "sample is 0: expected a number above 0, and at most 1",
        ),
        (r#"{"queue": 1}"#, "queue is 1: expected a string"),
        (
            r#"{"headers": {"a": []}}"#,
            "a is []: expected a string, a number or a boolean",
        ),
    ] {
        let answer = broker.put("/harrier/trace-rules/%2F/bad", body);
        assert_eq!(
            (answer.status, answer.json()["reason"].as_str()),
            (400, Some(reason))
        );
    }
    let answer = broker.put("/harrier/trace-rules/%2F/bad", r#"{"que": "x"}"#);
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(broker.put("/harrier/trace-rules/none/r", "").status, 404);
    assert_eq!(broker.delete("/harrier/trace-rules/%2F/none").status, 404);
    assert_eq!(broker.get("/harrier/traces/17").status, 400);
    assert_eq!(broker.get("/harrier/traces/0000000000000011").status, 404);
    assert_eq!(broker.get("/harrier/traces?limit=many").status, 400);
}

#[test]
fn only_monitors_who_may_enter_trace() {
    let broker = Broker::start();
    broker.user("ops", &["monitoring"]);
    broker.user("dev", &["management"]);
    broker.permit("dev", "/", ["", "", ""]);
    let rule = "/harrier/trace-rules/%2F/r";
    assert_eq!(broker.ask("ops", "PUT", rule, "").status, 404);
    assert_eq!(broker.ask("dev", "PUT", rule, "").status, 401);
    assert_eq!(broker.ask("dev", "GET", "/harrier/traces", "").status, 401);
    broker.permit("ops", "/", ["", "", ""]);
    assert_eq!(broker.ask("ops", "PUT", rule, "").status, 201);
    assert_eq!(broker.ask("ops", "GET", "/harrier/traces", "").status, 200);
    assert_eq!(
        broker.ask("ops", "DELETE", "/harrier/traces", "").status,
        401
    );
}

/// The last event of the story of a message that is nowhere any more.
#[track_caller]
fn end(broker: &Broker, correlation_id: &str) -> Value {
    let found = broker.json(&format!("/harrier/traces?correlation_id={correlation_id}"));
    let summary = &found["items"][0];
    assert_eq!(summary["in"], json!([]), "{correlation_id}");
    let id = summary["id"].as_str().unwrap();
    let story = broker.json(&format!("/harrier/traces/{id}"));
    story["events"].as_array().unwrap().last().unwrap().clone()
}

#[test]
fn messages_that_are_removed_are_said_to_be() {
    let mut shop = Shop::open(Broker::start());
    shop.trace("");
    shop.publish("dropped");
    shop.reject("orders", false);
    shop.publish("held");
    shop.client.get("orders").unwrap();
    shop.publish("purged");
    let begun = shop
        .broker
        .post("/harrier/queues/%2F/dead/messages/drop", r#"{"all": true}"#);
    assert_eq!(begun.status, 202, "{}", begun.body);
    let at = begun.header("location").strip_prefix("/api").unwrap();
    assert_eq!(shop.broker.json(&format!("{at}?wait=60"))["done"], 1);
    let contents = "/queues/%2F/orders/contents";
    shop.broker.delete(contents).is(204, "");
    let held = shop.broker.json("/harrier/traces?correlation_id=held");
    assert_eq!(held["items"][0]["last"], "delivered");
    shop.publish("deleted");
    shop.broker.delete("/queues/%2F/orders").is(204, "");
    for (message, what, queue) in [
        ("dropped", "dropped", "dead"),
        ("purged", "purged", "orders"),
        ("held", "queue_deleted", "orders"),
        ("deleted", "queue_deleted", "orders"),
    ] {
        let end = end(&shop.broker, message);
        let told = [&end["what"], &end["queue"], &end["user"]];
        assert_eq!(told, [what, queue, "guest"], "{message}");
    }
}

#[test]
fn a_purge_is_told_of_messages_on_disk() {
    // More than a queue keeps in memory.
    const MESSAGES: usize = 200;
    let mut shop = Shop::open(Broker::start());
    shop.client.declare_durable("long", FieldTable::new());
    shop.trace("");
    let persistent = Properties {
        delivery_mode: Some(2),
        ..Properties::default()
    };
    let raw = persistent.with_headers(&FieldTable::new());
    let body = vec![0; 100_000];
    for _ in 0..MESSAGES {
        shop.client.publish(1, ("", "long"), &raw, &body);
    }
    shop.flush();
    let contents = "/queues/%2F/long/contents";
    shop.broker.delete(contents).is(204, "");
    let after = format!("/harrier/trace-events?after={MESSAGES}&limit={MESSAGES}");
    let events = shop.broker.json(&after);
    let events = events["events"].as_array().unwrap();
    let purged = events.iter().filter(|event| event["what"] == "purged");
    assert_eq!(purged.count(), MESSAGES);
}

#[test]
fn what_goes_over_http_is_copied_to_the_firehose() {
    let broker = Broker::start();
    for queue in ["q", "copies"] {
        broker
            .put(&format!("/queues/%2F/{queue}"), "{}")
            .is(201, "");
    }
    let bind = "/bindings/%2F/e/amq.rabbitmq.trace/q/copies";
    let key = json!({ "routing_key": "#" }).to_string();
    assert_eq!(broker.post(bind, &key).status, 201);
    let traced = json!({ "tracing": true }).to_string();
    broker.put("/vhosts/%2F", &traced).is(204, "");
    let publish = |routing_key: &str| {
        let letter = json!({ "routing_key": routing_key, "properties": { "message_id": "m1" },
            "payload": "hello", "payload_encoding": "string" });
        let path = "/exchanges/%2F/amq.default/publish";
        assert_eq!(broker.post(path, &letter.to_string()).status, 200);
    };
    let take = |queue: &str, count| {
        let wanted = json!({ "count": count, "ackmode": "ack_requeue_false", "encoding": "auto" });
        let got = broker.post(&format!("/queues/%2F/{queue}/get"), &wanted.to_string());
        serde_json::from_str::<Value>(&got.body).unwrap()
    };
    publish("q");
    assert_eq!(take("q", 1)[0]["payload"], "hello");
    // Whoever publishes brings along the copies that wait.
    publish("nowhere");
    let copies = take("copies", 2);
    let common = json!({ "channel": 1, "connection": "management", "exchange_name": "",
        "user": "guest", "vhost": "/", "routing_keys": ["q"],
        "properties": { "message_id": "m1" } });
    for (at, key, name, value) in [
        (0, "publish.", "routed_queues", json!(["q"])),
        (1, "deliver.q", "redelivered", json!(0)),
    ] {
        let copy = &copies[at];
        assert_eq!(
            (&copy["routing_key"], &copy["payload"]),
            (&json!(key), &json!("hello"))
        );
        let mut headers = copy["properties"]["headers"].clone();
        headers.as_object_mut().unwrap().remove("node");
        let mut expected = common.clone();
        expected[name] = value;
        assert_eq!(headers, expected);
    }
}
