//! Connections to this broker that its own process makes.
//!
//! A shovel from or to this broker is a client of it like any other, but nobody
//! has told it a password. No credential stands in for one: what is trusted
//! is a connection whose two ends are both in our hands from the start. It goes
//! by no listener, and nothing a client can send makes it another's.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tracing::Instrument;

use super::connection::ConnectionTask;
use super::shared::Shared;
use super::stream::Stream;
use crate::base::ids::ConnectionId;
use crate::broker::access::{IMPERSONATOR, PasswordHash, User, UserLimits};

/// The user that stands for the broker itself, as RabbitMQ names it. Nobody
/// logs in as it; one who is called so is another.
const BROKER: &str = "none";

/// The connections whose user is the broker itself.
#[derive(Debug, Default)]
pub(super) struct Insiders(Mutex<Vec<ConnectionId>>);

impl Insiders {
    /// Whether the user of a connection is the broker itself.
    pub(super) fn has(&self, id: ConnectionId) -> bool {
        self.0.lock().contains(&id)
    }

    fn add(&self, id: ConnectionId) {
        self.0.lock().push(id);
    }

    fn remove(&self, id: ConnectionId) {
        self.0.lock().retain(|other| *other != id);
    }
}

impl Shared {
    /// The user of a connection that needs no login, if it is one.
    pub(super) fn insider(&self, id: ConnectionId) -> Option<Arc<User>> {
        let user = || {
            Arc::new(User {
                name: BROKER.into(),
                password: PasswordHash::none(),
                // What it moves keeps the name of whoever published it.
                tags: vec![IMPERSONATOR.into()],
                limits: UserLimits::default(),
            })
        };
        self.insiders.has(id).then(user)
    }

    /// The client's end of a new connection to this broker. If `trusted`, its
    /// login isn't looked at, and it may do everything; otherwise it has to log
    /// in as any other.
    ///
    /// # Errors
    /// What the system says when it makes no socket, and that the server stops.
    pub async fn dial_in(self: &Arc<Self>, trusted: bool) -> io::Result<TcpStream> {
        if self.is_stopping() {
            return Err(io::Error::other("the broker stops"));
        }
        let (client, server) = socket_pair().await?;
        let (peer, id) = (server.peer_addr()?, self.next_connection());
        if trusted {
            self.insiders.add(id);
        }
        let span = tracing::error_span!("connection", id = id.0, %peer, insider = true);
        let task = ConnectionTask::new(id, peer, Stream::Plain(server), Arc::clone(self));
        let shared = Arc::clone(self);
        let serve = async move {
            task.run().await;
            shared.insiders.remove(id);
        };
        tokio::spawn(serve.instrument(span));
        Ok(client)
    }
}

/// Two sockets connected to each other, and to nobody else: who else may have
/// found the port in between is turned away.
async fn socket_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let own = client.local_addr()?;
    loop {
        let (server, peer) = listener.accept().await?;
        if peer == own {
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            return Ok((client, server));
        }
        tracing::warn!(%peer, "connection refused: it wasn't for you");
    }
}
