//! What Prometheus is told.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::Broker;

/// The page at `path`, which guest may read.
#[track_caller]
fn page(broker: &Broker, path: &str) -> String {
    let headers = [("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=")];
    let answer = broker.send("GET", path, &headers, "");
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.header("content-type"), kind);
    answer.body
}

/// The samples of a page, each with its labels. Checks on the way that every name
/// is said to be something, once, before its first sample.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let (mut typed, mut samples) = (BTreeSet::new(), BTreeMap::new());
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(typed.insert(name.to_owned()), "{name} twice");
            let kinds = ["counter", "gauge", "histogram", "summary"];
            assert!(kinds.contains(&kind), "{line}");
            assert!(kind != "counter" || name.ends_with("_total"), "{line}");
        } else if !line.starts_with("# HELP ") {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let name = sample.split('{').next().unwrap();
            let parts = ["_bucket", "_sum", "_count"];
            let family = parts.iter().find_map(|part| name.strip_suffix(part));
            let is_typed = typed.contains(name) || family.is_some_and(|f| typed.contains(f));
            assert!(is_typed, "{line}");
            let before = samples.insert(sample.to_owned(), value.parse().unwrap());
            assert_eq!(before, None, "{sample} twice");
        }
    }
    samples
}

fn with_queues() -> Broker {
    let broker = Broker::start();
    let queues = r#"{"vhosts":[{"name":"v"}],"queues":[
        {"name":"q","vhost":"/","durable":true,"auto_delete":false,"arguments":{}},
        {"name":"a\"b","vhost":"v","durable":true,"auto_delete":false,
         "arguments":{"x-queue-type":"quorum"}}]}"#;
    broker.post("/definitions", queues).is(204, "");
    broker
}

#[test]
fn the_sums_have_all_that_rabbitmqs_dashboard_asks_for() {
    let broker = with_queues();
    let samples = samples(&page(&broker, "/metrics"));
    let named: BTreeSet<_> = samples
        .keys()
        .map(|one| one.split('{').next().unwrap())
        .collect();
    for name in "build_info identity_info channels channels_opened_total channels_closed_total \
                 connections connections_opened_total connections_closed_total \
                 disk_space_available_bytes disk_space_available_limit_bytes \
                 erlang_uptime_seconds global_consumers global_publishers \
                 global_messages_acknowledged_total global_messages_confirmed_total \
                 global_messages_delivered_total \
                 global_messages_delivered_consume_auto_ack_total \
                 global_messages_delivered_consume_manual_ack_total \
                 global_messages_delivered_get_auto_ack_total \
                 global_messages_delivered_get_manual_ack_total global_messages_get_empty_total \
                 global_messages_received_total global_messages_received_confirm_total \
                 global_messages_redelivered_total global_messages_routed_total \
                 global_messages_unroutable_dropped_total \
                 global_messages_unroutable_returned_total process_max_fds process_open_fds \
                 process_resident_memory_bytes resident_memory_limit_bytes queue_messages_ready \
                 queue_messages_unacked queues queues_created_total queues_declared_total \
                 queues_deleted_total"
        .split_whitespace()
    {
        assert!(named.contains(&*format!("rabbitmq_{name}")), "{name}");
    }
    assert_eq!(samples["rabbitmq_queues"], 2.0);
    assert_eq!(samples["rabbitmq_alarms_memory_used_watermark"], 0.0);
    assert!(named.contains("harrier_confirm_latency_seconds_bucket"));
    assert!(samples["harrier_store_sync_seconds_count"] > 0.0);
}

#[test]
fn a_page_says_which_node_and_what_page_it_is() {
    let broker = Broker::start();
    for (path, endpoint) in [
        ("/metrics", "aggregated"),
        ("/metrics/per-object", "per-object"),
        ("/metrics/detailed", "detailed"),
        ("/metrics/memory-breakdown", "memory-breakdown"),
    ] {
        let samples = samples(&page(&broker, path));
        let identity = samples
            .keys()
            .find(|one| one.starts_with("rabbitmq_identity_info{"));
        let identity = identity.unwrap();
        for label in [
            "rabbitmq_node=\"harrier@",
            "rabbitmq_cluster=\"",
            "rabbitmq_cluster_permanent_id=\"",
        ] {
            assert!(identity.contains(label), "{identity}");
        }
        assert!(
            identity.contains(&format!("rabbitmq_endpoint=\"{endpoint}\"")),
            "{identity}"
        );
    }
}

