//! Accepting connections, and the end of them all.

use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tracing::Instrument;

use super::connection::ConnectionTask;
use super::flow;
use super::herald;
use super::reload;
use super::shared::Shared;
use super::stream::Stream;
use super::ticker;
use super::tls::Certificates;
use crate::base::limits::CONNECTIONS_TURNED_AWAY_MAX;

/// How long the listener waits after the system refused it a socket.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// The longest a stop waits for clients to answer.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// A listening AMQP server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    /// The one for encrypted connections, if there is one.
    encrypted: Option<TcpListener>,
    shared: Arc<Shared>,
    /// A permit for each connection that may be open.
    permits: Arc<Semaphore>,
}

impl Server {
    /// Binds the configured addresses.
    ///
    /// # Errors
    /// Whatever the system says to one of them.
    pub async fn bind(shared: Arc<Shared>) -> Result<Self, CannotListen> {
        let listener = listen(shared.config.amqp, "amqp").await?;
        let encrypted = match shared.config.amqps {
            Some(address) => Some(listen(address, "amqps").await?),
            None => None,
        };
        let permits = Arc::new(Semaphore::new(permits(&shared)));
        Ok(Self {
            listener,
            encrypted,
            shared,
            permits,
        })
    }

    /// The address that clients connect to.
    ///
    /// # Errors
    /// Whatever the system says when asked.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The address for encrypted connections, if there is one.
    ///
    /// # Errors
    /// Whatever the system says when asked.
    pub fn encrypted_address(&self) -> io::Result<Option<SocketAddr>> {
        let listener = self.encrypted.as_ref();
        listener.map(TcpListener::local_addr).transpose()
    }

    /// Serves until `stop` is ready, then closes every connection properly.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => {}
            () = self.accept(&self.listener, None) => {}
            () = self.accept_encrypted() => {}
            Err(error) = reload::watch(Arc::clone(&self.shared)) => {
                tracing::error!(%error, "cannot wait for SIGHUP");
            }
            () = flow::watch(Arc::clone(&self.shared)) => {}
            () = ticker::run(Arc::clone(&self.shared)) => {}
            () = fetch_keys(&self.shared) => {}
            () = herald::announce(Arc::clone(&self.shared)) => {}
        }
        drop((self.listener, self.encrypted));
        tracing::info!(connections = self.shared.connections(), "stopping");
        self.shared.stop();
        let all = u32::try_from(permits(&self.shared)).unwrap_or(u32::MAX);
        if timeout(STOP_PATIENCE, self.permits.acquire_many(all))
            .await
            .is_err()
        {
            let left = self.shared.connections();
            tracing::warn!(connections = left, "clients that didn't answer are cut off");
        }
    }

    async fn accept_encrypted(&self) {
        match (&self.encrypted, &self.shared.certificates) {
            (Some(listener), Some(tls)) => self.accept(listener, Some(tls)).await,
            _ => pending().await,
        }
    }

    async fn accept(&self, listener: &TcpListener, tls: Option<&Certificates>) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.admit(stream, peer, tls),
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections");
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr, tls: Option<&Certificates>) {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            let limit = self.shared.config.connections_max;
            tracing::warn!(%peer, limit, "connection refused: connection limit is reached");
            return;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::warn!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let stream = match Stream::new(stream, tls.map(Certificates::amqp)) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::error!(%peer, %error, "cannot encrypt a connection");
                return;
            }
        };
        let id = self.shared.next_connection();
        // Of the highest level, so that it names the connection on every line there is.
        let span = tracing::error_span!("connection", id = id.0, %peer);
        let task = ConnectionTask::new(id, peer, stream, Arc::clone(&self.shared));
        tokio::spawn(serve(task, permit).instrument(span));
    }
}

/// An address can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}; choose another address with --{key}")]
pub struct CannotListen {
    address: SocketAddr,
    key: &'static str,
    error: io::Error,
}

async fn listen(address: SocketAddr, key: &'static str) -> Result<TcpListener, CannotListen> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| CannotListen {
        address,
        key,
        error,
    })
}

/// Keeps the keys of tokens up to date, where tokens are taken.
async fn fetch_keys(shared: &Shared) {
    match &shared.verifier {
        Some(verifier) => verifier.keys.refresh().await,
        None => pending().await,
    }
}

/// How many connections there may be, those to be turned away among them.
fn permits(shared: &Shared) -> usize {
    let served = shared.config.connections_max;
    let all = served.saturating_add(CONNECTIONS_TURNED_AWAY_MAX);
    all.min(Semaphore::MAX_PERMITS)
}

async fn serve(task: ConnectionTask, permit: OwnedSemaphorePermit) {
    task.run().await;
    drop(permit);
}
