//! From the protocol header to `connection.open-ok`.

use bytes::{BufMut, BytesMut};

use crate::base::limits::FRAME_MAX_MIN;
use crate::wire::method::{
    ConnectionOpenOk, ConnectionStart, ConnectionStartOk, ConnectionTune, ConnectionTuneOk,
};
use crate::wire::parse::LongStr;
use crate::wire::{Frame, FrameKind, Method, Refusal, ReplyCode, encode};

use super::action::{Action, Login};
use super::auth::{self, Mechanism};
use super::client::{Client, Tuned};
use super::connection::{
    CONTINUE, Connection, Outcome, PROTOCOL_HEADER_LEN, State, Stepped, parse_method,
};
use super::error::{Failure, NO_METHOD};
use super::heartbeat::Heartbeat;

impl Connection {
    /// Judges the protocol header. `AMQP 1 1 0 9` is what clients of the 0-9
    /// days send and is taken for 0-9-1, as RabbitMQ does.
    pub(super) fn protocol_header<'i>(
        &mut self,
        rest: &[u8],
        at: &mut usize,
        out: &mut BytesMut,
    ) -> Stepped<'i> {
        let Some(header) = rest.first_chunk::<PROTOCOL_HEADER_LEN>() else {
            return CONTINUE;
        };
        *at += PROTOCOL_HEADER_LEN;
        if !matches!(header, b"AMQP\x00\x00\x09\x01" | b"AMQP\x01\x01\x00\x09") {
            out.put_slice(&encode::PROTOCOL_HEADER);
            self.give_up(format!("not a protocol header: {}", header.escape_ascii()));
            return Ok(Outcome::Act(Action::Drop { delay: false }));
        }
        self.state = State::Starting;
        let start = ConnectionStart {
            version_major: 0,
            version_minor: 9,
            server_properties: self.settings.server_properties.clone(),
            mechanisms: LongStr(self.settings.mechanisms.as_bytes()),
            locales: LongStr(b"en_US"),
        };
        encode::method(out, 0, start);
        CONTINUE
    }

    /// A frame before the connection runs.
    pub(super) fn handshake_frame<'i>(
        &mut self,
        frame: Frame<'i>,
        out: &mut BytesMut,
    ) -> Result<Outcome<'i>, Failure> {
        let _ = out;
        match (frame.kind, frame.channel) {
            (FrameKind::Method, 0) => {}
            (FrameKind::Heartbeat, 0) if frame.payload.is_empty() => {
                return Ok(Outcome::Act(Action::Continue));
            }
            (FrameKind::Heartbeat, _) if !frame.payload.is_empty() => {
                return Err(Failure::unknown_frame(frame.kind.octet(), frame.payload));
            }
            _ => return Err(Failure::unexpected_frame(&frame)),
        }
        match (self.state, parse_method(&frame)?) {
            (_, Method::ConnectionClose(_)) => Ok(self.leave()),
            (State::Starting, Method::ConnectionStartOk(start_ok)) => Ok(self.start_ok(start_ok)),
            (State::Tuning, Method::ConnectionTuneOk(tune_ok)) => self.tune_ok(&tune_ok),
            (State::Tuned, Method::ConnectionOpen(open)) => {
                self.state = State::Opening;
                let vhost = open.virtual_host;
                Ok(Outcome::Act(Action::Open { vhost }))
            }
            // amqplib's own tests count on the silence here: a close would be
            // taken for the answer to what it asks next.
            (state, other) => {
                let (class, method) = other.ids();
                let state = state.name();
                Ok(self.drop_silently(format!("unexpected method {class}.{method} while {state}")))
            }
        }
    }

    fn start_ok<'i>(&mut self, start_ok: ConnectionStartOk<'i>) -> Outcome<'i> {
        self.client = Client::new(start_ok.client_properties);
        let response = start_ok.response.0;
        let Some(mechanism) = Mechanism::chosen(start_ok.mechanism, &self.settings.mechanisms)
        else {
            return self.drop_silently(format!("mechanism {:?} isn't offered", start_ok.mechanism));
        };
        self.state = State::Authenticating;
        let name = mechanism.name();
        let login = match mechanism {
            Mechanism::Plain => {
                auth::plain(response).map(|(user, password)| Login::Plain { user, password })
            }
            Mechanism::External => Some(Login::External),
            Mechanism::Anonymous => Some(Login::Anonymous),
            Mechanism::AmqPlain => {
                if let Some(credentials) = auth::amqplain(response) {
                    self.credentials = credentials;
                    return Outcome::AmqPlain(name);
                }
                None
            }
        };
        match login {
            Some(login) => Outcome::Act(Action::Authenticate {
                mechanism: name,
                login,
            }),
            None => self.drop_silently(format!("malformed {name} response")),
        }
    }

    /// A login that can't even be tried, a method out of order: RabbitMQ answers
    /// with silence (`semantics` 2.3, 2.6).
    fn drop_silently<'i>(&mut self, reason: String) -> Outcome<'i> {
        self.give_up(reason);
        Outcome::Act(Action::Drop { delay: true })
    }

    fn tune_ok<'i>(&mut self, asked: &ConnectionTuneOk) -> Result<Outcome<'i>, Failure> {
        let (channel_max, frame_max) = (self.settings.channel_max, self.settings.frame_max);
        let channels = negotiate(
            "channel_max",
            asked.channel_max.into(),
            1,
            channel_max.into(),
        )?;
        let frame_max = negotiate("frame_max", asked.frame_max, FRAME_MAX_MIN, frame_max)?;
        self.tuned = Tuned {
            channel_max: u16::try_from(channels).unwrap_or(u16::MAX),
            frame_max,
            heartbeat: asked.heartbeat,
        };
        self.heartbeat = Heartbeat::every(asked.heartbeat);
        self.state = State::Tuned;
        Ok(Outcome::Act(Action::Continue))
    }

    /// The login was right: proposes limits.
    pub fn authenticated(&mut self, out: &mut BytesMut) {
        if self.state != State::Authenticating {
            return;
        }
        self.credentials = Default::default();
        self.state = State::Tuning;
        let tune = ConnectionTune {
            channel_max: self.settings.channel_max,
            frame_max: self.settings.frame_max,
            heartbeat: self.settings.heartbeat,
        };
        encode::method(out, 0, tune);
    }

    /// The login was wrong. `true`: the client understands a close and was
    /// sent one, its close-ok will come; `false`: just drop the socket.
    /// Either way only after the delay that slows guessing down.
    pub fn refuse_login(&mut self, mechanism: &str, out: &mut BytesMut) -> bool {
        self.credentials = Default::default();
        let text = format!(
            "Login was refused using authentication mechanism {mechanism}. \
             For details see the broker logfile."
        );
        let refusal = Refusal::new(ReplyCode::AccessRefused, text);
        if self.client.capabilities.authentication_failure_close {
            self.close(&refusal, NO_METHOD, out);
            return true;
        }
        self.give_up(refusal.text());
        false
    }

    /// The virtual host was opened: channels may come.
    pub fn opened(&mut self, out: &mut BytesMut) {
        if self.state == State::Opening {
            self.state = State::Running;
            encode::method(out, 0, ConnectionOpenOk { known_hosts: "" });
        }
    }
}

/// Settles one limit: the client's, or the server's if it names none. 0 is no
/// limit, on the server's side only.
fn negotiate(name: &str, client: u32, min: u32, server: u32) -> Result<u32, Failure> {
    let problem = match client {
        0 => return Ok(server),
        _ if client < min => format!("lower than the minimum allowed value ({min})"),
        _ if server != 0 && client > server => {
            format!("higher than the maximum allowed value ({server})")
        }
        _ => return Ok(client),
    };
    Err(Failure::new(
        ReplyCode::NotAllowed,
        (ConnectionTuneOk::CLASS, ConnectionTuneOk::ID),
        format!("negotiated {name} = {client} is {problem}"),
    ))
}
