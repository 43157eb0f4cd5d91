//! What the claims of a token say.

use harrier::base::oauth2::OAuth2Options;
use harrier::broker::access::Permission::{Read, Write};
use harrier::server::oauth2::{BadClaims, Claims};
use serde_json::{Value, json};

fn read(claims: Value, options: &OAuth2Options) -> Result<Claims, BadClaims> {
    Claims::read(&claims, options, "harrier")
}

/// The claims with what every token has.
fn with(more: Value) -> Value {
    let mut claims = json!({ "exp": 2_000_000_000, "sub": "ann" });
    let both = claims.as_object_mut().unwrap();
    both.extend(more.as_object().unwrap().clone());
    claims
}

#[test]
fn scopes_of_others_are_left_alone() {
    let options = OAuth2Options::default();
    let scope = "openid other.read:v/* harrier.read:v/q read:v/x harrier.tag:monitoring";
    let claims = read(with(json!({ "scope": scope })), &options).unwrap();
    assert!(claims.scopes.allow(Read, "v", "q"));
    assert!(!claims.scopes.allow(Read, "v", "x"));
    assert_eq!(claims.scopes.tags().len(), 1);
    assert_eq!(claims.expires, 2_000_000_000);
    let list = json!({ "scope": ["harrier.read:v/q", 7, "harrier.write:v/q"] });
    let claims = read(with(list), &options).unwrap();
    assert!(claims.scopes.allow(Read, "v", "q") && claims.scopes.allow(Write, "v", "q"));
    let prefixed = OAuth2Options {
        scope_prefix: Some("api://".into()),
        ..OAuth2Options::default()
    };
    let scope = json!({ "scope": "api://read:v/q harrier.write:v/q" });
    let claims = read(with(scope), &prefixed).unwrap();
    assert!(claims.scopes.allow(Read, "v", "q") && !claims.scopes.allow(Write, "v", "q"));
}

#[test]
fn scopes_are_found_where_issuers_put_them() {
    let options = OAuth2Options {
        additional_scopes_key: vec!["roles".into(), "realm.access.roles".into(), "by".into()],
        ..OAuth2Options::default()
    };
    for found in [
        json!({ "roles": ["harrier.read:v/q"] }),
        json!({ "roles": "harrier.read:v/q others" }),
        json!({ "realm": { "access": { "roles": ["harrier.read:v/q"] } } }),
        json!({ "realm": { "access": [{ "roles": "x" }, { "roles": "harrier.read:v/q" }] } }),
        json!({ "by": { "harrier": ["read:v/q"], "others": ["read:v/x"] } }),
        json!({ "authorization": { "permissions": [{ "scopes": ["harrier.read:v/q"] }] } }),
    ] {
        let claims = read(with(found.clone()), &options).unwrap();
        assert!(claims.scopes.allow(Read, "v", "q"), "{found}");
        assert!(!claims.scopes.allow(Read, "v", "x"), "{found}");
    }
}

#[test]
fn an_alias_stands_for_other_scopes() {
    let aliases = [(
        "admin".to_owned(),
        vec![
            "harrier.tag:administrator".to_owned(),
            "harrier.read:*/*".to_owned(),
        ],
    )];
    let options = OAuth2Options {
        scope_aliases: aliases.into(),
        ..OAuth2Options::default()
    };
    let claims = read(with(json!({ "scope": "admin" })), &options).unwrap();
    assert!(claims.scopes.allow(Read, "/", "q"));
    assert_eq!(&*claims.scopes.tags()[0], "administrator");
}

#[test]
fn the_user_is_whoever_the_first_claim_says_that_is_there() {
    let preferring = OAuth2Options {
        preferred_username_claims: vec!["user_name".into(), "email".into()],
        ..OAuth2Options::default()
    };
    for (claims, options, user) in [
        (json!({}), &preferring, "ann"),
        (
            json!({ "email": "ann@example.org" }),
            &preferring,
            "ann@example.org",
        ),
        (
            json!({ "email": "x", "user_name": "bob" }),
            &preferring,
            "bob",
        ),
        (json!({ "user_name": 7 }), &preferring, "ann"),
        (
            json!({ "sub": null, "client_id": "app" }),
            &preferring,
            "app",
        ),
        (json!({ "sub": null }), &preferring, "unknown"),
    ] {
        assert_eq!(read(with(claims), options).unwrap().user, user);
    }
    let long = with(json!({ "sub": "x".repeat(256) }));
    assert_eq!(read(long, &preferring), Err(BadClaims::Username));
}

#[test]
fn a_token_says_when_it_expires() {
    let options = OAuth2Options::default();
    for exp in [json!(null), json!("2000000000"), json!(-1)] {
        let bad = read(with(json!({ "exp": exp })), &options);
        assert_eq!(bad, Err(BadClaims::NoExpiry), "{exp}");
    }
    let claims = read(with(json!({ "exp": 2_000_000_000.9 })), &options);
    assert_eq!(claims.unwrap().expires, 2_000_000_000);
}

#[test]
fn scopes_without_end_are_refused() {
    let options = OAuth2Options::default();
    let scopes = |n: usize| -> Vec<_> { (0..n).map(|i| format!("harrier.read:v/{i}")).collect() };
    assert!(read(with(json!({ "scope": scopes(2048) })), &options).is_ok());
    let bad = read(with(json!({ "scope": scopes(2049) })), &options);
    assert_eq!(bad, Err(BadClaims::TooManyScopes));
}
