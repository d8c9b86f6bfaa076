//! What every processor of the table must keep, whatever the bytes.

use std::sync::Arc;

use hydrant_model::{Birth, Expression, KeySource, Namespaces, Offset, RecordIdentity};
use hydrant_transforms::processors::{Chain, Context, Facts, PROCESSORS, Transform, decompression, parse};
use hydrant_transforms::records::{Arrived, Fates, Raw, Records, Source, Span, WantedKey};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{functions, held};

/// Every way to configure each processor of the table. A processor without a way fails the first test.
fn ways() -> Vec<(&'static str, Value)> {
    let functions = functions::FUNCTIONS.iter().map(|name| ("Lambda", json!({ "LambdaArn": name })));
    let ways = [
        ("Decompression", json!({"CompressionFormat": "GZIP"})),
        ("CloudWatchLogProcessing", json!({"DataMessageExtraction": "true"})),
        ("CloudWatchLogProcessing", json!({"DataMessageExtraction": "false"})),
        ("RecordDeAggregation", json!({"SubRecordType": "JSON"})),
        ("RecordDeAggregation", json!({"SubRecordType": "DELIMITED", "Delimiter": "IyM="})),
        ("MetadataExtraction", json!({"MetadataExtractionQuery": "{k: .k}"})),
        ("MetadataExtraction", json!({"MetadataExtractionQuery": "{k: (.k | ascii_downcase)}"})),
        ("AppendDelimiterToRecord", json!({})),
        ("AppendDelimiterToRecord", json!({"Delimiter": "\\r\\n"})),
    ];
    ways.into_iter().chain(functions).collect()
}

fn chain(processors: &[(&str, Value)]) -> Chain {
    let listed: Vec<_> = processors
        .iter()
        .map(|(kind, parameters)| {
            let parameters: Vec<_> = parameters
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| json!({"ParameterName": name, "ParameterValue": value}))
                .collect();
            json!({"Type": kind, "Parameters": parameters})
        })
        .collect();
    let partitioned = processors.iter().any(|(kind, _)| *kind == "MetadataExtraction");
    let source = if partitioned { "!{partitionKeyFromQuery:k}/" } else { "" };
    let prefix = Expression::parse(source, Namespaces::Prefix { dynamic_partitioning: partitioned }).unwrap();
    let facts = Facts { dynamic_partitioning: partitioned, prefix: &prefix, strict: false };
    parse(&json!({"Enabled": true, "Processors": listed}), facts).unwrap()
}

/// A single processor, which need not be allowed to stand alone.
fn alone(kind: &str, parameters: &Value) -> Box<dyn Transform> {
    if kind == "Lambda" {
        return functions::build(parameters["LambdaArn"].as_str().unwrap());
    }
    let all = match kind {
        "CloudWatchLogProcessing" => {
            chain(&[("Decompression", json!({"CompressionFormat": "GZIP"})), (kind, parameters.clone())])
        }
        _ => chain(&[(kind, parameters.clone())]),
    };
    let (spec, parameters) = all.processors.last().unwrap();
    let context = Context { wanted: wanted() };
    (spec.build.unwrap())(parameters, &context).unwrap()
}

fn wanted() -> Arc<[WantedKey]> {
    [(KeySource::Query, "k"), (KeySource::Lambda, "country")]
        .map(|(source, name)| WantedKey { source, name: name.to_owned() })
        .into()
}

fn arrived(records: &[Vec<u8>]) -> Arrived {
    let (mut bytes, mut sources) = (b"before".to_vec(), Vec::new());
    for (record, offset) in records.iter().zip(5..) {
        let start = u32::try_from(bytes.len()).unwrap();
        bytes.extend_from_slice(record);
        let span = Span { start, end: u32::try_from(bytes.len()).unwrap() };
        let identity = RecordIdentity { birth: Birth([1; 16]), offset: Offset(offset), sub_index: 0 };
        sources.push(Source { span, arrival_ms: 7, identity });
    }
    Arrived { bytes: Arc::new(bytes.into()), sources }
}

type Keys = Vec<Option<String>>;

/// Everything that can be seen of what a list of processors makes of records.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    /// Source, part, bytes and keys.
    records: Vec<(u32, u32, Vec<u8>, Keys)>,
    /// Source, part, and the bytes that an entry shows.
    failures: Vec<(u32, u32, Vec<u8>)>,
    dropped: u64,
}

fn run(transforms: &mut [Box<dyn Transform>], records: &[Vec<u8>]) -> Outcome {
    let mut arrived = arrived(records);
    let mut outcome = Outcome::default();
    let mut before = 0;
    loop {
        let left = run_lot(transforms, &mut arrived, before, &mut outcome);
        before += u32::try_from(arrived.sources.len()).unwrap();
        match left {
            Some(left) => arrived = left,
            None => return outcome,
        }
    }
}

