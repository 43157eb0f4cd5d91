//! The fuzz targets on a stable toolchain: every seed, and mutations of them
//! that are the same in each run. `scripts/fuzz` looks further.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

#[path = "fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::panic;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// Mutated inputs tried per target.
const ROUNDS: u32 = 10_000;
/// Changes made to a seed, at most.
const CHANGES_MAX: u32 = 8;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = root.join("tests/fuzz/seeds").join(target);
    let mut paths: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Changes, inserts, removes, doubles or joins octets of the seeds.
fn mutated(seeds: &[Vec<u8>], rng: &mut StdRng) -> Vec<u8> {
    let mut octets = seeds[rng.random_range(0..seeds.len())].clone();
    for _ in 0..rng.random_range(1..=CHANGES_MAX) {
        let at = rng.random_range(0..=octets.len());
        let end = rng.random_range(at..=octets.len());
        match rng.random_range(0..6) {
            0 if at < octets.len() => octets[at] = rng.random(),
            1 if at < octets.len() => octets[at] ^= 1 << rng.random_range(0..8),
            2 => octets.insert(at, rng.random()),
            3 => drop(octets.drain(at..end.min(at + 4))),
            4 => octets.extend_from_within(at..end),
            _ => {
                let other = &seeds[rng.random_range(0..seeds.len())];
                octets.truncate(at);
                octets.extend(&other[rng.random_range(0..=other.len())..]);
            }
        }
        octets.truncate(10_000);
    }
    octets
}

fn smoke(name: &str) {
    let (_, target) = targets::ALL
        .into_iter()
        .find(|(known, _)| *known == name)
        .expect("a target of this name");
    let seeds = seeds(name);
    assert!(!seeds.is_empty());
    let run = |octets: &[u8]| {
        if let Err(panic) = panic::catch_unwind(|| target(octets)) {
            eprintln!("{name} failed on \"{}\"", octets.escape_ascii());
            panic::resume_unwind(panic);
        }
    };
    for seed in &seeds {
        run(seed);
    }
    let mut rng = StdRng::seed_from_u64(0x48_41_52);
    for _ in 0..ROUNDS {
        run(&mutated(&seeds, &mut rng));
        let mut random = vec![0; rng.random_range(0..64)];
        rng.fill_bytes(&mut random);
        run(&random);
    }
}

macro_rules! smoke_tests {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                smoke(stringify!($name));
            }
        )*

        #[test]
        fn no_target_is_left_out() {
            assert_eq!(targets::ALL.map(|(name, _)| name), [$(stringify!($name)),*]);
        }
    };
}

smoke_tests! { frame method table properties handshake protocol definitions }
