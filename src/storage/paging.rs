//! Reading back a part of a queue.
//!
//! What is damaged is set aside, reported, and settled: it would keep its
//! segment, and all behind it, for good. What the disk won't give is reported
//! only; another start may have more luck.

use bytes::Bytes;
use parking_lot::Mutex;

use super::block::Block;
use super::error::StoreError;
use super::index::Index;
use super::positions::BLOCK;
use super::reading::{SegmentReader, Stretch};
use super::records::{Entries, Entry, Published};
use crate::base::ids::Position;
use crate::broker::attempts::Attempts;
use crate::broker::message::Message;
use crate::broker::store::{Load, Page, Stored};

/// Reads what `load` asks for. What can't be read is left out and reported;
/// `lost` hears of what never will be.
pub(super) fn read(
    reader: &SegmentReader,
    index: &Mutex<Index>,
    load: &Load,
    mut lost: impl FnMut(&Block),
) -> Page {
    let mut page = Page {
        queue: load.queue,
        from: load.from,
        through: load.to,
        messages: Vec::new(),
    };
    let mut from = load.from.0;
    let mut left = load.bytes.max(1) as u64;
    while left > 0 && from <= load.to.0 {
        let blocks = index.lock().blocks(load.queue, from, load.to.0, left);
        if blocks.is_empty() {
            return page;
        }
        for of_number in blocks.chunk_by(|a, b| a.number == b.number) {
            let mut part = Part::new(load, of_number, left);
            part.read(reader);
            let index = index.lock();
            if !part.enough && part.is_moved(&index) {
                // Written again in the meantime: looked up once more.
                break;
            }
            let before = page.messages.len();
            from = part.finish(reader, &index, &mut page.messages, &mut lost) + 1;
            drop(index);
            let read = page.messages.iter().skip(before);
            left = left.saturating_sub(read.map(|m| m.message.stored_len() as u64).sum());
            page.through = Position(from - 1).min(load.to);
            if left == 0 {
                break;
            }
        }
    }
    page
}

/// The blocks of one number, of which there is one for each segment.
struct Part<'a> {
    load: &'a Load,
    blocks: Vec<Block>,
    /// Octets wanted.
    wanted: u64,
    bytes: u64,
    found: Vec<Stored>,
    /// It stopped because that was enough.
    enough: bool,
    /// Why the disk didn't give everything. A segment that isn't there may have
    /// gone since it was looked up, which is nothing to report.
    unreadable: Vec<StoreError>,
    /// What is no frame: segment, offset, octets.
    damaged: Vec<(u64, u64, Vec<u8>)>,
}

impl<'a> Part<'a> {
    fn new(load: &'a Load, blocks: &[Block], wanted: u64) -> Self {
        Self {
            load,
            blocks: blocks.to_vec(),
            wanted,
            bytes: 0,
            found: Vec::new(),
            enough: false,
            unreadable: Vec::new(),
            damaged: Vec::new(),
        }
    }

    /// Reads until all is found, or enough. What is found leaves the blocks.
    fn read(&mut self, reader: &SegmentReader) {
        for at in 0..self.blocks.len() {
            let Some(block) = self.blocks.get(at).cloned() else {
                return;
            };
            let first = block.live.first().unwrap_or_default();
            let extents: Vec<_> = block
                .extents
                .iter()
                .filter(|e| e.last >= first)
                .copied()
                .collect();
            for extent in extents {
                let segment = block.segment;
                match reader.read_exactly(segment, &(extent.start..extent.end)) {
                    Ok(stretch) => {
                        self.take(at, &stretch);
                        self.note_damage(segment, &stretch);
                    }
                    Err(error) => self.unreadable.push(error),
                }
                if self.enough {
                    return;
                }
            }
        }
    }

    /// Takes what is wanted of the block at `at`.
    fn take(&mut self, at: usize, stretch: &Stretch) {
        for frame in &stretch.frames {
            for entry in Entries::new(stretch.records(frame)) {
                match entry {
                    Ok(Entry::Publish(published)) => self.consider(at, &published),
                    Ok(_) => {}
                    Err(error) => tracing::error!(%error, "in a frame whose checksum is right"),
                }
            }
            // Messages aren't always written in the order of their places: what
            // comes after one that is missing has to be read again next time.
            let alone = self.blocks.len() == 1;
            if alone && self.bytes >= self.wanted && self.first_missing() > self.lowest_found() {
                self.enough = !self.blocks[at].live.is_empty();
                return;
            }
        }
    }

    fn note_damage(&mut self, segment: u64, stretch: &Stretch) {
        for range in &stretch.damaged {
            let octets = stretch.octets.get(range.clone()).unwrap_or_default();
            let offset = stretch.start + range.start as u64;
            self.damaged.push((segment, offset, octets.to_vec()));
        }
    }

    fn consider(&mut self, at: usize, published: &Published<'_>) {
        let block = &mut self.blocks[at];
        let position = published.position.0;
        let place = (position % BLOCK) as u16;
        if published.queue != self.load.queue
            || position / BLOCK != block.number
            || !block.live.contains(place)
        {
            return;
        }
        let body = published.body.map(Bytes::copy_from_slice);
        match Message::from_record(published.message, body) {
            Ok(message) => {
                block.live.remove(place, place);
                self.bytes += published.bytes();
                self.found.push(Stored {
                    position: published.position,
                    message,
                    deadline: published.deadline,
                    attempts: Attempts::default(),
                });
            }
            Err(error) => tracing::error!(%error, position, "a stored message can't be read"),
        }
    }

    fn first_missing(&self) -> u64 {
        let missing = self.blocks.iter();
        let missing = missing.filter_map(|block| Some(block.position(block.live.first()?).0));
        missing.min().unwrap_or(u64::MAX)
    }

