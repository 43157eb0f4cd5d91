//! Who may ask.

use serde_json::json;

use crate::broker::Broker;

const NOT_FOUND: &str = r#"{"error":"Object Not Found","reason":"Not Found"}"#;

#[test]
fn whoever_has_no_credentials_is_asked_for_them() {
    let broker = Broker::start();
    let answer = broker.send("GET", "/api/whoami", &[], "");
    answer.is(401, "");
    let wanted = answer.header("www-authenticate");
    assert_eq!(wanted, "Basic realm=\"RabbitMQ Management\"");
}

#[test]
fn a_wrong_password_is_refused() {
    let broker = Broker::start();
    let refused = r#"{"error":"not_authorized","reason":"Not_Authorized"}"#;
    for user in ["nobody", "", "Guest"] {
        broker.ask(user, "GET", "/whoami", "").is(401, refused);
    }
    for header in ["Basic", "Basic !", "Basic Z3Vlc3Q=", "Bearer x", "Digest x"] {
        let headers = [("authorization", header)];
        let answer = broker.send("GET", "/api/whoami", &headers, "");
        answer.is(401, refused);
    }
}

#[test]
fn tags_say_what_a_user_may() {
    let broker = Broker::start();
    let refused = |role: &str| {
        let reason = format!("Not {role} user");
        json!({ "error": "not_authorised", "reason": reason }).to_string()
    };
    broker.user("none", &[]);
    for path in ["/whoami", "/overview", "/vhosts"] {
        let answer = broker.ask("none", "GET", path, "");
        answer.is(401, &refused("management"));
    }
    for tag in ["management", "policymaker", "monitoring"] {
        broker.user(tag, &[tag]);
        let answer = broker.ask(tag, "GET", "/whoami", "");
        let expected = json!({ "name": tag, "tags": [tag], "is_internal_user": true });
        assert_eq!(answer.json(), expected);
        let answer = broker.ask(tag, "GET", "/vhosts/%2F", "");
        answer.is(401, &refused("administrator"));
    }
}

#[test]
fn vhosts_that_a_user_may_not_enter_are_not_seen() {
    let broker = Broker::start();
    broker.user("viewer", &["management"]);
    broker.user("monitor", &["monitoring"]);
    let seen = |user: &str| {
        let answer = broker.ask(user, "GET", "/vhosts?columns=name", "");
        answer.json()
    };
    assert_eq!(seen("viewer"), json!([]));
    assert_eq!(seen("monitor"), json!([{ "name": "/" }]));
    broker.permit("viewer", "/", ["^$", "^$", "^$"]);
    assert_eq!(seen("viewer"), json!([{ "name": "/" }]));
}

#[test]
fn routes_are_told_from_what_is_not_there_before_anybody_is_asked() {
    let broker = Broker::start();
    broker
        .send("GET", "/api/nothing", &[], "")
        .is(404, NOT_FOUND);
    broker.send("POST", "/api/whoami", &[], "").is(405, "");
    broker.get("/vhosts/nothing").is(404, NOT_FOUND);
}
