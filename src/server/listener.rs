//! Accepting connections, and the end of them all.

use std::future::Future;
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
use super::shared::Shared;
use super::ticker;
use crate::base::limits::CONNECTIONS_TURNED_AWAY_MAX;

/// How long the listener waits after the system refused it a socket.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// The longest a stop waits for clients to answer.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// A listening AMQP server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
    /// A permit for each connection that may be open.
    permits: Arc<Semaphore>,
}

impl Server {
    /// Binds the configured address.
    ///
    /// # Errors
    /// Whatever the system says to that address.
    pub async fn bind(shared: Arc<Shared>) -> io::Result<Self> {
        let listener = TcpListener::bind(shared.config.amqp).await?;
        let permits = Arc::new(Semaphore::new(permits(&shared)));
        Ok(Self {
            listener,
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

    /// Serves until `stop` is ready, then closes every connection properly.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => {}
            () = self.accept() => {}
            () = flow::watch(Arc::clone(&self.shared)) => {}
            () = ticker::run(Arc::clone(&self.shared)) => {}
            () = herald::announce(Arc::clone(&self.shared)) => {}
        }
        drop(self.listener);
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

    async fn accept(&self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections");
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            let limit = self.shared.config.connections_max;
            tracing::warn!(%peer, limit, "connection refused: connection limit is reached");
            return;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::warn!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let id = self.shared.next_connection();
        // Of the highest level, so that it names the connection on every line there is.
        let span = tracing::error_span!("connection", id = id.0, %peer);
        let task = ConnectionTask::new(id, peer, stream, Arc::clone(&self.shared));
        tokio::spawn(serve(task, permit).instrument(span));
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
