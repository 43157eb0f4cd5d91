//! Frames that break a rule: each with the reply RabbitMQ gives it.

use harrier::wire::method::{
    BasicDeliver, BasicPublish, ChannelClose, ChannelCloseOk, ChannelOpen, ConnectionCloseOk,
    ConnectionOpenOk, QueueDeclare, QueueDeclareOk,
};

use super::support::{
    Event, PACES, Peer, body, frame, header, header_of, method, open, raw_method, settings,
};

/// What breaks a rule, and the close it is answered with.
type Row = (&'static str, Vec<u8>, u16, &'static str, (u16, u16));

fn publish() -> Vec<u8> {
    method(1, BasicPublish::default())
}

/// Runs each row on a connection with channel 1 open.
fn all_fail(rows: &[Row]) {
    for pace in PACES {
        for (name, octets, code, text, ids) in rows {
            println!("{pace:?} {name}");
            let mut peer = Peer::with_channel(pace);
            peer.fails_with(octets, *code, text, *ids);
            // Whatever was wrong, the end of the conversation is understood.
            let close_ok = method(0, ConnectionCloseOk {});
            assert_eq!(peer.feed(&close_ok), [Event::Finished]);
        }
    }
}

#[test]
fn methods_in_the_wrong_place() {
    let not_running = "CHANNEL_ERROR - unexpected method in connection state running";
    let expected_open = "CHANNEL_ERROR - expected 'channel.open'";
    all_fail(&[
        (
            "method on a channel never opened",
            method(2, QueueDeclare::default()),
            504,
            expected_open,
            (50, 10),
        ),
        (
            "close on a channel never opened",
            method(2, ChannelClose::default()),
            504,
            expected_open,
            (20, 40),
        ),
        (
            "close-ok on a channel never opened",
            method(2, ChannelCloseOk {}),
            504,
            expected_open,
            (20, 41),
        ),
        (
            "publish on a channel never opened",
            method(9, BasicPublish::default()),
            504,
            expected_open,
            (60, 40),
        ),
        (
            "a channel opened twice",
            method(1, ChannelOpen::default()),
            504,
            "CHANNEL_ERROR - second 'channel.open' seen",
            (20, 10),
        ),
        (
            "connection.open again",
            open("/"),
            504,
            not_running,
            (10, 40),
        ),
        (
            "connection.open-ok from a client",
            method(0, ConnectionOpenOk::default()),
            504,
            not_running,
            (10, 41),
        ),
        (
            "close-ok that nobody waits for",
            method(0, ConnectionCloseOk {}),
            504,
            not_running,
            (10, 51),
        ),
        (
            "a channel's method on channel 0",
            method(0, QueueDeclare::default()),
            504,
            not_running,
            (50, 10),
        ),
    ]);
}

#[test]
fn methods_that_clients_may_not_send() {
    let text = "COMMAND_INVALID - unimplemented method";
    all_fail(&[
        (
            "deliver",
            method(1, BasicDeliver::default()),
            503,
            text,
            (60, 60),
        ),
        (
            "declare-ok",
            method(1, QueueDeclareOk::default()),
            503,
            text,
            (50, 11),
        ),
        (
            "channel.close-ok",
            method(1, ChannelCloseOk {}),
            503,
            text,
            (20, 41),
        ),
        (
            "connection.open on a channel",
            open_on_channel(),
            503,
            text,
            (10, 40),
        ),
        (
            "unknown method",
            raw_method(1, 50, 99, b""),
            503,
            text,
            (50, 99),
        ),
        (
            "unknown class",
            raw_method(1, 77, 10, b""),
            503,
            text,
            (77, 10),
        ),
        (
            "unknown method on channel 0",
            raw_method(0, 10, 99, b""),
            503,
            text,
            (10, 99),
        ),
    ]);
}

fn open_on_channel() -> Vec<u8> {
    let mut octets = open("/");
    octets[2] = 1;
    octets
}

const NO_METHOD: &str = "UNEXPECTED_FRAME - expected method frame, got non method frame instead";
const NO_HEADER: &str = "UNEXPECTED_FRAME - expected content header for class 60, \
                         got non content header frame instead";
const NO_BODY: &str =
    "UNEXPECTED_FRAME - expected content body, got non content body frame instead";
