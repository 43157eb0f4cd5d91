//! Dead letters looked into, understood and sent back over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use harrier::base::ids::ConnectionId;
use harrier::broker::attempts::ReturnCause;
use harrier::broker::dead_lettering::see_to_effects;
use harrier::broker::effects::Effects;
use harrier::broker::message::Content;
use harrier::broker::queue::{Got, Incoming, Queue, Settlement};
use harrier::broker::subscriber::{HeldSlot, Wake};
use harrier::broker::vhost::Vhost;
use harrier::wire::method::QueueDeclare;
use harrier::wire::{Body, FieldTable, FieldValue, Properties};
use serde_json::{Value, json};

use crate::broker::Broker;

const ME: ConnectionId = ConnectionId(1 << 40);
const DEAD: &str = "/harrier/queues/%2F/orders.dead/messages";

/// Nobody who waits.
struct Nobody;

impl std::fmt::Debug for Nobody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nobody")
    }
}

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

/// A broker with the queue `orders`, whose dead letters go to `orders.dead`.
struct Shop {
    broker: Broker,
    vhost: Arc<Vhost>,
    orders: Arc<Queue>,
    dead: Arc<Queue>,
    effects: Effects,
}

impl Shop {
    fn open() -> Self {
        let broker = Broker::start();
        let vhost = broker.shared.vhosts.get("/").unwrap();
        let mut effects = Effects::default();
        effects.set_now(broker.shared.now());
        let arguments = FieldTable::from_iter([
            ("x-dead-letter-exchange", FieldValue::str("")),
            ("x-dead-letter-routing-key", FieldValue::str("orders.dead")),
        ]);
        let orders = declare(&vhost, "orders", arguments, &mut effects);
        let dead = declare(&vhost, "orders.dead", FieldTable::new(), &mut effects);
        Self {
            broker,
            vhost,
            orders,
            dead,
            effects,
        }
    }

    fn publish(&mut self, correlation_id: &str, body: &str) {
        let headers = FieldTable::from_iter([("tenant", FieldValue::str("north"))]);
        let properties = Properties {
            delivery_mode: Some(2),
            correlation_id: Some(correlation_id.as_bytes()),
            ..Properties::default()
        }
        .with_headers(&headers);
        let queue = Arc::clone(&self.orders);
        self.push(&queue, b"orders", &properties, body);
    }

    fn push(&mut self, queue: &Arc<Queue>, key: &[u8], properties: &BytesMut, body: &str) {
        let content = Content {
            exchange: b"",
            routing_key: key,
            properties,
            persistent: true,
            dead_lettered: false,
            failed: false,
            blind_copies: &[],
            body: Body::Borrowed(body.as_bytes()),
        };
        queue.push(&Incoming::new(content), &mut self.effects);
        see_to_effects(&self.vhost, &mut self.effects);
    }

    /// Takes the first message of a queue: its body, its headers, and itself.
    fn take(&mut self, queue: &Arc<Queue>) -> Option<(String, FieldTable, HeldSlot)> {
        let got = queue.get(
            false,
            &Arc::new(Nobody),
            &mut self.effects,
            |delivery, _| {
                let view = delivery.message;
                let properties = Properties::parse(view.properties).unwrap();
                let body = String::from_utf8(view.body.to_vec()).unwrap();
                (
                    body,
                    properties.headers_table().unwrap(),
                    delivery.held.unwrap(),
                )
            },
        );
        match got {
            Got::Message(message) => Some(message),
            Got::Nothing => None,
            Got::NotYet => panic!("nothing is left to the store here"),
        }
    }

    fn reject(&mut self, queue: &Arc<Queue>) {
        let (_, _, held) = self.take(queue).unwrap();
        let how = Settlement::Discard(ReturnCause::Rejected);
        queue.settle(&[held], how, &mut self.effects);
        see_to_effects(&self.vhost, &mut self.effects);
    }

    /// So many messages that were rejected, with the ids `c0`, `c1` and so on.
    fn kill(&mut self, count: usize) {
        let orders = Arc::clone(&self.orders);
        for number in 0..count {
            let body = json!({ "order": { "id": number } });
            self.publish(&format!("c{number}"), &body.to_string());
            self.reject(&orders);
        }
    }

