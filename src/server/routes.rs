//! Routes a connection has taken, kept while the topology stays as it is.

use std::hash::Hash;
use std::sync::Arc;

use hashbrown::HashTable;

use crate::base::limits::ROUTE_CACHE_MAX;
use crate::broker::queue::Queue;
use crate::broker::traffic::ExchangeTraffic;
use crate::wire::ShortStr;

/// The exchange and the routing key of a publish.
#[derive(Clone, Copy, Hash)]
struct Wanted<'a> {
    exchange: &'a [u8],
    routing_key: &'a [u8],
}

impl Wanted<'_> {
    #[inline(always)]
    fn is(&self, known: &Known) -> bool {
        same(self.routing_key, &known.routing_key) && same(self.exchange, &known.exchange)
    }
}

/// `a == b`, without a call for two empty names: an empty box points nowhere,
/// and glibc's memcmp for AVX-512 reads there under an all-zero mask. That
/// doesn't fault, but suppressing the fault takes the processor some 40 ns, and
/// the name of the default exchange is empty.
#[inline(always)]
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && (a.is_empty() || a == b)
}

/// What a route depends on: it holds while both stay the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Generations {
    /// Of what is declared in the virtual host.
    pub topology: u64,
    /// Of what users are permitted.
    pub access: u64,
}

/// Where messages of one exchange and routing key go.
#[derive(Debug)]
pub struct Route {
    /// Counts what passes the exchange.
    pub exchange: Arc<ExchangeTraffic>,
    /// The queues they reach.
    pub queues: Vec<Arc<Queue>>,
}

/// A route, and what it is found by.
#[derive(Debug)]
struct Known {
    exchange: Box<[u8]>,
    routing_key: Box<[u8]>,
    route: Route,
}

impl Known {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            exchange: &self.exchange,
            routing_key: &self.routing_key,
        }
    }
}

/// The queues that messages reach by exchange and routing key, where the
/// connection's user is permitted to publish so.
///
/// Whoever publishes mostly publishes as the last time: that takes no hash.
#[derive(Debug, Default)]
pub struct RouteCache {
    generations: Generations,
    routes: Vec<Known>,
    /// Where in `routes` each one is.
    places: HashTable<usize>,
    hasher: ahash::RandomState,
    /// The place of the route taken last.
    last: usize,
}

impl RouteCache {
    /// The route by `exchange` and `routing_key`, if it was found while all was
    /// of `generations`.
    #[inline(always)]
    pub fn get(
        &mut self,
        generations: Generations,
        exchange: ShortStr<'_>,
        routing_key: ShortStr<'_>,
    ) -> Option<&Route> {
        let wanted = Wanted {
            exchange: exchange.as_bytes(),
            routing_key: routing_key.as_bytes(),
        };
        let last = self.routes.get(self.last);
        if self.generations != generations || !last.is_some_and(|last| wanted.is(last)) {
            self.last = self.find(generations, wanted)?;
        }
        self.routes.get(self.last).map(|known| &known.route)
    }

    fn find(&mut self, generations: Generations, wanted: Wanted<'_>) -> Option<usize> {
        if self.generations != generations {
            self.clear();
            self.generations = generations;
            return None;
        }
        let is_wanted = |place: &usize| self.routes.get(*place).is_some_and(|k| wanted.is(k));
        let hash = self.hasher.hash_one(wanted);
        self.places.find(hash, is_wanted).copied()
    }

    /// Keeps a route found, and permitted, while all was of `generations`.
    pub fn put(
        &mut self,
        generations: Generations,
        exchange: ShortStr<'_>,
        routing_key: ShortStr<'_>,
        route: Route,
    ) {
        if self.generations != generations {
            return;
        }
        if self.routes.len() >= ROUTE_CACHE_MAX {
            self.clear();
        }
        let known = Known {
            exchange: exchange.as_bytes().into(),
            routing_key: routing_key.as_bytes().into(),
            route,
        };
        let hash = self.hasher.hash_one(known.wanted());
        let place = self.routes.len();
        self.routes.push(known);
        let (routes, hasher) = (&self.routes, &self.hasher);
        let hash_of = |place: &usize| {
            let known = routes.get(*place);
            known.map_or(0, |known| hasher.hash_one(known.wanted()))
        };
        self.places.insert_unique(hash, place, hash_of);
    }

    fn clear(&mut self) {
        self.routes.clear();
        self.places.clear();
        self.last = 0;
    }
}