const OTHER_HEADER: &str = "UNEXPECTED_FRAME - expected content header for class 60, \
                            got one for class 50 instead";

#[test]
fn contents_without_a_method() {
    all_fail(&[
        ("header", header(1, 1), 505, NO_METHOD, (0, 0)),
        ("body", body(1, b"x"), 505, NO_METHOD, (0, 0)),
        ("header, no channel", header(3, 1), 505, NO_METHOD, (0, 0)),
        ("body, no channel", body(3, b"x"), 505, NO_METHOD, (0, 0)),
    ]);
}

#[test]
fn contents_without_their_header() {
    let weighty = header_of(1, 60, 1, 0, &[0, 0]);
    let other = header_of(1, 50, 0, 0, &[0, 0]);
    for (name, second, text) in [
        ("body instead of header", body(1, b"x"), NO_HEADER),
        ("method instead of header", publish(), NO_HEADER),
        ("header with a weight", weighty, NO_HEADER),
        ("header of another class", other, OTHER_HEADER),
    ] {
        let octets = [publish(), second].concat();
        all_fail(&[(name, octets, 505, text, (60, 40))]);
    }
}

#[test]
fn contents_without_their_body() {
    let close = method(1, ChannelClose::default());
    for (name, third) in [
        ("method instead of body", publish()),
        ("close instead of body", close),
        ("header instead of body", header(1, 10)),
    ] {
        let octets = [publish(), header(1, 10), third].concat();
        all_fail(&[(name, octets, 505, NO_BODY, (60, 40))]);
    }
}

#[test]
fn contents_of_the_wrong_size() {
    let overrun = "FRAME_ERROR - content body frame exceeds remaining content size";
    let announced = |size| [publish(), header(1, size)].concat();
    all_fail(&[
        (
            "too much body",
            [announced(3), body(1, b"four")].concat(),
            501,
            overrun,
            (60, 40),
        ),
        (
            "too much body at last",
            [announced(3), body(1, b"12"), body(1, b"34")].concat(),
            501,
            overrun,
            (60, 40),
        ),
        (
            "a byte over the limit",
            announced(536_870_913),
            501,
            "FRAME_ERROR - content body size 536870913 exceeds maximum allowed size 536870912",
            (60, 40),
        ),
        (
            "half of everything",
            announced(1 << 63),
            501,
            "FRAME_ERROR - content body size 9223372036854775808 exceeds maximum allowed size 536870912",
            (60, 40),
        ),
    ]);
}

#[test]
fn frames_that_are_none() {
    let mut bad_end = method(1, ChannelOpen::default());
    *bad_end.last_mut().unwrap() = 0;
    let mut printable = frame(3, 1, b"say \"hi\"\\\n");
    *printable.last_mut().unwrap() = 206 - 1;
    all_fail(&[
        (
            "wrong end octet",
            bad_end,
            501,
            "FRAME_ERROR - type 1, all octets = <<0,20,0,10,0>>: {invalid_frame_end_marker,0}",
            (0, 0),
        ),
        (
            "wrong end of text",
            printable,
            501,
            "FRAME_ERROR - type 3, all octets = <<\"say \\\"hi\\\"\\\\\\n\">>: {invalid_frame_end_marker,205}",
            (0, 0),
        ),
        (
            "unknown type",
            frame(7, 1, b"abc"),
            501,
            "FRAME_ERROR - type 7, all octets = <<\"abc\">>: unknown_frame",
            (0, 0),
        ),
        (
            "unknown type, long",
            frame(7, 0, b"abcdefghijklmnopq"),
            501,
            "FRAME_ERROR - type 7, first 16 octets = <<\"abcdefghijklmnop\">>: unknown_frame",
            (0, 0),
        ),
        (
            "unknown type, exactly long",
            frame(4, 0, b"abcdefghijklmnop"),
            501,
            "FRAME_ERROR - type 4, all octets = <<\"abcdefghijklmnop\">>: unknown_frame",
            (0, 0),
        ),
        (
            "method without ids",
            frame(1, 1, &[0, 20, 0]),
            501,
            "FRAME_ERROR - type 1, all octets = <<0,20,0>>: unknown_frame",
            (0, 0),
        ),
        (
            "header cut short",
            frame(2, 1, &[0, 60, 0, 0]),
            501,
            "FRAME_ERROR - type 2, all octets = <<0,60,0,0>>: unknown_frame",
            (0, 0),
        ),
        (
            "heartbeat with payload",
            frame(8, 0, &[1]),
            501,
            "FRAME_ERROR - type 8, all octets = <<1>>: unknown_frame",
            (0, 0),
        ),
    ]);
}

