//! Whatever else comes in on the port: answered or closed as it should be, told
//! in the log, paid for with no memory, noticed by nobody else.

use harrier::wire::encode::PROTOCOL_HEADER;
use harrier::wire::method::*;
use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::broker::Broker;
use crate::client::*;

/// What memory may differ by without anything having grown, bytes.
const NOISE: u64 = 24 * 1024 * 1024;

/// A broker, somebody who just works with it, and what it used before.
struct Scene {
    broker: Broker,
    bystander: Client,
    before: u64,
}

impl Scene {
    fn new(flags: &[&str]) -> Self {
        let broker = Broker::with(flags);
        let mut bystander = broker.client();
        bystander.declare("q");
        bystander.consume(1, "q", "c");
        let before = broker.resident();
        Self {
            broker,
            bystander,
            before,
        }
    }

    /// The bystander publishes and is delivered to as if it were alone.
    #[track_caller]
    fn goes_on(&mut self) {
        self.bystander.publish(1, ("", "q"), TRANSIENT, b"mine");
        let (tag, _, body) = self.bystander.delivery();
        assert_eq!(body, b"mine");
        self.bystander.send(1, ack(tag, false));
        self.bystander.is_silent();
    }

    /// Nothing has grown.
    #[track_caller]
    fn is_flat(&self) {
        let grown = self.broker.resident().saturating_sub(self.before);
        assert!(grown < NOISE, "{grown} bytes more than before");
    }

    /// Says something else than AMQP 0-9-1 and hears what would be right.
    #[track_caller]
    fn answers_with_the_header(&mut self, octets: &[u8]) {
        let mut client = Client::raw(self.broker.address);
        client.write(octets);
        assert_eq!(client.rest(), PROTOCOL_HEADER, "{}", octets.escape_ascii());
    }

    /// A client that has channel 1 open says something that ends its connection.
    #[track_caller]
    fn closes_with(&mut self, octets: &[u8], code: u16, text: &str) {
        let mut client = self.broker.client();
        client.write(octets);
        assert_eq!(client.said(), Said::Closed(code, text.into()));
        client.hang_up();
        self.broker.logs(&[text]);
        self.goes_on();
    }
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let size = (payload.len() as u32).to_be_bytes();
    [&[kind], &channel.to_be_bytes()[..], &size, payload, &[0xCE]].concat()
}

/// The method and header of a publish whose body is said to have `size` octets.
fn announced(client: &mut Client, channel: u16, size: u64) -> Vec<u8> {
    client.put(channel, publish(("", "q")));
    let method = client.take_put();
    let header = [
        &60_u16.to_be_bytes()[..],
        &[0, 0],
        &size.to_be_bytes(),
        &[0, 0],
    ]
    .concat();
    [&method[..], &frame(2, channel, &header)].concat()
}

#[test]
fn random_octets() {
    let mut scene = Scene::new(&[]);
    let mut rng = SmallRng::seed_from_u64(1);
    for _ in 0..200 {
        let mut octets = vec![0; rng.random_range(8..20_000)];
        rng.fill_bytes(&mut octets);
        scene.answers_with_the_header(&octets);
    }
    scene.broker.logs(&["not a protocol header"]);
    scene.goes_on();
    scene.is_flat();
}

#[test]
fn other_protocols() {
    let mut scene = Scene::new(&[]);
    let tls_hello = [
        &b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"[..],
        &[0x5a; 189],
    ]
    .concat();
    for octets in [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        b"POST /api/queues HTTP/1.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"AMQP\x00\x01\x00\x00",
        b"AMQP\x03\x01\x00\x00",
        b"AMQP\x01\x01\x08\x00",
        b"AMQP\x00\x00\x08\x00",
        b"AMQP\x00\x00\x09\x02",
        b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c",
        &tls_hello,
        &[0; 64],
        &[0xCE; 64],
    ] {
        scene.answers_with_the_header(octets);
    }
    scene.broker.logs(&["not a protocol header", "GET / HT"]);
    scene.goes_on();
    scene.is_flat();
}

