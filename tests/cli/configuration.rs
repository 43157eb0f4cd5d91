//! The configuration: the file that comes with it, mistakes in one, and what
//! comes before what.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Command};
use harrier::base::config::Config;
use harrier::cli::config_file::Keys;
use tempfile::{TempDir, tempdir};

use crate::program::{Broker, harrier, run};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/harrier.toml")
}

/// The keys that there are, by the flags' own account.
fn keys() -> BTreeSet<String> {
    let command = Keys::augment_args(Command::new("harrier"));
    let flags = command
        .get_arguments()
        .map(|flag| flag.get_id().to_string());
    flags.collect()
}

#[test]
fn the_shipped_file_says_what_the_defaults_are() {
    let (from_file, file_log) = Keys::from_file(&shipped()).unwrap().resolve().unwrap();
    let (from_nothing, log) = Keys::default().resolve().unwrap();
    let data_dir = Path::new(".").join(&from_nothing.data_dir);
    assert_eq!(from_file.data_dir, data_dir);
    let same_place = Config {
        data_dir: from_nothing.data_dir.clone(),
        ..from_file
    };
    assert_eq!(same_place, from_nothing);
    assert_eq!(from_nothing, Config::default());
    assert_eq!(file_log, log);
}

/// Clients are set up for these (`semantics` 18).
#[test]
fn defaults_are_rabbitmqs() {
    let config = Config::default();
    assert_eq!(config.amqp.port(), 5672);
    assert_eq!(config.heartbeat, 60);
    assert_eq!(config.channel_max, 2047);
    assert_eq!(config.frame_max, 131_072);
    assert_eq!(config.handshake_timeout, Duration::from_secs(10));
    assert_eq!(config.max_message_size, 16 * 1024 * 1024);
    assert_eq!(config.consumer_timeout, 30 * 60 * 1000);
    assert_eq!(config.default_consumer_prefetch, 0);
    assert_eq!(config.vm_memory_high_watermark, 0.6);
    let user = (&*config.default_user, &*config.default_pass);
    assert_eq!((user, &*config.default_vhost), (("guest", "guest"), "/"));
    assert_eq!(config.loopback_users, ["guest"]);
    assert_eq!(config.default_queue_type, "classic");
}

#[test]
fn the_shipped_file_lists_every_key() {
    let text = fs::read_to_string(shipped()).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let listed: BTreeSet<String> = table.iter().flat_map(spelled_out).collect();
    assert_eq!(listed, keys());
}

/// A key as flags have it: `ssl_options.certfile` is `ssl_options_certfile`.
fn spelled_out((key, value): (&String, &toml::Value)) -> Vec<String> {
    match value {
        toml::Value::Table(table) if !table.is_empty() => {
            let under = table.iter().flat_map(spelled_out);
            under.map(|rest| format!("{key}_{rest}")).collect()
        }
        _ => vec![key.clone()],
    }
}

#[test]
fn every_key_is_a_flag_and_a_variable() {
    let command = Keys::augment_args(Command::new("harrier"));
    for flag in command.get_arguments() {
        let key = flag.get_id().as_str();
        assert_eq!(flag.get_long(), Some(key.replace('_', "-").as_str()));
        let variable = format!("HARRIER_{}", key.to_uppercase());
        assert_eq!(flag.get_env(), Some(variable.as_ref()));
        assert!(flag.get_help().is_some(), "{key}");
    }
}

/// A configuration file with this text.
fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("mine.toml");
    fs::write(&path, text).unwrap();
    (directory, path)
}

#[test]
fn a_mistake_is_told_with_file_key_found_and_expected() {
    for (text, words) in [
        ("hartbeat = 5", &["hartbeat", "heartbeat"][..]),
        (
            "log = \"info\"\nheartbeat = \"often\"",
            &["heartbeat", "often", "u16", "line 2"],
        ),
        ("heartbeat = 70000", &["heartbeat", "70000", "u16"]),
        ("amqp = \"nowhere\"", &["amqp", "nowhere", "address"]),
        ("log = \"loud\"", &["log", "loud", "info"]),
        ("heartbeat =", &["heartbeat", "line 1"]),
        (
            "ssl_options.verify = \"maybe\"",
            &["ssl_options", "maybe", "verify_peer"],
        ),
        ("auth_mechanisms = []", &["auth_mechanisms", "PLAIN"]),
        ("frame_max = 100", &["frame_max", "100", "at least 8192"]),
    ] {
        let (_directory, path) = file(text);
        let outcome = run(harrier(&["serve", "--config"]).arg(&path));
        outcome.fails(2, words);
        outcome.fails(2, &["mine.toml"]);
    }
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let words = ["/no/such/harrier.toml", "No such file"];
    run(&mut harrier(&[
        "serve",
        "--config",
        "/no/such/harrier.toml",
    ]))
    .fails(2, &words);
}

#[test]
fn a_flag_comes_before_a_variable_and_that_before_the_file() {
    let (_directory, path) = file("heartbeat = 70000");
    // Only reading the file fails; the other two are read before and are fine.
    run(harrier(&["serve", "--heartbeat", "7", "--config"]).arg(&path)).fails(2, &["mine.toml"]);
    let (_directory, path) = file("frame_max = 9000\nchannel_max = 5");
    let outcome = run(harrier(&["serve", "--config"])
        .arg(&path)
        .env("HARRIER_FRAME_MAX", "2"));
    outcome.fails(2, &["frame_max is 2"]);
    let outcome = run(harrier(&["serve", "--frame-max", "3", "--config"])
        .arg(&path)
        .env("HARRIER_FRAME_MAX", "2"));
    outcome.fails(2, &["frame_max is 3"]);
}

#[test]
fn the_file_can_be_named_by_a_variable() {
    let (_directory, path) = file("frame_max = 1");
    run(harrier(&[]).env("HARRIER_CONFIG", &path)).fails(2, &["frame_max is 1"]);
}

#[test]
fn a_broker_starts_with_the_shipped_file() {
    let directory = tempdir().unwrap();
    let text = fs::read_to_string(shipped()).unwrap();
    let path = directory.path().join("harrier.toml");
    fs::write(&path, text).unwrap();
    let broker = Broker::start_with(directory.path(), &["--config", path.to_str().unwrap()]);
    assert!(broker.ready.starts_with("harrier ready amqp=127.0.0.1:"));
}
