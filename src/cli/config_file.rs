//! The configuration: defaults, then the file, then the environment, then flags.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::Failure;
use super::address_key::AddressKey;
use super::logging::{LogFormat, LogLevel};
use super::oauth2_keys::OAuth2Keys;
use super::tls_keys::{CertLoginKey, SanTypeKey, SslOptionsKeys};
use crate::base::config::{AuthMechanism, Config, GlobalQos, TimeoutResponse};
use crate::base::limits::{CONTENT_SIZE_MAX, FRAME_MAX_BEFORE_TUNE, SEGMENT_SIZES};
use crate::base::tls::TlsOptions;

/// What a prefetch for a whole channel means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GlobalQosKey {
    /// Its consumers share it
    Channel,
    /// It is one of each consumer
    Ignore,
}

impl From<GlobalQosKey> for GlobalQos {
    fn from(key: GlobalQosKey) -> Self {
        match key {
            GlobalQosKey::Channel => Self::Channel,
            GlobalQosKey::Ignore => Self::Ignore,
        }
    }
}

/// How somebody may prove who he is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[value(rename_all = "UPPER")]
pub enum MechanismKey {
    /// Name and password
    Plain,
    /// The same in AMQP's own form
    AmqPlain,
    /// A certificate
    External,
}

impl From<MechanismKey> for AuthMechanism {
    fn from(key: MechanismKey) -> Self {
        match key {
            MechanismKey::Plain => Self::Plain,
            MechanismKey::AmqPlain => Self::AmqPlain,
            MechanismKey::External => Self::External,
        }
    }
}

/// What becomes of a consumer that holds a message for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum TimeoutResponseKey {
    /// It is cancelled, if its client understands that
    CancelConsumer,
    /// Its channel is closed
    CloseChannel,
}

impl From<TimeoutResponseKey> for TimeoutResponse {
    fn from(key: TimeoutResponseKey) -> Self {
        match key {
            TimeoutResponseKey::CancelConsumer => Self::CancelConsumer,
            TimeoutResponseKey::CloseChannel => Self::CloseChannel,
        }
    }
}