#[test]
fn random_octets_after_the_handshake() {
    let mut scene = Scene::new(&[]);
    let mut rng = SmallRng::seed_from_u64(2);
    for _ in 0..200 {
        let mut client = scene.broker.client();
        let mut octets = vec![0; rng.random_range(1..5000)];
        rng.fill_bytes(&mut octets);
        // The broker may be done with it before all is written.
        let _gone = client.try_write(&octets);
        client.hang_up();
    }
    scene.goes_on();
    scene.is_flat();
}

#[test]
fn octets_of_a_session_changed_at_random() {
    let mut scene = Scene::new(&[]);
    let mut rng = SmallRng::seed_from_u64(3);
    for _ in 0..200 {
        let mut client = scene.broker.client();
        let queue = QueueDeclare {
            queue: "changed",
            exclusive: true,
            ..QueueDeclare::default()
        };
        client.put(1, queue);
        client.put(1, consume("changed", "c"));
        client.put_publish(1, ("", "changed"), TRANSIENT, &[7; 100]);
        client.put(1, ack(1, true));
        let mut octets = client.take_put();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..octets.len());
            octets[at] = rng.random();
        }
        let _gone = client.try_write(&octets);
        client.hang_up();
    }
    scene.goes_on();
    scene.is_flat();
}

#[test]
fn frames_that_are_no_frames() {
    let mut scene = Scene::new(&[]);
    scene.closes_with(
        b"\x03\x00\x01\x00\x03\x0d\x40",
        501,
        "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,200000,131064}",
    );
    scene.closes_with(
        b"\x01\xff\xff\xff\xff\xff\xff",
        501,
        "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,4294967295,131064}",
    );
    scene.closes_with(
        &frame(7, 1, b"abc"),
        501,
        "FRAME_ERROR - type 7, all octets = <<\"abc\">>: unknown_frame",
    );
    scene.closes_with(
        b"\x01\x00\x01\x00\x00\x00\x05\x00\x14\x00\x0a\x00\x00",
        501,
        "FRAME_ERROR - type 1, all octets = <<0,20,0,10,0>>: {invalid_frame_end_marker,0}",
    );
    scene.closes_with(
        &frame(3, 1, b"stray"),
        505,
        "UNEXPECTED_FRAME - expected method frame, got non method frame instead",
    );
    scene.closes_with(
        &frame(1, 1, &[0, 60, 0, 40]),
        501,
        "FRAME_ERROR - cannot decode <<>>",
    );
    scene.closes_with(
        &frame(1, 1, &[0x77, 0x77, 0x77, 0x77]),
        503,
        "COMMAND_INVALID - unimplemented method",
    );
    scene.is_flat();
}

#[test]
fn frames_that_never_end() {
    let mut scene = Scene::new(&[]);
    let whole = frame(1, 1, &[0, 60, 0, 10, 0, 0, 0, 0, 0, 0, 0]);
    for len in 1..whole.len() {
        let mut client = scene.broker.client();
        client.write(&whole[..len]);
        client.hang_up();
    }
    scene
        .broker
        .logs(&["client unexpectedly closed TCP connection"]);
    // Announced and not sent: a frame of the largest size each.
    let mut waiting: Vec<Client> = (0..200).map(|_| scene.broker.client()).collect();
    for client in &mut waiting {
        client.write(b"\x03\x00\x01\x00\x01\xff\xf8");
        client.write(b"x");
    }
    scene.goes_on();
    scene.is_flat();
}

