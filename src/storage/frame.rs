//! A frame: records written together, kept together.
//!
//! ```text
//!   0       4       8            16           24              24 + size
//!   +-------+-------+------------+------------+---------------+------+
//!   | magic | crc   | generation | size       | records       | pad  |
//!   +-------+-------+------------+------------+---------------+------+
//! ```
//!
//! Numbers are big-endian. The crc is crc32c of everything behind it up to the
//! padding, which fills up to a multiple of eight octets with zeros. The
//! generation is the number of the segment: what an earlier use of the same
//! file left behind has another one and isn't read.

/// Octets before the records.
pub(super) const HEAD_LEN: usize = 24;
/// Every frame starts at a multiple of this.
pub(super) const ALIGNMENT: usize = 8;

const MAGIC: [u8; 4] = *b"HLF2";
const CRC_END: usize = 8;

/// Makes a frame of `octets`: [`HEAD_LEN`] of anything and then the records.
pub(super) fn seal(octets: &mut [u8], generation: u64) {
    debug_assert!(octets.len() >= HEAD_LEN, "no room for the head");
    let size = (octets.len() - HEAD_LEN) as u64;
    octets[..4].copy_from_slice(&MAGIC);
    octets[8..16].copy_from_slice(&generation.to_be_bytes());
    octets[16..24].copy_from_slice(&size.to_be_bytes());
    let crc = crc32c::crc32c(&octets[CRC_END..]);
    octets[4..8].copy_from_slice(&crc.to_be_bytes());
}

/// The records of the frame of `generation` at the start of `octets`, and how
/// many octets the frame takes; `None` when there is no whole one.
pub(super) fn read(octets: &[u8], generation: u64) -> Option<(&[u8], usize)> {
    let end = announced(octets, generation)?;
    let covered = octets.get(CRC_END..end)?;
    if crc32c::crc32c(covered).to_be_bytes() != octets[4..CRC_END] {
        return None;
    }
    let taken = end.next_multiple_of(ALIGNMENT).min(octets.len());
    Some((&octets[HEAD_LEN..end], taken))
}

/// The octets of a frame of `generation`, by its head at the start of `octets`.
pub(super) fn announced(octets: &[u8], generation: u64) -> Option<usize> {
    let head = octets.first_chunk::<HEAD_LEN>()?;
    if !begins(head, generation) {
        return None;
    }
    let size = u64::from_be_bytes(*head.last_chunk()?);
    usize::try_from(size).ok()?.checked_add(HEAD_LEN)
}

/// The records of a whole frame that was read before.
pub(super) fn records(octets: &[u8]) -> &[u8] {
    let head = octets.first_chunk::<HEAD_LEN>();
    let size = head
        .and_then(|head| head.last_chunk())
        .map(|size| u64::from_be_bytes(*size));
    let end = size.and_then(|size| usize::try_from(size).ok()?.checked_add(HEAD_LEN));
    end.and_then(|end| octets.get(HEAD_LEN..end))
        .unwrap_or_default()
}

/// Whether a frame of `generation` was begun at the start of `octets`.
pub(super) fn begins(octets: &[u8], generation: u64) -> bool {
    let head = octets.first_chunk::<16>();
    head.is_some_and(|head| head[..4] == MAGIC && head[8..] == generation.to_be_bytes())
}

/// Where the next whole frame of `generation` starts, at or after `from`.
pub(super) fn find(octets: &[u8], from: usize, generation: u64) -> Option<usize> {
    let mut at = from.next_multiple_of(ALIGNMENT);
    loop {
        at += candidate(octets.get(at..)?)?;
        if read(&octets[at..], generation).is_some() {
            return Some(at);
        }
        at += ALIGNMENT;
    }
}

/// Where in `octets`, which start where a frame might, the first may be.
pub(super) fn candidate(octets: &[u8]) -> Option<usize> {
    let mut places = octets.chunks(ALIGNMENT);
    let place = places.position(|place| place.starts_with(&MAGIC));
    place.map(|place| place * ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(records: &[u8], generation: u64) -> Vec<u8> {
        let mut buffer = vec![0; HEAD_LEN];
        buffer.extend_from_slice(records);
        seal(&mut buffer, generation);
        buffer.resize(buffer.len().next_multiple_of(ALIGNMENT), 0);
        buffer
    }

    #[test]
    fn a_frame_comes_back() {
        let frame = sealed(b"records", 7);
        assert_eq!(frame.len(), 32);
        assert_eq!(read(&frame, 7), Some((&b"records"[..], 32)));
    }

    #[test]
    fn another_generation_is_not_read() {
        assert_eq!(read(&sealed(b"records", 7), 8), None);
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let frame = sealed(b"records", 7);
        for bit in 0..(HEAD_LEN + 7) * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&damaged, 7), None, "bit {bit}");
        }
    }

    #[test]
    fn the_frame_behind_a_damaged_one_is_found() {
        let mut octets = sealed(b"first", 7);
        octets[HEAD_LEN] ^= 1;
        let second = octets.len();
        octets.extend_from_slice(&sealed(b"second", 7));
        assert_eq!(find(&octets, 0, 7), Some(second));
        assert_eq!(find(&octets, second + 1, 7), None);
    }
}
