//! Reading a `DataFormatConversionConfiguration`.
//!
//! | Where hydrant's rule is not AWS's | Why |
//! |---|---|
//! | `SchemaConfiguration` may be left out; not under `--strict` | the schema is inferred |
//! | `EnablePadding` must be false, `BloomFilterFalsePositiveProbability` neither 0 nor 1 | see [`orc::Options`] |
//! | of `ColumnToJsonKeyMappings`, no two columns that differ in nothing but case | only one of them could be meant |
//!
//! The order of the checks is AWS's: the three parts are there, deserializer, serializer, table. So are the messages, but for
//! those about options, of which AWS's are not known.

use std::collections::BTreeMap;

use hydrant_model::Misfit;
use serde_json::Value;

use super::{Conversion, Format, LATEST, SchemaSource};
use crate::formats::json::{Deserializer, TimestampFormat};
use crate::formats::{FormatError, orc, parquet};

/// Reads `configuration`, a `DataFormatConversionConfiguration` as it is stored; `None` where it is not enabled, whatever else
/// is in it. `strict` is whether AWS's rules hold to the letter.
///
/// # Errors
/// The first rule that is broken, by AWS's message where it is known, with the member that breaks it.
pub fn parse(configuration: &Value, strict: bool) -> Result<Option<Conversion>, Misfit> {
    if !is_enabled(configuration) {
        return Ok(None);
    }
    let conversion = Member { path: CONFIGURATION.to_owned(), value: configuration };
    let input = conversion.present("InputFormatConfiguration")?;
    let output = conversion.present("OutputFormatConfiguration")?;
    let schema = if strict { Some(conversion.present(SCHEMA)?) } else { conversion.member(SCHEMA) };
    Ok(Some(Conversion {
        deserializer: deserializer(&input)?,
        format: format(&output)?,
        schema: schema.map_or(Ok(SchemaSource::Inferred), |schema| table(&schema))?,
    }))
}

/// Whether this `DataFormatConversionConfiguration` is enabled: by its presence, unless it says otherwise.
pub fn is_enabled(configuration: &Value) -> bool {
    configuration.is_object() && configuration.get("Enabled").and_then(Value::as_bool).unwrap_or(true)
}

fn deserializer(input: &Member<'_>) -> Result<Deserializer, Misfit> {
    let given = input.present("Deserializer")?;
    match (given.member("OpenXJsonSerDe"), given.member("HiveJsonSerDe")) {
        (None, None) => Err(given.misfit("Deserializer must not be null")),
        (Some(_), Some(_)) => Err(given.misfit("More than one deserializer specified. Only one may be chosen.")),
        (Some(openx), None) => Ok(Deserializer::OpenX {
            convert_dots: openx.flag("ConvertDotsInJsonKeysToUnderscores")?.unwrap_or(false),
            case_insensitive: openx.flag("CaseInsensitive")?.unwrap_or(true),
            mappings: mappings(&openx)?,
        }),
        (None, Some(hive)) => {
            let formats = hive.texts("TimestampFormats")?.into_iter().map(|(place, pattern)| {
                TimestampFormat::parse(pattern).map_err(|error| Misfit::of(place, invalid_option(&error.to_string())))
            });
            Ok(Deserializer::Hive { timestamp_formats: formats.collect::<Result<_, _>>()? })
        }
    }
}

fn mappings(openx: &Member<'_>) -> Result<BTreeMap<String, String>, Misfit> {
    let Some(given) = openx.member("ColumnToJsonKeyMappings") else { return Ok(BTreeMap::new()) };
    let refused = |reason: &str| given.misfit(invalid_option(&format!("ColumnToJsonKeyMappings {reason}")));
    let Some(members) = given.value.as_object() else { return Err(refused("must map columns to keys")) };
    let mut mappings = BTreeMap::new();
    for (column, key) in members {
        let Some(key) = key.as_str().filter(|key| !key.is_empty()) else {
            return Err(refused(&format!("must give column {column:?} a key")));
        };
        if mappings.insert(column.to_lowercase(), key.to_owned()).is_some() {
            return Err(refused(&format!("has column {column:?} twice (case does not count)")));
        }
    }
    Ok(mappings)
}