    /// Asks for a job and waits for its end.
    #[track_caller]
    fn job(&self, act: &str, request: &Value) -> Value {
        let begun = self
            .broker
            .post(&format!("{DEAD}/{act}"), &request.to_string());
        assert_eq!(begun.status, 202, "{}", begun.body);
        let at = begun.header("location").strip_prefix("/api").unwrap();
        let ended = self.broker.json(&format!("{at}?wait=60"));
        assert_ne!(ended["status"], "running");
        ended
    }
}

fn declare(vhost: &Vhost, name: &str, arguments: FieldTable, effects: &mut Effects) -> Arc<Queue> {
    let declare = QueueDeclare {
        queue: name,
        durable: true,
        arguments,
        ..QueueDeclare::default()
    };
    vhost
        .declare_queue(&declare, ME, String::new, effects)
        .unwrap()
}

#[test]
fn a_dead_letter_is_found_understood_sent_back_and_consumed() {
    let mut shop = Shop::open();
    shop.kill(5);
    let found = shop.broker.json(&format!("{DEAD}?correlation_id=c3"));
    let items = found["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    let letter = &items[0];
    assert_eq!(letter["properties"]["correlation_id"], "c3");
    assert_eq!(letter["told"], "rejected by a consumer of 'orders'");
    assert_eq!(letter["first_death_queue"], "orders");
    assert_eq!(letter["payload"], "{\"order\":{\"id\":3}}");
    assert_eq!(letter["payload_type"], "json");
    // Looking takes nothing and marks nothing.
    assert_eq!(found["counts"]["ready"], 5);
    assert_eq!(letter["redelivered"], true, "it was rejected");

    let ended = shop.job("replay", &json!({ "ids": [letter["id"]] }));
    assert_eq!(ended["status"], "done");
    assert_eq!(ended["done"], 1);
    assert_eq!(shop.dead.counts().ready, 4);
    let orders = Arc::clone(&shop.orders);
    let (body, headers, held) = shop.take(&orders).unwrap();
    assert_eq!(body, "{\"order\":{\"id\":3}}");
    let Some(FieldValue::Table(stamp)) = headers.get("x-replayed") else {
        panic!("no stamp: {headers:?}");
    };
    assert_eq!(stamp.get("count"), Some(&FieldValue::I64(1)));
    assert_eq!(stamp.get("by"), Some(&FieldValue::str("guest")));
    orders.settle(&[held], Settlement::Acknowledge, &mut shop.effects);
    assert!(shop.take(&orders).is_none());
}

#[test]
fn messages_are_found_by_what_they_have() {
    let mut shop = Shop::open();
    shop.kill(12);
    let count = |query: &str| {
        let found = shop.broker.json(&format!("{DEAD}?{query}"));
        found["items"].as_array().unwrap().len()
    };
    assert_eq!(count("correlation_id=c1*"), 3);
    assert_eq!(count("json=order.id%3D7"), 1);
    assert_eq!(count("header=tenant%3Dnorth"), 12);
    assert_eq!(count("header=tenant%3Dsouth"), 0);
    assert_eq!(
        count("reason=rejected&first_queue=orders&routing_key=orders"),
        12
    );
    assert_eq!(count("older_than=1h"), 0);
    assert_eq!(count("newer_than=1h"), 12);
    assert_eq!(count("text=%22ID%22:11"), 1);
    assert_eq!(count("replayed=true"), 0);
    let refused = shop.broker.get(&format!("{DEAD}?zork=1"));
    assert_eq!(refused.status, 400);
    assert!(
        refused.body.contains("there is no 'zork'"),
        "{}",
        refused.body
    );
}

#[test]
fn pages_follow_each_other_to_the_end() {
    let mut shop = Shop::open();
    shop.kill(7);
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = shop
            .broker
            .json(&format!("{DEAD}?limit=3&cursor={cursor}&payload=none"));
        let items = page["items"].as_array().unwrap().iter();
        ids.extend(items.map(|item| item["properties"]["correlation_id"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(ids, ["c0", "c1", "c2", "c3", "c4", "c5", "c6"]);
}

#[test]
fn a_summary_tells_what_they_died_of() {
    let mut shop = Shop::open();
    shop.kill(4);
    let dead = Arc::clone(&shop.dead);
    let headers = FieldTable::from_iter([("x-exception-message", FieldValue::str("no stock"))]);
    let properties = Properties::default().with_headers(&headers);
    shop.push(&dead, b"orders.dead", &properties, "by hand");
    let summary = shop.broker.json(&format!("{DEAD}/summary"));
    assert_eq!(summary["messages"], 5);
    assert_eq!(summary["reasons"][0]["value"], "rejected");
    assert_eq!(summary["reasons"][0]["count"], 4);
    assert_eq!(summary["first_queues"][0]["value"], "orders");
    assert_eq!(
        summary["errors"][0]["value"],
        "x-exception-message: no stock"
    );
    let parts = summary["timeline"]["parts"].as_array().unwrap();
    assert_eq!(
        parts
            .iter()
            .map(|part| part["count"].as_u64().unwrap())
            .sum::<u64>(),
        4
    );
}

#[test]
fn a_dry_run_says_where_they_would_go_and_does_nothing() {
    let mut shop = Shop::open();
    shop.kill(3);
    let request = json!({ "all": true, "dry_run": true }).to_string();
    let tried = shop.broker.post(&format!("{DEAD}/replay"), &request).json();
    assert_eq!(tried["matched"], 3);
    assert_eq!(tried["targets"][0]["routing_key"], "orders");
    assert_eq!(tried["targets"][0]["count"], 3);
    assert_eq!(tried["targets"][0]["queues"], json!(["orders"]));
    assert_eq!(shop.dead.counts().ready, 3);
    assert_eq!(shop.orders.counts().ready, 0);
}

#[test]
fn a_message_that_was_sent_back_before_is_recognised() {
    let mut shop = Shop::open();
    shop.kill(1);
    shop.job("replay", &json!({ "all": true }));
    let orders = Arc::clone(&shop.orders);
    shop.reject(&orders);
    shop.kill(1);
    let ended = shop.job("replay", &json!({ "all": true, "skip_replayed": true }));
    assert_eq!((&ended["skipped"], &ended["done"]), (&json!(1), &json!(1)));
    let left = shop.broker.json(DEAD);
    let left = &left["items"][0];
    assert_eq!(left["replayed"]["count"], 1);
    assert_eq!(left["deaths"][0]["count"], 2);
    let ended = shop.job("replay", &json!({ "all": true }));
    assert_eq!(ended["done"], 1);
    shop.take(&orders).unwrap();
    let (_, headers, _) = shop.take(&orders).unwrap();
    let Some(FieldValue::Table(stamp)) = headers.get("x-replayed") else {
        panic!("no stamp");
    };
    assert_eq!(stamp.get("count"), Some(&FieldValue::I64(2)));
}

#[test]
fn what_can_not_go_stays_and_says_why() {
    let mut shop = Shop::open();
    shop.kill(2);
    let dead = Arc::clone(&shop.dead);
    shop.push(
        &dead,
        b"orders.dead",
        &Properties::default().with_headers(&FieldTable::new()),
        "x",
    );
    let ended = shop.job(
        "replay",
        &json!({ "all": true, "to": { "queue": "nowhere" } }),
    );
    assert_eq!((&ended["done"], &ended["stayed"]), (&json!(0), &json!(3)));
    assert_eq!(ended["problems"][0]["why"], "there is no queue 'nowhere'");
    assert_eq!(shop.dead.counts().ready, 3);
    // One is handed out, one has no history: only the third can go back.
    shop.take(&dead).unwrap();
    let ended = shop.job("replay", &json!({ "all": true }));
    assert_eq!((&ended["done"], &ended["stayed"]), (&json!(1), &json!(1)));
    let why = ended["problems"][0]["why"].as_str().unwrap();
    assert!(why.contains("never died"), "{why}");
    let ended = shop.job("drop", &json!({ "ids": ["1"] }));
    let why = ended["problems"][0]["why"].as_str().unwrap();
    assert_eq!(
        why,
        "message 1 of queue 'orders.dead' is handed out to a consumer"
    );
}

#[test]
fn headers_and_bodies_can_be_put_right_on_the_way() {
    let mut shop = Shop::open();
    shop.kill(1);
    let request = json!({
        "all": true,
        "set_headers": { "tenant": "south", "attempt": 2 },
        "remove_headers": ["x-death"],
        "payload": "{\"order\":{\"id\":99}}",
    });
    assert_eq!(shop.job("replay", &request)["done"], 1);
    let orders = Arc::clone(&shop.orders);
    let (body, headers, _) = shop.take(&orders).unwrap();
    assert_eq!(body, "{\"order\":{\"id\":99}}");
    assert_eq!(headers.get("tenant"), Some(&FieldValue::str("south")));
    assert_eq!(headers.get("attempt"), Some(&FieldValue::I64(2)));
    assert_eq!(headers.get("x-death"), None);
}

#[test]
fn what_is_exported_can_be_dropped_and_imported_again() {
    let mut shop = Shop::open();
    shop.kill(3);
    let exported = shop
        .broker
        .get(&format!("{DEAD}/export?correlation_id=c[1]*"));
    assert_eq!(exported.body, "", "no pattern but the star");
    let exported = shop.broker.get(&format!("{DEAD}/export"));
    assert_eq!(exported.header("content-type"), "application/x-ndjson");
    assert_eq!(exported.body.lines().count(), 3);
    let before = shop.broker.json(DEAD)["items"].clone();
    let ended = shop.job("drop", &json!({ "filter": { "correlation_id": ["c*"] } }));
    assert_eq!(ended["done"], 3);
    assert_eq!(shop.dead.counts().ready, 0);
    let imported = shop.broker.post(&format!("{DEAD}/import"), &exported.body);
    imported.is(200, "{\"imported\":3}");
    let after = shop.broker.json(DEAD)["items"].clone();
    for (before, after) in before
        .as_array()
        .unwrap()
        .iter()
        .zip(after.as_array().unwrap())
    {
        for same in ["payload", "properties", "deaths", "exchange", "routing_key"] {
            assert_eq!(before[same], after[same], "{same}");
        }
    }
    let broken = format!(
        "{}\n{{\"payload\":7}}\n",
        exported.body.lines().next().unwrap()
    );
    let refused = shop.broker.post(&format!("{DEAD}/import"), &broken);
    assert_eq!(refused.status, 400);
    assert!(
        refused.body.contains("line 2: no payload"),
        "{}",
        refused.body
    );
    assert_eq!(shop.dead.counts().ready, 3);
}

/// What is on record, the first first: what was done, by whom, to how many, and
/// what came of it.
fn record(broker: &Broker) -> Vec<Value> {
    let mut acts = broker.json("/harrier/audit").as_array().unwrap().clone();
    acts.reverse();
    acts
}

fn told(act: &Value) -> Value {
    json!([act["act"], act["user"], act["count"], act["outcome"]])
}

#[test]
fn every_act_is_on_record() {
    let mut shop = Shop::open();
    shop.kill(2);
    shop.job("replay", &json!({ "ids": ["1"] }));
    let lines = shop
        .broker
        .get(&format!("{DEAD}/export?reason=rejected"))
        .body;
    shop.job("drop", &json!({ "all": true }));
    let imported = shop.broker.post(&format!("{DEAD}/import"), &lines);
    imported.is(200, "{\"imported\":1}");
    // Of an export the end is written down when all has gone out.
    let mut acts = record(&shop.broker);
    while acts.len() < 7 {
        acts = record(&shop.broker);
    }
    let (exports, acts): (Vec<_>, Vec<_>) =
        acts.into_iter().partition(|act| act["act"] == "export");
    assert_eq!(
        exports.iter().map(told).collect::<Vec<_>>(),
        [
            json!(["export", "guest", 0, "started"]),
            json!(["export", "guest", 1, "done"]),
        ]
    );
    assert_eq!(
        exports[0]["about"]["request"],
        json!([["reason", "rejected"]])
    );
    assert_eq!(
        acts.iter().map(told).collect::<Vec<_>>(),
        [
            json!(["replay", "guest", 0, "started"]),
            json!(["replay", "guest", 1, "done"]),
            json!(["drop", "guest", 0, "started"]),
            json!(["drop", "guest", 1, "done"]),
            json!(["import", "guest", 1, "done"]),
        ]
    );
    assert_eq!(acts[0]["about"]["request"]["ids"], json!(["1"]));
}

#[test]
fn what_is_refused_and_what_is_called_off_is_on_record_as_well() {
    let mut shop = Shop::open();
    shop.kill(2);
    let broker = &shop.broker;
    broker.user("reader", &["management"]);
    broker.permit("reader", "/", ["", "", ""]);
    let all = r#"{"all":true}"#;
    broker.ask("reader", "POST", &format!("{DEAD}/drop"), all);
    broker.post(&format!("{DEAD}/replay"), "{}");
    broker.post(&format!("{DEAD}/replay"), r#"{"all":true,"dry_run":true}"#);
    let slow = r#"{"all":true,"rate":0.001}"#;
    let begun = broker.post(&format!("{DEAD}/replay"), slow).json();
    let at = format!("/harrier/jobs/{}", begun["id"].as_str().unwrap());
    broker.delete(&at).is(204, "");
    broker.json(&format!("{at}?wait=60"));
    broker.put("/harrier/trace-rules/%2F/r", "{}").is(201, "");
    broker.delete("/harrier/trace-rules/%2F/r").is(204, "");
    let mut acts = record(broker);
    // The end of the job is written down while it is called off.
    acts.retain(|act| act["outcome"] != "cancelled");
    assert_eq!(
        acts.iter().map(told).collect::<Vec<_>>(),
        [
            json!(["drop", "reader", 1, "Unauthorized"]),
            json!(["replay", "guest", 1, "Bad Request"]),
            json!(["replay", "guest", 0, "started"]),
            json!(["cancel", "guest", 1, "done"]),
            json!(["change", "guest", 1, "done"]),
            json!(["delete", "guest", 1, "done"]),
        ]
    );
}

/// A queue with 400 messages, their bodies their numbers: the first waits to be
/// tried again, the second came back, the others never left.
fn retried(shop: &mut Shop) -> Arc<Queue> {
    let arguments = FieldTable::from_iter([
        ("x-queue-type", FieldValue::str("quorum")),
        ("x-delayed-retry-type", FieldValue::str("failed")),
        ("x-delayed-retry-min", FieldValue::I64(3_600_000)),
    ]);
    let retried = declare(&shop.vhost, "retried", arguments, &mut shop.effects);
    let properties = BytesMut::from(&[0, 0][..]);
    for number in 1..=400 {
        shop.push(&retried, b"retried", &properties, &number.to_string());
    }
    for cause in [ReturnCause::Rejected, ReturnCause::Returned] {
        let (_, _, held) = shop.take(&retried).unwrap();
        let how = Settlement::Requeue(cause);
        retried.settle(&[held], how, &mut shop.effects);
    }
    let counts = retried.counts();
    assert_eq!((counts.ready, counts.delayed), (399, 1));
    retried
}

#[test]
fn messages_are_found_by_id_wherever_they_wait() {
    let mut shop = Shop::open();
    let retried = retried(&mut shop);
    let at = "/harrier/queues/%2F/retried/messages";
    let listed = shop.broker.json(&format!("{at}?limit=500"));
    let listed = listed["items"].as_array().unwrap().iter();
    let by_payload: BTreeMap<_, _> = listed
        .map(|item| {
            (
                item["payload"].as_str().unwrap(),
                item["id"].as_str().unwrap(),
            )
        })
        .map(|(payload, id)| (payload.to_owned(), id.to_owned()))
        .collect();
    for payload in ["1", "2", "3", "400"] {
        let found = shop.broker.json(&format!("{at}/{}", by_payload[payload]));
        assert_eq!(found["payload"], *payload);
    }
    for absent in ["401p4", "0p4", "0"] {
        assert_eq!(shop.broker.get(&format!("{at}/{absent}")).status, 404);
    }
    let chosen = (1..=400).step_by(3).chain([2]);
    let mut ids: Vec<_> = chosen
        .map(|n: u32| by_payload[&n.to_string()].clone())
        .collect();
    ids.extend(["900".to_owned(), "5p7".to_owned()]);
    let request = json!({ "ids": ids });
    let rehearsed = json!({ "ids": ids, "dry_run": true }).to_string();
    let tried = shop.broker.post(&format!("{at}/drop"), &rehearsed).json();
    assert_eq!(
        (&tried["examined"], &tried["matched"]),
        (&json!(135), &json!(135))
    );
    let begun = shop
        .broker
        .post(&format!("{at}/drop"), &request.to_string());
    let job = begun
        .header("location")
        .strip_prefix("/api")
        .unwrap()
        .to_owned();
    let ended = shop.broker.json(&format!("{job}?wait=60"));
    assert_eq!(
        (&ended["status"], &ended["done"]),
        (&json!("done"), &json!(135))
    );
    let problems = ended["problems"].as_array().unwrap().iter();
    let problems: Vec<_> = problems
        .map(|problem| problem["why"].as_str().unwrap())
        .collect();
    assert_eq!(
        problems,
        [
            "message 900 isn't in queue 'retried'",
            "message 5p7 isn't in queue 'retried'",
        ]
    );
    let counts = retried.counts();
    assert_eq!((counts.ready, counts.delayed), (265, 0));
}

#[test]
fn only_those_may_act_who_could_with_amqp() {
    let mut shop = Shop::open();
    shop.kill(1);
    let broker = &shop.broker;
    broker.user("reader", &["management"]);
    broker.permit("reader", "/", ["^$", "^$", ".*"]);
    broker.user("stranger", &["management"]);
    broker.permit("stranger", "/", ["^$", "^$", "^other"]);
    assert_eq!(broker.ask("reader", "GET", DEAD, "").status, 200);
    assert_eq!(broker.ask("stranger", "GET", DEAD, "").status, 401);
    let at = format!("{DEAD}/replay");
    let begun = broker.ask("reader", "POST", &at, "{\"all\":true}");
    assert_eq!(begun.status, 202);
    let id = begun.json()["id"].as_str().unwrap().to_owned();
    let ended = broker
        .ask("reader", "GET", &format!("/harrier/jobs/{id}?wait=60"), "")
        .json();
    assert_eq!((&ended["done"], &ended["stayed"]), (&json!(0), &json!(1)));
    let why = ended["problems"][0]["why"].as_str().unwrap();
    assert!(
        why.contains("write access to exchange 'amq.default'"),
        "{why}"
    );
    let others = broker.ask("stranger", "GET", &format!("/harrier/jobs/{id}"), "");
    assert_eq!(others.status, 404);
    assert_eq!(
        broker.ask("reader", "GET", "/harrier/audit", "").status,
        401
    );
}

#[test]
fn who_does_not_say_which_messages_is_told_so() {
    let shop = Shop::open();
    for (request, expected) in [
        ("{}", "which messages?"),
        (
            "{\"all\":true,\"rate\":0}",
            "rate is 0: expected messages a second",
        ),
        ("{\"ids\":[\"x\"]}", "'x' is neither the id of a message"),
        ("{\"filter\":{\"zork\":1}}", "filter has no 'zork'"),
        ("{\"all\":true,\"to\":7}", "to is 7: expected"),
        ("{\"all\":true,\"limit\":-1}", "limit is negative"),
    ] {
        let refused = shop.broker.post(&format!("{DEAD}/replay"), request);
        assert_eq!(refused.status, 400, "{request}");
        assert!(
            refused.body.contains(expected),
            "{request}: {}",
            refused.body
        );
    }
    let missing = shop.broker.get("/harrier/queues/%2F/nowhere/messages");
    assert_eq!(missing.status, 404);
    let missing = shop.broker.get(&format!("{DEAD}/17"));
    assert_eq!(missing.status, 404);
    assert!(
        missing
            .body
            .contains("message 17 isn't in queue 'orders.dead'")
    );
}

#[test]
fn a_job_at_a_rate_can_be_cancelled_and_resumed() {
    let mut shop = Shop::open();
    shop.kill(20);
    let request = json!({ "all": true, "rate": 0.001 }).to_string();
    let begun = shop.broker.post(&format!("{DEAD}/replay"), &request).json();
    let at = format!("/harrier/jobs/{}", begun["id"].as_str().unwrap());
    let busy = shop.broker.post(&format!("{DEAD}/drop"), "{\"all\":true}");
    assert_eq!(busy.status, 409);
    assert_eq!(shop.broker.delete(&at).status, 204);
    let ended = shop.broker.json(&format!("{at}?wait=60"));
    assert_eq!(ended["status"], "cancelled");
    let left = shop.dead.counts().ready;
    assert!(left >= 19, "{left}");
    assert_eq!(left + shop.orders.counts().ready, 20);
    assert_eq!(shop.broker.post(&format!("{at}/resume"), "").status, 202);
    assert_eq!(shop.broker.delete(&at).status, 204);
}
