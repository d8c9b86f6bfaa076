use proptest::prelude::*;

use super::*;

/// 27 August 2018, 10:30 UTC, the instant of the guide's examples.
const GUIDE_MS: u64 = 1_535_365_800_000;

const PLAIN: Namespaces = Namespaces::Prefix { dynamic_partitioning: false };
const PARTITIONED: Namespaces = Namespaces::Prefix { dynamic_partitioning: true };
const ERRORS: Namespaces = Namespaces::ErrorOutputPrefix;

fn utc() -> &'static TimeZone {
    static UTC: std::sync::OnceLock<TimeZone> = std::sync::OnceLock::new();
    UTC.get_or_init(TimeZone::utc)
}

fn context() -> PrefixContext<'static> {
    PrefixContext {
        oldest_ms: GUIDE_MS,
        zone: utc(),
        seed: Seed([9; 16]),
        error_output_type: Some("processing-failed"),
        partition_keys: PartitionKeys::default(),
    }
}

/// What the two prefixes evaluate to at the guide's instant.
fn evaluated(prefix: Option<&str>, error_output_prefix: Option<&str>) -> (String, String) {
    let parsed = prefixes(prefix, error_output_prefix, false).expect("prefixes");
    let text = |expression: Expression| expression.evaluate(&context()).expect("a text");
    (text(parsed.prefix), text(parsed.error_output))
}

fn refusal(prefix: Option<&str>, error_output_prefix: Option<&str>, dynamic_partitioning: bool) -> String {
    prefixes(prefix, error_output_prefix, dynamic_partitioning).expect_err("a refusal").0
}

