//! What is declared, in sled.
//!
//! The log has every change first. The committer applies it here afterwards,
//! together with the place in the log up to which all is applied. Nothing here
//! counts as durable before [`Catalogue::make_durable`] has returned.
//!
//! Keys start with a letter for what they are: `m` a fact about the store, `s`
//! the summary of a segment, `u` a user, `v` a virtual host, `p` permissions by
//! virtual host and user, `t` a topic permission by those and exchange, `o` a
//! policy by virtual host, kind and name, `r` a runtime parameter by virtual host
//! (the empty name for none), component and name, `x` an exchange, `q` a queue,
//! `b` a binding by its source, `d` a binding by its destination. Then come its
//! names, each with its length before it, so that no key is the start of
//! another. A value is the change
//! that declared the thing, in pieces of at most [`PIECE`] octets under the key
//! and the number of the piece.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashSet;

use super::changes::{decode_change, encode_change, put_destination};
use super::codec::{put_number, put_text};
use super::database;
use super::error::StoreError;
use super::files::Files;
use super::records;
use super::segment::VERSION;
use crate::base::ids::QueueId;
use crate::broker::change::Change;
use crate::broker::parameters::ParameterKey;
use crate::broker::spec::{BindingSpec, Destination};

/// sled puts 17 values in a leaf, and a leaf over a quarter of its segments in
/// a file of its own, which it doesn't sync.
const PIECE: usize = 16 * 1024;
/// Arguments of a binding over this are named by their hash.
const ARGUMENTS_IN_KEY_MAX: usize = 64;

const VERSION_KEY: &[u8] = b"mversion";
const APPLIED_KEY: &[u8] = b"mapplied";
const LAST_QUEUE_KEY: &[u8] = b"mlast-queue";

/// The kinds of keys whose values lead from nothing to what is declared, in order.
const DECLARED: [u8; 9] = *b"uvptroxqb";

/// A place in the log: a segment and the offset of a frame in it.
pub(super) type Place = (u64, u64);

/// Before the first frame of all.
const NOTHING_APPLIED: Place = (0, 0);

/// The database.
#[derive(Debug)]
pub(super) struct Catalogue {
    db: sled::Db,
    path: PathBuf,
    files: Arc<dyn Files>,
    /// There was nothing in it.
    is_new: bool,
}

impl Catalogue {
    /// Opens the database within a data directory, or makes it. One that is
    /// damaged is set aside and begun anew: the log has what it takes to bring
    /// it up again.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read or has another version.
    pub(super) fn open(data_dir: &Path, files: Arc<dyn Files>) -> Result<Self, StoreError> {
        let path = data_dir.join("sled");
        match Self::open_strictly(data_dir, &files) {
            Err(error) if database::is_damage(&error) => {
                let kept = database::set_aside(&path)?;
                tracing::error!(
                    %error,
                    kept = %kept.display(),
                    "the database is damaged: it is set aside and made again from the log"
                );
                Self::open_at(&path, &files)
            }
            opened => opened,
        }
    }

    /// The same, but damage is an error.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read or has another version.
    pub(super) fn open_strictly(
        data_dir: &Path,
        files: &Arc<dyn Files>,
    ) -> Result<Self, StoreError> {
        Self::open_at(&data_dir.join("sled"), files)
    }

    fn open_at(path: &Path, files: &Arc<dyn Files>) -> Result<Self, StoreError> {
        let mut catalogue = Self {
            db: database::open(path)?,
            path: path.to_path_buf(),
            files: Arc::clone(files),
            is_new: false,
        };
        catalogue.is_new = catalogue.number(VERSION_KEY)?.is_none();
        catalogue.check_version()?;
        if catalogue.is_new {
            // So that one killed soon isn't taken for one that was lost.
            catalogue.make_durable()?;
        }
        // All of it is looked at, so that damage shows now or not at all.
        catalogue.applied()?;
        catalogue.last_queue_id()?;
        catalogue.changes()?;
        Ok(catalogue)
    }

