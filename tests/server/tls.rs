//! AMQP over TLS, and clients whose certificate logs them in.

use std::io::{ErrorKind, Read, Write};
use std::net::Ipv4Addr;

use harrier::wire::method::ConnectionStart;
use harrier::wire::{Method, encode};
use rcgen::SanType;
use tempfile::tempdir;

use crate::broker::{Broker, eventually};
use crate::client::{CAPABILITIES, Client, PERSISTENT, Said, consume};
use crate::transport::{Authority, Identity, Transport};

/// A broker that serves TLS with the authority's certificate, and more flags.
fn serving(authority: &Authority, more: &[&str]) -> Broker {
    let (certificate, key) = (authority.path("server.pem"), authority.path("server.key"));
    let ca = authority.path("ca.pem");
    let mut flags = vec![
        "--amqps",
        "127.0.0.1:0",
        "--ssl-options-cacertfile",
        ca.to_str().unwrap(),
        "--ssl-options-certfile",
        certificate.to_str().unwrap(),
        "--ssl-options-keyfile",
        key.to_str().unwrap(),
    ];
    flags.extend(more);
    Broker::with(&flags)
}

/// A connection on which nothing was said yet.
fn raw(broker: &Broker, authority: &Authority, identity: Option<&Identity>) -> Client {
    let config = authority.trusted_by(identity);
    Client::over(Transport::encrypted(broker.encrypted.unwrap(), config))
}

/// The mechanisms offered.
fn greeted(client: &mut Client) -> String {
    client.write(&encode::PROTOCOL_HEADER);
    client.hear(|method| match method {
        Method::ConnectionStart(ConnectionStart { mechanisms, .. }) => {
            String::from_utf8_lossy(mechanisms.0).into_owned()
        }
        other => panic!("{other:?}"),
    })
}

/// Logs in and enters `/`.
fn enter(client: &mut Client, mechanism: &str, response: &[u8]) -> Said {
    client.start_ok_by(mechanism, response, CAPABILITIES);
    match client.said() {
        Said::Other(0, (10, 30)) => client.tune_and_open("/"),
        refused => refused,
    }
}

/// Whether the broker doesn't as much as greet.
fn is_refused(client: &mut Client) -> bool {
    client.try_write(&encode::PROTOCOL_HEADER).is_err()
        || client.try_said().map_or(true, |said| said == Said::HungUp)
}

const OPENED: Said = Said::Other(0, (10, 41));

/// The flags by which clients are asked for certificates and log in by them.
const MUTUAL: [&str; 4] = [
    "--ssl-options-verify",
    "verify_peer",
    "--auth-mechanisms",
    "PLAIN,AMQPLAIN,EXTERNAL",
];

#[test]
fn messages_of_every_size_pass_an_encrypted_connection() {
    let authority = Authority::new();
    let broker = serving(&authority, &[]);
    let mut client = raw(&broker, &authority, None);
    assert_eq!(greeted(&mut client), "PLAIN AMQPLAIN");
    assert_eq!(enter(&mut client, "PLAIN", b"\0guest\0guest"), OPENED);
    client.open_channel(1);
    client.declare("sizes");
    client.send(1, consume("sizes", "c"));
    assert_eq!(client.said(), Said::ConsumeOk(1, "c".into()));
    // About the limits of a record, of a frame, and of what is read at once.
    for size in [0, 1, 16_383, 16_384, 16_385, 131_064, 131_065, 5_000_000] {
        let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        client.put_publish(1, ("", "sizes"), PERSISTENT, &body);
        client.flush();
        let Said::Deliver { message, .. } = client.said() else {
            panic!("no delivery of {size} octets");
        };
        assert!(message.body == body, "{size} octets came otherwise");
    }
}

