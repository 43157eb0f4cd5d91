//! A disk that forgets: files in memory, of which only what was synced is sure
//! to be there once the power is back.
//!
//! The database writes its own files, to the real disk. They are put back to
//! some mixture of what was synced and what was written.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use harrier::storage::{Files, LogFile};
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// What a disk writes at once or not at all.
const SECTOR: usize = 512;

/// The disk; clones are the same one.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    names: BTreeMap<PathBuf, usize>,
    /// The names as they were synced, and each change since then.
    synced_names: BTreeMap<PathBuf, usize>,
    renames: Vec<BTreeMap<PathBuf, usize>>,
    files: Vec<Content>,
    /// The database's file when it was synced last, by its path.
    database: Option<(PathBuf, Vec<u8>)>,
    /// What was on the real disk when the power went.
    database_at_cut: Option<Vec<u8>>,
    data_dir: PathBuf,
    rng: SmallRng,
    plan: Plan,
}

/// What is to go wrong.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The power goes at this many operations from now.
    pub cut_after: Option<u64>,
    /// The next write fails, having written a part.
    pub fail_write: bool,
    /// The next sync fails.
    pub fail_sync: bool,
    /// Octets that fit.
    pub capacity: Option<u64>,
}

#[derive(Debug, Clone, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Size(usize),
}

impl Disk {
    pub fn new(data_dir: &Path, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            renames: Vec::new(),
            files: Vec::new(),
            database: None,
            database_at_cut: None,
            data_dir: data_dir.to_path_buf(),
            rng: SmallRng::seed_from_u64(seed),
            plan: Plan::default(),
        })))
    }

    pub fn plan(&self, plan: Plan) {
        self.0.lock().plan = plan;
    }

    /// Whether the power went.
    pub fn is_cut(&self) -> bool {
        self.0.lock().plan.cut_after == Some(0)
    }

    /// Cuts the power now, if it isn't already.
    pub fn cut(&self) {
        let mut state = self.0.lock();
        if state.plan.cut_after != Some(0) {
            state.plan.cut_after = Some(0);
            state.photograph_database();
        }
    }

    /// Switches the power on again: what wasn't synced is there, gone or torn.
    pub fn power_on(&self) {
        self.cut();
        let state = &mut *self.0.lock();
        state.plan = Plan::default();
        let kept = state.rng.random_range(0..=state.renames.len());
        if let Some(names) = kept.checked_sub(1).map(|at| &state.renames[at]) {
            state.synced_names = names.clone();
        }
        state.renames.clear();
        state.names = state.synced_names.clone();
        for content in &mut state.files {
            content.lose_power(&mut state.rng);
        }
        state.tear_database();
    }

    /// The names of the files there are.
    pub fn names(&self) -> Vec<PathBuf> {
        self.0.lock().names.keys().cloned().collect()
    }

    /// Changes the content of a file behind everybody's back.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.lock();
        let file = state.names[path];
        let content = &mut state.files[file];
        change(&mut content.now);
        content.synced = content.now.clone();
    }

    /// The content of a file.
    pub fn content(&self, path: &Path) -> Vec<u8> {
        let state = self.0.lock();
        state.files[state.names[path]].now.clone()
    }

    fn handle(&self, file: usize) -> Box<dyn LogFile> {
        Box::new(Handle {
            disk: self.clone(),
            file,
        })
    }
}

impl Content {
    fn lose_power(&mut self, rng: &mut SmallRng) {
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Size(size) if rng.random_bool(0.5) => self.synced.resize(size, 0),
                Change::Size(_) => {}
                Change::Write(offset, octets) => tear(&mut self.synced, offset, &octets, rng),
            }
        }
        self.now = self.synced.clone();
    }
}

/// Carries out a write wholly, partly or not at all.
fn tear(file: &mut Vec<u8>, offset: usize, octets: &[u8], rng: &mut SmallRng) {
    let kept = match rng.random_range(0..4) {
        0 => return,
        1 => octets.len(),
        2 => rng.random_range(0..=octets.len()),
        _ => {
            for (at, sector) in octets.chunks(SECTOR).enumerate() {
                if rng.random_bool(0.5) {
                    put(file, offset + at * SECTOR, sector);
                }
            }
            return;
        }
    };
    put(file, offset, &octets[..kept]);
}

fn put(file: &mut Vec<u8>, offset: usize, octets: &[u8]) {
    let end = offset + octets.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(octets);
}

