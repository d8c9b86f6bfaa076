//! Model constraints of `DataFormatConversionConfiguration`.

use hydrant_model::Shape;
use hydrant_model::constraint::{Faults, Pattern, Structure, Text, text};

/// Constrains the member of the extended S3 destination `s3`.
pub(super) fn constrain(s3: &Structure<'_>, shape: Shape, faults: &mut Faults) {
    let Some(conversion) = s3.structure("DataFormatConversionConfiguration", faults) else { return };
    conversion
        .only(&["Enabled", "SchemaConfiguration", "InputFormatConfiguration", "OutputFormatConfiguration"], faults);
    conversion.boolean("Enabled", faults);
    if let Some(schema) = conversion.structure("SchemaConfiguration", faults) {
        table(&schema, shape, faults);
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

fn table(schema: &Structure<'_>, shape: Shape, faults: &mut Faults) {
    const RULE: Text = Text::length(1, 1024).matching(&NO_SPACE);
    schema.only(&["RoleARN", "CatalogId", "DatabaseName", "TableName", "Region", "VersionId"], faults);
    for name in ["RoleARN", "DatabaseName", "TableName"] {
        match shape {
            Shape::Create => schema.required_text(name, &RULE, faults),
            Shape::Update => schema.text(name, &RULE, faults),
        };
    }
    for name in ["CatalogId", "Region", "VersionId"] {
        schema.text(name, &RULE, faults);
    }
}

fn deserializers(deserializer: &Structure<'_>, faults: &mut Faults) {
    deserializer.only(&["OpenXJsonSerDe", "HiveJsonSerDe"], faults);
    if let Some(openx) = deserializer.structure("OpenXJsonSerDe", faults) {
        openx.only(&["ConvertDotsInJsonKeysToUnderscores", "CaseInsensitive", "ColumnToJsonKeyMappings"], faults);
        openx.boolean("ConvertDotsInJsonKeysToUnderscores", faults);
        openx.boolean("CaseInsensitive", faults);
        openx.structure("ColumnToJsonKeyMappings", faults);
    }
    if let Some(hive) = deserializer.structure("HiveJsonSerDe", faults) {
        hive.only(&["TimestampFormats"], faults);
        for (path, format) in hive.list("TimestampFormats", 0, usize::MAX, faults) {
            text(format, &path, &Text::length(1, usize::MAX), faults);
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
        text(column, &path, &Text::length(1, usize::MAX), faults);
    }
    orc.text("FormatVersion", &Text::one_of(&["V0_11", "V0_12"]), faults);
}

const LEAST_BLOCK: i64 = 67_108_864;

static NO_SPACE: Pattern = Pattern::new(r"^\S+$");
