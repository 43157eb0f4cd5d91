//! Reaching a broker: another by the network, this one from within.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::tls;
use super::uri::Address;
use crate::server::shared::Shared;

/// Octets both ways, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects to where `address` says. An address without a host leads into the
/// broker of `shared`: without a login as one who may do everything.
///
/// # Errors
/// What the system says.
pub(super) async fn dial(shared: &Arc<Shared>, address: &Address) -> io::Result<Box<dyn Stream>> {
    let Some((host, port)) = &address.host else {
        return Ok(Box::new(shared.dial_in(address.login.is_none()).await?));
    };
    let stream = TcpStream::connect((host.as_str(), *port)).await?;
    stream.set_nodelay(true)?;
    Ok(match &address.tls {
        Some(options) => Box::new(tls::encrypt(stream, host, options).await?),
        None => Box::new(stream),
    })
}
