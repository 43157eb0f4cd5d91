//! Names and keys that are looked up by octets: a routing key on its way
//! through dead-lettering or a header needn't be UTF-8.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashMap;

/// A name or a routing key that maps are keyed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(pub(super) Arc<str>);

/// A map from names.
pub(super) type ByName<V> = HashMap<Name, V, RandomState>;

// As the octets hash, for `Borrow` to be true.
impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_bytes().hash(state);
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
