//! Rows of lists, made of no more than what is wanted of them.

/// Which columns of a row are wanted, by their first step into it.
#[derive(Debug, Clone, Default)]
pub enum Wanted<'a> {
    /// Every one there is.
    #[default]
    All,
    /// These.
    Some(Vec<&'a str>),
}

impl Wanted<'_> {
    /// Whether a column is.
    pub fn has(&self, column: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(columns) => columns.contains(&column),
        }
    }

    /// Whether a counter is, or the details of it.
    pub fn has_counter(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(columns) => columns
                .iter()
                .any(|column| column.strip_prefix(name).is_some_and(is_rest_of_counter)),
        }
    }
}

fn is_rest_of_counter(rest: &str) -> bool {
    rest.is_empty() || rest == "_details"
}

/// Puts columns into an object, those alone that are wanted: of the others not
/// even the value is looked up.
macro_rules! columns {
    ($row:expr, $wanted:expr; $($name:literal: $value:expr),* $(,)?) => {{
        let (row, wanted): (&mut serde_json::Map<String, serde_json::Value>, _) = ($row, $wanted);
        $(if wanted.has($name) {
            row.insert($name.to_owned(), serde_json::json!($value));
        })*
    }};
}

pub(super) use columns;
