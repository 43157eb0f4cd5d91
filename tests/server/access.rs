//! What each method has to be permitted, over sockets (`semantics` 5, 8.1).

use bytes::BytesMut;
use harrier::wire::method::*;
use harrier::wire::parse::LongStr;
use harrier::wire::{FieldTable, Method, Properties};

use crate::broker::eventually;
use crate::client::{Client, PERSISTENT, Said, TRANSIENT, consume};
use crate::hosted::Hosted;

const EVERYTHING: [&str; 3] = [".*", ".*", ".*"];

fn refused(permission: &str, resource: &str) -> Said {
    closed(format!(
        "ACCESS_REFUSED - {permission} access to {resource} in vhost '/' refused for user 'ann'"
    ))
}

fn closed(text: String) -> Said {
    Said::ChannelClosed(1, 403, text)
}

/// Asks on channel 1, and opens it anew if it was closed for that.
#[track_caller]
fn ask<'a>(client: &mut Client, method: impl Into<Method<'a>>) -> Said {
    let said = client.ask(1, method);
    if let Said::ChannelClosed(..) = said {
        client.send(1, ChannelCloseOk {});
        client.open_channel(1);
    }
    said
}

fn with(name: &str, value: &str) -> FieldTable {
    [(name, value.into())].into_iter().collect()
}

/// A queue and an exchange of each kind there is a permission for, declared by
/// somebody who may.
fn furnished() -> (Hosted, Client) {
    let hosted = Hosted::start();
    let mut admin = hosted.client("guest");
    for name in ["c", "w", "r", "n"] {
        admin.declare(name);
        let declare = ExchangeDeclare {
            exchange: name,
            kind: "direct",
            ..ExchangeDeclare::default()
        };
        assert_eq!(admin.ask(1, declare), Said::Other(1, (40, 11)));
    }
    hosted.user("ann", &[]);
    hosted.permit("ann", ["^c", "^(w|amq.default$)", "^r"]);
    let ann = hosted.client("ann");
    (hosted, ann)
}

fn queue(queue: &str) -> QueueDeclare<'_> {
    QueueDeclare {
        queue,
        ..QueueDeclare::default()
    }
}

fn exchange(exchange: &str) -> ExchangeDeclare<'_> {
    ExchangeDeclare {
        exchange,
        kind: "direct",
        ..ExchangeDeclare::default()
    }
}

