use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use bytes::Bytes;
use orc_rust::ArrowReaderBuilder;
use proptest::prelude::*;
use prost::Message;

use super::proto::{EncodingKind, Footer, Metadata, PostScript, RowIndex, StreamKind, StripeFooter};
use super::*;
use crate::formats::values::{below_nulls, file, name, numbers, rows as values};
use crate::formats::{arrays, samples};

#[test]
fn every_type_nesting_and_extreme_is_read_back_in_every_compression_and_version() {
    let schema = samples::schema();
    for (compression, format_version, dictionary_key_threshold) in [
        (Compression::None, FormatVersion::V0_12, 0.0),
        (Compression::None, FormatVersion::V0_11, 1.0),
        (Compression::Zlib, FormatVersion::V0_12, 0.5),
        (Compression::Snappy, FormatVersion::V0_12, 1.0),
        (Compression::Snappy, FormatVersion::V0_11, 0.0),
    ] {
        let options = Options {
            compression,
            format_version,
            dictionary_key_threshold,
            row_index_stride: 1_000,
            ..Options::default()
        };
        for rows in [0, 1, 2_500] {
            let batch = arrays::batch(&schema, &samples::rows(7, rows));
            let file = written(&schema, &options, usize::MAX, std::slice::from_ref(&batch));
            let read = read(&file);
            assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), rows);
            for (read, wanted) in values(&read).into_iter().zip(values(&[batch])) {
                assert_eq!(read, wanted, "{options:?}, {rows} rows");
            }
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
        let file = written(&schema, &Options::default(), usize::MAX, &batches);
        prop_assert_eq!(values(&read(&file)), values(&batches));
    }
}

#[test]
fn what_lies_below_a_null_is_not_written() {
    let (schema, batches, wanted) = below_nulls();
    let read = values(&read(&written(&schema, &Options::default(), usize::MAX, &batches)));
    assert_eq!(read, wanted);
}

#[test]
fn the_types_are_hives() {
    let schema = samples::schema();
    let file = Parts::of(&written(&schema, &Options::default(), usize::MAX, &[]));
    let kinds: Vec<_> = file.footer.types.iter().map(|one| format!("{:?}", one.kind())).collect();
    let flat = "Struct Long Boolean Byte Short Int Long Float Double Decimal Decimal String String Char Varchar String Binary \
                Date Timestamp";
    let nested = "List String Map String Int Struct Double String Short Map Int Struct Double String Short \
                  List Struct String Map String List Long Timestamp";
    assert_eq!(kinds.join(" "), format!("{flat} {nested}"));
    let of = |name: &str| {
        let at = file.footer.types[0].field_names.iter().position(|field| field == name).unwrap();
        file.footer.types[usize::try_from(file.footer.types[0].subtypes[at]).unwrap()].clone()
    };
    assert_eq!((of("letters").maximum_length, of("title").maximum_length), (Some(5), Some(20)));
    assert_eq!((of("huge").precision, of("huge").scale), (Some(38), Some(10)));
    assert_eq!(of("places").subtypes.len(), 2);
}

#[test]
fn stripes_close_at_the_memory_limit_and_come_out_at_once() {
    let (schema, batches) = numbers(200_000);
    let limit = MIB;
    let options = Options { compression: Compression::None, ..Options::default() };
    let mut writer = open(&schema, &options, limit).unwrap();
    let (mut out, mut stripes) = (b"before".to_vec(), 0);
    for batch in &batches {
        let before = out.len();
        writer.write(batch, &mut out).unwrap();
        assert!(writer.memory_bytes() <= limit, "{} bytes held", writer.memory_bytes());
        stripes += usize::from(out.len() > before);
    }
    assert!(stripes >= 2);
    writer.finish(&mut out).unwrap();
    assert_eq!(out.get(..9), Some(b"beforeORC".as_slice()));
    assert_eq!(values(&read(&out[6..])), values(&batches));
    assert!(Parts::of(&out[6..]).footer.stripes.len() > stripes);
}

