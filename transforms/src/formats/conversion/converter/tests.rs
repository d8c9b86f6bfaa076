use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::super::SchemaSource;
use super::*;
use crate::formats::json::Deserializer;
use crate::formats::samples::Value;
use crate::formats::values::rows as values;
use crate::records::Raw;

const COLUMNS: &str = "id bigint, name string, score double, flag boolean, price decimal(10,2), day date, at timestamp, \
                       tags array<string>, counts map<string,int>, place struct<lat:double,name:string>";

fn table(columns: &str) -> TableSchema {
    TableSchema::from_ddl(&format!("CREATE TABLE t ({columns})")).expect("a table")
}

fn conversion(format: Format) -> Conversion {
    Conversion { schema: SchemaSource::Inferred, deserializer: Deserializer::default(), format }
}

/// Both formats, so that every value comes back as it went in.
fn conversions() -> [Conversion; 2] {
    let nanos = parquet::Options { timestamps: parquet::TimestampUnit::Nanos, ..parquet::Options::default() };
    [conversion(Format::Parquet(nanos)), conversion(Format::Orc(orc::Options::default()))]
}

fn converter(conversion: &Conversion, columns: &str) -> Converter {
    let table = table(columns);
    Converter::new(conversion, Some(&table), most_memory(conversion, Some(&table))).expect("a converter")
}

/// A record of one object, and the row that it is.
fn sample(id: i64) -> (String, Vec<Value>) {
    let text = |text: &str| Value::Text(text.to_owned());
    let (name, score, flag) = (format!("n\"{id}"), f64::from(i32::try_from(id).expect("small")) / 4.0, id % 3 == 0);
    let record = json!({
        "id": id, "NAME": name, "score": score, "flag": flag, "price": format!("{id}.25"), "day": "1970-01-03",
        "at": "1970-01-01 00:00:02.5", "tags": ["a", null, "b"], "counts": {"k": id}, "place": {"name": "here"},
        "other": {"x": [1, 2]}
    });
    let row = vec![
        Value::Int(id.into()),
        Value::Text(name),
        Value::Float(score),
        Value::Bool(flag),
        Value::Int(i128::from(id) * 100 + 25),
        Value::Int(2),
        Value::Int(2_500_000_000),
        Value::List(vec![text("a"), Value::Null, text("b")]),
        Value::Map(vec![(text("k"), Value::Int(id.into()))]),
        Value::Struct(vec![Value::Null, text("here")]),
    ];
    (record.to_string(), row)
}

fn file(conversion: &Conversion, columns: &str, records: &[String]) -> Vec<u8> {
    let mut converter = converter(conversion, columns);
    let mut out = Vec::new();
    for record in records {
        converter.push(record.as_bytes()).expect("a good record");
        converter.drain(&mut out).expect("drained");
    }
    converter.finish(&mut out).expect("finished");
    out
}

fn read(format: &Format, file: &[u8]) -> Vec<RecordBatch> {
    let bytes = Bytes::copy_from_slice(file);
    match format {
        Format::Parquet(_) => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a Parquet file").build();
            reader.expect("readable").collect::<Result<_, _>>().expect("whole")
        }
        Format::Orc(_) => {
            let reader = orc_rust::ArrowReaderBuilder::try_new(bytes).expect("an ORC file").build();
            reader.collect::<Result<_, _>>().expect("whole")
        }
    }
}

fn origin() -> Origin {
    Origin { source: 3, part: 1, raw: Raw::Arrived }
}

