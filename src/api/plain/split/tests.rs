use proptest::prelude::*;

use super::json::tests::{damaged, edits, json, judge};
use super::*;

const MAX: usize = 1_024_000;

fn texts(records: &Records) -> Vec<String> {
    records.iter().map(|record| String::from_utf8_lossy(record).into_owned()).collect()
}

fn split_text(body: &str, format: Format, newline: bool) -> Result<Vec<String>, SplitError> {
    split(body.as_bytes().to_vec(), format, newline, MAX).map(|records| texts(&records))
}

fn with_newline(body: &str, format: Format) -> Vec<String> {
    split_text(body, format, true).unwrap()
}

fn not_json(place: Place, rule: &'static str) -> Result<Vec<String>, SplitError> {
    Err(SplitError::NotJson { place, rule })
}

#[test]
fn a_line_is_a_record_with_its_line_feed() {
    for format in [Format::JsonLines, Format::TextLines] {
        assert_eq!(with_newline("1\n2\n", format), ["1\n", "2\n"]);
        assert_eq!(with_newline("1\n2", format), ["1\n", "2\n"], "the last one gets its own");
        assert_eq!(with_newline("1\r\n2", format), ["1\r\n", "2\n"], "a carriage return is kept");
        assert_eq!(with_newline("\n1\n\n\r\n2\n\n", format), ["1\n", "2\n"], "blank lines are skipped");
        assert_eq!(split_text("1\n\n2", format, false).unwrap(), ["1", "2"]);
        assert_eq!(split_text("1\r\n2\n", format, false).unwrap(), ["1\r", "2"]);
        for empty in ["", "\n", "\r\n\n"] {
            assert_eq!(split_text(empty, format, true), Err(SplitError::Empty));
        }
    }
}

#[test]
fn white_space_is_blank_in_ndjson_and_text_in_text() {
    assert_eq!(with_newline("1\n \t\n2\n", Format::JsonLines), ["1\n", "2\n"]);
    assert_eq!(with_newline("1\n \t\n2\n", Format::TextLines), ["1\n", " \t\n", "2\n"]);
    assert_eq!(split_text(" \n", Format::JsonLines, true), Err(SplitError::Empty));
}

#[test]
fn a_line_of_ndjson_must_be_json_and_the_line_is_named() {
    assert_eq!(
        split_text("{\"a\":1}\n\n{\"a\":}\n", Format::JsonLines, true),
        not_json(Place::Line(3), "expected a JSON value")
    );
    assert_eq!(split_text("1 2\n", Format::JsonLines, true), not_json(Place::Line(1), "more text follows the value"));
    assert_eq!(with_newline("a\n{\n", Format::TextLines), ["a\n", "{\n"]);
    let error = split(b"1\n\"\xFF\"\n".to_vec(), Format::JsonLines, true, MAX).unwrap_err();
    assert_eq!(error, SplitError::NotUtf8 { place: Place::Line(2) });
    assert_eq!((error.status(), error.to_string()), (400, "line 2: the text must be UTF-8".to_owned()));
    let binary = split(b"\xFF\x00\n".to_vec(), Format::TextLines, true, MAX).unwrap();
    assert_eq!(binary.body, b"\xFF\x00\n", "text may have any encoding that keeps line feeds");
}

#[test]
fn of_all_faults_of_ndjson_a_byte_that_is_no_text_comes_first() {
    let good = "{\"a\":\"\u{e9}\"}\n".repeat(200);
    let with = |tail: &[u8]| split([good.as_bytes(), tail].concat(), Format::JsonLines, true, MAX).map(|r| r.len());
    assert_eq!(with(b""), Ok(200));
    assert_eq!(with(b"{}\n{\"a\":\"\xC3\"}"), Err(SplitError::NotUtf8 { place: Place::Line(202) }));
    assert_eq!(with(b"{\"a\"}\n\xC3\n"), Err(SplitError::NotUtf8 { place: Place::Line(202) }));
    assert_eq!(with(b"\"\xA9\"\n{\"a\"}\n"), Err(SplitError::NotUtf8 { place: Place::Line(201) }));
    let rule = "expected `:` after a member name";
    assert_eq!(with(b"\n\n1\n{\"a\"}\n"), Err(SplitError::NotJson { place: Place::Line(204), rule }));
}

#[test]
fn a_body_of_plain_lines_is_stored_where_it_came() {
    for format in [Format::JsonLines, Format::TextLines, Format::Octets] {
        let body = b"1\n2\n".to_vec();
        let place = body.as_ptr();
        assert_eq!(split(body, format, true, MAX).unwrap().body.as_ptr(), place);
    }
}

#[test]
fn an_array_is_an_element_each() {
    let body = " [ {\"a\" : [1, 2]} , \"x,]\" ,\n 3, [] ] \n";
    assert_eq!(with_newline(body, Format::Json), ["{\"a\" : [1, 2]}\n", "\"x,]\"\n", "3\n", "[]\n"]);
    assert_eq!(split_text(body, Format::Json, false).unwrap(), ["{\"a\" : [1, 2]}", "\"x,]\"", "3", "[]"]);
    assert_eq!(split_text(" [ ] ", Format::Json, true), Err(SplitError::Empty));
    assert_eq!(split_text("[1,x]", Format::Json, true), not_json(Place::Element(2), "expected a JSON value"));
    assert_eq!(split_text("[1,2,]", Format::Json, true), not_json(Place::Element(3), "expected a JSON value"));
    assert_eq!(split_text("[1 2]", Format::Json, true), not_json(Place::Element(1), "expected `,` or `]` after it"));
    assert_eq!(split_text("[1", Format::Json, true), not_json(Place::Body, "the array is not closed"));
    assert_eq!(split_text("[1]]", Format::Json, true), not_json(Place::Body, "more text follows the value"));
    assert_eq!(split_text("[] 1", Format::Json, true), not_json(Place::Body, "more text follows the value"));
    assert_eq!(split_text("[", Format::Json, true), not_json(Place::Element(1), "ends before its value does"));
}

