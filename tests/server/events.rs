//! The event exchange (`semantics` 17): what is told of connections and the like.

use harrier::broker::access::{PasswordHash, Permissions, TopicPermission, UserLimits};
use harrier::broker::parameters::ParameterKey;
use harrier::broker::vhost::VhostSettings;
use harrier::server::shared::Shared;
use harrier::wire::method::*;
use harrier::wire::{FieldTable, FieldValue, Properties};

use crate::broker::Broker;
use crate::client::*;
use crate::hosted::Hosted;

const EVENTS: &str = "amq.rabbitmq.event";

/// What an event is about, and what it says.
struct Event {
    key: String,
    headers: FieldTable,
}

impl Event {
    fn of(message: &Message) -> Self {
        assert_eq!(message.exchange, EVENTS);
        assert!(message.body.is_empty());
        let properties = Properties::parse(&message.properties).unwrap();
        assert_eq!(properties.delivery_mode, Some(2));
        let headers = properties.headers_table().unwrap();
        let ms = headers.get("timestamp_in_ms").unwrap().as_i64().unwrap();
        assert_eq!(properties.timestamp, Some(ms as u64 / 1000));
        Self {
            key: message.routing_key.clone(),
            headers,
        }
    }

    fn text(&self, field: &str) -> &str {
        let value = self.headers.get(field).unwrap();
        value
            .as_str()
            .unwrap_or_else(|| panic!("{field}: {value:?}"))
    }

    fn number(&self, field: &str) -> i64 {
        self.headers.get(field).unwrap().as_i64().unwrap()
    }

    fn is(&self, field: &str) -> bool {
        self.headers.get(field) == Some(&true.into())
    }
}

/// A client that consumes events whose keys fit `pattern`.
fn listener(broker: &Broker, pattern: &str) -> Client {
    listening(broker.client(), pattern)
}

/// Has `client` consume events whose keys fit `pattern`.
fn listening(mut client: Client, pattern: &str) -> Client {
    client.declare("events");
    bind(&mut client, pattern);
    let consume = BasicConsume {
        no_ack: true,
        ..consume("events", "c")
    };
    client.ask(1, consume);
    client
}

fn bind(client: &mut Client, pattern: &str) {
    let bind = QueueBind {
        queue: "events",
        exchange: EVENTS,
        routing_key: pattern,
        ..QueueBind::default()
    };
    assert_eq!(client.ask(1, bind), Said::Other(1, (50, 21)));
}

fn next(client: &mut Client) -> Event {
    match client.said() {
        Said::Deliver { message, .. } => Event::of(&message),
        other => panic!("{other:?}"),
    }
}

/// The next event, which is about `key`.
#[track_caller]
fn expect(client: &mut Client, key: &str) -> Event {
    let event = next(client);
    assert_eq!(event.key, key);
    event
}

#[test]
fn a_connection_is_told_of_from_its_login_to_its_end() {
    let broker = Broker::start();
    let mut listener = listener(&broker, "#");
    let mut client = broker.client();
    let ends = (
        client.stream().local_addr().unwrap().to_string(),
        broker.address.to_string(),
    );
    let name = format!("{} -> {}", ends.0, ends.1);
    // What it hears of itself comes first.
    let mut event = next(&mut listener);
    while event.key != "user.authentication.success" {
        event = next(&mut listener);
    }
    assert_eq!(event.text("name"), "guest");
    assert_eq!(event.text("connection_name"), name);
    assert_eq!(event.text("auth_mechanism"), "PLAIN");
    assert_eq!(event.text("peer_host"), "{127,0,0,1}");
    let created = expect(&mut listener, "connection.created");
    assert_eq!(created.text("name"), name);
    assert_eq!(created.text("user"), "guest");
    assert_eq!(created.text("vhost"), "/");
    assert_eq!(created.text("protocol"), "{0,9,1}");
    assert_eq!(created.number("port"), i64::from(broker.address.port()));
    assert_eq!(created.number("frame_max"), 131_072);
    let properties = created.headers.get("client_properties").unwrap();
    assert!(format!("{properties:?}").contains("capabilities"));
    let pid = created.text("pid");
    let channel = expect(&mut listener, "channel.created");
    assert_eq!(channel.text("connection"), pid);
    assert_eq!(channel.text("name"), format!("{name} (1)"));
    assert_eq!(channel.number("number"), 1);
    client.ask(1, ChannelClose::default());
    let closed = expect(&mut listener, "channel.closed");
    assert_eq!(closed.text("pid"), channel.text("pid"));
    assert_eq!(closed.number("consumer_count"), 0);
    client.close();
    let closed = expect(&mut listener, "connection.closed");
    assert_eq!(closed.text("pid"), pid);
    assert_eq!(closed.text("name"), name);
    assert!(closed.text("node").starts_with("harrier@"));
}

