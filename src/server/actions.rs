//! What the protocol asks of the server, and what it is told back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;

use super::attempts::Protocol;
use super::auth::{self, Entry, Identity, Proof};
use super::connection::ConnectionTask;
use super::events::Origin;
use super::oauth2::Token;
use super::publish::Published;
use super::roster::Opened;
use super::session::{BadAck, Session, SessionLimits};
use super::shared::Shared;
use super::stream::Encryption;
use super::tap::Tap;
use crate::base::ids::ConnectionId;
use crate::base::limits::AUTH_FAILURE_DELAY;
use crate::base::tls::TlsOptions;
use crate::broker::access::allowed;
use crate::broker::announcements::Peer;
use crate::protocol::{Action, Login, Phase};
use crate::wire::frame::HEAD_LEN;
use crate::wire::method::{ExchangeDeclare, QueueDeclare, TxSelect};
use crate::wire::{FrameHead, FrameKind, Method, Refusal, ReplyCode};

/// The class and method ids of `basic.ack`, for the close of a channel.
const BASIC_ACK: (u16, u16) = (60, 80);
/// The class and method ids of `basic.publish`.
const BASIC_PUBLISH: (u16, u16) = (60, 40);
/// The class and method ids of `basic.get`.
const BASIC_GET: (u16, u16) = (60, 70);
/// The class and method ids of `connection.open`.
const CONNECTION_OPEN: (u16, u16) = (10, 40);
/// The class and method ids of `connection.update-secret`.
const UPDATE_SECRET: (u16, u16) = (10, 70);
/// No method is at fault.
const NO_METHOD: (u16, u16) = (0, 0);

/// What became of one action, once what it borrowed is free again.
pub(super) enum Verdict {
    Done,
    Published {
        channel: u16,
        seq: Option<u64>,
        published: Published,
    },
    Method(u16, (u16, u16), Result<(), Refusal>),
    BadAck(BadAck),
    Login {
        mechanism: &'static str,
        identity: Option<Identity>,
    },
    Open(Result<Entry, Refusal>),
    CloseChannel(u16),
    ChannelFailed(u16),
    CloseConnection,
    Failed,
    UpdateSecret(Result<Option<Arc<Token>>, Refusal>),
    Drop {
        delay: bool,
    },
    Finished,
}

impl ConnectionTask {
    /// Carries out the next unit of the input.
    pub(super) fn step(&mut self) -> Verdict {
        // Acknowledgements gathered on one channel are settled before anything
        // else, so that what they may be refused for hits no one else.
        if let Some(session) = &mut self.session
            && let Some(channel) = session.gathering_acks()
            && !is_ack_on(channel, self.units.get(self.at..).unwrap_or_default())
            && let Err(bad) = session.finish_acks()
        {
            return Verdict::BadAck(bad);
        }
        let answered = self.replies.len();
        let action = self
            .protocol
            .step(&self.units, &mut self.at, &mut self.replies);
        let Some(session) = &mut self.session else {
            return match action {
                Action::Authenticate { mechanism, login } => {
                    self.origin.encryption = self.stream.encryption();
                    log_in(&self.shared, self.id, &mut self.origin, mechanism, &login)
                }
                Action::Open { vhost } => {
                    let Some(identity) = &self.identity else {
                        return Verdict::Done;
                    };
                    Verdict::Open(auth::enter(&self.shared, self.id, identity, vhost))
                }
                other => before_session(&other),
            };
        };
        // Where it is: an action is some 300 octets, to move it would be to copy it.
        if let Action::Publish(publish) = &action {
            let (channel, seq) = (publish.channel, publish.seq);
            return match session.publish(publish, &mut self.replies) {
                Ok(published) => Verdict::Published {
                    channel,
                    seq,
                    published,
                },
                Err(refusal) => Verdict::Method(channel, BASIC_PUBLISH, Err(refusal)),
            };
        }
        match action {
            Action::Settle { channel, settle } => {
                let transactional = self.protocol.is_tx(channel);
                match session.settle(channel, settle, transactional) {
                    Ok(()) => Verdict::Done,
                    Err(bad) => Verdict::BadAck(bad),
                }
            }
            Action::OpenChannel(channel) => {
                let user = self.shared.access.user(&self.user);
                let limit = user.and_then(|user| allowed(user.limits.max_channels));
                match session.open_channel(channel, limit) {
                    Ok(()) => Verdict::Done,
                    Err(refusal) => {
                        // The protocol has answered that it is open.
                        self.replies.truncate(answered);
                        Verdict::Method(channel, NO_METHOD, Err(refusal))
                    }
                }
            }
            Action::UpdateSecret { secret, .. } => {
                Verdict::UpdateSecret(renewed(&self.shared, self.identity.as_ref(), secret))
            }
            action => carry_out(session, action, &mut self.replies),
        }
    }

