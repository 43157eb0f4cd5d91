//! Lists: filters, order, pages, columns.

use std::collections::{BTreeSet, HashMap};

use harrier::management::listing::Listing;
use harrier::management::query::Query;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::client::{Client, PERSISTENT};

/// What a query makes of some queues.
fn list(query: &str) -> Result<Value, (u16, Value)> {
    list_of(
        &[
            json!({ "name": "Beta", "messages": 3, "arguments": { "x-max-length": 5, "k": true } }),
            json!({ "name": "alpha", "messages": 20, "arguments": {} }),
            json!({ "name": "gamma", "messages": 1, "idle": null, "parts": [{ "a": 1, "b": 2 }] }),
        ],
        query,
    )
}

/// What a query makes of rows that are there as a whole.
fn list_of(rows: &[Value], query: &str) -> Result<Value, (u16, Value)> {
    let pairs: HashMap<_, _> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let listing = Listing::of(&Query(pairs));
    let listed =
        listing.and_then(|listing| listing.list(rows.to_vec(), called, |row, _| row.clone()));
    listed.map_err(|error| (error.status.as_u16(), error.reason))
}

/// Its name; of a binding, its source.
fn called(row: &Value) -> &str {
    let name = row.get("name").or(row.get("source"));
    name.unwrap().as_str().unwrap()
}

fn names(query: &str) -> Vec<String> {
    let listed = list(query).unwrap();
    let items = listed.get("items").unwrap_or(&listed);
    let rows = items.as_array().unwrap();
    rows.iter().map(|row| called(row).to_owned()).collect()
}

#[test]
fn without_a_page_a_list_is_an_array_of_all() {
    assert_eq!(names(""), ["Beta", "alpha", "gamma"]);
    assert!(list("name=zzz&page_size=1").unwrap().is_array());
}

#[test]
fn a_page_says_what_it_is_a_page_of() {
    let page = list("page=2&page_size=2&columns=name").unwrap();
    let expected = json!({
        "filtered_count": 3, "item_count": 1, "total_count": 3,
        "page": 2, "page_count": 2, "page_size": 2, "items": [{ "name": "gamma" }],
    });
    assert_eq!(page, expected);
    let empty = list("page=1&name=zzz").unwrap();
    let counts = [
        &empty["page_count"],
        &empty["filtered_count"],
        &empty["total_count"],
    ];
    assert_eq!(counts, [&json!(0), &json!(0), &json!(3)]);
}

#[test]
fn names_are_found_whatever_their_case() {
    assert_eq!(names("page=1&name=a"), ["Beta", "alpha", "gamma"]);
    assert_eq!(names("page=1&name=ET"), ["Beta"]);
    assert_eq!(names("page=1&name=^b&use_regex=true"), ["Beta"]);
    assert_eq!(
        names("page=1&name=^(a|g)&use_regex=true"),
        ["alpha", "gamma"]
    );
    // As a text it is nowhere, as a pattern it is none.
    assert_eq!(names("page=1&name=("), [""; 0]);
    assert_eq!(names("page=1&name=(&use_regex=true"), [""; 0]);
}

#[test]
fn rows_are_sorted_by_any_column() {
    assert_eq!(names("sort=messages"), ["gamma", "Beta", "alpha"]);
    assert_eq!(
        names("sort=messages&sort_reverse=true"),
        ["alpha", "Beta", "gamma"]
    );
    assert_eq!(
        names("sort=arguments.x-max-length"),
        ["alpha", "gamma", "Beta"]
    );
    assert_eq!(names("sort_reverse=true"), ["gamma", "alpha", "Beta"]);
    assert_eq!(names("sort=messages&page=2&page_size=1"), ["Beta"]);
    // Nothing comes before what isn't a number, as 0 does.
    assert_eq!(names("sort=idle"), ["Beta", "alpha", "gamma"]);
}

#[test]
fn rows_that_are_alike_stay_in_the_order_of_their_names() {
    let row = |name: &str, rate: f64| {
        let stats = json!({ "publish_details": { "rate": rate } });
        json!({ "name": name, "durable": true, "message_stats": stats })
    };
    let rows = [row("a", 2.0), row("b", 0.5), row("c", 2.0), row("d", 0.5)];
    let names = |query: &str| {
        let listed = list_of(&rows, query).unwrap();
        let rows = listed.as_array().unwrap().iter();
        rows.map(|row| called(row).to_owned()).collect::<String>()
    };
    assert_eq!(names("sort=durable"), "abcd");
    assert_eq!(names("sort=durable&sort_reverse=true"), "dcba");
    assert_eq!(names("sort=nothing.at.all"), "abcd");
    let by_rate = "sort=message_stats.publish_details.rate";
    assert_eq!(names(by_rate), "bdac");
    assert_eq!(names(&format!("{by_rate}&sort_reverse=true")), "cadb");
}