#[test]
fn each_queue_is_told_of_by_itself_where_that_is_asked_for() {
    let broker = with_queues();
    let each = samples(&page(&broker, "/metrics/per-object"));
    let odd = r#"rabbitmq_queue_messages_ready{vhost="v",queue="a\"b"}"#;
    assert_eq!(each[odd], 0.0);
    let age = r#"harrier_queue_oldest_message_age_seconds{vhost="/",queue="q"}"#;
    assert_eq!(each[age], 0.0);
    let path =
        "/metrics/detailed?family=queue_coarse_metrics&family=queue_consumer_count&vhost=%2F";
    let some = samples(&page(&broker, path));
    assert_eq!(
        some[r#"rabbitmq_detailed_queue_consumers{vhost="/",queue="q"}"#],
        0.0
    );
    assert!(!some.keys().any(|one| one.contains("vhost=\"v\"")));
    assert!(!some.keys().any(|one| one.contains("delivered")));
    let path = "/metrics/detailed?family=harrier_queue_metrics&queue=q&vhost=v&vhost=%2F";
    let own = samples(&page(&broker, path));
    let lag = r#"harrier_detailed_queue_consumer_lag_messages{vhost="/",queue="q"}"#;
    assert_eq!(own[lag], 0.0);
    assert!(!own.keys().any(|one| one.contains("a\\\"b")));
    let cluster = samples(&page(
        &broker,
        "/metrics/detailed?family=vhost_status&family=exchange_bindings",
    ));
    assert_eq!(cluster[r#"rabbitmq_cluster_vhost_status{vhost="v"}"#], 1.0);
}

#[test]
fn beside_the_management_api_metrics_are_for_those_who_may_see_everything() {
    let broker = Broker::start();
    broker.user("viewer", &["management"]);
    broker.user("monitor", &["monitoring"]);
    for (path, token, status) in [
        ("/metrics", "", 401),
        ("/metrics", "dmlld2VyOnZpZXdlcg==", 401),
        ("/metrics/per-object", "dmlld2VyOnZpZXdlcg==", 401),
        ("/metrics/detailed", "dmlld2VyOnZpZXdlcg==", 401),
        ("/metrics", "bW9uaXRvcjptb25pdG9y", 200),
    ] {
        let authorization = format!("Basic {token}");
        let headers = [("authorization", &*authorization)];
        let headers = if token.is_empty() {
            &[][..]
        } else {
            &headers[..]
        };
        let answer = broker.send("GET", path, headers, "");
        assert_eq!(answer.status, status, "{path} {token}");
    }
}

#[test]
fn logins_are_counted_by_protocol_and_source() {
    let broker = Broker::start();
    let node = broker.json("/overview")["node"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/auth/attempts/{node}");
    broker.delete(&path).is(204, "");
    broker.ask("nobody", "GET", "/whoami", "");
    let rows = broker.json(&path);
    assert_eq!(rows[0]["protocol"], "http");
    assert_eq!(rows[0]["auth_attempts_failed"], 1);
    assert_eq!(rows[0]["auth_attempts_succeeded"], 1);
    let sources = broker.json(&format!("{path}/source"));
    let nobody = sources
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["username"] == "nobody");
    assert_eq!(nobody.unwrap()["remote_address"], "127.0.0.1");
    assert_eq!(nobody.unwrap()["auth_attempts_failed"], 1);
    assert_eq!(broker.get("/auth/attempts/elsewhere").status, 404);
    let samples = samples(&page(&broker, "/metrics"));
    let failed = "rabbitmq_auth_attempts_failed_total{protocol=\"http\"}";
    assert_eq!(samples[failed], 1.0);
    assert_eq!(
        samples["rabbitmq_auth_attempts_total{protocol=\"amqp091\"}"],
        0.0
    );
}

#[test]
fn who_names_open_metrics_is_given_that() {
    let broker = with_queues();
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2,*/*;q=0.1";
    let headers = [
        ("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q="),
        ("accept", accept),
    ];
    for path in [
        "/metrics",
        "/metrics/per-object",
        "/metrics/detailed?family=queue_metrics",
        "/metrics/memory-breakdown",
    ] {
        let answer = broker.send("GET", path, &headers, "");
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(answer.header("content-type"), kind, "{path}");
        let (body, end) = answer.body.rsplit_once('#').unwrap();
        assert_eq!(end, " EOF\n", "{path}");
        let mut counters = BTreeSet::new();
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                assert!(!rest.contains("_total "), "{path}: {line}");
                counters.extend(rest.strip_suffix(" counter"));
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                let counted = name.strip_suffix("_total");
                assert!(counted.is_none_or(|name| counters.contains(name)), "{line}");
                assert!(!counters.contains(name), "{line}");
            }
        }
    }
}

#[test]
fn a_page_tells_what_those_before_it_cost() {
    let broker = Broker::start();
    let first = page(&broker, "/metrics");
    page(&broker, "/metrics/memory-breakdown");
    let told = samples(&page(&broker, "/metrics"));
    let kind = "content_type=\"text/plain; version=0.0.4; charset=utf-8\"";
    let of = |name: &str, labels: &str| told[&format!("telemetry_scrape_{name}{{{labels}}}")];
    let default = format!("registry=\"default\",{kind}");
    assert_eq!(of("duration_seconds_count", &default), 1.0);
    assert!(of("duration_seconds_sum", &default) >= 0.0);
    assert_eq!(of("size_bytes_sum", &default), first.len() as f64);
    let encoded = format!("{default},encoding=\"identity\"");
    assert_eq!(of("encoded_size_bytes_sum", &encoded), first.len() as f64);
    let memory = format!("registry=\"memory-breakdown\",{kind}");
    assert_eq!(of("size_bytes_count", &memory), 1.0);
}