    /// Carries out again a `basic.get` whose message had to be read back from
    /// the store. Nothing that came after it was carried out in between.
    pub(super) fn get_again(&mut self) {
        let replies = &mut self.replies;
        let session = self.session.as_mut();
        if let Some((channel, outcome)) = session.and_then(|s| s.get_again(replies)) {
            self.conclude(Verdict::Method(channel, BASIC_GET, outcome));
        }
    }

    /// Tells the protocol what became of an action.
    pub(super) fn conclude(&mut self, verdict: Verdict) {
        let out = &mut self.replies;
        match verdict {
            Verdict::Done => {}
            Verdict::ChannelFailed(channel) => {
                let reason = self.protocol.failure().unwrap_or_default();
                tracing::warn!(channel, %reason, "channel closed");
            }
            Verdict::Published {
                channel,
                seq,
                published,
            } => self.published(channel, seq, published),
            Verdict::Method(channel, ids, outcome) => self.conclude_method(channel, ids, outcome),
            Verdict::BadAck(bad) => self.refuse(bad.channel, bad.ids, &bad.refusal),
            Verdict::CloseChannel(channel) => self.protocol.channel_close_ok(channel, out),
            Verdict::Login {
                mechanism,
                identity,
            } => self.conclude_login(mechanism, identity),
            Verdict::Open(Ok(entry)) => self.open(entry),
            Verdict::Open(Err(refusal)) => self.fail(CONNECTION_OPEN, &refusal),
            Verdict::CloseConnection => {
                self.session = None;
                // Whoever is answered may connect again at once.
                self.shared.seats.leave(self.id);
                self.protocol.close_ok(out);
                self.left = true;
                self.arm_close();
            }
            Verdict::Failed => {
                let reason = self.protocol.failure().unwrap_or_default();
                tracing::error!(%reason, "connection closed");
                self.end_session();
            }
            Verdict::UpdateSecret(Ok(token)) => self.renew(token),
            Verdict::UpdateSecret(Err(refusal)) => self.fail(UPDATE_SECRET, &refusal),
            Verdict::Drop { delay } => {
                let reason = self.protocol.failure().unwrap_or_default();
                tracing::warn!(%reason, "connection dropped");
                self.drop_after(delay);
            }
            Verdict::Finished => self.finished = true,
        }
    }

    fn published(&mut self, channel: u16, seq: Option<u64>, published: Published) {
        self.stored = self.stored.max(published.batch);
        match seq {
            Some(seq) if published.refused => self.protocol.nack(channel, seq),
            Some(seq) => self.protocol.confirm(channel, seq, published.batch),
            None => {}
        }
        if self.shared.alarms.any() && !self.blocked {
            self.blocked = true;
            self.view.blocked.store(true, Ordering::Relaxed);
            let reason = self.shared.alarms.reason();
            tracing::warn!(reason, "blocked");
            self.protocol.blocked(reason, &mut self.replies);
        }
    }

    fn conclude_method(&mut self, channel: u16, ids: (u16, u16), outcome: Result<(), Refusal>) {
        match outcome {
            Ok(()) => {
                let Some(session) = &mut self.session else {
                    return;
                };
                let batch = session.take_batch();
                if is_answered_when_synced(ids.0) {
                    self.barrier = batch;
                }
                if let Some(queue) = session.take_declared(channel) {
                    self.protocol.set_last_queue(channel, &queue);
                }
            }
            Err(refusal) => self.refuse(channel, ids, &refusal),
        }
    }

    /// Answers a refusal with the close of the channel or of the connection.
    fn refuse(&mut self, channel: u16, ids: (u16, u16), refusal: &Refusal) {
        if refusal.code.is_hard() {
            return self.fail(ids, refusal);
        }
        tracing::warn!(channel, %refusal, "channel closed");
        if let Some(session) = &mut self.session {
            session.close_channel(channel);
        }
        self.protocol
            .close_channel(channel, refusal, ids, &mut self.replies);
    }