/// Every key of the configuration, each in the file, as a flag and as an
/// environment variable. What is absent keeps its default.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Directory for everything durable [default: ./harrier-data]
    #[arg(long, env = "HARRIER_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address AMQP is served on [default: 127.0.0.1:5672]
    #[arg(long, env = "HARRIER_AMQP", value_name = "ADDR:PORT")]
    pub amqp: Option<SocketAddr>,
    /// Address the management API is served on, or off [default: 127.0.0.1:15672]
    #[arg(long, env = "HARRIER_HTTP", value_name = "ADDR:PORT")]
    pub http: Option<AddressKey>,
    /// Address AMQP over TLS is served on, or off [default: off]
    #[arg(long, env = "HARRIER_AMQPS", value_name = "ADDR:PORT")]
    pub amqps: Option<AddressKey>,
    /// Address the management API is served on over TLS, or off [default: off]
    #[arg(long, env = "HARRIER_HTTPS", value_name = "ADDR:PORT")]
    pub https: Option<AddressKey>,
    /// Address Prometheus is told metrics on, or off [default: 127.0.0.1:15692]
    #[arg(long, env = "HARRIER_PROMETHEUS", value_name = "ADDR:PORT")]
    pub prometheus: Option<AddressKey>,
    /// How connections are encrypted
    #[command(flatten)]
    #[serde(default)]
    pub ssl_options: SslOptionsKeys,
    /// Which tokens are taken
    #[command(flatten)]
    #[serde(default)]
    pub auth_oauth2: OAuth2Keys,
    /// What names the user of a client's certificate [default: distinguished_name]
    #[arg(long, env = "HARRIER_SSL_CERT_LOGIN_FROM", value_name = "WHAT")]
    pub ssl_cert_login_from: Option<CertLoginKey>,
    /// Kind of alternative name that does [default: dns]
    #[arg(long, env = "HARRIER_SSL_CERT_LOGIN_SAN_TYPE", value_name = "TYPE")]
    pub ssl_cert_login_san_type: Option<SanTypeKey>,
    /// Which of those, from 0 [default: 0]
    #[arg(long, env = "HARRIER_SSL_CERT_LOGIN_SAN_INDEX", value_name = "N")]
    pub ssl_cert_login_san_index: Option<usize>,
    /// How AMQP clients may log in [default: PLAIN,AMQPLAIN]
    #[arg(
        long,
        env = "HARRIER_AUTH_MECHANISMS",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    pub auth_mechanisms: Option<Vec<MechanismKey>>,
    /// How much is logged [default: info]
    #[arg(long, env = "HARRIER_LOG", value_name = "LEVEL")]
    pub log: Option<LogLevel>,
    /// How log lines look [default: text]
    #[arg(long, env = "HARRIER_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// The user that exists from the start [default: guest]
    #[arg(long, env = "HARRIER_DEFAULT_USER", value_name = "NAME")]
    pub default_user: Option<String>,
    /// That user's password [default: guest]
    #[arg(
        long,
        env = "HARRIER_DEFAULT_PASS",
        value_name = "PASSWORD",
        hide_env_values = true
    )]
    pub default_pass: Option<String>,
    /// The virtual host that exists from the start [default: /]
    #[arg(long, env = "HARRIER_DEFAULT_VHOST", value_name = "NAME")]
    pub default_vhost: Option<String>,
    /// Type of queues that don't ask for one, in vhosts made from now on [default: classic]
    #[arg(long, env = "HARRIER_DEFAULT_QUEUE_TYPE", value_name = "TYPE")]
    pub default_queue_type: Option<String>,
    /// Definitions to import at the start, as RabbitMQ exports them (JSON)
    #[arg(long, env = "HARRIER_LOAD_DEFINITIONS", value_name = "FILE")]
    pub load_definitions: Option<PathBuf>,
    /// Collector of OpenTelemetry that takes spans of traced messages [default: none]
    #[arg(long, env = "HARRIER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// Users that may only log in from this machine [default: guest]
    #[arg(
        long,
        env = "HARRIER_LOOPBACK_USERS",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    pub loopback_users: Option<Vec<String>>,
    /// Connections served at the same time [default: 65536]
    #[arg(long, env = "HARRIER_CONNECTION_MAX", value_name = "N")]
    pub connection_max: Option<usize>,
    /// Channels of one connection [default: 2047]
    #[arg(long, env = "HARRIER_CHANNEL_MAX", value_name = "N")]
    pub channel_max: Option<u16>,
    /// Largest frame, bytes [default: 131072]
    #[arg(long, env = "HARRIER_FRAME_MAX", value_name = "BYTES")]
    pub frame_max: Option<u32>,
    /// Seconds between heartbeats, 0 for none [default: 60]
    #[arg(long, env = "HARRIER_HEARTBEAT", value_name = "SECONDS")]
    pub heartbeat: Option<u16>,
    /// Milliseconds a client has to open its connection [default: 10000]
    #[arg(long, env = "HARRIER_HANDSHAKE_TIMEOUT", value_name = "MS")]
    pub handshake_timeout: Option<u64>,
    /// Largest message body, bytes [default: 16777216]
    #[arg(long, env = "HARRIER_MAX_MESSAGE_SIZE", value_name = "BYTES")]
    pub max_message_size: Option<u64>,
    /// Share of memory at which publishers are blocked [default: 0.6]
    #[arg(long, env = "HARRIER_VM_MEMORY_HIGH_WATERMARK", value_name = "SHARE")]
    pub vm_memory_high_watermark: Option<f64>,
    /// Free disk space below which publishers are blocked, bytes [default: 134217728]
    #[arg(long, env = "HARRIER_DISK_FREE_LIMIT", value_name = "BYTES")]
    pub disk_free_limit: Option<u64>,
    /// Size of the files the log is cut into, bytes [default: 33554432]
    #[arg(long, env = "HARRIER_LOG_SEGMENT_SIZE", value_name = "BYTES")]
    pub log_segment_size: Option<u64>,
    /// Consumers of one channel [default: 65536]
    #[arg(long, env = "HARRIER_CONSUMER_MAX_PER_CHANNEL", value_name = "N")]
    pub consumer_max_per_channel: Option<usize>,
    /// Prefetch of consumers that ask for none, 0 for no limit [default: 0]
    #[arg(long, env = "HARRIER_DEFAULT_CONSUMER_PREFETCH", value_name = "N")]
    pub default_consumer_prefetch: Option<u16>,
    /// Milliseconds a consumer of a quorum queue may hold a message, 0 for ever
    /// [default: 1800000]
    #[arg(long, env = "HARRIER_CONSUMER_TIMEOUT", value_name = "MS")]
    pub consumer_timeout: Option<u64>,
    /// What becomes of one that holds it longer [default: cancel_consumer]
    #[arg(
        long,
        env = "HARRIER_CONSUMER_TIMEOUT_RESPONSE",
        value_name = "RESPONSE"
    )]
    pub consumer_timeout_response: Option<TimeoutResponseKey>,
    /// What a prefetch for a whole channel means [default: channel]
    #[arg(long, env = "HARRIER_GLOBAL_QOS", value_name = "MEANING")]
    pub global_qos: Option<GlobalQosKey>,
}

