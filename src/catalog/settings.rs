//! What a stream can be told that AWS has no word for: the `Hydrant:` block of a stream file, tags `hydrant:<setting>`
//! through the API.
//!
//! | Setting | Values | What it trades |
//! |---|---|---|
//! | `Durability` | `disk`, `os` | `os` answers once the kernel has the record: faster, and a power loss takes the last second |
//! | `DiskBudgetInMBs` | 1 to 1,073,741,824 | how long a dead destination can last before producers are refused |
//! | `BufferIntervalInSeconds` | 0 to 604,800, fractions | freshness against number of objects; over AWS's interval |
//! | `BufferSizeInMBs` | 0.001 to 5,120, fractions | the same by size |
//! | `GzipLevel` | 1 to 9 | CPU against bytes |
//! | `GzipMembers` | `one`, `many` | `many` is faster; some readers stop after the first member |
//! | `OnDelete` | `drain`, `discard` | whether a deleted stream still delivers what it holds |
//! | `DrainDeadlineInSeconds` | 0 to 31,536,000 | how long a deleted stream tries to deliver what it holds before it drops it |
//! | `RetryForever` | `true`, `false` | what a destination does not take holds its records instead of giving them to the error output |

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// The settings of one stream; `None` is the service's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// What a success answer means.
    pub durability: Durability,
    /// Most bytes of disk that the stream's logs may take.
    pub disk_budget: Option<u64>,
    /// Buffer interval instead of the destination's.
    pub buffer_interval: Option<Duration>,
    /// Buffer size in bytes instead of the destination's.
    pub buffer_bytes: Option<u64>,
    /// Compression level, 1 to 9.
    pub gzip_level: Option<u8>,
    /// How a gzip object is made up.
    pub gzip_members: GzipMembers,
    /// What becomes of waiting records when the stream is deleted.
    pub on_delete: OnDelete,
    /// How long a deleted stream drains before it drops the rest.
    pub drain_deadline: Option<Duration>,
    /// Whether retry durations of the destination are ignored.
    pub retry_forever: bool,
}

/// What a success answer to a producer means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The record survives power loss.
    #[default]
    Disk,
    /// The record survives the process.
    Os,
}

/// How a gzip object is made up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GzipMembers {
    /// One stream, as AWS writes it.
    #[default]
    One,
    /// Independent members one after the other.
    Many,
}

/// What becomes of waiting records when their stream is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDelete {
    /// They are delivered first.
    #[default]
    Drain,
    /// They are dropped, as AWS does.
    Discard,
}

/// A setting that is not one, or a value that it does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {rule}")]
pub struct SettingFault {
    /// The setting, as written.
    pub setting: String,
    /// The rule it broke.
    pub rule: String,
}

impl Settings {
    /// Reads the settings among a stream's tags; other tags are passed over.
    ///
    /// # Errors
    /// Every fault, in the order of the tags.
    pub fn from_tags(tags: &BTreeMap<String, String>) -> Result<Self, Vec<SettingFault>> {
        let mut settings = Self::default();
        let mut faults = Vec::new();
        for (key, value) in tags {
            let Some(setting) = key.strip_prefix(TAG_PREFIX) else { continue };
            if let Err(rule) = settings.set(setting, value) {
                faults.push(SettingFault { setting: setting.to_owned(), rule });
            }
        }
        if faults.is_empty() { Ok(settings) } else { Err(faults) }
    }

    fn set(&mut self, setting: &str, value: &str) -> Result<(), String> {
        match setting {
            "Durability" => self.durability = choice(value, &[("disk", Durability::Disk), ("os", Durability::Os)])?,
            "DiskBudgetInMBs" => self.disk_budget = Some(whole(value, 1, MOST_BUDGET_MEBIBYTES)? * MEBIBYTE),
            "BufferIntervalInSeconds" => {
                self.buffer_interval = Some(Duration::from_millis(thousandths(value, 0, WEEK_SECONDS)?));
            }
            "BufferSizeInMBs" => {
                self.buffer_bytes = Some(thousandths(value, 1, MOST_BUFFER_MEBIBYTES)? * MEBIBYTE / 1000);
            }
            "GzipLevel" => {
                let level = whole(value, 1, 9)?;
                self.gzip_level = u8::try_from(level).ok();
            }
            "GzipMembers" => {
                self.gzip_members = choice(value, &[("one", GzipMembers::One), ("many", GzipMembers::Many)])?;
            }
            "OnDelete" => {
                self.on_delete = choice(value, &[("drain", OnDelete::Drain), ("discard", OnDelete::Discard)])?;
            }
            "DrainDeadlineInSeconds" => {
                self.drain_deadline = Some(Duration::from_secs(whole(value, 0, YEAR_SECONDS)?));
            }
            "RetryForever" => self.retry_forever = choice(value, &[("true", true), ("false", false)])?,
            _ => return Err(format!("no such setting; there are {}", NAMES.join(", "))),
        }
        Ok(())
    }
}

