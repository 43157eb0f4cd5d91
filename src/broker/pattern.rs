//! The regular expressions of permissions and policies.

use std::fmt;
use std::sync::Arc;

use fancy_regex::{Regex, RegexBuilder};

use crate::base::limits::{PATTERN_BACKTRACKS_MAX, PATTERN_MEMORY_MAX};

/// A regular expression as RabbitMQ takes it: Perl's syntax with look-around
/// and back-references, found anywhere in a name unless it is anchored.
#[derive(Clone)]
pub struct Pattern {
    source: Arc<str>,
    form: Form,
}

#[derive(Clone)]
enum Form {
    /// Found in every name.
    Everything,
    /// Found in the empty name alone.
    Empty,
    /// Found in none.
    Nothing,
    Expression(Arc<Regex>),
}

/// An expression that doesn't compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid regular expression '{source_text}': {why}")]
pub struct BadPattern {
    /// The expression.
    pub source_text: String,
    /// What is wrong with it.
    pub why: String,
}

impl Pattern {
    /// Compiles `source`.
    ///
    /// # Errors
    /// [`BadPattern`] when it is malformed or takes too much memory.
    pub fn new(source: &str) -> Result<Self, BadPattern> {
        let form = if matches!(source, ".*" | "^.*") {
            Form::Everything
        } else {
            Form::Expression(Arc::new(compiled(source)?))
        };
        Ok(Self {
            source: source.into(),
            form,
        })
    }

    /// The same, but an empty `source` is found in the empty name alone: that
    /// is what it means in a permission.
    ///
    /// # Errors
    /// As [`Pattern::new`].
    pub fn of_permission(source: &str) -> Result<Self, BadPattern> {
        if !source.is_empty() {
            return Self::new(source);
        }
        Ok(Self {
            source: source.into(),
            form: Form::Empty,
        })
    }

    /// One that is found nowhere, whatever `source` says.
    pub fn nowhere(source: &str) -> Self {
        Self {
            source: source.into(),
            form: Form::Nothing,
        }
    }

    /// Whether it is found in `name`. A search that takes too many steps finds
    /// nothing.
    pub fn is_in(&self, name: &str) -> bool {
        match &self.form {
            Form::Everything => true,
            Form::Empty => name.is_empty(),
            Form::Nothing => false,
            Form::Expression(regex) => regex.is_match(name).unwrap_or(false),
        }
    }

    /// The expression as it was given.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }
}

fn compiled(source: &str) -> Result<Regex, BadPattern> {
    RegexBuilder::new(source)
        .backtrack_limit(PATTERN_BACKTRACKS_MAX)
        .delegate_size_limit(PATTERN_MEMORY_MAX)
        .build()
        .map_err(|error| BadPattern {
            source_text: source.to_owned(),
            why: error.to_string(),
        })
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}
