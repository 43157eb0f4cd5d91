//! Ends of channels and connections, from either side and from both at once.

use harrier::protocol::Phase;
use harrier::wire::method::{
    BasicAck, BasicPublish, ChannelClose, ChannelCloseOk, ChannelOpen, ConnectionBlocked,
    ConnectionClose, ConnectionCloseOk, ConnectionUnblocked, QueueDeclare,
};
use harrier::wire::{Refusal, ReplyCode};

use super::support::{
    Event, PACES, Peer, body, closes_channel, closes_connection, frame, header, method, settings,
    shown,
};

fn not_found() -> Refusal {
    Refusal::new(ReplyCode::NotFound, "no queue 'q' in vhost '/'")
}

/// A peer whose channel 1 was just closed by the server.
fn with_closing_channel(pace: super::support::Pace) -> Peer {
    let mut peer = Peer::with_channel(pace);
    peer.connection
        .close_channel(1, &not_found(), (50, 10), &mut peer.out);
    let text = "NOT_FOUND - no queue 'q' in vhost '/'";
    assert_eq!(peer.sent(), shown(&closes_channel(1, 404, text, (50, 10))));
    peer
}

#[test]
fn a_channel_closed_by_the_server_discards_until_close_ok() {
    for pace in PACES {
        let mut peer = with_closing_channel(pace);
        let discarded = [
            method(1, QueueDeclare::default()),
            method(1, BasicAck::default()),
            method(1, BasicPublish::default()),
            header(1, 3),
            body(1, b"abc"),
            body(1, b"out of turn"),
            method(1, ChannelOpen::default()),
        ];
        assert_eq!(peer.feed(&discarded.concat()), []);
        assert_eq!(peer.sent(), [""; 0]);
        assert_eq!(peer.feed(&method(1, ChannelCloseOk {})), []);
        peer.open_channel(1);
        let ack = peer.feed(&method(1, BasicAck::default()));
        assert!(matches!(ack[..], [Event::Settle(1, _)]));
    }
}

#[test]
fn other_channels_go_on_when_one_is_closed() {
    for pace in PACES {
        let mut peer = with_closing_channel(pace);
        peer.open_channel(2);
        let declare = QueueDeclare::default();
        let events = peer.feed(&method(2, declare.clone()));
        assert_eq!(events, [Event::method(2, declare)]);
    }
}

#[test]
fn a_channel_is_closed_only_once() {
    let mut peer = with_closing_channel(PACES[0]);
    peer.connection
        .close_channel(1, &not_found(), (50, 10), &mut peer.out);
    peer.connection
        .close_channel(9, &not_found(), (50, 10), &mut peer.out);
    peer.connection.channel_close_ok(1, &mut peer.out);
    assert_eq!(peer.sent(), [""; 0]);
}

#[test]
fn closes_of_a_channel_may_cross() {
    for pace in PACES {
        // A client that answers our close, after its own.
        let mut peer = with_closing_channel(pace);
        assert_eq!(peer.feed(&method(1, ChannelClose::default())), []);
        assert_eq!(peer.sent(), shown(&method(1, ChannelCloseOk {})));
        assert_eq!(peer.feed(&method(1, ChannelCloseOk {})), []);
        peer.open_channel(1);

        // One that takes our close-ok for the end.
        let mut peer = with_closing_channel(pace);
        peer.feed(&method(1, ChannelClose::default()));
        peer.out.clear();
        assert_eq!(peer.feed(&method(1, QueueDeclare::default())), []);
        peer.open_channel(1);
        let ack = peer.feed(&method(1, BasicAck::default()));
        assert!(matches!(ack[..], [Event::Settle(1, _)]));
    }
}

#[test]
fn the_client_closes_the_connection() {
    for pace in PACES {
        let mut peer = Peer::with_channel(pace);
        let octets = [
            method(1, BasicAck::default()),
            method(0, ConnectionClose::default()),
            method(1, BasicAck::default()),
            b"whatever else".to_vec(),
        ];
        let events = peer.feed(&octets.concat());
        assert!(matches!(
            events[..],
            [Event::Settle(..), Event::CloseConnection]
        ));
        assert_eq!(peer.connection.state(), Phase::Closing);
        assert_eq!(peer.sent(), [""; 0], "close-ok waits for the server");
        peer.connection.close(&not_found(), (0, 0), &mut peer.out);
        peer.connection.close_ok(&mut peer.out);
        assert_eq!(peer.sent(), shown(&method(0, ConnectionCloseOk {})));
        assert_eq!(peer.feed(&method(1, BasicAck::default())), []);
    }
}

