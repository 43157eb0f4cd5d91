//! Users and virtual hosts in a running broker: who gets in, how often, and
//! what becomes of that (`semantics` 2.3, 2.5, 4).

use harrier::broker::access::UserLimits;
use harrier::broker::vhost::{VhostLimits, VhostSettings};
use harrier::server::attempts::Protocol;
use harrier::server::auth::{Proof, hashed, log_in};
use harrier::wire::FieldTable;
use harrier::wire::method::*;
use harrier::wire::parse::LongStr;

use crate::broker::{Broker, eventually};
use crate::client::{CAPABILITIES, Client, PERSISTENT, Said};
use crate::hosted::{Hosted, OPENED};

const EVERYTHING: [&str; 3] = [".*", ".*", ".*"];

fn queue(queue: &str) -> QueueDeclare<'_> {
    QueueDeclare {
        queue,
        ..QueueDeclare::default()
    }
}

#[test]
fn a_virtual_host_takes_permissions_in_it() {
    let hosted = Hosted::start();
    hosted.user("ann", &["administrator"]);
    let (_, said) = Client::enter(hosted.address, "ann", "/");
    let text = "NOT_ALLOWED - access to vhost '/' refused for user 'ann'";
    assert_eq!(said, Said::Closed(530, text.into()));
    let (_, said) = Client::enter(hosted.address, "ann", "nov");
    let text = "NOT_ALLOWED - vhost nov not found";
    assert_eq!(said, Said::Closed(530, text.into()));
    hosted.permit("ann", ["", "", ""]);
    let (_, said) = Client::enter(hosted.address, "ann", "/");
    assert_eq!(said, OPENED);
}

#[test]
fn some_users_may_only_come_from_this_machine() {
    let hosted = Hosted::start();
    hosted.user("ann", &[]);
    let may = |name: &str, from: &str| {
        let proof = Proof::Password(name, name.as_bytes());
        log_in(
            &hosted.shared,
            Protocol::Amqp,
            &proof,
            from.parse().unwrap(),
        )
        .is_ok()
    };
    for near in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
        assert!(may("guest", near) && may("ann", near), "{near}");
    }
    for far in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
        assert!(!may("guest", far) && may("ann", far), "{far}");
    }
}

#[test]
fn limits_on_connections_hold() {
    let hosted = Hosted::start();
    hosted.user("ann", &[]);
    hosted.permit("ann", EVERYTHING);
    let of_vhost = |max_connections| {
        let limits = VhostLimits {
            max_connections,
            ..VhostLimits::default()
        };
        let settings = VhostSettings {
            limits,
            ..VhostSettings::default()
        };
        hosted.shared.put_vhost("/", settings, "operator").unwrap();
    };
    let of_user = |max_connections| {
        let limits = UserLimits {
            max_connections,
            ..UserLimits::default()
        };
        hosted
            .shared
            .set_user_limits("ann", limits, "operator")
            .unwrap();
    };
    let first = hosted.client("ann");
    of_vhost(Some(1));
    let (_, said) = Client::enter(hosted.address, "ann", "/");
    let text = "NOT_ALLOWED - access to vhost '/' refused for user 'ann': connection limit (1) is \
                reached";
    assert_eq!(said, Said::Closed(530, text.into()));
    of_vhost(Some(-1));
    of_user(Some(1));
    let (_, said) = Client::enter(hosted.address, "ann", "/");
    let text = "NOT_ALLOWED - connection refused for user 'ann': user connection limit (1) is \
                reached";
    assert_eq!(said, Said::Closed(530, text.into()));
    // Who is answered that the connection is closed may open another at once.
    first.close();
    let second = hosted.client("ann");
    second.close();
    of_user(Some(0));
    let (_, said) = Client::enter(hosted.address, "ann", "/");
    assert!(matches!(said, Said::Closed(530, _)), "{said:?}");
    of_user(None);
    hosted.client("ann");
}