fn invalid_option(reason: &str) -> String {
    format!("Invalid deserializer option(s): {reason}")
}

fn format(output: &Member<'_>) -> Result<Format, Misfit> {
    let given = output.present("Serializer")?;
    match (given.member("ParquetSerDe"), given.member("OrcSerDe")) {
        (None, None) => Err(given.misfit("Serializer must not be null")),
        (Some(_), Some(_)) => Err(given.misfit("More than one serializer specified. Only one may be chosen.")),
        (Some(given), None) => Ok(Format::Parquet(parquet(&given)?)),
        (None, Some(given)) => Ok(Format::Orc(orc(&given)?)),
    }
}

fn parquet(given: &Member<'_>) -> Result<parquet::Options, Misfit> {
    use parquet::{Compression, WriterVersion};
    let default = parquet::Options::default();
    let compressions =
        [("UNCOMPRESSED", Compression::Uncompressed), ("GZIP", Compression::Gzip), ("SNAPPY", Compression::Snappy)];
    let versions = [("V1", WriterVersion::V1), ("V2", WriterVersion::V2)];
    let options = parquet::Options {
        block_size_bytes: given.whole("BlockSizeBytes")?.unwrap_or(default.block_size_bytes),
        page_size_bytes: given.whole("PageSizeBytes")?.unwrap_or(default.page_size_bytes),
        compression: given.choice("Compression", compressions)?.unwrap_or(default.compression),
        enable_dictionary_compression: given.flag("EnableDictionaryCompression")?,
        max_padding_bytes: given.whole("MaxPaddingBytes")?.unwrap_or(default.max_padding_bytes),
        writer_version: given.choice("WriterVersion", versions)?.unwrap_or(default.writer_version),
        timestamps: default.timestamps,
    };
    options.check().map_err(|error| given.refused(&error))?;
    Ok(options)
}

fn orc(given: &Member<'_>) -> Result<orc::Options, Misfit> {
    use orc::{Compression, FormatVersion};
    let default = orc::Options::default();
    let compressions = [("NONE", Compression::None), ("ZLIB", Compression::Zlib), ("SNAPPY", Compression::Snappy)];
    let versions = [("V0_11", FormatVersion::V0_11), ("V0_12", FormatVersion::V0_12)];
    let bloom_filter_columns = given.texts("BloomFilterColumns")?;
    let options = orc::Options {
        stripe_size_bytes: given.whole("StripeSizeBytes")?.unwrap_or(default.stripe_size_bytes),
        block_size_bytes: given.whole("BlockSizeBytes")?.unwrap_or(default.block_size_bytes),
        row_index_stride: given.whole("RowIndexStride")?.unwrap_or(default.row_index_stride),
        enable_padding: given.flag("EnablePadding")?.unwrap_or(default.enable_padding),
        padding_tolerance: given.number("PaddingTolerance")?.unwrap_or(default.padding_tolerance),
        compression: given.choice("Compression", compressions)?.unwrap_or(default.compression),
        bloom_filter_columns: bloom_filter_columns.into_iter().map(|(_, column)| column.to_owned()).collect(),
        bloom_filter_false_positive_probability: given
            .number("BloomFilterFalsePositiveProbability")?
            .unwrap_or(default.bloom_filter_false_positive_probability),
        dictionary_key_threshold: given.number("DictionaryKeyThreshold")?.unwrap_or(default.dictionary_key_threshold),
        format_version: given.choice("FormatVersion", versions)?.unwrap_or(default.format_version),
    };
    options.check().map_err(|error| given.refused(&error))?;
    Ok(options)
}

