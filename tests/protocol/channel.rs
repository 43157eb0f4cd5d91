//! What a channel answers by itself, and what it lets through.

use harrier::protocol::Settle;
use harrier::wire::method::{
    AccessRequest, AccessRequestOk, BasicAck, BasicConsume, BasicNack, BasicPublish, BasicQos,
    BasicRecover, BasicRecoverAsync, BasicReject, ChannelClose, ChannelCloseOk, ChannelFlow,
    ChannelFlowOk, ChannelOpen, ChannelOpenOk, ConfirmSelect, ConfirmSelectOk, TxCommit,
    TxRollback, TxSelect, TxSelectOk,
};
use harrier::wire::parse::LongStr;

use super::support::{Event, PACES, Peer, header, method, settings, shown};

#[test]
fn a_channel_opens() {
    for pace in PACES {
        let mut peer = Peer::running(pace);
        for channel in [1, 7, 65_535, 2] {
            let events = peer.feed(&method(channel, ChannelOpen::default()));
            assert_eq!(events, [Event::OpenChannel(channel)]);
            let ok = ChannelOpenOk {
                channel_id: LongStr(b""),
            };
            assert_eq!(peer.sent(), shown(&method(channel, ok)));
        }
        for channel in [65_535, 7, 2, 1] {
            let events = peer.feed(&method(channel, BasicAck::default()));
            assert!(matches!(events[..], [Event::Settle(id, _)] if id == channel));
        }
    }
}

#[test]
fn the_number_of_channels_is_limited_not_their_ids() {
    for pace in PACES {
        let mut few = settings();
        few.channel_max = 2;
        let mut peer = Peer::running_with(pace, few, &[]);
        peer.open_channel(1000);
        peer.open_channel(3);
        peer.feed(&method(3, ChannelClose::default()));
        peer.connection.channel_close_ok(3, &mut peer.out);
        peer.open_channel(4);
        let text = "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)";
        peer.fails_with(&method(3, ChannelOpen::default()), 530, text, (0, 0));
    }
}

#[test]
fn methods_answered_on_the_spot() {
    for pace in PACES {
        let mut peer = Peer::with_channel(pace);
        let exchanges = [
            (
                method(1, ChannelFlow { active: true }),
                method(1, ChannelFlowOk { active: true }),
            ),
            (
                method(1, AccessRequest::default()),
                method(1, AccessRequestOk { ticket: 1 }),
            ),
            (
                method(1, ConfirmSelect { nowait: false }),
                method(1, ConfirmSelectOk {}),
            ),
            (method(1, ConfirmSelect { nowait: true }), vec![]),
        ];
        for (asked, answer) in exchanges {
            assert_eq!(peer.feed(&asked), []);
            assert_eq!(peer.sent(), shown(&answer));
        }
    }
}

#[test]
fn what_is_not_implemented() {
    let qos = BasicQos {
        prefetch_size: 10,
        ..BasicQos::default()
    };
    let publish = BasicPublish {
        immediate: true,
        ..BasicPublish::default()
    };
    let rows = [
        (
            method(1, ChannelFlow { active: false }),
            "active=false",
            (20, 20),
        ),
        (
            method(1, BasicRecover { requeue: false }),
            "requeue=false",
            (60, 110),
        ),
        (
            method(1, BasicRecoverAsync { requeue: false }),
            "requeue=false",
            (60, 100),
        ),
        (method(1, publish), "immediate=true", (60, 40)),
        (method(1, qos), "prefetch_size!=0 (10)", (60, 10)),
    ];
    for pace in PACES {
        for (octets, text, ids) in &rows {
            let mut peer = Peer::with_channel(pace);
            peer.fails_with(octets, 540, &format!("NOT_IMPLEMENTED - {text}"), *ids);
        }
    }
}

#[test]
fn what_goes_on_to_the_broker() {
    let consume = BasicConsume {
        queue: "q",
        no_local: true,
        ..BasicConsume::default()
    };
    let qos = BasicQos {
        prefetch_count: 7,
        global: true,
        ..BasicQos::default()
    };
    for pace in PACES {
        let mut peer = Peer::with_channel(pace);
        let events = [
            (
                method(1, consume.clone()),
                Event::method(1, consume.clone()),
            ),
            (method(1, qos.clone()), Event::method(1, qos.clone())),
            (
                method(1, BasicRecover { requeue: true }),
                Event::method(1, BasicRecover { requeue: true }),
            ),
            (
                method(1, BasicRecoverAsync { requeue: true }),
                Event::method(1, BasicRecoverAsync { requeue: true }),
            ),
        ];
        for (octets, event) in events {
            assert_eq!(peer.feed(&octets), [event]);
        }
        assert_eq!(peer.sent(), [""; 0]);
    }
}