/// What is decrypted already but not worked on yet is no news to the socket.
#[test]
fn a_backlog_that_fills_the_outbox_doesnt_stall_an_encrypted_connection() {
    let authority = Authority::new();
    let broker = serving(&authority, &[]);
    let mut client = raw(&broker, &authority, None);
    greeted(&mut client);
    assert_eq!(enter(&mut client, "PLAIN", b"\0guest\0guest"), OPENED);
    client.open_channel(1);
    client.declare("full");
    let body = vec![7; 100_000];
    for _ in 0..100 {
        client.put_publish(1, ("", "full"), PERSISTENT, &body);
        client.flush();
    }
    client.send(1, consume("full", "c"));
    // Asked for while deliveries wait to be read.
    for _ in 0..50 {
        client.put_publish(1, ("", "full"), PERSISTENT, &body);
    }
    client.flush();
    let mut delivered = 0;
    while delivered < 150 {
        match client.said() {
            Said::Deliver { message, .. } => {
                assert_eq!(message.body.len(), body.len());
                delivered += 1;
            }
            Said::ConsumeOk(..) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn who_speaks_no_tls_is_dropped() {
    let authority = Authority::new();
    let mut broker = serving(&authority, &[]);
    let mut socket = Transport::connect(broker.encrypted.unwrap());
    socket.write_all(&encode::PROTOCOL_HEADER).unwrap();
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert!(!answer.starts_with(b"AMQP"), "{answer:?}");
    broker.logs(&["socket error", "corrupt message"]);
}

#[test]
fn certificates_are_optional_unless_they_have_to_be_there() {
    let authority = Authority::new();
    let broker = serving(&authority, &MUTUAL);
    let mut client = raw(&broker, &authority, None);
    assert_eq!(greeted(&mut client), "PLAIN AMQPLAIN EXTERNAL");
    assert_eq!(enter(&mut client, "PLAIN", b"\0guest\0guest"), OPENED);
    let mut nobody = raw(&broker, &authority, None);
    greeted(&mut nobody);
    let said = enter(&mut nobody, "EXTERNAL", b"");
    assert!(matches!(said, Said::Closed(403, _)), "{said:?}");

    let strict = [&MUTUAL[..], &["--ssl-options-fail-if-no-peer-cert", "true"]].concat();
    let broker = serving(&authority, &strict);
    let mut client = raw(&broker, &authority, None);
    assert!(is_refused(&mut client));
    // Signed by somebody else.
    let stranger = Authority::new().client("guest", Vec::new());
    let mut client = raw(&broker, &authority, Some(&stranger));
    assert!(is_refused(&mut client));
}

#[test]
fn a_certificate_logs_its_user_in() {
    let authority = Authority::new();
    let besides = vec![
        SanType::DnsName("ignored".try_into().unwrap()),
        SanType::DnsName("guest".try_into().unwrap()),
        SanType::URI("spiffe://example/guest".try_into().unwrap()),
        SanType::IpAddress(Ipv4Addr::new(10, 0, 0, 1).into()),
    ];
    let identity = authority.client("guest", besides);
    let from = |what| vec!["--ssl-cert-login-from", what];
    let alternative = |more: &[&'static str]| {
        let mut flags = from("subject_alternative_name");
        flags.extend(more);
        flags
    };
    for (flags, user, known) in [
        (vec![], "CN=guest,O=Example", false),
        (
            vec!["--default-user", "CN=guest,O=Example"],
            "CN=guest,O=Example",
            true,
        ),
        (from("common_name"), "guest", true),
        (alternative(&[]), "ignored", false),
        (
            alternative(&["--ssl-cert-login-san-index", "1"]),
            "guest",
            true,
        ),
        (alternative(&["--ssl-cert-login-san-index", "2"]), "", false),
        (
            alternative(&[
                "--ssl-cert-login-san-type",
                "uri",
                "--default-user",
                "spiffe://example/guest",
            ]),
            "spiffe://example/guest",
            true,
        ),
        (
            alternative(&["--ssl-cert-login-san-type", "ip"]),
            "10.0.0.1",
            false,
        ),
    ] {
        let flags = [&MUTUAL[..], &flags].concat();
        let mut broker = serving(&authority, &flags);
        let mut client = raw(&broker, &authority, Some(&identity));
        greeted(&mut client);
        let said = enter(&mut client, "EXTERNAL", b"");
        assert_eq!(said == OPENED, known, "{user}: {said:?}");
        if known {
            broker.logs(&["opened", user]);
        } else {
            broker.logs(&["no such user", user]);
        }
    }
}

/// Without TLS there is no certificate to log in with.
#[test]
fn external_is_not_offered_on_a_plain_connection() {
    let authority = Authority::new();
    let broker = serving(&authority, &MUTUAL);
    let mut client = Client::raw(broker.address);
    assert_eq!(greeted(&mut client), "PLAIN AMQPLAIN");
    client.start_ok_by("EXTERNAL", b"", CAPABILITIES);
    assert_eq!(client.said(), Said::HungUp);
}

#[test]
fn new_files_are_served_to_new_connections_and_old_ones_live_on() {
    let authority = Authority::new();
    let mut broker = serving(&authority, &[]);
    let mut old = raw(&broker, &authority, None);
    greeted(&mut old);
    assert_eq!(enter(&mut old, "PLAIN", b"\0guest\0guest"), OPENED);
    let first = old.transport().certificate().unwrap();

    // One that can't be used changes nothing.
    let key = std::fs::read(authority.path("server.key")).unwrap();
    std::fs::write(authority.path("server.key"), "no key at all").unwrap();
    broker.hang_up();
    broker.logs(&[
        "certificates stay as they were",
        "server.key",
        "private key",
    ]);
    let mut client = raw(&broker, &authority, None);
    greeted(&mut client);
    assert_eq!(client.transport().certificate().unwrap(), first);

    std::fs::write(authority.path("server.key"), key).unwrap();
    let second = authority.serve("server").certificate;
    broker.hang_up();
    broker.logs(&["certificates were read again"]);
    eventually("the new certificate is shown", || {
        let mut client = raw(&broker, &authority, None);
        greeted(&mut client);
        client.transport().certificate().unwrap() == second
    });
    old.open_channel(1);
    old.declare("still here");
}

#[test]
fn a_broker_without_tls_outlives_sighup() {
    let mut broker = Broker::start();
    broker.hang_up();
    broker.logs(&["SIGHUP"]);
    broker.client().declare("still here");
}

#[test]
fn what_is_wrong_with_a_file_is_told_at_the_start() {
    let authority = Authority::new();
    let file = |name: &str| authority.path(name).to_str().unwrap().to_owned();
    authority.serve("other");
    std::fs::write(authority.path("empty.pem"), "").unwrap();
    let (ca, certificate, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
    let amqps = ["--amqps", "127.0.0.1:0"];
    for (flags, words) in [
        (vec![], &["ssl_options.certfile", "ssl_options.keyfile"][..]),
        (
            vec![
                "--ssl-options-certfile",
                "/no/such.pem",
                "--ssl-options-keyfile",
                &key,
            ],
            &["ssl_options.certfile", "/no/such.pem", "No such file"],
        ),
        (
            vec![
                "--ssl-options-certfile",
                &file("empty.pem"),
                "--ssl-options-keyfile",
                &key,
            ],
            &["empty.pem", "expected certificates"],
        ),
        (
            vec![
                "--ssl-options-certfile",
                &certificate,
                "--ssl-options-keyfile",
                &certificate,
            ],
            &["ssl_options.keyfile", "server.pem", "private key"],
        ),
        (
            vec![
                "--ssl-options-certfile",
                &certificate,
                "--ssl-options-keyfile",
                &file("other.key"),
            ],
            &["other.key", "isn't that of the certificate"],
        ),
        (
            vec!["--ssl-options-verify", "verify_peer"],
            &["ssl_options.cacertfile"],
        ),
        (
            vec![
                "--ssl-options-cacertfile",
                &ca,
                "--ssl-options-fail-if-no-peer-cert",
                "true",
            ],
            &["fail_if_no_peer_cert", "verify_peer"],
        ),
        (
            vec!["--auth-mechanisms", "PLAIN,EXTERNAL"],
            &["EXTERNAL", "ssl_options.verify"],
        ),
    ] {
        fails(&[&amqps[..], &flags].concat(), words);
    }
}

/// A broker with these flags doesn't start, and says why.
#[track_caller]
fn fails(flags: &[&str], words: &[&str]) {
    let directory = tempdir().unwrap();
    let child = Broker::spawn(&mut Broker::command(directory.path(), flags));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{flags:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    for word in words {
        assert!(text.contains(word), "{word} isn't in {text}");
    }
}
