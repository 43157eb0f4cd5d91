//! The task of one connection: read, step, write, wait.

use std::future::pending;
use std::io::{self, IoSlice};
use std::mem;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::actions::Verdict;
use super::auth::Identity;
use super::events::Origin;
use super::outbox::{Outbox, Outgoing};
use super::roster::{ChannelMode, ConnectionView};
use super::session::Session;
use super::shared::Shared;
use super::stream::Stream;
use crate::base::ids::{Batch, ConnectionId};
use crate::base::limits::{
    CLOSE_TIMEOUT, OUTBOX_HIGH, READ_BUDGET, READ_BUFFER, STORE_PENDING_HIGH, WRITE_BUDGET,
};
use crate::protocol::{Connection, Liveness, Phase};

/// The first read of a connection; reads grow as long as they come back full.
const READ_MIN: usize = 4 * 1024;
/// Pieces of one vectored write.
const WRITE_SLICES: usize = 64;
/// How long a client may take to answer the close when the server stops.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);
/// How long the socket is kept for a peer to take in our last words.
const LINGER: Duration = Duration::from_secs(5);
/// A timer's time when nothing is due: no heartbeats were agreed on.
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// How a connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The protocol ran to its end.
    Closed,
    /// The peer hung up without closing.
    HungUp,
    /// The peer hasn't been heard of for too long.
    HeartbeatMissed,
    /// It wasn't open in time.
    HandshakeTimeout,
    /// It didn't answer our close in time.
    CloseTimeout,
}

/// What the task does next.
enum Step {
    /// There is more to do at once.
    Again,
    /// Wait for something to happen.
    Wait,
    /// Stop.
    End(End),
}

/// How a round of writing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// Nothing is left.
    All,
    /// The socket takes no more for now.
    Some,
    /// It is somebody else's turn.
    Enough,
}

/// The state of one connection's task.
pub struct ConnectionTask {
    pub(super) id: ConnectionId,
    pub(super) origin: Origin,
    /// What others see of it.
    pub(super) view: Arc<ConnectionView>,
    pub(super) shared: Arc<Shared>,
    pub(super) stream: Stream,
    pub(super) protocol: Connection,
    pub(super) session: Option<Session>,
    pub(super) user: Arc<str>,
    /// The same with all that is known of him, once he has logged in.
    pub(super) identity: Option<Identity>,
    pub(super) outbox: Arc<Outbox>,
    waker: Waker,
    /// Read and not yet worked on.
    input: BytesMut,
    /// Whole units cut from the input, and how far they are worked on.
    pub(super) units: Bytes,
    pub(super) at: usize,
    read_size: usize,
    /// The connection's own replies, on their way to the outbox.
    pub(super) replies: BytesMut,
    /// Swapped out of the outbox, on its way to the socket.
    writing: Outgoing,
    /// Replies have to wait until this batch is on disk, and input with them.
    pub(super) barrier: Option<Batch>,
    /// The last batch that a publish went into.
    pub(super) stored: Option<Batch>,
    /// Not read, because it published while an alarm was on.
    pub(super) blocked: bool,
    received: bool,
    sent: bool,
    /// Fires when something has to have happened.
    pub(super) timer: Pin<Box<Sleep>>,
    /// The socket is to be closed once all is written, and not before then.
    pub(super) drop_at: Option<Instant>,
    pub(super) finished: bool,
    /// The client has closed the connection, the rest is up to it.
    pub(super) left: bool,
    shutting_down: bool,
}