fn parse_refusal(source: &str, namespaces: Namespaces) -> String {
    Expression::parse(source, namespaces).expect_err("a refusal").0
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn the_guides_examples_evaluate_as_the_guide_says() {
    assert_eq!(
        evaluated(None, Some("myFirehoseFailures/!{firehose:error-output-type}/")),
        ("2018/08/27/10/".into(), "myFirehoseFailures/processing-failed/".into())
    );
    assert_eq!(
        refusal(Some("!{timestamp:yyyy/MM/dd}"), None, false),
        "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions"
    );
    let (prefix, errors) = evaluated(
        Some("myFirehose/DeliveredYear=!{timestamp:yyyy}/anyMonth/rand=!{firehose:random-string}"),
        Some("myFirehoseFailures/!{firehose:error-output-type}/!{timestamp:yyyy}/anyMonth/!{timestamp:dd}"),
    );
    let random = prefix.strip_prefix("myFirehose/DeliveredYear=2018/anyMonth/rand=").expect("the literal part");
    assert_eq!(random.len(), 11);
    assert!(random.chars().all(|c| c.is_ascii_alphanumeric()), "{random}");
    assert_eq!(errors, "myFirehoseFailures/processing-failed/2018/anyMonth/27");
}

#[test]
fn no_prefix_and_an_empty_one_mean_the_hour() {
    for empty in [None, Some("")] {
        let expected = ("2018/08/27/10/".to_owned(), "processing-failed/2018/08/27/10/".to_owned());
        assert_eq!(evaluated(empty, None), expected);
        assert_eq!(evaluated(empty, Some("")), expected);
    }
}

#[test]
fn a_literal_prefix_is_followed_directly_by_the_hour() {
    let (prefix, errors) = evaluated(Some("legacy"), None);
    assert_eq!(prefix, "legacy2018/08/27/10/");
    assert_eq!(errors, "legacyprocessing-failed/2018/08/27/10/");
    assert_eq!(evaluated(Some("it's {a}!/"), None).0, "it's {a}!/2018/08/27/10/");
}

#[test]
fn a_prefix_with_any_expression_stays_as_it_is() {
    let errors = Some("e/!{firehose:error-output-type}/");
    assert_eq!(evaluated(Some("a/!{timestamp:HH:mm}"), errors).0, "a/10:30");
    assert_eq!(evaluated(Some("a/!{firehose:random-string}"), errors).0.len(), 2 + 11);
    assert_eq!(evaluated(Some("a"), errors).1, "e/processing-failed/");
}

#[test]
fn a_literal_error_output_prefix_is_completed_with_type_and_hour() {
    assert_eq!(evaluated(None, Some("errors/")).1, "errors/processing-failed/2018/08/27/10/");
}

#[test]
fn the_source_is_the_users_text() {
    let parsed = prefixes(Some("legacy"), None, false).expect("prefixes");
    assert_eq!((parsed.prefix.source(), parsed.error_output.source()), ("legacy", ""));
    let parsed = prefixes(None, Some("e/"), false).expect("prefixes");
    assert_eq!((parsed.prefix.source(), parsed.error_output.source()), ("", "e/"));
}

#[test]
fn expressions_need_an_error_output_prefix() {
    for prefix in ["!{timestamp:yyyy}", "a/!{firehose:random-string}/"] {
        for missing in [None, Some("")] {
            assert_eq!(
                refusal(Some(prefix), missing, false),
                "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions"
            );
        }
    }
    assert_eq!(
        refusal(Some("!{partitionKeyFromQuery:k}/"), None, true),
        "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions"
    );
}

#[test]
fn an_error_output_prefix_with_expressions_names_the_type() {
    assert_eq!(
        refusal(None, Some("e/!{timestamp:yyyy}/"), false),
        "ErrorOutputPrefix must contain at least one occurrence of !{firehose:error-output-type}"
    );
    assert_eq!(
        parse_refusal("firehose:error-output-type/!{firehose:random-string}", ERRORS),
        "ErrorOutputPrefix must contain at least one occurrence of !{firehose:error-output-type}"
    );
}

#[test]
fn a_prefix_does_not_name_the_error_output_type() {
    for namespaces in [PLAIN, PARTITIONED] {
        assert_eq!(
            parse_refusal("a/!{firehose:error-output-type}/", namespaces),
            "Prefix must not contain any occurrence of !{firehose:error-output-type}"
        );
    }
}

#[test]
fn an_opening_that_begins_no_expression_is_refused() {
    for source in
        ["!{", "a/!{timestamp:yyyy", "!{}", "!{timestamp}", "!{a!{timestamp:yyyy}", "!{timestamp:!{x}}", "a!{b}"]
    {
        for namespaces in [PLAIN, PARTITIONED, ERRORS] {
            assert_eq!(parse_refusal(source, namespaces), "Invalid expression usage", "{source}");
        }
    }
}

#[test]
fn an_unknown_namespace_is_named() {
    for namespace in ["ns", "", "Timestamp", " timestamp", "timestamp ", "partitionKeyFromLamda", "fire hose"] {
        for namespaces in [PLAIN, ERRORS] {
            assert_eq!(
                parse_refusal(&format!("a/!{{{namespace}:yyyy}}"), namespaces),
                format!("Namespace to the left of colon ({namespace}) is an invalid keyword!")
            );
        }
    }
}

#[test]
fn a_bad_value_is_refused_by_the_member_it_stands_in() {
    let values = ["timestamp:yyyy-MM-ddTHH", "timestamp:", "timestamp:MMMMMM", "timestamp:zzzz", "timestamp:'yyyy"];
    for value in values.into_iter().chain(["timestamp:{yyyy", "firehose:x", "firehose:", "firehose:Random-String"]) {
        for (namespaces, member) in [(PLAIN, "Prefix"), (PARTITIONED, "Prefix"), (ERRORS, "ErrorOutputPrefix")] {
            assert_eq!(
                parse_refusal(&format!("!{{{value}}}"), namespaces),
                format!("Invalid conversion character used in the value of the expression in {member}"),
                "{value}"
            );
        }
    }
    for letter in "CIJPRTUVbfijloprt".chars() {
        assert_eq!(
            parse_refusal(&format!("!{{timestamp:{letter}}}"), PLAIN),
            "Invalid conversion character used in the value of the expression in Prefix"
        );
        assert!(Expression::parse(&format!("!{{timestamp:'{letter}'}}"), PLAIN).is_ok());
    }
    assert_eq!(
        parse_refusal("!{partitionKeyFromQuery:}", PARTITIONED),
        "Invalid conversion character used in the value of the expression in Prefix"
    );
}

#[test]
fn partition_keys_stand_only_where_partitioning_is_enabled() {
    for key in ["!{partitionKeyFromQuery:k}/", "!{partitionKeyFromLambda:k}/"] {
        assert_eq!(
            parse_refusal(key, ERRORS),
            "Dynamic Partitioning Namespaces can't be part of an error prefix expression"
        );
        assert_eq!(
            parse_refusal(key, PLAIN),
            "Dynamic Partitioning Namespaces can only be part of a prefix expression when Dynamic Partitioning is enabled."
        );
        assert!(Expression::parse(key, PARTITIONED).is_ok());
    }
}

#[test]
fn partitioning_needs_a_partition_key() {
    for prefix in [None, Some(""), Some("a/"), Some("!{timestamp:yyyy}/")] {
        assert_eq!(
            refusal(prefix, Some("!{firehose:error-output-type}/"), true),
            "S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled"
        );
    }
}

#[test]
fn redshift_takes_literal_prefixes_only() {
    let message = "Prefix Expressions or ErrorOutputPrefix is currently not supported for this destination";
    for (prefix, errors) in [(Some("!{timestamp:yyyy}"), None), (Some("a!{"), None), (Some("a/"), Some("e/"))] {
        assert_eq!(literal_prefixes(prefix, errors), Err(ExpressionError(message.to_owned())));
    }
    assert_eq!(literal_prefixes(Some("a/"), None), prefixes(Some("a/"), None, false));
    assert_eq!(literal_prefixes(None, Some("")), prefixes(None, None, false));
}

#[test]
fn an_evaluated_prefix_has_512_characters_at_most() {
    let errors = "!{firehose:error-output-type}/";
    let hour = "yyyy/MM/dd/HH/".len();
    let fits = "a".repeat(512 - hour);
    assert_eq!(evaluated(Some(&fits), Some(errors)).0.len(), 512);
    assert_eq!(
        refusal(Some(&format!("{fits}a")), Some(errors), false),
        "Length of evaluated prefix cannot be greater than 512"
    );
    // Characters are counted, not bytes, and of what is evaluated, not of the source.
    assert!(prefixes(Some(&"年".repeat(512 - hour)), Some(errors), false).is_ok());
    assert!(Expression::parse(&format!("{}!{{timestamp:yyyy}}", "a".repeat(508)), PLAIN).is_ok());
    assert_eq!(
        parse_refusal(&format!("{}!{{timestamp:yyyy}}", "a".repeat(509)), PLAIN),
        "Length of evaluated prefix cannot be greater than 512"
    );
    assert_eq!(
        refusal(None, Some(&format!("{}{errors}", "a".repeat(500))), false),
        "Length of evaluated ErrorOutputPrefix cannot be greater than 512"
    );
    assert_eq!(
        refusal(None, Some(&"a".repeat(500)), false),
        "Length of evaluated ErrorOutputPrefix cannot be greater than 512"
    );
}

#[test]
fn a_value_may_not_lengthen_a_prefix_past_512_characters() {
    let expression = Expression::parse("!{partitionKeyFromQuery:k}", PARTITIONED).expect("a prefix");
    for (length, fits) in [(512, true), (513, false)] {
        let from_query = [pair("k", &"a".repeat(length))];
        let partition_keys = PartitionKeys { from_query: &from_query, from_lambda: &[] };
        let text = expression.evaluate(&PrefixContext { partition_keys, ..context() });
        if fits {
            assert_eq!(text.map(|text| text.len()), Ok(length));
        } else {
            assert_eq!(text, Err(ExpressionError("Length of evaluated prefix cannot be greater than 512".to_owned())));
        }
    }
}

#[test]
fn a_prefix_that_no_key_can_begin_with_is_refused() {
    for source in ["a/../", "./a", "a/./b/", "a\nb", "!{timestamp:'..'}/"] {
        let message = parse_refusal(source, PLAIN);
        assert!(message.starts_with("Prefix cannot begin an object key: key contains the "), "{message}");
    }
    assert!(parse_refusal("../!{firehose:error-output-type}", ERRORS).starts_with("ErrorOutputPrefix cannot begin"));
    for source in ["a//b/", "/", "a/..b/", "a..", "..."] {
        assert!(Expression::parse(source, PLAIN).is_ok(), "{source}");
    }
}

#[test]
fn keys_come_from_the_source_that_the_prefix_names() {
    let source =
        "c=!{partitionKeyFromQuery:customer}/c=!{partitionKeyFromLambda:customer}/!{partitionKeyFromQuery:a.b}";
    let expression = Expression::parse(source, PARTITIONED).expect("a prefix");
    let keys: Vec<_> = expression.partition_keys().collect();
    assert_eq!(keys, [(KeySource::Query, "customer"), (KeySource::Lambda, "customer"), (KeySource::Query, "a.b")]);
    let from_query = [pair("customer", "1"), pair("a.b", "x/y z")];
    let from_lambda = [pair("customer", "2")];
    let partition_keys = PartitionKeys { from_query: &from_query, from_lambda: &from_lambda };
    let text = expression.evaluate(&PrefixContext { partition_keys, ..context() });
    assert_eq!(text.as_deref(), Ok("c=1/c=2/x/y z"));
    let partition_keys = PartitionKeys { from_query: &from_query, from_lambda: &[] };
    let text = expression.evaluate(&PrefixContext { partition_keys, ..context() });
    assert_eq!(text, Err(ExpressionError("partition key \"customer\" has no value".to_owned())));
}

#[test]
fn a_value_that_would_lead_elsewhere_is_refused() {
    let expression = Expression::parse("t/!{partitionKeyFromQuery:k}/", PARTITIONED).expect("a prefix");
    let evaluate = |value: &str| {
        let from_query = [pair("k", value)];
        let partition_keys = PartitionKeys { from_query: &from_query, from_lambda: &[] };
        expression.evaluate(&PrefixContext { partition_keys, ..context() })
    };
    for value in ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/./b", "a\0", "a\r\nb", "\u{85}", "\u{7f}"]
    {
        let error = evaluate(value).expect_err("a refusal").0;
        assert!(error.starts_with("value of partition key \"k\""), "{value:?}: {error}");
    }
    for value in ["a", "a/b", "...", ".a", "a b", "!{timestamp:yyyy}", "%2e%2e", "é年😀"] {
        assert_eq!(evaluate(value), Ok(format!("t/{value}/")));
    }
}

#[test]
fn every_use_of_random_string_differs_and_repeats_with_the_seed() {
    let use_one = "!{firehose:random-string}/";
    let expression = Expression::parse(&use_one.repeat(20), PLAIN).expect("a prefix");
    let text = expression.evaluate(&context()).expect("a text");
    let mut uses: Vec<&str> = text.split_terminator('/').collect();
    assert!(uses.iter().all(|one| one.len() == 11 && one.chars().all(|c| c.is_ascii_alphanumeric())), "{text}");
    uses.sort_unstable();
    uses.dedup();
    assert_eq!(uses.len(), 20);
    assert_eq!(expression.evaluate(&context()).as_deref(), Ok(text.as_str()));
    let other = expression.evaluate(&PrefixContext { seed: Seed([10; 16]), ..context() });
    assert_ne!(other.as_deref(), Ok(text.as_str()));
}

#[test]
fn random_strings_of_a_seed_never_change() {
    // Objects of an intent that was made by an older version are looked for under these names.
    let expression = Expression::parse("!{firehose:random-string}/!{firehose:random-string}", PLAIN).expect("a prefix");
    assert_eq!(expression.evaluate(&context()).as_deref(), Ok("IANbvtsOMhb/Tss845gNyXd"));
}

#[test]
fn the_zone_applies_to_every_timestamp() {
    let tokyo = TimeZone::named("Asia/Tokyo").expect("a zone");
    let context = PrefixContext { zone: &tokyo, oldest_ms: GUIDE_MS + 5 * 3_600_000, ..context() };
    let parsed =
        prefixes(None, Some("!{timestamp:dd}!{firehose:error-output-type}!{timestamp:HHxx}"), false).expect("prefixes");
    assert_eq!(parsed.prefix.evaluate(&context).as_deref(), Ok("2018/08/28/00/"));
    assert_eq!(parsed.error_output.evaluate(&context).as_deref(), Ok("28processing-failed00+0900"));
}

#[test]
fn an_error_output_prefix_needs_a_type_to_be_evaluated() {
    let expression = Expression::parse("!{firehose:error-output-type}/", ERRORS).expect("a prefix");
    assert!(expression.evaluate(&PrefixContext { error_output_type: None, ..context() }).is_err());
}

/// Texts that come close to prefixes, so that many are accepted.
fn prefix_like() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-z/.=!{}:']{0,12}",
        "[yMdHhmsSaEzXQqwWeBDgAnN'/\\[\\]-]{1,10}".prop_map(|pattern| format!("!{{timestamp:{pattern}}}")),
        "(y{1,19}|MMMM|EEEE|B|z){1,4}".prop_map(|pattern| format!("!{{timestamp:{pattern}}}")),
        Just("!{firehose:random-string}".to_owned()),
        Just("!{firehose:error-output-type}".to_owned()),
        "[a-c]{1,2}".prop_map(|key| format!("!{{partitionKeyFromQuery:{key}}}")),
        "[a-c]{1,2}".prop_map(|key| format!("!{{partitionKeyFromLambda:{key}}}")),
        "[a-z]{0,200}",
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn parsing_never_panics(text in any::<String>(), like in prefix_like()) {
        for source in [text, like] {
            for namespaces in [PLAIN, PARTITIONED, ERRORS] {
                if let Ok(expression) = Expression::parse(&source, namespaces) {
                    prop_assert_eq!(expression.source(), &source);
                }
            }
        }
    }

    #[test]
    fn an_accepted_prefix_has_one_short_text(
        source in prefix_like(),
        values in prop::collection::vec(("[a-c]{1,2}", "\\PC{0,80}"), 0..20),
        oldest_ms in 0_u64..253_402_000_000_000,
        seed in any::<[u8; 16]>(),
    ) {
        let partition_keys = PartitionKeys { from_query: &values, from_lambda: &values };
        let context = PrefixContext { oldest_ms, seed: Seed(seed), partition_keys, ..context() };
        for namespaces in [PLAIN, PARTITIONED, ERRORS] {
            let Ok(expression) = Expression::parse(&source, namespaces) else { continue };
            let text = expression.evaluate(&context);
            prop_assert_eq!(&text, &expression.evaluate(&context));
            match text {
                Ok(text) => prop_assert!(text.chars().count() <= 512),
                Err(error) => prop_assert!(
                    error.0.starts_with("Length of evaluated") || error.0.contains("partition key"),
                    "{}", error
                ),
            }
        }
    }
}