#[test]
fn the_limit_on_channels_is_for_all_connections_together() {
    let hosted = Hosted::start();
    hosted.user("ann", &[]);
    hosted.permit("ann", EVERYTHING);
    let limits = UserLimits {
        max_channels: Some(2),
        ..UserLimits::default()
    };
    hosted
        .shared
        .set_user_limits("ann", limits, "operator")
        .unwrap();
    let mut one = hosted.client("ann");
    let mut other = hosted.client("ann");
    assert_eq!(
        one.ask(1, ChannelClose::default()),
        Said::Other(1, (20, 41))
    );
    other.open_channel(2);
    let said = one.ask(1, ChannelOpen::default());
    let text = "NOT_ALLOWED - number of channels opened for user 'ann' has reached the maximum \
                allowed user limit of 2";
    assert_eq!(said, Said::Closed(530, text.into()));
    other.hang_up();
    eventually("the channels of a connection that is gone", || {
        let (mut client, said) = Client::enter(hosted.address, "ann", "/");
        assert_eq!(said, OPENED);
        client.ask(1, ChannelOpen::default()) == Said::Other(1, (20, 11))
    });
}

#[test]
fn the_limit_on_queues_holds() {
    let hosted = Hosted::start();
    let limits = VhostLimits {
        max_queues: Some(1),
        ..VhostLimits::default()
    };
    let settings = VhostSettings {
        limits,
        ..VhostSettings::default()
    };
    hosted.shared.put_vhost("/", settings, "operator").unwrap();
    let mut client = hosted.client("guest");
    client.declare("one");
    let said = client.ask(1, queue("two"));
    let text = "PRECONDITION_FAILED - cannot declare queue 'two': queue limit in vhost '/' (1) is \
                reached";
    assert_eq!(said, Said::ChannelClosed(1, 406, text.into()));
    client.send(1, ChannelCloseOk {});
    client.open_channel(1);
    client.declare("one");
}

#[test]
fn the_default_type_is_for_queues_that_can_be_of_it() {
    let hosted = Hosted::start();
    let settings = VhostSettings {
        default_queue_type: Some("quorum".into()),
        ..VhostSettings::default()
    };
    hosted.shared.put_vhost("/", settings, "operator").unwrap();
    let mut client = hosted.client("guest");
    client.declare("transient");
    client.declare_durable("durable", FieldTable::new());
    client.declare_durable(
        "durable",
        [("x-queue-type", "quorum".into())].into_iter().collect(),
    );
    client.declare("transient");
    let vhost = hosted.shared.vhosts.get("/").unwrap();
    let types = vhost.queues().into_iter().map(|queue| {
        let kind = queue.spec().arguments.get("x-queue-type").unwrap().clone();
        (queue.name().to_string(), kind.as_str().unwrap().to_owned())
    });
    let expected = [("durable", "quorum"), ("transient", "classic")];
    let expected = expected.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    assert_eq!(types.collect::<Vec<_>>(), expected);
}

#[test]
fn a_deleted_user_is_shown_out() {
    let hosted = Hosted::start();
    for user in ["ann", "bob"] {
        hosted.user(user, &[]);
        hosted.permit(user, EVERYTHING);
    }
    let (mut ann, mut bob) = (hosted.client("ann"), hosted.client("bob"));
    hosted.shared.delete_user("ann", "operator").unwrap();
    let text = "CONNECTION_FORCED - user 'ann' is deleted";
    assert_eq!(ann.said(), Said::Closed(320, text.into()));
    bob.declare("q");
}

