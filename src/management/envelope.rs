//! What lies between TCP and HTTP.

use std::fmt::Debug;
use std::future::{Future, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::server::tls::Certificates;

/// What HTTP is spoken over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A stream to be, or why it can't be.
pub type Opening = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// What lies between TCP and HTTP: nothing, or TLS.
pub trait Envelope: Debug + Send + Sync {
    /// Makes of an accepted connection what HTTP is spoken over. Takes no longer
    /// than [`HTTP_HEAD_TIMEOUT`](crate::base::limits::HTTP_HEAD_TIMEOUT): it is
    /// dropped then.
    fn open(&self, stream: TcpStream) -> Opening;
}

/// Nothing.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl Envelope for Plain {
    fn open(&self, stream: TcpStream) -> Opening {
        Box::pin(ready(Ok(Box::new(stream) as Box<dyn Stream>)))
    }
}

/// TLS, with the certificate read last.
#[derive(Debug, Clone)]
pub struct Encrypted(pub Arc<Certificates>);

impl Envelope for Encrypted {
    fn open(&self, stream: TcpStream) -> Opening {
        let acceptor = TlsAcceptor::from(self.0.http());
        Box::pin(async move {
            let stream = acceptor.accept(stream).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