    /// Whether there was nothing in it when it was opened.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    fn check_version(&self) -> Result<(), StoreError> {
        match self.number(VERSION_KEY)? {
            None => self.set_number(VERSION_KEY, VERSION.into()),
            Some(version) if version == u64::from(VERSION) => Ok(()),
            Some(found) => Err(StoreError::UnknownVersion {
                path: self.path.clone(),
                found,
                known: VERSION.into(),
            }),
        }
    }

    /// Returns once all that was applied survives power loss.
    ///
    /// # Errors
    /// [`StoreError`] when the database or the disk refuses.
    pub(super) fn make_durable(&self) -> Result<(), StoreError> {
        self.flush()?;
        // sled's flush starts the writing and doesn't wait for the disk.
        let file = self.path.join("db");
        let synced = self.files.sync_path(&file);
        synced.map_err(StoreError::io("sync", &file))
    }

    /// Hands all that was applied to the operating system: it survives the end
    /// of this process.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let flushed = self.db.flush();
        flushed
            .map(drop)
            .map_err(database::failed("flush", &self.path))
    }

    /// Keeps the summary of a segment.
    pub(super) fn put_summary(&self, segment: u64, summary: &[u8]) -> Result<(), StoreError> {
        self.put(&summary_key(segment), summary)
    }

    /// Forgets the summary of a segment, if there is one.
    pub(super) fn remove_summary(&self, segment: u64) -> Result<(), StoreError> {
        self.remove(&summary_key(segment))
    }

    /// The summary of a segment, if there is one.
    pub(super) fn summary(&self, segment: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let mut found = None;
        self.scan_octets(&summary_key(segment), |summary| {
            found = Some(summary.to_vec());
            Ok(())
        })?;
        Ok(found)
    }

    /// The segments that have a summary.
    pub(super) fn summarized(&self) -> Result<Vec<u64>, StoreError> {
        let mut segments = Vec::new();
        for key in self.db.scan_prefix(b"s").keys() {
            let key = key.map_err(database::failed("read", &self.path))?;
            segments.extend(summarized_segment(&key));
        }
        segments.dedup();
        Ok(segments)
    }

    /// Forgets the summaries of segments that aren't there.
    pub(super) fn retain_summaries(&self, segments: &[u64]) -> Result<(), StoreError> {
        for key in self.db.scan_prefix(b"s").keys() {
            let key = key.map_err(database::failed("read", &self.path))?;
            let segment = summarized_segment(&key);
            if !segment.is_some_and(|segment| segments.contains(&segment)) {
                self.take(&key)?;
            }
        }
        Ok(())
    }

    /// Where the last change that was applied is in the log.
    pub(super) fn applied(&self) -> Result<Place, StoreError> {
        let Some(value) = self.get(APPLIED_KEY)? else {
            return Ok(NOTHING_APPLIED);
        };
        let (segment, offset) = value.split_at_checked(8).ok_or_else(|| self.strange())?;
        let number = |octets: &[u8]| octets.try_into().map(u64::from_be_bytes);
        match (number(segment), number(offset)) {
            (Ok(segment), Ok(offset)) => Ok((segment, offset)),
            _ => Err(self.strange()),
        }
    }

    /// Takes note that all changes of the frame at `place` are applied.
    pub(super) fn set_applied(&self, place: Place) -> Result<(), StoreError> {
        let value = [place.0.to_be_bytes(), place.1.to_be_bytes()].concat();
        self.insert(APPLIED_KEY, &value)
    }

    /// The highest queue number declared.
    pub(super) fn last_queue_id(&self) -> Result<QueueId, StoreError> {
        Ok(QueueId(self.number(LAST_QUEUE_KEY)?.unwrap_or_default()))
    }

    /// Carries out a change; returns the queues that are gone with it.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses or makes no sense.
    pub(super) fn apply(&self, change: &Change) -> Result<Vec<QueueId>, StoreError> {
        let value = || encode_change(change);
        match change {
            Change::VhostCreated { vhost } | Change::VhostSet { vhost, .. } => {
                self.put(&key(b'v', &[vhost]), &value())?;
            }
            Change::VhostDeleted { vhost } => return self.delete_vhost(vhost),
            Change::ExchangeDeclared { vhost, spec } => {
                self.put(&key(b'x', &[vhost, &spec.name]), &value())?;
            }
            Change::ExchangeDeleted { vhost, name } => {
                self.remove(&key(b'x', &[vhost, name]))?;
                self.unbind_all(&key(b'b', &[vhost, name]))?;
                self.unbind_to(vhost, &Destination::Exchange(Arc::clone(name)))?;
            }
            Change::QueueDeclared { vhost, id, spec } => {
                self.put(&key(b'q', &[vhost, &spec.name]), &value())?;
                if *id > self.last_queue_id()? {
                    self.set_number(LAST_QUEUE_KEY, id.0)?;
                }
            }
            Change::QueueDeleted { vhost, id, name } => {
                self.remove(&key(b'q', &[vhost, name]))?;
                self.unbind_to(vhost, &Destination::Queue(Arc::clone(name)))?;
                return Ok(vec![*id]);
            }
            Change::Bound { vhost, spec } => {
                self.put(&source_key(vhost, spec), &value())?;
                self.put(&destination_key(vhost, spec), &value())?;
            }
            Change::Unbound { vhost, spec } => {
                self.remove(&source_key(vhost, spec))?;
                self.remove(&destination_key(vhost, spec))?;
            }
            _ => self.apply_access(change)?,
        }
        Ok(Vec::new())
    }

    /// Carries out a change of users, permissions, policies and parameters.
    fn apply_access(&self, change: &Change) -> Result<(), StoreError> {
        let value = || encode_change(change);
        match change {
            Change::UserSet { user } => self.put(&key(b'u', &[&user.name]), &value()),
            Change::UserDeleted { name } => {
                self.remove(&key(b'u', &[name]))?;
                self.forget_permissions(name)
            }
            Change::PermissionsSet { vhost, user, .. } => {
                self.put(&key(b'p', &[vhost, user]), &value())
            }
            Change::PermissionsCleared { vhost, user } => self.remove(&key(b'p', &[vhost, user])),
            Change::TopicPermissionSet {
                vhost,
                user,
                permission,
            } => self.put(&key(b't', &[vhost, user, &permission.exchange]), &value()),
            Change::TopicPermissionCleared {
                vhost,
                user,
                exchange,
            } => self.remove(&key(b't', &[vhost, user, exchange])),
            Change::PolicySet { vhost, policy } => {
                let names = [vhost, policy.kind().name(), policy.name()];
                self.put(&key(b'o', &names), &value())
            }
            Change::PolicyCleared { vhost, kind, name } => {
                self.remove(&key(b'o', &[vhost, kind.name(), name]))
            }
            Change::ParameterSet { key, .. } => self.put(&parameter_key(key), &value()),
            Change::ParameterCleared { key } => self.remove(&parameter_key(key)),
            _ => Ok(()),
        }
    }

    /// Removes all that a user may do.
    fn forget_permissions(&self, name: &str) -> Result<(), StoreError> {
        for change in [self.scan(b"p")?, self.scan(b"t")?].concat() {
            match change {
                Change::PermissionsSet { vhost, user, .. } if *user == *name => {
                    self.remove(&key(b'p', &[&vhost, &user]))?;
                }
                Change::TopicPermissionSet { vhost, user, .. } if *user == *name => {
                    self.remove(&key(b't', &[&vhost, &user]))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn delete_vhost(&self, vhost: &str) -> Result<Vec<QueueId>, StoreError> {
        let mut gone = Vec::new();
        for change in self.scan(&key(b'q', &[vhost]))? {
            if let Change::QueueDeclared { id, .. } = change {
                gone.push(id);
            }
        }
        for kind in *b"vptroxqbd" {
            self.remove(&key(kind, &[vhost]))?;
        }
        Ok(gone)
    }

    fn unbind_to(&self, vhost: &str, destination: &Destination) -> Result<(), StoreError> {
        let mut prefix = key(b'd', &[vhost]);
        put_destination(&mut prefix, destination);
        self.unbind_all(&prefix)
    }

    fn unbind_all(&self, prefix: &[u8]) -> Result<(), StoreError> {
        for change in self.scan(prefix)? {
            if let Change::Bound { vhost, spec } = change {
                self.remove(&source_key(&vhost, &spec))?;
                self.remove(&destination_key(&vhost, &spec))?;
            }
        }
        Ok(())
    }

    /// The changes that lead from nothing to what is declared.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses or makes no sense.
    pub(super) fn changes(&self) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        for kind in DECLARED {
            changes.append(&mut self.scan(&[kind])?);
        }
        Ok(changes)
    }

    /// The same changes as records of the log.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    pub(super) fn put_checkpoint(&self, out: &mut Vec<u8>) -> Result<(), StoreError> {
        for kind in DECLARED {
            self.scan_octets(&[kind], |change| {
                records::put_encoded_topology(out, change);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The changes whose keys start with `prefix`.
    fn scan(&self, prefix: &[u8]) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        self.scan_octets(prefix, |octets| {
            let change = decode_change(octets);
            changes.push(change.map_err(|_| self.strange())?);
            Ok(())
        })?;
        Ok(changes)
    }

    /// Hands out the values whose keys start with `prefix`, put together from
    /// their pieces.
    fn scan_octets(
        &self,
        prefix: &[u8],
        mut found: impl FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut gathered = Vec::new();
        for entry in self.db.scan_prefix(prefix) {
            let (key, value) = entry.map_err(database::failed("read", &self.path))?;
            if key.ends_with(&[0, 0]) && !gathered.is_empty() {
                found(&gathered)?;
                gathered.clear();
            }
            gathered.extend_from_slice(&value);
        }
        match gathered.as_slice() {
            [] => Ok(()),
            last => found(last),
        }
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let mut pieces = 0_u16;
        for piece in value.chunks(PIECE) {
            self.insert(&piece_key(key, pieces), piece)?;
            pieces = pieces.saturating_add(1);
        }
        // What was there before may have been longer.
        while self.take(&piece_key(key, pieces))?.is_some() {
            pieces = pieces.saturating_add(1);
        }
        Ok(())
    }

    /// Removes everything whose key starts with `prefix`.
    fn remove(&self, prefix: &[u8]) -> Result<(), StoreError> {
        for key in self.db.scan_prefix(prefix).keys() {
            let key = key.map_err(database::failed("read", &self.path))?;
            self.take(&key)?;
        }
        Ok(())
    }

    fn number(&self, key: &[u8]) -> Result<Option<u64>, StoreError> {
        let Some(value) = self.get(key)? else {
            return Ok(None);
        };
        match value.as_ref().try_into() {
            Ok(octets) => Ok(Some(u64::from_be_bytes(octets))),
            Err(_) => Err(self.strange()),
        }
    }

    fn set_number(&self, key: &[u8], value: u64) -> Result<(), StoreError> {
        self.insert(key, &value.to_be_bytes())
    }

    fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        self.db
            .get(key)
            .map_err(database::failed("read", &self.path))
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let inserted = self.db.insert(key, value);
        inserted
            .map(drop)
            .map_err(database::failed("write", &self.path))
    }

    fn take(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        self.db
            .remove(key)
            .map_err(database::failed("write", &self.path))
    }

    /// What is in the database makes no sense.
    pub(super) fn strange(&self) -> StoreError {
        StoreError::UnknownEntry {
            path: self.path.clone(),
        }
    }
}

/// The numbers of all queues among `changes`.
pub(super) fn queue_ids(changes: &[Change]) -> HashSet<QueueId> {
    let id = |change: &Change| match change {
        Change::QueueDeclared { id, .. } => Some(*id),
        _ => None,
    };
    changes.iter().filter_map(id).collect()
}

fn summary_key(segment: u64) -> Vec<u8> {
    [&b"s"[..], &segment.to_be_bytes()].concat()
}

fn summarized_segment(key: &[u8]) -> Option<u64> {
    let octets = key.get(1..9)?.try_into().ok()?;
    Some(u64::from_be_bytes(octets))
}

fn key(kind: u8, names: &[&str]) -> Vec<u8> {
    let mut key = vec![kind];
    for name in names {
        put_text(&mut key, name);
    }
    key
}

fn piece_key(key: &[u8], piece: u16) -> Vec<u8> {
    [key, &piece.to_be_bytes()].concat()
}

fn parameter_key(of: &ParameterKey) -> Vec<u8> {
    match of {
        ParameterKey::Global { name } => key(b'r', &["", "", name]),
        ParameterKey::Of {
            component,
            vhost,
            name,
        } => key(b'r', &[vhost, component, name]),
    }
}

fn source_key(vhost: &str, spec: &BindingSpec) -> Vec<u8> {
    let mut key = key(b'b', &[vhost, &spec.source]);
    put_destination(&mut key, &spec.destination);
    put_rest(&mut key, spec);
    key
}

fn destination_key(vhost: &str, spec: &BindingSpec) -> Vec<u8> {
    let mut key = key(b'd', &[vhost]);
    put_destination(&mut key, &spec.destination);
    put_text(&mut key, &spec.source);
    put_rest(&mut key, spec);
    key
}

fn put_rest(key: &mut Vec<u8>, spec: &BindingSpec) {
    put_text(key, &spec.routing_key);
    let mut arguments = bytes::BytesMut::new();
    spec.arguments.put_entries(&mut arguments);
    if arguments.len() > ARGUMENTS_IN_KEY_MAX {
        key.push(1);
        key.extend_from_slice(&fnv1a(&arguments).to_be_bytes());
    } else {
        key.push(0);
        put_number(key, arguments.len() as u64);
        key.extend_from_slice(&arguments);
    }
}

/// The 128-bit FNV-1a hash: the same in every version of this program.
fn fnv1a(octets: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    octets.iter().fold(BASIS, |hash, octet| {
        (hash ^ u128::from(*octet)).wrapping_mul(PRIME)
    })
}
