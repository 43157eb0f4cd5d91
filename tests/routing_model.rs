//! Routing against a model that looks at every binding, one after the other,
//! through random histories of declaring, binding, unbinding and deleting.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use harrier::base::ids::ConnectionId;
use harrier::broker::effects::Effects;
use harrier::broker::queue::Surroundings;
use harrier::broker::routing::RoutingKeys;
use harrier::broker::spec::{BindingSpec, Destination};
use harrier::broker::store::NullStore;
use harrier::broker::vhost::{QueueIds, Vhost};
use harrier::wire::method::{ExchangeDeclare, QueueDeclare};
use harrier::wire::{FieldTable, FieldValue};
use proptest::prelude::*;

const ME: ConnectionId = ConnectionId(1);
const NAMES: u8 = 5;

#[derive(Debug, Clone)]
enum Step {
    DeclareExchange {
        name: u8,
        kind: &'static str,
        auto_delete: bool,
        alternate: Option<u8>,
    },
    DeclareQueue(u8),
    DeleteExchange(u8),
    DeleteQueue(u8),
    Bind(Edge),
    Unbind(Edge),
    /// Unbinds one of the bindings there are.
    UnbindAny(prop::sample::Index),
    Publish {
        exchange: Option<u8>,
        keys: Vec<String>,
        headers: FieldTable,
    },
}

#[derive(Debug, Clone, PartialEq)]
struct Edge {
    source: u8,
    to_queue: bool,
    destination: u8,
    key: String,
    arguments: FieldTable,
}

#[derive(Debug)]
struct ModelExchange {
    kind: &'static str,
    auto_delete: bool,
    alternate: Option<u8>,
    was_source: bool,
}

/// What is declared, with no thought given to speed.
#[derive(Debug, Default)]
struct Model {
    exchanges: BTreeMap<u8, ModelExchange>,
    queues: BTreeSet<u8>,
    edges: Vec<Edge>,
}

impl Model {
    fn can_bind(&self, edge: &Edge) -> bool {
        let is_there = if edge.to_queue {
            self.queues.contains(&edge.destination)
        } else {
            self.exchanges.contains_key(&edge.destination)
        };
        let takes = |source: &ModelExchange| match source.kind {
            "topic" => words(&edge.key).iter().filter(|w| **w == "#").count() <= 2,
            "x-consistent-hash" => edge.key.parse::<u32>().is_ok_and(|weight| weight > 0),
            "x-local-random" => edge.to_queue && edge.key.is_empty(),
            _ => true,
        };
        is_there && self.exchanges.get(&edge.source).is_some_and(takes)
    }

    fn bind(&mut self, edge: &Edge) {
        if !self.edges.iter().any(|known| is_same_edge(known, edge)) {
            self.edges.push(edge.clone());
        }
        if let Some(source) = self.exchanges.get_mut(&edge.source) {
            source.was_source = true;
        }
    }

    fn unbind(&mut self, edge: &Edge) {
        self.edges.retain(|known| !is_same_edge(known, edge));
        self.tidy();
    }

    /// Lets go what has lost its ends or its last binding, until nothing has.
    fn tidy(&mut self) {
        loop {
            let (exchanges, queues) = (&self.exchanges, &self.queues);
            self.edges.retain(|edge| {
                exchanges.contains_key(&edge.source)
                    && if edge.to_queue {
                        queues.contains(&edge.destination)
                    } else {
                        exchanges.contains_key(&edge.destination)
                    }
            });
            let before = self.exchanges.len();
            let edges = &self.edges;
            self.exchanges.retain(|name, exchange| {
                let is_source = edges.iter().any(|edge| edge.source == *name);
                !(exchange.auto_delete && exchange.was_source && !is_source)
            });
            if self.exchanges.len() == before {
                return;
            }
        }
    }