/// How much and in which form to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// How much.
    pub level: LogLevel,
    /// In which form.
    pub format: LogFormat,
}

impl Keys {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// A usage failure naming the file, the key, what was found and what was
    /// expected.
    pub fn from_file(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))?;
        let refuse = |why: &str| Failure::Usage(format!("{}: {}", path.display(), why.trim_end()));
        let keys: Self = toml::from_str(&text).map_err(|error| refuse(&error.to_string()))?;
        // Checked by itself, so that what is wrong in the file is said of the file.
        match keys.clone().resolve() {
            Err(Failure::Usage(why)) => Err(refuse(&why)),
            Err(failed) => Err(failed),
            Ok(_) => Ok(keys),
        }
    }

    /// These keys, with those of `fallback` where they are absent.
    pub fn or(self, fallback: Self) -> Self {
        macro_rules! either {
            ($($key:ident),*) => {
                Self {
                    ssl_options: self.ssl_options.or(fallback.ssl_options),
                    auth_oauth2: self.auth_oauth2.or(fallback.auth_oauth2),
                    $($key: self.$key.or(fallback.$key),)*
                }
            };
        }
        either!(
            data_dir,
            amqp,
            http,
            amqps,
            https,
            prometheus,
            ssl_cert_login_from,
            ssl_cert_login_san_type,
            ssl_cert_login_san_index,
            auth_mechanisms,
            log,
            log_format,
            default_user,
            default_pass,
            default_vhost,
            default_queue_type,
            load_definitions,
            otlp_endpoint,
            loopback_users,
            connection_max,
            channel_max,
            frame_max,
            heartbeat,
            handshake_timeout,
            max_message_size,
            vm_memory_high_watermark,
            disk_free_limit,
            log_segment_size,
            consumer_max_per_channel,
            default_consumer_prefetch,
            consumer_timeout,
            consumer_timeout_response,
            global_qos
        )
    }

    /// The configuration that results, checked.
    ///
    /// # Errors
    /// A usage failure naming the key, what was found and what was expected.
    pub fn resolve(self) -> Result<(Config, LogSettings), Failure> {
        let log = LogSettings {
            level: self.log.unwrap_or(LogLevel::Info),
            format: self.log_format.unwrap_or(LogFormat::Text),
        };
        let default = Config::default();
        let tls = TlsOptions {
            login_from: self
                .ssl_cert_login_from
                .map_or(default.tls.login_from, Into::into),
            login_san_type: self
                .ssl_cert_login_san_type
                .map_or(default.tls.login_san_type, Into::into),
            login_san_index: self.ssl_cert_login_san_index.unwrap_or_default(),
            ..self.ssl_options.resolve()
        };
        let config = Config {
            data_dir: self.data_dir.unwrap_or(default.data_dir),
            amqp: self.amqp.unwrap_or(default.amqp),
            http: self.http.map_or(default.http, |key| key.0),
            amqps: self.amqps.map_or(default.amqps, |key| key.0),
            https: self.https.map_or(default.https, |key| key.0),
            prometheus: self.prometheus.map_or(default.prometheus, |key| key.0),
            tls,
            oauth2: self.auth_oauth2.resolve(),
            auth_mechanisms: self
                .auth_mechanisms
                .map_or(default.auth_mechanisms, |keys| {
                    keys.into_iter().map(Into::into).collect()
                }),
            default_user: self.default_user.unwrap_or(default.default_user),
            default_pass: self.default_pass.unwrap_or(default.default_pass),
            default_vhost: self.default_vhost.unwrap_or(default.default_vhost),
            default_queue_type: self
                .default_queue_type
                .unwrap_or(default.default_queue_type),
            load_definitions: self
                .load_definitions
                .filter(|path| !path.as_os_str().is_empty()),
            otlp_endpoint: collector(self.otlp_endpoint)?,
            loopback_users: self.loopback_users.unwrap_or(default.loopback_users),
            connections_max: self.connection_max.unwrap_or(default.connections_max),
            channel_max: self.channel_max.unwrap_or(default.channel_max),
            frame_max: self.frame_max.unwrap_or(default.frame_max),
            heartbeat: self.heartbeat.unwrap_or(default.heartbeat),
            handshake_timeout: self
                .handshake_timeout
                .map_or(default.handshake_timeout, Duration::from_millis),
            max_message_size: self.max_message_size.unwrap_or(default.max_message_size),
            vm_memory_high_watermark: self
                .vm_memory_high_watermark
                .unwrap_or(default.vm_memory_high_watermark),
            disk_free_limit: self.disk_free_limit.unwrap_or(default.disk_free_limit),
            log_segment_size: self.log_segment_size.unwrap_or(default.log_segment_size),
            consumer_max_per_channel: self
                .consumer_max_per_channel
                .unwrap_or(default.consumer_max_per_channel),
            default_consumer_prefetch: self
                .default_consumer_prefetch
                .unwrap_or(default.default_consumer_prefetch),
            consumer_timeout: self.consumer_timeout.unwrap_or(default.consumer_timeout),
            consumer_timeout_response: self
                .consumer_timeout_response
                .map_or(default.consumer_timeout_response, Into::into),
            global_qos: self.global_qos.map_or(default.global_qos, Into::into),
        };
        check(&config)?;
        Ok((config, log))
    }
}

