//! Telling whoever started the process how it is.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where systemd listens, for a service of type `notify` (sd_notify(3)).
const SOCKET: &str = "NOTIFY_SOCKET";

/// Tells systemd that the broker serves, or that it stops; nobody else.
///
/// # Errors
/// Whatever the system says to that socket.
pub fn tell(state: State) -> io::Result<()> {
    let Some(path) = env::var_os(SOCKET) else {
        return Ok(());
    };
    let address = match path.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(&path)?,
    };
    let text = match state {
        State::Ready => "READY=1",
        State::Stopping => "STOPPING=1",
    };
    let socket = UnixDatagram::unbound()?;
    socket.send_to_addr(text.as_bytes(), &address).map(drop)
}

/// How the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It serves.
    Ready,
    /// It is about to end.
    Stopping,
}
