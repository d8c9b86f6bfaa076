//! Edits a typed record: reads all members of a click, changes two, and writes all of them. What benchmarks measure.

use std::borrow::Cow;

use hydrant_guest::{Answer, Answered, Record};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize)]
struct Click<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    ts: u64,
    customer_id: u64,
    #[serde(borrow)]
    session_id: Cow<'a, str>,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    page: Cow<'a, str>,
    #[serde(rename = "ref", borrow)]
    referrer: Cow<'a, str>,
    #[serde(borrow)]
    sku: Cow<'a, str>,
    #[serde(borrow)]
    category: Cow<'a, str>,
    qty: u32,
    price: f64,
    #[serde(borrow)]
    currency: Cow<'a, str>,
    #[serde(borrow)]
    country: Cow<'a, str>,
    #[serde(borrow)]
    lang: Cow<'a, str>,
    #[serde(borrow)]
    ip: Cow<'a, str>,
    #[serde(borrow)]
    ab: Cow<'a, str>,
    bot: bool,
    duration_ms: u32,
    #[serde(borrow)]
    device: Device<'a>,
    #[serde(borrow)]
    ver: Cow<'a, str>,
}

#[derive(Deserialize, Serialize)]
struct Device<'a> {
    #[serde(borrow)]
    os: Cow<'a, str>,
    #[serde(borrow)]
    br: Cow<'a, str>,
    w: u32,
    mobile: bool,
}

fn edit(record: Record<'_>, answer: Answer<'_>) -> Result<Answered, serde_json::Error> {
    let mut click: Click<'_> = record.json()?;
    click.ip = Cow::Borrowed("0.0.0.0");
    click.bot = click.duration_ms < 25;
    answer.json(&click)
}

hydrant_guest::transform!(edit);
