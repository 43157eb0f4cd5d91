//! Going through a segment from its first frame to its end, a window at a time:
//! a restart needs no more memory than the largest frame.

use std::ops::Range;
use std::path::PathBuf;

use super::error::StoreError;
use super::files::LogFile;
use super::frame::{self, ALIGNMENT, HEAD_LEN};
use super::reading::SegmentReader;
use super::segment::HEADER_LEN;

/// Octets read at a time; more when a frame is larger.
const WINDOW: usize = 256 * 1024;

/// Something in a segment, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A whole frame, with what fills it up to the next.
    Frame(Range<u64>),
    /// Octets before a frame that are none, though they should be.
    Damaged(Range<u64>),
}

/// Where in a segment the reading is.
#[derive(Debug)]
pub(super) struct Walk {
    file: Box<dyn LogFile>,
    path: PathBuf,
    generation: u64,
    size: u64,
    /// Where what comes next begins.
    at: u64,
    /// What was read last, and where in the file it starts.
    window: Vec<u8>,
    window_start: u64,
}

impl SegmentReader {
    /// Begins at the first frame of a segment of `size` octets.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file can't be opened.
    pub(super) fn walk(&self, segment: u64, size: u64) -> Result<Walk, StoreError> {
        let path = self.dir.segment(segment);
        let file = self.files.open(&path);
        Ok(Walk {
            file: file.map_err(StoreError::io("read", &path))?,
            path,
            generation: segment,
            size,
            at: HEADER_LEN as u64,
            window: Vec::new(),
            window_start: 0,
        })
    }
}