/// Takes the next of `arrived`, `before` which so many came, through processors; what they leave.
fn run_lot(
    transforms: &mut [Box<dyn Transform>],
    arrived: &mut Arrived,
    before: u32,
    outcome: &mut Outcome,
) -> Option<Arrived> {
    let mut moving = Records::of(arrived, wanted());
    let mut rest = None;
    for (at, transform) in transforms.iter_mut().enumerate() {
        let mut fates = Fates::default();
        moving = transform.apply(moving, arrived, &mut fates);
        if fates.left > 0 {
            assert!(at == 0 && fates.left < arrived.sources.len(), "{} left by processor {at}", fates.left);
            let left = arrived.split_off(fates.left);
            assert_eq!(fates.left_bytes, left.sources.iter().map(|source| source.span.len()).sum::<usize>());
            rest = Some(left);
        }
        for failure in fates.failures {
            assert!(!failure.code.is_empty() && !failure.message.is_empty() && failure.attempts >= 1);
            assert!(failure.attempts == 1 || failure.code.starts_with("Lambda."), "{failure:?}");
            let raw = failure.raw.clone().unwrap_or_else(|| moving.raw(arrived, failure.origin).to_vec());
            outcome.failures.push((before + failure.origin.source, failure.origin.part, raw));
        }
        outcome.dropped += fates.dropped;
    }
    for (at, (record, bytes)) in moving.iter().enumerate() {
        let keys = moving.keys(at).map(|key| key.map(str::to_owned)).collect();
        outcome.records.push((before + record.origin.source, record.origin.part, bytes.to_vec(), keys));
        if record.origin.raw == Raw::Arrived {
            assert_eq!(moving.raw(arrived, record.origin), arrived.record(record.origin.source));
        }
    }
    rest
}

/// Each record goes one way, results keep their order, failures show what arrived, and neither a second time nor other
/// batches give anything else.
fn keeps_the_promise(kind: &str, parameters: &Value, records: &[Vec<u8>], cuts: &[usize]) {
    let name = format!("{kind} {parameters}");
    let mut transform = [alone(kind, parameters)];
    let outcome = in_order(run(&mut transform, records));
    assert_eq!(in_order(run(&mut transform, records)), outcome, "{name}: the second time");
    assert_eq!(in_order(run(&mut [alone(kind, parameters)], records)), outcome, "{name}: another one");

    let mut ways = vec![0; records.len()];
    let mut last = None;
    for (source, part, ..) in &outcome.records {
        assert!(last.is_none_or(|last| last < (*source, *part)), "{name}: order");
        if last.is_none_or(|(last, _)| last != *source) {
            ways[*source as usize] += 1;
        }
        last = Some((*source, *part));
    }
    for (source, _, raw) in &outcome.failures {
        ways[*source as usize] += 1;
        assert!(raw == &records[*source as usize], "{name}: raw bytes");
    }
    assert!(ways.iter().all(|ways| *ways <= 1), "{name}: {ways:?}");
    let gone = ways.iter().filter(|ways| **ways == 0).count();
    assert_eq!(gone as u64, outcome.dropped, "{name}: what is in neither was dropped");

    // One by one, and in batches of any size, gives what all at once gave: a processor is a function of each record.
    let every: Vec<usize> = (0..records.len()).collect();
    for cuts in [&every[..], cuts] {
        assert!(in_batches(&mut transform, records, cuts) == outcome, "{name}: cut at {cuts:?}");
    }
}

/// Failures in the order of their records: a function that is asked again finds them in another one.
fn in_order(mut outcome: Outcome) -> Outcome {
    outcome.failures.sort_by_key(|(source, part, _)| (*source, *part));
    outcome
}

fn in_batches(transform: &mut [Box<dyn Transform>], records: &[Vec<u8>], cuts: &[usize]) -> Outcome {
    let mut ends: Vec<usize> = cuts.iter().copied().filter(|cut| *cut < records.len()).collect();
    ends.push(records.len());
    ends.sort_unstable();
    let (mut all, mut from) = (Outcome::default(), 0);
    for end in ends {
        let one = in_order(run(transform, &records[from..end]));
        let moved = |source| source + u32::try_from(from).unwrap();
        let went_on = one.records.into_iter();
        all.records.extend(went_on.map(|(source, part, bytes, keys)| (moved(source), part, bytes, keys)));
        let failed = one.failures.into_iter();
        all.failures.extend(failed.map(|(source, part, raw)| (moved(source), part, raw)));
        all.dropped += one.dropped;
        from = end;
    }
    all
}