    /// Begins a batch of work, and closes the channels that have to go by now.
    pub(super) fn begin_batch(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        for (channel, refusal) in session.begin_batch(self.shared.now()) {
            if self.protocol.state() == Phase::Running {
                self.refuse(channel, NO_METHOD, &refusal);
            }
        }
    }

    /// Closes the connection if somebody has told it to go.
    pub(super) fn heed_dismissal(&mut self) {
        let seat = self.session.as_ref().map(|session| &session.seat);
        let Some(reason) = seat.and_then(|seat| seat.dismissed()) else {
            return;
        };
        if self.protocol.state() == Phase::Running {
            let refusal = Refusal::new(ReplyCode::ConnectionForced, reason);
            // The close has to be read, whatever the connection waits for.
            self.blocked = false;
            self.fail(NO_METHOD, &refusal);
        }
    }

    fn fail(&mut self, ids: (u16, u16), refusal: &Refusal) {
        tracing::error!(%refusal, "connection closed");
        self.protocol.close(refusal, ids, &mut self.replies);
        self.end_session();
    }

    fn end_session(&mut self) {
        if let Some(session) = &mut self.session {
            session.close();
        }
        self.shared.seats.leave(self.id);
        self.arm_close();
    }

    /// Goes by another token from now on, if the user has one at all.
    fn renew(&mut self, token: Option<Arc<Token>>) {
        if let (Some(token), Some(identity)) = (token, &mut self.identity) {
            if let Some(session) = &mut self.session {
                session.grants.renew(Arc::clone(&token.scopes));
            }
            identity.token = Some(token);
            self.arm_heartbeat();
        }
        self.protocol.secret_updated(&mut self.replies);
        if let Some(session) = &mut self.session {
            session.drop_unreadable(&mut self.replies);
        }
    }

    /// How long the user's token still holds, if that is how he logged in.
    pub(super) fn token_left(&self) -> Option<Duration> {
        let token = self.identity.as_ref()?.token.as_ref()?;
        Some(token.left(self.shared.now().unix_ms))
    }

    /// Closes the connection, whose token has expired.
    pub(super) fn expire(&mut self) {
        let refusal = Refusal::new(ReplyCode::ConnectionForced, "credential expired");
        // The close has to be read, whatever the connection waits for.
        self.blocked = false;
        self.fail(NO_METHOD, &refusal);
    }

    fn conclude_login(&mut self, mechanism: &str, identity: Option<Identity>) {
        if let Some(identity) = identity {
            self.user = Arc::clone(&identity.user.name);
            self.identity = Some(identity);
            self.protocol.authenticated(&mut self.replies);
            return;
        }
        tracing::warn!(mechanism, "login refused");
        if self.protocol.refuse_login(mechanism, &mut self.replies) {
            self.arm_close();
        } else {
            self.drop_after(true);
        }
    }

    fn open(&mut self, entry: Entry) {
        let tuned = self.protocol.tuned();
        self.outbox.set_frame_max(tuned.frame_max);
        tracing::info!(
            user = &*self.user,
            vhost = %entry.vhost.name(),
            name = self.protocol.client().connection_name(),
            "opened"
        );
        let peer = Peer {
            connection: Arc::clone(&self.origin.name),
            user: Arc::clone(&self.user),
        };
        self.outbox.set_tap(Tap::new(&entry.vhost, peer));
        self.tell_created(entry.vhost.name());
        self.view.open(Opened {
            user: Arc::clone(&self.user),
            vhost: Arc::clone(entry.vhost.name()),
            mechanism: self.origin.mechanism,
            encryption: self.origin.encryption.clone(),
            client: self.protocol.client().properties.clone(),
            client_name: self.protocol.client().connection_name().map(str::to_owned),
            channel_max: tuned.channel_max,
            frame_max: tuned.frame_max,
            heartbeat: tuned.heartbeat,
        });
        self.shared.roster.past.connection_opened();
        self.session = Some(Session::new(
            self.id,
            entry,
            (Arc::clone(&self.view), Arc::clone(&self.shared.roster)),
            self.protocol.client().capabilities.consumer_cancel_notify,
            SessionLimits {
                consumers_per_channel: self.shared.config.consumer_max_per_channel,
                default_prefetch: self.shared.config.default_consumer_prefetch,
                consumer_timeout: self.shared.config.consumer_timeout,
                timeout_response: self.shared.config.consumer_timeout_response,
                global_qos: self.shared.config.global_qos,
            },
        ));
        self.protocol.opened(&mut self.replies);
        self.arm_heartbeat();
    }

