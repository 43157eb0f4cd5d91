//! Who may do what.

use std::sync::Arc;

use harrier::broker::access::{
    Access, AccessError, Grants, PasswordHash, Permission, Permissions, TopicPermission, UserLimits,
};
use harrier::broker::change::Change;
use harrier::broker::store::{NullStore, Store};
use harrier::broker::vhost::VhostSettings;

use crate::support::{nobody, with_users};

use Permission::{Configure, Read, Write};

fn grants(access: &Arc<Access>, user: &str) -> Grants {
    access.grants(&user.into(), &"/".into())
}

fn permit(access: &Access, user: &str, configure: &str, write: &str, read: &str) {
    let permissions = Permissions::new(configure, write, read).unwrap();
    access.set_permissions(user, "/", permissions).unwrap();
}

fn permit_topic(access: &Access, user: &str, exchange: &str, write: &str, read: &str) {
    let permission = TopicPermission::new(exchange, write, read).unwrap();
    access.set_topic_permission(user, "/", permission).unwrap();
}

#[test]
fn each_permission_has_its_own_pattern() {
    let (access, _) = with_users(&["ann"]);
    permit(&access, "ann", "^c", "^w", "^r");
    let mut ann = grants(&access, "ann");
    assert!(ann.allow_queue(Configure, "c1"));
    assert!(!ann.allow_queue(Configure, "w1"));
    assert!(ann.allow_queue(Write, "w1"));
    assert!(!ann.allow_queue(Write, "r1"));
    assert!(ann.allow_queue(Read, "r1"));
    assert!(!ann.allow_queue(Read, "c1"));
}

#[test]
fn refusals_name_permission_resource_and_user() {
    let (access, _) = with_users(&["ann"]);
    permit(&access, "ann", "", "", "");
    let mut ann = grants(&access, "ann");
    assert_eq!(
        ann.check_queue(Read, "q").unwrap_err().text(),
        "ACCESS_REFUSED - read access to queue 'q' in vhost '/' refused for user 'ann'"
    );
    assert_eq!(
        ann.check_exchange(Write, "").unwrap_err().text(),
        "ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' refused for user \
         'ann'"
    );
    assert_eq!(
        ann.check_any_on_queue("q").unwrap_err().text(),
        "ACCESS_REFUSED - configure access to queue 'q' in vhost '/' refused for user 'ann'"
    );
    assert_eq!(
        ann.check_any_on_exchange("x").unwrap_err().text(),
        "ACCESS_REFUSED - configure access to exchange 'x' in vhost '/' refused for user 'ann'"
    );
}

#[test]
fn any_permission_is_enough_where_any_is_asked_for() {
    let (access, _) = with_users(&["ann"]);
    permit(&access, "ann", "^c$", "^w$", "^r$");
    let mut ann = grants(&access, "ann");
    for name in ["c", "w", "r"] {
        assert_eq!(ann.check_any_on_queue(name), Ok(()));
        assert_eq!(ann.check_any_on_exchange(name), Ok(()));
    }
    assert!(ann.check_any_on_queue("x").is_err());
}

#[test]
fn a_change_is_seen_with_the_next_question() {
    let (access, _) = with_users(&["ann"]);
    let mut ann = grants(&access, "ann");
    assert!(!ann.may_enter());
    permit(&access, "ann", ".*", ".*", ".*");
    assert!(ann.may_enter());
    assert!(ann.allow_queue(Read, "q"));
    let before = ann.generation();
    permit(&access, "ann", ".*", ".*", "^other$");
    assert_ne!(ann.generation(), before);
    assert!(!ann.allow_queue(Read, "q"));
    assert!(access.clear_permissions("ann", "/").is_some());
    assert!(access.clear_permissions("ann", "/").is_none());
    assert!(!ann.may_enter());
}

