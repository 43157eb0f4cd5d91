//! The socket of a connection, plain or encrypted, read and written in turns.
//!
//! A connection's task asks for what there is now and waits for readiness
//! itself. An encrypted stream fits that: octets go through the state machine
//! of rustls between socket and task, and nothing waits in between.

use std::future::Future;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{BufMut, BytesMut};
use rustls::{ProtocolVersion, ServerConfig, ServerConnection, SupportedCipherSuite};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use super::certificate::PeerCertificate;

/// The socket of a connection.
#[derive(Debug)]
pub enum Stream {
    /// As it is.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream>),
}

/// What there is to know of a connection's encryption.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encryption {
    /// The version: `tlsv1.3`.
    pub protocol: String,
    /// The exchange of keys: `x25519`.
    pub key_exchange: String,
    /// The cipher: `aes_256_gcm`.
    pub cipher: String,
    /// The hash: `sha384`.
    pub hash: String,
    /// Who the client is, if it has shown a certificate.
    pub peer: Option<PeerCertificate>,
}

impl Stream {
    /// A stream of a connection just accepted, encrypted as `tls` says if it does.
    ///
    /// # Errors
    /// Whatever rustls says to its configuration.
    pub fn new(socket: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let Some(config) = tls else {
            return Ok(Self::Plain(socket));
        };
        let tls = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(TlsStream {
            socket,
            tls,
            has_more: true,
        })))
    }

    /// The address that the client connected to.
    ///
    /// # Errors
    /// Whatever the system says when asked.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().local_addr()
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.socket,
        }
    }

    /// Whether it is encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// How it is encrypted, once that is agreed on.
    pub fn encryption(&self) -> Option<Encryption> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream.encryption()),
        }
    }

    /// Reads what there is now.
    ///
    /// # Errors
    /// `WouldBlock` when that is nothing, and whatever ends the connection.
    #[inline]
    pub fn read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        match self {
            // Other than `try_read_buf`, tokio takes a short read as the end of
            // it, so that nobody has to ask again in vain.
            Self::Plain(socket) => {
                let read = pin!(socket.read_buf(into));
                // Whoever waits for more does so with `ready`.
                match read.poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(read) => read,
                    Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
            Self::Tls(stream) => stream.read(into),
        }
    }

    /// Writes as much of `slices` as is taken now.
    ///
    /// # Errors
    /// `WouldBlock` when that is nothing, and whatever ends the connection.
    #[inline]
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_write_vectored(slices),
            Self::Tls(stream) => stream.write(slices),
        }
    }

    /// Passes on what was written and is still kept here; whether all of it is.
    ///
    /// # Errors
    /// Whatever ends the connection.
    #[inline]
    pub fn flush(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(_) => Ok(true),
            Self::Tls(stream) => stream.flush(),
        }
    }

    /// What to wait for, by what its owner is after: an encrypted stream may
    /// have something of its own to write.
    #[inline]
    pub fn interest(&self, read: bool, write: bool) -> Option<Interest> {
        let write = write || matches!(self, Self::Tls(stream) if stream.tls.wants_write());
        match (read, write) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::READABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        }
    }

    /// Waits until there may be what `interest` is for.
    ///
    /// # Errors
    /// Whatever the system says.
    pub async fn ready(&self, interest: Interest) -> io::Result<()> {
        if let Self::Tls(stream) = self
            && stream.has_more
            && interest.is_readable()
        {
            return Ok(());
        }
        self.socket().ready(interest).await.map(drop)
    }

    /// Says that nothing more is sent, and takes what still comes until the
    /// peer has nothing more either.
    ///
    /// # Errors
    /// Whatever the system says.
    pub async fn finish(&mut self) -> io::Result<()> {
        if let Self::Tls(stream) = self {
            stream.tls.send_close_notify();
            while !stream.flush()? {
                stream.socket.writable().await?;
            }
        }
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &mut stream.socket,
        };
        socket.shutdown().await?;
        let mut left = [0; 1024];
        while socket.read(&mut left).await? > 0 {}
        Ok(())
    }
}

/// A socket behind TLS.
#[derive(Debug)]
pub struct TlsStream {
    socket: TcpStream,
    tls: ServerConnection,
    /// Whether there may be more to read than the socket knows of.
    has_more: bool,
}

impl TlsStream {
    fn read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        loop {
            match self.take_plain(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
            // What the handshake has to answer goes out at once.
            self.flush()?;
            match self.tls.read_tls(&mut Socket(&self.socket)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.has_more = false;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
            if let Err(error) = self.tls.process_new_packets() {
                // The peer is told why, if it still listens.
                let _unheard = self.flush();
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }

    /// Takes what is decrypted already, as far as there is room.
    fn take_plain(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        self.has_more = true;
        let mut reader = self.tls.reader();
        let mut taken = 0;
        loop {
            let room = into.capacity() - into.len();
            if room == 0 {
                return Ok(taken);
            }
            match reader.fill_buf() {
                Ok([]) => return Ok(taken),
                Ok(plain) => {
                    let plain = plain.get(..room).unwrap_or(plain);
                    into.put_slice(plain);
                    let len = plain.len();
                    reader.consume(len);
                    taken += len;
                }
                Err(_) if taken > 0 => return Ok(taken),
                // Hung up without a word, as many clients do.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.flush()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let written = self.tls.writer().write_vectored(slices)?;
        if written == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.flush()?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<bool> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Socket(&self.socket)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl TlsStream {
    fn encryption(&self) -> Encryption {
        let (cipher, hash) = self
            .tls
            .negotiated_cipher_suite()
            .map(named)
            .unwrap_or_default();
        let group = self.tls.negotiated_key_exchange_group();
        let certificates = self.tls.peer_certificates().unwrap_or_default();
        Encryption {
            protocol: match self.tls.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "tlsv1.3".into(),
                Some(ProtocolVersion::TLSv1_2) => "tlsv1.2".into(),
                _ => String::new(),
            },
            key_exchange: group
                .and_then(|group| group.name().as_str())
                .unwrap_or_default()
                .to_lowercase(),
            cipher,
            hash,
            peer: certificates.first().and_then(PeerCertificate::of),
        }
    }
}

/// Cipher and hash of a suite such as `TLS13_AES_256_GCM_SHA384`.
fn named(suite: SupportedCipherSuite) -> (String, String) {
    let name = suite.suite().as_str().unwrap_or_default().to_lowercase();
    let (_, name) = name.split_once("with_").unwrap_or(("", &name));
    let name = name.trim_start_matches("tls13_");
    let (cipher, hash) = name.rsplit_once('_').unwrap_or((name, ""));
    (cipher.to_owned(), hash.to_owned())
}

/// A socket as rustls reads and writes it: what there is, without waiting.
struct Socket<'a>(&'a TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.try_write(octets)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
