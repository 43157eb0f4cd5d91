//! Parameters of a running broker: kept, told of, and gone with their virtual
//! host.

use harrier::base::limits::PARAMETER_BYTES_MAX;
use harrier::broker::parameters::{ParameterError, ParameterKey};
use harrier::broker::vhost::VhostSettings;
use harrier::server::shared::Shared;
use harrier::wire::FieldTable;

use crate::hosted::Hosted;

fn of(component: &str, vhost: &str, name: &str) -> ParameterKey {
    ParameterKey::Of {
        component: component.into(),
        vhost: vhost.into(),
        name: name.into(),
    }
}

fn global(name: &str) -> ParameterKey {
    ParameterKey::Global { name: name.into() }
}

/// Whether it was made, and whether anything was written.
#[track_caller]
fn set(shared: &Shared, key: &ParameterKey, value: &str) -> (bool, bool) {
    let told = FieldTable::new().into();
    let applied = shared
        .set_parameter(key.clone(), value, told, "ann")
        .unwrap();
    (applied.created, applied.batch.is_some())
}

/// Each key and value, as far as somebody would write them down.
fn all(shared: &Shared) -> Vec<String> {
    let all = shared.vhosts.parameters().all();
    let line = |key: &ParameterKey| match key {
        ParameterKey::Global { name } => name.to_string(),
        ParameterKey::Of {
            component,
            vhost,
            name,
        } => format!("{component} {vhost} {name}"),
    };
    all.iter()
        .map(|one| format!("{}: {}", line(&one.key), one.value))
        .collect()
}

#[test]
fn parameters_are_there_after_every_restart() {
    let directory = tempfile::tempdir().unwrap();
    let hosted = Hosted::on(directory.path());
    let long = "\u{e9}".repeat(PARAMETER_BYTES_MAX / 2);
    assert_eq!(
        set(&hosted.shared, &of("shovel", "/", "s"), "{\"a\": 1}"),
        (true, true)
    );
    assert_eq!(
        set(&hosted.shared, &of("shovel", "/", "gone"), "1"),
        (true, true)
    );
    assert_eq!(set(&hosted.shared, &global("s"), "[]"), (true, true));
    assert_eq!(set(&hosted.shared, &global("s"), "[1]"), (false, true));
    assert_eq!(set(&hosted.shared, &global("s"), "[1]"), (false, false));
    assert_eq!(set(&hosted.shared, &global("long"), &long), (true, true));
    let gone = of("shovel", "/", "gone");
    assert!(hosted.shared.clear_parameter(&gone, "ann").is_some());
    assert!(hosted.shared.clear_parameter(&gone, "ann").is_none());
    let expected = [
        format!("long: {long}"),
        "s: [1]".into(),
        "shovel / s: {\"a\": 1}".into(),
    ];
    assert_eq!(all(&hosted.shared), expected);
    drop(hosted);
    for _ in 0..2 {
        let hosted = Hosted::on(directory.path());
        assert_eq!(all(&hosted.shared), expected);
    }
}

#[test]
fn parameters_go_with_their_vhost_and_are_not_in_the_next_of_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let hosted = Hosted::on(directory.path());
    let shared = &hosted.shared;
    shared
        .put_vhost("v", VhostSettings::default(), "ann")
        .unwrap();
    set(shared, &of("shovel", "v", "s"), "{}");
    set(shared, &of("shovel", "/", "s"), "{}");
    shared.delete_vhost("v", "ann").unwrap();
    assert_eq!(all(shared), ["shovel / s: {}"]);
    shared
        .put_vhost("v", VhostSettings::default(), "ann")
        .unwrap();
    assert_eq!(all(shared), ["shovel / s: {}"]);
    drop(hosted);
    let hosted = Hosted::on(directory.path());
    assert_eq!(all(&hosted.shared), ["shovel / s: {}"]);
}

#[test]
fn what_no_parameter_can_be_is_refused() {
    let hosted = Hosted::start();
    let refused = |key: ParameterKey, value: &str| {
        let told = FieldTable::new().into();
        let done = hosted.shared.set_parameter(key, value, told, "ann");
        done.unwrap_err()
    };
    let nowhere = refused(of("shovel", "nowhere", "s"), "{}");
    assert_eq!(nowhere, ParameterError::NoSuchVhost("nowhere".into()));
    assert_eq!(
        refused(of("", "/", "s"), "{}"),
        ParameterError::BadName(String::new())
    );
    let name = "n".repeat(256);
    assert_eq!(refused(global(&name), "{}"), ParameterError::BadName(name));
    let long = "1".repeat(PARAMETER_BYTES_MAX + 1);
    assert_eq!(
        refused(global("n"), &long),
        ParameterError::TooLong(long.len())
    );
    assert_eq!(all(&hosted.shared), [] as [String; 0]);
}

#[test]
fn every_change_of_parameters_is_told() {
    let hosted = Hosted::start();
    let shared = &hosted.shared;
    let mut changes = shared.parameter_changes();
    let mut told = || {
        let changed = changes.has_changed().unwrap();
        changes.mark_unchanged();
        changed
    };
    assert!(!told());
    set(shared, &of("shovel", "/", "s"), "{}");
    assert!(told());
    set(shared, &of("shovel", "/", "s"), "{}");
    assert!(!told());
    shared.clear_parameter(&of("shovel", "/", "s"), "ann");
    assert!(told());
    shared
        .put_vhost("v", VhostSettings::default(), "ann")
        .unwrap();
    assert!(!told());
    shared.delete_vhost("v", "ann").unwrap();
    assert!(told());
}
