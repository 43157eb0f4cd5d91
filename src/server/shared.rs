//! What all connections of a server share.

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::attempts::Attempts;
use super::flow::Alarms;
use super::insider::Insiders;
use super::oauth2::Verifier;
use super::parameters::ParameterChanges;
use super::roster::Roster;
use super::seats::Seats;
use super::throttle::Throttle;
use super::tls::Certificates;
use crate::base::clock::{Clock, Now, SystemClock};
use crate::base::config::{AuthMechanism, Config};
use crate::base::ids::ConnectionId;
use crate::broker::access::Access;
use crate::broker::store::Store;
use crate::broker::subscriber::Wake;
use crate::broker::vhosts::Vhosts;
use crate::protocol::Settings;
use crate::wire::FieldTable;

/// What all connections of a server share.
pub struct Shared {
    /// The configuration.
    pub config: Config,
    /// What the protocol proposes to clients whose connection is as it is.
    protocol: Arc<Settings>,
    /// What it proposes to those whose connection is encrypted.
    protocol_encrypted: Arc<Settings>,
    /// Whoever takes tokens of OAuth 2, where some are taken.
    pub verifier: Option<Arc<Verifier>>,
    /// Who has failed to log in of late.
    pub throttle: Throttle,
    /// How logins went.
    pub attempts: Attempts,
    /// What connections are encrypted with, where some are.
    pub certificates: Option<Arc<Certificates>>,
    /// The virtual hosts.
    pub vhosts: Vhosts,
    /// Where durable things are kept.
    pub store: Arc<dyn Store>,
    /// Users and what they may do.
    pub access: Arc<Access>,
    /// The connections that are in a virtual host.
    pub seats: Seats,
    /// All connections, to look at.
    pub roster: Arc<Roster>,
    /// Held while users, permissions or virtual hosts are changed, so that
    /// what a change was checked against is still so when it is made.
    pub(super) administration: Mutex<()>,
    pub(super) parameter_changes: ParameterChanges,
    /// What publishers have to wait for.
    pub alarms: Alarms,
    /// Gives the system back what the calling thread's allocator keeps unused.
    pub release_memory: fn(),
    pub(super) insiders: Insiders,
    clock: SystemClock,
    stopping: AtomicBool,
    last_connection: AtomicU64,
}

impl Shared {
    /// Puts together what connections share.
    pub fn new(config: Config, vhosts: Vhosts, access: Arc<Access>, store: Arc<dyn Store>) -> Self {
        let seats = Seats::new(config.connections_max);
        let protocol = |encrypted| Settings {
            channel_max: config.channel_max,
            frame_max: config.frame_max,
            heartbeat: config.heartbeat,
            mechanisms: mechanisms(&config, encrypted),
            server_properties: server_properties(),
            message_size_max: config.max_message_size,
        };
        vhosts.herald().set_node(node_name());
        Self {
            protocol: Arc::new(protocol(false)),
            protocol_encrypted: Arc::new(protocol(true)),
            config,
            certificates: None,
            verifier: None,
            throttle: Throttle::default(),
            attempts: Attempts::default(),
            vhosts,
            store,
            access,
            seats,
            roster: Arc::default(),
            administration: Mutex::default(),
            parameter_changes: ParameterChanges::default(),
            alarms: Alarms::default(),
            release_memory: || {},
            insiders: Insiders::default(),
            clock: SystemClock::new(),
            stopping: AtomicBool::new(false),
            last_connection: AtomicU64::new(0),
        }
    }

    /// What the protocol proposes to a new client.
    pub fn settings(&self, encrypted: bool) -> Arc<Settings> {
        Arc::clone(if encrypted {
            &self.protocol_encrypted
        } else {
            &self.protocol
        })
    }

    /// Reads the machine's clocks.
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// A number for a new connection.
    pub fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.last_connection.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Forgets a connection.
    pub fn deregister(&self, id: ConnectionId) {
        self.roster.leave(id);
        self.seats.leave(id);
    }

    /// Has some connections look at what has changed.
    pub fn wake(&self, some: &[ConnectionId]) {
        for outbox in some.iter().filter_map(|id| self.roster.outbox(*id)) {
            Wake::wake(outbox);
        }
    }

    /// Has a connection that is in a virtual host closed for a reason that its
    /// client is told; whether there is one of that number.
    pub fn close_connection(&self, id: ConnectionId, reason: &str) -> bool {
        let is_there = self.seats.dismiss_one(id, reason);
        self.wake(&[id]);
        is_there
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.roster.len()
    }

    /// Whether the server is being stopped.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Has every connection close.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake_all();
    }

    /// Has every connection look at what has changed.
    pub fn wake_all(&self) {
        for connection in self.roster.connections() {
            Wake::wake(Arc::clone(&connection.outbox));
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// The SASL mechanisms offered, separated by spaces. Certificates are only there
/// where TLS asks for them.
fn mechanisms(config: &Config, encrypted: bool) -> String {
    let name = |mechanism: &AuthMechanism| match mechanism {
        AuthMechanism::Plain => Some("PLAIN"),
        AuthMechanism::AmqPlain => Some("AMQPLAIN"),
        AuthMechanism::External => (encrypted && config.tls.verify_peer).then_some("EXTERNAL"),
    };
    let names: Vec<_> = config.auth_mechanisms.iter().filter_map(name).collect();
    names.join(" ")
}

/// What this node is called: by the host's name, as RabbitMQ's nodes are.
fn node_name() -> Arc<str> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "localhost",
        name => name,
    };
    format!("harrier@{host}").into()
}

/// What `connection.start` says about the server. Clients branch on the
/// capabilities, and some on product and version (`semantics` 2.2).
fn server_properties() -> FieldTable {
    let capabilities = [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
        "accept_consumer_cancel_ok",
    ];
    let mut properties = FieldTable::new();
    let table: FieldTable = capabilities
        .map(|name| (name, true.into()))
        .into_iter()
        .collect();
    properties.push("capabilities", table);
    properties.push("cluster_name", CLUSTER_NAME);
    properties.push("copyright", "Licensed under the Apache License 2.0");
    properties.push("information", "Harrier speaks RabbitMQ's AMQP 0-9-1");
    properties.push("platform", "Rust");
    properties.push("product", "RabbitMQ");
    properties.push("version", COMPATIBLE_VERSION);
    properties.push("harrier_version", env!("CARGO_PKG_VERSION"));
    properties
}

/// What a cluster is called that nobody has named.
pub const CLUSTER_NAME: &str = "harrier";
/// The RabbitMQ version whose behaviour clients may count on.
pub const COMPATIBLE_VERSION: &str = "4.3.6";
