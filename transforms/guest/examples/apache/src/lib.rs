//! Turns lines of Apache's access log, common or combined, into JSON, as AWS's blueprint for it does.
//!
//! ```text
//! 127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://example.com/" "Mozilla/4.08"
//! ```
//!
//! A record may end with a line feed. What Apache shows as `-` is left out.

use std::borrow::Cow;

use hydrant_guest::{Answer, Answered, Record};
use serde::Serialize;

#[derive(Debug, PartialEq, Serialize)]
struct Hit<'a> {
    host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ident: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authuser: Option<&'a str>,
    /// ISO 8601, with the offset that the server had.
    #[serde(rename = "@timestamp")]
    timestamp: String,
    request: Cow<'a, str>,
    response: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referrer: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<Cow<'a, str>>,
}

fn to_json(record: Record<'_>, answer: Answer<'_>) -> Result<Answered, String> {
    let line = record.text().map_err(|error| error.to_string())?;
    let hit = parse(line.trim_end_matches(['\r', '\n'])).ok_or("not a line of an Apache access log")?;
    answer.json(&hit).map_err(|error| error.to_string())
}

hydrant_guest::transform!(to_json);

fn parse(line: &str) -> Option<Hit<'_>> {
    let (host, rest) = line.split_once(' ')?;
    let (ident, rest) = rest.split_once(' ')?;
    // Names of users may have spaces.
    let (authuser, rest) = rest.split_once(" [")?;
    let (time, rest) = rest.split_once("] \"")?;
    let (request, rest) = quoted(rest)?;
    let (response, rest) = rest.strip_prefix(' ')?.split_once(' ')?;
    let (bytes, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let (referrer, agent) = match rest {
        "" => (None, None),
        rest => {
            let (referrer, rest) = quoted(rest.strip_prefix('"')?)?;
            let (agent, rest) = quoted(rest.strip_prefix(" \"")?)?;
            if !rest.is_empty() {
                return None;
            }
            (Some(referrer), Some(agent))
        }
    };
    let bytes = match bytes {
        "-" => None,
        bytes => Some(bytes.parse().ok()?),
    };
    let known = |text: &Cow<'_, str>| *text != "-";
    let given = |text| Some(text).filter(|text| *text != "-");
    Some(Hit {
        host,
        ident: given(ident),
        authuser: given(authuser),
        timestamp: timestamp(time)?,
        request,
        response: response.parse().ok()?,
        bytes,
        referrer: referrer.filter(known),
        agent: agent.filter(known),
    })
}

/// What stands before the closing quote, without Apache's backslashes, and what stands behind it.
fn quoted(rest: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut text = Cow::Borrowed("");
    let mut start = 0;
    let mut chars = rest.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => {
                text += &rest[start..at];
                return Some((text, &rest[at + 1..]));
            }
            '\\' => {
                // \" and \\ stand for a character; others, \x16 and the like, stay as they are.
                let (next, escaped) = chars.next()?;
                if matches!(escaped, '"' | '\\') {
                    text += &rest[start..at];
                    start = next;
                }
            }
            _ => {}
        }
    }
    None
}

/// `10/Oct/2000:13:55:36 -0700` as `2000-10-10T13:55:36-07:00`.
fn timestamp(time: &str) -> Option<String> {
    let (date, offset) = time.split_once(' ')?;
    let (date, clock) = date.split_once(':')?;
    let mut parts = date.split('/');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let clock_is_right = clock.len() == 8 && clock.split(':').all(|part| digits(part, 2));
    let is_right = parts.next().is_none() && digits(day, 2) && digits(year, 4) && clock_is_right;
    let (sign, hours) = offset.split_at_checked(1)?;
    if !is_right || !matches!(sign, "+" | "-") || !digits(hours, 4) {
        return None;
    }
    let (hours, minutes) = hours.split_at_checked(2)?;
    Some(format!("{year}-{month:02}-{day}T{clock}{sign}{hours}:{minutes}"))
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use hydrant_guest::testing::{Outcome, run};

    use super::*;

    const COMMON: &str = r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326"#;

    #[test]
    fn a_common_line_becomes_json() {
        let json = r#"{"host":"127.0.0.1","authuser":"frank","@timestamp":"2000-10-10T13:55:36-07:00","request":"GET /apache_pb.gif HTTP/1.0","response":200,"bytes":2326}"#;
        let expected = Outcome::ok(&format!("{json}\n"));
        assert_eq!(run(to_json, &[COMMON, &format!("{COMMON}\r\n")]), [expected.clone(), expected]);
    }

    #[test]
    fn a_combined_line_has_referrer_and_agent_as_they_were_sent() {
        let line = COMMON.replace("2326", r#"- "-" "a \"quoted\" \\ agent \x16""#);
        let hit = parse(&line).unwrap();
        assert_eq!(hit.bytes, None);
        assert_eq!(hit.referrer, None);
        assert_eq!(hit.agent.as_deref(), Some(r#"a "quoted" \ agent \x16"#));
    }

    #[test]
    fn other_lines_fail() {
        let cuts = (0..COMMON.len() - 4).map(|end| &COMMON[..end]);
        for line in cuts.chain([
            "garbage",
            "",
            "ä ö ü [x] \"",
            &COMMON.replace("Oct", "Okt"),
            &COMMON.replace("-0700", "é0700"),
        ]) {
            assert!(matches!(&run(to_json, &[line])[0], Outcome::Failed(_)), "{line}");
        }
    }
}
