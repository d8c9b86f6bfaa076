//! The click stream: each click a function of its number, so that what was delivered can be held against it.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::clock::splitmix;

/// Click number `number`: a JSON object of 20 members, one of them nested, about 410 bytes with its line feed.
pub(super) fn click(number: u64) -> String {
    let mut dice = Dice(number.wrapping_mul(0x2545_F491_4F6C_DD1D));
    let since = SignedDuration::from_millis(i64::try_from(number % CLICKS_A_DAY).unwrap_or_default() * 20);
    let (width, height) = *dice.one_of(&[(1920, 1080), (1440, 900), (390, 844), (412, 915)]);
    let (kind, system, touch) =
        dice.one_of(&[("phone", "iOS", true), ("phone", "Android", true), ("laptop", "Linux", false)]);
    let click = json!({
        "number": number,
        "time": format!("{:.3}", START + since),
        "type": dice.one_of(&["click", "scroll", "view", "hover"]),
        "user": format!("u{}", dice.below(90_000) + 10_000),
        "session": format!("{:016x}", dice.next()),
        "page": format!("{}{}", dice.one_of(&PAGES), dice.below(9000) + 1000),
        "referrer": dice.one_of(&["https://search.example/", "https://news.example/today", ""]),
        "button": dice.one_of(&["add-to-cart", "buy-now", "wish-list", "details"]),
        "x": dice.below(width),
        "y": dice.below(height),
        "width": width,
        "height": height,
        "language": dice.one_of(&["en", "de", "fr", "ja", "pt"]),
        "country": dice.one_of(&["DE", "US", "FR", "JP", "BR", "IN"]),
        "browser": dice.one_of(&["Firefox", "Chrome", "Safari"]),
        "experiment": dice.one_of(&["A", "B"]),
        "milliseconds": dice.below(5000),
        "cents": dice.below(50_000),
        "returning": dice.below(2) == 0,
        "device": {"kind": kind, "system": system, "touch": touch, "pixels": dice.below(3) + 1},
    });
    format!("{click}\n")
}

/// The number of a click, as its line says it.
pub(super) fn number(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(br#"{"number":"#)?;
    let end = digits.iter().position(|byte| *byte == b',')?;
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        splitmix(&mut self.0)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let index = usize::try_from(self.below(choices.len() as u64)).unwrap_or_default();
        choices.get(index).expect("the index is below the number of choices")
    }
}

const PAGES: [&str; 4] = ["/products/", "/products/reviews/", "/cart/", "/campaigns/summer/"];
const CLICKS_A_DAY: u64 = 4_320_000;
/// 2026-07-13T14:05:09Z.
const START: Timestamp = Timestamp::constant(1_783_951_509, 0);
