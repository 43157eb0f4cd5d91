//! From the protocol header to `open-ok`, and what can go wrong on the way.

use harrier::protocol::{Capabilities, Phase, Tuned};
use harrier::wire::method::{
    ChannelOpen, ConnectionClose, ConnectionCloseOk, ConnectionOpenOk, ConnectionStart,
    ConnectionTune, ConnectionTuneOk, ConnectionUpdateSecret, ConnectionUpdateSecretOk,
};
use harrier::wire::parse::LongStr;
use harrier::wire::{Refusal, ReplyCode};

use super::support::{
    Event, HEADER, PACES, Peer, closes_connection, frame, method, open, settings, shown, start_ok,
    tune_ok,
};

#[test]
fn headers_that_are_taken_are_answered_with_start() {
    for pace in PACES {
        for header in [b"AMQP\x00\x00\x09\x01", b"AMQP\x01\x01\x00\x09"] {
            let mut peer = Peer::new(pace, settings());
            assert_eq!(peer.connection.state(), Phase::AwaitingHeader);
            assert_eq!(peer.feed(header), []);
            let start = ConnectionStart {
                version_major: 0,
                version_minor: 9,
                server_properties: settings().server_properties,
                mechanisms: LongStr(b"PLAIN AMQPLAIN"),
                locales: LongStr(b"en_US"),
            };
            assert_eq!(peer.sent(), shown(&method(0, start)));
            assert_eq!(peer.connection.state(), Phase::Handshake);
        }
    }
}

#[test]
fn other_headers_are_answered_with_ours() {
    let others: [&[u8; 8]; 7] = [
        b"AMQP\x00\x00\x09\x02",
        b"AMQP\x00\x00\x08\x00",
        b"AMQP\x00\x00\x0A\x00",
        b"AMQP\x00\x01\x00\x00",
        b"AMQP\x03\x01\x00\x00",
        b"GET / HT",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ];
    for pace in PACES {
        for header in others {
            let mut peer = Peer::new(pace, settings());
            let mut octets = header.to_vec();
            octets.extend(b"TP/1.1\r\nHost: localhost\r\n\r\n");
            assert_eq!(peer.feed(&octets), [Event::Drop { delay: false }]);
            assert_eq!(&peer.out[..], HEADER);
            assert_eq!(peer.connection.state(), Phase::Closed);
            assert!(peer.connection.failure().is_some());
        }
    }
}

#[test]
fn a_login_reaches_the_server() {
    let user = |name: &str, password: &[u8]| Some((name.to_owned(), password.to_vec()));
    let amqplain = b"\x05LOGINS\0\0\0\x03joe\x08PASSWORDS\0\0\0\x02\xff\x00";
    let logins: [(&str, &[u8], Event); 4] = [
        (
            "PLAIN",
            b"\0joe\0pass",
            Event::Authenticate("PLAIN", user("joe", b"pass")),
        ),
        (
            "PLAIN",
            b"\0joe\0",
            Event::Authenticate("PLAIN", user("joe", b"")),
        ),
        (
            "AMQPLAIN",
            amqplain,
            Event::Authenticate("AMQPLAIN", user("joe", b"\xff\x00")),
        ),
        ("EXTERNAL", b"", Event::Authenticate("EXTERNAL", None)),
    ];
    for pace in PACES {
        for (mechanism, response, event) in &logins {
            let mut offered = settings();
            offered.mechanisms = "PLAIN AMQPLAIN EXTERNAL".to_owned();
            let mut peer = Peer::starting(pace, offered);
            let events = peer.feed(&start_ok(mechanism, response, &[]));
            assert_eq!(events, std::slice::from_ref(event));
            assert_eq!(peer.sent(), [""; 0]);
        }
        let mut offered = settings();
        offered.mechanisms = "ANONYMOUS".to_owned();
        let mut peer = Peer::starting(pace, offered);
        assert_eq!(
            peer.feed(&start_ok("ANONYMOUS", b"me", &[])),
            [Event::Anonymous]
        );
    }
}

#[test]
fn a_login_that_cannot_be_tried_is_dropped_in_silence() {
    let malformed: [(&str, &[u8]); 9] = [
        ("EXTERNAL", b""),
        ("plain", b"\0guest\0guest"),
        ("", b""),
        ("PLAIN", b""),
        ("PLAIN", b"guest"),
        ("PLAIN", b"admin\0guest\0guest"),
        ("PLAIN", b"\0guest\0guest\0"),
        ("PLAIN", b"\0gu\xffest\0guest"),
        ("AMQPLAIN", b"\x05LOGINS\0\0\0\x03joe"),
    ];
    for pace in PACES {
        for (mechanism, response) in malformed {
            let mut peer = Peer::starting(pace, settings());
            let capabilities = ["authentication_failure_close"];
            let events = peer.feed(&start_ok(mechanism, response, &capabilities));
            assert_eq!(
                events,
                [Event::Drop { delay: true }],
                "{mechanism} {response:?}"
            );
            assert_eq!(peer.sent(), [""; 0]);
            assert_eq!(peer.connection.state(), Phase::Closed);
        }
    }
}

