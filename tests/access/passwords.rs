//! Password hashes, as RabbitMQ makes them.

use harrier::broker::access::{Algorithm, BadHash, PasswordHash};

/// The one that RabbitMQ's documentation works out, of `test12`.
const DOCUMENTED: &str = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
/// `test12` with the same salt, by MD5 and SHA-512.
const MD5: &str = "kI3GChNpte2FApYFXScl+0dIluk=";
const SHA512: &str = "kI3GChuNuIYf8lRbCCxZjgjKwsY19ns6+uFO0zcXRBGA/XGJ\
    PYD8OWMy7EB8TaOmAzjP2azv84GbINYwX2cDWb4DHnc=";

const SHA256_NAME: &str = "rabbit_password_hashing_sha256";

#[test]
fn the_documented_hash_is_ours() {
    let made = PasswordHash::of(b"test12", [0x90, 0x8D, 0xC6, 0x0A]);
    assert_eq!(made.to_base64(), DOCUMENTED);
    let read = PasswordHash::parse(DOCUMENTED, Some(SHA256_NAME)).unwrap();
    assert_eq!(read, made);
    assert!(read.verify(b"test12"));
    assert!(!read.verify(b"test1"));
    assert!(!read.verify(b"test123"));
    assert!(!read.verify(b""));
}

#[test]
fn every_algorithm_is_told_by_its_length() {
    for (text, algorithm) in [
        (MD5, Algorithm::Md5),
        (DOCUMENTED, Algorithm::Sha256),
        (SHA512, Algorithm::Sha512),
    ] {
        let hash = PasswordHash::parse(text, None).unwrap();
        assert_eq!(hash.algorithm(), algorithm);
        assert_eq!(
            PasswordHash::parse(text, Some(algorithm.name())),
            Ok(hash.clone())
        );
        assert!(hash.verify(b"test12"), "{algorithm:?}");
        assert!(!hash.verify(b"test13"), "{algorithm:?}");
        assert_eq!(hash.to_base64(), text);
    }
}

#[test]
fn no_password_never_logs_in() {
    for hash in [
        PasswordHash::none(),
        PasswordHash::of(b"", [1, 2, 3, 4]),
        PasswordHash::parse("", None).unwrap(),
        PasswordHash::parse("", Some(SHA256_NAME)).unwrap(),
    ] {
        assert!(!hash.verify(b""));
        assert!(!hash.verify(b"x"));
        assert_eq!(hash.to_base64(), "");
    }
}

#[test]
fn what_is_no_hash_is_refused_with_the_reason() {
    let refused = |text, algorithm| {
        PasswordHash::parse(text, algorithm)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(refused("!", None), BadHash::NotBase64.to_string());
    assert_eq!(
        refused("AAAAAAAA", Some(SHA256_NAME)),
        "expected 36 octets of salt and hash for rabbit_password_hashing_sha256, found 6"
    );
    assert_eq!(
        refused("AAAAAAAA", None),
        "no known algorithm makes a password hash of 6 octets"
    );
    assert_eq!(
        refused(DOCUMENTED, Some("rot13")),
        "unknown hashing algorithm 'rot13'"
    );
}

#[test]
fn a_hash_is_not_printed() {
    let hash = PasswordHash::parse(DOCUMENTED, None).unwrap();
    let printed = format!("{hash:?}");
    assert_eq!(printed, "PasswordHash { algorithm: Sha256, .. }");
}