impl Walk {
    /// The next piece; `None` when no whole frame comes any more.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file can't be read.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, StoreError> {
        let begin = self.at;
        if let Some(taken) = self.frame_at(begin)? {
            self.at = begin + taken;
            return Ok(Some(Piece::Frame(begin..self.at)));
        }
        let Some(found) = self.find(begin)? else {
            return Ok(None);
        };
        self.at = found;
        Ok(Some(Piece::Damaged(begin..found)))
    }

    /// The records of the frame that came last.
    pub(super) fn records(&self, extent: &Range<u64>) -> &[u8] {
        frame::records(self.from(extent.start))
    }

    /// Whether a frame was begun at `at`, whole or not.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file can't be read.
    pub(super) fn begins(&mut self, at: u64) -> Result<bool, StoreError> {
        self.fill(at, HEAD_LEN)?;
        Ok(frame::begins(self.from(at), self.generation))
    }

    /// The octets of a piece.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file can't be read.
    pub(super) fn octets(&mut self, extent: &Range<u64>) -> Result<&[u8], StoreError> {
        let len = usize::try_from(extent.end - extent.start).unwrap_or(usize::MAX);
        self.fill(extent.start, len)?;
        let octets = self.from(extent.start);
        Ok(octets.get(..len).unwrap_or(octets))
    }

    /// How many octets the frame at `at` takes, if a whole one is there.
    fn frame_at(&mut self, at: u64) -> Result<Option<u64>, StoreError> {
        self.fill(at, HEAD_LEN)?;
        let Some(len) = frame::announced(self.from(at), self.generation) else {
            return Ok(None);
        };
        if len as u64 > self.size.saturating_sub(at) {
            return Ok(None);
        }
        self.fill(at, len.saturating_add(ALIGNMENT))?;
        let frame = frame::read(self.from(at), self.generation);
        Ok(frame.map(|(_, taken)| taken as u64))
    }

    /// Where the next whole frame starts behind `from`, where none does.
    fn find(&mut self, from: u64) -> Result<Option<u64>, StoreError> {
        let mut at = (from + 1).next_multiple_of(ALIGNMENT as u64);
        while at < self.size {
            self.fill(at, HEAD_LEN)?;
            let window = self.from(at);
            if window.is_empty() {
                break;
            }
            let Some(ahead) = frame::candidate(window) else {
                at += window.len().next_multiple_of(ALIGNMENT) as u64;
                continue;
            };
            at += ahead as u64;
            if self.frame_at(at)?.is_some() {
                return Ok(Some(at));
            }
            at += ALIGNMENT as u64;
        }
        Ok(None)
    }

    /// Sees to it that the window has `len` octets from `at` on, or all there are.
    fn fill(&mut self, at: u64, len: usize) -> Result<(), StoreError> {
        let left = usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX);
        if at >= self.window_start && self.from(at).len() >= len.min(left) {
            return Ok(());
        }
        self.window.resize(len.max(WINDOW).min(left), 0);
        self.window_start = at;
        let read = self.file.read_at(&mut self.window, at);
        let read = read.map_err(StoreError::io("read", &self.path))?;
        self.window.truncate(read);
        Ok(())
    }

    /// What the window has from `at` on.
    fn from(&self, at: u64) -> &[u8] {
        let skipped = at.checked_sub(self.window_start);
        let skipped = skipped.and_then(|skipped| usize::try_from(skipped).ok());
        skipped
            .and_then(|skipped| self.window.get(skipped..))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::files::DiskFiles;
    use super::super::segment::LogDir;
    use super::*;

    const SEGMENT: u64 = 7;

    fn frame_of(len: usize, octet: u8) -> Vec<u8> {
        let mut frame = vec![octet; HEAD_LEN + len];
        frame::seal(&mut frame, SEGMENT);
        frame.resize(frame.len().next_multiple_of(ALIGNMENT), 0);
        frame
    }

    /// What a walk finds behind the header of a segment that goes on with `octets`.
    fn pieces(octets: &[u8]) -> Vec<Piece> {
        let dir = tempfile::tempdir().expect("a directory");
        let reader = SegmentReader {
            files: Arc::new(DiskFiles),
            dir: LogDir::within(dir.path()),
        };
        std::fs::create_dir_all(reader.dir.path()).expect("the log's directory");
        let mut segment = vec![0; HEADER_LEN];
        segment.extend_from_slice(octets);
        std::fs::write(reader.dir.segment(SEGMENT), &segment).expect("a segment");
        let size = segment.len() as u64;
        let mut walk = reader.walk(SEGMENT, size).expect("it is there");
        let mut pieces = Vec::new();
        while let Some(piece) = walk.next().expect("it can be read") {
            if let Piece::Frame(extent) = &piece {
                let octet = walk.records(extent).first();
                assert!(octet.is_some(), "the records of {extent:?}");
            }
            pieces.push(piece);
        }
        pieces
    }

    #[test]
    fn frames_larger_than_the_window_are_found() {
        let frames = [frame_of(10, 1), frame_of(3 * WINDOW, 2), frame_of(5, 3)];
        let mut octets = frames.concat();
        octets.resize(octets.len() + 2 * WINDOW, 0);
        let mut at = HEADER_LEN as u64;
        let expected = frames.map(|frame| {
            let begin = at;
            at += frame.len() as u64;
            Piece::Frame(begin..at)
        });
        assert_eq!(pieces(&octets), expected);
    }

    #[test]
    fn a_frame_behind_damage_longer_than_the_window_is_found() {
        let mut octets = frame_of(3 * WINDOW, 1);
        octets[WINDOW] ^= 1;
        let damaged = HEADER_LEN as u64..(HEADER_LEN + octets.len()) as u64;
        octets.extend_from_slice(&frame_of(5, 2));
        let behind = damaged.end..(HEADER_LEN + octets.len()) as u64;
        assert_eq!(
            pieces(&octets),
            [Piece::Damaged(damaged), Piece::Frame(behind)]
        );
    }

    #[test]
    fn what_is_cut_off_at_the_end_is_no_frame() {
        let mut octets = frame_of(100, 1);
        octets.truncate(octets.len() - ALIGNMENT);
        assert_eq!(pieces(&octets), []);
        assert_eq!(pieces(&[0; 64]), []);
        assert_eq!(pieces(&[]), []);
    }
}
