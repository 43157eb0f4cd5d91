//! Logins with a token of OAuth 2, and secrets that nobody gets to see.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use harrier::wire::encode;
use harrier::wire::method::*;
use harrier::wire::parse::LongStr;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode as sign};
use rcgen::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;
use ureq::http::{Request, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use crate::broker::{Broker, eventually};
use crate::client::{CAPABILITIES, Client, Said, consume};
use crate::hosted::OPENED;
use crate::transport::Authority;

/// Whoever issues tokens.
struct Issuer {
    key: KeyPair,
    directory: TempDir,
}

impl Issuer {
    fn new() -> Self {
        let issuer = Self {
            key: KeyPair::generate().unwrap(),
            directory: tempfile::tempdir().unwrap(),
        };
        std::fs::write(issuer.file(), issuer.key.public_key_pem()).unwrap();
        issuer
    }

    fn file(&self) -> std::path::PathBuf {
        self.directory.path().join("public.pem")
    }

    /// A broker that knows this issuer's key.
    fn trusted(&self, more: &[&str]) -> Broker {
        let key = format!("one={}", self.file().display());
        let mut flags = vec![
            "--auth-oauth2-resource-server-id",
            "harrier",
            "--auth-oauth2-signing-keys",
            &key,
        ];
        flags.extend(more);
        Broker::with(&flags)
    }

    /// A token for an hour.
    fn token(&self, scope: &str) -> String {
        self.sign(json!({
            "sub": "ann",
            "aud": ["harrier", "others"],
            "exp": now() + 3600,
            "scope": scope,
        }))
    }

    fn sign(&self, claims: Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("one".into());
        let key = EncodingKey::from_ec_pem(self.key.serialize_pem().as_bytes()).unwrap();
        sign(&header, &claims, &key).unwrap()
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// What comes of a login with `token` for a password.
fn enter(broker: &Broker, token: &str) -> (Client, Said) {
    let mut client = Client::raw(broker.address);
    client.write(&encode::PROTOCOL_HEADER);
    assert_eq!(client.said(), Said::Other(0, (10, 10)));
    let response = format!("\0whoever\0{token}");
    client.start_ok(response.as_bytes(), CAPABILITIES);
    let said = match client.said() {
        Said::Other(0, (10, 30)) => client.tune_and_open("/"),
        refused => refused,
    };
    (client, said)
}

fn opened(broker: &Broker, token: &str) -> Client {
    let (mut client, said) = enter(broker, token);
    assert_eq!(said, OPENED);
    client.open_channel(1);
    client
}

const EVERYTHING: &str = "harrier.read:*/*/* harrier.write:*/*/* harrier.configure:*/*";

#[test]
fn a_token_permits_what_its_scopes_say() {
    let issuer = Issuer::new();
    let mut broker = issuer.trusted(&[]);
    opened(&broker, &issuer.token(EVERYTHING)).declare("secret");
    let scopes = "harrier.configure:%2F/mine* harrier.write:%2F/amq.topic/a.*";
    let mut ann = opened(&broker, &issuer.token(scopes));
    broker.logs(&["opened", "ann"]);
    ann.declare("mine.1");
    let get = BasicGet {
        queue: "secret",
        ..BasicGet::default()
    };
    let text = "ACCESS_REFUSED - read access to queue 'secret' in vhost '/' refused for user 'ann'";
    let refused = |text: &str| Said::ChannelClosed(1, 403, text.into());
    assert_eq!(ann.ask(1, get), refused(text));
    ann.send(1, ChannelCloseOk {});
    ann.open_channel(1);
    ann.put_publish(1, ("amq.topic", "a.b"), &[0, 0], b"");
    ann.put_publish(1, ("amq.topic", "b.a"), &[0, 0], b"");
    ann.flush();
    let text = "ACCESS_REFUSED - write access to topic 'b.a' in exchange 'amq.topic' in vhost '/' \
                refused for user 'ann'";
    assert_eq!(ann.said(), refused(text));
    let (_, said) = enter(&broker, &issuer.token("harrier.read:other/*"));
    let text = "NOT_ALLOWED - access to vhost '/' refused for user 'ann'";
    assert_eq!(said, Said::Closed(530, text.into()));
    // Passwords are good for what they always were.
    broker.client().declare("plain");
}

#[test]
fn tokens_that_cant_be_trusted_are_refused() {
    let issuer = Issuer::new();
    let mut broker = issuer.trusted(&["--auth-oauth2-issuer", "https://issuer.example"]);
    let fit = json!({
        "iss": "https://issuer.example/",
        "sub": "ann",
        "aud": "harrier",
        "exp": now() + 3600,
        "scope": EVERYTHING,
    });
    let with = |name: &str, value: Value| {
        let mut claims = fit.clone();
        claims[name] = value;
        claims
    };
    opened(&broker, &issuer.sign(fit.clone()));
    let good = issuer.sign(fit.clone());
    let mut parts: Vec<&str> = good.split('.').collect();
    let other = issuer.sign(with("sub", json!("bob")));
    parts[1] = other.split('.').nth(1).unwrap();
    for (token, why) in [
        (issuer.sign(with("exp", json!(now() - 1))), "expired"),
        (issuer.sign(with("exp", json!(null))), "when it expires"),
        (issuer.sign(with("aud", json!(["others"]))), "for others"),
        (
            issuer.sign(with("iss", json!("https://evil.example"))),
            "auth_oauth2.issuer",
        ),
        (
            issuer.sign(with("nbf", json!(now() + 3600))),
            "isn't valid yet",
        ),
        (Issuer::new().sign(fit.clone()), "signature is wrong"),
        (parts.join("."), "signature is wrong"),
        (unsigned(&fit), "no JSON Web Token"),
        (by_secret(&fit, &issuer.file()), "HS256"),
        ("eyJ.nonsense.".into(), "no JSON Web Token"),
    ] {
        let (_, said) = enter(&broker, &token);
        assert!(matches!(said, Said::Closed(403, _)), "{why}: {said:?}");
        broker.logs(&["the token isn't taken", why]);
    }
}

/// Signed by nobody, as `alg: none` has it.
fn unsigned(claims: &Value) -> String {
    use base64::Engine;
    let encode = |value: &Value| {
        base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(value.to_string().as_bytes())
    };
    format!(
        "{}.{}.",
        encode(&json!({ "alg": "none", "kid": "one" })),
        encode(claims)
    )
}

/// Signed with the public key for a shared secret.
fn by_secret(claims: &Value, public: &Path) -> String {
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("one".into());
    let secret = std::fs::read(public).unwrap();
    sign(&header, claims, &EncodingKey::from_secret(&secret)).unwrap()
}

#[test]
fn a_connection_lives_as_long_as_its_token_and_a_new_one_prolongs_it() {
    let issuer = Issuer::new();
    let broker = issuer.trusted(&[]);
    let claims = |sub: &str, exp: u64, scope: &str| {
        issuer.sign(json!({ "sub": sub, "aud": "harrier", "exp": exp, "scope": scope }))
    };
    let soon = claims("ann", now() + 4, EVERYTHING);
    let (mut left, mut renewed) = (opened(&broker, &soon), opened(&broker, &soon));
    renewed.declare("q");
    renewed.declare("hidden");
    renewed.send(1, consume("q", "kept"));
    assert_eq!(renewed.said(), Said::ConsumeOk(1, "kept".into()));
    renewed.send(1, consume("hidden", "lost"));
    assert_eq!(renewed.said(), Said::ConsumeOk(1, "lost".into()));
    let update = |secret: &str, client: &mut Client| {
        client.ask(
            0,
            ConnectionUpdateSecret {
                new_secret: LongStr(secret.as_bytes()),
                reason: "",
            },
        )
    };
    // Less than before: what it consumes and mustn't any more is cancelled.
    let longer = claims(
        "ann",
        now() + 3600,
        "harrier.read:*/q harrier.configure:*/q",
    );
    assert_eq!(update(&longer, &mut renewed), Said::Other(0, (10, 71)));
    assert_eq!(renewed.said(), Said::Cancel(1, "lost".into()));
    let said = left.said();
    let text = "CONNECTION_FORCED - credential expired";
    assert_eq!(said, Said::Closed(320, text.into()));
    renewed.declare("q");
    // Nobody becomes somebody else by it.
    let text = "NOT_ALLOWED - New secret was refused by one of the backends";
    for other in [claims("bob", now() + 3600, EVERYTHING), "no token".into()] {
        let mut ann = opened(&broker, &longer);
        assert_eq!(update(&other, &mut ann), Said::Closed(530, text.into()));
    }
}

#[test]
fn the_management_api_takes_tokens_over_tls() {
    let issuer = Issuer::new();
    let authority = Authority::new();
    let path = |name: &str| authority.path(name).to_str().unwrap().to_owned();
    let (certificate, key) = (path("server.pem"), path("server.key"));
    let broker = issuer.trusted(&[
        "--https",
        "127.0.0.1:0",
        "--ssl-options-certfile",
        &certificate,
        "--ssl-options-keyfile",
        &key,
    ]);
    let ca = std::fs::read(authority.path("ca.pem")).unwrap();
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::new_with_certs(&[
            Certificate::from_pem(&ca).unwrap()
        ]))
        .unversioned_rustls_crypto_provider(std::sync::Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .build();
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .tls_config(tls)
        .build()
        .into();
    let port = broker.https.unwrap().port();
    let ask = |path: &str, authorization: &str| -> Response<ureq::Body> {
        let request = Request::get(format!("https://localhost:{port}/api{path}"))
            .header("authorization", authorization);
        agent.run(request.body(()).unwrap()).unwrap()
    };
    let bearer = |scope: &str| format!("Bearer {}", issuer.token(scope));
    let mut answer = ask("/whoami", &bearer("harrier.tag:administrator"));
    assert_eq!(answer.status(), 200);
    let who: Value = serde_json::from_reader(answer.body_mut().as_reader()).unwrap();
    let expected = json!({ "name": "ann", "tags": ["administrator"], "is_internal_user": false });
    assert_eq!(who, expected);
    assert_eq!(ask("/whoami", &bearer("")).status(), 401);
    let vhosts = |scope| -> Vec<Value> {
        let mut answer = ask("/vhosts", &bearer(scope));
        serde_json::from_reader(answer.body_mut().as_reader()).unwrap()
    };
    assert!(vhosts("harrier.tag:management").is_empty());
    assert_eq!(vhosts("harrier.tag:management harrier.read:%2F/x").len(), 1);
    assert_eq!(ask("/whoami", "Bearer nonsense").status(), 401);
    // guest:guest
    assert_eq!(ask("/whoami", "Basic Z3Vlc3Q6Z3Vlc3Q=").status(), 200);
}

/// Whatever is logged, passwords and tokens aren't.
#[test]
fn no_secret_is_ever_logged() {
    let issuer = Issuer::new();
    let mut broker = issuer.trusted(&[
        "--log",
        "trace",
        "--default-pass",
        "swordfish-0",
        "--http",
        "127.0.0.1:0",
    ]);
    let token = issuer.token("harrier.tag:administrator harrier.read:*/*");
    let wrong = Issuer::new().token(EVERYTHING);
    opened(&broker, &token);
    for secret in ["swordfish-0", "swordfish-1", &wrong] {
        let mut client = Client::raw(broker.address);
        client.write(&encode::PROTOCOL_HEADER);
        client.said();
        client.start_ok(format!("\0guest\0{secret}").as_bytes(), CAPABILITIES);
        client.said();
    }
    let http = broker.http.unwrap();
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    for secret in [&token, &wrong] {
        let request = Request::put(format!("http://{http}/api/users/bob"))
            .header("authorization", format!("Bearer {secret}"))
            .header("content-type", "application/json");
        let body = r#"{"password":"swordfish-2","tags":""}"#;
        agent.run(request.body(body).unwrap()).unwrap();
    }
    broker.terminate();
    broker.exit();
    eventually("the log is whole", || {
        broker.log().iter().any(|line| line.contains("stopped"))
    });
    let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    let secrets = ["swordfish".into(), signature(&token), signature(&wrong)];
    let log = broker.log();
    assert!(log.iter().any(|line| line.contains("isn't taken")));
    for line in log {
        let told = secrets.iter().find(|secret| line.contains(&***secret));
        assert_eq!(told, None, "{line}");
    }
}
