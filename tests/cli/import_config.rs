//! `harrier import-config`: configurations as they are found in the world.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use clap::{Args, Command};
use harrier::cli::config_file::Keys;
use harrier::cli::import_config::{Translation, parse, targets};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::program::{Outcome, harrier, run};

/// What containers are commonly given.
const CONTAINER: &str = "\
## Not for production.
loopback_users.guest = false
listeners.tcp.default = 5672
management.tcp.port = 15672
prometheus.tcp.port = 15692
prometheus.tcp.ip = 10.0.0.1
log.console = true
log.console.level = debug
default_pass = hunter#2
default_user = shop
default_pass = 'hunter#2'
";

/// A node of three under Kubernetes.
const CLUSTER: &str = "\
cluster_formation.peer_discovery_backend = rabbit_peer_discovery_k8s
cluster_formation.k8s.host = kubernetes.default.svc.cluster.local
cluster_partition_handling = pause_minority
queue_master_locator = min-masters
disk_free_limit.absolute = 2GB
vm_memory_high_watermark.relative = 0.7
cluster_name = rabbit
auth_mechanisms.1 = PLAIN
load_definitions = /etc/rabbitmq/definitions.json
";

/// Tuned by hand, years ago, in part wrongly.
const TUNED: &str = "\
heartbeat = 580
heartbeat = 30
channel_max = 0
connection_max = infinity
consumer_timeout = undefined
frame_max = 4096
max_message_size = 134217728
vm_memory_high_watermark.absolute = 4GB
disk_free_limit.relative = 1.5
log.file.level = warning
log.file = /var/log/rabbitmq/rabbit.log
log.connection.level = error
default_queue_type = stream
mqtt.listeners.tcp.default = 1883
auth_ldap.servers.1 = ldap.example
default_pass = encrypted:SGFycmllcg==
hartbeat = 5
";

/// Clients with certificates, one certificate for both listeners.
const ENCRYPTED: &str = "\
listeners.tcp = none
listeners.ssl.default = 5671
listeners.ssl.other = 10.0.0.1:5681
ssl_options.cacertfile = /etc/rabbitmq/ca.pem
ssl_options.certfile = /etc/rabbitmq/server.pem
ssl_options.keyfile = /etc/rabbitmq/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
ssl_options.versions.1 = tlsv1.3
ssl_options.versions.2 = tlsv1.1
ssl_cert_login_from = common_name
auth_mechanisms.1 = EXTERNAL
auth_mechanisms.2 = RABBIT-CR-DEMO
management.ssl.port = 15671
management.ssl.certfile = /etc/rabbitmq/server.pem
management.ssl.keyfile = /etc/rabbitmq/other.key
";

/// The file, and what the program makes of it.
fn import(text: &str, flags: &[&str]) -> (TempDir, PathBuf, Outcome) {
    let directory = tempdir().unwrap();
    let file = directory.path().join("rabbitmq.conf");
    fs::write(&file, text).unwrap();
    let outcome = run(harrier(&["import-config"]).args(flags).arg(&file));
    (directory, file, outcome)
}

