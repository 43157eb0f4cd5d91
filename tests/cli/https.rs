//! The management API over TLS: whom the command line trusts.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use tempfile::{TempDir, tempdir};

use crate::program::{Broker, Outcome, harrier, run};

/// An authority, and a broker whose certificate it signed.
struct Site {
    directory: TempDir,
    broker: Broker,
}

impl Site {
    fn new() -> Self {
        let directory = tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let issuer = authority();
        fs::write(path("ca.pem"), issuer.pem()).unwrap();
        fs::write(path("stranger.pem"), authority().pem()).unwrap();
        let mut params = CertificateParams::new(["broker.example".to_owned()]).unwrap();
        let here = SanType::IpAddress("127.0.0.1".parse().unwrap());
        params.subject_alt_names.push(here);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &*issuer).unwrap();
        fs::write(path("server.pem"), certificate.pem()).unwrap();
        fs::write(path("server.key"), key.serialize_pem()).unwrap();
        let (certificate, key) = (path("server.pem"), path("server.key"));
        let flags = [
            "--https",
            "127.0.0.1:0",
            "--ssl-options-certfile",
            certificate.to_str().unwrap(),
            "--ssl-options-keyfile",
            key.to_str().unwrap(),
        ];
        let broker = Broker::start_with(&path("data"), &flags);
        Self { directory, broker }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Asks it something by TLS.
    fn ask(&self, host: &str, more: &[&str]) -> Outcome {
        let https = self.broker.https.as_deref().unwrap();
        let url = format!("https://{}", https.replace("127.0.0.1", host));
        run(harrier(&["vhosts", "list", "--url", &url]).args(more))
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "Test authority");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[track_caller]
fn lists_vhosts(asked: &Outcome) {
    assert_eq!((asked.code, &*asked.stderr), (Some(0), ""));
    let listed: serde_json::Value = serde_json::from_str(&asked.stdout).unwrap();
    assert_eq!(listed[0]["name"], "/");
}

#[test]
fn a_broker_is_trusted_by_the_authority_named() {
    let site = Site::new();
    let (ca, stranger) = (site.path("ca.pem"), site.path("stranger.pem"));
    lists_vhosts(&site.ask("127.0.0.1", &["--ca-file", ca.to_str().unwrap()]));
    // Signed by somebody else, or called by a name that isn't in it.
    let refused = site.ask("127.0.0.1", &["--ca-file", stranger.to_str().unwrap()]);
    refused.fails(1, &["https://127.0.0.1", "--ca-file", "--insecure"]);
    let refused = site.ask("localhost", &["--ca-file", ca.to_str().unwrap()]);
    refused.fails(1, &["https://localhost", "by a name that is in it"]);
}

#[test]
fn insecure_takes_any_certificate() {
    let site = Site::new();
    lists_vhosts(&site.ask("127.0.0.1", &["--insecure"]));
    lists_vhosts(&site.ask("localhost", &["--insecure"]));
    // In a profile as well.
    let profiles = site.path("profiles.toml");
    let https = site.broker.https.as_deref().unwrap();
    let text = format!("[there]\nurl = \"https://{https}\"\ninsecure = true\n");
    fs::write(&profiles, text).unwrap();
    let mut command = harrier(&["vhosts", "list", "--profile", "there"]);
    lists_vhosts(&run(command.env("HARRIER_PROFILES", &profiles)));
}

#[test]
fn a_file_that_has_no_certificate_is_told() {
    let site = Site::new();
    let key = site.path("server.key");
    let refused = site.ask("127.0.0.1", &["--ca-file", key.to_str().unwrap()]);
    refused.fails(2, &["server.key", "has no certificate"]);
}
