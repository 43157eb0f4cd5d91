//! What commands that ask the API have in common: options, lists, single
//! objects, and telling what was done.

use std::io::{self, IsTerminal};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use fancy_regex::Regex;
use serde_json::Value;

use super::Failure;
use super::api::{Access, Api};
use super::fields::{Column, Shape, Usual, at, cell, compare, flat, project};
use super::format::{Format, print};
use super::table::{Canvas, Table};

/// The options of every command that asks the management API.
#[derive(Debug, Clone, Default, Args)]
pub struct Asking {
    /// Where the API is.
    #[command(flatten)]
    pub access: Access,
    /// How to print it [default: table on a terminal, else json]
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<Format>,
}

impl Asking {
    /// The API that is meant, and where answers go.
    ///
    /// # Errors
    /// A usage failure of [`Access::open`].
    pub fn open(&self) -> Result<Console, Failure> {
        Ok(Console {
            api: self.access.open()?,
            format: Format::or_fitting(self.format),
        })
    }
}

/// What to show of a list.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "List")]
pub struct Listing {
    /// Show these fields, as the API names them, inner ones with a dot
    #[arg(long, value_name = "A,B.C", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Sort by this field
    #[arg(long, value_name = "FIELD")]
    pub sort: Option<String>,
    /// Largest first
    #[arg(long)]
    pub reverse: bool,
    /// Only those whose name matches this pattern
    #[arg(long, value_name = "REGEX")]
    pub matching: Option<String>,
    /// Only so many of them
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// A kind of object that the API has lists of.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// What many of them are called.
    pub many: &'static str,
    /// The field that `--matching` looks at.
    pub name: &'static str,
    /// The columns that are shown unless asked for others.
    pub columns: &'static [Usual],
}

/// An API, and how its answers are printed.
#[derive(Debug)]
pub struct Console {
    /// Whom to ask.
    pub api: Api,
    /// How to print.
    pub format: Format,
}

impl Console {
    /// Prints the objects at `path`, one a row. `hidden` is the usual column that
    /// would be the same in each.
    ///
    /// # Errors
    /// What the API refuses, a pattern that is none.
    pub fn list(
        &self,
        kind: Kind,
        path: &str,
        listing: &Listing,
        hidden: Option<&str>,
    ) -> Result<(), Failure> {
        let columns = listing.columns(kind, hidden);
        let query = listing.query(kind, &columns, self.format);
        let query: Vec<(&str, &str)> = query.iter().map(|(key, value)| (*key, &**value)).collect();
        let found = self.api.get_with(path, &query).map_err(|error| {
            let many = kind.many;
            error.about(format!(
                "virtual host or object of that name to list {many} of"
            ))
        })?;
        self.print_list(kind, found, listing, &columns)
    }

    /// Prints objects that were asked for already.
    ///
    /// # Errors
    /// A pattern that is none, a stdout that fails.
    pub fn print_list(
        &self,
        kind: Kind,
        found: Value,
        listing: &Listing,
        columns: &[Column],
    ) -> Result<(), Failure> {
        let objects = listing.choose(kind, items(found))?;
        if self.format == Format::Json {
            let fields: Vec<&str> = columns.iter().map(|column| &*column.field).collect();
            let printed = match listing.columns.is_empty() {
                true => objects,
                false => objects.iter().map(|one| project(one, &fields)).collect(),
            };
            return self.json(&Value::Array(printed));
        }
        if objects.is_empty() {
            return self.note(&format!("no {}", kind.many));
        }
        let now = now_ms();
        let mut table = Table::new(columns.iter().map(|column| &*column.title));
        for object in &objects {
            table.push(columns.iter().map(|one| one.cell(object, now)).collect());
        }
        print(&table.render(Canvas::stdout())).map(drop)
    }

    /// Prints one object, all of it.
    ///
    /// # Errors
    /// Stdout fails.
    pub fn show(&self, object: &Value) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.json(object);
        }
        let rows = flat(object);
        let rows = rows
            .into_iter()
            .map(|(name, value)| (name, cell(value, Shape::Plain, 0)));
        print(&Table::of_one(rows).render(Canvas::stdout())).map(drop)
    }

    /// Prints what the API said.
    ///
    /// # Errors
    /// Stdout fails.
    pub fn json(&self, value: &Value) -> Result<(), Failure> {
        print(&format!("{value:#}")).map(drop)
    }

    /// Tells people what was done; programs go by the exit code.
    ///
    /// # Errors
    /// Stdout fails.
    pub fn say(&self, sentence: &str) -> Result<(), Failure> {
        match self.format {
            Format::Table => print(&super::table::harmless(sentence)).map(drop),
            Format::Json => Ok(()),
        }
    }

    /// Tells people what is no part of the answer, and keeps it out of pipes.
    fn note(&self, sentence: &str) -> Result<(), Failure> {
        if io::stdout().is_terminal() {
            return self.say(sentence);
        }
        Ok(())
    }
}

impl Listing {
    /// The columns to show.
    pub fn columns(&self, kind: Kind, hidden: Option<&str>) -> Vec<Column> {
        if self.columns.is_empty() {
            let shown = kind
                .columns
                .iter()
                .filter(|(field, ..)| Some(*field) != hidden);
            return shown.map(Column::usual).collect();
        }
        let names = self.columns.iter().map(|name| name.trim());
        names
            .map(|name| Column::named(name, kind.columns))
            .collect()
    }

    /// Leaves out of the answer what nobody will see of it.
    fn query(&self, kind: Kind, columns: &[Column], format: Format) -> Vec<(&'static str, String)> {
        if format == Format::Json && self.columns.is_empty() {
            return Vec::new();
        }
        let mut fields: Vec<&str> = columns.iter().map(|column| &*column.field).collect();
        fields.push(kind.name);
        let sort = self
            .sort
            .as_deref()
            .map(|sort| Column::named(sort, kind.columns));
        fields.extend(sort.as_ref().map(|sort| &*sort.field));
        vec![("columns", fields.join(","))]
    }

    /// Those of `objects` that are asked for, in the order asked for.
    ///
    /// # Errors
    /// A pattern that is none.
    pub fn choose(&self, kind: Kind, mut objects: Vec<Value>) -> Result<Vec<Value>, Failure> {
        if let Some(pattern) = &self.matching {
            let pattern = pattern_of(pattern)?;
            objects.retain(|object| {
                let name = at(object, kind.name).as_str().unwrap_or_default();
                pattern.is_match(name).unwrap_or(false)
            });
        }
        if let Some(sort) = &self.sort {
            let column = Column::named(sort, kind.columns);
            objects.sort_by(|one, other| compare(at(one, &column.field), at(other, &column.field)));
        }
        if self.reverse {
            objects.reverse();
        }
        objects.truncate(self.limit.unwrap_or(usize::MAX));
        Ok(objects)
    }
}

/// The pattern of `--matching`.
///
/// # Errors
/// It is none.
pub fn pattern_of(pattern: &str) -> Result<Regex, Failure> {
    Regex::new(pattern)
        .map_err(|error| Failure::Usage(format!("--matching {pattern} is no pattern: {error}")))
}

/// The objects of a list, whole or one page of it.
pub fn items(found: Value) -> Vec<Value> {
    match found {
        Value::Array(items) => items,
        Value::Object(mut page) => match page.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as u64)
}