/// The settings among `tags` that ask for what AWS does not do: wider sizes and intervals, a deletion that delivers what waits,
/// retries without end. `--strict` refuses them.
pub(super) fn beyond_aws(tags: &BTreeMap<String, String>) -> Vec<SettingFault> {
    let settings = tags.iter().filter_map(|(key, value)| Some((key.strip_prefix(TAG_PREFIX)?, value)));
    let faults = settings.filter_map(|(setting, value)| {
        let rule = match setting {
            "BufferIntervalInSeconds" => whole(value, 0, AWS_SECONDS).err()?,
            "BufferSizeInMBs" => whole(value, 1, AWS_MEBIBYTES).err()?,
            "OnDelete" if value != "discard" => "must be discard".to_owned(),
            "RetryForever" if value != "false" => "must be false".to_owned(),
            _ => return None,
        };
        Some(SettingFault { setting: setting.to_owned(), rule: format!("{rule} under --strict") })
    });
    faults.collect()
}

/// The tags that say what the `Hydrant` block of a file says.
///
/// # Errors
/// The block is no mapping, or holds a value that is no scalar. Names and ranges are [`Settings::from_tags`]'s to judge.
pub(super) fn tags_of_block(block: &Value) -> Result<Vec<(String, String)>, Vec<SettingFault>> {
    let members = match block {
        Value::Null => return Ok(Vec::new()),
        Value::Object(members) => members,
        _ => {
            return Err(vec![SettingFault {
                setting: String::new(),
                rule: "must be a mapping of settings".to_owned(),
            }]);
        }
    };
    let mut tags = Vec::with_capacity(members.len());
    let mut faults = Vec::new();
    for (setting, value) in members {
        match value {
            Value::Null => {}
            Value::String(text) => tags.push((format!("{TAG_PREFIX}{setting}"), text.clone())),
            Value::Bool(_) | Value::Number(_) => tags.push((format!("{TAG_PREFIX}{setting}"), value.to_string())),
            Value::Array(_) | Value::Object(_) => {
                faults.push(SettingFault { setting: setting.clone(), rule: "must be a single value".to_owned() });
            }
        }
    }
    if faults.is_empty() { Ok(tags) } else { Err(faults) }
}

fn choice<T: Copy>(value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let names = || choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" or ");
    choices.iter().find(|(name, _)| *name == value).map(|(_, it)| *it).ok_or_else(|| format!("must be {}", names()))
}

fn whole(value: &str, min: u64, max: u64) -> Result<u64, String> {
    let number = value.parse().ok().filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| format!("must be a whole number from {min} to {max}"))
}

/// Reads a decimal number of at most `max` as thousandths, of which there must be `min_thousandths`.
fn thousandths(value: &str, min_thousandths: u64, max: u64) -> Result<u64, String> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let rule = || {
        let min = if min_thousandths == 0 { "0" } else { "0.001" };
        format!("must be a number from {min} to {max}, with at most three decimal places")
    };
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return Err(rule());
    }
    let number = format!("{whole}{fraction:0<3}").parse().map_err(|_| rule())?;
    if (min_thousandths..=max * 1000).contains(&number) { Ok(number) } else { Err(rule()) }
}

/// What the key of a tag begins with that is a setting.
pub(super) const TAG_PREFIX: &str = "hydrant:";

const NAMES: [&str; 9] = [
    "Durability",
    "DiskBudgetInMBs",
    "BufferIntervalInSeconds",
    "BufferSizeInMBs",
    "GzipLevel",
    "GzipMembers",
    "OnDelete",
    "DrainDeadlineInSeconds",
    "RetryForever",
];

