//! Streams as text.

use std::fmt::Write as _;
use std::mem;

use jiff::Timestamp;
use serde_json::Value;

use super::{Cursor, Schema, Stream};
use crate::cli::show::{bytes, counted, one_line, seconds};

/// A line for each cursor, then what needs attention.
pub(super) fn overview(streams: &[Stream]) -> String {
    if streams.is_empty() {
        return "no delivery streams".to_owned();
    }
    let mut rows = vec![HEADINGS.map(str::to_owned).to_vec()];
    for stream in streams {
        // A stream is named once, on its first line, and has one even without cursors.
        let mut row = vec![stream.name.clone(), status(stream), stream.version.to_string()];
        for cursor in &stream.cursors {
            row.extend(cursor_columns(cursor));
            rows.push(mem::replace(&mut row, vec![String::new(); 3]));
        }
        if stream.cursors.is_empty() {
            rows.push(row);
        }
    }
    let mut text = aligned(&rows);
    for notice in streams.iter().flat_map(notices) {
        _ = writeln!(text, "{notice}");
    }
    text
}

/// One stream, a fact a line, then the columns of its rows.
pub(super) fn detail(stream: &Stream) -> String {
    let budget = format!("{} of {}", bytes(stream.log_bytes), bytes(stream.disk_budget_bytes));
    let mut facts = vec![
        vec![stream.name.clone(), status(stream)],
        vec!["version".to_owned(), stream.version.to_string()],
        vec!["disk".to_owned(), budget],
    ];
    for cursor in &stream.cursors {
        let mut fact = |name: &str, value: String| facts.push(vec![format!("{} {name}", cursor.name), value]);
        fact("goes to", cursor.destination.clone());
        fact("waiting", waiting(cursor));
        fact("oldest", age(cursor.oldest_age_seconds));
        fact("delivered", delivered(cursor));
        if let Some(error) = &cursor.last_error {
            let (code, message) = (one_line(&error.code, 100), one_line(&error.message, 500));
            fact("last error", format!("{code}: {message} ({})", one_line(&when(&error.at), 40)));
        }
        if let Some(retry) = cursor.next_retry_seconds {
            fact("next retry", format!("in {}", seconds(retry)));
        }
    }
    let mut text = aligned(&facts);
    text.extend(stream.schema.as_ref().map(columns));
    for notice in notices(stream) {
        _ = writeln!(text, "{notice}");
    }
    text
}

/// The table that records become rows of, a column a line: names and struct fields may be those of the records.
fn columns(schema: &Schema) -> String {
    let count = counted(schema.columns.len() as u64, "column");
    let row = |name: &str, hive_type: &str| vec![format!("  {}", one_line(name, 60)), one_line(hive_type, 1000)];
    let rows: Vec<_> = schema.columns.iter().map(|column| row(&column.name, &column.hive_type)).collect();
    format!("rows have {count} (schema {}):\n{}", one_line(&schema.id, 64), aligned(&rows))
}

fn cursor_columns(cursor: &Cursor) -> [String; 7] {
    [
        cursor.name.clone(),
        cursor.destination.clone(),
        waiting(cursor),
        age(cursor.oldest_age_seconds),
        cursor.last_error.as_ref().map_or_else(none, |error| one_line(&error.code, 40)),
        cursor.next_retry_seconds.map_or_else(none, |retry| format!("in {}", seconds(retry))),
        delivered(cursor),
    ]
}

/// What a reader should act on, a sentence each.
fn notices(stream: &Stream) -> Vec<String> {
    let mut notices = Vec::new();
    for cursor in stream.cursors.iter().filter(|cursor| cursor.parked > 0) {
        let (name, parked) = (&stream.name, counted(cursor.parked, "object"));
        notices.push(format!("{name}: {parked} of cursor {} refused by the destination, held aside", cursor.name));
    }
    if stream.quarantined_bytes > 0 {
        let (name, damaged) = (&stream.name, bytes(stream.quarantined_bytes));
        notices.push(format!("{name}: {damaged} of its log were damaged and are in quarantine"));
    }
    notices
}

fn status(stream: &Stream) -> String {
    if stream.paused { format!("{}, paused", stream.status) } else { stream.status.clone() }
}

fn waiting(cursor: &Cursor) -> String {
    if cursor.waiting_records == 0 && cursor.waiting_bytes == 0 {
        return none();
    }
    format!("{}, {}", counted(cursor.waiting_records, "record"), bytes(cursor.waiting_bytes))
}

fn delivered(cursor: &Cursor) -> String {
    if cursor.delivered_objects == 0 && cursor.delivered_records == 0 {
        return none();
    }
    let (records, objects) = (counted(cursor.delivered_records, "record"), counted(cursor.delivered_objects, "object"));
    format!("{records}, {}, {objects}", bytes(cursor.delivered_bytes))
}

fn age(age: Option<f64>) -> String {
    age.map_or_else(none, seconds)
}

/// A time as the service said it; milliseconds since the Unix epoch as a date.
fn when(at: &Value) -> String {
    let date = at.as_i64().and_then(|ms| Timestamp::from_millisecond(ms).ok()).map(|at| at.to_string());
    date.or_else(|| at.as_str().map(str::to_owned)).unwrap_or_else(|| at.to_string())
}

fn none() -> String {
    "-".to_owned()
}

/// Columns as wide as their widest cell; nothing at the end of a line.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

const HEADINGS: [&str; 10] = [
    "STREAM",
    "STATUS",
    "VERSION",
    "CURSOR",
    "DESTINATION",
    "WAITING",
    "OLDEST",
    "LAST ERROR",
    "NEXT RETRY",
    "DELIVERED",
];

#[cfg(test)]
mod tests;