/// Text that hardly packs, the same for the same number.
fn chance(at: u64) -> String {
    format!("{:032x}", u128::from(at).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
}

#[test]
fn what_goes_in_as_json_is_read_back_from_the_file() {
    let (records, rows): (Vec<_>, Vec<_>) = (0..3_000).map(sample).unzip();
    let wanted: Vec<_> = rows.iter().map(|row| format!("{row:?}")).collect();
    for conversion in conversions() {
        let file = file(&conversion, COLUMNS, &records);
        assert_eq!(values(&read(&conversion.format, &file)), wanted, "{:?}", conversion.format);
    }
}

#[test]
fn each_object_of_a_record_is_a_row() {
    for conversion in conversions() {
        let mut converter = converter(&conversion, "a int");
        assert_eq!(converter.push(b"{\"a\":1}{\"a\":2}\n {\"A\":3}"), Ok(3));
        assert_eq!(converter.push(b"{\"b\":1}"), Ok(1));
        assert_eq!(converter.rows(), 4);
        let mut out = Vec::new();
        converter.finish(&mut out).expect("finished");
        assert_eq!(values(&read(&conversion.format, &out)), ["[Int(1)]", "[Int(2)]", "[Int(3)]", "[Null]"]);
    }
}

#[test]
fn bad_records_leave_no_trace_among_good_ones() {
    for conversion in conversions() {
        let (good, rows): (Vec<_>, Vec<_>) = (0..2_500).map(sample).unzip();
        let bad = ["", "[{\"id\":1}]", "{\"id\":", "{\"id\":7}{\"id\":\"x\"}", "\u{7f}", "{\"place\":{\"lat\":[]}}"];
        let mut converter = converter(&conversion, COLUMNS);
        let mut out = Vec::new();
        for (record, at) in good.iter().zip(0..) {
            let refused = converter.push(bad[at % bad.len()].as_bytes());
            assert!(refused.is_err(), "{refused:?} of {:?}", bad[at % bad.len()]);
            assert_eq!(converter.push(record.as_bytes()), Ok(1));
            converter.drain(&mut out).expect("drained");
        }
        converter.finish(&mut out).expect("finished");
        assert_eq!(converter.rows(), 2_500);
        let wanted: Vec<_> = rows.iter().map(|row| format!("{row:?}")).collect();
        assert_eq!(values(&read(&conversion.format, &out)), wanted);
        assert!(out == file(&conversion, COLUMNS, &good), "bad records changed the bytes of the file");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn equal_records_make_equal_bytes_whenever_they_are_drained(
        drains in prop::collection::vec(1..1_500_usize, 0..6),
        lengths in prop::collection::vec(prop_oneof![9 => 0..50_usize, 1 => 0..6_000_usize], 40),
        objects in 1..5_usize,
    ) {
        // Up to four objects a record, a few records of which are a good part of a batch.
        let records: Vec<_> = (0..2_400_u64).map(|at| {
            let count = usize::try_from(at).unwrap();
            let length = if count % 60 == 0 { lengths[count / 60] } else { count % 30 };
            let object = json!({"id": at, "name": (0..length as u64).map(|part| chance(at << 16 | part)).collect::<String>()});
            object.to_string().repeat(1 + count % objects)
        }).collect();
        let table = table("id bigint, name string");
        for conversion in conversions() {
            // Little memory, so that parts of the file are closed where batches end.
            let open = || Converter::new(&conversion, Some(&table), 5 << 20).expect("a converter");
            let mut whole = Vec::new();
            let mut converter = open();
            for record in &records {
                converter.push(record.as_bytes()).expect("a good record");
                converter.drain(&mut whole).expect("drained");
            }
            prop_assert!(!whole.is_empty(), "no part was closed early");
            converter.finish(&mut whole).expect("finished");
            // The caller's buffer holds other bytes, and is taken away in between; large records are refused.
            let refused = "{\"id\":1}".repeat(4_000) + "!";
            let (mut out, mut made) = (b"before".to_vec(), Vec::new());
            let mut converter = open();
            for (record, at) in records.iter().zip(1..) {
                converter.push(record.as_bytes()).expect("a good record");
                if at % 50 == 0 {
                    prop_assert!(converter.push(refused.as_bytes()).is_err());
                }
                if drains.iter().any(|drain| at % drain == 0) {
                    converter.drain(&mut out).expect("drained");
                    made.append(&mut out);
                }
            }
            converter.finish(&mut out).expect("finished");
            made.append(&mut out);
            prop_assert!(made.strip_prefix(b"before") == Some(whole.as_slice()));
        }
    }

    #[test]
    fn any_bytes_are_taken_whole_or_refused_whole(
        records in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "[ {}\\[\\]:,\"a1nul.e-]{0,40}".prop_map(String::into_bytes),
                (0..100_i64, 0..120_usize, any::<u8>()).prop_map(|(id, at, byte)| {
                    let mut record = sample(id).0.into_bytes();
                    let at = at % record.len();
                    record[at] = byte;
                    record
                }),
            ],
            0..40,
        ),
    ) {
        for conversion in conversions() {
            let mut converter = converter(&conversion, COLUMNS);
            let (mut rows, mut out) = (0, Vec::new());
            for record in &records {
                rows += match converter.push(record) {
                    Ok(taken) => taken as u64,
                    Err(error) => {
                        let failure = failure(&error, origin());
                        prop_assert!(failure.code.starts_with("DataFormatConversion."));
                        0
                    }
                };
                prop_assert_eq!(converter.rows(), rows);
            }
            converter.finish(&mut out).expect("finished");
            let read: usize = read(&conversion.format, &out).iter().map(RecordBatch::num_rows).sum();
            prop_assert_eq!(read as u64, rows);
        }
    }
}

