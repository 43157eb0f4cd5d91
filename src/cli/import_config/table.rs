//! What each key of `rabbitmq.conf` is here: one row a key or family of keys.

use super::value::{self, Converted};

/// What becomes of a key.
#[derive(Clone, Copy)]
pub(super) enum Meaning {
    /// It sets this key, by way of the function.
    Sets(&'static str, fn(&str) -> Converted),
    /// It adds to this list.
    Lists(&'static str),
    /// It sets a name of this table, which stands behind the key's own.
    Names(&'static str),
    /// It is part of something made of several keys.
    Part(Part),
    /// It is so in Harrier without being said.
    Always(&'static str),
    /// With this value it is so in Harrier, too; any other has no equivalent.
    AlwaysIf(&'static [&'static str], &'static str),
    /// There is none, and why.
    Nothing(&'static str),
}

/// What is made of several keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// `listeners.tcp`: one address here.
    Listener,
    /// `listeners.tcp = none`.
    Listeners,
    /// `listeners.ssl`: one address here.
    TlsListener,
    /// `management.tcp.ip`.
    ManagementIp,
    /// `management.tcp.port`.
    ManagementPort,
    /// `management.ssl.ip`.
    ManagementTlsIp,
    /// `management.ssl.port`.
    ManagementTlsPort,
    /// `management.ssl.certfile` and `keyfile`, which serve AMQP here, too.
    ManagementTlsFile,
    /// `prometheus.tcp.ip`.
    PrometheusIp,
    /// `prometheus.tcp.port`.
    PrometheusPort,
    /// `ssl_options.versions.N`.
    TlsVersion,
    /// `auth_mechanisms.N`.
    Mechanism,
    /// `loopback_users.NAME = true`.
    LoopbackUser,
    /// `loopback_users = none`.
    LoopbackUsers,
    /// `default_queue_type`, whose streams aren't here.
    QueueType,
}

/// The meaning of `key`; `None` for one that isn't known.
pub(super) fn meaning(key: &str) -> Option<Meaning> {
    let matches = |pattern: &str| match pattern.strip_suffix(".**") {
        Some(family) => key
            .strip_prefix(family)
            .is_some_and(|rest| rest.starts_with('.')),
        None => key == pattern,
    };
    let row = ROWS
        .iter()
        .find(|(patterns, _)| patterns.iter().any(|pattern| matches(pattern)));
    row.map(|(_, meaning)| *meaning)
}

/// Every key that a row sets.
pub fn targets() -> impl Iterator<Item = &'static str> {
    let rows = ROWS.iter().filter_map(|(_, meaning)| match meaning {
        Meaning::Sets(key, _) | Meaning::Lists(key) | Meaning::Names(key) => Some(*key),
        _ => None,
    });
    rows.chain([
        "amqp",
        "amqps",
        "auth_mechanisms",
        "default_queue_type",
        "http",
        "https",
        "loopback_users",
        "prometheus",
        "ssl_options.versions",
    ])
}

type Row = (&'static [&'static str], Meaning);

use Meaning::{Always, AlwaysIf, Lists, Names, Nothing, Part as PartOf, Sets};

/// The first row that matches counts. `family.**` is every key below it.
const ROWS: &[Row] = &[
    // Who listens where.
    (&["listeners.tcp"], PartOf(Part::Listeners)),
    (&["listeners.tcp.**"], PartOf(Part::Listener)),
    (
        &["management.tcp.port", "management.listener.port"],
        PartOf(Part::ManagementPort),
    ),
    (
        &["management.tcp.ip", "management.listener.ip"],
        PartOf(Part::ManagementIp),
    ),
    (
        &[
            "tcp_listen_options.**",
            "num_acceptors.**",
            "listeners.startup_delay",
        ],
        Always("sockets are set up for low latency, and one task serves each"),
    ),
    (
        &["proxy_protocol"],
        AlwaysIf(&["false"], "the PROXY protocol isn't spoken"),
    ),
    (
        &["reverse_dns_lookups"],
        AlwaysIf(&["false"], "addresses are never looked up"),
    ),
    // Users.
    (&["default_user"], Sets("default_user", value::text)),
    (&["default_pass"], Sets("default_pass", value::text)),
    (&["default_vhost"], Sets("default_vhost", value::text)),
    (&["default_queue_type"], PartOf(Part::QueueType)),
    (
        &["default_user_tags.administrator"],
        AlwaysIf(
            &["true"],
            "the default user is an administrator; `harrier users tag` changes that",
        ),
    ),
    (
        &["default_user_tags.**"],
        Nothing(
            "the default user is an administrator and nothing else; `harrier users tag` changes that",
        ),
    ),
    (
        &[
            "default_permissions.configure",
            "default_permissions.read",
            "default_permissions.write",
        ],
        AlwaysIf(
            &[".*"],
            "the default user may do everything in its vhost; `harrier permissions set` changes that",
        ),
    ),
    (&["loopback_users"], PartOf(Part::LoopbackUsers)),
    (&["loopback_users.**"], PartOf(Part::LoopbackUser)),
    (
        &["default_users.**"],
        Nothing("users come from definitions (load_definitions) or `harrier users add`"),
    ),
    (
        &["default_policies.**"],
        Nothing("`harrier operator-policies set` makes it; definitions keep it"),
    ),
    (
        &["default_limits.**"],
        Nothing("`harrier limits set` makes it; definitions keep it"),
    ),
    (&["auth_mechanisms.**"], PartOf(Part::Mechanism)),
    (
        &["auth_backends.**"],
        AlwaysIf(
            &[
                "internal",
                "rabbit_auth_backend_internal",
                "oauth2",
                "rabbit_auth_backend_oauth2",
            ],
            "users are Harrier's own, or those of tokens where auth_oauth2 says which",
        ),
    ),
    (
        &["auth_ldap.**"],
        Nothing("LDAP isn't asked; users are Harrier's own"),
    ),
    (
        &["auth_http.**", "auth_cache.**"],
        Nothing("no other service is asked; users are Harrier's own"),
    ),
    (
        &["anonymous_login_user", "anonymous_login_pass"],
        Nothing("everyone logs in with a name here"),
    ),
    (
        &["password_hashing_module"],
        AlwaysIf(
            &["rabbit_password_hashing_sha256"],
            "passwords are hashed with SHA-256; other hashes are taken from definitions",
        ),
    ),
    (
        &["credential_validator.**"],
        Nothing("passwords are taken as they are given"),
    ),
    // Definitions.
    (
        &[
            "load_definitions",
            "management.load_definitions",
            "definitions.local.path",
        ],
        Sets("load_definitions", value::text),
    ),
    (
        &["definitions.import_backend"],
        AlwaysIf(
            &["local_filesystem", "local"],
            "definitions come from a file",
        ),
    ),
    (
        &["definitions.skip_if_unchanged"],
        Always("an import changes nothing that is as it says already"),
    ),
    (&["definitions.**"], Nothing("definitions come from a file")),
    // Connections.
    (&["heartbeat"], Sets("heartbeat", value::count)),
    (&["frame_max"], Sets("frame_max", value::count)),
    (
        &["channel_max", "max_channels_per_connection"],
        Sets("channel_max", |text| unlimited_zero(text, 65_535)),
    ),
    (
        &["connection_max", "max_connections", "ranch_connection_max"],
        Sets("connection_max", |text| value::count_or(text, 1_000_000)),
    ),
    (
        &["handshake_timeout"],
        Sets("handshake_timeout", value::count),
    ),
    (
        &["max_message_size"],
        Sets("max_message_size", value::count),
    ),
    (
        &["consumer_timeout"],
        Sets("consumer_timeout", |text| value::count_or(text, 0)),
    ),
    (
        &["consumer_max_per_channel"],
        Sets("consumer_max_per_channel", |text| {
            value::count_or(text, 1_000_000)
        }),
    ),
    (
        &["initial_frame_max"],
        Always("frames before tuning may have 8192 bytes"),
    ),
    (
        &[
            "channel_max_per_node",
            "session_max_per_connection",
            "link_max_per_session",
        ],
        Nothing("channels are limited per connection and per user"),
    ),
    (
        &["channel_operation_timeout"],
        Always("nothing waits for another process"),
    ),
    (
        &["channel_tx_message_max"],
        Nothing("a transaction is bounded by memory alone"),
    ),
    (
        &["vhost_max"],
        Nothing("the number of vhosts isn't limited"),
    ),
    // Memory and disk.
    (
        &[
            "vm_memory_high_watermark.relative",
            "vm_memory_high_watermark",
        ],
        Sets("vm_memory_high_watermark", value::share),
    ),
    (
        &["vm_memory_high_watermark.absolute"],
        Nothing(
            "it is a share of the machine's or container's memory here: vm_memory_high_watermark = 0.6",
        ),
    ),
    (
        &["disk_free_limit.absolute", "disk_free_limit"],
        Sets("disk_free_limit", value::octets),
    ),
    (
        &["disk_free_limit.relative"],
        Nothing("it is a number of bytes here: disk_free_limit = 134217728"),
    ),
    (
        &[
            "vm_memory_high_watermark_paging_ratio",
            "vm_memory_calculation_strategy",
            "memory_monitor_interval",
            "total_memory_available_override_value",
        ],
        Always(
            "messages are kept on disk, not in memory, and memory is what the process has resident",
        ),
    ),
    (
        &[
            "background_gc_enabled",
            "background_gc_target_interval",
            "socket_writer.**",
            "hipe_compile",
            "erlang.**",
            "sysmon_handler.**",
            "default_worker_pool_size",
            "delegate_count",
        ],
        Always("there is no virtual machine to tune"),
    ),
    // Logs.
    (
        &[
            "log.console.level",
            "log.file.level",
            "log.level",
            "log.default.level",
        ],
        Sets("log", value::level),
    ),
    (
        &["log.console.formatter", "log.file.formatter"],
        Sets("log_format", log_format),
    ),
    (
        &["log.console"],
        AlwaysIf(
            &["true"],
            "logs go to stderr, and from there wherever the service manager puts them",
        ),
    ),
    (
        &["log.journald"],
        AlwaysIf(
            &["true"],
            "logs go to stderr, and under systemd to the journal",
        ),
    ),
    (
        &["log.file"],
        AlwaysIf(
            &["false"],
            "logs go to stderr, and from there wherever the service manager puts them",
        ),
    ),
    (
        &["log.dir", "log.file.**"],
        Nothing("logs go to stderr, and from there wherever the service manager puts them"),
    ),
    (
        &["log.**"],
        Nothing("logs go to stderr with one level for all of them"),
    ),
    // Queues.
    (
        &[
            "queue_index_embed_msgs_below",
            "msg_store_file_size_limit",
            "message_store_shutdown_timeout",
            "classic_queue.default_version",
            "lazy_queue_explicit_gc_run_operation_threshold",
        ],
        Always("one log keeps the messages of all queues; its size is log_segment_size"),
    ),
    (
        &["quorum_queue.property_equivalence.relaxed_checks_on_redeclaration"],
        AlwaysIf(&["false"], "properties are compared"),
    ),
    (
        &["quorum_queue.**", "raft.**"],
        Nothing(
            "one log keeps the messages of all queues, and there is one node; its size is log_segment_size",
        ),
    ),
    (
        &["queue_types.**"],
        Nothing("classic and quorum queues are there, streams aren't"),
    ),
    (
        &[
            "exchange_types.**",
            "channel_interceptor.**",
            "message_interceptors.**",
        ],
        Nothing("there is nothing to plug in"),
    ),
    (
        &["deprecated_features.permit.**"],
        Always("what RabbitMQ deprecates works here"),
    ),
    (
        &["trace_vhosts"],
        Nothing("`harrier vhosts add NAME --tracing true` does it"),
    ),
    (
        &["runtime_parameters.**"],
        Nothing("the number of parameters isn't limited by kind"),
    ),
    // Several nodes.
    (
        &[
            "cluster_formation.**",
            "cluster_partition_handling",
            "cluster_partition_handling.**",
            "cluster_keepalive_interval",
            "cluster_name",
            "cluster_tags.**",
            "node_tags.**",
            "cluster_queue_limit",
            "cluster_exchange_limit",
            "net_ticktime",
            "distribution.**",
            "kernel.**",
            "metadata_store.**",
            "mirroring_sync_batch_size",
            "mirroring_sync_max_throughput",
            "mnesia_table_loading_retry_limit",
            "mnesia_table_loading_retry_timeout",
            "queue_leader_locator",
            "queue_master_locator",
            "prevent_startup_if_node_was_reset",
            "consumer_disconnected_timeout",
            "vhost_restart_strategy",
        ],
        Nothing("there is one node"),
    ),
    // Encryption.
    (
        &["listeners.ssl"],
        AlwaysIf(&["none"], "TLS isn't served unless amqps is an address"),
    ),
    (&["listeners.ssl.**"], PartOf(Part::TlsListener)),
    (
        &["ssl_options.cacertfile"],
        Sets("ssl_options.cacertfile", value::text),
    ),
    (
        &["ssl_options.certfile"],
        Sets("ssl_options.certfile", value::text),
    ),
    (
        &["ssl_options.keyfile"],
        Sets("ssl_options.keyfile", value::text),
    ),
    (
        &["ssl_options.verify"],
        Sets("ssl_options.verify", value::text),
    ),
    (
        &["ssl_options.fail_if_no_peer_cert"],
        Sets("ssl_options.fail_if_no_peer_cert", value::flag),
    ),
    (&["ssl_options.versions.**"], PartOf(Part::TlsVersion)),
    (
        &["ssl_options.password"],
        Nothing("the private key must not be encrypted: guard its file instead"),
    ),
    (
        &[
            "ssl_options.depth",
            "ssl_options.client_renegotiation",
            "ssl_options.secure_renegotiate",
            "ssl_options.reuse_session",
            "ssl_options.reuse_sessions",
            "ssl_options.honor_cipher_order",
            "ssl_options.honor_ecc_order",
            "ssl_options.bypass_pem_cache",
            "ssl_options.log_level",
            "ssl_options.log_alert",
            "ssl_allow_poodle_attack",
            "ssl_handshake_timeout",
        ],
        Always("the choices left are safe ones, and changed files are read again"),
    ),
    (
        &["ssl_options.**", "trust_store.**"],
        Nothing(
            "certificates and keys are PEM files, ciphers aren't chosen, revocation isn't asked for",
        ),
    ),
    (
        &["ssl_cert_login_from"],
        Sets("ssl_cert_login_from", value::text),
    ),
    (
        &["ssl_cert_login_san_type"],
        Sets("ssl_cert_login_san_type", value::text),
    ),
    (
        &["ssl_cert_login_san_index"],
        Sets("ssl_cert_login_san_index", value::count),
    ),
    (&["management.ssl.port"], PartOf(Part::ManagementTlsPort)),
    (&["management.ssl.ip"], PartOf(Part::ManagementTlsIp)),
    (
        &["management.ssl.certfile", "management.ssl.keyfile"],
        PartOf(Part::ManagementTlsFile),
    ),
    (
        &[
            "management.ssl.cacertfile",
            "management.ssl.verify",
            "management.ssl.fail_if_no_peer_cert",
            "management.ssl.depth",
        ],
        Nothing(
            "the management API asks nobody for a certificate; what is between the server's and its root belongs into ssl_options.certfile",
        ),
    ),
    (
        &["management.ssl.versions.**"],
        Nothing("ssl_options.versions holds for the management API, too"),
    ),
    (
        &["management.ssl.password"],
        Nothing("the private key must not be encrypted: guard its file instead"),
    ),
    (
        &["amqp_client.**", "amqp10_client.**"],
        Nothing("what Harrier connects to is said of each shovel"),
    ),
    // The management API and metrics.
    (
        &["management.rates_mode"],
        AlwaysIf(
            &["basic"],
            "rates are kept per queue, exchange, channel and connection",
        ),
    ),
    (
        &[
            "collect_statistics",
            "collect_statistics_interval",
            "management.db_cache_multiplier",
            "management.delegate_count",
            "management_agent.**",
            "management.sample_retention_policies.**",
        ],
        Always("figures are read when they are asked for"),
    ),
    (
        &["management.**", "http_dispatch.**"],
        Nothing("the management API has no such setting"),
    ),
    (&["prometheus.tcp.port"], PartOf(Part::PrometheusPort)),
    (&["prometheus.tcp.ip"], PartOf(Part::PrometheusIp)),
    (
        &["prometheus.path"],
        AlwaysIf(&["/metrics"], "metrics are at /metrics"),
    ),
    (
        &["prometheus.return_per_object_metrics"],
        AlwaysIf(
            &["false"],
            "metrics of each queue are at /metrics/per-object",
        ),
    ),
    (
        &["prometheus.authentication.enabled"],
        AlwaysIf(
            &["false"],
            "whoever can connect may read metrics; those beside the management API ask for a login",
        ),
    ),
    (
        &["prometheus.**"],
        Nothing("only the metrics beside the management API have TLS"),
    ),
    // Tokens.
    (
        &["auth_oauth2.resource_server_id"],
        Sets("auth_oauth2.resource_server_id", value::text),
    ),
    (
        &["auth_oauth2.scope_prefix"],
        Sets("auth_oauth2.scope_prefix", value::text),
    ),
    (
        &["auth_oauth2.verify_aud"],
        Sets("auth_oauth2.verify_aud", value::flag),
    ),
    (
        &["auth_oauth2.issuer"],
        Sets("auth_oauth2.issuer", value::text),
    ),
    (
        &["auth_oauth2.jwks_url", "auth_oauth2.jwks_uri"],
        Sets("auth_oauth2.jwks_url", value::text),
    ),
    (
        &["auth_oauth2.https.cacertfile"],
        Sets("auth_oauth2.https_cacertfile", value::text),
    ),
    (
        &["auth_oauth2.default_key"],
        Sets("auth_oauth2.default_key", value::text),
    ),
    (
        &["auth_oauth2.additional_scopes_key"],
        Sets("auth_oauth2.additional_scopes_key", value::text),
    ),
    (
        &["auth_oauth2.algorithms", "auth_oauth2.algorithms.**"],
        Lists("auth_oauth2.algorithms"),
    ),
    (
        &[
            "auth_oauth2.preferred_username_claims",
            "auth_oauth2.preferred_username_claims.**",
        ],
        Lists("auth_oauth2.preferred_username_claims"),
    ),
    (
        &["auth_oauth2.signing_keys.**"],
        Names("auth_oauth2.signing_keys"),
    ),
    (
        &["auth_oauth2.scope_aliases.**"],
        Names("auth_oauth2.scope_aliases"),
    ),
    (
        &[
            "auth_oauth2.https.peer_verification",
            "auth_oauth2.https.verify",
        ],
        AlwaysIf(
            &["verify_peer"],
            "the server of the keys has to prove who it is",
        ),
    ),
    (
        &["auth_oauth2.require_exp"],
        AlwaysIf(
            &["true"],
            "whether tokens without an end are taken isn't chosen",
        ),
    ),
    (
        &["auth_oauth2.**"],
        Nothing("there is one issuer of tokens, found by its issuer or jwks_url"),
    ),
    // Other protocols, plugins.
    (&["mqtt.**", "web_mqtt.**"], Nothing("MQTT isn't spoken")),
    (&["stomp.**", "web_stomp.**"], Nothing("STOMP isn't spoken")),
    (&["stream.**"], Nothing("streams aren't there")),
    (
        &["shovel.**"],
        Nothing("what a shovel does is said of each of them"),
    ),
    (
        &[
            "federation.**",
            "exchange_federation.**",
            "queue_federation.**",
        ],
        Nothing("there is no federation; a shovel moves messages"),
    ),
    (&["tracing.**"], Nothing("traces aren't written to files")),
    (
        &["event_exchange.**"],
        Always("events are published when something is bound to amq.rabbitmq.event"),
    ),
    (
        &["aws.**", "consul.**"],
        Nothing("no other service is asked"),
    ),
    (
        &["motd_file", "product.**", "credentials_obfuscation.**"],
        Always("it changes nothing for clients"),
    ),
];

fn unlimited_zero(text: &str, unlimited: i64) -> Converted {
    match text {
        "0" => Ok(toml::Value::Integer(unlimited)),
        _ => value::count_or(text, unlimited),
    }
}

fn log_format(text: &str) -> Converted {
    match text {
        "json" => value::text("json"),
        "plaintext" => value::text("text"),
        _ => Err(format!("expected json or plaintext, found `{text}`")),
    }
}