#[test]
fn every_processor_of_the_table_is_tried() {
    for spec in PROCESSORS {
        assert!(ways().iter().any(|(kind, _)| *kind == spec.name), "{}", spec.name);
    }
    let order: Vec<_> = PROCESSORS.iter().map(|spec| spec.kind).collect();
    assert!(order.is_sorted(), "the table is in the order of the pipeline");
}

#[test]
fn nothing_makes_nothing() {
    for (kind, parameters) in ways() {
        assert_eq!(run(&mut [alone(kind, &parameters)], &[]), Outcome::default(), "{kind}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn envelope(kind: &str, messages: &[&str]) -> Vec<u8> {
    let events: Vec<_> =
        messages.iter().map(|message| json!({"id": "1", "timestamp": 1, "message": message})).collect();
    json!({"messageType": kind, "owner": "1", "logGroup": "g", "logStream": "s", "subscriptionFilters": [], "logEvents": events})
        .to_string()
        .into_bytes()
}

fn interesting() -> impl Strategy<Value = Vec<u8>> {
    let sound = prop_oneof![
        Just(br#"{"k":"V"}"#.to_vec()),
        Just(br#"{"k":"a"} {"k":"b"}{"k":1}"#.to_vec()),
        Just(br#"{"k":null}"#.to_vec()),
        Just(b"[1,2]".to_vec()),
        Just(b"a##b####c".to_vec()),
        Just(b"##".to_vec()),
        Just(b"!a function dies of it".to_vec()),
        Just(b"-dropped".to_vec()),
        Just(b"?refused".to_vec()),
        Just(br#"{"page":"/a/b","country":"DE"}"#.to_vec()),
        Just(br#"{"page":"/a/b","country":""}"#.to_vec()),
        Just(Vec::new()),
        Just(b"{}".repeat(501)),
        Just(envelope("DATA_MESSAGE", &["one", "two\n"])),
        Just(envelope("CONTROL_MESSAGE", &["probe"])),
        Just(gzip(&envelope("DATA_MESSAGE", &["packed"]))),
        Just([gzip(b"one"), gzip(b"two")].concat()),
    ];
    (sound, vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)).prop_map(|(mut record, bent)| {
        for (at, byte) in bent {
            if !record.is_empty() {
                let at = at.index(record.len());
                record[at] = byte;
            }
        }
        record
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn bent_records_keep_the_promise(records in vec(interesting(), 0..12), cuts in vec(0_usize..12, 0..4)) {
        for (kind, parameters) in ways() {
            keeps_the_promise(kind, &parameters, &records, &cuts);
        }
    }

    #[test]
    fn arbitrary_bytes_keep_the_promise(records in vec(vec(any::<u8>(), 0..60), 0..8), cuts in vec(0_usize..8, 0..3)) {
        for (kind, parameters) in ways() {
            keeps_the_promise(kind, &parameters, &records, &cuts);
        }
    }
}

#[test]
fn the_emptiest_and_the_largest_records_keep_the_promise() {
    const LARGEST: usize = 1024 * 1024;
    let filled = |head: &[u8], byte: u8, tail: &[u8]| {
        let mut record = head.to_vec();
        record.resize(LARGEST - tail.len(), byte);
        record.extend_from_slice(tail);
        record
    };
    let records = [
        Vec::new(),
        filled(br#"{"k":""#, b'k', br#""}"#),
        filled(br#"{"page":"/"#, b'p', br#"","country":"DE"}"#),
        filled(b"", b'[', b""),
        filled(b"", 0xFF, b""),
        Vec::new(),
        filled(b"!", 0, b""),
        filled(b"-", b' ', b""),
        filled(b"", b'\n', b"{}"),
        filled(b"", b'#', b""),
        gzip(&filled(b"", b'z', b"")),
        b"\xC3\x28".to_vec(),
        b"{\"k\":\"\xED\xA0\x80\"}".to_vec(),
        b"\xEF\xBB\xBF{\"k\":\"v\"}".to_vec(),
        b"\0".to_vec(),
        Vec::new(),
    ];
    for (kind, parameters) in ways() {
        keeps_the_promise(kind, &parameters, &records, &[1, 3, 4, 9]);
    }
}

#[test]
fn records_are_taken_apart_and_keyed_in_the_order_of_the_pipeline() {
    let all = chain(&[
        ("AppendDelimiterToRecord", json!({"Delimiter": "|"})),
        ("MetadataExtraction", json!({"MetadataExtractionQuery": "{k: .k}"})),
        ("RecordDeAggregation", json!({"SubRecordType": "JSON"})),
    ]);
    let (mut transforms, after) = all.build().unwrap();
    assert!(after.is_empty());
    let records = [br#"{"k":"a"}{"k":null} {"k":2}"#.to_vec(), b"[]".to_vec(), br#"{"k":true}"#.to_vec()];
    let outcome = run(&mut transforms, &records);
    let key = |key: &str| vec![Some(key.to_owned()), None];
    assert_eq!(
        outcome.records,
        [
            (0, 0, br#"{"k":"a"}|"#.to_vec(), key("a")),
            (0, 2, br#"{"k":2}|"#.to_vec(), key("2")),
            (2, 0, br#"{"k":true}|"#.to_vec(), key("true")),
        ]
    );
    // The part that fails shows itself, the record that cannot be taken apart all of it.
    assert_eq!(outcome.failures, [(1, 0, b"[]".to_vec()), (0, 1, br#"{"k":null}"#.to_vec())]);
}

#[test]
fn entries_show_the_packed_record_and_the_part_of_an_unpacked_one() {
    let all = chain(&[
        ("Decompression", json!({"CompressionFormat": "GZIP"})),
        ("MetadataExtraction", json!({"MetadataExtractionQuery": "{k: .k}"})),
    ]);
    let packed = gzip(br#"{"k":null}"#);
    let outcome = run(&mut all.build().unwrap().0, &[packed.clone(), b"plain".to_vec()]);
    assert_eq!(outcome.failures, [(1, 0, b"plain".to_vec()), (0, 0, packed)]);

    let all = chain(&[
        ("Decompression", json!({"CompressionFormat": "GZIP"})),
        ("CloudWatchLogProcessing", json!({"DataMessageExtraction": "true"})),
        ("RecordDeAggregation", json!({"SubRecordType": "JSON"})),
        ("MetadataExtraction", json!({"MetadataExtractionQuery": "{k: .k}"})),
    ]);
    let packed = gzip(&envelope("DATA_MESSAGE", &[r#"{"k":"x"}"#, r#"{"k":""}"#]));
    let control = gzip(&envelope("CONTROL_MESSAGE", &[]));
    let outcome = run(&mut all.build().unwrap().0, &[packed, control]);
    assert_eq!(outcome.dropped, 1);
    assert_eq!(outcome.records, [(0, 0, br#"{"k":"x"}"#.to_vec(), vec![Some("x".to_owned()), None])]);
    assert_eq!(outcome.failures, [(0, 1, br#"{"k":""}"#.to_vec())]);
}

#[test]
fn a_bomb_fails_and_what_is_large_but_allowed_passes() {
    let mut transform = [alone("Decompression", &json!({"CompressionFormat": "GZIP"}))];
    let (allowed, bomb) = (vec![b'a'; 10 * 1024 * 1024], vec![b'a'; 10 * 1024 * 1024 + 1]);
    let records = [gzip(&bomb), gzip(&allowed), gzip(b"")];
    let outcome = run(&mut transform, &records);
    assert_eq!(outcome.failures, [(0, 0, records[0].clone())]);
    let lengths: Vec<_> = outcome.records.iter().map(|(source, _, bytes, _)| (*source, bytes.len())).collect();
    assert_eq!(lengths, [(1, allowed.len()), (2, 0)]);
}

#[test]
fn sixty_four_large_records_are_unpacked_a_lot_at_a_time() {
    let mut decompression = alone("Decompression", &json!({"CompressionFormat": "GZIP"}));
    let packed = gzip(&vec![b'a'; decompression::MOST_BYTES]);
    let mut waiting = arrived(&vec![packed; 64]);
    let mut calls = 0;
    while !waiting.sources.is_empty() {
        let mut fates = Fates::default();
        let held = held::most(|| {
            let records = decompression.apply(Records::of(&waiting, wanted()), &waiting, &mut fates);
            assert_eq!((records.len(), records.bytes()), (1, decompression::MOST_BYTES));
        });
        assert!(held <= decompression::MEMORY_BYTES, "{held} bytes held");
        waiting = waiting.split_off(fates.left);
        calls += 1;
    }
    assert_eq!(calls, 64);
}

#[test]
fn five_hundred_parts_are_taken_and_one_more_is_not() {
    for (kind, part) in [("JSON", &b"{}"[..]), ("DELIMITED", b"x##")] {
        let mut transform = [alone("RecordDeAggregation", &json!({"SubRecordType": kind, "Delimiter": "IyM="}))];
        let outcome = run(&mut transform, &[part.repeat(500), part.repeat(501)]);
        assert_eq!(outcome.records.len(), 500, "{kind}");
        assert_eq!(outcome.failures, [(1, 0, part.repeat(501))], "{kind}");
    }
}