    /// Every set of queues that a message may go to: one, unless some exchange
    /// picks.
    fn outcomes(&self, start: u8, keys: &[String], headers: &FieldTable) -> BTreeSet<BTreeSet<u8>> {
        let mut outcomes = BTreeSet::new();
        let mut walks = vec![Walk {
            left: vec![start],
            ..Walk::default()
        }];
        while let Some(mut walk) = walks.pop() {
            let Some(name) = walk.left.pop() else {
                outcomes.insert(walk.found);
                continue;
            };
            let exchange = self.exchanges.get(&name);
            let Some(exchange) = exchange.filter(|_| walk.seen.insert(name)) else {
                walks.push(walk);
                continue;
            };
            let bound = self.edges.iter().filter(|edge| edge.source == name);
            let matched: Vec<_> = bound
                .filter(|edge| fits(exchange.kind, edge, keys, headers))
                .collect();
            if matched.is_empty() {
                walk.left.extend(exchange.alternate);
            }
            if picks(exchange.kind) && !matched.is_empty() {
                walks.extend(matched.iter().map(|edge| walk.clone().along(edge)));
            } else {
                walks.push(matched.iter().fold(walk, |walk, edge| walk.along(edge)));
            }
        }
        outcomes
    }
}

/// How far a message has come.
#[derive(Debug, Default, Clone)]
struct Walk {
    left: Vec<u8>,
    seen: BTreeSet<u8>,
    found: BTreeSet<u8>,
}

impl Walk {
    fn along(mut self, edge: &Edge) -> Self {
        if edge.to_queue {
            self.found.insert(edge.destination);
        } else {
            self.left.push(edge.destination);
        }
        self
    }
}

/// Whether a message goes to one of what is bound, rather than to all that fits.
fn picks(kind: &str) -> bool {
    kind.starts_with("x-") && kind != "x-recent-history"
}

fn is_same_edge(one: &Edge, other: &Edge) -> bool {
    let sorted = |edge: &Edge| {
        let mut edge = edge.clone();
        edge.arguments.sort();
        edge
    };
    sorted(one) == sorted(other)
}

fn fits(kind: &str, edge: &Edge, keys: &[String], headers: &FieldTable) -> bool {
    match kind {
        "direct" => keys.contains(&edge.key),
        "topic" => keys
            .iter()
            .any(|key| words_fit(&words(&edge.key), &words(key))),
        "headers" => headers_fit(&edge.arguments, headers),
        _ => true,
    }
}

fn words(key: &str) -> Vec<&str> {
    if key.is_empty() {
        return Vec::new();
    }
    key.split('.').collect()
}

fn words_fit(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern, key) {
        ([], []) => true,
        (["#", rest @ ..], _) => {
            (0..=key.len()).any(|swallowed| words_fit(rest, &key[swallowed..]))
        }
        (["*", rest @ ..], [_, key @ ..]) => words_fit(rest, key),
        ([word, rest @ ..], [first, key @ ..]) => word == first && words_fit(rest, key),
        _ => false,
    }
}

fn headers_fit(criteria: &FieldTable, headers: &FieldTable) -> bool {
    let how = criteria.get("x-match").and_then(FieldValue::as_str);
    let with_x = matches!(how, Some("all-with-x" | "any-with-x"));
    let mut met = criteria
        .iter()
        .filter(|(name, _)| {
            if with_x {
                *name != "x-match"
            } else {
                !name.starts_with(b"x-")
            }
        })
        .map(|(name, wanted)| match (wanted, headers.get_octets(name)) {
            (_, None) => false,
            (FieldValue::Void, Some(_)) => true,
            (wanted, Some(value)) => match (wanted.as_i64(), value.as_i64()) {
                (Some(wanted), Some(value)) => wanted == value,
                _ => wanted == value,
            },
        });
    if matches!(how, Some("any" | "any-with-x")) {
        met.any(|met| met)
    } else {
        met.all(|met| met)
    }
}

/// The real one and the model, side by side.
struct Pair {
    vhost: Vhost,
    effects: Effects,
    model: Model,
}

