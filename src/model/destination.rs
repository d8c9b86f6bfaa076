//! An object destination as the service acts on it: an S3 destination, a backup bucket, an error output.

use std::time::Duration;

use crate::{Expression, TimeZone};

/// When a batch is cut: by size or by age, whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hints {
    /// Bytes of records, before any stage.
    pub size_bytes: u64,
    /// Age of the oldest record; zero means as soon as there is one.
    pub interval: Duration,
}

/// AWS's `CompressionFormat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Records one after the other.
    Uncompressed,
    /// One gzip stream, or independent members where the stream's settings say so.
    Gzip,
    /// An archive with one deflated entry.
    Zip,
    /// The xerial snappy-java stream.
    Snappy,
    /// Hadoop's `BlockCompressorStream` framing.
    HadoopSnappy,
}

impl Compression {
    /// Every format, in the order in which the service's validator names them.
    pub const ALL: [Self; 5] = [Self::Zip, Self::HadoopSnappy, Self::Snappy, Self::Gzip, Self::Uncompressed];

    /// The API's name of the format; case matters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uncompressed => "UNCOMPRESSED",
            Self::Gzip => "GZIP",
            Self::Zip => "ZIP",
            Self::Snappy => "Snappy",
            Self::HadoopSnappy => "HADOOP_SNAPPY",
        }
    }

    /// The format that the API calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// What an object's key ends in when the destination names no `FileExtension`.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Uncompressed => "",
            Self::Gzip => ".gz",
            Self::Zip => ".zip",
            Self::Snappy | Self::HadoopSnappy => ".snappy",
        }
    }

    /// The object's `Content-Encoding`, as observed on the service.
    pub fn content_encoding(self) -> Option<&'static str> {
        match self {
            Self::Uncompressed => None,
            Self::Gzip => Some("gzip"),
            Self::Zip => Some("zip"),
            Self::Snappy => Some("snappy-java"),
            Self::HadoopSnappy => Some("hadoop-snappy"),
        }
    }
}

/// How long records wait for a destination that does not take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// As long as the disk budget holds them: S3.
    ForEver,
    /// AWS's retry duration, then the error output.
    For(Duration),
}

/// A bucket with prefixes, compression and hints, every text parsed.
#[derive(Clone, Debug)]
pub struct ObjectDestination {
    /// `RoleARN`; assumed only where settings say so.
    pub role_arn: String,
    /// The bucket of `BucketARN`.
    pub bucket: String,
    /// Where good records go, with AWS's default already filled in.
    pub prefix: Expression,
    /// Where failed records go, with AWS's default already filled in.
    pub error_prefix: Expression,
    /// When a batch is cut.
    pub hints: Hints,
    /// How an object is packed.
    pub compression: Compression,
    /// What a key ends in instead of the format's own extension.
    pub file_extension: Option<String>,
    /// `AWSKMSKeyARN` of server-side encryption.
    pub kms_key_arn: Option<String>,
    /// `CustomTimeZone`: of prefixes and of the time in the object's name.
    pub time_zone: TimeZone,
}
