//! Lists as clients ask for them: filtered, sorted, cut into pages, some columns.
//!
//! Of rows that aren't on the page no more is made JSON than what they are sorted
//! by, and of those that are no more than the columns wanted.

use std::cmp::Ordering;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde_json::{Map, Value, json};

use super::query::Query;
use super::reply::ApiError;
use super::row::Wanted;
use crate::base::limits::PAGE_SIZES;
use crate::broker::pattern::Pattern;

/// How a list is wanted.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The column to sort by, a name for each step into the row.
    sort: Option<Vec<String>>,
    reverse: bool,
    /// The columns wanted; none is all of them.
    columns: Vec<Vec<String>>,
    /// The page wanted; none is all there is.
    page: Option<Page>,
}

/// A page of a list, of which the first is 1.
#[derive(Debug, Clone)]
struct Page {
    number: usize,
    size: usize,
    name: NameFilter,
}

/// What the names of rows have to be like.
#[derive(Debug, Clone)]
enum NameFilter {
    Any,
    /// In lower case.
    Containing(String),
    Matching(Pattern),
    /// The pattern given is none.
    Nothing,
}

impl NameFilter {
    fn of(text: &str, is_pattern: bool) -> Self {
        if text.is_empty() {
            return Self::Any;
        }
        if !is_pattern {
            return Self::Containing(text.to_lowercase());
        }
        Pattern::new(&format!("(?i){text}")).map_or(Self::Nothing, Self::Matching)
    }

    fn takes(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Containing(text) => name.to_lowercase().contains(text),
            Self::Matching(pattern) => pattern.is_in(name),
            Self::Nothing => false,
        }
    }
}

impl Listing {
    /// What a query asks for.
    ///
    /// # Errors
    /// 400 when its page makes no sense.
    pub fn of(query: &Query) -> Result<Self, ApiError> {
        let steps = |column: &str| column.split('.').map(str::to_owned).collect::<Vec<_>>();
        let columns = query.get("columns").filter(|columns| !columns.is_empty());
        let sort = query.get("sort").filter(|sort| !sort.is_empty());
        Ok(Self {
            sort: sort.map(steps),
            reverse: query.flag("sort_reverse"),
            columns: columns.map_or(Vec::new(), |all| all.split(',').map(steps).collect()),
            page: Page::of(query)?,
        })
    }