impl ConnectionTask {
    /// The task of a connection just accepted.
    pub fn new(id: ConnectionId, peer: SocketAddr, stream: Stream, shared: Arc<Shared>) -> Self {
        let local = stream.local_addr().unwrap_or(shared.config.amqp);
        let since = shared.now().unix_ms;
        let view = shared.roster.enter(id, (peer, local), since);
        let outbox = Arc::clone(&view.outbox);
        let handshake = Instant::now() + shared.config.handshake_timeout;
        Self {
            id,
            origin: Origin::new(&view),
            view,
            protocol: Connection::new(shared.settings(stream.is_encrypted())),
            session: None,
            user: "".into(),
            identity: None,
            waker: Waker::from(Arc::clone(&outbox)),
            outbox,
            stream,
            input: BytesMut::new(),
            units: Bytes::new(),
            at: 0,
            read_size: READ_MIN,
            replies: BytesMut::new(),
            writing: Outgoing::default(),
            barrier: None,
            stored: None,
            blocked: false,
            received: false,
            sent: false,
            timer: Box::pin(sleep_until(handshake)),
            drop_at: None,
            finished: false,
            left: false,
            shutting_down: false,
            shared,
        }
    }

    /// Serves the connection to its end.
    pub async fn run(mut self) {
        tracing::info!("accepted");
        let end = self.serve().await;
        self.clean_up();
        if matches!(end, Ok(End::Closed)) {
            self.linger().await;
        }
        match end {
            Ok(End::Closed) => tracing::info!("closed"),
            Ok(End::HungUp) => tracing::warn!("client unexpectedly closed TCP connection"),
            Ok(End::HeartbeatMissed) => tracing::warn!("missed heartbeats from client"),
            Ok(End::HandshakeTimeout) => tracing::warn!("handshake timed out"),
            Ok(End::CloseTimeout) => {
                tracing::warn!("client didn't answer connection.close in time")
            }
            Err(error) => tracing::warn!(%error, "socket error"),
        }
    }

    async fn serve(&mut self) -> io::Result<End> {
        loop {
            match self.turn()? {
                Step::Again => tokio::task::yield_now().await,
                Step::Wait => {
                    if let Some(end) = self.wait().await? {
                        return Ok(end);
                    }
                }
                Step::End(end) => return Ok(end),
            }
        }
    }

    /// Takes the connection out of everything it is in. Doing so again is nothing.
    fn clean_up(&mut self) {
        if let Some(mut session) = self.session.take() {
            session.begin_batch(self.shared.now());
            session.close();
        }
        self.tell_closed();
        self.shared.deregister(self.id);
    }

    /// Lets what was written arrive: closing a socket with input unread resets
    /// it, and the peer may lose our last words.
    async fn linger(&mut self) {
        // However it ends, the socket is closed next.
        let _outcome = timeout(LINGER, self.stream.finish()).await;
    }

    /// One batch of work: what was read is carried out, everybody concerned is
    /// told, what is ready is written.
    fn turn(&mut self) -> io::Result<Step> {
        self.begin_batch();
        self.heed_dismissal();
        if self.blocked && !self.shared.alarms.any() {
            self.blocked = false;
            self.view.blocked.store(false, Ordering::Relaxed);
            self.protocol.unblocked(&mut self.replies);
        }
        if self.shared.is_stopping() && !self.shutting_down {
            self.shut_down();
            if self.session.is_none() {
                return Ok(Step::End(End::Closed));
            }
        }
        let (more, hung_up) = self.read_and_work()?;
        self.end_batch();
        let written = self.write()?;
        if self.finished && written == Written::All {
            return Ok(Step::End(End::Closed));
        }
        if hung_up {
            let expected = self.protocol.state() != Phase::Running;
            let end = if expected { End::Closed } else { End::HungUp };
            return Ok(Step::End(end));
        }
        let again = more || written == Written::Enough;
        Ok(if again { Step::Again } else { Step::Wait })
    }