#[test]
fn a_header_that_announces_more_than_there_is() {
    let mut scene = Scene::new(&[]);
    let mut client = scene.broker.client();
    for size in [1 << 63, u64::MAX, 536_870_913] {
        let text = format!(
            "FRAME_ERROR - content body size {size} exceeds maximum allowed size 536870912"
        );
        scene.closes_with(&announced(&mut client, 1, size), 501, &text);
    }
    // What is allowed by the protocol and not by the configuration.
    let octets = announced(&mut client, 1, 536_870_912);
    client.write(&octets);
    let text = "PRECONDITION_FAILED - message size 536870912 is larger than configured max \
        size 16777216";
    assert_eq!(client.said(), Said::ChannelClosed(1, 406, text.into()));
    // What is allowed, on every channel at once, and never sent.
    let mut client = Client::connect(scene.broker.address);
    for channel in 1..=2000 {
        client.put(channel, ChannelOpen::default());
        let open = client.take_put();
        client.write(&open);
        let octets = announced(&mut client, channel, 16_777_216);
        client.write(&octets);
    }
    for channel in 1..=2000 {
        assert_eq!(client.said(), Said::Other(channel, (20, 11)));
    }
    scene.goes_on();
    scene.is_flat();
    let body = [frame(3, 1, &[7; 100]), frame(3, 1, &[7; 100])].concat();
    let octets = [announced(&mut client, 1, 150), body].concat();
    scene.closes_with(
        &octets,
        501,
        "FRAME_ERROR - content body frame exceeds remaining content size",
    );
}

#[test]
fn a_hundred_thousand_channels() {
    let mut scene = Scene::new(&[]);
    let mut client = Client::connect(scene.broker.address);
    let mut socket = client.stream().try_clone().unwrap();
    for at in 0..100_000_u32 {
        client.put((at % 65_535) as u16 + 1, ChannelOpen::default());
    }
    let octets = client.take_put();
    let writing = std::thread::spawn(move || {
        use std::io::Write;
        socket.write_all(&octets)
    });
    for channel in 1..=2047 {
        assert_eq!(client.said(), Said::Other(channel, (20, 11)));
    }
    let text = "NOT_ALLOWED - number of channels opened (2047) has reached the negotiated channel_max (2047)";
    assert_eq!(client.said(), Said::Closed(530, text.into()));
    scene.broker.logs(&[text]);
    // Everything else is read and discarded.
    writing.join().unwrap().unwrap();
    client.send(0, ConnectionCloseOk::default());
    assert_eq!(client.said(), Said::HungUp);
    scene.goes_on();
    scene.is_flat();
}

#[test]
fn a_hundred_thousand_channels_one_after_the_other() {
    let mut scene = Scene::new(&[]);
    let mut client = Client::connect(scene.broker.address);
    for _ in 0..100 {
        for at in 0..1000_u16 {
            client.put(at + 1, ChannelOpen::default());
            client.put(at + 1, ChannelClose::default());
        }
        client.flush();
        for at in 0..1000_u16 {
            assert_eq!(client.said(), Said::Other(at + 1, (20, 11)));
            assert_eq!(client.said(), Said::Other(at + 1, (20, 41)));
        }
    }
    scene.goes_on();
    scene.is_flat();
}

#[test]
fn handshakes_that_never_end() {
    let mut scene = Scene::new(&["--handshake-timeout", "3000"]);
    let mut slow: Vec<Client> = (0..300)
        .map(|_| Client::raw(scene.broker.address))
        .collect();
    // An octet now and then doesn't buy time.
    for octet in &PROTOCOL_HEADER[..5] {
        for client in &mut slow {
            let _gone = client.try_write(&[*octet]);
        }
        scene.goes_on();
    }
    // Some get as far as their login.
    for client in slow.iter_mut().take(100) {
        let _gone = client.try_write(&PROTOCOL_HEADER[5..]);
    }
    scene.goes_on();
    for client in &mut slow {
        client.rest();
    }
    scene.broker.logs(&["handshake timed out"]);
    scene.goes_on();
    scene.is_flat();
}

#[test]
fn thousands_of_connections_come_and_go() {
    let mut scene = Scene::new(&[]);
    for round in 0..2000 {
        let mut client = Client::raw(scene.broker.address);
        if round % 2 == 0 {
            client.write(&PROTOCOL_HEADER);
        }
        client.hang_up();
    }
    scene.goes_on();
    scene.is_flat();
}
