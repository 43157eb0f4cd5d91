//! Accepting HTTP connections, and the end of them all.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::access::Peer;
use super::api::Api;
use super::envelope::Envelope;
use super::routes;
use crate::base::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEAD_MAX, HTTP_HEAD_TIMEOUT};

/// How long the listener waits after the system refused it a socket.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// The longest a stop waits for answers that are being given.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// The listening management API.
#[derive(Debug)]
pub struct Management {
    listener: TcpListener,
    envelope: Arc<dyn Envelope>,
    /// A permit for each connection that may be open.
    permits: Arc<Semaphore>,
}

impl Management {
    /// Binds an address.
    ///
    /// # Errors
    /// Whatever the system says to that address.
    pub async fn bind(address: SocketAddr, envelope: Arc<dyn Envelope>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            listener,
            envelope,
            permits: Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX)),
        })
    }

    /// The address that clients connect to.
    ///
    /// # Errors
    /// Whatever the system says when asked.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` says so, or is gone, then lets what is being answered
    /// be answered.
    pub async fn run(self, api: Arc<Api>, stop: watch::Receiver<bool>) {
        self.serve(routes::all(&api), stop).await;
    }

    /// The same with nothing but metrics, for anybody.
    pub async fn run_metrics(self, api: Arc<Api>, stop: watch::Receiver<bool>) {
        self.serve(routes::metrics(&api), stop).await;
    }

    async fn serve(self, routes: Router, stop: watch::Receiver<bool>) {
        tokio::select! {
            () = stopped(stop.clone()) => {}
            () = self.accept(&routes, &stop) => {}
        }
        drop(self.listener);
        let all = u32::try_from(HTTP_CONNECTIONS_MAX).unwrap_or(u32::MAX);
        // Those that take longer are cut off.
        let _late = timeout(STOP_PATIENCE, self.permits.acquire_many(all)).await;
    }

    async fn accept(&self, routes: &Router, stop: &watch::Receiver<bool>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => self.admit(stream, peer, routes, stop),
                Err(error) => {
                    tracing::error!(%error, "cannot accept HTTP connections");
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        routes: &Router,
        stop: &watch::Receiver<bool>,
    ) {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            let limit = HTTP_CONNECTIONS_MAX;
            tracing::warn!(%peer, limit, "HTTP connection refused: the limit is reached");
            return;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::warn!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let service = routes.clone().layer(Extension(Peer(peer)));
        let envelope = Arc::clone(&self.envelope);
        tokio::spawn(converse(stream, envelope, service, stop.clone(), permit));
    }
}

/// Answers the requests of one connection.
async fn converse(
    stream: TcpStream,
    envelope: Arc<dyn Envelope>,
    service: Router,
    stop: watch::Receiver<bool>,
    permit: OwnedSemaphorePermit,
) {
    let stream = match timeout(HTTP_HEAD_TIMEOUT, envelope.open(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "no HTTP connection"),
        Err(_) => return,
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEAD_TIMEOUT)
        .max_buf_size(HTTP_HEAD_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection broke off");
    }
    drop(permit);
}

/// Is ready once `stop` says so, or nobody can say it any more.
async fn stopped(mut stop: watch::Receiver<bool>) {
    let _gone = stop.wait_for(|stop| *stop).await;
}
