//! Model constraints of `DataFormatConversionConfiguration`, and what an update makes of it.
//!
//! The model requires none of its members, at creation either: what is missing is found when it is read.

use hydrant_model::constraint::{Faults, Pattern, Structure, Text, text};
use serde_json::{Map, Value};

/// Constrains the member of the extended S3 destination `s3`.
pub(super) fn constrain(s3: &Structure<'_>, faults: &mut Faults) {
    let Some(conversion) = s3.structure("DataFormatConversionConfiguration", faults) else { return };
    conversion
        .only(&["Enabled", "SchemaConfiguration", "InputFormatConfiguration", "OutputFormatConfiguration"], faults);
    conversion.boolean("Enabled", faults);
    if let Some(schema) = conversion.structure("SchemaConfiguration", faults) {
        table(&schema, faults);
    }
    if let Some(input) = conversion.structure("InputFormatConfiguration", faults) {
        input.only(&["Deserializer"], faults);
        if let Some(deserializer) = input.structure("Deserializer", faults) {
            deserializers(&deserializer, faults);
        }
    }
    if let Some(output) = conversion.structure("OutputFormatConfiguration", faults) {
        output.only(&["Serializer"], faults);
        if let Some(serializer) = output.structure("Serializer", faults) {
            serializer.only(&["ParquetSerDe", "OrcSerDe"], faults);
            parquet(&serializer, faults);
            orc(&serializer, faults);
        }
    }
}

/// Lays `update` over the `stored` configuration, member by member.
///
/// The table's members are merged too, as none of them is required of an update: naming another table keeps the role. A
/// deserializer or serializer replaces the one before it, since there may be only one, and none of the options of the one
/// before hold for it. Where nothing was configured, what is given is enabled by its presence, as at creation.
pub(super) fn merge(stored: &mut Map<String, Value>, update: &Value) {
    if stored.keys().all(|name| name == "Enabled") && given(update).next().is_some() {
        stored.clear();
    }
    for (name, value) in given(update) {
        match (stored.get_mut(name), name.as_str()) {
            (Some(Value::Object(schema)), "SchemaConfiguration") => {
                schema.extend(given(value).map(|(name, value)| (name.clone(), value.clone())));
            }
            _ => _ = stored.insert(name.clone(), value.clone()),
        }
    }
}

/// The members of a structure that are not null.
fn given(structure: &Value) -> impl Iterator<Item = (&String, &Value)> {
    structure.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null())
}

fn table(schema: &Structure<'_>, faults: &mut Faults) {
    const MEMBERS: [&str; 6] = ["RoleARN", "CatalogId", "DatabaseName", "TableName", "Region", "VersionId"];
    schema.only(&MEMBERS, faults);
    for name in MEMBERS {
        schema.text(name, &WORD, faults);
    }
}

fn deserializers(deserializer: &Structure<'_>, faults: &mut Faults) {
    deserializer.only(&["OpenXJsonSerDe", "HiveJsonSerDe"], faults);
    if let Some(openx) = deserializer.structure("OpenXJsonSerDe", faults) {
        openx.only(&["ConvertDotsInJsonKeysToUnderscores", "CaseInsensitive", "ColumnToJsonKeyMappings"], faults);
        openx.boolean("ConvertDotsInJsonKeysToUnderscores", faults);
        openx.boolean("CaseInsensitive", faults);
        mappings(&openx, faults);
    }
    if let Some(hive) = deserializer.structure("HiveJsonSerDe", faults) {
        hive.only(&["TimestampFormats"], faults);
        for (path, format) in hive.list("TimestampFormats", 0, usize::MAX, faults) {
            text(format, &path, &WORDS, faults);
        }
    }
}

fn mappings(openx: &Structure<'_>, faults: &mut Faults) {
    const NAME: &str = "ColumnToJsonKeyMappings";
    if openx.structure(NAME, faults).is_none() {
        return;
    }
    let path = openx.at(NAME);
    for (column, key) in openx.member(NAME).and_then(Value::as_object).into_iter().flatten() {
        let Value::String(key) = key else {
            text(key, &path.member(column), &WORDS, faults);
            continue;
        };
        // Faults of a map are those of the whole map, by all the rules of its keys or of its values.
        for (what, given, pattern) in [("keys", column, &NO_SPACE), ("value", key, &NOT_BLANK)] {
            if !(1..=MOST_CHARS).contains(&given.chars().count()) || !pattern.matches(given) {
                let rule = format_args!(
                    "Map {what} must satisfy constraint: [Member must have length less than or equal to {MOST_CHARS}, \
                     Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: \
                     {pattern}]"
                );
                faults.broken(&path, &Value::Null, rule);
            }
        }
    }
}

fn parquet(serializer: &Structure<'_>, faults: &mut Faults) {
    let Some(parquet) = serializer.structure("ParquetSerDe", faults) else { return };
    parquet.only(
        &[
            "BlockSizeBytes",
            "PageSizeBytes",
            "Compression",
            "EnableDictionaryCompression",
            "MaxPaddingBytes",
            "WriterVersion",
        ],
        faults,
    );
    parquet.integer("BlockSizeBytes", LEAST_BLOCK, i64::MAX, faults);
    parquet.integer("PageSizeBytes", 65_536, i64::MAX, faults);
    parquet.text("Compression", &Text::one_of(&["UNCOMPRESSED", "GZIP", "SNAPPY"]), faults);
    parquet.boolean("EnableDictionaryCompression", faults);
    parquet.integer("MaxPaddingBytes", 0, i64::MAX, faults);
    parquet.text("WriterVersion", &Text::one_of(&["V1", "V2"]), faults);
}

fn orc(serializer: &Structure<'_>, faults: &mut Faults) {
    let Some(orc) = serializer.structure("OrcSerDe", faults) else { return };
    orc.only(
        &[
            "StripeSizeBytes",
            "BlockSizeBytes",
            "RowIndexStride",
            "EnablePadding",
            "PaddingTolerance",
            "Compression",
            "BloomFilterColumns",
            "BloomFilterFalsePositiveProbability",
            "DictionaryKeyThreshold",
            "FormatVersion",
        ],
        faults,
    );
    orc.integer("StripeSizeBytes", 8_388_608, i64::MAX, faults);
    orc.integer("BlockSizeBytes", LEAST_BLOCK, i64::MAX, faults);
    orc.integer("RowIndexStride", 1000, i64::MAX, faults);
    orc.boolean("EnablePadding", faults);
    for share in ["PaddingTolerance", "BloomFilterFalsePositiveProbability", "DictionaryKeyThreshold"] {
        orc.number(share, 0.0, 1.0, faults);
    }
    orc.text("Compression", &Text::one_of(&["NONE", "ZLIB", "SNAPPY"]), faults);
    for (path, column) in orc.list("BloomFilterColumns", 0, usize::MAX, faults) {
        text(column, &path, &WORD, faults);
    }
    orc.text("FormatVersion", &Text::one_of(&["V0_11", "V0_12"]), faults);
}

const LEAST_BLOCK: i64 = 67_108_864;

const MOST_CHARS: usize = 1024;
const WORD: Text = Text::length(1, MOST_CHARS).matching(&NO_SPACE);
const WORDS: Text = Text::length(1, MOST_CHARS).matching(&NOT_BLANK);

static NO_SPACE: Pattern = Pattern::new(r"^\S+$");
static NOT_BLANK: Pattern = Pattern::spelled(r"^(?!\s*$).+", r".*\S.*");