#[test]
fn statistics_of_stripes_and_of_the_file_are_true() {
    let (schema, batches) = numbers(50_000);
    let file = Parts::of(&written(&schema, &Options::default(), MIB, &batches));
    assert!(file.footer.stripes.len() > 1);
    let mut first = 0;
    for (stripe, statistics) in file.footer.stripes.iter().zip(&file.metadata.stripe_stats) {
        let rows = i64::try_from(stripe.number_of_rows()).unwrap();
        assert_eq!(statistics.col_stats[0].number_of_values, Some(stripe.number_of_rows()));
        let ids = statistics.col_stats[1].int_statistics.unwrap();
        let sum = (first..first + rows).sum();
        assert_eq!((ids.minimum, ids.maximum, ids.sum), (Some(first), Some(first + rows - 1), Some(sum)));
        first += rows;
    }
    let kinds = file.footer.statistics[2].clone();
    assert_eq!((kinds.number_of_values, kinds.has_null), (Some(50_000), Some(false)));
    let kinds = kinds.string_statistics.unwrap();
    assert_eq!((kinds.minimum.as_deref(), kinds.maximum.as_deref(), kinds.sum), (Some("a"), Some("c"), Some(50_000)));
}

#[test]
fn each_entry_of_the_index_names_the_place_where_its_rows_begin() {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    // Every third row is null, so that groups begin within bytes and runs.
    let value = |row: i64| if row % 3 == 1 { None } else { Some(row * 7) };
    let column = Int64Array::from((0..5_500).map(value).collect::<Vec<_>>());
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(column)]).unwrap();
    let options = Options { compression: Compression::None, row_index_stride: 1_001, ..Options::default() };
    let parts = Parts::of(&written(&schema, &options, usize::MAX, &[batch]));
    let index = RowIndex::decode(parts.stream(0, 1, StreamKind::RowIndex)).unwrap();
    assert_eq!(index.entry.len(), 6);
    for (group, entry) in (0..).zip(&index.entry) {
        let position = |at: usize| usize::try_from(entry.positions[at]).unwrap();
        let first = group * 1_001;
        let rows: Vec<_> = (first..5_500.min(first + 1_001)).map(value).collect();
        let bytes = decoding::byte_runs(&parts.stream(0, 1, StreamKind::Present)[position(0)..]);
        let present: Vec<_> = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte << bit & 0x80 != 0)).collect();
        let wanted: Vec<_> = rows.iter().map(Option::is_some).collect();
        assert_eq!((position(1), present.get(position(2)..position(2) + rows.len())), (0, Some(wanted.as_slice())));
        let values = decoding::integers_v2(&parts.stream(0, 1, StreamKind::Data)[position(3)..], true);
        let wanted: Vec<_> = rows.into_iter().flatten().collect();
        assert_eq!((position(4), values.get(..wanted.len())), (0, Some(wanted.as_slice())));
        let told = entry.statistics.as_ref().and_then(|statistics| statistics.int_statistics).unwrap();
        assert_eq!((told.minimum, told.maximum), (wanted.first().copied(), wanted.last().copied()));
    }
}

#[test]
fn a_stripe_without_nulls_says_nothing_of_presence() {
    let (schema, batches) = numbers(3_000);
    let parts = Parts::of(&written(&schema, &Options::default(), usize::MAX, &batches));
    assert!(parts.stripes[0].streams.iter().all(|stream| stream.kind() != StreamKind::Present));
}