#[test]
fn a_file_of_no_rows_is_a_file() {
    for conversion in conversions() {
        let file = file(&conversion, COLUMNS, &[]);
        assert_eq!(read(&conversion.format, &file).iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    }
}

#[test]
fn rows_are_never_lost_silently_behind_the_end() {
    for conversion in conversions() {
        let mut out = Vec::new();
        let mut ended = converter(&conversion, "a int");
        ended.finish(&mut out).expect("finished");
        assert!(matches!(ended.finish(&mut out), Err(FormatError::Finished)));
        assert_eq!(ended.push(b"{\"a\":1}"), Ok(1));
        assert!(matches!(ended.finish(&mut out), Err(FormatError::Finished)));
    }
}

#[test]
fn batches_are_cut_by_rows_by_bytes_and_by_columns() {
    let parquet = &conversions()[0];
    let cuts = |columns: &str, record: &str, count: usize| {
        let mut converter = converter(parquet, columns);
        (1..=count)
            .find(|_| {
                converter.push(record.as_bytes()).expect("a good record");
                !converter.ready.is_empty()
            })
            .expect("a batch")
    };
    assert_eq!(cuts("a int", "{}", 2_000), 1_024);
    assert_eq!(cuts("a int", "{}{}{}{}", 2_000), 256);
    let long = json!({"a": "x".repeat(100 * 1024)}).to_string();
    assert_eq!(cuts("a string", &long, 2_000), 11);
    let wide: Vec<_> = (0..2_048).map(|at| format!("c{at} int")).collect();
    assert_eq!(cuts(&wide.join(","), "{}", 2_000), 128);
}

#[test]
fn no_more_memory_is_held_than_was_granted() {
    let (table, granted) = (table(COLUMNS), 8 << 20);
    for conversion in conversions() {
        assert!(granted < most_memory(&conversion, Some(&table)));
        let mut converter = Converter::new(&conversion, Some(&table), granted).expect("a converter");
        let (mut out, mut most) = (Vec::new(), 0);
        for id in 0..6_000 {
            let name: String = (0..64).map(|at| chance(id * 64 + at)).collect();
            converter.push(json!({"id": id, "name": name}).to_string().as_bytes()).expect("a good record");
            if id % 64 == 0 {
                most = most.max(converter.memory_bytes());
            }
            converter.drain(&mut out).expect("drained");
        }
        assert!(most <= granted, "{most} of {granted} bytes, {:?}", conversion.format);
        // Else the limit was not reached, and the test would tell nothing.
        assert!(out.len() > granted / 2, "no part of the file was closed early, {:?}", conversion.format);
    }
}

#[test]
fn a_failure_has_aws_s_code_and_words_and_names_the_column() {
    let told = |columns: &str, record: &str| {
        let error = converter(&conversions()[0], columns).push(record.as_bytes()).expect_err("refused");
        failure(&error, origin())
    };
    assert_eq!(
        told("a struct<b:int>", "{\"a\":{\"b\":\"oops\"}}"),
        Failure {
            origin: origin(),
            output: ErrorOutput::FormatConversion,
            code: "DataFormatConversion.MalformedData".into(),
            message: "Data does not match the schema. For input string: \"oops\" (column a.b)".into(),
            attempts: 1,
            raw: None,
        }
    );
    let not_json = told("a int", "{\"a\":}");
    assert_eq!(not_json.code, "DataFormatConversion.ParseError");
    assert!(not_json.message.starts_with("Encountered malformed JSON. "), "{}", not_json.message);
    assert!(!not_json.message.contains("(column"), "{}", not_json.message);
}

#[test]
fn a_bloom_filter_for_no_column_is_refused_at_the_beginning() {
    let options = orc::Options { bloom_filter_columns: vec!["b".to_owned()], ..orc::Options::default() };
    let conversion = conversion(Format::Orc(options));
    let refused = Converter::new(&conversion, Some(&table("a int")), usize::MAX).err().expect("refused");
    assert!(matches!(refused, FormatError::Option { field: "BloomFilterColumns", .. }), "{refused}");
}

#[test]
fn hive_s_rules_and_formats_hold_where_they_are_configured() {
    let configuration = json!({
        "InputFormatConfiguration": {"Deserializer": {"HiveJsonSerDe": {"TimestampFormats": ["dd.MM.yyyy"]}}},
        "OutputFormatConfiguration": {"Serializer": {"OrcSerDe": {}}},
    });
    let conversion = super::super::parse(&configuration, false).expect("valid").expect("enabled");
    let mut converter = converter(&conversion, "n int, at timestamp");
    let error = converter.push(b"{\"n\":\"1\"}").expect_err("text is no number");
    assert_eq!(error.message, "Current token (VALUE_STRING) not numeric, can not use numeric value accessors");
    converter.push(b"{\"n\":1,\"at\":\"02.01.1970\"}").expect("a good record");
    let mut out = Vec::new();
    converter.finish(&mut out).expect("finished");
    assert_eq!(values(&read(&conversion.format, &out)), ["[Int(1), Int(86400000000000)]"]);
}

#[test]
fn while_no_table_is_known_each_record_is_refused_for_what_is_wrong_with_it() {
    for conversion in conversions() {
        let mut converter = Converter::new(&conversion, None, most_memory(&conversion, None)).expect("a converter");
        let refused =
            |converter: &mut Converter, record: &str| converter.push(record.as_bytes()).expect_err("refused").code;
        assert_eq!(refused(&mut converter, "{"), "DataFormatConversion.ParseError");
        assert_eq!(refused(&mut converter, "[1]"), "DataFormatConversion.MalformedData");
        assert_eq!(refused(&mut converter, "{}"), "DataFormatConversion.InvalidSchema");
        assert_eq!(converter.rows(), 0);
    }
}