fn check(config: &Config) -> Result<(), Failure> {
    let frame_max = u64::from(config.frame_max);
    let frame_max_min = u64::from(FRAME_MAX_BEFORE_TUNE);
    at_least("frame_max", frame_max, frame_max_min)?;
    at_least("channel_max", config.channel_max.into(), 1)?;
    at_least("connection_max", config.connections_max as u64, 1)?;
    if config.auth_mechanisms.is_empty() {
        return Err(Failure::Usage(
            "auth_mechanisms is empty: expected PLAIN, AMQPLAIN, EXTERNAL or some of them".into(),
        ));
    }
    let share = config.vm_memory_high_watermark;
    if !(share > 0.0 && share <= 1.0) {
        return Err(Failure::Usage(format!(
            "vm_memory_high_watermark is {share}: expected more than 0 and at most 1"
        )));
    }
    let segment_size = config.log_segment_size;
    if !SEGMENT_SIZES.contains(&segment_size) {
        let (least, most) = (SEGMENT_SIZES.start(), SEGMENT_SIZES.end());
        return Err(Failure::Usage(format!(
            "log_segment_size is {segment_size}: expected {least} to {most} bytes"
        )));
    }
    if config.max_message_size > CONTENT_SIZE_MAX {
        let found = config.max_message_size;
        return Err(Failure::Usage(format!(
            "max_message_size is {found}: expected at most {CONTENT_SIZE_MAX} bytes"
        )));
    }
    Ok(())
}

fn at_least(key: &str, found: u64, least: u64) -> Result<(), Failure> {
    if found >= least {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{key} is {found}: expected at least {least}"
    )))
}

/// The address of a collector of OpenTelemetry, if one is given.
fn collector(url: Option<String>) -> Result<Option<String>, Failure> {
    let Some(url) = url.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let host = url.strip_prefix("http://").unwrap_or_default();
    if host.is_empty() || host.starts_with('/') || host.contains(char::is_whitespace) {
        return Err(Failure::Usage(format!(
            "otlp_endpoint is `{url}`: expected a URL with http, like http://127.0.0.1:4318"
        )));
    }
    Ok(Some(url))
}