    fn lowest_found(&self) -> u64 {
        self.found
            .iter()
            .map(|m| m.position.0)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Whether what wasn't found is somewhere else by now. What was settled in
    /// the meantime isn't missing any more.
    fn is_moved(&mut self, index: &Index) -> bool {
        let queue = self.load.queue;
        let mut moved = false;
        for block in &mut self.blocks {
            let missing: Vec<_> = block.live.iter().collect();
            for place in missing {
                let position = block.position(place);
                if !index.contains(queue, position, block.segment) {
                    block.live.remove(place, place);
                    moved |= index.is_live(queue, position);
                }
            }
        }
        moved
    }

    /// Hands over what was found, in order and without a gap; returns the last
    /// place that is dealt with.
    fn finish(
        mut self,
        reader: &SegmentReader,
        index: &Index,
        messages: &mut Vec<Stored>,
        lost: &mut impl FnMut(&Block),
    ) -> u64 {
        let mut through = match self.blocks.first() {
            Some(block) => block.position(BLOCK as u16 - 1).0,
            None => self.load.to.0,
        };
        if self.enough {
            through = self.first_missing() - 1;
            self.found.retain(|message| message.position.0 <= through);
        } else {
            self.report(reader, lost);
        }
        self.found.sort_unstable_by_key(|message| message.position);
        for message in &mut self.found {
            (_, message.attempts) = index.history(self.load.queue, message.position);
        }
        messages.append(&mut self.found);
        through
    }

    /// Says what of the blocks wasn't found.
    fn report(&self, reader: &SegmentReader, lost: &mut impl FnMut(&Block)) {
        for block in self.blocks.iter().filter(|block| !block.live.is_empty()) {
            tracing::error!(
                queue_id = self.load.queue.0,
                segment = block.segment,
                messages = block.live.count(),
                "stored messages can't be read: they are left out"
            );
            for error in &self.unreadable {
                tracing::error!(%error, "stored messages can't be read");
            }
            if !self.unreadable.is_empty() {
                continue;
            }
            for (segment, offset, octets) in &self.damaged {
                if let Err(error) = reader.set_aside(*segment, *offset, octets) {
                    tracing::error!(%error, "what is damaged can't be set aside");
                    return;
                }
            }
            lost(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind, Seek};
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::base::clock::Now;
    use crate::base::ids::{Batch, QueueId};
    use crate::broker::store::Receiver;
    use crate::storage::files::{Files, LogFile};
    use crate::storage::segment::LogDir;

    const QUEUE: QueueId = QueueId(1);

    /// Has no files any more; what was in them may be settled by the time
    /// somebody asks for one.
    #[derive(Debug)]
    struct Gone {
        index: Arc<Mutex<Index>>,
        settled: bool,
    }

    fn gone<T>() -> io::Result<T> {
        Err(ErrorKind::NotFound.into())
    }

    impl Files for Gone {
        fn open(&self, _: &Path) -> io::Result<Box<dyn LogFile>> {
            if self.settled {
                self.index.lock().settle(QUEUE, 1, 1, None);
            }
            gone()
        }

        fn create_dir_all(&self, _: &Path) -> io::Result<()> {
            gone()
        }

        fn list(&self, _: &Path) -> io::Result<Vec<String>> {
            gone()
        }

        fn create(&self, _: &Path) -> io::Result<Box<dyn LogFile>> {
            gone()
        }

        fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
            gone()
        }

        fn remove(&self, _: &Path) -> io::Result<()> {
            gone()
        }

        fn sync_dir(&self, _: &Path) -> io::Result<()> {
            gone()
        }

        fn sync_path(&self, _: &Path) -> io::Result<()> {
            gone()
        }

        fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn LogFile>>> {
            gone()
        }
    }

    #[derive(Debug)]
    struct Nobody;

    impl Receiver for Nobody {
        fn receive(self: Arc<Self>, _: Page, _: Now) {}
    }

    /// What is logged when the one message of a queue is read whose segment is gone.
    fn logged(settled: bool) -> String {
        let mut index = Index::default();
        index.add_segment(1);
        index.add_queue(QUEUE);
        let published = Entry::Publish(Published {
            moved: false,
            queue: QUEUE,
            position: Position(1),
            message: &[],
            body: None,
            deadline: None,
            attempts: Attempts::default(),
            delivered: false,
        });
        index.enter(&published, 1, &(32..200));
        let index = Arc::new(Mutex::new(index));
        let files = Gone {
            index: Arc::clone(&index),
            settled,
        };
        let reader = SegmentReader {
            files: Arc::new(files),
            dir: LogDir::within(Path::new("data")),
        };
        let load = Load {
            queue: QUEUE,
            from: Position(1),
            to: Position(1),
            bytes: 1000,
            batch: Batch(0),
            receiver: Arc::new(Nobody),
        };
        let log = Arc::new(tempfile::tempfile().unwrap());
        let subscriber = tracing_subscriber::fmt().with_writer(Arc::clone(&log));
        tracing::subscriber::with_default(subscriber.finish(), || {
            let page = read(&reader, &index, &load, |_| {
                panic!("what can't be read isn't settled")
            });
            assert_eq!(page.through, Position(1));
            assert!(page.messages.is_empty());
        });
        let mut log = &*log;
        log.rewind().unwrap();
        io::read_to_string(log).unwrap()
    }

    #[test]
    fn a_segment_that_went_with_what_was_in_it_is_not_reported() {
        assert_eq!(logged(true), "");
        let reported = logged(false);
        for word in ["ERROR", "0000000001.seg", "they are left out"] {
            assert!(reported.contains(word), "{word}: {reported}");
        }
    }
}
