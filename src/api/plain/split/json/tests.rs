use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn ok(text: &str) -> bool {
    Checker::default().check(text.as_bytes()).is_ok()
}

/// `IgnoredAny` checks all of the grammar, without a limit of depth.
pub(in crate::api::plain::split) fn judge(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

pub(in crate::api::plain::split) fn json() -> impl Strategy<Value = String> {
    let space = || select(vec!["", "", "", " ", "\t", " \r\n"]);
    let leaf = select(vec![
        "null",
        "true",
        "false",
        "0",
        "-0",
        "10",
        "-1.5",
        "1e5",
        "1E+05",
        "12.34e-56",
        "123456789012345678901234567890",
        r#""""#,
        r#""abcdefg""#,
        r#""abcdefgh""#,
        r#""abcdefghi""#,
        r#""\"""#,
        r#""1234567\"90""#,
        r#""\u00e9\ud800""#,
        r#""\\\\\\\\\\""#,
        "\"\u{20ac}\u{20ac}\u{20ac}\u{7f}\"",
        r#""\b\f\n\r\t\/""#,
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(6, 40, 5, move |inner| {
        let list = (prop::collection::vec(inner.clone(), 0..5), space(), space())
            .prop_map(|(items, a, b)| format!("{a}[{b}{}{a}]{b}", items.join(&format!("{a},{b}"))));
        let object = (prop::collection::vec(("[a-z\u{e9}]{0,17}", inner), 0..5), space(), space()).prop_map(
            |(members, a, b)| {
                let members: Vec<_> =
                    members.into_iter().map(|(name, value)| format!("\"{name}\"{a}:{b}{value}")).collect();
                format!("{a}{{{b}{}{a}}}{b}", members.join(&format!("{b},{a}")))
            },
        );
        prop_oneof![list, object]
    })
}

/// Where, how and with what a text is damaged.
pub(in crate::api::plain::split) type Edit = (prop::sample::Index, u8, char);

pub(in crate::api::plain::split) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let characters = " \t\n\x00\x1f\x0c\"\\/{}[]:,.-+eE0123456789ntfu\u{e9}".chars().collect::<Vec<_>>();
    prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4, select(characters)), 1..4)
}

pub(in crate::api::plain::split) fn damaged(text: &str, edits: &[Edit]) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for (at, kind, character) in edits {
        if text.is_empty() {
            break;
        }
        let at = at.index(text.len());
        match kind {
            0 => text[at] = *character,
            1 => text.insert(at, *character),
            2 => drop(text.remove(at)),
            _ => text.truncate(at),
        }
    }
    text.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_is_json(text in json()) {
        prop_assert!(judge(&text), "{}", text);
        prop_assert!(ok(&text), "{}", text);
    }

    #[test]
    fn damaged_json_is_what_the_judge_says_it_is(text in json(), edits in edits()) {
        let text = damaged(&text, &edits);
        prop_assert_eq!(ok(&text), judge(&text), "{}", text);
    }

    #[test]
    fn lines_after_each_other_are_judged_each_alone(texts in prop::collection::vec((json(), any::<prop::sample::Index>(), 0_u8..3), 1..6)) {
        let mut checker = Checker::default();
        for (text, at, kind) in texts {
            let mut text: Vec<char> = text.chars().collect();
            if kind == 0 {
                text.remove(at.index(text.len()));
            }
            let text: String = text.into_iter().collect();
            prop_assert_eq!(checker.check(text.as_bytes()).is_ok(), judge(&text), "{}", text);
        }
    }
}

#[test]
fn every_byte_at_every_place_of_a_string_is_judged_alike() {
    for at in 0..20 {
        for byte in 0..=127_u8 {
            let mut text = b"\"aaaaaaaaaaaaaaaaaaaa\"".to_vec();
            text[at + 1] = byte;
            let text = String::from_utf8(text).unwrap();
            assert_eq!(ok(&text), judge(&text), "{text:?}");
        }
    }
}

#[test]
fn depth_costs_no_stack() {
    let deep = 1_000_000;
    assert!(ok(&format!("{}{}", "[".repeat(deep), "]".repeat(deep))));
    assert!(!ok(&"[".repeat(deep)));
    assert!(!ok(&r#"{"a":"#.repeat(deep)));
}

#[test]
fn the_rule_is_named() {
    let rule = |text: &str| Checker::default().check(text.as_bytes()).unwrap_err();
    assert_eq!(rule("hello"), "expected a JSON value");
    assert_eq!(rule("{} {}"), "more text follows the value");
    assert_eq!(rule("{a:1}"), "expected a member name in double quotes");
    assert_eq!(rule(r#"{"a" 1}"#), "expected `:` after a member name");
    assert_eq!(rule(r#"{"a":1 "b":2}"#), "expected `,` or `}`");
    assert_eq!(rule("[1 2]"), "expected `,` or `]`");
    assert_eq!(rule("[1,]"), "expected a JSON value");
    assert_eq!(rule(r#"{"a":"#), "ends before its value does");
    assert_eq!(rule(r#""abc"#), "a string is not closed");
    assert_eq!(rule("\"a\tb\""), "a control character in a string must be escaped");
    assert_eq!(rule(r#""\x""#), "unknown escape in a string");
    assert_eq!(rule(r#""\u12g4""#), "`\\u` wants four hexadecimal digits");
    assert_eq!(rule("1."), "a number lacks a digit");
    assert_eq!(rule("01"), "more text follows the value");
}