#[test]
fn a_deleted_user_may_do_nothing_and_comes_back_with_nothing() {
    let (access, _) = with_users(&["ann"]);
    permit(&access, "ann", ".*", ".*", ".*");
    permit_topic(&access, "ann", "x", ".*", ".*");
    let mut ann = grants(&access, "ann");
    access.delete_user("ann").unwrap();
    assert!(!ann.may_enter());
    assert_eq!(access.authenticate("ann", b"ann"), None);
    let gone = Err(AccessError::NoSuchUser("ann".into()));
    assert_eq!(access.delete_user("ann"), gone);
    let password = PasswordHash::of(b"ann", [0; 4]);
    access.put_user("ann", password, Vec::new()).unwrap();
    assert!(!ann.may_enter());
    assert!(access.topic_permissions().is_empty());
}

#[test]
fn permissions_in_a_deleted_virtual_host_are_forgotten() {
    let (access, _) = with_users(&["ann"]);
    permit(&access, "ann", ".*", ".*", ".*");
    let other = Permissions::new(".*", ".*", ".*").unwrap();
    access.set_permissions("ann", "other", other).unwrap();
    let mut ann = grants(&access, "ann");
    assert!(ann.may_enter());
    access.forget_vhost("/");
    assert!(!ann.may_enter());
    assert_eq!(access.permissions().len(), 1);
}

#[test]
fn topics_are_open_until_somebody_says_otherwise() {
    let (access, _) = with_users(&["ann"]);
    permit(&access, "ann", ".*", ".*", ".*");
    let mut ann = grants(&access, "ann");
    assert!(!ann.restrict_topics("x"));
    assert_eq!(ann.check_topic(Write, "x", b"any.thing"), Ok(()));
    permit_topic(&access, "ann", "x", r"^w\.", r"^r\.");
    assert!(ann.restrict_topics("x"));
    assert!(!ann.restrict_topics("y"));
    assert_eq!(ann.check_topic(Write, "x", b"w.1"), Ok(()));
    assert_eq!(ann.check_topic(Read, "x", b"r.1"), Ok(()));
    assert_eq!(ann.check_topic(Write, "y", b"any"), Ok(()));
    assert_eq!(
        ann.check_topic(Write, "x", b"r.1").unwrap_err().text(),
        "ACCESS_REFUSED - write access to topic 'r.1' in exchange 'x' in vhost '/' refused for \
         user 'ann'"
    );
    let cleared = access.clear_topic_permissions("ann", "/", Some("x"));
    assert!(cleared.is_some());
    assert!(!ann.restrict_topics("x"));
}

#[test]
fn an_empty_topic_permission_is_for_the_empty_key() {
    let (access, _) = with_users(&["ann"]);
    permit(&access, "ann", ".*", ".*", ".*");
    permit_topic(&access, "ann", "x", "", ".*");
    let mut ann = grants(&access, "ann");
    assert!(ann.check_topic(Write, "x", b"").is_ok());
    assert!(ann.check_topic(Write, "x", b"k").is_err());
}

#[test]
fn names_in_topic_permissions_stand_for_themselves_only() {
    let (access, _) = with_users(&["a.n", "abn"]);
    for user in ["a.n", "abn"] {
        permit(&access, user, ".*", ".*", ".*");
        permit_topic(
            &access,
            user,
            "x",
            r"^{username}\.{vhost}$",
            r"^{client_id}$",
        );
    }
    let mut dotted = grants(&access, "a.n");
    assert!(dotted.check_topic(Write, "x", b"a.n./").is_ok());
    assert!(dotted.check_topic(Write, "x", b"abn./").is_err());
    assert!(dotted.check_topic(Read, "x", b"{client_id}").is_ok());
    assert!(dotted.check_topic(Read, "x", b"anything").is_err());
    let mut plain = grants(&access, "abn");
    assert!(plain.check_topic(Write, "x", b"abn./").is_ok());
}