#[test]
fn a_refused_login_is_closed_if_the_client_understands_that() {
    let text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
                For details see the broker logfile.";
    for pace in PACES {
        let mut peer = Peer::starting(pace, settings());
        peer.feed(&start_ok(
            "PLAIN",
            b"\0joe\0no",
            &["authentication_failure_close"],
        ));
        assert!(peer.connection.refuse_login("PLAIN", &mut peer.out));
        assert_eq!(peer.sent(), shown(&closes_connection(403, text, (0, 0))));
        assert_eq!(
            peer.feed(&method(0, ConnectionCloseOk {})),
            [Event::Finished]
        );

        let mut peer = Peer::starting(pace, settings());
        peer.feed(&start_ok("PLAIN", b"\0joe\0no", &[]));
        assert!(!peer.connection.refuse_login("PLAIN", &mut peer.out));
        assert_eq!(peer.sent(), [""; 0]);
        assert_eq!(peer.connection.state(), Phase::Closed);
        assert_eq!(peer.connection.failure(), Some(text));
    }
}

#[test]
fn the_client_is_known_by_what_it_said() {
    let mut peer = Peer::starting(PACES[0], settings());
    let announced = ["connection.blocked", "basic.nack", "consumer_cancel_notify"];
    peer.feed(&start_ok("PLAIN", b"\0guest\0guest", &announced));
    let client = peer.connection.client();
    assert_eq!(client.connection_name(), Some("a test"));
    assert_eq!(client.properties.len(), 2);
    let capabilities = Capabilities {
        connection_blocked: true,
        basic_nack: true,
        consumer_cancel_notify: true,
        ..Capabilities::default()
    };
    assert_eq!(client.capabilities, capabilities);
}

#[test]
fn the_whole_handshake() {
    for pace in PACES {
        let mut peer = Peer::starting(pace, settings());
        peer.feed(&start_ok("PLAIN", b"\0guest\0guest", &[]));
        peer.connection.authenticated(&mut peer.out);
        let tune = ConnectionTune {
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: 60,
        };
        assert_eq!(peer.sent(), shown(&method(0, tune)));
        // Some clients don't wait between these, and some are already alive.
        let mut octets = tune_ok(2047, 131_072, 60);
        octets.extend(frame(8, 0, b""));
        octets.extend(open("/one"));
        assert_eq!(peer.feed(&octets), [Event::Open("/one".to_owned())]);
        assert_eq!(peer.sent(), [""; 0]);
        peer.connection.opened(&mut peer.out);
        assert_eq!(
            peer.sent(),
            shown(&method(0, ConnectionOpenOk { known_hosts: "" }))
        );
        assert_eq!(peer.connection.state(), Phase::Running);
    }
}

#[test]
fn tune_ok_settles_the_limits() {
    let tuned = |channel_max, frame_max, heartbeat| Tuned {
        channel_max,
        frame_max,
        heartbeat,
    };
    let rows = [
        ((2047, 131_072, 60), tuned(2047, 131_072, 60)),
        ((1, 4096, 0), tuned(1, 4096, 0)),
        ((0, 0, 0), tuned(2047, 131_072, 0)),
        ((100, 8192, 600), tuned(100, 8192, 600)),
    ];
    for pace in PACES {
        for (asked, expected) in rows {
            let mut peer = Peer::tuning(pace, settings(), &[]);
            assert_eq!(peer.feed(&tune_ok(asked.0, asked.1, asked.2)), []);
            assert_eq!(peer.connection.tuned(), expected);
        }
        let mut unlimited = settings();
        unlimited.channel_max = 0;
        unlimited.frame_max = 0;
        let mut peer = Peer::tuning(pace, unlimited, &[]);
        assert_eq!(peer.feed(&tune_ok(65_535, 10_000_000, 1)), []);
        assert_eq!(peer.connection.tuned(), tuned(65_535, 10_000_000, 1));
    }
}

