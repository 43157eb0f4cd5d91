//! How connections end: by either side, in order or not.

use std::io::Write;

use harrier::wire::method::*;

use crate::broker::Broker;
use crate::client::*;

const SHUTDOWN: &str =
    "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";

#[test]
fn a_stop_tells_every_client_and_exits_with_success() {
    let mut broker = Broker::start();
    let mut clients: Vec<Client> = (0..5).map(|_| broker.client()).collect();
    let silent = Client::raw(broker.address);
    broker.terminate();
    for client in &mut clients {
        assert_eq!(client.said(), Said::Closed(320, SHUTDOWN.into()));
        client.send(0, ConnectionCloseOk::default());
        assert_eq!(client.said(), Said::HungUp);
    }
    assert_eq!(broker.exit().code(), Some(0));
    drop(silent);
    broker.logs(&["stopped"]);
}

#[test]
fn a_stop_finds_everything_that_was_confirmed_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let mut broker = Broker::on(directory.path(), &[]);
    let mut client = broker.client();
    client.declare_durable("q", Default::default());
    client.confirm_select(1);
    for at in 0..500_u32 {
        client.put_publish(1, ("", "q"), PERSISTENT, &at.to_be_bytes());
        client.put_publish(1, ("", "q"), TRANSIENT, b"transient");
    }
    client.flush();
    client.confirmed(1000);
    broker.terminate();
    assert_eq!(client.said(), Said::Closed(320, SHUTDOWN.into()));
    client.send(0, ConnectionCloseOk::default());
    assert_eq!(broker.exit().code(), Some(0));
    let broker = Broker::on(directory.path(), &[]);
    let mut client = broker.client();
    assert_eq!(client.counts(1, "q"), (500, 0));
    client.consume(1, "q", "c");
    for at in 0..500_u32 {
        assert_eq!(client.delivery().2, at.to_be_bytes());
    }
}

/// A client may write on until it sees the close-ok; closing the socket with
/// that unread would reset the connection and destroy the close-ok.
#[test]
fn close_ok_arrives_although_the_client_still_writes() {
    let broker = Broker::start();
    for _ in 0..10 {
        let mut client = broker.client();
        client.declare("q");
        client.put(0, ConnectionClose::default());
        for _ in 0..200 {
            client.put_publish(1, ("", "q"), TRANSIENT, &[7; 1000]);
        }
        let all = client.take_put();
        let mut writer = client.stream().try_clone().unwrap();
        let writing = std::thread::spawn(move || {
            for piece in all.chunks(5000) {
                if writer.write_all(piece).is_err() {
                    return false;
                }
            }
            true
        });
        assert_eq!(client.said(), Said::Other(0, (10, 51)));
        assert!(writing.join().unwrap(), "the socket was reset");
    }
}

#[test]
fn a_client_that_hangs_up_is_noticed() {
    let mut broker = Broker::start();
    broker.client().hang_up();
    broker.logs(&["client unexpectedly closed TCP connection"]);
    broker.client().close();
    broker.logs(&["closed"]);
}

#[test]
fn a_client_without_heartbeats_is_dropped() {
    let mut broker = Broker::start();
    let options = Options {
        heartbeat: 1,
        ..Options::default()
    };
    let mut dead = Client::with(broker.address, options);
    let mut alive = Client::with(broker.address, options);
    let mut beat = alive.stream().try_clone().unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let beating = std::thread::spawn(move || {
        let interval = std::time::Duration::from_millis(400);
        while stopped.recv_timeout(interval).is_err() {
            beat.write_all(&harrier::wire::encode::HEARTBEAT).unwrap();
        }
    });
    // It hears ours until it is given up.
    let mut heard = 0;
    while dead.said_or_beat() == Said::Heartbeat {
        heard += 1;
    }
    assert!(heard > 0);
    broker.logs(&["missed heartbeats from client"]);
    stop.send(()).unwrap();
    beating.join().unwrap();
    alive.open_channel(1);
    alive.close();
}

#[test]
fn an_unanswered_stop_comes_to_an_end() {
    let mut broker = Broker::start();
    let mut client = broker.client();
    broker.terminate();
    assert_eq!(client.said(), Said::Closed(320, SHUTDOWN.into()));
    // No close-ok.
    assert_eq!(broker.exit().code(), Some(0));
}

#[test]
fn an_unanswered_close_comes_to_an_end() {
    let mut broker = Broker::start();
    let options = Options {
        heartbeat: 1,
        ..Options::default()
    };
    let mut client = Client::with(broker.address, options);
    let text = "CHANNEL_ERROR - expected 'channel.open'";
    let said = client.ask(1, BasicQos::default());
    assert_eq!(said, Said::Closed(504, text.into()));
    // No close-ok. It would wait for 30 s, but not longer than a heartbeat.
    assert_eq!(client.said(), Said::HungUp);
    broker.logs(&["client didn't answer connection.close in time"]);
}

#[test]
fn a_refused_login_is_told_to_those_who_understand() {
    let mut broker = Broker::start();
    for capabilities in [CAPABILITIES, &[]] {
        let mut client = Client::raw(broker.address);
        client.write(&harrier::wire::encode::PROTOCOL_HEADER);
        assert_eq!(client.said(), Said::Other(0, (10, 10)));
        client.start_ok(b"\0guest\0wrong", capabilities);
        if !capabilities.is_empty() {
            let text = "ACCESS_REFUSED - Login was refused using authentication mechanism \
                PLAIN. For details see the broker logfile.";
            assert_eq!(client.said(), Said::Closed(403, text.into()));
            client.send(0, ConnectionCloseOk::default());
        }
        assert_eq!(client.said(), Said::HungUp);
    }
    broker.logs(&["login refused"]);
}

#[test]
fn a_virtual_host_that_is_not_there_is_refused() {
    let broker = Broker::start();
    let mut client = Client::raw(broker.address);
    client.write(&harrier::wire::encode::PROTOCOL_HEADER);
    client.said();
    client.start_ok(b"\0guest\0guest", CAPABILITIES);
    client.said();
    client.put(
        0,
        ConnectionTuneOk {
            channel_max: 0,
            frame_max: 0,
            heartbeat: 0,
        },
    );
    let open = ConnectionOpen {
        virtual_host: "none",
        ..ConnectionOpen::default()
    };
    let text = "NOT_ALLOWED - vhost none not found";
    assert_eq!(client.ask(0, open), Said::Closed(530, text.into()));
}
