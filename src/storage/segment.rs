//! A segment: one file of the log.
//!
//! ```text
//!   0        8         12         16           24    28    32
//!   +--------+---------+----------+------------+-----+-----+---------
//!   | magic  | version | reserved | generation | crc | 0   | frames
//!   +--------+---------+----------+------------+-----+-----+---------
//! ```
//!
//! Numbers are big-endian; the crc is crc32c of what is before it. The file's
//! name is its generation, ten digits at least, and `.seg`.

use std::path::{Path, PathBuf};

/// Octets before the first frame.
pub(super) const HEADER_LEN: usize = 32;
/// The version of the whole format: what a record means as well.
pub(super) const VERSION: u32 = 4;

const MAGIC: [u8; 8] = *b"HARRIERL";
const CRC_AT: usize = 24;

/// What the start of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// A segment of this generation.
    Generation(u64),
    /// A segment in a format that this program doesn't read.
    Version(u32),
    /// No segment, or the start of one is damaged.
    Unreadable,
}

/// The header of a segment.
pub(super) fn header(generation: u64) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_be_bytes());
    header[16..24].copy_from_slice(&generation.to_be_bytes());
    let crc = crc32c::crc32c(&header[..CRC_AT]);
    header[CRC_AT..28].copy_from_slice(&crc.to_be_bytes());
    header
}

/// Looks at the first octets of a file.
pub(super) fn read_header(octets: &[u8]) -> Header {
    let Some(found) = octets.first_chunk::<HEADER_LEN>() else {
        return Header::Unreadable;
    };
    let [.., g0, g1, g2, g3, g4, g5, g6, g7, _, _, _, _, _, _, _, _] = *found;
    let generation = u64::from_be_bytes([g0, g1, g2, g3, g4, g5, g6, g7]);
    if *found == header(generation) {
        return Header::Generation(generation);
    }
    let [_, _, _, _, _, _, _, _, v0, v1, v2, v3, ..] = *found;
    let version = u32::from_be_bytes([v0, v1, v2, v3]);
    if found.starts_with(&MAGIC) && version != VERSION {
        return Header::Version(version);
    }
    Header::Unreadable
}

/// The directory of the log.
#[derive(Debug, Clone)]
pub(super) struct LogDir {
    path: PathBuf,
}

/// What a file in the log's directory is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// The segment of that number.
    Segment(u64),
    /// A file that was being made or waited to be used again.
    Leftover,
    /// Something else.
    Other,
}

impl LogDir {
    /// The log within a data directory.
    pub(super) fn within(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join("log"),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file of a segment.
    pub(super) fn segment(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:010}.seg"))
    }

    /// A segment while it is being made.
    pub(super) fn unfinished(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:010}.new"))
    }

    /// A segment that waits to be used again.
    pub(super) fn spare(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:010}.spare"))
    }

    /// What can't be read of a segment is kept there, by its offset.
    pub(super) fn damaged(&self, number: u64, offset: u64) -> PathBuf {
        self.path.join(format!("{number:010}.{offset}.damaged"))
    }

    /// What the file of that name is.
    pub(super) fn named(name: &str) -> Named {
        match name.split_once('.') {
            Some((number, "seg")) => number.parse().map_or(Named::Other, Named::Segment),
            Some((_, "new" | "spare")) => Named::Leftover,
            _ => Named::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back() {
        assert_eq!(read_header(&header(7)), Header::Generation(7));
        assert_eq!(read_header(&header(7)[..31]), Header::Unreadable);
        assert_eq!(read_header(&[0; 64]), Header::Unreadable);
    }

    #[test]
    fn another_version_is_told_from_damage() {
        let mut later = header(7);
        later[11] = 9;
        assert_eq!(read_header(&later), Header::Version(9));
        let mut damaged = header(7);
        damaged[20] ^= 1;
        assert_eq!(read_header(&damaged), Header::Unreadable);
    }

    #[test]
    fn files_are_known_by_their_names() {
        assert_eq!(LogDir::named("0000000012.seg"), Named::Segment(12));
        assert_eq!(
            LogDir::named("12345678901.seg"),
            Named::Segment(12_345_678_901)
        );
        assert_eq!(LogDir::named("0000000012.new"), Named::Leftover);
        assert_eq!(LogDir::named("0000000012.24.damaged"), Named::Other);
        assert_eq!(LogDir::named("x.seg"), Named::Other);
    }
}