/// What is set, as TOML that Harrier takes.
fn settings(text: &str) -> toml::Table {
    let (directory, _, outcome) = import(text, &[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let printed = directory.path().join("harrier.toml");
    fs::write(&printed, &outcome.stdout).unwrap();
    Keys::from_file(&printed).unwrap().resolve().unwrap();
    outcome.stdout.parse().unwrap()
}

/// The keys that have no equivalent, with the reason.
fn without(text: &str) -> Vec<(String, String)> {
    let (_directory, _, outcome) = import(text, &["--format", "json"]);
    let said: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let word = |remark: &Value, name: &str| remark[name].as_str().unwrap().to_owned();
    let remarks = said["without"].as_array().unwrap().iter();
    remarks
        .map(|remark| (word(remark, "key"), word(remark, "why")))
        .collect()
}

#[test]
fn a_containers_configuration_is_all_there() {
    let expected = "\
amqp = '0.0.0.0:5672'
default_pass = 'hunter#2'
default_user = 'shop'
http = '0.0.0.0:15672'
log = 'debug'
loopback_users = []
prometheus = '10.0.0.1:15692'
";
    let expected: toml::Table = expected.parse().unwrap();
    assert_eq!(settings(CONTAINER), expected);
    assert_eq!(without(CONTAINER), []);
    let (_directory, _, outcome) = import(CONTAINER, &["--strict"]);
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
}

#[test]
fn what_is_about_a_cluster_has_no_equivalent_and_the_rest_has() {
    let set = settings(CLUSTER);
    assert_eq!(set["disk_free_limit"].as_integer(), Some(2_000_000_000));
    assert_eq!(set["vm_memory_high_watermark"].as_float(), Some(0.7));
    assert_eq!(
        set["load_definitions"].as_str(),
        Some("/etc/rabbitmq/definitions.json")
    );
    // Open to all machines, as RabbitMQ is without being told.
    assert_eq!(set["amqp"].as_str(), Some("0.0.0.0:5672"));
    let without = without(CLUSTER);
    let keys: Vec<&str> = without.iter().map(|(key, _)| &**key).collect();
    let expected = [
        "cluster_formation.peer_discovery_backend",
        "cluster_formation.k8s.host",
        "cluster_partition_handling",
        "queue_master_locator",
        "cluster_name",
    ];
    assert_eq!(keys, expected);
    assert!(without.iter().all(|(_, why)| why == "there is one node"));
    let (_directory, _, outcome) = import(CLUSTER, &["--strict"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("5 of 9 keys"), "{}", outcome.stderr);
}

#[test]
fn values_that_make_no_sense_here_are_told_with_the_reason() {
    let set = settings(TUNED);
    let number = |key: &str| set[key].as_integer();
    assert_eq!(number("heartbeat"), Some(30));
    assert_eq!(number("channel_max"), Some(65_535));
    assert_eq!(number("consumer_timeout"), Some(0));
    assert_eq!(set["log"].as_str(), Some("warn"));
    for absent in [
        "frame_max",
        "default_queue_type",
        "default_pass",
        "disk_free_limit",
    ] {
        assert!(!set.contains_key(absent), "{absent}");
    }
    let without = without(TUNED);
    for (key, word) in [
        ("vm_memory_high_watermark.absolute", "share"),
        ("disk_free_limit.relative", "bytes"),
        ("log.file", "stderr"),
        ("log.connection.level", "stderr"),
        ("default_queue_type", "classic or quorum"),
        ("mqtt.listeners.tcp.default", "MQTT"),
        ("auth_ldap.servers.1", "LDAP"),
        ("default_pass", "encrypted"),
        ("hartbeat", "spelled"),
        ("frame_max", "at least 8192"),
    ] {
        let found = without.iter().find(|(found, _)| found == key);
        let (_, why) = found.unwrap_or_else(|| panic!("{key} isn't listed"));
        assert!(why.contains(word), "{key}: {why}");
    }
}

#[test]
fn encryption_stays_encryption() {
    let set = settings(ENCRYPTED);
    let text = |key: &str| set[key].as_str().unwrap_or_default();
    assert_eq!(
        (text("amqps"), text("https")),
        ("0.0.0.0:5671", "0.0.0.0:15671")
    );
    assert_eq!(text("ssl_cert_login_from"), "common_name");
    assert_eq!(set["auth_mechanisms"].as_array().unwrap().len(), 1);
    let options = set["ssl_options"].as_table().unwrap();
    assert_eq!(
        options["certfile"].as_str(),
        Some("/etc/rabbitmq/server.pem")
    );
    assert_eq!(options["fail_if_no_peer_cert"].as_bool(), Some(true));
    assert_eq!(options["versions"].as_array().unwrap().len(), 1);
    let without = without(ENCRYPTED);
    let keys: Vec<&str> = without.iter().map(|(key, _)| &**key).collect();
    let expected = [
        "listeners.tcp",
        "listeners.ssl.other",
        "ssl_options.versions.2",
        "auth_mechanisms.2",
        "management.ssl.keyfile",
    ];
    assert_eq!(keys, expected);
}

#[test]
fn tokens_are_taken_as_before() {
    let set = settings(
        "auth_oauth2.resource_server_id = shop\n\
         auth_oauth2.issuer = https://login.example/realms/shop\n\
         auth_oauth2.verify_aud = false\n\
         auth_oauth2.signing_keys.key-1 = /etc/rabbitmq/key-1.pem\n\
         auth_oauth2.algorithms.1 = RS256\n\
         auth_oauth2.algorithms.2 = ES256\n",
    );
    let options = set["auth_oauth2"].as_table().unwrap();
    assert_eq!(options["resource_server_id"].as_str(), Some("shop"));
    assert_eq!(options["verify_aud"].as_bool(), Some(false));
    assert_eq!(options["algorithms"].as_array().unwrap().len(), 2);
    assert_eq!(
        options["signing_keys"]["key-1"].as_str(),
        Some("/etc/rabbitmq/key-1.pem")
    );
}

#[test]
fn a_listener_without_its_certificate_is_left_out() {
    let alone = "listeners.ssl.default = 5671\nheartbeat = 30\n";
    let set = settings(alone);
    assert!(!set.contains_key("amqps"), "{set}");
    assert!(set.contains_key("heartbeat"), "{set}");
    assert!(without(alone)[0].1.contains("ssl_options.certfile"));
}

#[test]
fn every_key_is_told_once() {
    for text in [CONTAINER, CLUSTER, TUNED, ENCRYPTED] {
        let entries = parse("rabbitmq.conf", text).unwrap();
        let translation = Translation::of(&entries);
        let listed = translation.without.len() + translation.always.len();
        let set: BTreeSet<&str> = translation
            .settings
            .values()
            .map(|one| &*one.from)
            .collect();
        let of_set = |key: &str| set.iter().any(|from| key == *from || key.starts_with(from));
        let mentioned = entries.iter().filter(|entry| of_set(&entry.key)).count();
        assert!(listed + mentioned >= entries.len(), "{translation:#?}");
    }
}

#[test]
fn a_secret_is_not_repeated_in_a_comment() {
    let (_directory, _, outcome) = import("default_pass = encrypted:abc\n", &[]);
    assert!(
        outcome.stdout.contains("default_pass = ..."),
        "{}",
        outcome.stdout
    );
    assert!(!outcome.stdout.contains("abc"), "{}", outcome.stdout);
}

#[test]
fn every_key_that_is_set_is_a_key() {
    let command = Keys::augment_args(Command::new("harrier"));
    let keys: BTreeSet<String> = command
        .get_arguments()
        .map(|flag| flag.get_id().to_string())
        .collect();
    for target in targets() {
        assert!(keys.contains(&target.replace('.', "_")), "{target}");
    }
}

#[test]
fn what_is_no_rabbitmq_conf_is_told_with_its_place() {
    let (_directory, file, outcome) = import("[{rabbit, [{heartbeat, 30}]}].\n", &[]);
    outcome.fails(
        1,
        &[file.to_str().unwrap(), "Erlang terms", "advanced.config"],
    );
    let (_directory, _, outcome) = import("heartbeat = 30\nheartbeat\n", &[]);
    outcome.fails(1, &["line 2", "key = value", "`heartbeat`"]);
    let (_directory, _, outcome) = import("include conf.d/*.conf\n", &[]);
    outcome.fails(1, &["line 1", "conf.d/*.conf", "command line"]);
    let missing = ["import-config", "/no/such/rabbitmq.conf"];
    run(&mut harrier(&missing)).fails(1, &["/no/such/rabbitmq.conf", "No such file"]);
}
