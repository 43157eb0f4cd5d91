//! What can be configured, with its defaults. Where the values come from is
//! the command line's business.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::limits;
use super::oauth2::OAuth2Options;
use super::tls::TlsOptions;

/// What becomes of a prefetch that is to be shared by a whole channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GlobalQos {
    /// The channel's consumers share it, as documented up to RabbitMQ 4.2.
    Channel,
    /// It is taken for one of each consumer, as RabbitMQ 4.3 does.
    Ignore,
}

/// How somebody may prove who he is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMechanism {
    /// Name and password.
    Plain,
    /// The same in AMQP's own form.
    AmqPlain,
    /// A certificate, where TLS has asked for one.
    External,
}

/// What becomes of a consumer that holds a message for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutResponse {
    /// It is cancelled, if its client understands that, as by RabbitMQ 4.3.
    CancelConsumer,
    /// Its channel is closed, as by RabbitMQ up to 4.2.
    CloseChannel,
}

/// The configuration of a broker. Names are RabbitMQ's where it has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where everything durable is kept.
    pub data_dir: PathBuf,
    /// The address AMQP is served on.
    pub amqp: SocketAddr,
    /// The address the management API is served on, if it is.
    pub http: Option<SocketAddr>,
    /// The address AMQP over TLS is served on, if it is.
    pub amqps: Option<SocketAddr>,
    /// The address the management API is served on over TLS, if it is.
    pub https: Option<SocketAddr>,
    /// How both are encrypted.
    pub tls: TlsOptions,
    /// The address metrics are served on to whoever asks, if they are.
    pub prometheus: Option<SocketAddr>,
    /// How tokens are checked, where they are taken.
    pub oauth2: OAuth2Options,
    /// How AMQP clients may log in, in the order they are offered.
    pub auth_mechanisms: Vec<AuthMechanism>,
    /// The user that exists from the start.
    pub default_user: String,
    /// That user's password.
    pub default_pass: String,
    /// The virtual host that exists from the start.
    pub default_vhost: String,
    /// The type of queues declared without one, in virtual hosts made from now on.
    pub default_queue_type: String,
    /// A file in RabbitMQ's format with what there has to be, read at the start.
    pub load_definitions: Option<PathBuf>,
    /// Where a collector takes spans of traced messages by OTLP over HTTP, if
    /// one does: `http://127.0.0.1:4318`.
    pub otlp_endpoint: Option<String>,
    /// Users that may only log in from this machine.
    pub loopback_users: Vec<String>,
    /// Connections served at the same time.
    pub connections_max: usize,
    /// Channels of one connection; proposed to the client.
    pub channel_max: u16,
    /// Octets of a frame; proposed to the client.
    pub frame_max: u32,
    /// Seconds between heartbeats, 0 for none; proposed to the client.
    pub heartbeat: u16,
    /// Time from accept to `connection.open`.
    pub handshake_timeout: Duration,
    /// Octets of the largest body taken.
    pub max_message_size: u64,
    /// The share of memory at which publishers are blocked.
    pub vm_memory_high_watermark: f64,
    /// Octets free on the disk of `data_dir` below which publishers are blocked.
    pub disk_free_limit: u64,
    /// Octets of a segment of the log.
    pub log_segment_size: u64,
    /// Consumers of one channel.
    pub consumer_max_per_channel: usize,
    /// Prefetch of consumers on channels that haven't set one; 0 is no limit.
    pub default_consumer_prefetch: u16,
    /// Milliseconds that a consumer of a quorum queue may hold a message; 0 is no
    /// limit.
    pub consumer_timeout: u64,
    /// What becomes of one that holds it longer.
    pub consumer_timeout_response: TimeoutResponse,
    /// What `basic.qos` with `global` means.
    pub global_qos: GlobalQos,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("harrier-data"),
            amqp: SocketAddr::from((Ipv4Addr::LOCALHOST, 5672)),
            http: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 15672))),
            amqps: None,
            https: None,
            prometheus: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 15692))),
            tls: TlsOptions::default(),
            oauth2: OAuth2Options::default(),
            auth_mechanisms: vec![AuthMechanism::Plain, AuthMechanism::AmqPlain],
            default_user: "guest".into(),
            default_pass: "guest".into(),
            default_vhost: "/".into(),
            default_queue_type: "classic".into(),
            load_definitions: None,
            otlp_endpoint: None,
            loopback_users: vec!["guest".into()],
            connections_max: limits::CONNECTIONS_MAX,
            channel_max: limits::CHANNEL_MAX,
            frame_max: limits::FRAME_MAX,
            heartbeat: limits::HEARTBEAT_SECS,
            handshake_timeout: limits::HANDSHAKE_TIMEOUT,
            max_message_size: limits::MESSAGE_SIZE_MAX,
            vm_memory_high_watermark: 0.6,
            disk_free_limit: limits::DISK_FREE_MIN,
            log_segment_size: limits::SEGMENT_SIZE,
            consumer_max_per_channel: limits::CONSUMERS_PER_CHANNEL_MAX,
            default_consumer_prefetch: 0,
            consumer_timeout: limits::CONSUMER_TIMEOUT_MS,
            consumer_timeout_response: TimeoutResponse::CancelConsumer,
            global_qos: GlobalQos::Channel,
        }
    }
}
