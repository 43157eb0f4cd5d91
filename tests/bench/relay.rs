//! The floor under every broker: what the kernel takes to bring a message's
//! octets in by one socket and out by another.
//!
//! `cargo bench --bench relay -- OCTETS SECONDS [COPIES]`: a relay that looks at
//! nothing reads up to 64 KiB from one connection and writes it to COPIES others.
//! Prints what its thread took of the processor for each OCTETS, as JSON. The
//! file needs nothing but the standard library, so `rustc -O` makes it, too.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement ends where it fails, and prints what it found"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Read and written at a time, as a broker's buffers are.
const BUFFER: usize = 64 * 1024;

fn main() {
    // `--bench` comes from cargo.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<f64> = arguments.iter().filter_map(|n| n.parse().ok()).collect();
    let &[octets, seconds, ref copies @ ..] = &numbers[..] else {
        // Without them this is a test run, which has nothing to find out here.
        return;
    };
    let copies = copies.first().map_or(1, |copies| *copies as usize);
    let (mut source, mut input) = connection();
    let (outputs, sinks): (Vec<_>, Vec<_>) = (0..copies).map(|_| connection()).unzip();
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        let stopped = &stopped;
        scope.spawn(move || {
            let buffer = vec![0; BUFFER];
            while !stopped.load(Ordering::Relaxed) && source.write_all(&buffer).is_ok() {}
        });
        for mut sink in sinks {
            scope.spawn(move || {
                let mut buffer = vec![0; BUFFER];
                while sink.read(&mut buffer).is_ok_and(|read| read > 0) {}
            });
        }
        let (spent, relayed, took) = relay(&mut input, outputs, seconds);
        stopped.store(true, Ordering::Relaxed);
        drop(input);
        let messages = relayed as f64 / octets;
        println!(
            r#"{{"cpu_us_per_message": {:.4}, "messages_per_s": {:.0}}}"#,
            spent.as_secs_f64() * 1e6 / messages,
            messages / took.as_secs_f64(),
        );
    });
}

/// Passes on what comes: the processor time that took, how many octets came, and
/// how long it went on.
fn relay(
    input: &mut TcpStream,
    mut outputs: Vec<TcpStream>,
    seconds: f64,
) -> (Duration, u64, Duration) {
    let mut buffer = vec![0; BUFFER];
    let mut relayed = 0;
    let (cpu, begun) = (thread_cpu(), Instant::now());
    while begun.elapsed().as_secs_f64() < seconds {
        let read = input.read(&mut buffer).unwrap();
        for output in &mut outputs {
            output.write_all(&buffer[..read]).unwrap();
        }
        relayed += read as u64;
    }
    (thread_cpu() - cpu, relayed, begun.elapsed())
}

/// Both ends of a connection.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far = listener.accept().unwrap().0;
    for end in [&near, &far] {
        end.set_nodelay(true).unwrap();
    }
    (near, far)
}

/// Processor time of this thread.
fn thread_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = stat.split(' ').next().unwrap();
    Duration::from_nanos(nanoseconds.parse().unwrap())
}
