//! Definitions: what they say and what is wrong with them.

use std::sync::Arc;

use harrier::base::config::Config;
use harrier::broker::access::Access;
use harrier::broker::change::Change;
use harrier::broker::spec::Destination;
use harrier::broker::store::{Recovered, Store};
use harrier::broker::vhosts::Vhosts;
use harrier::management::definitions::Definitions;
use harrier::server::shared::Shared;

use crate::support::Log;

/// An export of RabbitMQ 4.3, shortened, with some of what older ones have.
const EXPORTED: &str = r##"{
 "rabbit_version":"4.3.6","rabbitmq_definition_format":"cluster","explanation":"Definitions",
 "users":[
  {"name":"ann","password_hash":"kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
   "hashing_algorithm":"rabbit_password_hashing_sha256","tags":["administrator","x"],"limits":{}},
  {"name":"bob","password_hash":"","tags":"monitoring, management","limits":{"max-channels":7}},
  {"name":"eve","password":"secret","tags":""}],
 "vhosts":[
  {"name":"/","limits":[],"metadata":{"description":"Default virtual host","tags":[]}},
  {"name":"v","description":"d","tags":["a","b"],"default_queue_type":"quorum",
   "limits":{"max-queues":3},"tracing":false}],
 "permissions":[{"user":"ann","vhost":"v","configure":".*","write":"^(?!amq\\.)","read":""}],
 "topic_permissions":[{"user":"ann","vhost":"v","exchange":"x","write":"^{username}","read":".*"}],
 "parameters":[{"component":"vhost-limits","vhost":"/","name":"limits","value":{"max-connections":9}},
               {"component":"shovel","vhost":"/","name":"s","value":{"src-protocol":"amqp10",
                "src-uri":"amqp://h","src-address":"a","dest-uri":"amqp://","dest-queue":"b"}}],
 "global_parameters":[{"name":"cluster_tags","value":[]}],
 "policies":[{"vhost":"/","name":"p1","pattern":"^hq","apply-to":"queues","definition":{"max-length":10},"priority":2}],
 "queues":[
  {"name":"q","vhost":"v","type":"classic","durable":true,"auto_delete":false,
   "arguments":{"x-queue-type":"classic","x-message-ttl":1000}},
  {"name":"amq.gen-x","vhost":"v","type":"classic","durable":true,"auto_delete":false,"arguments":{}},
  {"name":"old","vhost":"v","durable":true,"auto_delete":false,"arguments":[]}],
 "exchanges":[
  {"name":"x","vhost":"v","type":"topic","durable":true,"auto_delete":false,"internal":false,
   "arguments":{"alternate-exchange":"amq.fanout","n":1,"f":1.5,"b":true,"l":["a",null]}},
  {"name":"amq.rabbitmq.log","vhost":"/","type":"topic","durable":true,"auto_delete":false,"internal":true,"arguments":{}}],
 "bindings":[
  {"source":"x","vhost":"v","destination":"q","destination_type":"queue","routing_key":"a.#","arguments":{}},
  {"source":"amq.rabbitmq.log","vhost":"/","destination":"amq.topic","destination_type":"exchange","routing_key":"#","arguments":{}},
  {"source":"x","vhost":"v","destination":"amq.topic","destination_type":"exchange","routing_key":"#","arguments":{}}]
}"##;

fn broker() -> (Shared, Arc<Log>) {
    let log = Arc::new(Log::default());
    let store = || Arc::clone(&log) as Arc<dyn Store>;
    let access = Arc::new(Access::restore(store(), &[]));
    let vhosts = Vhosts::restore(store(), Recovered::default());
    let shared = Shared::new(Config::default(), vhosts, access, store());
    log.take();
    (shared, log)
}

#[track_caller]
fn import(shared: &Shared, text: &str) {
    Definitions::parse(text)
        .unwrap()
        .apply(shared, "operator")
        .unwrap();
}

