use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow_schema::{DataType, Field, TimeUnit};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use parquet::schema::printer::print_schema;
use proptest::prelude::*;

use super::*;
use crate::formats::values::{below_nulls, file, numbers, rows as values};
use crate::formats::{arrays, samples};

#[test]
fn every_type_nesting_and_extreme_is_read_back_in_every_compression_and_version() {
    let schema = samples::schema();
    let nanos = Options { timestamps: TimestampUnit::Nanos, ..Options::default() };
    for (compression, version) in [
        (Compression::Uncompressed, WriterVersion::V1),
        (Compression::Uncompressed, WriterVersion::V2),
        (Compression::Gzip, WriterVersion::V1),
        (Compression::Snappy, WriterVersion::V1),
        (Compression::Snappy, WriterVersion::V2),
    ] {
        let options = Options { compression, writer_version: version, ..nanos.clone() };
        for rows in [0, 1, 500] {
            let batch = arrays::batch(&schema, &samples::rows(7, rows));
            let file = written(&schema, &options, usize::MAX, std::slice::from_ref(&batch));
            assert_eq!(values(&read(&file)), values(&[batch]), "{options:?}, {rows} rows");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_rows_in_any_batches_are_read_back(seed: u64, cuts in prop::collection::vec(0..40_usize, 1..4)) {
        let schema = samples::schema();
        let whole = arrays::batch(&schema, &samples::rows(seed, 40));
        // Slices share their buffers, and begin anywhere in them.
        let batches: Vec<_> = cuts.iter().map(|cut| whole.slice(*cut, 40 - cut)).collect();
        let file = written(&schema, &Options { timestamps: TimestampUnit::Nanos, ..Options::default() }, usize::MAX, &batches);
        prop_assert_eq!(values(&read(&file)), values(&batches));
    }
}

#[test]
fn what_lies_below_a_null_is_not_written() {
    let (schema, batches, wanted) = below_nulls();
    let read = values(&read(&written(
        &schema,
        &Options { timestamps: TimestampUnit::Nanos, ..Options::default() },
        usize::MAX,
        &batches,
    )));
    assert_eq!(read, wanted);
}

#[test]
fn the_schema_is_that_of_hive() {
    let schema = samples::schema();
    let file = written(&schema, &Options::default(), usize::MAX, &[]);
    let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
    let mut printed = Vec::new();
    print_schema(&mut printed, reader.metadata().file_metadata().schema());
    assert_eq!(String::from_utf8(printed).unwrap(), HIVE_SCHEMA);
    assert_eq!(reader.metadata().file_metadata().created_by(), Some(crate::formats::CREATED_BY));
}

#[test]
fn microseconds_are_cut_off_towards_the_past_at_any_depth() {
    let nanos: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![Some(-1), Some(1_999), None, Some(i64::MIN)]));
    let field = Field::new("at", nanos.data_type().clone(), true);
    let inner = arrow_array::StructArray::new(vec![field].into(), vec![nanos], None);
    let outer = Field::new("outer", inner.data_type().clone(), true);
    let schema = Arc::new(Schema::new(vec![outer]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(inner)]).unwrap();
    let read = read(&written(&schema, &Options::default(), usize::MAX, &[batch]));
    let read = read[0].column(0).as_struct().column(0).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(read.iter().collect::<Vec<_>>(), [Some(-1), Some(1), None, Some(-9_223_372_036_854_776)]);
}

#[test]
fn row_groups_close_at_the_memory_limit_and_come_out_at_once() {
    let (schema, batches) = numbers(200_000);
    let limit = 3 * MIB / 2;
    let options = Options { compression: Compression::Uncompressed, ..Options::default() };
    let mut writer = open(&schema, &options, limit).unwrap();
    let mut out = Vec::new();
    let mut sizes = Vec::new();
    for batch in &batches {
        let before = out.len();
        writer.write(batch, &mut out).unwrap();
        assert!(writer.memory_bytes() <= limit, "{} bytes held", writer.memory_bytes());
        if out.len() > before + 4 {
            sizes.push(out.len() - before);
        }
    }
    assert!(sizes.len() >= 2, "row groups of {sizes:?} bytes came out before the end");
    writer.finish(&mut out).unwrap();
    assert_eq!(values(&read(&out)), values(&batches));
    let reader = SerializedFileReader::new(Bytes::from(out)).unwrap();
    assert!(reader.metadata().num_row_groups() > sizes.len());
}

#[test]
fn what_is_in_the_callers_buffer_stays_there() {
    let (schema, batches) = numbers(20_000);
    let mut writer = open(&schema, &Options::default(), MIB).unwrap();
    let mut out = b"before".to_vec();
    for batch in &batches {
        writer.write(batch, &mut out).unwrap();
    }
    writer.finish(&mut out).unwrap();
    assert_eq!(out.get(..10), Some(b"beforePAR1".as_slice()));
    assert_eq!(values(&read(&out[6..])), values(&batches));
}

