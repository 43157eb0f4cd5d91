//! How a [`View`] looks.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Row, Sparkline, Table};
use serde_json::Value;

use super::snapshot::{Order, Subject, View};
use crate::cli::fields::{at, bytes, per_second, span, text};
use crate::cli::table::{colours_wanted, harmless};

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, view: &View) {
    let [head, charts, rows, foot] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(6),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(heading(view)), head);
    let [left, right] = Layout::horizontal([Constraint::Fill(1); 2]).areas(charts);
    chart(frame, left, "published", &view.published, Color::Green);
    chart(frame, right, "delivered", &view.delivered, Color::Cyan);
    match view.subject() {
        Subject::Queues => queues(frame, rows, view),
        Subject::Connections => connections(frame, rows, view),
    }
    frame.render_widget(Paragraph::new(footing(view)), foot);
}

fn coloured(colour: Color) -> Style {
    if colours_wanted() {
        Style::new().fg(colour)
    } else {
        Style::new()
    }
}

fn heading(view: &View) -> Vec<Line<'_>> {
    let now = &view.snapshot;
    let of = |field| harmless(&text(at(&now.overview, field)));
    let node = now.nodes.first().unwrap_or(&Value::Null);
    let number = |field| at(node, field).as_f64();
    let size = |field| number(field).map_or_else(|| "?".into(), bytes);
    let alarms = now.alarms();
    let alarm = if alarms.is_empty() {
        Span::raw("no alarms")
    } else {
        let what = format!("ALARM: {}; publishers are blocked", alarms.join(", "));
        Span::styled(what, coloured(Color::Red)).bold()
    };
    vec![
        Line::from(vec![
            Span::raw(of("cluster_name")).bold(),
            Span::raw(format!(
                "  {} {}  up {}  {}",
                of("product_name"),
                of("product_version"),
                number("uptime").map_or_else(|| "?".into(), span),
                view.address(),
            )),
        ]),
        Line::raw(format!(
            "connections {}  channels {}  consumers {}  queues {}  ready {}  unacked {}",
            of("object_totals.connections"),
            of("object_totals.channels"),
            of("object_totals.consumers"),
            of("object_totals.queues"),
            of("queue_totals.messages_ready"),
            of("queue_totals.messages_unacknowledged"),
        )),
        Line::raw(format!(
            "memory {} of {}  disk free {}  files {}",
            size("mem_used"),
            size("mem_limit"),
            size("disk_free"),
            text(at(node, "fd_used")),
        )),
        Line::from(alarm),
    ]
}

fn chart(frame: &mut Frame<'_>, area: Rect, what: &str, history: &VecDeque<u64>, colour: Color) {
    let rate = history.back().copied().unwrap_or(0);
    let top = history.iter().max().copied().unwrap_or(0);
    let title = format!(" {what} {rate}/s, at most {top}/s ");
    let seen = history
        .len()
        .saturating_sub(area.width.saturating_sub(2).into());
    let block = Block::bordered().title(title);
    let line = Sparkline::default()
        .block(block)
        .style(coloured(colour))
        .data(history.iter().skip(seen).copied());
    frame.render_widget(line, area);
}

fn queues(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let titles = [
        ("VHOST", None),
        ("QUEUE", Some(Order::Name)),
        ("TYPE", None),
        ("STATE", None),
        ("READY", Some(Order::Ready)),
        ("UNACKED", Some(Order::Unacked)),
        ("TOTAL", Some(Order::Total)),
        ("CONS", None),
        ("IN/S", Some(Order::In)),
        ("OUT/S", Some(Order::Out)),
    ];
    let titles = titles.map(|(title, order)| {
        let chosen = order == Some(view.order());
        if chosen {
            format!("{title}*")
        } else {
            title.to_owned()
        }
    });
    let widths = [
        Constraint::Max(12),
        Constraint::Fill(1),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(6),
        Constraint::Length(8),
        Constraint::Length(8),
    ];
    let row = |queue: &Value| {
        let of = |field| harmless(&text(at(queue, field)));
        let right = |field, width| format!("{:>width$}", of(field));
        let rate = |field| {
            let rate = at(queue, field).as_f64().unwrap_or(0.0);
            format!("{:>7}", per_second(rate))
        };
        Row::new([
            of("vhost"),
            of("name"),
            of("type"),
            of("state"),
            right("messages_ready", 8),
            right("messages_unacknowledged", 8),
            right("messages", 8),
            right("consumers", 5),
            rate("message_stats.publish_details.rate"),
            rate("message_stats.deliver_get_details.rate"),
        ])
    };
    rows(frame, area, view, "queues", Row::new(titles), widths, row);
}

fn connections(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let titles = [
        "CONNECTION",
        "CLIENT",
        "USER",
        "VHOST",
        "STATE",
        "CHANNELS",
        "IN/S",
        "OUT/S",
    ];
    let widths = [
        Constraint::Fill(2),
        Constraint::Fill(1),
        Constraint::Max(14),
        Constraint::Max(12),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(10),
        Constraint::Length(10),
    ];
    let row = |connection: &Value| {
        let of = |field| harmless(&text(at(connection, field)));
        let rate = |field| bytes(at(connection, field).as_f64().unwrap_or(0.0));
        Row::new([
            of("name"),
            of("user_provided_name"),
            of("user"),
            of("vhost"),
            of("state"),
            of("channels"),
            rate("recv_oct_details.rate"),
            rate("send_oct_details.rate"),
        ])
    };
    rows(
        frame,
        area,
        view,
        "connections",
        Row::new(titles),
        widths,
        row,
    );
}

fn rows<'a, const N: usize>(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &'a View,
    what: &str,
    titles: Row<'a>,
    widths: [Constraint; N],
    row: impl Fn(&'a Value) -> Row<'a>,
) {
    let all = &view.snapshot.rows;
    let title = match view.skipped {
        0 => format!(" {what} "),
        skipped => format!(" {what} from {} of {} ", skipped + 1, all.len()),
    };
    let table = Table::new(all.iter().skip(view.skipped).map(row), widths)
        .header(titles.bold())
        .block(Block::bordered().title(title));
    frame.render_widget(table, area);
}

fn footing(view: &View) -> Line<'_> {
    if let Some(why) = &view.trouble {
        return Line::styled(harmless(why), coloured(Color::Red));
    }
    let paused = if view.paused { "PAUSED  " } else { "" };
    Line::raw(format!(
        "{paused}q quit  Tab queues/connections  r u t i o n sort  arrows scroll  p pause"
    ))
}