#[test]
fn a_deleted_virtual_host_takes_everything_along() {
    let directory = tempfile::tempdir().unwrap();
    let hosted = Hosted::on(directory.path());
    let shared = &hosted.shared;
    shared
        .put_vhost("v", VhostSettings::default(), "operator")
        .unwrap();
    let everything = harrier::broker::access::Permissions::new(".*", ".*", ".*").unwrap();
    shared
        .set_permissions("guest", "v", everything, "operator")
        .unwrap();
    let (mut there, said) = Client::enter(hosted.address, "guest", "v");
    assert_eq!(said, OPENED);
    there.open_channel(1);
    there.declare_durable("q", FieldTable::new());
    there.confirm_select(1);
    there.publish(1, ("", "q"), PERSISTENT, b"m");
    there.confirmed(1);
    there.consume(1, "q", "tag");
    let mut elsewhere = hosted.client("guest");
    shared.delete_vhost("v", "operator").unwrap();
    let text = "CONNECTION_FORCED - vhost 'v' is deleted";
    assert!(matches!(there.said(), Said::Deliver { .. }));
    assert_eq!(there.said(), Said::Cancel(1, "tag".into()));
    assert_eq!(there.said(), Said::Closed(320, text.into()));
    elsewhere.declare("q");
    assert!(shared.delete_vhost("v", "operator").is_err());
    // One of the same name has nothing to do with it, now and later.
    shared
        .put_vhost("v", VhostSettings::default(), "operator")
        .unwrap();
    assert!(shared.vhosts.get("v").unwrap().queues().is_empty());
    assert_eq!(shared.access.permissions().len(), 1);
    drop((there, elsewhere));
    hosted.stop();
    let hosted = Hosted::on(directory.path());
    assert!(hosted.shared.vhosts.get("v").unwrap().queues().is_empty());
    assert_eq!(hosted.shared.access.permissions().len(), 1);
}

#[test]
fn a_protected_virtual_host_stays() {
    let hosted = Hosted::start();
    let settings = VhostSettings {
        protected: true,
        ..VhostSettings::default()
    };
    hosted.shared.put_vhost("/", settings, "operator").unwrap();
    let refused = hosted
        .shared
        .delete_vhost("/", "operator")
        .unwrap_err()
        .to_string();
    assert_eq!(
        refused,
        "Refusing to delete virtual host '/' because it is protected from deletion"
    );
}

#[test]
fn users_and_what_they_may_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    for lose_the_database in [false, true] {
        let hosted = Hosted::on(directory.path());
        hosted.user("ann", &["impersonator"]);
        hosted.permit("ann", ["^a", "^b", "^c"]);
        hosted.permit_topic("ann", "amq.topic", "w", "r");
        hosted.user("gone", &[]);
        hosted.permit("gone", EVERYTHING);
        hosted.shared.delete_user("gone", "operator").unwrap();
        let limits = UserLimits {
            max_connections: Some(5),
            max_channels: Some(-1),
        };
        hosted
            .shared
            .set_user_limits("ann", limits, "operator")
            .unwrap();
        let settings = VhostSettings {
            description: "d".into(),
            tags: vec!["t".into()],
            default_queue_type: Some("quorum".into()),
            protected: true,
            limits: VhostLimits {
                max_connections: None,
                max_queues: Some(7),
            },
        };
        hosted
            .shared
            .put_vhost("v", settings.clone(), "operator")
            .unwrap();
        hosted.stop();
        if lose_the_database {
            std::fs::remove_dir_all(directory.path().join("sled")).unwrap();
        }
        let hosted = Hosted::on(directory.path());
        let access = &hosted.shared.access;
        let ann = access.authenticate("ann", b"ann").unwrap();
        assert!(ann.has_tag("impersonator"));
        assert_eq!(ann.limits, limits);
        assert_eq!(access.user("gone"), None);
        assert_eq!(access.permissions().len(), 2);
        assert_eq!(access.topic_permissions().len(), 1);
        let vhost = hosted.shared.vhosts.get("v").unwrap();
        assert_eq!(*vhost.settings(), settings);
        let mut client = hosted.client("ann");
        let said = client.ask(1, queue("b"));
        assert!(matches!(said, Said::ChannelClosed(1, 403, _)), "{said:?}");
        drop(client);
        hosted.stop();
    }
}

#[test]
fn the_stored_user_comes_before_the_configured_one() {
    let directory = tempfile::tempdir().unwrap();
    let hosted = Hosted::on(directory.path());
    let password = hashed(b"changed");
    let tags = vec!["administrator".into()];
    hosted
        .shared
        .put_user("guest", password, tags, "operator")
        .unwrap();
    hosted.stop();
    let hosted = Hosted::on(directory.path());
    let access = &hosted.shared.access;
    assert!(access.authenticate("guest", b"guest").is_none());
    assert!(access.authenticate("guest", b"changed").is_some());
    hosted.shared.delete_user("guest", "operator").unwrap();
    hosted.stop();
    let hosted = Hosted::on(directory.path());
    assert!(hosted.shared.access.users().is_empty());
}

