//! Guessing passwords takes time.
//!
//! ```text
//!   a failed login fills      which holds   and empties
//!     its name from there       10            one every 6 s
//!     whatever from there       60            one every second
//!     its name from anywhere   120            two every second
//! ```
//!
//! While one of its buckets is full a login is refused unseen, right or wrong.
//! Nobody is locked out by what others try: who has logged in from somewhere
//! within a day answers there for his own failures only. This machine isn't
//! refused as a whole either, as all who come through a proxy come from it.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::limits::{LOGIN_FAILURES_REMEMBERED_MAX, LOGINS_REMEMBERED_MAX};

/// How full a bucket may get, and how long each failure stays in it, milliseconds.
#[derive(Debug, Clone, Copy)]
struct Size {
    holds: u64,
    empties_ms: u64,
}

/// Of one name from one place.
const PAIR: Size = Size {
    holds: 10,
    empties_ms: 6000,
};
/// Of one place.
const PLACE: Size = Size {
    holds: 60,
    empties_ms: 1000,
};
/// Of one name.
const NAME: Size = Size {
    holds: 120,
    empties_ms: 500,
};
/// How long a login counts for who logged in.
const KNOWN_MS: u64 = 24 * 60 * 60 * 1000;

/// What somebody can't choose at will: an address, or a network of IPv6, of which
/// everybody has a whole one.
type Place = IpAddr;
/// A name's hash: names can be long, and made up without end.
type Name = u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Pair(Place, Name),
    Place(Place),
    Name(Name),
}

impl Key {
    const fn size(self) -> Size {
        match self {
            Self::Pair(..) => PAIR,
            Self::Place(_) => PLACE,
            Self::Name(_) => NAME,
        }
    }
}

/// Who has failed to log in of late.
#[derive(Debug, Default)]
pub struct Throttle {
    hasher: ahash::RandomState,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When each bucket will be empty, milliseconds.
    empty_at: Recent<Key>,
    /// When who logged in, milliseconds.
    known: Recent<(Place, Name)>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            empty_at: Recent::holding(LOGIN_FAILURES_REMEMBERED_MAX),
            known: Recent::holding(LOGINS_REMEMBERED_MAX),
        }
    }
}

/// Times, of as many as there is room for: half of them may be what was written
/// last, the others are those from before that. When it gets too much those go.
#[derive(Debug)]
struct Recent<K> {
    young: HashMap<K, u64, ahash::RandomState>,
    old: HashMap<K, u64, ahash::RandomState>,
    half: usize,
}

impl<K: Copy + Eq + Hash> Recent<K> {
    fn holding(most: usize) -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            half: most / 2,
        }
    }

    fn get(&self, key: &K) -> Option<u64> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    fn set(&mut self, key: K, time: u64) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, time);
    }

    fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

impl Throttle {
    /// How long `user` has to wait before a login from `peer` is looked at; none
    /// when it is now, which is `now_ms`.
    pub fn wait(&self, peer: IpAddr, user: &str, now_ms: u64) -> Option<Duration> {
        let (place, name) = self.who(peer, user);
        let state = self.state.lock();
        let waits = keys(place, name, state.is_known(place, name, now_ms))
            .filter_map(|key| state.wait(key, now_ms));
        waits.max().map(Duration::from_millis)
    }

    /// Notes that `user` couldn't log in from `peer`.
    pub fn failed(&self, peer: IpAddr, user: &str, now_ms: u64) {
        let (place, name) = self.who(peer, user);
        let mut state = self.state.lock();
        let known = state.is_known(place, name, now_ms);
        for key in keys(place, name, known) {
            state.fill(key, now_ms);
        }
    }

    /// Notes that `user` logged in from `peer`.
    pub fn succeeded(&self, peer: IpAddr, user: &str, now_ms: u64) {
        let (place, name) = self.who(peer, user);
        let mut state = self.state.lock();
        state.empty_at.remove(&Key::Pair(place, name));
        state.known.set((place, name), now_ms);
    }

    fn who(&self, peer: IpAddr, user: &str) -> (Place, Name) {
        (place(peer), self.hasher.hash_one(user))
    }
}

impl State {
    fn is_known(&self, place: Place, name: Name, now_ms: u64) -> bool {
        let since = self.known.get(&(place, name));
        since.is_some_and(|since| since + KNOWN_MS > now_ms)
    }

    fn wait(&self, key: Key, now_ms: u64) -> Option<u64> {
        let Size { holds, empties_ms } = key.size();
        let left = self.empty_at.get(&key)?.saturating_sub(now_ms);
        // There has to be room for one more.
        let full = (holds - 1) * empties_ms;
        (left > full).then(|| left - full)
    }

    fn fill(&mut self, key: Key, now_ms: u64) {
        let empty_at = self.empty_at.get(&key).unwrap_or_default();
        let empty_at = empty_at.max(now_ms) + key.size().empties_ms;
        self.empty_at.set(key, empty_at);
    }
}

/// The buckets that a login is in.
fn keys(place: Place, name: Name, known: bool) -> impl Iterator<Item = Key> {
    let shared_place = (!known && !place.is_loopback()).then_some(Key::Place(place));
    let shared_name = (!known).then_some(Key::Name(name));
    std::iter::once(Key::Pair(place, name))
        .chain(shared_place)
        .chain(shared_name)
}

fn place(peer: IpAddr) -> Place {
    match peer.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}