#[test]
fn columns_get_a_dictionary_if_their_first_values_repeat() {
    let (schema, batches) = numbers(20_000);
    let used = |options: &Options| -> Vec<bool> {
        let file = SerializedFileReader::new(Bytes::from(written(&schema, options, usize::MAX, &batches))).unwrap();
        let columns = file.metadata().row_group(0).columns().iter();
        columns
            .map(|column| {
                column
                    .encodings()
                    .any(|encoding| encoding == Encoding::RLE_DICTIONARY || encoding == Encoding::PLAIN_DICTIONARY)
            })
            .collect()
    };
    assert_eq!(used(&Options::default()), [false, true, false]);
    assert_eq!(used(&Options { enable_dictionary_compression: Some(true), ..Options::default() }), [true; 3]);
    assert_eq!(used(&Options { enable_dictionary_compression: Some(false), ..Options::default() }), [false; 3]);
}

#[test]
fn every_row_group_has_true_statistics() {
    let (schema, batches) = numbers(50_000);
    let file = written(&schema, &Options::default(), MIB, &batches);
    let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
    let mut next = 0;
    for group in reader.metadata().row_groups() {
        let Some(Statistics::Int64(ids)) = group.column(0).statistics() else { panic!("an int64 has statistics") };
        assert_eq!((ids.min_opt(), ids.max_opt()), (Some(&next), Some(&(next + group.num_rows() - 1))));
        assert_eq!(ids.null_count_opt(), Some(0));
        next += group.num_rows();
    }
    assert_eq!(next, 50_000);
}

#[test]
fn the_same_batches_make_the_same_bytes() {
    let (schema, batches) = numbers(30_000);
    let once = written(&schema, &Options::default(), MIB, &batches);
    assert_eq!(once, written(&schema, &Options::default(), MIB, &batches));
}

#[test]
fn options_outside_their_ranges_are_refused_by_name() {
    let schema = samples::schema();
    let refused = |options: Options| open(&schema, &options, MIB).err().map(|error| error.to_string());
    let small = 64 * MIB - 1;
    assert_eq!(
        refused(Options { block_size_bytes: small, ..Options::default() }).as_deref(),
        Some("BlockSizeBytes must be at least 67108864, not 67108863")
    );
    assert_eq!(
        refused(Options { page_size_bytes: 65_535, ..Options::default() }).as_deref(),
        Some("PageSizeBytes must be at least 65536, not 65535")
    );
}

#[test]
fn what_parquet_cannot_hold_is_refused_with_the_columns_path() {
    let refused = |data_type: DataType| {
        let inner = DataType::Struct(vec![Field::new("b", data_type, true)].into());
        let schema = Arc::new(Schema::new(vec![Field::new("a", inner, true)]));
        open(&schema, &Options::default(), MIB).err().map(|error| error.to_string())
    };
    assert_eq!(
        refused(DataType::Struct(arrow_schema::Fields::empty())).as_deref(),
        Some("column a.b: a struct must have at least one field in Parquet")
    );
    assert_eq!(
        refused(DataType::Time64(TimeUnit::Nanosecond)).as_deref(),
        Some("column a.b: no Parquet type for Time64(ns)")
    );
}

#[test]
fn a_batch_of_another_schema_is_refused_and_the_file_goes_on() {
    let (schema, batches) = numbers(1_000);
    let mut writer = open(&schema, &Options::default(), MIB).unwrap();
    let mut out = Vec::new();
    let other = arrays::batch(&samples::schema(), &samples::rows(1, 1));
    assert!(matches!(writer.write(&other, &mut out), Err(FormatError::Batch(_))));
    writer.write(&batches[0], &mut out).unwrap();
    writer.finish(&mut out).unwrap();
    assert_eq!(values(&read(&out)), values(&batches[..1]));
    assert!(matches!(writer.write(&batches[0], &mut out), Err(FormatError::Finished)));
    assert!(matches!(writer.finish(&mut out), Err(FormatError::Finished)));
}

#[test]
fn memory_is_booked_by_leaf_columns() {
    let of = |columns: usize| {
        let fields: Vec<_> = (0..columns).map(|at| Field::new(format!("c{at}"), DataType::Int64, true)).collect();
        most_memory(&Options::default(), &Schema::new(fields))
    };
    assert_eq!([of(1), of(20), of(100), of(1_000)].map(|bytes| bytes / MIB), [17, 36, 64, 187]);
}

fn written(schema: &SchemaRef, options: &Options, memory_limit: usize, batches: &[RecordBatch]) -> Vec<u8> {
    file(open(schema, options, memory_limit).unwrap(), batches)
}

fn read(file: &[u8]) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(file)).unwrap();
    reader.with_batch_size(1_000_000).build().unwrap().collect::<Result<_, _>>().unwrap()
}

