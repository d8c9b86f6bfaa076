//! How the text of a value is read. Every function gives the typed value or the rule that was broken.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::LogFormat;

/// Bytes: a whole number, alone or with a unit (`10GiB`, `64MiB`, `500kB`, `1000000`).
///
/// # Errors
/// The rule. A unit without `B` is refused: nobody agrees whether `1G` is 10⁹ or 2³⁰.
pub fn size(text: &str) -> Result<u64, String> {
    let rule = || "must be a size: a whole number of bytes, or one with a unit such as 64MiB or 10GiB".to_owned();
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let count: u64 = digits.parse().map_err(|_| rule())?;
    let unit = unit.trim_start();
    let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(rule)?;
    count.checked_mul(*factor).ok_or_else(|| "must be less than 16EiB".to_owned())
}

pub(super) fn size_within(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<u64, String> {
    move |text| {
        let bytes = size(text)?;
        if range.contains(&bytes) {
            return Ok(bytes);
        }
        let (least, most) = (show_size(*range.start()), show_size(*range.end()));
        Err(if *range.end() == u64::MAX {
            format!("must be at least {least}")
        } else {
            format!("must be {least} to {most}")
        })
    }
}

pub(super) fn memory_within(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<usize, String> {
    let parse = size_within(range);
    move |text| usize::try_from(parse(text)?).map_err(|_| "is more than this machine can address".to_owned())
}

/// A size as one would write it: in the largest unit that divides it.
pub(super) fn show_size(bytes: u64) -> String {
    let binary = UNITS.iter().rev().filter(|(name, _)| name.contains('i'));
    let unit = binary.into_iter().find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    unit.map_or_else(|| bytes.to_string(), |(name, factor)| format!("{}{name}", bytes / factor))
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:")
        && let Ok(port) = port.parse()
    {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse().map_err(|_| "must be an address and a port, such as 127.0.0.1:4573 or [::1]:4573".to_owned())
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("must name a path".to_owned()) } else { Ok(PathBuf::from(text)) }
}

pub(super) fn url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !host.starts_with('/') => Ok(text.to_owned()),
        _ => Err("must be a URL such as http://127.0.0.1:3001".to_owned()),
    }
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if seconds <= MAX_SECONDS => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("must be a whole number of seconds, 0 to {MAX_SECONDS}")),
    }
}

pub(super) fn region(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.is_empty() && text.len() <= 64 && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err("must be 1 to 64 lower-case letters, digits and hyphens, such as us-east-1".to_owned())
}

pub(super) fn account(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err("must be 12 digits".to_owned())
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be text or json".to_owned()),
    }
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("is no log filter such as info,hydrant::delivery=debug: {error}")),
    }
}

/// By value, so that the largest that divides comes last.
const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("kB", 1000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

/// A day: longer than any orchestrator waits.
const MAX_SECONDS: u64 = 86_400;
