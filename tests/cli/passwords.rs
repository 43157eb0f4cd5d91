//! Asking for a password, which takes a terminal.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::fake_api::FakeApi;
use crate::program::{harrier, run};

/// Runs a line in a terminal, somebody typing there; what it showed.
fn in_a_terminal(line: &str, typed: &str) -> String {
    let program = env!("CARGO_BIN_EXE_harrier");
    let mut script = Command::new("script");
    script.args(["-qec", &line.replacen("harrier", program, 1), "/dev/null"]);
    script.env("TERM", "dumb").env_remove("HARRIER_PASSWORD");
    let mut script = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = Vec::new();
    let mut stdout = script.stdout.take().unwrap();
    // Nobody types before being asked.
    while !String::from_utf8_lossy(&shown).contains("Password of ann: ") {
        let mut octets = [0; 256];
        let count = stdout.read(&mut octets).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&shown));
        shown.extend_from_slice(&octets[..count]);
    }
    script
        .stdin
        .as_mut()
        .unwrap()
        .write_all(typed.as_bytes())
        .unwrap();
    stdout.read_to_end(&mut shown).unwrap();
    script.wait().unwrap();
    String::from_utf8_lossy(&shown).into_owned()
}

#[test]
fn a_person_is_asked_for_the_password_and_it_is_not_shown() {
    let api = FakeApi::answering(&[("200 OK", "[]")]);
    let line = format!("harrier vhosts list --user ann --url {}", api.url);
    // A slip is taken back.
    let shown = in_a_terminal(&line, "secretx\u{7f}\r");
    assert!(!shown.contains("secret"), "{shown}");
    // ann:secret
    let login = "authorization: Basic YW5uOnNlY3JldA==".to_owned();
    assert!(api.requests()[0].headers.contains(&login));
}

#[test]
fn whoever_gives_up_is_told_so() {
    let line = "harrier vhosts list --user ann --url http://127.0.0.1:1";
    let shown = in_a_terminal(line, "sec\u{3}");
    assert!(shown.contains("no password of ann was given"), "{shown}");
}

#[test]
fn a_program_is_not_asked() {
    let api = FakeApi::answering(&[("200 OK", "[]")]);
    let asked = run(&mut harrier(&[
        "vhosts", "list", "--user", "ann", "--url", &api.url,
    ]));
    assert_eq!((asked.code, &*asked.stderr), (Some(0), ""));
    // ann:guest
    let login = "authorization: Basic YW5uOmd1ZXN0".to_owned();
    assert!(api.requests()[0].headers.contains(&login));
}