impl State {
    /// Counts an operation; fails once the power is gone.
    fn step(&mut self) -> io::Result<()> {
        match &mut self.plan.cut_after {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the power is gone")),
            Some(left) => {
                *left -= 1;
                if *left == 0 {
                    self.photograph_database();
                }
                Ok(())
            }
        }
    }

    fn database_file(&self) -> PathBuf {
        self.data_dir.join("sled/db")
    }

    fn photograph_database(&mut self) {
        self.database_at_cut = fs::read(self.database_file()).ok();
    }

    /// Puts the database's file into a state that a cut could have left.
    fn tear_database(&mut self) {
        let path = self.database_file();
        let synced = self.database.as_ref().map(|(_, octets)| octets.clone());
        let Some(written) = self.database_at_cut.take() else {
            return;
        };
        let mut torn = synced.unwrap_or_default();
        match self.rng.random_range(0..3) {
            0 => {}
            1 => torn = written,
            _ => {
                for (at, page) in written.chunks(4096).enumerate() {
                    if self.rng.random_bool(0.5) {
                        put(&mut torn, at * 4096, page);
                    }
                }
            }
        }
        if torn.is_empty() {
            fs::remove_dir_all(self.data_dir.join("sled")).expect("the database goes");
        } else {
            fs::write(path, torn).expect("the database's file is written");
        }
    }

    fn used(&self) -> u64 {
        let mut files: Vec<_> = self.names.values().collect();
        files.dedup();
        let sizes = files.iter().map(|file| self.files[**file].now.len() as u64);
        sizes.sum()
    }
}

impl Files for Disk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.0.lock().step()?;
        fs::create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut state = self.0.lock();
        state.step()?;
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        let name = |path: &PathBuf| path.file_name().map(|n| n.to_string_lossy().into_owned());
        Ok(inside.filter_map(name).collect())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let mut state = self.0.lock();
        state.step()?;
        let file = state.names.get(path).copied();
        let file = file.ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        Ok(self.handle(file))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let mut state = self.0.lock();
        state.step()?;
        state.files.push(Content::default());
        let file = state.files.len() - 1;
        state.names.insert(path.to_path_buf(), file);
        state.note_names();
        Ok(self.handle(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        let file = state.names.remove(from);
        let file = file.ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        state.names.insert(to.to_path_buf(), file);
        state.note_names();
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        let removed = state.names.remove(path);
        removed.ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        state.note_names();
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        state.synced_names = state.names.clone();
        state.renames.clear();
        Ok(())
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        if std::mem::take(&mut state.plan.fail_sync) {
            return Err(ErrorKind::Other.into());
        }
        state.database = Some((path.to_path_buf(), fs::read(path)?));
        Ok(())
    }

    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn LogFile>>> {
        self.0.lock().files.push(Content::default());
        Ok(Some(self.handle(0)))
    }
}

impl State {
    fn note_names(&mut self) {
        self.renames.push(self.names.clone());
    }
}

#[derive(Debug)]
struct Handle {
    disk: Disk,
    file: usize,
}

impl LogFile for Handle {
    fn size(&self) -> io::Result<u64> {
        let mut state = self.disk.0.lock();
        state.step()?;
        Ok(state.files[self.file].now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.0.lock();
        state.step()?;
        let content = &state.files[self.file].now;
        let rest = content.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.step()?;
        let offset = offset as usize;
        let mut octets = octets;
        let mut result = Ok(());
        if std::mem::take(&mut state.plan.fail_write) {
            octets = &octets[..octets.len() / 2];
            result = Err(io::Error::other("the disk is broken"));
        }
        let size = state.files[self.file].now.len();
        let more = (offset + octets.len()).saturating_sub(size) as u64;
        let capacity = state.plan.capacity.unwrap_or(u64::MAX);
        if more > 0 && state.used() + more > capacity {
            return Err(ErrorKind::StorageFull.into());
        }
        let content = &mut state.files[self.file];
        put(&mut content.now, offset, octets);
        content
            .unsynced
            .push(Change::Write(offset, octets.to_vec()));
        result
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.step()?;
        let content = &mut state.files[self.file];
        content.now.resize(size as usize, 0);
        content.unsynced.push(Change::Size(size as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.step()?;
        if std::mem::take(&mut state.plan.fail_sync) {
            return Err(io::Error::other("the disk is broken"));
        }
        let content = &mut state.files[self.file];
        content.synced = content.now.clone();
        content.unsynced.clear();
        Ok(())
    }
}
