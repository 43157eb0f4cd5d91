//! Reading again, while the server runs, the files that may change under it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::shared::Shared;

/// How often files are looked at by themselves.
const INTERVAL: Duration = Duration::from_secs(10);

/// Looks at the files again and again, and at once on SIGHUP.
///
/// # Errors
/// Whatever the system says to waiting for the signal.
pub async fn watch(shared: Arc<Shared>) -> io::Result<()> {
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = hang_up.recv() => tracing::info!("SIGHUP: files are looked at again"),
            () = sleep(INTERVAL) => {}
        }
        if let Some(certificates) = &shared.certificates {
            match certificates.reload_if_changed() {
                Ok(true) => tracing::info!("certificates were read again"),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "certificates stay as they were"),
            }
        }
    }
}
