//! What records of each stream look like, and what must become of them: told from the stream and a record's number alone.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

/// Streams that the load goes to.
pub(super) const STREAMS: [&str; 11] =
    ["small", "zipped", "os", "large", "parted", "clicks", "grown", "orc", "packed", "shelved", "sorted"];
/// Of these, source records are backed up.
pub(super) const BACKED_UP: [&str; 2] = ["parted", "clicks"];

/// What must become of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It lies in an object under this prefix.
    Delivered(String),
    /// It lies in the error output under this prefix.
    Failed(String),
    /// A verdict dropped it: it lies nowhere.
    Dropped,
}

/// The record of a stream with a number, as it is put.
pub(super) fn bytes(stream: &str, id: &str, number: u64, padding: usize) -> Vec<u8> {
    let record = record(stream, id, number, padding);
    match fate(stream, number) {
        Fate::Failed(output) if output.contains("/decompression") => record.into_bytes(),
        _ if stream == "packed" => {
            let envelope = json!({ "messageType": "DATA_MESSAGE", "logEvents": [{ "message": record }] });
            let mut packing = GzEncoder::new(Vec::new(), Compression::fast());
            packing.write_all(envelope.to_string().as_bytes()).expect("memory");
            packing.finish().expect("memory")
        }
        _ => record.into_bytes(),
    }
}

/// What the record of a stream with a number says: one line.
pub(super) fn record(stream: &str, id: &str, number: u64, padding: usize) -> String {
    let line = format!("{id} {} {id}", "x".repeat(padding));
    let document = match stream {
        "parted" => {
            let partition =
                if matches!(fate(stream, number), Fate::Failed(_)) { "..".into() } else { partition(number) };
            json!({ "p": partition, "line": line })
        }
        "clicks" => click(id, number, &line),
        "packed" => {
            let verdict = match fate(stream, number) {
                Fate::Dropped => "Dropped",
                Fate::Failed(_) => "ProcessingFailed",
                Fate::Delivered(_) => "Ok",
            };
            json!({ "verdict": verdict, "line": line })
        }
        "grown" | "sorted" => match fate(stream, number) {
            // Neither one object nor one behind the other.
            Fate::Failed(_) => return format!("[{}]\n", json!({ "id": id, "line": line })),
            _ => json!({ "id": id, "line": line, column(number): number }),
        },
        "orc" | "shelved" => {
            let whole = matches!(fate(stream, number), Fate::Delivered(_));
            let told = if whole { json!(number) } else { json!("oops") };
            let shelf = (stream == "shelved").then(|| partition(number));
            json!({ "id": id, "line": line, "n": told, "tags": [id, shelf] })
        }
        _ => return format!("{line}\n"),
    };
    format!("{document}\n")
}

fn click(id: &str, number: u64, line: &str) -> serde_json::Value {
    let mut click = json!({
        "id": id, "page": format!("/{}/{number}", section(number)), "country": country(number), "n": number, "line": line,
    });
    match fate("clicks", number) {
        Fate::Dropped => click["country"] = json!(""),
        Fate::Failed(output) if output.contains("/processing") => click["page"] = json!(null),
        Fate::Failed(output) if output.contains("/partitioning") => click["country"] = json!(".."),
        Fate::Failed(_) => click["n"] = json!({ "no": "number" }),
        Fate::Delivered(_) => {}
    }
    click
}

/// What must become of a record of a stream.
pub(super) fn fate(stream: &str, number: u64) -> Fate {
    let failed = |output: &str| Fate::Failed(format!("errors/{stream}/{output}/"));
    match stream {
        "parted" if number.is_multiple_of(11) => failed("partitioning-failed"),
        "parted" => Fate::Delivered(format!("parted/{}/", partition(number))),
        "clicks" | "packed" if number.is_multiple_of(11) => Fate::Dropped,
        "clicks" | "packed" if number.is_multiple_of(13) => failed("processing-failed"),
        "clicks" if number.is_multiple_of(17) => failed("partitioning-failed"),
        "clicks" if number.is_multiple_of(19) => failed("format-conversion-failed"),
        "clicks" => Fate::Delivered(format!("clicks/{}/{}/", country(number), section(number))),
        "packed" if number.is_multiple_of(17) => failed("decompression-failed"),
        // A list has no members to ask for.
        "sorted" if number.is_multiple_of(11) => failed("metadata-extraction-failed"),
        "grown" | "orc" | "shelved" if number.is_multiple_of(11) => failed("format-conversion-failed"),
        "shelved" => Fate::Delivered(format!("shelved/{}/", partition(number))),
        "sorted" => Fate::Delivered("sorted/object/".to_owned()),
        _ => Fate::Delivered(format!("{stream}/")),
    }
}

fn partition(number: u64) -> String {
    format!("p{}", number % 7)
}

fn country(number: u64) -> &'static str {
    if number.is_multiple_of(2) { "DE" } else { "FR" }
}

fn section(number: u64) -> String {
    format!("s{}", number % 3)
}

/// The column that a record of `grown` or `sorted` brings: every so many records a new one.
pub(super) fn column(number: u64) -> String {
    format!("column_{}", number / 300)
}