#[test]
fn deliveries_are_settled() {
    let tag = u64::MAX - 1;
    let mut rows = Vec::new();
    for first in [false, true] {
        let ack = BasicAck {
            delivery_tag: tag,
            multiple: first,
        };
        rows.push((
            method(1, ack),
            Settle::Ack {
                tag,
                multiple: first,
            },
        ));
        let reject = BasicReject {
            delivery_tag: tag,
            requeue: first,
        };
        rows.push((
            method(1, reject),
            Settle::Reject {
                tag,
                requeue: first,
            },
        ));
        for requeue in [false, true] {
            let nack = BasicNack {
                delivery_tag: tag,
                multiple: first,
                requeue,
            };
            rows.push((
                method(1, nack),
                Settle::Nack {
                    tag,
                    multiple: first,
                    requeue,
                },
            ));
        }
    }
    for pace in PACES {
        let mut peer = Peer::with_channel(pace);
        for (octets, settle) in &rows {
            assert_eq!(peer.feed(octets), [Event::Settle(1, *settle)]);
        }
    }
}

#[test]
fn confirm_and_tx_exclude_each_other() {
    for pace in PACES {
        let mut peer = Peer::with_channel(pace);
        peer.feed(&method(1, ConfirmSelect { nowait: true }));
        let text = "PRECONDITION_FAILED - cannot switch from confirm to tx mode";
        peer.channel_fails_with(&method(1, TxSelect {}), 406, text, (90, 10));

        let mut peer = Peer::with_channel(pace);
        assert_eq!(peer.feed(&method(1, TxSelect {})), []);
        assert_eq!(peer.sent(), shown(&method(1, TxSelectOk {})));
        peer.feed(&method(1, TxSelect {}));
        assert_eq!(
            peer.sent(),
            shown(&method(1, TxSelectOk {})),
            "twice is no harm"
        );
        let text = "PRECONDITION_FAILED - cannot switch from tx to confirm mode";
        let select = ConfirmSelect { nowait: false };
        peer.channel_fails_with(&method(1, select), 406, text, (85, 10));
    }
}

#[test]
fn transactions_have_to_be_selected() {
    for pace in PACES {
        for (octets, ids) in [
            (method(1, TxCommit {}), (90, 20)),
            (method(1, TxRollback {}), (90, 30)),
        ] {
            let mut peer = Peer::with_channel(pace);
            assert!(!peer.connection.is_tx(1));
            let text = "PRECONDITION_FAILED - channel is not transactional";
            peer.channel_fails_with(&octets, 406, text, ids);
        }
        let mut peer = Peer::with_channel(pace);
        peer.feed(&method(1, TxSelect {}));
        assert!(peer.connection.is_tx(1));
        assert!(!peer.connection.is_tx(2));
        let commit = peer.feed(&method(1, TxCommit {}));
        assert_eq!(commit, [Event::method(1, TxCommit {})]);
        let rollback = peer.feed(&method(1, TxRollback {}));
        assert_eq!(rollback, [Event::method(1, TxRollback {})]);
        let octets = [method(1, BasicPublish::default()), header(1, 0)].concat();
        let events = peer.feed(&octets);
        assert!(matches!(&events[..], [Event::Publish(message)] if message.transactional));
    }
}

#[test]
fn a_channel_number_is_used_again() {
    for pace in PACES {
        let mut peer = Peer::with_channel(pace);
        peer.feed(&method(1, ConfirmSelect { nowait: true }));
        peer.connection.set_last_queue(1, "q");
        let close = method(1, ChannelClose::default());
        assert_eq!(peer.feed(&close), [Event::CloseChannel(1)]);
        assert_eq!(peer.sent(), [""; 0], "close-ok waits for the server");
        peer.connection.channel_close_ok(1, &mut peer.out);
        assert_eq!(peer.sent(), shown(&method(1, ChannelCloseOk {})));
        peer.open_channel(1);
        let publish = [method(1, BasicPublish::default()), header(1, 0)].concat();
        let events = peer.feed(&publish);
        assert!(matches!(&events[..], [Event::Publish(message)] if message.seq.is_none()));
        let text = "NOT_FOUND - no previously declared queue";
        peer.channel_fails_with(&method(1, BasicConsume::default()), 404, text, (60, 20));
    }
}