#[test]
fn a_consumer_is_told_of_however_it_ends() {
    let broker = Broker::start();
    let mut listener = listener(&broker, "consumer.*");
    let mut client = broker.client();
    client.declare("q");
    client.qos(1, 7);
    let consume = BasicConsume {
        arguments: [("x-priority", 3.into())].into_iter().collect(),
        ..consume("q", "one")
    };
    client.ask(1, consume);
    // The listener is the first to hear of itself.
    let own = expect(&mut listener, "consumer.created");
    assert_eq!(own.text("queue"), "events");
    let created = expect(&mut listener, "consumer.created");
    assert_eq!(created.text("consumer_tag"), "one");
    assert_eq!(created.text("queue"), "q");
    assert_eq!(created.text("vhost"), "/");
    assert_eq!(created.number("prefetch_count"), 7);
    assert!(created.is("ack_required") && !created.is("exclusive"));
    let terms = FieldValue::Array(vec!["{<<\"x-priority\">>,signedint,3}".into()]);
    assert_eq!(created.headers.get("arguments"), Some(&terms));
    let ends = |listener: &mut Client, tag: &str| {
        let deleted = expect(listener, "consumer.deleted");
        assert_eq!(deleted.text("consumer_tag"), tag);
        assert_eq!(deleted.text("channel"), created.text("channel"));
        assert_eq!(deleted.text("user_who_performed_action"), "guest");
    };
    let consumer_tag = "one";
    client.ask(
        1,
        BasicCancel {
            consumer_tag,
            ..BasicCancel::default()
        },
    );
    ends(&mut listener, "one");
    client.consume(1, "q", "two");
    expect(&mut listener, "consumer.created");
    client.ask(
        1,
        QueueDelete {
            queue: "q",
            ..QueueDelete::default()
        },
    );
    ends(&mut listener, "two");
    assert_eq!(client.said(), Said::Cancel(1, "two".into()));
    client.declare("q");
    client.consume(1, "q", "three");
    expect(&mut listener, "consumer.created");
    client.hang_up();
    ends(&mut listener, "three");
}

#[test]
fn a_refused_login_is_told_of() {
    let broker = Broker::start();
    let mut listener = listener(&broker, "user.#");
    let mut client = Client::raw(broker.address);
    client.write(&harrier::wire::encode::PROTOCOL_HEADER);
    client.said();
    client.start_ok(b"\0mallory\0guess", CAPABILITIES);
    let failure = expect(&mut listener, "user.authentication.failure");
    assert_eq!(failure.text("name"), "mallory");
    let Some(FieldValue::Array(error)) = failure.headers.get("error") else {
        panic!("no error");
    };
    let error: String = error
        .iter()
        .map(|number| char::from(u8::try_from(number.as_i64().unwrap()).unwrap()))
        .collect();
    assert_eq!(error, "user 'mallory' - invalid credentials");
}

/// Makes a user and a virtual host, changes what can be changed, and deletes both.
fn change_users(shared: &Shared) {
    let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).into()).collect();
    let set_user = |password: &[u8; 1], with: &[&str]| {
        let hash = PasswordHash::of(password, [1; 4]);
        shared
            .put_user("bob", hash, tags(with), "operator")
            .unwrap();
    };
    set_user(b"a", &["monitoring"]);
    set_user(b"a", &["monitoring"]);
    set_user(b"b", &["management"]);
    shared
        .put_vhost("v", VhostSettings::default(), "operator")
        .unwrap();
    let may = Permissions::new("c", "w", "r").unwrap();
    shared.set_permissions("bob", "v", may, "operator").unwrap();
    let topic = TopicPermission::new("amq.topic", "w", "r").unwrap();
    shared
        .set_topic_permission("bob", "v", topic, "operator")
        .unwrap();
    let mut limits = UserLimits::default();
    limits.set("max-channels", Some(5)).unwrap();
    shared.set_user_limits("bob", limits, "operator").unwrap();
    shared
        .set_user_limits("bob", UserLimits::default(), "operator")
        .unwrap();
    shared.clear_topic_permissions("bob", "v", None, "operator");
    shared.clear_permissions("bob", "v", "operator");
    shared.delete_user("bob", "operator").unwrap();
    shared.delete_vhost("v", "operator").unwrap();
}

