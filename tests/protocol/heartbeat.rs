//! Heartbeats, on a clock the test turns by hand.

use std::time::Duration;

use harrier::base::clock::Now;
use harrier::protocol::Liveness;
use harrier::wire::encode::HEARTBEAT;

use super::support::{Pace, Peer, settings, tune_ok};

fn beating(heartbeat: u16) -> Peer {
    let mut settings = settings();
    settings.heartbeat = heartbeat;
    Peer::running_with(Pace::AllAtOnce, settings, &[])
}

#[test]
fn the_clients_interval_counts() {
    let peer = beating(10);
    assert_eq!(
        peer.connection.heartbeat_interval(),
        Some(Duration::from_secs(10))
    );
    assert_eq!(
        peer.connection.tick_interval(),
        Some(Duration::from_secs(5))
    );
    let mut peer = Peer::tuning(Pace::AllAtOnce, settings(), &[]);
    assert_eq!(
        peer.connection.heartbeat_interval(),
        None,
        "nothing agreed on yet"
    );
    peer.feed(&tune_ok(0, 0, 600));
    assert_eq!(
        peer.connection.heartbeat_interval(),
        Some(Duration::from_secs(600))
    );
}

#[test]
fn without_an_interval_nothing_happens() {
    let mut peer = beating(0);
    assert_eq!(peer.connection.heartbeat_interval(), None);
    for hours in 0..5 {
        let now = Now::at_ms(hours * 3_600_000);
        let liveness = peer.connection.tick(now, false, false, &mut peer.out);
        assert_eq!(liveness, Liveness::Alive);
    }
    assert!(peer.out.is_empty());
}

#[test]
fn a_heartbeat_is_sent_when_nothing_else_was() {
    let mut peer = beating(10);
    peer.connection
        .tick(Now::at_ms(5_000), true, true, &mut peer.out);
    assert!(peer.out.is_empty());
    peer.connection
        .tick(Now::at_ms(10_000), false, true, &mut peer.out);
    assert_eq!(&peer.out[..], HEARTBEAT);
}

#[test]
fn a_silent_client_is_dead_between_two_and_three_intervals() {
    let mut peer = beating(10);
    let mut dead_at = None;
    for tick in 1..=10 {
        let now = Now::at_ms(tick * 5_000);
        // It is heard up to the second tick.
        let liveness = peer.connection.tick(now, true, tick <= 2, &mut peer.out);
        if liveness == Liveness::Dead {
            dead_at = Some(now.monotonic_ms);
            break;
        }
    }
    assert_eq!(
        dead_at,
        Some(35_000),
        "heard at 10 s at the latest, so 25 s ago"
    );
}

#[test]
fn whoever_speaks_now_and_then_stays_alive() {
    let mut peer = beating(2);
    for tick in 0..100 {
        let now = Now::at_ms(tick * 1_000);
        let liveness = peer
            .connection
            .tick(now, true, tick % 4 == 0, &mut peer.out);
        assert_eq!(liveness, Liveness::Alive);
    }
}

#[test]
fn a_closing_connection_sends_no_heartbeats() {
    let mut peer = beating(10);
    peer.connection.shutdown(&mut peer.out);
    peer.out.clear();
    peer.connection
        .tick(Now::at_ms(5_000), false, true, &mut peer.out);
    assert!(peer.out.is_empty());
}