/// Every way into the rows, and one that none of them has.
fn columns(rows: &[Value]) -> BTreeSet<String> {
    fn walk(value: &Value, at: &str, columns: &mut BTreeSet<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let column = match at {
                "" => key.clone(),
                _ => format!("{at}.{key}"),
            };
            walk(value, &column, columns);
            columns.insert(column);
        }
    }
    let mut columns = BTreeSet::from(["nothing.at.all".to_owned()]);
    rows.iter().for_each(|row| walk(row, "", &mut columns));
    columns
}

/// Without what comes by itself after a while.
fn settled(mut listed: Value) -> Value {
    let page = listed.get_mut("items").map(Value::take);
    let rows = page.unwrap_or(listed);
    let rows = rows.as_array().unwrap().iter().map(|row| {
        let mut row = row.as_object().unwrap().clone();
        row.remove("idle_since");
        Value::from(row)
    });
    rows.collect()
}

#[test]
fn a_row_looks_the_same_however_little_of_it_is_wanted() {
    let broker = Broker::start();
    let queue = r#"{"arguments":{"x-queue-type":"quorum","x-max-length":9},"durable":true}"#;
    broker.put("/queues/%2F/b", queue).is(201, "");
    broker
        .put("/queues/%2F/a", r#"{"auto_delete":true}"#)
        .is(201, "");
    broker.put(
        "/policies/%2F/p",
        r#"{"pattern":"^a","definition":{"expires":600000}}"#,
    );
    let bind = r#"{"routing_key":"k","arguments":{"n":1}}"#;
    broker.post("/bindings/%2F/e/amq.topic/q/b", bind);
    let mut client = Client::connect(broker.amqp);
    client.open_channel(1);
    client.consume(1, "a", "c");
    client.publish(1, ("amq.topic", "k"), PERSISTENT, b"one");
    client.publish(1, ("", "b"), PERSISTENT, b"two");
    client.qos(1, 3);
    for path in [
        "/queues",
        "/queues/detailed",
        "/queues/%2F?disable_stats=true&enable_queue_totals=true",
        "/exchanges",
        "/bindings",
        "/connections",
        "/channels",
    ] {
        let whole = settled(broker.json(path));
        let rows = whole.as_array().unwrap();
        assert!(!rows.is_empty(), "{path}");
        for column in columns(rows) {
            for query in [
                format!("columns={column}"),
                format!("sort={column}"),
                format!(
                    "page=1&page_size=3&sort={column}&sort_reverse=true&columns=vhost,{column}"
                ),
            ] {
                let expected = settled(list_of(rows, &query).unwrap());
                let join = if path.contains('?') { '&' } else { '?' };
                let asked = format!("{path}{join}{query}");
                assert_eq!(settled(broker.json(&asked)), expected, "{asked}");
            }
        }
    }
}

#[test]
fn columns_reach_into_objects_and_lists() {
    let listed = list("columns=arguments.x-max-length,parts.b").unwrap();
    let expected = json!([
        { "arguments": { "x-max-length": 5 } },
        { "arguments": {} },
        { "parts": [{ "b": 2 }] },
    ]);
    assert_eq!(listed, expected);
}

#[test]
fn pages_that_make_no_sense_are_refused() {
    let invalid = |page, size| {
        let text = format!("Invalid pagination parameters: page number {page}, page size {size}");
        Err((400, json!(text)))
    };
    assert_eq!(list("page=0"), invalid("0", "undefined"));
    assert_eq!(list("page=-1"), invalid("-1", "undefined"));
    assert_eq!(list("page=1&page_size=501"), invalid("1", "501"));
    assert_eq!(list("page=1&page_size=0"), invalid("1", "0"));
    let text = "Pagination parameters are invalid";
    assert_eq!(list("page=a"), Err((400, json!(text))));
    assert_eq!(list("page=1&page_size="), Err((400, json!(text))));
    let text = "Page out of range, page: 9 page size: 100, len: 3";
    assert_eq!(list("page=9"), Err((400, json!(text))));
    let huge = "Page out of range, page: 9223372036854775807 page size: 500, len: 3";
    let query = "page=9223372036854775807&page_size=500";
    assert_eq!(list(query), Err((400, json!(huge))));
}
