//! Filters and enriches clicks: drops those of no country, adds the section of the shop that each was in, and gives it the
//! partition keys `country` and `section`.
//!
//! With it, the prefix `!{partitionKeyFromLambda:country}/!{partitionKeyFromLambda:section}/` makes a folder of each.

use std::borrow::Cow;

use hydrant_guest::{Answer, Answered, Record};
use serde::Deserialize;

#[derive(Deserialize)]
struct Click<'a> {
    #[serde(borrow)]
    page: Cow<'a, str>,
    #[serde(borrow)]
    country: Cow<'a, str>,
}

fn enrich(record: Record<'_>, mut answer: Answer<'_>) -> Result<Answered, serde_json::Error> {
    // serde takes arrays for objects, too.
    if !record.data.trim_ascii_start().starts_with(b"{") {
        return Ok(answer.failed("not a JSON object"));
    }
    let click: Click<'_> = record.json()?;
    if click.country.is_empty() {
        return Ok(answer.dropped());
    }
    let section = click.page.split('/').find(|part| !part.is_empty()).unwrap_or("home");
    answer.key("country", &click.country).key("section", section);
    let section = serde_json::to_string(section)?;
    // The click is an object, so its last brace closes it; a line feed may follow.
    let end = record.data.iter().rposition(|byte| *byte == b'}').unwrap_or_default();
    let (members, brace) = record.data.split_at(end);
    Ok(answer.ok_with(|bytes| {
        bytes.extend_from_slice(members);
        bytes.extend_from_slice(br#","section":"#);
        bytes.extend_from_slice(section.as_bytes());
        bytes.extend_from_slice(brace);
    }))
}

hydrant_guest::transform!(enrich);

#[cfg(test)]
mod tests {
    use hydrant_guest::testing::{Outcome, run};

    use super::*;

    fn keys(country: &str, section: &str) -> Vec<(String, String)> {
        [("country", country), ("section", section)].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn a_click_gets_its_section_and_its_keys() {
        let click = "{\"page\":\"/products/17\",\"country\":\"DE\",\"device\":{\"kind\":\"phone\"}}\n";
        let data = Some(click.replace("}}\n", "},\"section\":\"products\"}\n"));
        assert_eq!(run(enrich, &[click]), [Outcome::Ok { data, keys: keys("DE", "products") }]);
        let click = r#"{"page":"","country":"D\u0045"}"#;
        let data = Some(r#"{"page":"","country":"D\u0045","section":"home"}"#.to_owned());
        assert_eq!(run(enrich, &[click]), [Outcome::Ok { data, keys: keys("DE", "home") }]);
    }

    #[test]
    fn a_click_of_no_country_is_dropped() {
        assert_eq!(run(enrich, &[r#"{"page":"/","country":""}"#]), [Outcome::Dropped]);
    }

    #[test]
    fn what_is_no_click_fails() {
        let click = r#"{"page":"/","country":"DE"}"#;
        for record in ["", "x", "{}", r#"["/","}"]"#, &click[1..], &click.repeat(2)] {
            assert!(matches!(&run(enrich, &[record])[0], Outcome::Failed(_)), "{record}");
        }
    }
}