#[test]
fn what_is_so_already_is_written_nowhere() {
    let (access, log) = with_users(&["ann"]);
    permit(&access, "ann", "a", "b", "c");
    permit_topic(&access, "ann", "x", "a", "b");
    let limits = UserLimits {
        max_connections: Some(3),
        max_channels: None,
    };
    access.set_user_limits("ann", limits).unwrap();
    assert_eq!(log.take().len(), 3);
    let generation = access.generation();
    permit(&access, "ann", "a", "b", "c");
    permit_topic(&access, "ann", "x", "a", "b");
    let again = access.set_user_limits("ann", limits).unwrap();
    assert_eq!(again.batch, None);
    let password = access.user("ann").unwrap().password.clone();
    let again = access.put_user("ann", password, Vec::new()).unwrap();
    assert!(!again.created);
    assert_eq!(log.take(), []);
    assert_eq!(access.generation(), generation);
}

#[test]
fn what_was_written_leads_to_the_same_rules() {
    let (access, log) = nobody();
    let password = || PasswordHash::of(b"secret", [1, 2, 3, 4]);
    for user in ["ann", "bob", "eve"] {
        access
            .put_user(user, password(), vec!["monitoring".into()])
            .unwrap();
        permit(&access, user, "^a", "^b", "^c");
        permit_topic(&access, user, "x", "a", "b");
        permit_topic(&access, user, "y", "a", "b");
    }
    access.delete_user("eve").unwrap();
    access.clear_permissions("bob", "/");
    access.clear_topic_permissions("bob", "/", None);
    access.clear_topic_permissions("ann", "/", Some("y"));
    let mut changes = log.take();
    // A log may be replayed over what is there already.
    changes.extend(changes.clone());
    let store: Arc<dyn Store> = Arc::new(NullStore::default());
    let again = Access::restore(store, &changes);
    assert_eq!(again.users(), access.users());
    assert_eq!(again.permissions(), access.permissions());
    assert_eq!(again.topic_permissions(), access.topic_permissions());
    assert_eq!(again.topic_permissions().len(), 1);
    assert!(again.authenticate("bob", b"secret").is_some());
    assert!(again.authenticate("eve", b"secret").is_none());
}

#[test]
fn the_first_user_is_written_with_its_permissions_or_not_at_all() {
    let (access, log) = nobody();
    let password = PasswordHash::of(b"guest", [1, 2, 3, 4]);
    access
        .put_first_user("guest", password, ("/", VhostSettings::default()))
        .unwrap();
    let written = log.take();
    assert!(matches!(
        &written[..],
        [
            Change::UserSet { .. },
            Change::PermissionsSet { .. },
            Change::VhostSet { .. }
        ]
    ));
    let guest = access.authenticate("guest", b"guest").unwrap();
    assert!(guest.has_tag("administrator"));
    assert!(grants(&access, "guest").may_enter());
}

#[test]
fn new_tags_take_effect_and_limits_stay() {
    let (access, _) = with_users(&["ann"]);
    permit(&access, "ann", ".*", ".*", ".*");
    let limits = UserLimits {
        max_connections: Some(1),
        max_channels: Some(-1),
    };
    access.set_user_limits("ann", limits).unwrap();
    let mut ann = grants(&access, "ann");
    assert!(!ann.may_impersonate());
    let password = access.user("ann").unwrap().password.clone();
    let tags = vec!["impersonator".into()];
    access.put_user("ann", password, tags).unwrap();
    assert!(ann.may_impersonate());
    assert_eq!(access.user("ann").unwrap().limits, limits);
}

#[test]
fn nobody_can_be_called_nothing() {
    let (access, _) = nobody();
    for name in ["", &"x".repeat(256)] {
        let refused = access.put_user(name, PasswordHash::none(), Vec::new());
        assert_eq!(refused, Err(AccessError::BadName(name.into())));
    }
}

#[test]
fn limits_have_the_names_rabbitmq_has() {
    let mut limits = UserLimits::default();
    limits.set("max-connections", Some(5)).unwrap();
    limits.set("max-channels", Some(-1)).unwrap();
    assert_eq!(limits.max_connections, Some(5));
    let refused = limits.set("foo", Some(1)).unwrap_err().to_string();
    assert_eq!(
        refused,
        "Unrecognised terms [{<<\"foo\">>,1}] in user-limits"
    );
}
