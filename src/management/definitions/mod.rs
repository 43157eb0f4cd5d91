//! Definitions: what there has to be, in the format RabbitMQ exports.
//!
//! ```text
//!   text --document--> entries as written --parse--> Definitions --apply--> Shared
//!                      JSON, its types                checked by itself       checked
//!                                                                       against the rest
//! ```
//!
//! All of a file is checked as far as it can be by itself before anything is
//! changed. Importing adds and changes, never deletes; again is the same as
//! once. What is applied already stays when something later is refused, so a
//! mended file goes on from there.

mod apply;
mod document;
pub mod export;
mod parse;
mod policies;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use self::document::{GlobalParameter, Parameter};
use self::parse::{PermissionEntry, TopicEntry, UserEntry, VhostEntry};
use crate::base::ids::Batch;
use crate::broker::events::INTERNAL_USER;
use crate::broker::policy::Policy;
use crate::broker::spec::{BindingSpec, ExchangeSpec, QueueSpec};
use crate::server::shared::Shared;

/// Definitions, checked as far as they can be by themselves. Entries are in the
/// order of the file.
#[derive(Debug)]
pub struct Definitions {
    users: Vec<UserEntry>,
    vhosts: Vec<VhostEntry>,
    permissions: Vec<PermissionEntry>,
    topic_permissions: Vec<TopicEntry>,
    exchanges: Vec<In<ExchangeSpec>>,
    queues: Vec<In<QueueSpec>>,
    bindings: Vec<In<BindingSpec>>,
    /// With their places in the file.
    parameters: Vec<(usize, Parameter)>,
    global_parameters: Vec<GlobalParameter>,
    policies: Vec<In<Policy>>,
    /// With their places among the parameters.
    operator_policies: Vec<(usize, In<Policy>)>,
}

/// Something in a virtual host.
#[derive(Debug)]
struct In<T> {
    vhost: String,
    what: T,
}

/// What came of an import.
#[derive(Debug, Default)]
pub struct Imported {
    /// The batch with which all of it is kept; `None` when all was there already.
    pub batch: Option<Batch>,
    /// What refers to nothing.
    pub left_out: Vec<LeftOut>,
}

/// A binding of an exchange that isn't there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at} is left out: there is no exchange '{exchange}' in vhost '{vhost}'")]
pub struct LeftOut {
    /// Which one, as a path into the JSON.
    pub at: String,
    /// The exchange.
    pub exchange: Arc<str>,
    /// The virtual host.
    pub vhost: Arc<str>,
}

/// Why definitions weren't imported, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionsError {
    /// The file can't be read.
    #[error("cannot read definitions from {path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Something in the definitions is refused.
    #[error("{at}: {why}")]
    Entry {
        /// Where, as a path into the JSON.
        at: String,
        /// What is wrong with it.
        why: String,
    },
    /// The same, with the file.
    #[error("definitions in {path}: {error}")]
    In {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: Box<DefinitionsError>,
    },
}

impl DefinitionsError {
    fn entry(list: &str, at: usize, why: impl ToString) -> Self {
        Self::Entry {
            at: format!("{list}[{at}]"),
            why: why.to_string(),
        }
    }
}

/// What there is in a virtual host.
const LISTS_OF_VHOST: [&str; 5] = ["parameters", "policies", "queues", "exchanges", "bindings"];

/// Imports what a text says into the virtual host `vhost`, or, if there is none,
/// all of it.
///
/// # Errors
/// [`DefinitionsError`] naming the entry and what is wrong with it.
pub fn import(
    shared: &Shared,
    text: &str,
    vhost: Option<&str>,
    by: &str,
) -> Result<Imported, DefinitionsError> {
    let definitions = match vhost {
        None => Definitions::parse(text)?,
        Some(vhost) => Definitions::parse(&in_vhost(text, vhost)?)?,
    };
    definitions.apply(shared, by)
}

/// The definitions of a virtual host as those of all of them: the lists that
/// there are in both, with its name in each row.
fn in_vhost(text: &str, vhost: &str) -> Result<String, DefinitionsError> {
    let read = serde_json::from_str::<Map<String, Value>>(text);
    let mut all = read.map_err(|error| DefinitionsError::Entry {
        at: "definitions".into(),
        why: error.to_string(),
    })?;
    all.retain(|list, _| LISTS_OF_VHOST.contains(&&**list));
    for rows in all.values_mut().filter_map(Value::as_array_mut) {
        for row in rows.iter_mut().filter_map(Value::as_object_mut) {
            row.insert("vhost".into(), vhost.into());
        }
    }
    Ok(Value::from(all).to_string())
}

/// Imports the definitions in a file.
///
/// # Errors
/// [`DefinitionsError`] naming the file, the entry and what is wrong with it.
pub fn load(shared: &Shared, path: &Path) -> Result<(), DefinitionsError> {
    let path = path.to_path_buf();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => return Err(DefinitionsError::File { path, error }),
    };
    let imported = import(shared, &text, None, INTERNAL_USER);
    imported.map(drop).map_err(|error| DefinitionsError::In {
        path,
        error: Box::new(error),
    })
}