#[test]
fn tune_ok_out_of_bounds_is_refused() {
    let rows = [
        (
            (3000, 131_072),
            "negotiated channel_max = 3000 is higher than the maximum allowed value (2047)",
        ),
        (
            (2047, 4095),
            "negotiated frame_max = 4095 is lower than the minimum allowed value (4096)",
        ),
        (
            (2047, 131_073),
            "negotiated frame_max = 131073 is higher than the maximum allowed value (131072)",
        ),
    ];
    for pace in PACES {
        for ((channel_max, frame_max), text) in rows {
            let mut peer = Peer::tuning(pace, settings(), &[]);
            let text = format!("NOT_ALLOWED - {text}");
            peer.fails_with(&tune_ok(channel_max, frame_max, 60), 530, &text, (10, 31));
            assert_eq!(
                peer.feed(&method(0, ConnectionCloseOk {})),
                [Event::Finished]
            );
        }
    }
}

#[test]
fn a_virtual_host_is_refused_by_the_server() {
    for pace in PACES {
        let mut peer = Peer::tuning(pace, settings(), &[]);
        peer.feed(&[tune_ok(0, 0, 0), open("none")].concat());
        let refusal = Refusal::new(ReplyCode::NotAllowed, "vhost none not found");
        peer.connection.close(&refusal, (10, 40), &mut peer.out);
        let close = closes_connection(530, "NOT_ALLOWED - vhost none not found", (10, 40));
        assert_eq!(peer.sent(), shown(&close));
        peer.connection.opened(&mut peer.out);
        assert_eq!(
            peer.sent(),
            [""; 0],
            "what was refused can't be opened any more"
        );
    }
}

#[test]
fn a_method_out_of_order_ends_the_handshake_in_silence() {
    let dropped = [Event::Drop { delay: true }];
    for pace in PACES {
        let mut peer = Peer::starting(pace, settings());
        assert_eq!(peer.feed(&open("/")), dropped);
        assert_eq!(peer.sent(), [""; 0]);

        let mut peer = Peer::tuning(pace, settings(), &[]);
        assert_eq!(peer.feed(&start_ok("PLAIN", b"", &[])), dropped);
        assert_eq!(peer.sent(), [""; 0]);

        let mut peer = Peer::tuning(pace, settings(), &[]);
        peer.feed(&tune_ok(0, 0, 0));
        assert_eq!(peer.feed(&tune_ok(0, 0, 0)), dropped);
        assert_eq!(peer.sent(), [""; 0]);
    }
}

#[test]
fn only_channel_zero_speaks_during_the_handshake() {
    let open_channel = method(1, ChannelOpen { out_of_band: "" });
    for pace in PACES {
        let mut peer = Peer::starting(pace, settings());
        let text = "UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>>";
        peer.fails_with(&open_channel, 505, text, (0, 0));
    }
}

#[test]
fn a_frame_that_cannot_be_read_is_refused_during_the_handshake_too() {
    for pace in PACES {
        let mut peer = Peer::starting(pace, settings());
        let text = "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,8193,8184}";
        let large = frame(1, 0, &[0; 8193]);
        peer.fails_with(&large, 501, text, (0, 0));
        assert_eq!(
            peer.feed(&method(0, ConnectionCloseOk {})),
            [Event::Finished],
            "the frame was skipped, what follows is understood"
        );
    }
}

#[test]
fn a_client_may_turn_round_during_the_handshake() {
    for pace in PACES {
        let mut peer = Peer::starting(pace, settings());
        let close = method(0, ConnectionClose::default());
        assert_eq!(peer.feed(&close), [Event::CloseConnection]);
        peer.connection.close_ok(&mut peer.out);
        assert_eq!(peer.sent(), shown(&method(0, ConnectionCloseOk {})));
        assert_eq!(peer.connection.state(), Phase::Closing);
    }
}

#[test]
fn callbacks_out_of_order_do_nothing() {
    let mut peer = Peer::starting(PACES[0], settings());
    peer.connection.authenticated(&mut peer.out);
    peer.connection.opened(&mut peer.out);
    peer.connection.secret_updated(&mut peer.out);
    peer.connection.close_ok(&mut peer.out);
    peer.connection.blocked("low on memory", &mut peer.out);
    assert_eq!(peer.sent(), [""; 0]);
    assert_eq!(
        peer.feed(&method(0, ConnectionTuneOk::default())),
        [Event::Drop { delay: true }]
    );
}

#[test]
fn a_secret_is_updated() {
    let update = ConnectionUpdateSecret {
        new_secret: LongStr(b"new\0secret"),
        reason: "it was due",
    };
    for pace in PACES {
        let mut peer = Peer::running(pace);
        let events = peer.feed(&method(0, update.clone()));
        let expected = Event::UpdateSecret(b"new\0secret".to_vec(), "it was due".to_owned());
        assert_eq!(events, [expected]);
        peer.connection.secret_updated(&mut peer.out);
        assert_eq!(peer.sent(), shown(&method(0, ConnectionUpdateSecretOk {})));
    }
}
