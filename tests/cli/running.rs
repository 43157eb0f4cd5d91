//! With a broker there, or where one should be.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::tempdir;

use crate::program::{Broker, harrier, run};

/// How long anything may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn status_of_a_running_broker() {
    let directory = tempdir().unwrap();
    let broker = Broker::start(directory.path());
    assert_eq!(
        broker.ready,
        format!(
            "harrier ready amqp={} http={}\n",
            broker.address, broker.http
        )
    );
    let status = run(&mut harrier(&["status", "--amqp", &broker.address]));
    assert_eq!((status.code, status.stderr.as_str()), (Some(0), ""));
    // Not a terminal: for programs.
    let json: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(json["address"], broker.address);
    assert_eq!(json["product"], "RabbitMQ");
    assert_eq!(json["harrier"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["mechanisms"], "PLAIN AMQPLAIN");
    let table = run(harrier(&["status", "--format", "table"]).env("HARRIER_AMQP", &broker.address));
    assert_eq!(table.code, Some(0));
    for word in [
        "address",
        "harrier",
        &broker.address,
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(
            table.stdout.contains(word),
            "no {word:?} in: {}",
            table.stdout
        );
    }
}

#[test]
fn status_without_a_broker_says_what_to_do() {
    // A port that nobody listens on: one just given back.
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let words = ["no AMQP broker at", &address, "harrier serve"];
    run(&mut harrier(&["status", "--amqp", &address])).fails(1, &words);
}

#[test]
fn status_of_something_else_says_so() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"AMQP\x00\x01\x00\x00",
        b"",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answering = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.read_exact(&mut [0; 8]).unwrap();
            socket.write_all(answer).unwrap();
        });
        let status = run(&mut harrier(&["status", "--amqp", &address]));
        status.fails(1, &["no AMQP broker at", &address]);
        answering.join().unwrap();
    }
}

#[test]
fn a_second_broker_on_the_same_directory_says_what_to_do() {
    let directory = tempdir().unwrap();
    let _first = Broker::start(directory.path());
    let path = directory.path().to_str().unwrap();
    let second = run(&mut harrier(&[
        "serve",
        "--amqp",
        "127.0.0.1:0",
        "--prometheus",
        "off",
        "--http",
        "off",
        "--data-dir",
        path,
    ]));
    second.fails(1, &[path, "in use by another process", "--data-dir"]);
}

#[test]
fn a_second_broker_on_the_same_port_says_what_to_do() {
    let directories = [tempdir().unwrap(), tempdir().unwrap()];
    let first = Broker::start(directories[0].path());
    let path = directories[1].path().to_str().unwrap();
    let second = run(&mut harrier(&[
        "serve",
        "--amqp",
        &first.address,
        "--prometheus",
        "off",
        "--http",
        "off",
        "--data-dir",
        path,
    ]));
    second.fails(1, &["cannot listen on", &first.address, "--amqp"]);
    // The first goes on.
    let status = run(&mut harrier(&["status", "--amqp", &first.address]));
    assert_eq!(status.code, Some(0));
}

#[test]
fn a_directory_that_cannot_be_made_is_told() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let path = file.join("data");
    let path = path.to_str().unwrap();
    let outcome = run(&mut harrier(&[
        "serve",
        "--amqp",
        "127.0.0.1:0",
        "--prometheus",
        "off",
        "--http",
        "off",
        "--data-dir",
        path,
    ]));
    outcome.fails(1, &[path]);
}

/// A service of type `notify` is started once it says so (sd_notify(3)).
#[test]
fn a_service_manager_is_told_when_the_broker_serves() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = harrier(&["serve", "--amqp", "127.0.0.1:0", "--http", "off"]);
    command
        .env("NOTIFY_SOCKET", &path)
        .arg("--data-dir")
        .arg(directory.path().join("data"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut broker = command.spawn().unwrap();
    let told = || {
        let mut text = [0; 64];
        let len = manager.recv(&mut text).unwrap();
        String::from_utf8(text[..len].to_vec()).unwrap()
    };
    assert_eq!(told(), "READY=1");
    let kill = format!("kill -TERM {}", broker.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(told(), "STOPPING=1");
    assert!(broker.wait().unwrap().success());
}