#[track_caller]
fn refused(text: &str) -> String {
    let (shared, log) = broker();
    let outcome =
        Definitions::parse(text).and_then(|definitions| definitions.apply(&shared, "operator"));
    let _changes = log.take();
    outcome.unwrap_err().to_string()
}

#[test]
fn an_export_says_who_there_is() {
    let (shared, _) = broker();
    import(&shared, EXPORTED);
    let access = &shared.access;
    let ann = access.authenticate("ann", b"test12").unwrap();
    assert!(ann.has_tag("administrator") && ann.has_tag("x"));
    let bob = access.user("bob").unwrap();
    assert_eq!(bob.tags, ["monitoring".into(), "management".into()]);
    assert_eq!(bob.limits.max_channels, Some(7));
    assert_eq!(access.authenticate("bob", b""), None);
    assert!(access.authenticate("eve", b"secret").is_some());
    assert!(access.user("eve").unwrap().tags.is_empty());
    assert_eq!(access.permissions().len(), 1);
    assert_eq!(access.topic_permissions().len(), 1);
}

#[test]
fn an_export_says_what_there_is() {
    let (shared, _) = broker();
    import(&shared, EXPORTED);
    let default = shared.vhosts.get("/").unwrap().settings();
    assert_eq!(&*default.description, "Default virtual host");
    assert_eq!(default.limits.max_connections, Some(9));
    let vhost = shared.vhosts.get("v").unwrap();
    let settings = vhost.settings();
    assert_eq!(settings.tags, ["a".into(), "b".into()]);
    assert_eq!(settings.default_queue_type.as_deref(), Some("quorum"));
    assert_eq!(settings.limits.max_queues, Some(3));
    let queues = vhost.queues();
    let names: Vec<_> = queues.iter().map(|queue| &**queue.name()).collect();
    assert_eq!(names, ["amq.gen-x", "old", "q"]);
    let types = queues.iter().map(|queue| {
        let arguments = &queue.spec().arguments;
        arguments.get("x-queue-type").unwrap().as_str().unwrap()
    });
    assert_eq!(types.collect::<Vec<_>>(), ["classic", "quorum", "classic"]);
    let ttl = queues[2].spec().arguments.get("x-message-ttl").cloned();
    assert_eq!(ttl, Some(1000_i64.into()));
    let exchange = vhost.exchange("x").unwrap();
    assert_eq!(&*exchange.kind, "topic");
    assert_eq!(exchange.arguments.len(), 5);
    assert_eq!(vhost.bindings_from("x").len(), 2);
    let to = Destination::Exchange("amq.topic".into());
    assert_eq!(vhost.bindings_of(&to).len(), 1);
    assert!(
        !shared
            .vhosts
            .get("/")
            .unwrap()
            .has_exchange("amq.rabbitmq.log")
    );
}

#[test]
fn importing_twice_changes_nothing() {
    let (shared, log) = broker();
    import(&shared, EXPORTED);
    assert!(!log.take().is_empty());
    import(&shared, EXPORTED);
    assert_eq!(log.take(), []);
}

