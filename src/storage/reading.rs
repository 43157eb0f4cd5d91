//! Reading stretches of segments, frame by frame.

use std::ops::Range;
use std::sync::Arc;

use super::error::StoreError;
use super::files::Files;
use super::frame;
use super::segment::{HEADER_LEN, LogDir};

/// Reads segments that are being written or are full.
#[derive(Debug, Clone)]
pub(super) struct SegmentReader {
    pub(super) files: Arc<dyn Files>,
    pub(super) dir: LogDir,
}

/// Part of a segment, and the frames in it.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    /// What was read.
    pub(super) octets: Vec<u8>,
    /// Where the whole frames are in `octets`.
    pub(super) frames: Vec<Range<usize>>,
    /// What lies between them and is none, though there should be nothing.
    pub(super) damaged: Vec<Range<usize>>,
    /// Where in the segment `octets` starts.
    pub(super) start: u64,
}

impl SegmentReader {
    /// Reads the frames from `start` to `end` of a segment.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file can't be read.
    pub(super) fn read(&self, segment: u64, start: u64, end: u64) -> Result<Stretch, StoreError> {
        let path = self.dir.segment(segment);
        let len = usize::try_from(end.saturating_sub(start)).unwrap_or_default();
        let mut octets = vec![0; len];
        // Opened each time: its file may have become another segment since.
        let file = self.files.open(&path);
        let read = file.and_then(|file| file.read_at(&mut octets, start));
        octets.truncate(read.map_err(StoreError::io("read", &path))?);
        Ok(Stretch::new(octets, start, segment))
    }

    /// Reads frames of which all are known to be there.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file can't be read.
    pub(super) fn read_exactly(
        &self,
        segment: u64,
        extent: &Range<u64>,
    ) -> Result<Stretch, StoreError> {
        let mut stretch = self.read(segment, extent.start, extent.end)?;
        let end = stretch.frames.last().map_or(0, |frame| frame.end);
        if end < stretch.octets.len() {
            stretch.damaged.push(end..stretch.octets.len());
        }
        Ok(stretch)
    }

    /// Reads where the header is.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file can't be read.
    pub(super) fn head(&self, segment: u64) -> Result<[u8; HEADER_LEN], StoreError> {
        let path = self.dir.segment(segment);
        let mut head = [0; HEADER_LEN];
        let file = self.files.open(&path);
        let read = file.and_then(|file| file.read_at(&mut head, 0));
        read.map_err(StoreError::io("read", &path))?;
        Ok(head)
    }

    /// Reads all frames of a segment.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file can't be read.
    pub(super) fn read_whole(&self, segment: u64, start: u64) -> Result<Stretch, StoreError> {
        let path = self.dir.segment(segment);
        let size = self.files.open(&path).and_then(|file| file.size());
        let size = size.map_err(StoreError::io("read", &path))?;
        self.read(segment, start, size)
    }
}

impl Stretch {
    /// Finds the frames in `octets` of a segment.
    fn new(octets: Vec<u8>, start: u64, segment: u64) -> Self {
        let (mut frames, mut damaged) = (Vec::new(), Vec::new());
        let mut at = 0;
        loop {
            let rest = octets.get(at..).unwrap_or_default();
            if let Some((_, taken)) = frame::read(rest, segment) {
                frames.push(at..at + taken);
                at += taken;
            } else if let Some(next) = frame::find(&octets, at, segment) {
                damaged.push(at..next);
                at = next;
            } else {
                break;
            }
        }
        Self {
            octets,
            frames,
            damaged,
            start,
        }
    }

    /// The records of one of the frames.
    pub(super) fn records(&self, frame: &Range<usize>) -> &[u8] {
        frame::records(self.octets.get(frame.clone()).unwrap_or_default())
    }
}
