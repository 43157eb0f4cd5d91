//! What `harrier store check` prints.

use serde_json::{Value, json};

use super::{Directory, Queue, Segment};
use crate::cli::format::Format;

/// What is wrong in a directory and what that means, a line each.
pub(super) fn problems(found: &Directory) -> Vec<String> {
    let mut problems = Vec::new();
    for number in &found.missing {
        problems.push(format!(
            "segment {number} of the log is missing: messages that were in it are lost, and \
             messages before it whose acknowledgement was in it come back"
        ));
    }
    for segment in &found.segments {
        let name = &segment.name;
        if segment.header_damaged {
            problems.push(format!(
                "{name} has a damaged header: what can be read behind it is used all the same"
            ));
        }
        for (offset, octets) in &segment.damaged {
            problems.push(format!(
                "{name} has {octets} octets at {offset} that can't be read: messages in them are \
                 lost, and messages whose acknowledgement is in them come back"
            ));
        }
    }
    if let Some(what) = &found.database {
        problems.push(format!(
            "the database is damaged ({what}): a broker sets it aside as sled.*.damaged and makes \
             it again from the log, which has all of it"
        ));
    }
    problems
}

pub(super) fn render(found: &Directory, problems: &[String], format: Format) -> String {
    match format {
        Format::Json => json(found, problems).to_string(),
        Format::Table => table(found),
    }
}

fn json(found: &Directory, problems: &[String]) -> Value {
    let segment = |segment: &Segment| {
        let damaged = segment.damaged.iter();
        let damaged = damaged.map(|(offset, octets)| json!({"offset": offset, "bytes": octets}));
        json!({
            "name": segment.name,
            "bytes": segment.size,
            "header": !segment.header_damaged,
            "frames": segment.frames,
            "records": segment.records,
            "live_messages": segment.live,
            "damaged": damaged.collect::<Vec<_>>(),
            "torn_at": segment.torn,
        })
    };
    let queue = |queue: &Queue| {
        json!({
            "vhost": queue.vhost,
            "name": queue.name,
            "messages": queue.messages,
            "bytes": queue.bytes,
        })
    };
    json!({
        "damaged": !problems.is_empty(),
        "problems": problems,
        "segments": found.segments.iter().map(segment).collect::<Vec<_>>(),
        "missing_segments": found.missing,
        "database": found.database,
        "vhosts": found.vhosts,
        "users": found.users,
        "parameters": found.parameters,
        "queues": found.queues.iter().map(queue).collect::<Vec<_>>(),
    })
}

fn table(found: &Directory) -> String {
    let segment = |segment: &Segment| {
        vec![
            segment.name.clone(),
            segment.size.to_string(),
            segment.frames.to_string(),
            segment.records.to_string(),
            segment.live.to_string(),
            state(segment),
        ]
    };
    let queue = |queue: &Queue| {
        vec![
            queue.name.clone(),
            queue.messages.to_string(),
            queue.bytes.to_string(),
            queue.vhost.clone(),
        ]
    };
    let segments = found.segments.iter().map(segment).collect();
    let queues = found.queues.iter().map(queue).collect();
    format!(
        "{}\n\n{}\n\ndatabase    {}\nvhosts      {}\nusers       {}\nparameters  {}",
        columns(
            &["segment", "bytes", "frames", "records", "live", "state"],
            segments
        ),
        columns(&["queue", "messages", "bytes", "vhost"], queues),
        if found.database.is_some() {
            "damaged"
        } else {
            "ok"
        },
        found.vhosts,
        found.users,
        found.parameters,
    )
}

fn state(segment: &Segment) -> String {
    if segment.header_damaged || !segment.damaged.is_empty() {
        return "damaged".into();
    }
    match segment.torn {
        // What was never confirmed isn't missed.
        Some(at) => format!("ok, a write was cut off at {at}"),
        None => "ok".into(),
    }
}

/// Rows under their names: text to the left, numbers to the right.
fn columns(names: &[&str], rows: Vec<Vec<String>>) -> String {
    let head = names.iter().map(|name| (*name).to_owned()).collect();
    let rows: Vec<Vec<String>> = [head].into_iter().chain(rows).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<_> = (0..names.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let last = row.len().saturating_sub(1);
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ if column == last => cell.clone(),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