#[test]
fn a_column_keeps_its_dictionary_while_few_enough_values_are_different() {
    let (schema, batches) = numbers(30_000);
    let kinds = |threshold: f64, format_version| {
        let options = Options { dictionary_key_threshold: threshold, format_version, ..Options::default() };
        let file = written(&schema, &options, MIB, &batches);
        assert_eq!(values(&read(&file)), values(&batches));
        let of_stripe = |stripe: &StripeFooter| [stripe.columns[2].kind(), stripe.columns[3].kind()];
        Parts::of(&file).stripes.iter().map(of_stripe).collect::<Vec<_>>()
    };
    let (direct, keyed) = (EncodingKind::DirectV2, EncodingKind::DictionaryV2);
    assert!(kinds(0.0, FormatVersion::V0_12).iter().all(|stripe| *stripe == [direct, direct]));
    assert!(kinds(0.5, FormatVersion::V0_12).iter().all(|stripe| *stripe == [keyed, direct]));
    assert!(kinds(1.0, FormatVersion::V0_12).iter().all(|stripe| *stripe == [keyed, keyed]));
    let old = [EncodingKind::Dictionary, EncodingKind::Direct];
    assert!(kinds(0.5, FormatVersion::V0_11).iter().all(|stripe| *stripe == old));
}

#[test]
fn bloom_filters_hold_every_value_of_their_row_group_for_another_reader() {
    let (schema, batches) = numbers(3_000);
    let options = Options {
        row_index_stride: 1_000,
        bloom_filter_columns: vec!["NAME".to_owned()],
        bloom_filter_false_positive_probability: 0.01,
        ..Options::default()
    };
    let parts = Parts::of(&written(&schema, &options, usize::MAX, &batches));
    assert_eq!(parts.stripes[0].columns[3].bloom_encoding, Some(1));
    let raw = proto::BloomFilterIndex::decode(unpacked(parts.stream(0, 3, StreamKind::BloomFilterUtf8)).as_slice());
    let filters = raw.unwrap().bloom_filter;
    assert_eq!(filters.len(), 3);
    for (group, filter) in (0..).zip(filters) {
        let filter = orc_rust::proto::BloomFilter {
            num_hash_functions: filter.num_hash_functions,
            bitset: Vec::new(),
            utf8bitset: filter.utf8_bitset,
        };
        let filter = orc_rust::bloom_filter::BloomFilter::try_from_proto(&filter).unwrap();
        let found = |group: i64| {
            let ids = group * 1_000..group * 1_000 + 1_000;
            ids.filter(|id| filter.might_contain(name(*id).as_bytes())).count()
        };
        assert_eq!(found(group), 1_000);
        assert!(found(group + 1) < 50);
    }
}

#[test]
fn the_same_batches_make_the_same_bytes() {
    let (schema, batches) = numbers(30_000);
    let options = Options { dictionary_key_threshold: 0.5, ..Options::default() };
    assert_eq!(written(&schema, &options, MIB, &batches), written(&schema, &options, MIB, &batches));
}

#[test]
fn options_outside_their_ranges_are_refused_by_name() {
    let schema = samples::schema();
    let refused =
        |options: Options| open(&schema, &options, MIB).err().map(|error| error.to_string()).unwrap_or_default();
    let usual = Options::default;
    let bloom = |name: &str| refused(Options { bloom_filter_columns: vec![name.to_owned()], ..usual() });
    let columns =
        "BloomFilterColumns must be columns of the table that are neither boolean nor array, map or struct, not";
    assert_eq!(
        refused(Options { stripe_size_bytes: 8_388_607, ..usual() }),
        "StripeSizeBytes must be at least 8388608, not 8388607"
    );
    assert_eq!(refused(Options { block_size_bytes: 1, ..usual() }), "BlockSizeBytes must be at least 67108864, not 1");
    assert_eq!(
        refused(Options { row_index_stride: 999, ..usual() }),
        "RowIndexStride must be 1000 to 4294967295, not 999"
    );
    assert_eq!(
        refused(Options { enable_padding: true, ..usual() }),
        "EnablePadding must be false: padding aligns stripes with blocks of HDFS, and objects are not in HDFS, not true"
    );
    assert_eq!(refused(Options { padding_tolerance: 1.5, ..usual() }), "PaddingTolerance must be 0 to 1, not 1.5");
    assert_eq!(
        refused(Options { bloom_filter_false_positive_probability: 0.0, ..usual() }),
        "BloomFilterFalsePositiveProbability must be above 0 and below 1, not 0"
    );
    assert_eq!(
        refused(Options { dictionary_key_threshold: f64::NAN, ..usual() }),
        "DictionaryKeyThreshold must be 0 to 1, not NaN"
    );
    assert_eq!(bloom("absent"), format!("{columns} absent"));
    assert_eq!(bloom("flag"), format!("{columns} flag"));
    assert_eq!(bloom("deep"), format!("{columns} deep"));
}