#[test]
fn what_is_not_said_stays() {
    let (shared, log) = broker();
    import(&shared, EXPORTED);
    log.take();
    import(&shared, r#"{"vhosts":[{"name":"v"}],"users":[]}"#);
    assert_eq!(log.take(), []);
    // A queue that is there otherwise stays, without an error.
    let other = r#"{"queues":[{"name":"q","vhost":"v","arguments":{"x-message-ttl":5}}]}"#;
    import(&shared, other);
    assert_eq!(log.take(), []);
    import(&shared, r#"{"vhosts":[{"name":"v","description":"new"}]}"#);
    let written = log.take();
    assert!(matches!(&written[..], [Change::VhostSet { .. }]));
    let settings = shared.vhosts.get("v").unwrap().settings();
    assert_eq!(&*settings.description, "new");
    assert_eq!(settings.limits.max_queues, Some(3));
}

#[test]
fn a_mistake_is_named_by_its_place() {
    assert_eq!(
        refused(r#"{"users":[{"name":"a"},{"tags":[]}]}"#),
        "users[1]: missing field `name` at line 1 column 34"
    );
    let text = refused(r#"{"queues":[{"name":"q","vhost":"/","durable":"yes"}]}"#);
    let expected = "queues[0].durable: invalid type: string \"yes\", expected a boolean";
    assert!(text.starts_with(expected), "{text}");
    let text = refused(r#"{"users":[{"name":"a","tags":[1]}]}"#);
    assert!(
        text.starts_with("users[0].tags[0]: invalid type: integer `1`"),
        "{text}"
    );
    for text in ["[]", "", "null"] {
        assert_eq!(refused(text), "definitions: expected a JSON object");
    }
    let text = refused("{} {}");
    assert!(text.starts_with("after the definitions: "), "{text}");
    let text =
        refused(r#"{"exchanges":[{"name":"x","vhost":"/","type":"direct","arguments":["a"]}]}"#);
    assert!(text.starts_with("exchanges[0].arguments"), "{text}");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_changed() {
    let wrong = [
        (
            r#""permissions":[{"user":"u","vhost":"/","configure":"(","write":"","read":""}]"#,
            "permissions[0]: invalid regular expression '(': ",
        ),
        (
            r#""users":[{"name":"u"},{"name":"v","password_hash":"!"}]"#,
            "users[1]: password_hash: expected a password hash in base64",
        ),
        (
            r#""users":[{"name":"v","limits":{"max-fun":1}}]"#,
            "users[0]: Unrecognised terms [{<<\"max-fun\">>,1}] in user-limits",
        ),
        (
            r#""vhosts":[{"name":"v","default_queue_type":"zork"}]"#,
            "vhosts[0]: zork is not a valid queue type",
        ),
        (
            r#""parameters":[{"component":"vhost-limits","vhost":"/","name":"limits","value":{"foo":10}}]"#,
            "parameters[0]: Unrecognised terms [{<<\"foo\">>,10}] in limits",
        ),
        (
            r#""bindings":[{"source":"s","vhost":"/","destination":"d","destination_type":"queue",
               "arguments":{"n":18446744073709551615}}]"#,
            "bindings[0]: argument 'n': 18446744073709551615 is over 9223372036854775807",
        ),
    ];
    for (part, expected) in wrong {
        let text = format!(r#"{{"topic_permissions":[],{part}}}"#);
        let refused = Definitions::parse(&text).unwrap_err().to_string();
        assert!(refused.starts_with(expected), "{refused}");
    }
}

#[test]
fn what_does_not_fit_the_rest_is_refused() {
    for (text, expected) in [
        (
            r#"{"permissions":[{"user":"u","vhost":"/","configure":"","write":"","read":""}]}"#,
            "permissions[0]: no such user 'u'",
        ),
        (
            r#"{"users":[{"name":"u"}],
                "permissions":[{"user":"u","vhost":"nov","configure":"","write":"","read":""}]}"#,
            "permissions[0]: no such vhost 'nov'",
        ),
        (
            r#"{"queues":[{"name":"q","vhost":"nov"}]}"#,
            "queues[0]: Please create virtual host \"nov\" prior to importing definitions.",
        ),
        (
            r#"{"exchanges":[{"name":"x","vhost":"/","type":"zork"}]}"#,
            "exchanges[0]: unknown exchange type 'zork'",
        ),
        (
            r#"{"queues":[{"name":"q","vhost":"/","arguments":{"x-message-ttl":-1}}]}"#,
            "queues[0]: invalid arg 'x-message-ttl' for queue 'q' in vhost '/': {value_negative,-1}",
        ),
        (
            r#"{"bindings":[{"source":"amq.topic","vhost":"/","destination":"q",
                "destination_type":"queue","routing_key":"k"}]}"#,
            "bindings[0]: no queue 'q' in vhost '/'",
        ),
        (
            r#"{"parameters":[{"component":"vhost-limits","vhost":"nov","name":"limits","value":{}}]}"#,
            "vhosts[0]: no such vhost 'nov'",
        ),
    ] {
        assert_eq!(refused(text), expected);
    }
}
