//! What is kept of how counters moved.

use std::time::Duration;

use harrier::base::ids::QueueId;
use harrier::management::rates::{Rates, Series, Span, Subject};
use serde_json::{Map, Value, json};

const SUBJECT: Subject = Subject::Queue(QueueId(1));
/// A time of a sweep; they are 5 s apart.
const START: u64 = 1_000_000_000;

fn details(rates: &Rates, span: Option<Span>) -> Value {
    let mut object = Map::new();
    rates.put(&mut object, &SUBJECT, 0, (&["publish"], &[7]), span);
    object.remove("publish_details").unwrap()
}

fn span(age: u64, step: u64) -> Option<Span> {
    Some(Span {
        age: Duration::from_secs(age),
        step: Duration::from_secs(step),
    })
}

fn sweep(rates: &Rates, number: u64, values: &[u64]) {
    rates.record(START + number * 5000, vec![(SUBJECT, values.to_vec())]);
}

#[test]
fn a_rate_is_that_of_the_last_interval() {
    let rates = Rates::default();
    sweep(&rates, 0, &[100]);
    // What was there before the first sweep came at no time.
    assert_eq!(details(&rates, None), json!({ "rate": 0.0 }));
    sweep(&rates, 1, &[150]);
    assert_eq!(details(&rates, None), json!({ "rate": 10.0 }));
    sweep(&rates, 2, &[150]);
    assert_eq!(details(&rates, None), json!({ "rate": 0.0 }));
    sweep(&rates, 3, &[140]);
    assert_eq!(details(&rates, None), json!({ "rate": -2.0 }));
}

#[test]
fn what_comes_later_has_moved_from_zero() {
    let rates = Rates::default();
    rates.record(START, Vec::new());
    sweep(&rates, 1, &[50]);
    assert_eq!(details(&rates, None), json!({ "rate": 10.0 }));
}

#[test]
fn samples_are_as_many_and_as_far_apart_as_asked() {
    let rates = Rates::default();
    sweep(&rates, 0, &[0]);
    for number in 1..=4 {
        sweep(&rates, number, &[number * 50]);
    }
    let details = details(&rates, span(20, 5));
    let latest = START + 20_000;
    let expected: Vec<_> = (0..5)
        .map(|back| json!({ "sample": 200 - back * 50, "timestamp": latest - back * 5000 }))
        .collect();
    assert_eq!(details["samples"], json!(expected));
    assert_eq!(details["avg_rate"], 10.0);
    assert_eq!(details["avg"], 100.0);
    assert_eq!(details["rate"], 10.0);
}

#[test]
fn an_object_that_never_moved_has_samples_and_no_history() {
    let rates = Rates::default();
    sweep(&rates, 0, &[0]);
    sweep(&rates, 1, &[0]);
    assert_eq!(rates.octets(), 0);
    let details = details(&rates, span(10, 5));
    assert_eq!(details["samples"][2]["sample"], 7);
}

#[test]
fn what_is_gone_is_forgotten() {
    let rates = Rates::default();
    sweep(&rates, 0, &[0]);
    sweep(&rates, 1, &[5]);
    assert!(rates.octets() > 0);
    rates.record(START + 10_000, Vec::new());
    assert_eq!(rates.octets(), 0);
}

/// Ten minutes at every sweep, an hour at every minute, and no more octets for
/// all the hours before.
#[test]
fn history_ends() {
    let rates = Rates::default();
    let mut most = 0;
    for number in 0..3000 {
        sweep(&rates, number, &[number * 1000]);
        most = most.max(rates.octets());
    }
    assert!(most < 4096, "{most}");
    let now = START + 2999 * 5000;
    let hour = details(&rates, span(3600, 60));
    let samples = hour["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 61);
    let rate = hour["avg_rate"].as_f64().unwrap();
    assert!((rate - 200.0).abs() < 10.0, "{rate}");
    assert!(samples[0]["timestamp"].as_u64().unwrap() <= now);
}

#[test]
fn a_series_tells_what_was_when() {
    let mut series = Series::new(0, 60_000, 0, &[5, 0]);
    series.record(1000, &[6, 0]);
    series.record(2000, &[6, u64::MAX]);
    series.record(3000, &[0, 1]);
    let times = || [3500, 3000, 2500, 1000, 999, 0].into_iter();
    let first: Vec<_> = series.at(0, times()).into_iter().map(|(_, v)| v).collect();
    assert_eq!(first, [0, 0, 6, 6, 5, 5]);
    let second: Vec<_> = series.at(1, times()).into_iter().map(|(_, v)| v).collect();
    assert_eq!(second, [1, 1, u64::MAX, 0, 0, 0]);
    series.trim(62_500, 0);
    let first: Vec<_> = series.at(0, times()).into_iter().map(|(_, v)| v).collect();
    assert_eq!(first, [0, 0, 6, 6, 6, 6]);
}

/// Whatever is asked for, the answer has a bound.
#[test]
fn too_many_samples_are_not_given() {
    use std::collections::HashMap;

    use harrier::management::query::Query;
    use harrier::management::rates::Ages;

    let query = |age: &str, step: &str| {
        let pairs = [("lengths_age", age), ("lengths_incr", step)];
        let pairs: HashMap<_, _> = pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        Ages::of(&Query(pairs)).lengths
    };
    assert_eq!(query("60", "0"), None);
    assert_eq!(query("x", "5"), None);
    assert_eq!(query("60", "5"), span(60, 5));
    let rates = Rates::default();
    sweep(&rates, 0, &[0]);
    for age in ["18446744073709551615", "86400"] {
        let details = details(&rates, query(age, "1"));
        assert!(details["samples"].as_array().unwrap().len() <= 1001);
    }
}
