//! The regular expressions of permissions and policies.

use std::fmt;
use std::sync::{Arc, OnceLock};

use fancy_regex::{Regex, RegexBuilder};

use crate::base::limits::{PATTERN_BACKTRACKS_MAX, PATTERN_MEMORY_MAX};

/// A regular expression as RabbitMQ takes it: Perl's syntax with look-around
/// and back-references, found anywhere in a name unless it is anchored.
///
/// It is compiled when it is first looked for: compiled it takes some 40 KB, and
/// of many users with patterns of their own few are there at a time. Clones
/// share what is compiled.
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
    /// What it is compiled to; `None` inside, found nowhere, should that fail.
    Expression(Arc<OnceLock<Option<Regex>>>),
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
    /// A pattern from somebody who may have mistaken.
    ///
    /// # Errors
    /// [`BadPattern`] when it is malformed or takes too much memory.
    pub fn new(source: &str) -> Result<Self, BadPattern> {
        let pattern = Self::kept(source);
        match pattern.form {
            Form::Expression(_) => compiled(source).map(|_| pattern),
            _ => Ok(pattern),
        }
    }

    /// One that was a pattern before.
    pub fn kept(source: &str) -> Self {
        let form = if matches!(source, ".*" | "^.*") {
            Form::Everything
        } else {
            Form::Expression(Arc::default())
        };
        let source = source.into();
        Self { source, form }
    }

    /// The same, but an empty `source` is found in the empty name alone: that
    /// is what it means in a permission.
    ///
    /// # Errors
    /// As [`Pattern::new`].
    pub fn of_permission(source: &str) -> Result<Self, BadPattern> {
        if source.is_empty() {
            return Ok(Self::kept_of_permission(source));
        }
        Self::new(source)
    }

    /// One that was a pattern of a permission before.
    pub fn kept_of_permission(source: &str) -> Self {
        if !source.is_empty() {
            return Self::kept(source);
        }
        Self {
            source: source.into(),
            form: Form::Empty,
        }
    }

    /// Whether it is found in `name`. A search that takes too many steps finds
    /// nothing.
    pub fn is_in(&self, name: &str) -> bool {
        match &self.form {
            Form::Everything => true,
            Form::Empty => name.is_empty(),
            Form::Expression(regex) => {
                let regex = regex.get_or_init(|| self.compile());
                let found = regex.as_ref().map(|regex| regex.is_match(name));
                found.is_some_and(|found| found.unwrap_or(false))
            }
        }
    }

    #[cold]
    fn compile(&self) -> Option<Regex> {
        compiled(&self.source)
            .inspect_err(|error| tracing::error!(%error, "a pattern fits nothing any more"))
            .ok()
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