#[test]
fn any_other_value_is_one_record() {
    assert_eq!(with_newline("\n{\"a\":\n1}\r\n", Format::Json), ["{\"a\":\n1}\n"]);
    assert_eq!(split_text("\"x\"", Format::Json, false).unwrap(), ["\"x\""]);
    assert_eq!(split_text("1 2", Format::Json, true), not_json(Place::Body, "more text follows the value"));
    assert_eq!(split_text("", Format::Json, true), not_json(Place::Body, "ends before its value does"));
    assert_eq!(split_text("\u{c}1", Format::Json, true), not_json(Place::Body, "expected a JSON value"));
    assert!(split(b"\"\xFF\"".to_vec(), Format::Json, true, MAX).is_err());
}

#[test]
fn octets_are_one_record_as_they_are() {
    for newline in [false, true] {
        let records = split(b"\xFF\n\n".to_vec(), Format::Octets, newline, MAX).unwrap();
        assert_eq!((records.lengths.as_slice(), records.body.as_slice()), ([3].as_slice(), b"\xFF\n\n".as_slice()));
    }
    assert_eq!(split(vec![], Format::Octets, true, MAX), Err(SplitError::Empty));
}

#[test]
fn a_record_is_as_long_as_it_is_stored() {
    let too_long = |place| Err(SplitError::TooLong { place, bytes: 4, max_bytes: 3 });
    let split = |body: &str, format, newline| split(body.as_bytes().to_vec(), format, newline, 3).map(|r| texts(&r));
    assert!(split("12\n12", Format::JsonLines, true).is_ok());
    assert_eq!(split("1\n\n123", Format::JsonLines, true), too_long(Place::Line(3)));
    assert!(split("123", Format::JsonLines, false).is_ok());
    assert_eq!(split("[1,123]", Format::Json, true), too_long(Place::Element(2)));
    assert!(split("[1,123]", Format::Json, false).is_ok());
    assert_eq!(split("1234", Format::Octets, true), too_long(Place::Body));
    let error = split("1234", Format::Json, false).unwrap_err();
    assert_eq!((error.status(), error.to_string()), (413, "body: the record has 4 bytes, more than 3".to_owned()));
}

proptest! {
    #[test]
    fn lines_are_what_the_standard_library_says(body in "[ab\r\n]{0,40}", newline: bool) {
        let expected: Vec<String> = body
            .split('\n')
            .filter(|line| !line.is_empty() && *line != "\r")
            .map(|line| if newline { format!("{line}\n") } else { line.to_owned() })
            .collect();
        let found = split_text(&body, Format::TextLines, newline);
        prop_assert_eq!(found.unwrap_or_default(), expected);
    }

    #[test]
    fn lines_of_ndjson_are_what_the_judge_says(
        lines in prop::collection::vec((json(), prop::option::weighted(0.05, edits()), 0_usize..300), 1..30),
        newline: bool,
        is_long in prop::bool::weighted(0.1),
    ) {
        let max = if is_long { 400 } else { MAX };
        let mut body = String::new();
        for (text, edits, padding) in lines {
            let line = format!("{{\"{}\":{text}}}", "x".repeat(padding)).replace(['\r', '\n'], " ");
            body.push_str(&edits.map_or_else(|| line.clone(), |edits| damaged(&line, &edits)));
            body.push('\n');
        }
        let found = split(body.as_bytes().to_vec(), Format::JsonLines, newline, max).map(|records| texts(&records));
        let mut expected = Vec::new();
        for (number, line) in (1..).zip(body.split_terminator('\n')) {
            let bytes = line.len() + usize::from(newline);
            let place = Place::Line(number);
            if line.trim_matches([' ', '\t', '\r']).is_empty() {
                continue;
            }
            if !judge(line) {
                prop_assert!(matches!(found, Err(SplitError::NotJson { place: at, .. }) if at == place), "{:?} {}", found, number);
                return Ok(());
            }
            if bytes > max {
                prop_assert_eq!(found, Err(SplitError::TooLong { place, bytes, max_bytes: max }));
                return Ok(());
            }
            expected.push(format!("{line}{}", if newline { "\n" } else { "" }));
        }
        prop_assert_eq!(found.unwrap_or_default(), expected);
    }

    #[test]
    fn an_array_is_what_a_tree_says(items in prop::collection::vec("[0-9]|\\[[0-9], ?[0-9]\\]|\"[a\\],]{0,9}\"|\\{ ?\\}", 1..9), space in "[ \n]{0,2}") {
        let body = format!("{space}[{space}{}{space}]{space}", items.join(&format!("{space},{space}")));
        prop_assert_eq!(split_text(&body, Format::Json, false).unwrap(), items);
    }
}