#[test]
fn what_orc_cannot_hold_is_refused_with_the_columns_path() {
    let refused = |field: Field| {
        let inner = DataType::Struct(vec![field].into());
        let schema = Arc::new(Schema::new(vec![Field::new("a", inner, true)]));
        open(&schema, &Options::default(), MIB).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let nameless = Field::new("b", DataType::Struct(Fields::empty()), true);
    assert_eq!(refused(nameless), "column a.b: a struct must have at least one field in ORC");
    let time = Field::new("b", DataType::Time64(TimeUnit::Nanosecond), true);
    assert_eq!(refused(time), "column a.b: no ORC type for Time64(ns)");
    let text =
        Field::new("b", DataType::Utf8, true).with_metadata([("hive.type".to_owned(), "char(x)".to_owned())].into());
    assert_eq!(refused(text), "column a.b: char(x) is no type");
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

/// The directories of a file.
struct Parts {
    bytes: Vec<u8>,
    footer: Footer,
    metadata: Metadata,
    stripes: Vec<StripeFooter>,
}

impl Parts {
    fn of(file: &[u8]) -> Self {
        let (last, before) = file.split_last().unwrap();
        let (before, postscript) = before.split_at(before.len() - usize::from(*last));
        let postscript = PostScript::decode(postscript).unwrap();
        let length = |length: u64| usize::try_from(length).unwrap();
        let (before, footer) = before.split_at(before.len() - length(postscript.footer_length()));
        let (_, metadata) = before.split_at(before.len() - length(postscript.metadata_length()));
        let unpack = |section: &[u8]| {
            if postscript.compression() == proto::CompressionKind::None { section.to_vec() } else { unpacked(section) }
        };
        let footer = Footer::decode(unpack(footer).as_slice()).unwrap();
        let stripes = footer.stripes.iter().map(|stripe| {
            let start = length(stripe.offset() + stripe.index_length() + stripe.data_length());
            let section = &file[start..start + length(stripe.footer_length())];
            StripeFooter::decode(unpack(section).as_slice()).unwrap()
        });
        let stripes = stripes.collect();
        Self { bytes: file.to_vec(), footer, metadata: Metadata::decode(unpack(metadata).as_slice()).unwrap(), stripes }
    }

    fn stream(&self, stripe: usize, column: u32, kind: StreamKind) -> &[u8] {
        let mut at = usize::try_from(self.footer.stripes[stripe].offset()).unwrap();
        for stream in &self.stripes[stripe].streams {
            let length = usize::try_from(stream.length()).unwrap();
            if stream.column() == column && stream.kind() == kind {
                return &self.bytes[at..at + length];
            }
            at += length;
        }
        panic!("no {kind:?} of column {column}")
    }
}

/// Of a file packed with snappy.
fn unpacked(mut section: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let [low, middle, high, rest @ ..] = section {
        let header = usize::from(*low) | usize::from(*middle) << 8 | usize::from(*high) << 16;
        let (chunk, rest) = rest.split_at(header >> 1);
        if header & 1 == 1 {
            out.extend_from_slice(chunk);
        } else {
            out.extend(snap::raw::Decoder::new().decompress_vec(chunk).unwrap());
        }
        section = rest;
    }
    out
}

fn written(schema: &SchemaRef, options: &Options, memory_limit: usize, batches: &[RecordBatch]) -> Vec<u8> {
    file(open(schema, options, memory_limit).unwrap(), batches)
}

fn read(file: &[u8]) -> Vec<RecordBatch> {
    let reader = ArrowReaderBuilder::try_new(Bytes::copy_from_slice(file)).unwrap().build();
    reader.collect::<Result<_, _>>().unwrap()
}