    /// Makes a list of `rows`, which are in the order of their names already,
    /// each of which is called `name` and looks like `format`, as far as that is
    /// wanted. A row has to look alike whether much or little of it is.
    ///
    /// # Errors
    /// 400 when there are fewer pages than that.
    pub fn list<T>(
        &self,
        mut rows: Vec<T>,
        name: impl Fn(&T) -> &str,
        format: impl Fn(&T, &Wanted<'_>) -> Value,
    ) -> Result<Value, ApiError> {
        let total = rows.len();
        if let Some(page) = &self.page {
            rows.retain(|row| page.name.takes(name(row)));
        }
        let filtered = rows.len();
        let range = match &self.page {
            Some(page) => page.range(filtered)?,
            None => 0..filtered,
        };
        self.put_in_order(&mut rows, &format);
        let wanted = self.wanted();
        let items: Vec<_> = rows
            .drain(range)
            .map(|row| self.project(format(&row, &wanted)))
            .collect();
        let Some(page) = &self.page else {
            return Ok(Value::Array(items));
        };
        Ok(json!({
            "filtered_count": filtered,
            "item_count": items.len(),
            "page": page.number,
            "page_count": filtered.div_ceil(page.size),
            "page_size": page.size,
            "total_count": total,
            "items": items,
        }))
    }

    /// Rows that have the same in the column stay in the order of their names.
    fn put_in_order<T>(&self, rows: &mut Vec<T>, format: impl Fn(&T, &Wanted<'_>) -> Value) {
        if let Some(sort) = &self.sort {
            let by = Wanted::Some(sort.first().map(|step| &**step).into_iter().collect());
            let key = |row: &T| at(format(row, &by), sort);
            let mut keyed: Vec<_> = rows.drain(..).map(|row| (key(&row), row)).collect();
            keyed.sort_by(|(one, _), (other, _)| order(one.as_ref(), other.as_ref()));
            rows.extend(keyed.into_iter().map(|(_, row)| row));
        }
        if self.reverse {
            rows.reverse();
        }
    }

    /// Which columns [`Listing::project`] leaves.
    pub fn wanted(&self) -> Wanted<'_> {
        if self.columns.is_empty() {
            return Wanted::All;
        }
        let first = self.columns.iter().filter_map(|column| column.first());
        Wanted::Some(first.map(|step| &**step).collect())
    }

    /// A row with nothing but the columns wanted.
    pub fn project(&self, row: Value) -> Value {
        if self.columns.is_empty() {
            return row;
        }
        let columns: Vec<_> = self.columns.iter().map(Vec::as_slice).collect();
        pick(row, &columns)
    }
}

impl Page {
    fn of(query: &Query) -> Result<Option<Self>, ApiError> {
        let Some(number) = query.get("page") else {
            return Ok(None);
        };
        let size = query.get("page_size");
        let (usual, most) = PAGE_SIZES;
        let parsed = (
            number.parse::<i64>(),
            size.map_or(Ok(usual as i64), str::parse),
        );
        let (Ok(page), Ok(rows)) = parsed else {
            return Err(ApiError::bad_request("Pagination parameters are invalid"));
        };
        let valid = match (usize::try_from(page), usize::try_from(rows)) {
            (Ok(page @ 1..), Ok(rows @ 1..)) if rows <= most => Some((page, rows)),
            _ => None,
        };
        let Some((number, size)) = valid else {
            return Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "invalid_pagination_parameters",
                format!(
                    "Invalid pagination parameters: page number {page}, page size {}",
                    size.unwrap_or("undefined")
                ),
            ));
        };
        let name = query.get("name").unwrap_or_default();
        Ok(Some(Self {
            number,
            size,
            name: NameFilter::of(name, query.flag("use_regex")),
        }))
    }

    /// Which of `len` rows are on it. The first page is there even if empty.
    fn range(&self, len: usize) -> Result<std::ops::Range<usize>, ApiError> {
        let first = (self.number - 1).saturating_mul(self.size);
        if first > 0 && first >= len {
            let Self { number, size, .. } = self;
            return Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "page_out_of_range",
                format!("Page out of range, page: {number} page size: {size}, len: {len}"),
            ));
        }
        Ok(first..len.min(first + self.size))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Listing {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Self::of(&Query::from_request_parts(parts, state).await?)
    }
}

/// What a row has in a column.
fn at(row: Value, column: &[String]) -> Option<Value> {
    column
        .iter()
        .try_fold(row, |mut value, step| value.get_mut(step).map(Value::take))
}

/// The columns of a value; those of each element of a list. A column that is
/// there in some rows alone is absent in the others.
fn pick(value: Value, columns: &[&[String]]) -> Value {
    match value {
        Value::Array(values) => Value::Array(
            values
                .into_iter()
                .map(|value| pick(value, columns))
                .collect(),
        ),
        Value::Object(object) => {
            let mut picked = Map::new();
            for (key, value) in object {
                let below: Vec<_> = columns
                    .iter()
                    .filter_map(|column| column.split_first())
                    .filter(|(step, _)| **step == key)
                    .map(|(_, rest)| rest)
                    .collect();
                if below.iter().any(|rest| rest.is_empty()) {
                    picked.insert(key, value);
                } else if !below.is_empty() {
                    picked.insert(key, pick(value, &below));
                }
            }
            Value::Object(picked)
        }
        other => other,
    }
}

/// The order of Erlang's terms, which JSON values stand for; nothing is 0.
fn order(one: Option<&Value>, other: Option<&Value>) -> Ordering {
    let number = |value: Option<&Value>| value.map_or(Some(0.0), Value::as_f64);
    if let (Some(one), Some(other)) = (number(one), number(other)) {
        return one.total_cmp(&other);
    }
    match (one, other) {
        (Some(Value::String(one)), Some(Value::String(other))) => one.cmp(other),
        _ => rank(one).cmp(&rank(other)),
    }
}

/// Numbers, atoms by name, maps, lists, texts.
fn rank(value: Option<&Value>) -> u8 {
    match value {
        None | Some(Value::Number(_)) => 0,
        Some(Value::Bool(false)) => 1,
        Some(Value::Null) => 2,
        Some(Value::Bool(true)) => 3,
        Some(Value::Object(_)) => 4,
        Some(Value::Array(_)) => 5,
        Some(Value::String(_)) => 6,
    }
}