fn table(given: &Member<'_>) -> Result<SchemaSource, Misfit> {
    // AWS spells the role as no member is spelled.
    let required = |name: &str, spelled: &str| {
        let text = given.text(name)?.filter(|text| !text.is_empty());
        let missing = || given.misfit_of(name, format!("{SCHEMA}.{spelled} must not be null or empty"));
        text.map(str::to_owned).ok_or_else(missing)
    };
    let version = match given.text("VersionId")? {
        None | Some(LATEST) => None,
        Some(version) => Some(version.parse().map_err(|_| {
            given.misfit_of("VersionId", format!("{SCHEMA}.VersionId must be {LATEST} or a number, not {version:?}"))
        })?),
    };
    Ok(SchemaSource::Table {
        role: required("RoleARN", "RoleArn")?,
        database: required("DatabaseName", "DatabaseName")?,
        table: required("TableName", "TableName")?,
        catalog_id: given.text("CatalogId")?.map(str::to_owned),
        region: given.text("Region")?.map(str::to_owned),
        version,
    })
}

/// A member of the configuration, with where it is. One that is null is not there.
struct Member<'v> {
    path: String,
    value: &'v Value,
}

impl<'v> Member<'v> {
    fn member(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Self { path: format!("{}.{name}", self.path), value })
    }

    fn present(&self, name: &str) -> Result<Self, Misfit> {
        self.member(name).ok_or_else(|| self.misfit_of(name, format!("{name} must not be null")))
    }

    fn text(&self, name: &str) -> Result<Option<&'v str>, Misfit> {
        self.read(name, "a text", Value::as_str)
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, Misfit> {
        self.read(name, "true or false", Value::as_bool)
    }

    fn number(&self, name: &str) -> Result<Option<f64>, Misfit> {
        self.read(name, "a number", Value::as_f64)
    }

    fn whole(&self, name: &str) -> Result<Option<usize>, Misfit> {
        self.read(name, "a whole number, at least 0", |value| value.as_u64().and_then(|value| value.try_into().ok()))
    }

    fn choice<T: Copy, const N: usize>(&self, name: &str, choices: [(&str, T); N]) -> Result<Option<T>, Misfit> {
        let what = format!("one of {}", choices.map(|(name, _)| name).join(", "));
        let chosen = |value: &'v Value| choices.iter().find(|(name, _)| value.as_str() == Some(name));
        self.read(name, &what, |value| chosen(value).map(|(_, choice)| *choice))
    }

    /// A list of texts that are not empty, each with its place.
    fn texts(&self, name: &str) -> Result<Vec<(String, &'v str)>, Misfit> {
        let elements = self.read(name, "a list", Value::as_array)?.map_or(&[][..], Vec::as_slice);
        let texts = elements.iter().enumerate().map(|(at, element)| {
            let place = format!("{}.{name}[{at}]", self.path);
            match element.as_str().filter(|text| !text.is_empty()) {
                Some(text) => Ok((place, text)),
                None => Err(Misfit::of(place, format!("{name} must hold texts that are not empty"))),
            }
        });
        texts.collect()
    }

    fn read<T>(&self, name: &str, what: &str, read: impl FnOnce(&'v Value) -> Option<T>) -> Result<Option<T>, Misfit> {
        let Some(member) = self.member(name) else { return Ok(None) };
        let wrong = || member.misfit(format!("{name} must be {what}, not {}", member.value));
        read(member.value).map(Some).ok_or_else(wrong)
    }

    /// What a format says of its options.
    fn refused(&self, error: &FormatError) -> Misfit {
        match error {
            FormatError::Option { field, .. } => self.misfit_of(field, error.to_string()),
            _ => self.misfit(error.to_string()),
        }
    }

    fn misfit(&self, message: impl Into<String>) -> Misfit {
        Misfit::of(self.path.clone(), message)
    }

    fn misfit_of(&self, name: &str, message: impl Into<String>) -> Misfit {
        Misfit::of(format!("{}.{name}", self.path), message)
    }
}

const CONFIGURATION: &str = "DataFormatConversionConfiguration";
const SCHEMA: &str = "SchemaConfiguration";

#[cfg(test)]
mod tests;
