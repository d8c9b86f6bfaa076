use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::processors::Context;
use crate::processors::Transform;
use crate::processors::extraction::Extraction;
use crate::records::{Arrived, Fates, Records, Source, Span, WantedKey};
use hydrant_model::{Birth, KeySource, Offset, RecordIdentity};

/// The text of key `k` that `query`, the value of a member, gives for `record`.
fn ask(query: &str, record: &str) -> Result<String, Refusal> {
    let query = Query::compile(&format!("{{k: ({query})}}")).unwrap_or_else(|error| panic!("{query}: {error}"));
    query.ask(record.as_bytes(), &["k"]).map(|mut texts| texts.remove(0))
}

fn refused(query: &str) -> String {
    Query::compile(query).map(drop).expect_err(query)
}

#[test]
fn queries_of_aws_s_documents_give_their_keys() {
    let record = r#"{"type":{"device":"mobile","event":"purchase"},"customer_id":"1234567890","event_timestamp":1565382027,"region":"emea"}"#;
    let query = r#"{customer_id:.customer_id, device:.type.device, year:.event_timestamp|strftime("%Y"), m:(.event_timestamp|strftime("%m"))}"#;
    let query = Query::compile(query).unwrap();
    assert_eq!(query.keys().unwrap(), ["customer_id", "device", "year", "m"]);
    let texts = query.ask(record.as_bytes(), &["year", "device", "customer_id", "m"]).unwrap();
    assert_eq!(texts, ["2019", "mobile", "1234567890", "08"]);
}

#[test]
fn the_language_works_over_values_of_our_own() {
    for (query, text) in [
        (".a.b", "x"),
        (".list[1]", "2"),
        (".list[-1:] | tojson", "[3]"),
        (".list | map(. * 2) | add", "12"),
        (".a.b * 2", "xx"),
        (".date[0:4] + \"/\" + .date[5:7]", "2024/05"),
        (".missing // \"none\"", "none"),
        (".big", "9007199254740992"),
        (".list | join(\"-\")", "1-2-3"),
        (".date | split(\"-\") | .[1] | tonumber", "5"),
        (".date | test(\"^[0-9]{4}-\")", "true"),
        (".date | sub(\"-.*\"; \"\")", "2024"),
        (".date | strptime(\"%Y-%m-%d\") | mktime | todate", "2024-05-06T00:00:00Z"),
        ("if .n > 4 then \"many\" elif .n == 4 then \"four\" else \"few\" end", "few"),
        ("[.list[] | select(. > 1)] | length", "2"),
        (".a | to_entries | map(.key) | join(\",\")", "b,c"),
        ("[paths] | length", "10"),
        (".list[1] = 9 | .list | add", "13"),
        (".a |= with_entries(.value |= ascii_upcase) | .a.c", "Y"),
        ("del(.list[0]) | .list[0]", "2"),
        ("del(.list[0,1], .a.b, .a.x.y, .none[0]) | [.a, .list, .none] | tojson", "[{\"c\":\"y\"},[3],null]"),
        (".list | del(.[:1], .[-1]) | tojson", "[2]"),
        ("[[1,2,3],4] | del(.[0][1:][0], .[0][0]) | tojson", "[[3],4]"),
        ("delpaths([paths]) | tojson", "{}"),
        ("[.list[1.5], .list[1]] | tojson", "[null,2]"),
        (".q.r[2] = 1 | .q | tojson", "{\"r\":[null,null,1]}"),
        ("[limit(3; repeat(1))] | length", "3"),
        ("first(range(10; 20))", "10"),
        ("reduce .list[] as $n (0; . + $n)", "6"),
        (". as {a: {b: $x}, list: [$y]} | $x + ($y | tostring)", "x1"),
        ("try error(\"e\") catch .", "e"),
        ("label $out | 1, break $out", "1"),
        ("\"\\(.n) of \\(.a.b)\"", "3 of x"),
        ("@uri \"\\(.a.b)/\"", "x/"),
        (".n / 2 | floor", "1"),
        ("[.list[] as $x | $x + 1] | @csv", "2,3,4"),
        ("def twice(f): f | f; .n | twice(. + 1)", "5"),
        ("[.. | numbers] | length", "5"),
        (".a | has(\"b\")", "true"),
        ("1e17", "1e+17"),
    ] {
        let record = r#"{"a":{"b":"x","c":"y"},"list":[1,2,3],"date":"2024-05-06","n":3,"big":9007199254740993}"#;
        assert_eq!(ask(query, record), Ok(text.to_owned()), "{query}");
    }
}