#[test]
fn frames_on_the_wrong_channel() {
    all_fail(&[
        (
            "heartbeat on a channel",
            frame(8, 1, b""),
            505,
            "UNEXPECTED_FRAME - type 8, all octets = <<>>",
            (0, 0),
        ),
        (
            "body on channel 0",
            body(0, b"hello"),
            505,
            "UNEXPECTED_FRAME - type 3, all octets = <<\"hello\">>",
            (0, 0),
        ),
        (
            "header on channel 0",
            header(0, 1),
            505,
            "UNEXPECTED_FRAME - type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0,1,0,0>>",
            (0, 0),
        ),
    ]);
}

#[test]
fn frames_that_are_too_large() {
    let text = "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,200000,131064}";
    all_fail(&[("a body frame", body(1, &[b'x'; 200_000]), 501, text, (0, 0))]);
}

#[test]
fn a_frame_may_exceed_the_limit_by_its_overhead() {
    for pace in PACES {
        let mut tight = settings();
        tight.frame_max = 8192;
        let mut peer = Peer::running_with(pace, tight, &[]);
        peer.open_channel(1);
        let octets = [publish(), header(1, 8192), body(1, &[1; 8192])].concat();
        assert!(matches!(&peer.feed(&octets)[..], [Event::Publish(_)]));
    }
}

#[test]
fn arguments_that_cannot_be_read() {
    let not_text = raw_method(1, 50, 10, b"\0\0\x02\xff\xfe\0\0\0\0\0");
    let properties = [publish(), header_of(1, 60, 0, 0, &[0x80, 0, 9])].concat();
    // A header table whose only entry has a type that doesn't exist.
    let table = [
        publish(),
        header_of(1, 60, 0, 0, b"\x20\0\0\0\0\x04\x01aZ!"),
    ]
    .concat();
    all_fail(&[
        (
            "truncated",
            raw_method(1, 50, 10, &[0]),
            501,
            "FRAME_ERROR - cannot decode <<0>>",
            (50, 10),
        ),
        (
            "nothing at all",
            raw_method(1, 60, 80, &[]),
            501,
            "FRAME_ERROR - cannot decode <<>>",
            (60, 80),
        ),
        (
            "left over",
            raw_method(1, 85, 10, &[1, 65]),
            501,
            "FRAME_ERROR - cannot decode <<1,65>>",
            (85, 10),
        ),
        (
            "ack left over",
            raw_method(1, 60, 80, &[0, 0, 0, 0, 0, 0, 0, 1, 0, 7]),
            501,
            "FRAME_ERROR - cannot decode <<0,0,0,0,0,0,0,1,0,7>>",
            (60, 80),
        ),
        (
            "truncated on channel 0",
            raw_method(0, 10, 50, &[1]),
            501,
            "FRAME_ERROR - cannot decode <<1>>",
            (10, 50),
        ),
        (
            "not UTF-8",
            not_text,
            501,
            "FRAME_ERROR - Malformed UTF-8 in shortstr",
            (0, 0),
        ),
        (
            "properties cut short",
            properties,
            501,
            "FRAME_ERROR - cannot decode <<128,0,9>>",
            (60, 40),
        ),
        (
            "a broken header table",
            table,
            501,
            "FRAME_ERROR - cannot decode <<32,0,0,0,0,4,1,97,90,33>>",
            (60, 40),
        ),
    ]);
}

#[test]
fn heartbeats_may_come_between_any_two_frames() {
    for pace in PACES {
        let mut peer = Peer::with_channel(pace);
        let beat = frame(8, 0, b"");
        let octets = [
            publish(),
            beat.clone(),
            header(1, 2),
            beat.clone(),
            body(1, b"a"),
            beat.clone(),
            body(1, b"b"),
            beat,
        ];
        let events = peer.feed(&octets.concat());
        assert!(matches!(&events[..], [Event::Publish(message)] if message.body == b"ab"));
    }
}
