//! How fast passwords can be guessed.

use std::net::IpAddr;
use std::time::Duration;

use harrier::base::limits::LOGIN_FAILURES_REMEMBERED_MAX;
use harrier::server::throttle::Throttle;

const START: u64 = 1_700_000_000_000;

fn at(address: &str) -> IpAddr {
    address.parse().unwrap()
}

/// Guesses as fast as may be for so many milliseconds; how often.
fn guesses(throttle: &Throttle, ms: u64, mut who: impl FnMut(u64) -> (IpAddr, String)) -> u64 {
    let mut guessed = 0;
    for now in START..START + ms {
        let (peer, user) = who(now);
        if throttle.wait(peer, &user, now).is_none() {
            throttle.failed(peer, &user, now);
            guessed += 1;
        }
    }
    guessed
}

#[test]
fn one_password_is_guessed_ten_times_a_minute() {
    let throttle = Throttle::default();
    let here = at("192.0.2.1");
    let guessed = guesses(&throttle, 60_000, |_| (here, "ann".into()));
    assert_eq!(guessed, 10 + 9);
    let now = START + 59_999;
    let wait = throttle.wait(here, "ann", now).unwrap();
    assert!(wait <= Duration::from_secs(6), "{wait:?}");
    // Nobody else waits, neither there nor elsewhere.
    assert_eq!(throttle.wait(here, "bob", now), None);
    assert_eq!(throttle.wait(at("192.0.2.2"), "ann", now), None);
    // It is over when it is.
    assert_eq!(throttle.wait(here, "ann", now + 6001), None);
}

#[test]
fn a_place_that_tries_many_names_is_slowed_down() {
    let throttle = Throttle::default();
    let there = at("192.0.2.1");
    let guessed = guesses(&throttle, 60_000, |now| (there, format!("user {now}")));
    assert_eq!(guessed, 60 + 59);
    // A network of IPv6 is one place.
    let throttle = Throttle::default();
    let guessed = guesses(&throttle, 60_000, |now| {
        (
            at(&format!("2001:db8::{:x}", now % 60_000)),
            format!("user {now}"),
        )
    });
    assert_eq!(guessed, 60 + 59);
}

#[test]
fn a_name_tried_from_many_places_is_slowed_down() {
    let throttle = Throttle::default();
    let from = |now: u64| at(&format!("10.{}.{}.1", now / 256 % 256, now % 256));
    let guessed = guesses(&throttle, 60_000, |now| (from(now), "ann".into()));
    assert_eq!(guessed, 120 + 119);
}

#[test]
fn who_has_logged_in_is_not_locked_out_by_others() {
    let throttle = Throttle::default();
    let home = at("192.0.2.1");
    throttle.succeeded(home, "ann", START);
    let from = |now: u64| at(&format!("10.{}.{}.1", now / 256 % 256, now % 256));
    guesses(&throttle, 5000, |now| (from(now), "ann".into()));
    guesses(&throttle, 5000, |now| (home, format!("user {now}")));
    let now = START + 4999;
    assert_eq!(throttle.wait(home, "ann", now), None);
    assert!(throttle.wait(home, "bob", now).is_some());
    assert!(throttle.wait(at("192.0.2.2"), "ann", now).is_some());
    // For what is tried from there he does answer.
    guesses(&throttle, 1000, |_| (home, "ann".into()));
    assert!(throttle.wait(home, "ann", START + 1000).is_some());
    throttle.succeeded(home, "ann", START + 1000);
    assert_eq!(throttle.wait(home, "ann", START + 1000), None);
}

/// All who come through a proxy of this machine come from it.
#[test]
fn this_machine_is_not_refused_as_a_whole() {
    for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        let throttle = Throttle::default();
        let tried = guesses(&throttle, 1000, |now| (at(here), format!("user {now}")));
        assert_eq!(tried, 1000);
        let tried = guesses(&throttle, 1000, |_| (at(here), "ann".into()));
        assert_eq!(tried, 10);
    }
}

#[test]
fn what_is_remembered_has_an_end() {
    let throttle = Throttle::default();
    for user in 0..LOGIN_FAILURES_REMEMBERED_MAX as u64 + 1000 {
        let peer = at(&format!("10.{}.{}.1", user / 256 % 256, user % 256));
        throttle.failed(peer, &format!("user {user}"), START);
        throttle.succeeded(peer, &format!("user {user}"), START);
    }
    // Those who come now are remembered all the same.
    guesses(&throttle, 100, |_| (at("192.0.2.1"), "ann".into()));
    assert!(throttle.wait(at("192.0.2.1"), "ann", START + 100).is_some());
}