#[test]
fn a_client_that_closes_twice_is_answered_twice() {
    for pace in PACES {
        let mut peer = Peer::running(pace);
        let close = method(0, ConnectionClose::default());
        assert_eq!(peer.feed(&close), [Event::CloseConnection]);
        peer.connection.close_ok(&mut peer.out);
        assert_eq!(peer.sent(), shown(&method(0, ConnectionCloseOk {})));
        assert_eq!(peer.feed(&close), []);
        assert_eq!(peer.sent(), shown(&method(0, ConnectionCloseOk {})));
    }
}

#[test]
fn a_connection_closed_by_the_server_discards_until_close_ok() {
    let refusal = Refusal::new(ReplyCode::ConnectionForced, "Closed via management plugin");
    let text = "CONNECTION_FORCED - Closed via management plugin";
    for pace in PACES {
        let mut peer = Peer::with_channel(pace);
        peer.connection.close(&refusal, (0, 0), &mut peer.out);
        assert_eq!(peer.sent(), shown(&closes_connection(320, text, (0, 0))));
        peer.connection.close(&refusal, (0, 0), &mut peer.out);
        peer.connection
            .close_channel(1, &not_found(), (0, 0), &mut peer.out);
        let discarded = [
            method(1, BasicAck::default()),
            method(1, ChannelClose::default()),
            method(5, QueueDeclare::default()),
            frame(7, 1, b"junk"),
            frame(3, 1, &[0; 200_000]),
            frame(8, 0, b""),
            frame(1, 0, b""),
        ];
        assert_eq!(peer.feed(&discarded.concat()), []);
        assert_eq!(peer.sent(), [""; 0]);
        let close_ok = method(0, ConnectionCloseOk {});
        assert_eq!(peer.feed(&close_ok), [Event::Finished]);
        assert_eq!(peer.connection.state(), Phase::Closed);
    }
}

#[test]
fn closes_of_the_connection_may_cross() {
    for pace in PACES {
        let mut peer = Peer::running(pace);
        peer.connection.shutdown(&mut peer.out);
        let text = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";
        assert_eq!(peer.sent(), shown(&closes_connection(320, text, (0, 0))));
        assert_eq!(peer.feed(&method(0, ConnectionClose::default())), []);
        assert_eq!(peer.sent(), shown(&method(0, ConnectionCloseOk {})));
        let close_ok = method(0, ConnectionCloseOk {});
        assert_eq!(peer.feed(&close_ok), [Event::Finished]);
    }
}

#[test]
fn a_stop_of_the_server_reaches_every_phase() {
    let mut peer = Peer::new(PACES[0], settings());
    peer.connection.shutdown(&mut peer.out);
    assert_eq!(peer.sent(), [""; 0], "who hasn't spoken isn't spoken to");
    assert_eq!(peer.connection.state(), Phase::Closed);

    let mut peer = Peer::starting(PACES[0], settings());
    peer.connection.shutdown(&mut peer.out);
    assert_eq!(peer.sent().len(), 1);
    assert_eq!(peer.connection.state(), Phase::Closing);
}

#[test]
fn a_reply_text_is_cut_to_what_fits() {
    let mut peer = Peer::with_channel(PACES[0]);
    let refusal = Refusal::new(ReplyCode::NotFound, "é".repeat(300));
    peer.connection
        .close_channel(1, &refusal, (50, 10), &mut peer.out);
    let text = format!("NOT_FOUND - {}", "é".repeat(121));
    assert_eq!(peer.sent(), shown(&closes_channel(1, 404, &text, (50, 10))));
}

#[test]
fn a_failure_without_explanation_has_just_its_name() {
    let mut peer = Peer::running(PACES[0]);
    let refusal = Refusal::new(ReplyCode::InternalError, "");
    peer.connection.close(&refusal, (50, 10), &mut peer.out);
    assert_eq!(
        peer.sent(),
        shown(&closes_connection(541, "INTERNAL_ERROR", (50, 10)))
    );
}

#[test]
fn blocking_is_announced_to_those_who_understand() {
    let mut peer = Peer::running_with(PACES[0], settings(), &["connection.blocked"]);
    peer.connection.blocked("low on memory", &mut peer.out);
    let blocked = ConnectionBlocked {
        reason: "low on memory",
    };
    assert_eq!(peer.sent(), shown(&method(0, blocked)));
    peer.connection.unblocked(&mut peer.out);
    assert_eq!(peer.sent(), shown(&method(0, ConnectionUnblocked {})));

    let mut peer = Peer::running(PACES[0]);
    peer.connection.blocked("low on memory", &mut peer.out);
    peer.connection.unblocked(&mut peer.out);
    assert_eq!(peer.sent(), [""; 0]);
}
