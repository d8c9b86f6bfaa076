//! What a transform module for hydrant is made with.
//!
//! A module looks at records one by one and says of each whether it goes on, and as what:
//!
//! ```
//! use hydrant_guest::{Answer, Answered, Record};
//!
//! fn shout(record: Record<'_>, answer: Answer<'_>) -> Answered {
//!     if record.data.is_empty() {
//!         return answer.dropped();
//!     }
//!     answer.ok(record.data.to_ascii_uppercase())
//! }
//!
//! hydrant_guest::transform!(shout);
//! # use hydrant_guest::testing::{run, Outcome};
//! # assert_eq!(run(shout, &["a", ""]), [Outcome::ok("A"), Outcome::Dropped]);
//! ```
//!
//! An [`Answer`] is given away with the verdict, and a verdict is all that a transform can return: it cannot answer twice, and
//! it cannot forget to. A transform that returns a `Result` fails the record with the error's text:
//!
//! ```
//! use hydrant_guest::{Answer, Answered, Record};
//!
//! #[derive(serde::Deserialize, serde::Serialize)]
//! struct Click<'a> {
//!     page: &'a str,
//!     cents: u64,
//! }
//!
//! fn add_tax(record: Record<'_>, answer: Answer<'_>) -> Result<Answered, serde_json::Error> {
//!     let mut click: Click<'_> = record.json()?;
//!     click.cents += click.cents / 5;
//!     answer.json(&click)
//! }
//! # use hydrant_guest::testing::{run, Outcome};
//! # assert_eq!(run(add_tax, &[r#"{"page":"/","cents":100}"#]), [Outcome::ok("{\"page\":\"/\",\"cents\":120}\n")]);
//! # assert!(matches!(&run(add_tax, &["{}"])[0], Outcome::Failed(why) if why.contains("missing field `page`")));
//! ```
//!
//! hydrant may ask about a record more than once, in any company and on an instance of any age. So a transform must be a
//! function of its record (and of the settings): `hydrant check --transform` finds out whether it is. There is no clock and
//! no chance in a module unless the service grants them.

pub mod abi;
mod answer;
pub mod testing;

pub use answer::{Answer, Answered, Reply};

/// A record, as it is before the transform.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// When it arrived, milliseconds since the Unix epoch.
    pub arrival_ms: u64,
    /// Its bytes.
    pub data: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record as JSON. Members may borrow from it: `&str` where no escapes are to be expected, else `Cow<str>` with
    /// `#[serde(borrow)]`.
    pub fn json<T: serde::Deserialize<'a>>(&self) -> Result<T, serde_json::Error> {
        // One look at the whole text is cheaper than one at each of its strings.
        serde_json::from_str(self.text().map_err(|_| serde::de::Error::custom("the record is not UTF-8"))?)
    }

    /// The record as text.
    pub fn text(&self) -> Result<&'a str, std::str::Utf8Error> {
        std::str::from_utf8(self.data)
    }
}

/// Writes a line to the service's log. It takes no more than 16 KiB a call.
pub fn log(text: &str) {
    abi::log(text);
}

/// Makes a module of a function `fn(Record<'_>, Answer<'_>) -> R`, where `R` is [`Answered`] or a `Result` of it.
///
/// `init = function`, with `fn(&[u8]) -> Result<(), E>`, is called once in each instance with the module's settings, before
/// any record. If it fails, the module cannot be used.
#[macro_export]
macro_rules! transform {
    ($transform:expr) => {
        $crate::transform!($transform, init = |_: &[u8]| Ok::<(), &str>(()));
    };
    ($transform:expr, init = $init:expr) => {
        /// Says that this module speaks version 1.
        #[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
        pub extern "C" fn hydrant_abi_1() {}

        /// Makes room for a request or for settings.
        #[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
        pub extern "C" fn hydrant_alloc(bytes: u32) -> *mut u8 {
            $crate::abi::alloc(bytes)
        }

        /// Takes the settings.
        #[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
        pub extern "C" fn hydrant_init(_: *const u8, bytes: u32) -> u32 {
            $crate::abi::init(bytes, $init)
        }

        /// Answers a request.
        #[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
        pub extern "C" fn hydrant_transform(_: *const u8, bytes: u32) -> u64 {
            $crate::abi::transform(bytes, $transform)
        }
    };
}