#[test]
fn users_and_what_they_may_do_are_told_of() {
    let broker = Hosted::start();
    let mut listener = listening(broker.client("guest"), "user.#");
    for pattern in ["topic.permission.*", "permission.*", "vhost.*"] {
        bind(&mut listener, pattern);
    }
    change_users(&broker.shared);
    let mut told = Vec::new();
    while told
        .last()
        .is_none_or(|last| last != "vhost.deleted name=v")
    {
        let event = next(&mut listener);
        assert_eq!(event.text("user_who_performed_action"), "operator");
        let fields = [
            "name",
            "user",
            "username",
            "vhost",
            "configure",
            "exchange",
            "write",
            "read",
        ];
        let fields = fields.iter().filter_map(|field| {
            let text = event.headers.get(field)?.as_str()?;
            Some(format!(" {field}={text}"))
        });
        told.push(format!("{}{}", event.key, fields.collect::<String>()));
    }
    assert_eq!(
        told,
        [
            "user.created name=bob",
            "user.tags.set name=bob",
            "user.password.changed name=bob",
            "user.tags.set name=bob",
            "vhost.created name=v",
            "permission.created user=bob vhost=v configure=c write=w read=r",
            "topic.permission.created user=bob vhost=v exchange=amq.topic write=w read=r",
            "user.limits.set name=limits username=bob",
            "user.limits.cleared name=limits username=bob",
            "topic.permission.deleted user=bob vhost=v",
            "permission.deleted user=bob vhost=v",
            "user.deleted name=bob",
            "vhost.deleted name=v",
        ]
    );
}

#[test]
fn what_is_bound_to_the_event_exchange_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut broker = Broker::on(directory.path(), &[]);
    let mut client = broker.client();
    client.declare_durable("alarms", FieldTable::new());
    let bind = QueueBind {
        queue: "alarms",
        exchange: EVENTS,
        routing_key: "alarm.*",
        ..QueueBind::default()
    };
    client.ask(1, bind);
    client.close();
    broker.terminate();
    assert_eq!(broker.exit().code(), Some(0));
    // More than any disk has, so the alarm goes off before anybody connects.
    let limit = u64::MAX.to_string();
    let mut broker = Broker::on(directory.path(), &["--disk-free-limit", &limit]);
    broker.logs(&["publishers are blocked"]);
    let mut client = broker.client();
    client.consume(1, "alarms", "c");
    let alarm = next(&mut client);
    assert_eq!(alarm.key, "alarm.set");
    assert_eq!(alarm.text("source"), "disk");
    assert!(alarm.text("node").starts_with("harrier@"));
}

#[test]
fn parameters_are_told_of() {
    let broker = Hosted::start();
    let mut listener = listening(broker.client("guest"), "parameter.*");
    let shovel = ParameterKey::Of {
        component: "shovel".into(),
        vhost: "/".into(),
        name: "s".into(),
    };
    let name = "cluster_name".into();
    let shared = &broker.shared;
    for key in [shovel, ParameterKey::Global { name }] {
        shared
            .set_parameter(key.clone(), "\"v\"", FieldValue::str("v"), "operator")
            .unwrap();
        shared.clear_parameter(&key, "operator").unwrap();
    }
    let told: [_; 4] = std::array::from_fn(|_| {
        let event = next(&mut listener);
        let fields = ["component", "vhost", "name", "value"];
        let fields = fields.iter().filter_map(|field| {
            let text = event.headers.get(field)?.as_str()?;
            Some(format!(" {field}={text}"))
        });
        assert_eq!(event.text("user_who_performed_action"), "operator");
        format!("{}{}", event.key, fields.collect::<String>())
    });
    assert_eq!(
        told,
        [
            "parameter.set component=shovel vhost=/ name=s value=v",
            "parameter.cleared component=shovel vhost=/ name=s",
            "parameter.set component=global name=cluster_name value=v",
            "parameter.cleared component=global name=cluster_name",
        ]
    );
}
