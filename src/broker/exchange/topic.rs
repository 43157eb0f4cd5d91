//! The topic exchange: to what is bound with a pattern that fits the key.
//!
//! Keys and patterns are words with points between; `*` in a pattern is any one
//! word, `#` any number of words, none included. The empty key has no words.
//!
//! ```text
//!   patterns: stock.*.nyse   stock.#   #.nyse
//!
//!   root --stock--> o --*--> o --nyse--> [1]
//!    |               `--#--> [2]
//!    `--#--> o --nyse--> [3]
//! ```
//!
//! A key is matched word by word, carrying along the set of nodes that fit so
//! far. A node reached by `#` stays in the set whatever comes. So the cost is
//! words times nodes in the set: bindings that don't fit cost nothing, and no
//! pattern, however twisted, costs more than its own length per word.

use ahash::RandomState;
use hashbrown::HashTable;
use slab::Slab;

use super::targets::{Target, Targets};

/// What is bound to a topic exchange, by pattern.
#[derive(Debug)]
pub(in crate::broker) struct TopicTrie {
    nodes: Slab<Node>,
    /// The edges that are words, of all nodes: one table instead of many small ones.
    edges: HashTable<Edge>,
    hasher: RandomState,
}

/// The place of a node in the slab.
type NodeId = u32;

const ROOT: NodeId = 0;
/// Room for the nodes that fit a key of ordinary length.
const FRONTIER: usize = 64;
/// Spreads a node's number over the bits of a word's hash.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

#[derive(Debug, Default)]
struct Node {
    /// Reached by `#`, so that more words lead back to it.
    swallows: bool,
    star: Option<NodeId>,
    hash: Option<NodeId>,
    /// How many edges that are words lead on.
    words: u32,
    targets: Targets,
}

#[derive(Debug)]
struct Edge {
    from: NodeId,
    to: NodeId,
    word: Box<[u8]>,
}

impl Default for TopicTrie {
    fn default() -> Self {
        let mut nodes = Slab::new();
        nodes.insert(Node::default());
        Self {
            nodes,
            edges: HashTable::new(),
            hasher: RandomState::new(),
        }
    }
}

impl TopicTrie {
    pub(super) fn insert(&mut self, pattern: &str, target: &Target) {
        let mut node = ROOT;
        for word in pattern_words(pattern) {
            node = match self.step(node, word) {
                Some(next) => next,
                None => self.grow(node, word),
            };
        }
        self.nodes[node as usize].targets.insert(target);
    }

    pub(super) fn remove(&mut self, pattern: &str, target: &Target) {
        let mut node = ROOT;
        let mut path = Vec::new();
        for word in pattern_words(pattern) {
            let Some(next) = self.step(node, word) else {
                return;
            };
            path.push((node, word, next));
            node = next;
        }
        self.nodes[node as usize].targets.remove(target);
        while let Some((from, word, to)) = path.pop() {
            if !self.nodes[to as usize].is_bare() {
                return;
            }
            self.prune(from, word, to);
        }
    }

    pub(super) fn route(&self, key: &[u8], found: &mut dyn FnMut(&Target)) {
        // The sets of nodes for each number of words, one behind the other.
        let mut reached = Vec::with_capacity(FRONTIER);
        let mut start = 0;
        self.reach(ROOT, start, &mut reached);
        for word in words(key) {
            let end = reached.len();
            let hash = self.hasher.hash_one(word);
            for at in start..end {
                let id = reached[at];
                let node = &self.nodes[id as usize];
                if node.swallows && !reached[end..].contains(&id) {
                    reached.push(id);
                }
                if let Some(star) = node.star {
                    self.reach(star, end, &mut reached);
                }
                if node.words > 0
                    && let Some(next) = self.find_edge(id, hash, word)
                {
                    self.reach(next, end, &mut reached);
                }
            }
            start = end;
            if start == reached.len() {
                return;
            }
        }
        for id in &reached[start..] {
            self.nodes[*id as usize]
                .targets
                .iter()
                .for_each(&mut *found);
        }
    }

    /// Adds a node to the set that starts at `start`, and the one after its `#`,
    /// which may stand for no words. Only the latter can be in the set already:
    /// all others have one way in.
    fn reach(&self, id: NodeId, start: usize, reached: &mut Vec<NodeId>) {
        reached.push(id);
        if let Some(hash) = self.nodes[id as usize].hash
            && !reached[start..].contains(&hash)
        {
            reached.push(hash);
        }
    }

    fn step(&self, from: NodeId, word: &[u8]) -> Option<NodeId> {
        let node = &self.nodes[from as usize];
        match word {
            b"*" => node.star,
            b"#" => node.hash,
            _ => self.find_edge(from, self.hasher.hash_one(word), word),
        }
    }

    fn grow(&mut self, from: NodeId, word: &[u8]) -> NodeId {
        let to = self.nodes.insert(Node {
            swallows: word == b"#",
            ..Node::default()
        }) as NodeId;
        let node = &mut self.nodes[from as usize];
        match word {
            b"*" => node.star = Some(to),
            b"#" => node.hash = Some(to),
            _ => {
                node.words += 1;
                let hash = edge_hash(from, self.hasher.hash_one(word));
                let hasher = &self.hasher;
                let edge = Edge {
                    from,
                    to,
                    word: word.into(),
                };
                self.edges.insert_unique(hash, edge, |edge| {
                    edge_hash(edge.from, hasher.hash_one(&*edge.word))
                });
            }
        }
        to
    }

    fn prune(&mut self, from: NodeId, word: &[u8], to: NodeId) {
        self.nodes.remove(to as usize);
        let node = &mut self.nodes[from as usize];
        match word {
            b"*" => node.star = None,
            b"#" => node.hash = None,
            _ => {
                node.words -= 1;
                let hash = edge_hash(from, self.hasher.hash_one(word));
                if let Ok(edge) = self.edges.find_entry(hash, |edge| edge.to == to) {
                    edge.remove();
                }
            }
        }
    }

    fn find_edge(&self, from: NodeId, word_hash: u64, word: &[u8]) -> Option<NodeId> {
        let hash = edge_hash(from, word_hash);
        let edge = self
            .edges
            .find(hash, |edge| edge.from == from && *edge.word == *word)?;
        Some(edge.to)
    }
}

impl Node {
    fn is_bare(&self) -> bool {
        self.targets.is_empty() && self.star.is_none() && self.hash.is_none() && self.words == 0
    }
}

/// How many `#` words a pattern has.
pub(super) fn hash_words(pattern: &str) -> usize {
    words(pattern.as_bytes())
        .filter(|word| *word == b"#")
        .count()
}

fn edge_hash(from: NodeId, word_hash: u64) -> u64 {
    word_hash ^ u64::from(from).wrapping_mul(SPREAD)
}

fn words(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    let most = if key.is_empty() { 0 } else { usize::MAX };
    key.split(|octet| *octet == b'.').take(most)
}

/// The words of a pattern. `#.#` fits what `#` fits and is taken for it, so
/// that no `#` node follows another.
fn pattern_words(pattern: &str) -> impl Iterator<Item = &[u8]> {
    let mut after_hash = false;
    words(pattern.as_bytes()).filter(move |word| {
        let is_hash = *word == b"#";
        !std::mem::replace(&mut after_hash, is_hash) || !is_hash
    })
}