#[test]
fn declaring_and_deleting_queues_is_configuring() {
    let (_hosted, mut ann) = furnished();
    for name in ["w", "r", "n", "none"] {
        let expected = refused("configure", &format!("queue '{name}'"));
        assert_eq!(ask(&mut ann, queue(name)), expected);
        let delete = QueueDelete {
            queue: name,
            ..QueueDelete::default()
        };
        assert_eq!(ask(&mut ann, delete), expected);
    }
    assert!(matches!(ask(&mut ann, queue("c")), Said::Declared { .. }));
    let delete = QueueDelete {
        queue: "c",
        ..QueueDelete::default()
    };
    assert_eq!(ask(&mut ann, delete), Said::Deleted(1, 0));
    // A name made up by the server has to be permitted, too.
    let said = ask(&mut ann, queue(""));
    let Said::ChannelClosed(1, 403, text) = said else {
        panic!("{said:?}");
    };
    let expected = "ACCESS_REFUSED - configure access to queue 'amq.gen-";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn asking_for_a_queue_takes_any_permission() {
    let (_hosted, mut ann) = furnished();
    let passive = |name| QueueDeclare {
        passive: true,
        ..queue(name)
    };
    for name in ["c", "w", "r"] {
        let said = ask(&mut ann, passive(name));
        assert!(matches!(said, Said::Declared { .. }), "{said:?}");
    }
    for name in ["n", "none"] {
        let expected = refused("configure", &format!("queue '{name}'"));
        assert_eq!(ask(&mut ann, passive(name)), expected);
    }
    let said = ask(&mut ann, passive("c none"));
    let text = "NOT_FOUND - no queue 'c none' in vhost '/'";
    assert_eq!(said, Said::ChannelClosed(1, 404, text.into()));
}

#[test]
fn a_dead_letter_exchange_takes_reading_here_and_writing_there() {
    let (hosted, mut ann) = furnished();
    let letters = |name, to| QueueDeclare {
        arguments: with("x-dead-letter-exchange", to),
        ..queue(name)
    };
    let said = ask(&mut ann, letters("c1", "w"));
    assert_eq!(said, refused("read", "queue 'c1'"));
    hosted.permit("ann", ["^c", "^w", "^(c|r)"]);
    let said = ask(&mut ann, letters("c1", "r"));
    assert_eq!(said, refused("write", "exchange 'r'"));
    let said = ask(&mut ann, letters("c1", "w"));
    assert!(matches!(said, Said::Declared { .. }), "{said:?}");
    // A queue that is there already isn't looked at again.
    hosted.permit("ann", ["^c", "", ""]);
    let said = ask(&mut ann, letters("c1", "w"));
    assert!(matches!(said, Said::Declared { .. }), "{said:?}");
}

#[test]
fn declaring_and_deleting_exchanges_is_configuring() {
    let (_hosted, mut ann) = furnished();
    for name in ["w", "r", "n", "none"] {
        let expected = refused("configure", &format!("exchange '{name}'"));
        assert_eq!(ask(&mut ann, exchange(name)), expected);
        let delete = ExchangeDelete {
            exchange: name,
            ..ExchangeDelete::default()
        };
        assert_eq!(ask(&mut ann, delete), expected);
    }
    assert_eq!(ask(&mut ann, exchange("c")), Said::Other(1, (40, 11)));
    let passive = |name| ExchangeDeclare {
        passive: true,
        ..exchange(name)
    };
    for name in ["c", "w", "r"] {
        assert_eq!(ask(&mut ann, passive(name)), Said::Other(1, (40, 11)));
    }
    let said = ask(&mut ann, passive("n"));
    assert_eq!(said, refused("configure", "exchange 'n'"));
    // What nobody may has its own words.
    let text = "ACCESS_REFUSED - operation not permitted on the default exchange";
    assert_eq!(ask(&mut ann, exchange("")), closed(text.into()));
    let delete = ExchangeDelete {
        exchange: "amq.topic",
        ..ExchangeDelete::default()
    };
    let text = "ACCESS_REFUSED - deletion of system exchange 'amq.topic' in vhost '/' not allowed";
    assert_eq!(ask(&mut ann, delete), closed(text.into()));
}

#[test]
fn an_alternate_exchange_takes_reading_here_and_writing_there() {
    let (hosted, mut ann) = furnished();
    let alternate = |name, to| ExchangeDeclare {
        arguments: with("alternate-exchange", to),
        ..exchange(name)
    };
    let said = ask(&mut ann, alternate("c1", "w"));
    assert_eq!(said, refused("read", "exchange 'c1'"));
    hosted.permit("ann", ["^c", "^w", "^(c|r)"]);
    let said = ask(&mut ann, alternate("c1", "r"));
    assert_eq!(said, refused("write", "exchange 'r'"));
    let said = ask(&mut ann, alternate("c1", "w"));
    assert_eq!(said, Said::Other(1, (40, 11)));
}

#[test]
fn binding_is_writing_to_the_queue_and_reading_the_exchange() {
    let (_hosted, mut ann) = furnished();
    let bind = |queue, exchange| QueueBind {
        queue,
        exchange,
        ..QueueBind::default()
    };
    let unbind = |queue, exchange| QueueUnbind {
        queue,
        exchange,
        ..QueueUnbind::default()
    };
    for name in ["c", "r", "none"] {
        let expected = refused("write", &format!("queue '{name}'"));
        assert_eq!(ask(&mut ann, bind(name, "r")), expected);
        assert_eq!(ask(&mut ann, unbind(name, "r")), expected);
    }
    for name in ["c", "w", "none"] {
        let expected = refused("read", &format!("exchange '{name}'"));
        assert_eq!(ask(&mut ann, bind("w", name)), expected);
        assert_eq!(ask(&mut ann, unbind("w", name)), expected);
    }
    assert_eq!(ask(&mut ann, bind("w", "r")), Said::Other(1, (50, 21)));
    assert_eq!(ask(&mut ann, unbind("w", "r")), Said::Other(1, (50, 51)));
}

#[test]
fn binding_exchanges_is_writing_to_one_and_reading_the_other() {
    let (_hosted, mut ann) = furnished();
    let bind = |destination, source| ExchangeBind {
        destination,
        source,
        ..ExchangeBind::default()
    };
    let said = ask(&mut ann, bind("r", "r"));
    assert_eq!(said, refused("write", "exchange 'r'"));
    let said = ask(&mut ann, bind("w", "w"));
    assert_eq!(said, refused("read", "exchange 'w'"));
    assert_eq!(ask(&mut ann, bind("w", "r")), Said::Other(1, (40, 31)));
    let unbind = ExchangeUnbind {
        destination: "w",
        source: "n",
        ..ExchangeUnbind::default()
    };
    assert_eq!(ask(&mut ann, unbind), refused("read", "exchange 'n'"));
}

#[test]
fn getting_consuming_and_purging_are_reading() {
    let (_hosted, mut ann) = furnished();
    for name in ["c", "w", "none"] {
        let expected = refused("read", &format!("queue '{name}'"));
        let get = BasicGet {
            queue: name,
            ..BasicGet::default()
        };
        assert_eq!(ask(&mut ann, get), expected);
        let consume = BasicConsume {
            queue: name,
            ..BasicConsume::default()
        };
        assert_eq!(ask(&mut ann, consume), expected);
        let purge = QueuePurge {
            queue: name,
            ..QueuePurge::default()
        };
        assert_eq!(ask(&mut ann, purge), expected);
    }
    assert_eq!(ann.get("r"), None);
    ann.consume(1, "r", "tag");
    let purge = QueuePurge {
        queue: "r",
        ..QueuePurge::default()
    };
    assert_eq!(ask(&mut ann, purge), Said::Purged(1, 0));
}

#[test]
fn publishing_is_writing() {
    let (hosted, mut ann) = furnished();
    for (to, name) in [("c", "c"), ("none", "none"), ("amq.fanout", "amq.fanout")] {
        ann.publish(1, (to, "k"), TRANSIENT, b"");
        let expected = refused("write", &format!("exchange '{name}'"));
        assert_eq!(ann.said(), expected);
        ann.send(1, ChannelCloseOk {});
        ann.open_channel(1);
    }
    ann.publish(1, ("w", "k"), TRANSIENT, b"");
    ann.publish(1, ("", "r"), TRANSIENT, b"m");
    assert_eq!(ann.get("r").unwrap().2.body, b"m");
    hosted.permit("ann", ["", "^w", ""]);
    ann.publish(1, ("", "r"), TRANSIENT, b"");
    assert_eq!(ann.said(), refused("write", "exchange 'amq.default'"));
}

/// A route kept at hand went on being used after its user had lost the
/// permission that it was found with.
#[test]
fn direct_reply_to_takes_writing_to_the_default_exchange_alone() {
    let hosted = Hosted::start();
    hosted.client("guest").declare("requests");
    let mut properties = BytesMut::new();
    let asking = Properties {
        reply_to: Some(b"amq.rabbitmq.reply-to"),
        ..Properties::default()
    };
    asking.put(&mut properties);
    for (name, write) in [("ann", "^amq.default$"), ("bob", "^requests$")] {
        hosted.user(name, &[]);
        hosted.permit(name, ["", write, ""]);
        let mut client = hosted.client(name);
        let replies = BasicConsume {
            no_ack: true,
            ..consume("amq.rabbitmq.reply-to", "c")
        };
        assert_eq!(client.ask(1, replies), Said::ConsumeOk(1, "c".into()));
        client.publish(1, ("", "requests"), &properties, b"?");
        if name == "ann" {
            client.qos(1, 0);
        } else {
            let text = "ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' \
                        refused for user 'bob'";
            assert_eq!(client.said(), closed(text.into()));
        }
    }
}

#[test]
fn a_cached_route_goes_with_the_permission() {
    let (hosted, mut ann) = furnished();
    ann.confirm_select(1);
    for number in 1..=3 {
        ann.publish(1, ("", "r"), PERSISTENT, b"m");
        ann.confirmed(number);
    }
    hosted.permit("ann", ["^c", "^w", "^r"]);
    ann.publish(1, ("", "r"), PERSISTENT, b"m");
    assert_eq!(ann.said(), refused("write", "exchange 'amq.default'"));
    ann.send(1, ChannelCloseOk {});
    ann.open_channel(1);
    assert_eq!(ann.counts(1, "r").0, 3);
    hosted.permit("ann", ["^c", ".*", "^r"]);
    ann.publish(1, ("", "r"), PERSISTENT, b"m");
    eventually("the fourth message", || ann.counts(1, "r").0 == 4);
}

#[test]
fn a_cached_route_goes_with_the_topic_permission() {
    let hosted = Hosted::start();
    hosted.user("ann", &[]);
    hosted.permit("ann", EVERYTHING);
    let mut ann = hosted.client("ann");
    ann.declare("q");
    let bind = QueueBind {
        queue: "q",
        exchange: "amq.topic",
        routing_key: "#",
        ..QueueBind::default()
    };
    assert_eq!(ann.ask(1, bind), Said::Other(1, (50, 21)));
    ann.publish(1, ("amq.topic", "other"), TRANSIENT, b"");
    ann.publish(1, ("amq.topic", "other"), TRANSIENT, b"");
    assert_eq!(ann.counts(1, "q").0, 2);
    hosted.permit_topic("ann", "amq.topic", "^{username}", ".*");
    ann.publish(1, ("amq.topic", "ann.1"), TRANSIENT, b"");
    ann.publish(1, ("amq.topic", "ann.1"), TRANSIENT, b"");
    assert_eq!(ann.counts(1, "q").0, 4);
    ann.publish(1, ("amq.topic", "other"), TRANSIENT, b"");
    let text = "ACCESS_REFUSED - write access to topic 'other' in exchange 'amq.topic' in vhost \
                '/' refused for user 'ann'";
    assert_eq!(ann.said(), closed(text.into()));
}

#[test]
fn topic_permissions_are_for_every_key_of_topic_exchanges_alone() {
    let hosted = Hosted::start();
    hosted.user("ann", &[]);
    hosted.permit("ann", EVERYTHING);
    for exchange in ["amq.topic", "amq.direct"] {
        hosted.permit_topic("ann", exchange, "^w", "^r");
    }
    let mut ann = hosted.client("ann");
    ann.declare("q");
    let bind = |exchange, routing_key| QueueBind {
        queue: "q",
        exchange,
        routing_key,
        ..QueueBind::default()
    };
    let said = ask(&mut ann, bind("amq.topic", "x.#"));
    let text = "ACCESS_REFUSED - read access to topic 'x.#' in exchange 'amq.topic' in vhost '/' \
                refused for user 'ann'";
    assert_eq!(said, closed(text.into()));
    for (exchange, key) in [("amq.topic", "r.#"), ("amq.direct", "x")] {
        let said = ask(&mut ann, bind(exchange, key));
        assert_eq!(said, Said::Other(1, (50, 21)));
    }
    ann.publish(1, ("amq.direct", "x"), TRANSIENT, b"");
    assert_eq!(ann.counts(1, "q").0, 1);
    // A copy is a publish of its own: `CC` with the key `x`.
    let headers = b"\x20\x00\x00\x00\x00\x0e\x02CCA\x00\x00\x00\x06S\x00\x00\x00\x01x";
    ann.publish(1, ("amq.topic", "w"), headers, b"");
    let text = "ACCESS_REFUSED - write access to topic 'x' in exchange 'amq.topic' in vhost '/' \
                refused for user 'ann'";
    assert_eq!(ann.said(), closed(text.into()));
}

#[test]
fn only_impersonators_publish_as_somebody_else() {
    let hosted = Hosted::start();
    hosted.user("ann", &[]);
    hosted.permit("ann", EVERYTHING);
    let mut ann = hosted.client("ann");
    ann.declare("q");
    let as_ann = b"\x00\x10\x03ann";
    let as_bob = b"\x00\x10\x03bob";
    for _ in 0..2 {
        ann.publish(1, ("", "q"), as_ann, b"");
    }
    assert_eq!(ann.counts(1, "q").0, 2);
    ann.publish(1, ("", "q"), as_bob, b"");
    let text = "PRECONDITION_FAILED - user_id property set to 'bob' but authenticated user was \
                'ann'";
    assert_eq!(ann.said(), Said::ChannelClosed(1, 406, text.into()));
    ann.send(1, ChannelCloseOk {});
    ann.open_channel(1);
    hosted.user("ann", &["impersonator"]);
    ann.publish(1, ("", "q"), as_bob, b"");
    assert_eq!(ann.counts(1, "q").0, 3);
}

#[test]
fn a_forbidden_exchange_is_said_before_a_bad_property() {
    let (_hosted, mut ann) = furnished();
    let bad_expiration = b"\x01\x00\x03abc";
    ann.publish(1, ("n", "k"), bad_expiration, b"");
    assert_eq!(ann.said(), refused("write", "exchange 'n'"));
}

#[test]
fn a_new_secret_ends_consumers_that_may_not_read_any_more() {
    let (hosted, mut ann) = furnished();
    hosted.permit("ann", ["^c", "^(w|amq.default$)", "^(r|n)"]);
    ann.consume(1, "r", "kept");
    ann.consume(1, "n", "lost");
    hosted.permit("ann", ["^c", "^(w|amq.default$)", "^r"]);
    let update = ConnectionUpdateSecret {
        new_secret: LongStr(b"new"),
        reason: "expired",
    };
    assert_eq!(ann.ask(0, update), Said::Other(0, (10, 71)));
    assert_eq!(ann.said(), Said::Cancel(1, "lost".into()));
    ann.publish(1, ("", "n"), TRANSIENT, b"n");
    ann.publish(1, ("", "r"), TRANSIENT, b"r");
    assert_eq!(ann.delivery().2, b"r");
    ann.is_silent();
}
