use proptest::prelude::*;

use super::*;
use crate::api::plain::split::json::Checker;
use crate::api::plain::split::json::tests::{damaged, edits, json};

/// How far it gets, and the lengths of the lines that pass.
fn skimmed(body: &[u8]) -> (Skimmed, Vec<u32>) {
    let mut lengths = Vec::new();
    let skimmed = skim(body, 0, Told { lengths: &mut lengths, newline: true, max_record: 1 << 20 });
    (skimmed, lengths)
}

/// Whether `line` passes, at a place of the block that differs with `before`.
fn passes(line: &[u8], before: usize) -> bool {
    let body = [&first_line(before), line, b"\n"].concat();
    let (skimmed, lengths) = skimmed(&body);
    let passed: usize = lengths.iter().map(|length| usize::try_from(*length).unwrap()).sum();
    assert_eq!(passed, skimmed.passed, "lines are told about as they pass");
    skimmed.passed == body.len()
}

/// A line of `bytes` in all that passes.
fn first_line(bytes: usize) -> Vec<u8> {
    let mut line = vec![b' '; bytes.saturating_sub(3)];
    line.extend(b"[]\n");
    line
}

fn is_json(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok() && Checker::default().check(line).is_ok()
}

/// A line with one of everything, more than two blocks long.
fn long_line() -> Vec<u8> {
    let mut line =
        br#"{"id":"00ff","n":-12.50,"z":0,"big":1e5,"small":-0.25E-10,"x":1e+07,"t":true,"f":false,"none":null,"#
            .to_vec();
    for n in 0..16 {
        let more = format!(r#""name{n}" : {{"a":[1,{n}.5,"\u00e9\"\\",[],{{}}], "b\n":[true,null,[false]]}} ,"#);
        line.extend(more.as_bytes());
    }
    line.extend(b"\"last\":[{\"s\":\"\"}]}");
    line
}

#[test]
fn objects_and_arrays_pass_wherever_they_lie() {
    if !is_possible() {
        return;
    }
    let line = long_line();
    assert!(is_json(&line) && line.len() > 2 * BLOCK);
    for before in (3..70).chain(500..530) {
        assert!(passes(&line, before), "{before}");
    }
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(passes(deep(60).as_bytes(), 3));
    assert!(!passes(deep(70).as_bytes(), 3), "there is no room for so much; the checker takes it");
}

/// No arrays or objects, whole or not.
const DOUBTFUL: &[&str] = &[
    "",
    " ",
    "1",
    "\"a\"",
    "null",
    "{} {}",
    "{},{}",
    "{}1",
    "1,{}",
    ",{}",
    "[]]",
    "[[]",
    "{]",
    "[}",
    "[1,]",
    "{\"a\":1,}",
    "{\"a\"}",
    "{\"a\" \"b\"}",
    "{\"a\":1:2}",
    "{1:2}",
    "{\"a\":1 \"b\":2}",
    "[1 2]",
    "[,]",
    "[\"a\" \"b\"]",
    "[:]",
    "{:1}",
    "[\"a\":1]",
    "[01]",
    "[-]",
    "[-01]",
    "[1.]",
    "[.5]",
    "[+1]",
    "[1.2.3]",
    "[1e]",
    "[1e+]",
    "[1e5.0]",
    "[1e5e5]",
    "[1-2]",
    "[--1]",
    "[1e--5]",
    "[tru]",
    "[truee]",
    "[true1]",
    "[ture]",
    "[xtrue]",
    "[nul]",
    "[nulll]",
    "[falsE]",
    "[True]",
    "[\\]",
    "[\"\\x\"]",
    "[\"\\u12g4\"]",
    "[\"a]",
    "[\"\t\"]",
    "[\"\\\"]",
    "[1\u{c}]",
    "[\u{e9}]",
];

#[test]
fn what_is_doubtful_does_not_pass() {
    for line in DOUBTFUL {
        for before in (3..70).chain(500..530) {
            assert!(!passes(line.as_bytes(), before), "{line:?} {before}");
        }
    }
}

#[test]
fn every_byte_at_every_place_is_judged_as_the_checker_does() {
    if !is_possible() {
        return;
    }
    let line = long_line();
    for at in 1..line.len() - 1 {
        // Of each three places every one takes another third of these.
        for byte in b"\x00\t\r\x1f \"\\{}[],:-+.0159eEtrufalsnx\x7f\xA2\xE9".iter().skip(at % 3).step_by(3) {
            let mut line = line.clone();
            line[at] = *byte;
            let is_ascii = byte.is_ascii();
            // What a byte beyond ASCII stands for is not looked at.
            let judged =
                if is_ascii { line.clone() } else { line.iter().map(|b| if *b < 0x80 { *b } else { 0x7F }).collect() };
            assert_eq!(passes(&line, 3), is_json(&judged), "{byte:#x} at {at}");
            assert_eq!(skimmed(&[&line[..], b"\n"].concat()).0.is_ascii, is_ascii);
        }
    }
}

#[test]
fn lines_before_the_doubtful_block_pass() {
    if !is_possible() {
        return;
    }
    let good = b"{\"a\":[1,2,3]}\n".repeat(1000);
    let body = [&good[..], b"{\"a\":}\n", &good].concat();
    let (skimmed, lengths) = skimmed(&body);
    assert!(skimmed.passed <= good.len() && skimmed.passed + BLOCK > good.len());
    assert!(skimmed.seen > good.len() && skimmed.seen <= good.len() + BLOCK);
    assert_eq!(lengths.len() * 14, skimmed.passed);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_no_json_does_not_pass(text in json(), edits in edits(), before in 3_usize..600) {
        let text = damaged(&text, &edits);
        let line = text.split('\n').next().unwrap_or_default();
        prop_assert!(is_json(line.as_bytes()) || !passes(line.as_bytes(), before), "{}", line);
    }

    #[test]
    fn json_in_brackets_passes(text in json(), before in 3_usize..600) {
        let line = format!(" [{}]\r", text.replace('\n', " "));
        prop_assert!(!is_possible() || passes(line.as_bytes(), before), "{}", line);
    }
}
