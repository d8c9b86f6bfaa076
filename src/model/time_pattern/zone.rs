//! Time zones by their IANA names, from the database that is part of the binary.

use std::fmt;
use std::sync::OnceLock;

use jiff::tz::{TimeZone as Rules, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};

use super::offset::Offset;

/// A time zone by its IANA name.
#[derive(Clone)]
pub struct TimeZone {
    name: String,
    rules: Rules,
}

/// Why a text is not a `CustomTimeZone`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeZoneError {
    /// Longer than the API takes.
    #[error("time zone name has {0} characters, more than 50")]
    TooLong(usize),
    /// Not letters, `/` and `_` alone.
    #[error("time zone name {0:?} does not match ^$|[a-zA-Z/_]+")]
    Malformed(String),
    /// Not a name in the time zone database.
    #[error("time zone {0:?} is not in the IANA time zone database")]
    Unknown(String),
}

impl TimeZone {
    /// Coordinated universal time, the default.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), rules: Rules::UTC }
    }

    /// The zone that the IANA database calls `name`, case included; the empty name means UTC.
    ///
    /// At most 50 characters of `[a-zA-Z/_]`, so that zones with a digit or a hyphen (`Etc/GMT+1`) have no name here, as in AWS:
    /// <https://docs.aws.amazon.com/firehose/latest/APIReference/API_ExtendedS3DestinationConfiguration.html>.
    pub fn named(name: &str) -> Result<Self, TimeZoneError> {
        if name.is_empty() {
            return Ok(Self::utc());
        }
        let length = name.chars().count();
        if length > MAX_NAME_CHARS {
            return Err(TimeZoneError::TooLong(length));
        }
        if !name.chars().all(|c| c.is_ascii_alphabetic() || c == '/' || c == '_') {
            return Err(TimeZoneError::Malformed(name.to_owned()));
        }
        // The database itself ignores case, and knows a name for "unknown".
        let rules = database().get(name).ok().filter(|rules| !rules.is_unknown() && rules.iana_name() == Some(name));
        rules.map(|rules| Self { name: name.to_owned(), rules }).ok_or_else(|| TimeZoneError::Unknown(name.to_owned()))
    }

    /// The name, `UTC` where none was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }
}

impl PartialEq for TimeZone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TimeZone {}

impl Default for TimeZone {
    fn default() -> Self {
        Self::utc()
    }
}

impl fmt::Debug for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimeZone({})", self.name)
    }
}

/// The short name that Java prints for the zone at a moment: `EST`, or `GMT-03:00` where the zone has none.
pub(super) fn write_short_name(moment: &Zoned, to: &mut String) {
    let zone = moment.time_zone();
    let offset = zone.to_offset_info(Timestamp::from(moment));
    let abbreviation = offset.abbreviation();
    let own = zone.iana_name().and_then(|name| {
        OWN_NAMES.iter().find(|(theirs, from, _)| *theirs == name && *from == abbreviation).map(|(_, _, name)| *name)
    });
    match own {
        Some(name) => to.push_str(name),
        None if abbreviation.chars().all(char::is_alphabetic) => to.push_str(abbreviation),
        None => Offset::Localized { full: true }.write(offset.offset().seconds(), to),
    }
}

fn database() -> &'static TimeZoneDatabase {
    static BUNDLED: OnceLock<TimeZoneDatabase> = OnceLock::new();
    BUNDLED.get_or_init(TimeZoneDatabase::bundled)
}

/// Where Java's short name is not the abbreviation of the time zone database: zone, abbreviation, Java's name.
const OWN_NAMES: [(&str, &str, &str); 12] = [
    ("America/Adak", "HST", "HAST"),
    ("America/Adak", "HDT", "HADT"),
    ("America/Atka", "HST", "HAST"),
    ("America/Atka", "HDT", "HADT"),
    ("US/Aleutian", "HST", "HAST"),
    ("US/Aleutian", "HDT", "HADT"),
    ("Antarctica/Casey", "+08", "AWST"),
    ("Antarctica/Troll", "+02", "GMT"),
    ("Asia/Colombo", "+0530", "IST"),
    ("Europe/Minsk", "+03", "MSK"),
    ("MET", "MET", "CET"),
    ("MET", "MEST", "CEST"),
];

/// `CustomTimeZone` in the API model.
const MAX_NAME_CHARS: usize = 50;
