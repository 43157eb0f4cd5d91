//! The headers exchange: to what is bound with criteria the headers meet.

use ahash::RandomState;
use bytes::Bytes;
use hashbrown::HashMap;

use super::targets::Target;
use crate::broker::binding::BindingId;
use crate::broker::erlang;
use crate::broker::resource::precondition;
use crate::wire::{FieldTable, FieldValue, Refusal};

/// The argument that says how the criteria combine.
const MATCH: &[u8] = b"x-match";

/// What is bound to a headers exchange.
#[derive(Debug, Default)]
pub(in crate::broker) struct HeadersTable {
    entries: Vec<Entry>,
    places: HashMap<BindingId, u32, RandomState>,
}

#[derive(Debug)]
struct Entry {
    binding: BindingId,
    criteria: Criteria,
    target: Target,
}

impl HeadersTable {
    pub(super) fn insert(&mut self, binding: BindingId, arguments: &FieldTable, target: &Target) {
        self.places.insert(binding, self.entries.len() as u32);
        self.entries.push(Entry {
            binding,
            criteria: Criteria::of(arguments),
            target: target.clone(),
        });
    }

    pub(super) fn remove(&mut self, binding: BindingId) {
        let Some(place) = self.places.remove(&binding) else {
            return;
        };
        self.entries.swap_remove(place as usize);
        if let Some(moved) = self.entries.get(place as usize) {
            self.places.insert(moved.binding, place);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn route(&self, headers: &FieldTable, found: &mut dyn FnMut(&Target)) {
        for entry in &self.entries {
            if entry.criteria.are_met_by(headers) {
                found(&entry.target);
            }
        }
    }
}

/// How criteria combine, and whether those named `x-...` are among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Combination {
    All,
    Any,
    AllWithX,
    AnyWithX,
}

impl Combination {
    /// Reads `x-match`; [`None`] if it is none of the four words.
    fn of(arguments: &FieldTable) -> Option<Self> {
        match arguments.get_octets(MATCH) {
            None => Some(Self::All),
            Some(value) => match value.as_octets()? {
                b"all" => Some(Self::All),
                b"any" => Some(Self::Any),
                b"all-with-x" => Some(Self::AllWithX),
                b"any-with-x" => Some(Self::AnyWithX),
                _ => None,
            },
        }
    }

    fn considers(self, name: &[u8]) -> bool {
        match self {
            Self::All | Self::Any => !name.starts_with(b"x-"),
            Self::AllWithX | Self::AnyWithX => name != MATCH,
        }
    }
}

/// The arguments of a binding, made ready for matching.
#[derive(Debug)]
struct Criteria {
    any: bool,
    /// A name, and the value it must have; void asks for its presence only.
    wanted: Box<[(Bytes, FieldValue)]>,
}

impl Criteria {
    fn of(arguments: &FieldTable) -> Self {
        // Checked when bound; what can't be read is as strict as can be.
        let combination = Combination::of(arguments).unwrap_or(Combination::AllWithX);
        let wanted = arguments
            .iter()
            .filter(|(name, _)| combination.considers(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Self {
            any: matches!(combination, Combination::Any | Combination::AnyWithX),
            wanted,
        }
    }

    fn are_met_by(&self, headers: &FieldTable) -> bool {
        let mut met = self.wanted.iter().map(|(name, wanted)| {
            headers
                .get_octets(name)
                .is_some_and(|value| is_same(wanted, value))
        });
        if self.any {
            met.any(|met| met)
        } else {
            met.all(|met| met)
        }
    }
}

/// Whether a header has the value a binding wants. Integers of any width and
/// floats of either compare by value; nothing else is converted.
fn is_same(wanted: &FieldValue, value: &FieldValue) -> bool {
    match (wanted, value) {
        (FieldValue::Void, _) => true,
        (FieldValue::F32(_) | FieldValue::F64(_), FieldValue::F32(_) | FieldValue::F64(_)) => {
            as_f64(wanted) == as_f64(value)
        }
        _ => match (wanted.as_i64(), value.as_i64()) {
            (Some(wanted), Some(value)) => wanted == value,
            _ => wanted == value,
        },
    }
}

fn as_f64(value: &FieldValue) -> Option<f64> {
    match *value {
        FieldValue::F32(v) => Some(v.into()),
        FieldValue::F64(v) => Some(v),
        _ => None,
    }
}

/// Checks the arguments of a binding to be.
///
/// # Errors
/// 406 when `x-match` isn't one of its four words (`semantics` 7).
pub(super) fn check_arguments(arguments: &FieldTable) -> Result<(), Refusal> {
    let Some(value) = arguments.get_octets(MATCH) else {
        return Ok(());
    };
    if Combination::of(arguments).is_some() {
        return Ok(());
    }
    Err(precondition(match value.as_octets() {
        Some(octets) => format!(
            "Invalid x-match field value {}; expected all, any, all-with-x, or any-with-x",
            erlang::binary(octets)
        ),
        None => format!(
            "Invalid x-match field type {} (value {}); expected longstr",
            value.type_name(),
            erlang::term(value)
        ),
    }))
}
