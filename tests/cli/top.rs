//! What `harrier top` draws.

use harrier::cli::top::{Asked, Order, Snapshot, Subject, View, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

fn snapshot() -> Snapshot {
    Snapshot {
        overview: json!({
            "cluster_name": "shop@here", "product_name": "RabbitMQ", "product_version": "4.3.6",
            "object_totals": {"connections": 3, "channels": 4, "consumers": 2, "queues": 10000},
            "queue_totals": {"messages_ready": 12, "messages_unacknowledged": 1},
            "message_stats": {"publish_details": {"rate": 1500.0}, "deliver_get_details": {"rate": 20.4}},
        }),
        nodes: vec![json!({"mem_used": 1_048_576, "mem_limit": 2_097_152, "uptime": 60_000})],
        rows: vec![
            json!({"vhost": "/", "name": "orders\u{1b}[2J", "messages_ready": 12, "messages": 13,
                "message_stats": {"publish_details": {"rate": 1.5}}}),
            json!({"vhost": "/", "name": "failed", "state": "running", "messages_ready": 0}),
        ],
    }
}

fn view() -> View {
    View::new(snapshot(), Asked::new(None), "http://127.0.0.1:15672/api")
}

fn drawn(view: &View, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view)).unwrap();
    terminal.backend().to_string()
}

#[track_caller]
fn has(screen: &str, words: &[&str]) {
    for word in words {
        assert!(screen.contains(word), "no {word:?} in:\n{screen}");
    }
}

#[test]
fn it_shows_totals_rates_and_queues() {
    let screen = drawn(&view(), 120, 30);
    has(
        &screen,
        &[
            "shop@here",
            "RabbitMQ 4.3.6",
            "up 1m 0s",
            "queues 10000",
            "ready 12",
        ],
    );
    has(
        &screen,
        &[
            "published 1500/s",
            "delivered 20/s",
            "no alarms",
            "1.0 MiB of 2.0 MiB",
        ],
    );
    has(&screen, &["failed", "running", "TOTAL*", "q quit"]);
    // A name can't give the terminal orders.
    has(&screen, &["orders\\u{1b}[2J"]);
}

#[test]
fn alarms_and_trouble_are_told() {
    let mut alarmed = snapshot();
    alarmed.nodes[0]["disk_free_alarm"] = true.into();
    let mut view = view();
    view.take(Ok(alarmed));
    has(
        &drawn(&view, 120, 30),
        &["ALARM: disk; publishers are blocked"],
    );
    view.take(Err("nothing listens there".into()));
    // What was seen last stays.
    has(
        &drawn(&view, 120, 30),
        &["nothing listens there", "shop@here", "failed"],
    );
    view.take(Ok(snapshot()));
    has(&drawn(&view, 120, 30), &["no alarms", "q quit"]);
}

#[test]
fn keys_change_what_is_looked_at() {
    let mut view = view();
    assert_eq!(
        (view.subject(), view.order()),
        (Subject::Queues, Order::Total)
    );
    view.sort(Order::of('i').unwrap());
    has(&drawn(&view, 120, 30), &["IN/S*"]);
    view.scroll(5);
    has(&drawn(&view, 120, 30), &["from 2 of 2"]);
    view.scroll(isize::MIN);
    view.turn();
    has(&drawn(&view, 120, 30), &["CONNECTION", "connections"]);
    assert_eq!(Order::of('x'), None);
}

#[test]
fn a_pause_keeps_what_is_shown() {
    let mut view = view();
    view.pause();
    view.take(Ok(Snapshot::default()));
    has(&drawn(&view, 120, 30), &["PAUSED", "shop@here"]);
}

#[test]
fn it_can_be_drawn_at_any_size() {
    for (width, height) in [(1, 1), (10, 3), (40, 10), (300, 100)] {
        drawn(&view(), width, height);
    }
}
