//! Help, version, and what is no way to call it.

use crate::program::{harrier, run};

#[test]
fn help_shows_commands_and_examples() {
    let help = run(&mut harrier(&["--help"]));
    assert_eq!(help.code, Some(0));
    assert_eq!(help.stderr, "");
    for word in [
        "serve",
        "status",
        "perf",
        "store",
        "queues",
        "definitions",
        "completion",
        "Examples:",
        "harrier serve --config",
    ] {
        assert!(
            help.stdout.contains(word),
            "no {word:?} in: {}",
            help.stdout
        );
    }
}

#[test]
fn version_is_the_packages() {
    let version = run(&mut harrier(&["--version"]));
    assert_eq!(version.code, Some(0));
    let expected = concat!("harrier ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(version.stdout, expected);
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    for (arguments, word) in [
        (&["swerve"][..], "swerve"),
        (&["serve", "--no-such-flag"], "--no-such-flag"),
        (&["serve", "--amqp", "nowhere"], "nowhere"),
        (&["serve", "--http", "nowhere"], "or off"),
        (&["serve", "--heartbeat", "70000"], "70000"),
        (&["serve", "--log", "loud"], "loud"),
        (&["status", "--amqp", "nowhere"], "nowhere"),
        (&["status", "--format", "xml"], "xml"),
        (&["store"], "check"),
        (&["queues"], "list"),
        (&["queues", "purge"], "NAMES"),
        (&["queues", "declare", "q", "--argument", "x"], "KEY=VALUE"),
        (&["policies", "set", "p", "--pattern", ".*"], "KEY=VALUE"),
        (
            &[
                "policies",
                "set",
                "p",
                "--pattern",
                ".*",
                "--definition",
                "[]",
            ],
            "JSON object",
        ),
        (&["users", "add", "u"], "--new-password"),
        (
            &["limits", "set", "vhost", "/", "max-queues", "many"],
            "many",
        ),
        (&["parameters", "set", "shovel", "s", "{"], "expected JSON"),
        (&["publish"], "ROUTING_KEY"),
        (&["completion", "csh"], "csh"),
        (&["top"], "terminal"),
        (&["queues", "list", "--url", "localhost"], "http://"),
        (
            &["queues", "list", "--url", "http://127.0.0.1:1", "--ca-file"],
            "--ca-file",
        ),
        (
            &["queues", "list", "--password-file", "/no/such"],
            "/no/such",
        ),
        (&["queues", "list", "--profile", "p"], "--profile p"),
        (&["store", "dump"], "--queue"),
        (&["store", "check", "--format", "xml"], "xml"),
    ] {
        run(&mut harrier(arguments)).fails(2, &[word]);
    }
}

#[test]
fn values_out_of_range_name_the_key_and_what_is_expected() {
    for (flag, value, words) in [
        (
            "--frame-max",
            "4095",
            ["frame_max", "4095", "at least 8192"],
        ),
        ("--channel-max", "0", ["channel_max", "0", "at least 1"]),
        (
            "--connection-max",
            "0",
            ["connection_max", "0", "at least 1"],
        ),
        (
            "--vm-memory-high-watermark",
            "1.5",
            ["vm_memory_high_watermark", "1.5", "at most 1"],
        ),
        (
            "--max-message-size",
            "536870913",
            ["max_message_size", "536870913", "at most 536870912"],
        ),
    ] {
        run(&mut harrier(&["serve", flag, value])).fails(2, &words);
    }
}