const HIVE_SCHEMA: &str = "\
message hive_schema {
  OPTIONAL INT64 id;
  OPTIONAL BOOLEAN flag;
  OPTIONAL INT32 tiny (INTEGER(8,true));
  OPTIONAL INT32 small (INTEGER(16,true));
  OPTIONAL INT32 whole;
  OPTIONAL INT64 big;
  OPTIONAL FLOAT real;
  OPTIONAL DOUBLE exact;
  OPTIONAL FIXED_LEN_BYTE_ARRAY (5) price (DECIMAL(10,2));
  OPTIONAL FIXED_LEN_BYTE_ARRAY (16) huge (DECIMAL(38,10));
  OPTIONAL BYTE_ARRAY word (STRING);
  OPTIONAL BYTE_ARRAY kind (STRING);
  OPTIONAL BYTE_ARRAY letters (STRING);
  OPTIONAL BYTE_ARRAY title (STRING);
  OPTIONAL BYTE_ARRAY nothing (STRING);
  OPTIONAL BYTE_ARRAY raw;
  OPTIONAL INT32 day (DATE);
  OPTIONAL INT64 moment (TIMESTAMP(MICROS,false));
  OPTIONAL group tags (LIST) {
    REPEATED group bag {
      OPTIONAL BYTE_ARRAY array_element (STRING);
    }
  }
  OPTIONAL group counts (MAP) {
    REPEATED group map (MAP_KEY_VALUE) {
      REQUIRED BYTE_ARRAY key (STRING);
      OPTIONAL INT32 value;
    }
  }
  OPTIONAL group place {
    OPTIONAL DOUBLE lat;
    OPTIONAL BYTE_ARRAY name (STRING);
    OPTIONAL INT32 code (INTEGER(16,true));
  }
  OPTIONAL group places (MAP) {
    REPEATED group map (MAP_KEY_VALUE) {
      REQUIRED INT32 key;
      OPTIONAL group value {
        OPTIONAL DOUBLE lat;
        OPTIONAL BYTE_ARRAY name (STRING);
        OPTIONAL INT32 code (INTEGER(16,true));
      }
    }
  }
  OPTIONAL group deep (LIST) {
    REPEATED group bag {
      OPTIONAL group array_element {
        OPTIONAL BYTE_ARRAY name (STRING);
        OPTIONAL group attributes (MAP) {
          REPEATED group map (MAP_KEY_VALUE) {
            REQUIRED BYTE_ARRAY key (STRING);
            OPTIONAL group value (LIST) {
              REPEATED group bag {
                OPTIONAL INT64 array_element;
              }
            }
          }
        }
        OPTIONAL INT64 at (TIMESTAMP(MICROS,false));
      }
    }
  }
}
";

/// `rows` rows at a time of as many columns, of which each row has one, by turns: what a column for each user looks like.
fn sparse(columns: usize, rows: usize, batches: usize) -> (SchemaRef, Vec<RecordBatch>) {
    let field = |at| Field::new(format!("c{at}"), DataType::Int64, true);
    let schema = Arc::new(Schema::new((0..columns).map(field).collect::<Vec<_>>()));
    let batch = |first: usize| {
        let column = |at| -> ArrayRef {
            let value = |row: usize| ((first + row) % columns == at).then_some(5);
            Arc::new(Int64Array::from((0..rows).map(value).collect::<Vec<_>>()))
        };
        RecordBatch::try_new(Arc::clone(&schema), (0..columns).map(column).collect()).unwrap()
    };
    let batches = (0..batches).map(|number| batch(number * rows)).collect();
    (schema, batches)
}

#[test]
fn many_columns_with_few_values_are_one_row_group_and_take_little() {
    let limit = 24 * MIB;
    for columns in [300, 2_000] {
        let (schema, batches) = sparse(columns, 40, 100);
        let mut writer = open(&schema, &Options::default(), limit).unwrap();
        let mut out = Vec::new();
        for batch in &batches {
            writer.write(batch, &mut out).unwrap();
            assert!(writer.memory_bytes() <= limit, "{columns} columns: {} bytes held", writer.memory_bytes());
        }
        writer.finish(&mut out).unwrap();
        let reader = SerializedFileReader::new(Bytes::from(out)).unwrap();
        assert_eq!(reader.metadata().num_row_groups(), 1, "{columns} columns");
    }
}

#[test]
fn two_hundred_columns_that_repeat_have_row_groups_of_thousands_of_rows() {
    let (columns, rows) = (200, 1_000);
    let field = |at| Field::new(format!("c{at}"), DataType::Utf8, true);
    let schema = Arc::new(Schema::new((0..columns).map(field).collect::<Vec<_>>()));
    let text = |row: usize| ["red", "green", "blue", "yellow", "black"][row % 5];
    let column: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(text)));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column; columns]).unwrap();
    let file = written(&schema, &Options::default(), 24 * MIB, &vec![batch; 40]);
    let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
    let groups = reader.metadata().num_row_groups();
    assert!(groups <= 4, "{groups} row groups of {} rows", 40 * rows);
}