impl Pair {
    fn new() -> Self {
        let store = Arc::new(NullStore::default());
        Self {
            vhost: Vhost::new(
                "/".into(),
                Arc::new(QueueIds::default()),
                Surroundings::new(store, Arc::default()),
            ),
            effects: Effects::default(),
            model: Model::default(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::DeclareExchange {
                name,
                kind,
                auto_delete,
                alternate,
            } => self.declare_exchange(*name, kind, *auto_delete, *alternate),
            Step::DeclareQueue(name) => {
                let name_text = queue_name(*name);
                let request = QueueDeclare {
                    queue: &name_text,
                    ..QueueDeclare::default()
                };
                self.vhost
                    .declare_queue(&request, ME, String::new, &mut self.effects)
                    .unwrap();
                self.model.queues.insert(*name);
            }
            Step::DeleteExchange(name) => {
                self.vhost
                    .delete_exchange(&exchange_name(*name), false, &mut self.effects)
                    .unwrap();
                self.model.exchanges.remove(name);
                self.model.tidy();
            }
            Step::DeleteQueue(name) => {
                self.vhost
                    .delete_queue(&queue_name(*name), false, false, ME, &mut self.effects)
                    .unwrap();
                self.model.queues.remove(name);
                self.model.tidy();
            }
            Step::Bind(edge) => {
                let can_bind = self.model.can_bind(edge);
                let bound = self.vhost.bind(spec_of(edge), ME, &mut self.effects);
                assert_eq!(bound.is_ok(), can_bind, "{edge:?}: {bound:?}");
                if can_bind {
                    self.model.bind(edge);
                }
            }
            Step::Unbind(edge) => self.unbind(edge),
            Step::UnbindAny(index) => {
                if !self.model.edges.is_empty() {
                    let edge = index.get(&self.model.edges).clone();
                    self.unbind(&edge);
                }
            }
            Step::Publish {
                exchange,
                keys,
                headers,
            } => self.publish(*exchange, keys, headers),
        }
        assert_eq!(
            self.vhost.bindings().len(),
            self.model.edges.len() + self.model.queues.len()
        );
    }

    fn declare_exchange(
        &mut self,
        name: u8,
        kind: &'static str,
        auto_delete: bool,
        alternate: Option<u8>,
    ) {
        if self.model.exchanges.contains_key(&name) {
            return;
        }
        let name_text = exchange_name(name);
        let mut request = ExchangeDeclare {
            exchange: &name_text,
            kind,
            auto_delete,
            ..ExchangeDeclare::default()
        };
        if let Some(alternate) = alternate {
            let alternate = exchange_name(alternate);
            request.arguments.set("alternate-exchange", &*alternate);
        }
        self.vhost
            .declare_exchange(&request, &mut self.effects)
            .unwrap();
        let exchange = ModelExchange {
            kind,
            auto_delete,
            alternate,
            was_source: false,
        };
        self.model.exchanges.insert(name, exchange);
    }

    fn unbind(&mut self, edge: &Edge) {
        self.vhost
            .unbind(&spec_of(edge), ME, &mut self.effects)
            .unwrap();
        self.model.unbind(edge);
    }

    fn publish(&self, exchange: Option<u8>, keys: &[String], headers: &FieldTable) {
        let name = exchange.map_or_else(String::new, exchange_name);
        let is_there = exchange.is_none_or(|name| self.model.exchanges.contains_key(&name));
        let target = self.vhost.check_publish(&name);
        assert_eq!(target.is_ok(), is_there);
        let found = self.route(&name, keys, headers);
        assert_eq!(found.is_some(), is_there);
        let (Some(found), Ok(target)) = (found, target) else {
            return;
        };
        let expected = match exchange {
            Some(exchange) => self.model.outcomes(exchange, keys, headers),
            None => {
                let is_named = |queue: &&u8| keys.contains(&queue_name(**queue));
                let named = self.model.queues.iter().filter(is_named).copied();
                [named.collect()].into()
            }
        };
        let names = |outcome: BTreeSet<u8>| outcome.into_iter().map(queue_name).collect();
        let expected: Vec<BTreeSet<String>> = expected.into_iter().map(names).collect();
        assert!(
            expected.contains(&found),
            "{name:?} {keys:?} {headers:?}: {found:?} is none of {expected:?}"
        );
        // A route may be kept only if the next message takes it, too.
        if target.cacheable {
            let next = self.route(&name, keys, &FieldTable::new());
            assert_eq!(next, Some(found), "{name:?} {keys:?} {headers:?}");
        }
    }

    /// The names of the queues that a message goes to, each once.
    fn route(
        &self,
        exchange: &str,
        keys: &[String],
        headers: &FieldTable,
    ) -> Option<BTreeSet<String>> {
        let octets: Vec<_> = keys.iter().map(String::as_bytes).collect();
        let (main, copies) = octets.split_first().unwrap();
        let mut out = Vec::new();
        let keys = RoutingKeys::with_copies(main, copies);
        let routed = self
            .vhost
            .route(exchange, keys, &mut headers.clone(), &mut out);
        let found: BTreeSet<_> = out.iter().map(|queue| queue.name().to_string()).collect();
        assert_eq!(found.len(), out.len(), "a queue comes twice");
        routed.ok().map(|()| found)
    }
}

fn exchange_name(name: u8) -> String {
    format!("x{name}")
}

fn queue_name(name: u8) -> String {
    format!("q{name}")
}

fn spec_of(edge: &Edge) -> BindingSpec {
    BindingSpec {
        source: exchange_name(edge.source).into(),
        destination: if edge.to_queue {
            Destination::Queue(queue_name(edge.destination).into())
        } else {
            Destination::Exchange(exchange_name(edge.destination).into())
        },
        routing_key: (*edge.key).into(),
        arguments: edge.arguments.clone(),
    }
}

fn name() -> impl Strategy<Value = u8> {
    0..NAMES
}

/// A key or a pattern: few words, so that some fit.
fn key() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        3 => Just("a"), 2 => Just("b"), 1 => Just(""), 2 => Just("*"), 3 => Just("#"), 1 => Just("q1"),
    ];
    prop_oneof![
        6 => prop::collection::vec(word, 0..5).prop_map(|words| words.join(".")),
        1 => Just(String::new()),
        1 => (0..4_u8).prop_map(|weight| weight.to_string()),
    ]
}

