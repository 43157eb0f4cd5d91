//! Policies in definitions, as RabbitMQ exports them.

use std::sync::Arc;

use harrier::base::config::Config;
use harrier::broker::access::Access;
use harrier::broker::policy::{ApplyTo, PolicyKind};
use harrier::broker::store::{NullStore, Recovered, Store};
use harrier::broker::vhosts::Vhosts;
use harrier::management::definitions::Definitions;
use harrier::server::shared::Shared;

use crate::support::{ME, number, table};

/// From an export of RabbitMQ 4.3.6.
const EXPORTED: &str = r#"{
 "vhosts":[{"name":"v"}],
 "policies":[
  {"vhost":"v","name":"p","pattern":"^q","apply-to":"classic_queues","priority":2,
   "definition":{"overflow":"reject-publish","max-length":10}},
  {"vhost":"v","name":"short","pattern":"zz","definition":{"max-length":1}}],
 "parameters":[
  {"component":"vhost-limits","vhost":"v","name":"limits","value":{"max-queues":3}},
  {"component":"operator_policy","vhost":"v","name":"o",
   "value":{"apply-to":"all","definition":{"max-length":3},"pattern":".*","priority":0}}],
 "queues":[{"name":"q","vhost":"v","durable":true,"auto_delete":false,"arguments":{}}]
}"#;

fn broker() -> Shared {
    let store = Arc::new(NullStore::default()) as Arc<dyn Store>;
    let access = Arc::new(Access::restore(Arc::clone(&store), &[]));
    let vhosts = Vhosts::restore(Arc::clone(&store), Recovered::default());
    Shared::new(Config::default(), vhosts, access, store)
}

fn refused(text: &str) -> String {
    let outcome =
        Definitions::parse(text).and_then(|definitions| definitions.apply(&broker(), "operator"));
    outcome.unwrap_err().to_string()
}

#[test]
fn policies_of_both_kinds_come_with_definitions() {
    let shared = broker();
    for _ in 0..2 {
        Definitions::parse(EXPORTED)
            .unwrap()
            .apply(&shared, "operator")
            .unwrap();
    }
    let vhost = shared.vhosts.get("v").unwrap();
    let policy = vhost.policy(PolicyKind::User, "p").unwrap();
    assert_eq!(policy.apply_to(), ApplyTo::ClassicQueues);
    assert_eq!(policy.priority(), 2);
    assert_eq!(&**policy.pattern().source(), "^q");
    let definition = [
        ("max-length", number(10)),
        ("overflow", "reject-publish".into()),
    ];
    assert_eq!(*policy.definition(), table(&definition));
    let short = vhost.policy(PolicyKind::User, "short").unwrap();
    assert_eq!((short.apply_to(), short.priority()), (ApplyTo::All, 0));
    assert!(vhost.policy(PolicyKind::Operator, "o").is_some());
    assert_eq!(vhost.queue("q", ME).unwrap().settings().max_length, Some(3));
    assert_eq!(vhost.settings().limits.max_queues, Some(3));
}

#[test]
fn a_bad_policy_is_named_with_what_is_wrong() {
    let policy = |entry: &str| refused(&format!("{{\"policies\":[{entry}]}}"));
    let operator = |value: &str| {
        refused(&format!(
            "{{\"parameters\":[{{\"component\":\"x\",\"vhost\":\"/\",\"name\":\"n\",\"value\":1}},
              {{\"component\":\"operator_policy\",\"vhost\":\"/\",\"name\":\"o\",\"value\":{value}}}]}}"
        ))
    };
    let of = |rest: &str| policy(&format!("{{\"vhost\":\"/\",\"name\":\"p\",{rest}}}"));
    let good = r#""pattern":"q","definition":{"max-length":1}"#;
    assert_eq!(
        of(r#""pattern":"q","definition":{"zork":1}"#),
        r#"policies[0]: [{<<"zork">>,1}] are not recognised policy settings"#
    );
    assert_eq!(
        of(r#""pattern":"q","definition":{}"#),
        "policies[0]: no policy provided"
    );
    assert!(of(&format!("{good},\"apply-to\":\"zork\"")).contains("apply-to 'zork' unrecognised"));
    for (rest, why) in [
        (r#""pattern":"q""#, "missing field `definition`"),
        (
            r#""definition":{"max-length":1}"#,
            "missing field `pattern`",
        ),
        (
            r#""pattern":"q","definition":{"max-length":1},"priority":"5""#,
            "invalid type: string",
        ),
        (
            r#""pattern":"(","definition":{"max-length":1}"#,
            "pattern should be regular expression",
        ),
    ] {
        let text = of(rest);
        assert!(
            text.starts_with("policies[0]: ") && text.contains(why),
            "{text}"
        );
    }
    assert_eq!(
        policy(&format!("{{\"vhost\":\"nov\",\"name\":\"p\",{good}}}")),
        r#"policies[0]: Please create virtual host "nov" prior to importing definitions."#
    );
    assert_eq!(
        operator(r#"{"pattern":"q","definition":{"alternate-exchange":"a"}}"#),
        r#"parameters[1]: [{<<"alternate-exchange">>,<<"a">>}] are not recognised policy settings"#
    );
    assert!(operator(r#"{"pattern":"q"}"#).starts_with("parameters[1]: missing field"));
}
