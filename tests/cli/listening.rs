//! Who can reach a broker that was told nothing: only this machine.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use harrier::base::config::Config;
use tempfile::tempdir;

use crate::program::Broker;

/// What the kernel calls a socket that listens, in /proc/net/tcp.
const LISTEN: &str = "0A";

/// The addresses that are served by default; the port is anybody's.
fn defaults() -> Vec<SocketAddr> {
    let config = Config::default();
    let perhaps = [config.http, config.prometheus, config.amqps, config.https];
    let perhaps = perhaps.into_iter().flatten();
    perhaps.chain([config.amqp]).collect()
}

/// The addresses that process `id` listens at.
fn listened_at(id: u32) -> Vec<SocketAddr> {
    let mut sockets = BTreeSet::new();
    for file in fs::read_dir(format!("/proc/{id}/fd")).unwrap() {
        // It may be closed by now.
        let Ok(target) = fs::read_link(file.unwrap().path()) else {
            continue;
        };
        let inode = target.to_str().and_then(|name| {
            let name = name.strip_prefix("socket:[")?;
            name.strip_suffix(']').map(str::to_owned)
        });
        sockets.extend(inode);
    }
    let tables = ["tcp", "tcp6"].map(|table| {
        Path::new("/proc")
            .join(id.to_string())
            .join("net")
            .join(table)
    });
    // Without IPv6 there is no second table.
    let texts = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok());
    let mut found = Vec::new();
    for text in texts {
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[3] == LISTEN && sockets.contains(words[9]) {
                found.push(address(words[1]));
            }
        }
    }
    found
}

/// An address as the kernel writes it: words of 32 bits in the machine's order, and a port.
fn address(text: &str) -> SocketAddr {
    let (host, port) = text.split_once(':').unwrap();
    let octets: Vec<u8> = (0..host.len() / 8)
        .flat_map(|at| {
            let word = u32::from_str_radix(&host[8 * at..8 * at + 8], 16).unwrap();
            word.to_ne_bytes()
        })
        .collect();
    let host = match <[u8; 4]>::try_from(&*octets) {
        Ok(octets) => IpAddr::V4(Ipv4Addr::from(octets)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(&*octets).unwrap())),
    };
    SocketAddr::new(host, u16::from_str_radix(port, 16).unwrap())
}

#[test]
fn the_defaults_are_loopback_addresses() {
    let defaults = defaults();
    assert_eq!(defaults.len(), 3, "{defaults:?}");
    for address in defaults {
        assert!(address.ip().is_loopback(), "{address}");
    }
}

/// Whatever else it opens is seen, too: all of its sockets are looked at, not those it tells of.
#[test]
fn a_broker_with_default_addresses_listens_to_this_machine_alone() {
    let directory = tempdir().unwrap();
    let config = Config::default();
    let any_port = |address: SocketAddr| SocketAddr::new(address.ip(), 0).to_string();
    let amqp = any_port(config.amqp);
    let http = any_port(config.http.unwrap());
    let prometheus = any_port(config.prometheus.unwrap());
    let broker = Broker::start_at(
        directory.path(),
        &amqp,
        &http,
        &["--prometheus", &prometheus],
    );
    let listened_at = listened_at(broker.id());
    assert_eq!(listened_at.len(), 3, "{listened_at:?}");
    for address in listened_at {
        assert!(address.ip().is_loopback(), "{address}");
    }
}

#[test]
fn an_address_of_the_kernel_is_read() {
    let read = |text| address(text).to_string();
    if cfg!(target_endian = "little") {
        assert_eq!(read("0100007F:1628"), "127.0.0.1:5672");
        assert_eq!(read("00000000:3D38"), "0.0.0.0:15672");
        assert_eq!(read("00000000000000000000000001000000:1628"), "[::1]:5672");
    }
}