fn value() -> impl Strategy<Value = FieldValue> {
    prop_oneof![
        Just(FieldValue::I32(1)),
        Just(FieldValue::I64(1)),
        Just(FieldValue::U8(2)),
        Just(FieldValue::Bool(true)),
        Just(FieldValue::str("1")),
        Just(FieldValue::Void),
        Just(FieldValue::F64(1.0)),
    ]
}

fn headers() -> impl Strategy<Value = FieldTable> {
    prop::collection::vec((prop::sample::select(vec!["a", "b", "x-c"]), value()), 0..4)
        .prop_map(|entries| entries.into_iter().collect())
}

fn criteria() -> impl Strategy<Value = FieldTable> {
    let how = prop::sample::select(vec!["", "all", "any", "all-with-x", "any-with-x"]);
    (headers(), how).prop_map(|(mut criteria, how)| {
        if !how.is_empty() {
            criteria.push("x-match", how);
        }
        criteria
    })
}

fn edge() -> impl Strategy<Value = Edge> {
    let arguments = prop_oneof![Just(FieldTable::new()), criteria()];
    (name(), any::<bool>(), name(), key(), arguments).prop_map(
        |(source, to_queue, destination, key, arguments)| Edge {
            source,
            to_queue,
            destination,
            key,
            arguments,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        5 => prop::sample::select(vec!["direct", "fanout", "topic", "topic", "headers"]),
        2 => prop::sample::select(vec![
            "x-consistent-hash", "x-modulus-hash", "x-random", "x-local-random", "x-recent-history",
        ]),
    ];
    let exchange = (
        name(),
        kind,
        prop::bool::weighted(0.3),
        prop::option::of(name()),
    );
    let keys = prop::collection::vec(key(), 1..3);
    prop_oneof![
        4 => exchange.prop_map(|(name, kind, auto_delete, alternate)| Step::DeclareExchange {
            name, kind, auto_delete, alternate,
        }),
        4 => name().prop_map(Step::DeclareQueue),
        1 => name().prop_map(Step::DeleteExchange),
        1 => name().prop_map(Step::DeleteQueue),
        12 => edge().prop_map(Step::Bind),
        1 => edge().prop_map(Step::Unbind),
        2 => any::<prop::sample::Index>().prop_map(Step::UnbindAny),
        12 => (prop::option::weighted(0.9, name()), keys, headers())
            .prop_map(|(exchange, keys, headers)| Step::Publish { exchange, keys, headers }),
    ]
}

proptest! {
    // A case that fails is printed; what it teaches becomes a test by name.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn routes_are_what_the_model_says(steps in prop::collection::vec(step(), 1..200)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.step(step);
        }
    }

    #[test]
    fn topic_patterns_fit_what_the_model_says(
        patterns in prop::collection::vec(key(), 1..20),
        keys in prop::collection::vec(key(), 1..20),
    ) {
        let mut pair = Pair::new();
        pair.declare_exchange(0, "topic", false, None);
        for (pattern, queue) in patterns.iter().zip(0..) {
            pair.step(&Step::DeclareQueue(queue));
            pair.step(&Step::Bind(Edge {
                source: 0,
                to_queue: true,
                destination: queue,
                key: pattern.clone(),
                arguments: FieldTable::new(),
            }));
        }
        for key in keys {
            pair.publish(Some(0), &[key], &FieldTable::new());
        }
    }
}