const MEBIBYTE: u64 = 1024 * 1024;
/// A pebibyte: more than any disk, and far from overflow.
const MOST_BUDGET_MEBIBYTES: u64 = 1024 * 1024 * 1024;
const MOST_BUFFER_MEBIBYTES: u64 = 5120;
/// Bounds of the API's `BufferingHints`.
const AWS_MEBIBYTES: u64 = 128;
const AWS_SECONDS: u64 = 900;
const WEEK_SECONDS: u64 = 7 * 86_400;
const YEAR_SECONDS: u64 = 365 * 86_400;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_block(block: &Value) -> Result<Settings, Vec<SettingFault>> {
        Settings::from_tags(&tags_of_block(block)?.into_iter().collect())
    }

    fn fault(block: &Value) -> String {
        of_block(block).expect_err("a fault").iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn every_setting_is_read_from_the_block_and_from_tags_alike() {
        let expected = Settings {
            durability: Durability::Os,
            disk_budget: Some(10 * MEBIBYTE),
            buffer_interval: Some(Duration::from_millis(250)),
            buffer_bytes: Some(MEBIBYTE / 2),
            gzip_level: Some(6),
            gzip_members: GzipMembers::Many,
            on_delete: OnDelete::Discard,
            drain_deadline: Some(Duration::from_hours(1)),
            retry_forever: true,
        };
        let block = json!({
            "Durability": "os", "DiskBudgetInMBs": 10, "BufferIntervalInSeconds": 0.25, "BufferSizeInMBs": 0.5,
            "GzipLevel": 6, "GzipMembers": "many", "OnDelete": "discard", "DrainDeadlineInSeconds": 3600, "RetryForever": true
        });
        assert_eq!(of_block(&block), Ok(expected));
        assert_eq!(of_block(&json!({"GzipLevel": null})), Ok(Settings::default()));
        assert_eq!(of_block(&Value::Null), Ok(Settings::default()));
        let other = BTreeMap::from([("team".to_owned(), "blue".to_owned())]);
        assert_eq!(Settings::from_tags(&other), Ok(Settings::default()));
    }

    #[test]
    fn each_fault_names_its_setting_and_rule() {
        for (block, message) in [
            (json!({"Durability": "ram"}), "Durability: must be disk or os"),
            (json!({"DiskBudgetInMBs": 0}), "DiskBudgetInMBs: must be a whole number from 1 to 1073741824"),
            (json!({"DiskBudgetInMBs": 1.5}), "DiskBudgetInMBs: must be a whole number from 1 to 1073741824"),
            (
                json!({"BufferIntervalInSeconds": -1}),
                "BufferIntervalInSeconds: must be a number from 0 to 604800, with at most three decimal places",
            ),
            (
                json!({"BufferSizeInMBs": 0}),
                "BufferSizeInMBs: must be a number from 0.001 to 5120, with at most three decimal places",
            ),
            (json!({"GzipLevel": 10}), "GzipLevel: must be a whole number from 1 to 9"),
            (json!({"GzipMembers": ["one"]}), "GzipMembers: must be a single value"),
            (json!({"OnDelete": "keep"}), "OnDelete: must be drain or discard"),
            (
                json!({"DrainDeadlineInSeconds": 31_536_001}),
                "DrainDeadlineInSeconds: must be a whole number from 0 to 31536000",
            ),
            (json!({"RetryForever": "yes"}), "RetryForever: must be true or false"),
            (json!([]), ": must be a mapping of settings"),
        ] {
            assert_eq!(fault(&block), message, "{block}");
        }
        let message = fault(&json!({"Gziplevel": 1, "OnDelete": "x"}));
        assert!(message.starts_with("Gziplevel: no such setting; there are Durability, "), "{message}");
        assert!(message.ends_with("OnDelete: must be drain or discard"), "{message}");
    }

    #[test]
    fn what_aws_does_not_do_is_told_from_what_it_does() {
        let beyond = |block: &Value| {
            let tags = tags_of_block(block).expect("a mapping").into_iter().collect();
            beyond_aws(&tags).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let within = json!({
            "BufferSizeInMBs": 128, "BufferIntervalInSeconds": 0, "OnDelete": "discard", "RetryForever": false,
            "GzipLevel": 9, "DiskBudgetInMBs": 7
        });
        assert_eq!(beyond(&within), Vec::<String>::new());
        for (block, message) in [
            (json!({"BufferSizeInMBs": 129}), "BufferSizeInMBs: must be a whole number from 1 to 128 under --strict"),
            (json!({"BufferSizeInMBs": 0.5}), "BufferSizeInMBs: must be a whole number from 1 to 128 under --strict"),
            (
                json!({"BufferIntervalInSeconds": 901}),
                "BufferIntervalInSeconds: must be a whole number from 0 to 900 under --strict",
            ),
            (json!({"OnDelete": "drain"}), "OnDelete: must be discard under --strict"),
            (json!({"RetryForever": true}), "RetryForever: must be false under --strict"),
        ] {
            assert_eq!(beyond(&block), [message]);
        }
    }

    #[test]
    fn numbers_that_are_no_plain_decimals_are_refused() {
        for text in ["", ".5", "5.", "1e3", "+1", "0.0001", "NaN", "99999999999999999999", "604800.001"] {
            assert!(thousandths(text, 0, WEEK_SECONDS).is_err(), "{text}");
        }
        assert_eq!(thousandths("604800", 0, WEEK_SECONDS), Ok(604_800_000));
        assert_eq!(thousandths("1.05", 0, WEEK_SECONDS), Ok(1050));
    }
}