    fn drop_after(&mut self, delay: bool) {
        let now = Instant::now();
        let at = if delay { now + AUTH_FAILURE_DELAY } else { now };
        self.timer.as_mut().reset(at);
        self.drop_at = Some(at);
    }
}

/// Finds out who logs in, and tells whoever wants to know.
fn log_in(
    shared: &Shared,
    id: ConnectionId,
    origin: &mut Origin,
    mechanism: &'static str,
    login: &Login<'_>,
) -> Verdict {
    let found = authenticate(shared, id, origin, login);
    let user = match &found {
        Ok(identity) => &identity.user.name,
        Err(claimed) => &**claimed,
    };
    origin.tell_login(shared.vhosts.herald(), user, mechanism, found.is_ok());
    Verdict::Login {
        mechanism,
        identity: found.ok(),
    }
}

/// Who logs in, or who he says he is if he can't.
fn authenticate(
    shared: &Shared,
    id: ConnectionId,
    origin: &Origin,
    login: &Login<'_>,
) -> Result<Identity, String> {
    if let Some(user) = shared.insider(id) {
        return Ok(Identity { user, token: None });
    }
    let proof = proof(login, origin.encryption.as_ref(), &shared.config.tls);
    let found = auth::log_in(shared, Protocol::Amqp, &proof, origin.peer.ip());
    found.map_err(|_| proof.user().to_owned())
}

/// What somebody who logs in has to show for himself.
fn proof<'a>(login: &Login<'a>, by: Option<&Encryption>, tls: &TlsOptions) -> Proof<'a> {
    match *login {
        Login::Plain { user, password } => Proof::Password(user, password),
        Login::External => {
            let shown = by.and_then(|encryption| encryption.peer.as_ref());
            let user = shown.and_then(|certificate| certificate.user(tls));
            user.map_or(Proof::Nothing, Proof::Certificate)
        }
        Login::Anonymous => Proof::Nothing,
    }
}

/// The token that takes the place of somebody's, if he has one.
fn renewed(
    shared: &Shared,
    holder: Option<&Identity>,
    secret: &[u8],
) -> Result<Option<Arc<Token>>, Refusal> {
    let holder = holder.filter(|identity| identity.token.is_some());
    let token = holder.map(|holder| auth::renew(shared, holder, secret));
    token.transpose()
}

/// Whether `units` go on with a `basic.ack` on `channel`.
fn is_ack_on(channel: u16, units: &[u8]) -> bool {
    FrameHead::peek(units).is_some_and(|head| {
        head.kind == FrameKind::Method.octet()
            && head.channel == channel
            && units
                .get(HEAD_LEN..)
                .and_then(Method::peek_ids)
                .is_some_and(|ids| ids == BASIC_ACK)
    })
}

/// Whether methods of a class are answered only when their effect is on disk.
fn is_answered_when_synced(class: u16) -> bool {
    matches!(
        class,
        ExchangeDeclare::CLASS | QueueDeclare::CLASS | TxSelect::CLASS
    )
}

/// Carries out what may come before a virtual host is opened.
fn before_session(action: &Action<'_>) -> Verdict {
    match *action {
        Action::CloseConnection => Verdict::CloseConnection,
        Action::Failed => Verdict::Failed,
        Action::Drop { delay } => Verdict::Drop { delay },
        Action::Finished => Verdict::Finished,
        _ => Verdict::Done,
    }
}

/// Carries out what isn't on the path of a message.
fn carry_out(session: &mut Session, action: Action<'_>, out: &mut BytesMut) -> Verdict {
    match action {
        Action::CloseChannel(channel) => {
            session.close_channel(channel);
            return Verdict::CloseChannel(channel);
        }
        Action::ChannelFailed { channel } => {
            session.close_channel(channel);
            return Verdict::ChannelFailed(channel);
        }
        Action::CloseConnection => {
            session.close();
            return Verdict::CloseConnection;
        }
        Action::Failed => return Verdict::Failed,
        Action::Drop { delay } => return Verdict::Drop { delay },
        Action::Finished => return Verdict::Finished,
        Action::Method { channel, method } => {
            let ids = method.ids();
            return Verdict::Method(channel, ids, session.method(channel, method, out));
        }
        _ => {}
    }
    Verdict::Done
}
