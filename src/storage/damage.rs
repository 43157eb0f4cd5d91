//! What can't be read any more: kept aside and said, never passed over.

use std::path::PathBuf;

use super::error::StoreError;
use super::reading::SegmentReader;

impl SegmentReader {
    /// Keeps a copy of octets of a segment that hold no frame; returns where.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the copy can't be written.
    pub(super) fn set_aside(
        &self,
        segment: u64,
        offset: u64,
        octets: &[u8],
    ) -> Result<PathBuf, StoreError> {
        let copy = self.dir.damaged(segment, offset);
        tracing::error!(
            segment = %self.dir.segment(segment).display(),
            offset,
            octets = octets.len(),
            copy = %copy.display(),
            "the log is damaged: what was recorded there is lost, a copy is set aside"
        );
        let file = self.files.create(&copy);
        let written = file.and_then(|file| {
            file.write_all_at(octets, 0)?;
            file.sync_data()
        });
        written.map_err(StoreError::io("write", &copy))?;
        Ok(copy)
    }
}