    /// Reads and works until there is nothing more, the budget is used up or
    /// the disk has to catch up. Returns whether there is more, and whether
    /// the peer has hung up.
    fn read_and_work(&mut self) -> io::Result<(bool, bool)> {
        let mut budget = READ_BUDGET;
        loop {
            self.lift_barrier();
            if self.barrier.is_none() {
                self.get_again();
            }
            self.work();
            self.wait_for_the_disk();
            if !self.may_read() {
                return Ok((false, false));
            }
            let ready = self.protocol.ready_len(&self.input);
            if ready > 0 {
                if budget == 0 {
                    return Ok((true, false));
                }
                budget = budget.saturating_sub(ready);
                self.units = self.input.split_to(ready).freeze();
                self.at = 0;
                continue;
            }
            match self.read() {
                Ok(0) => return Ok((false, true)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.release_input();
                    return Ok((false, false));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether more input is wanted now.
    fn may_read(&self) -> bool {
        self.barrier.is_none()
            && !self.blocked
            && !self.waits_for_get()
            && self.drop_at.is_none()
            && !self.finished
            && (self.writing.is_empty() || self.outbox.waiting() < OUTBOX_HIGH)
    }

    fn read(&mut self) -> io::Result<usize> {
        let wanted = self.protocol.wanted_len(&self.input);
        let missing = wanted.saturating_sub(self.input.len());
        // Room for a whole large frame only where much has come before: a head
        // that announces one costs its sender nothing.
        let room = missing.min(self.read_size * 4).max(self.read_size);
        self.input.reserve(room);
        let read = self.stream.read(&mut self.input)?;
        self.received |= read > 0;
        self.view.octets_in.add(read as u64);
        self.view.reads.add(1);
        if read >= self.read_size {
            self.read_size = (self.read_size * 2).min(READ_BUFFER);
        } else if read < self.read_size / 4 {
            self.read_size = (self.read_size / 2).max(READ_MIN);
        }
        Ok(read)
    }

    /// Gives the read buffer back while nothing comes: idle connections are many.
    fn release_input(&mut self) {
        self.units = Bytes::new();
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
    }

    /// Carries out the units cut from the input, up to a barrier.
    fn work(&mut self) {
        while self.at < self.units.len()
            && self.barrier.is_none()
            && self.drop_at.is_none()
            && !self.blocked
            && !self.waits_for_get()
        {
            let verdict = self.step();
            self.conclude(verdict);
        }
    }

    /// Whether the input is held back until a `basic.get` has its message.
    fn waits_for_get(&self) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.waiting_get.is_some())
    }

    /// Holds a publisher back that is faster than the disk.
    fn wait_for_the_disk(&mut self) {
        if let Some(batch) = self.stored.take()
            && self.shared.store.pending_bytes() > STORE_PENDING_HIGH
        {
            self.barrier = Some(batch);
            self.view.held_back.set(self.shared.now().unix_ms);
        }
    }

    /// Goes on once what was waited for is on disk.
    fn lift_barrier(&mut self) {
        if self
            .barrier
            .is_some_and(|batch| batch <= self.shared.store.synced())
        {
            self.barrier = None;
        }
    }

    /// Ends a batch of work: acknowledgements and confirms that are due go
    /// out, the replies join the deliveries, everybody concerned is woken.
    fn end_batch(&mut self) {
        if let Some(session) = &mut self.session
            && let Err(bad) = session.finish_acks()
        {
            self.conclude(Verdict::BadAck(bad));
        }
        let synced = self.shared.store.synced();
        for channel in self.protocol.take_turned() {
            let mode = match self.protocol.is_tx(channel) {
                true => ChannelMode::Transactional,
                false => ChannelMode::Confirm,
            };
            let session = self.session.as_ref();
            if let Some(channel) = session.and_then(|s| s.channels.get(&channel)) {
                channel.view.set_mode(mode);
            }
        }
        let session = self.session.as_ref();
        let confirmed = |channel: u16, confirmed: u64| {
            if let Some(channel) = session.and_then(|s| s.channels.get(&channel)) {
                channel.view.confirmed.set(confirmed);
            }
        };
        let unconfirmed =
            self.protocol
                .release_confirms_telling(synced, &mut self.replies, confirmed);
        if let Some(batch) = unconfirmed.into_iter().chain(self.barrier).min() {
            self.shared.store.wake_when_synced(batch, &self.waker);
        }
        if self.barrier.is_none() {
            self.outbox.append(&mut self.replies);
        }
        match &mut self.session {
            Some(session) if self.barrier.is_none() => session.end_batch(),
            Some(session) => {
                session.add_up();
                session.wake_others();
            }
            None => {}
        }
    }

    /// Writes as much as the socket takes, within the budget.
    fn write(&mut self) -> io::Result<Written> {
        let mut budget = WRITE_BUDGET;
        loop {
            if self.writing.is_empty() {
                self.outbox.take(&mut self.writing);
            }
            if self.writing.is_empty() {
                let all = self.stream.flush()?;
                return Ok(if all { Written::All } else { Written::Some });
            }
            if budget == 0 {
                return Ok(Written::Enough);
            }
            let mut slices = [IoSlice::new(&[]); WRITE_SLICES];
            let filled = self.writing.fill(&mut slices);
            let slices = slices.get(..filled).unwrap_or_default();
            match self.stream.write(slices) {
                Ok(written) => {
                    self.sent = true;
                    self.view.octets_out.add(written as u64);
                    self.view.writes.add(1);
                    budget = budget.saturating_sub(written);
                    self.writing.advance(written);
                    self.reopen();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Written::Some);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Serves the connection's consumers again once what was too much is written.
    fn reopen(&mut self) {
        if self.writing.is_empty()
            && self.outbox.reopen()
            && let Some(session) = &mut self.session
        {
            session.resume_consumers();
            session.end_batch();
        }
    }

    /// Waits until there is something to do.
    async fn wait(&mut self) -> io::Result<Option<End>> {
        let interest = self
            .stream
            .interest(self.may_read(), !self.writing.is_empty());
        // With the input held back, silence says nothing about the peer.
        self.received |= !self.may_read();
        let stream = &self.stream;
        let ready = async move {
            match interest {
                Some(interest) => stream.ready(interest).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.outbox.woken() => Ok(None),
            ready = ready => ready.map(|()| None),
            () = &mut self.timer => Ok(self.on_timer()),
        }
    }

    /// Something should have happened by now.
    fn on_timer(&mut self) -> Option<End> {
        if self.drop_at.is_some() || self.left {
            return Some(End::Closed);
        }
        match self.protocol.state() {
            Phase::AwaitingHeader | Phase::Handshake => Some(End::HandshakeTimeout),
            Phase::Closing | Phase::Closed => Some(End::CloseTimeout),
            Phase::Running if self.token_left().is_some_and(|left| left.is_zero()) => {
                self.expire();
                None
            }
            Phase::Running => {
                let now = self.shared.now();
                let (sent, received) = (mem::take(&mut self.sent), mem::take(&mut self.received));
                let alive = self.protocol.tick(now, sent, received, &mut self.replies);
                self.arm_heartbeat();
                (alive == Liveness::Dead).then_some(End::HeartbeatMissed)
            }
        }
    }

    /// Sets the timer for the next look at the heartbeats, or for the end of the
    /// user's token.
    pub(super) fn arm_heartbeat(&mut self) {
        let interval = self.protocol.tick_interval().unwrap_or(FOREVER);
        let left = self.token_left().unwrap_or(FOREVER);
        self.timer
            .as_mut()
            .reset(Instant::now() + interval.min(left));
    }

    /// Sets the timer for the peer's answer to our close.
    pub(super) fn arm_close(&mut self) {
        let patience = self
            .protocol
            .heartbeat_interval()
            .map_or(CLOSE_TIMEOUT, |interval| interval.min(CLOSE_TIMEOUT));
        self.timer.as_mut().reset(Instant::now() + patience);
    }

    fn shut_down(&mut self) {
        self.shutting_down = true;
        // Its close-ok has to be read; what else comes is discarded.
        self.blocked = false;
        if let Some(session) = &mut self.session {
            session.close();
        }
        self.protocol.shutdown(&mut self.replies);
        self.timer
            .as_mut()
            .reset(Instant::now() + SHUTDOWN_PATIENCE);
    }
}

/// A task that panics leaves no consumers behind, nor what they hold.
impl Drop for ConnectionTask {
    fn drop(&mut self) {
        self.clean_up();
    }
}