#[test]
fn a_broker_starts_with_the_user_and_vhost_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--default-user", "ann", "--default-pass", "ann"];
    for vhost in ["v", "w"] {
        // The second time there is what is stored already.
        let flags = [&flags[..], &["--default-vhost", vhost]].concat();
        let mut broker = Broker::on(directory.path(), &flags);
        let (client, said) = Client::enter(broker.address, "ann", "v");
        assert_eq!(said, OPENED);
        client.close();
        for other in ["/", "w"] {
            let (_, said) = Client::enter(broker.address, "ann", other);
            let text = format!("NOT_ALLOWED - vhost {other} not found");
            assert_eq!(said, Said::Closed(530, text));
        }
        broker.terminate();
        assert!(broker.exit().success());
    }
}

#[test]
fn new_vhosts_have_the_configured_type_of_queue() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--default-queue-type", "quorum"];
    let broker = Broker::on(directory.path(), &flags);
    let mut client = broker.client();
    client.declare_durable("q", FieldTable::new());
    let quorum = [("x-queue-type", "quorum".into())];
    client.declare_durable("q", quorum.into_iter().collect());
    drop((client, broker));
    let outcome = Broker::command(directory.path(), &["--default-queue-type", "zork"])
        .output()
        .unwrap();
    assert_eq!(outcome.status.code(), Some(2));
    let said = String::from_utf8(outcome.stderr).unwrap();
    assert!(said.contains("zork is not a valid queue type"), "{said}");
}

#[test]
fn a_deleted_default_vhost_does_not_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let hosted = Hosted::on(directory.path());
    let shared = &hosted.shared;
    shared
        .put_vhost("v", VhostSettings::default(), "operator")
        .unwrap();
    shared.delete_vhost("/", "operator").unwrap();
    hosted.stop();
    let hosted = Hosted::on(directory.path());
    assert!(hosted.shared.vhosts.get("/").is_none());
}

#[test]
fn every_mechanism_knows_every_user() {
    let hosted = Hosted::start();
    hosted.user("ann", &[]);
    hosted.permit("ann", EVERYTHING);
    let log_in = |mechanism, response: &[u8]| {
        let mut client = Client::raw(hosted.address);
        client.write(&harrier::wire::encode::PROTOCOL_HEADER);
        assert_eq!(client.said(), Said::Other(0, (10, 10)));
        let capabilities: FieldTable = CAPABILITIES.iter().map(|n| (*n, true.into())).collect();
        let mut client_properties = FieldTable::new();
        client_properties.push("capabilities", capabilities);
        let start_ok = ConnectionStartOk {
            client_properties,
            mechanism,
            response: LongStr(response),
            locale: "en_US",
        };
        client.ask(0, start_ok)
    };
    let tune = Said::Other(0, (10, 30));
    assert_eq!(log_in("PLAIN", b"\0ann\0ann"), tune);
    let table = b"\x05LOGINS\x00\x00\x00\x03ann\x08PASSWORDS\x00\x00\x00\x03ann";
    assert_eq!(log_in("AMQPLAIN", table), tune);
    let text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For \
                details see the broker logfile.";
    let refused = Said::Closed(403, text.into());
    for response in [&b"\0ann\0bob"[..], b"\0bob\0ann", b"\0ann\0", b"\0\0"] {
        assert_eq!(log_in("PLAIN", response), refused);
    }
    // A user without a password can't log in with an empty one.
    let none = harrier::broker::access::PasswordHash::none();
    hosted
        .shared
        .put_user("ann", none, Vec::new(), "operator")
        .unwrap();
    assert_eq!(log_in("PLAIN", b"\0ann\0"), refused);
    assert_eq!(log_in("PLAIN", b"\0ann\0ann"), refused);
}