#[test]
fn what_is_no_key_fails_with_a_reason() {
    assert_eq!(ask(".a", "{}"), Err(Refusal::Empty));
    assert_eq!(ask(".a", r#"{"a":""}"#), Err(Refusal::Empty));
    assert_eq!(ask("nan", "{}"), Err(Refusal::Empty));
    assert_eq!(ask(".a", r#"{"a":{}}"#), Err(Refusal::Container("k".to_owned())));
    assert_eq!(ask(".a, .b", r#"{"a":1,"b":2}"#), Err(Refusal::Results("more than one result")));
    assert_eq!(ask("empty", "{}"), Err(Refusal::Results("nothing")));
    assert!(matches!(ask(".a.b", r#"{"a":1}"#), Err(Refusal::Failed(_))));
    for record in ["", "[]", "1", "{}{}", "{\"a\":1} x", "{\"a\":\"\\ud800\"}", "nul"] {
        assert_eq!(ask("1", record), Err(Refusal::NotJson), "{record}");
    }
}

#[test]
fn impure_and_unbounded_queries_are_refused_when_they_are_compiled() {
    for name in
        ["now", "env", "$ENV", "input", "[inputs]", "debug", "stderr", "halt", "halt_error", "localtime", "$__loc__"]
    {
        assert!(refused(&format!("{{a: {name}}}")).contains("depend on the record alone"), "{name}");
    }
    assert!(refused("def f: f; f").contains("defines 'f' by itself"));
    assert!(refused("def f: def g: f; g; f").contains("defines 'f' by itself"));
    assert!(refused("{a: nonsense(1)}").contains("'nonsense' is not defined"));
    assert!(refused("{a: .b").contains("not valid jq"));
    assert!(refused("import \"a\" as a; {}").contains("not valid jq"));
    assert!(refused("").contains("not valid jq"));
    assert!(refused(&"(".repeat(5120)).contains("not valid jq"));
    assert!(refused(&format!("{}1{}", "[".repeat(2500), "]".repeat(2500))).contains("deep"));
    assert!(refused(&format!(".{}", "|.".repeat(2500))).contains("deep"));
    assert!(refused(&format!("1{}", "+1".repeat(2500))).contains("deep"));
    assert!(refused(&"-".repeat(5000)).contains("not valid jq"));
    assert!(refused(&format!("{}1", "-".repeat(5000))).contains("deep"));
    assert!(refused(&" ".repeat(5121)).contains("5120"));
}

#[test]
fn a_query_without_an_end_ends() {
    // Two MiB of stack, as the threads have that this runs on.
    let asked = thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(|| {
        let doubling = |times| vec!["(1,2)"; times].join("|");
        for query in [
            "[repeat(1)] | length",
            "last(repeat(1))",
            "[range(1e12)] | length",
            "last(range(0; 1; 0))",
            "until(false; .)",
            "last(while(true; .))",
            "[recurse(.)] | length",
            "last(recurse(. ; true))",
            "\"a\" * 1e12",
            "reduce range(60) as $i (\"a\"; . + .) | length",
            "reduce range(60) as $i (0; [., .]) | tojson | length",
            "reduce range(1e9) as $i (0; [.]) | 1",
            "path(reduce range(1e9) as $i (.; .a)) | length",
            "(reduce range(1e9) as $i (.; .)) |= 1 | 1",
            "setpath([range(1e9) | \"a\"]; 1) | 1",
            ".[1e12] = 1",
            "[.a[]?, 1] | .[1e9] = 1 | length",
            &format!("last({})", doubling(60)),
            &format!("[{} | select(. > 3)] | length", doubling(60)),
            "[limit(1e9; repeat(\"a\" * 1000))] | length",
            "[range(1e6)] | combinations(5)",
        ] {
            let asked = ask(query, "{\"a\":1}");
            assert!(matches!(asked, Err(Refusal::Exhausted | Refusal::Failed(_))), "{query}: {asked:?}");
        }
        // Patterns take time in proportion to the text, whatever they are.
        assert_eq!(ask("\"a\" * 10000 | test(\"(a*)*b\")", "{}"), Ok("false".to_owned()));
        // The thread is as good as before.
        assert_eq!(ask(".a", "{\"a\":1}"), Ok("1".to_owned()));
    });
    asked.unwrap().join().unwrap();
}

#[test]
fn the_deepest_records_and_queries_fit_the_stack() {
    let asked = thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(|| {
        let record = format!("{{\"a\":{}1{}}}", "[".repeat(254), "]".repeat(254));
        assert_eq!(ask("[..] | length", &record), Ok("256".to_owned()));
        assert_eq!(ask(".a | tojson | length", &record), Ok("509".to_owned()));
        assert_eq!(ask(". == . | tostring", &record), Ok("true".to_owned()));
        let chain = format!("1{}", "+1".repeat(115));
        assert_eq!(ask(&chain, "{}"), Ok("116".to_owned()));
    });
    asked.unwrap().join().unwrap();
}

fn arrived(records: &[String]) -> Arrived {
    let (mut bytes, mut sources) = (Vec::new(), Vec::new());
    for record in records {
        let start = u32::try_from(bytes.len()).unwrap();
        bytes.extend_from_slice(record.as_bytes());
        let span = Span { start, end: u32::try_from(bytes.len()).unwrap() };
        let identity = RecordIdentity { birth: Birth([1; 16]), offset: Offset(0), sub_index: 0 };
        sources.push(Source { span, arrival_ms: 7, identity });
    }
    Arrived { bytes: std::sync::Arc::new(bytes.into()), sources }
}

/// Keys or failure of each record.
fn extracted(mut extraction: Extraction, arrived: &Arrived, wanted: &Context) -> Vec<String> {
    let mut fates = Fates::default();
    let records = extraction.apply(Records::of(arrived, std::sync::Arc::clone(&wanted.wanted)), arrived, &mut fates);
    let mut told = vec![String::new(); arrived.sources.len()];
    for (at, (record, _)) in records.iter().enumerate() {
        told[record.origin.source as usize] = format!("{:?}", records.keys(at).collect::<Vec<_>>());
    }
    for failure in fates.failures {
        told[failure.origin.source as usize] = failure.message.into_owned();
    }
    told
}

fn members() -> impl Strategy<Value = String> {
    let scalars = select(vec![
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "-17",
        "123456789012345",
        "1234567890123456789",
        "1.0",
        "0.10",
        "1e3",
        "1E-7",
        "1e400",
        "01",
        "1.",
        "\"\"",
        "\"x\"",
        "\"null\"",
        "\"é\\n\"",
        "\"\\u0061\"",
        "\"\\ud83d\\ude00\"",
        "\"\\udc00\"",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "\"a\tb\"",
        "[]",
        "[1,{\"b\":2}]",
        "{}",
        "nope",
        "\"open",
    ]);
    let keys = select(vec!["a", "b", "c", "a_key_of_more_than_sixteen", "\\u0061", "d", "a\\\\", ""]);
    let value = scalars.prop_map(str::to_owned).prop_recursive(4, 24, 4, move |inner| {
        let key = keys.clone();
        let space = select(vec!["", "", "", " "]);
        proptest::collection::vec((key, space, inner), 0..5).prop_map(|members| {
            let members: Vec<_> =
                members.iter().map(|(key, space, value)| format!("\"{key}\"{space}:{value}")).collect();
            format!("{{{}}}", members.join(","))
        })
    });
    (value, select(vec!["", " ", "\n", "x", "{}"])).prop_map(|(value, behind)| format!("{value}{behind}"))
}

#[test]
fn what_stands_in_for_false_is_no_key_when_it_is_empty() {
    let wanted = [WantedKey { source: KeySource::Query, name: "k".to_owned() }];
    let context = Context { wanted: std::sync::Arc::from(wanted) };
    let arrived = arrived(&["{\"a\":false}".to_owned(), "{}".to_owned(), "{\"a\":1}".to_owned()]);
    let told = |query| extracted(Extraction::new(query, &context).unwrap(), &arrived, &context);
    let empty = "partitionKeys values must not be null or empty";
    assert_eq!(told("{k: .a // \"\"}"), [empty, empty, "[Some(\"1\")]"]);
    assert_eq!(told("{k: .a // \"x\"}"), ["[Some(\"x\")]", "[Some(\"x\")]", "[Some(\"1\")]"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn the_short_way_gives_what_the_interpreter_gives(
        records in proptest::collection::vec(members(), 1..30),
        outputs in proptest::collection::vec(
            select(vec![".a", ".b", ".a.b", ".a.b.c", ".c.a", ".\"a\\\\\"", ".a | tostring", ".b.a | tostring", ".a // \"x\"", ".c.a // \"\"", ".a.b // \"y\""]),
            1..4,
        ),
    ) {
        let members: Vec<_> = outputs.iter().enumerate().map(|(at, output)| format!("k{at}: {output}")).collect();
        let query = format!("{{{}}}", members.join(", "));
        let wanted = (0..outputs.len()).map(|at| WantedKey { source: KeySource::Query, name: format!("k{at}") });
        let context = Context { wanted: wanted.collect() };
        let short = Extraction::new(&query, &context).unwrap();
        prop_assert!(short.is_simple() || outputs.contains(&".\"a\\\\\""), "{}", query);
        let long = Extraction::new(&query, &context).unwrap().interpreted();
        let arrived = arrived(&records);
        prop_assert_eq!(extracted(short, &arrived, &context), extracted(long, &arrived, &context), "{} {:?}", query, records);
    }

    #[test]
    fn arbitrary_queries_never_panic(query in r#"[.a\[\]{}()|,:"\\$ 0-9+*/-]{0,24}"#) {
        if let Ok(query) = Query::compile(&query) {
            let _ = query.ask(b"{\"a\":[1,{\"b\":\"x\"}]}", &["a"]);
        }
    }
}
