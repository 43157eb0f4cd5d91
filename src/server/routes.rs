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

/// The queues that messages reach by exchange and routing key.
#[derive(Debug, Default)]
pub struct RouteCache {
    generation: u64,
    routes: HashMap<RouteKey, Arc<[Arc<Queue>]>, ahash::RandomState>,
}

impl RouteCache {
    /// The route of `exchange` and `routing_key`, if it was found while the
    /// topology was of `generation`.
    pub fn get(
        &mut self,
        generation: u64,
        exchange: &str,
        routing_key: &str,
    ) -> Option<&Arc<[Arc<Queue>]>> {
        if self.generation != generation {
            self.routes.clear();
            self.generation = generation;
            return None;
        }
        self.routes.get(&BorrowedKey {
            exchange,
            routing_key,
        })
    }

    /// Keeps a route found while the topology was of `generation`.
    pub fn put(
        &mut self,
        generation: u64,
        exchange: &str,
        routing_key: &str,
        queues: Arc<[Arc<Queue>]>,
    ) {
        if self.generation != generation {
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
