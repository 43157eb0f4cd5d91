//! How much room a file system has left.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The octets that this process can still write to the file system of `dir`:
/// what is reserved for the superuser doesn't count.
///
/// # Errors
/// Whatever the system reports, a directory that isn't there for one.
#[allow(
    unsafe_code,
    reason = "the standard library doesn't tell a file system's free space"
)]
pub fn free_space(dir: &Path) -> io::Result<u64> {
    let path = CString::new(dir.as_os_str().as_bytes())?;
    let mut found = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `path` ends with a zero and outlives the call, which writes
    // nothing but the structure it is given; all zeros is a valid one.
    let (result, found) = unsafe {
        let result = libc::statvfs(path.as_ptr(), found.as_mut_ptr());
        (result, found.assume_init())
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // How wide these numbers are differs from system to system.
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        reason = "see above"
    )]
    let (blocks, size) = (found.f_bavail as u64, found.f_frsize as u64);
    Ok(blocks.saturating_mul(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_room_and_one_that_is_not_there_has_not() {
        assert!(free_space(Path::new("/")).unwrap() > 0);
        let error = free_space(Path::new("/no/such/directory")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(free_space(Path::new("a\0b")).is_err());
    }
}
