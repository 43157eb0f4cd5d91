//! Routes a connection has taken, kept while the topology stays as it is.

use std::hash::Hash;
use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};

use crate::base::limits::ROUTE_CACHE_MAX;
use crate::broker::queue::Queue;

#[derive(Debug, PartialEq, Eq, Hash)]
struct RouteKey {
    exchange: Box<str>,
    routing_key: Box<str>,
}

/// A [`RouteKey`] that is only looked up.
#[derive(Hash)]
struct BorrowedKey<'a> {
    exchange: &'a str,
    routing_key: &'a str,
}

impl Equivalent<RouteKey> for BorrowedKey<'_> {
    fn equivalent(&self, key: &RouteKey) -> bool {
        same(self.routing_key, &key.routing_key) && same(self.exchange, &key.exchange)
    }
}

/// `a == b`, without a call for two empty strings: an empty box points nowhere,
/// and glibc's memcmp for AVX-512 reads there under an all-zero mask. That
/// doesn't fault, but suppressing the fault takes the processor some 40 ns, and
/// the name of the default exchange is empty.
fn same(a: &str, b: &str) -> bool {
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

/// The queues that messages reach by exchange and routing key, where the
/// connection's user is permitted to publish so.
#[derive(Debug, Default)]
pub struct RouteCache {
    generations: Generations,
    routes: HashMap<RouteKey, Arc<[Arc<Queue>]>, ahash::RandomState>,
}

impl RouteCache {
    /// The route of `exchange` and `routing_key`, if it was found while all was
    /// of `generations`.
    pub fn get(
        &mut self,
        generations: Generations,
        exchange: &str,
        routing_key: &str,
    ) -> Option<&Arc<[Arc<Queue>]>> {
        if self.generations != generations {
            self.routes.clear();
            self.generations = generations;
            return None;
        }
        self.routes.get(&BorrowedKey {
            exchange,
            routing_key,
        })
    }

    /// Keeps a route found, and permitted, while all was of `generations`.
    pub fn put(
        &mut self,
        generations: Generations,
        exchange: &str,
        routing_key: &str,
        queues: Arc<[Arc<Queue>]>,
    ) {
        if self.generations != generations {
            return;
        }
        if self.routes.len() >= ROUTE_CACHE_MAX {
            self.routes.clear();
        }
        let key = RouteKey {
            exchange: exchange.into(),
            routing_key: routing_key.into(),
        };
        self.routes.insert(key, queues);
    }
}
