//! Edits a typed record: reads all members of a click, changes two, and writes all of them. What benchmarks measure.
//!
//! Its strings are `&str`, which lie in the record: one with an escape in a string fails. `Cow<str>` takes those, too, and costs more.

use hydrant_guest::{Answer, Answered, Record};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize)]
struct Click<'a> {
    id: &'a str,
    ts: u64,
    customer_id: u64,
    session_id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    page: &'a str,
    #[serde(rename = "ref")]
    referrer: &'a str,
    sku: &'a str,
    category: &'a str,
    qty: u32,
    price: f64,
    currency: &'a str,
    country: &'a str,
    lang: &'a str,
    ip: &'a str,
    ab: &'a str,
    bot: bool,
    duration_ms: u32,
    device: Device<'a>,
    ver: &'a str,
}

#[derive(Deserialize, Serialize)]
struct Device<'a> {
    os: &'a str,
    br: &'a str,
    w: u32,
    mobile: bool,
}

fn edit(record: Record<'_>, answer: Answer<'_>) -> Result<Answered, serde_json::Error> {
    let mut click: Click<'_> = record.json()?;
    click.ip = "0.0.0.0";
    click.bot = click.duration_ms < 25;
    answer.json(&click)
}

hydrant_guest::transform!(edit);
