//! A click stream as web shops send it: NDJSON, about 410 bytes a record, 20 top-level fields, one of them an object.
//!
//! Keys are skewed as real ones are: few products, pages and browsers make most of the records. One field of 64 random bits
//! keeps the stream from being packed away to nothing.

/// Whole records, at least `bytes` of them; the same for the same seed, on every machine.
pub(crate) fn clicks(seed: u64, bytes: usize) -> Vec<u8> {
    let mut chance = Chance(seed);
    let mut out = Vec::with_capacity(bytes + 512);
    let mut time_ms = 1_785_000_000_000;
    while out.len() < bytes {
        time_ms += chance.below(400);
        click(&mut chance, time_ms, &mut out);
    }
    out
}

fn click(chance: &mut Chance, time_ms: u64, out: &mut Vec<u8>) {
    use std::io::Write;

    let customer = chance.skewed(200_000);
    let product = chance.skewed(20_000);
    let (country, currency) = *chance.one_of(COUNTRIES);
    let device = *chance.one_of(DEVICES);
    let kind = *chance.one_of(KINDS);
    let quantity = if kind == "view" { 0 } else { 1 + chance.skewed(5) };
    writeln!(
        out,
        concat!(
            r#"{{"id":"{id:016x}","ts":{ts},"customer_id":{customer},"session_id":"s{customer:x}-{session}","type":"{kind}","#,
            r#""page":"/p/{product}","ref":"{referrer}","sku":"SKU-{product:05}","category":"{category}","qty":{quantity},"#,
            r#""price":{euros}.{cents:02},"currency":"{currency}","country":"{country}","lang":"{language}","#,
            r#""ip":"10.{ip1}.{ip2}.{ip3}","ab":"{variant}","bot":false,"duration_ms":{took},"#,
            r#""device":{{"os":"{os}","br":"{browser}","w":{width},"mobile":{mobile}}},"ver":"web-3.{version}.1"}}"#,
        ),
        id = chance.next(),
        ts = time_ms,
        customer = customer,
        session = chance.below(10_000),
        kind = kind,
        product = product,
        referrer = chance.one_of(REFERRERS),
        category = nth(CATEGORIES, product % CATEGORIES.len() as u64),
        quantity = quantity,
        euros = product % 397,
        cents = chance.below(100),
        currency = currency,
        country = country,
        language = country.to_ascii_lowercase(),
        ip1 = customer % 256,
        ip2 = customer / 256 % 256,
        ip3 = chance.below(256),
        variant = chance.one_of(&["a", "b", "control"]),
        took = 20 + chance.skewed(2_000),
        os = device.0,
        browser = device.1,
        width = device.2,
        mobile = device.3,
        version = chance.skewed(20),
    )
    .expect("a vector takes every write");
}

/// splitmix64: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Below `end`, small ones far more often: the product of two even draws.
    fn skewed(&mut self, end: u64) -> u64 {
        let draw = |bits: u64| u128::from(bits >> 34);
        let product = draw(self.next()) * draw(self.next());
        u64::try_from((product * u128::from(end)) >> 60).expect("two draws of 30 bits each are taken off again")
    }

    fn one_of<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        let at = self.skewed(values.len() as u64);
        nth(values, at)
    }
}

fn nth<T>(values: &[T], at: u64) -> &T {
    usize::try_from(at).ok().and_then(|at| values.get(at)).expect("drawn below the number of values")
}

const KINDS: &[&str] = &["view", "click", "add_to_cart", "search", "purchase"];
const CATEGORIES: &[&str] = &["garden", "kitchen", "books", "toys", "audio", "shoes", "bikes", "lamps"];
const REFERRERS: &[&str] = &[
    "https://www.example.com/",
    "https://search.example.net/?q=shoes",
    "",
    "https://news.example.org/deals/today",
    "https://mail.example.com/campaign/spring",
];
const COUNTRIES: &[(&str, &str)] =
    &[("US", "USD"), ("DE", "EUR"), ("GB", "GBP"), ("FR", "EUR"), ("JP", "JPY"), ("BR", "BRL")];
const DEVICES: &[(&str, &str, u32, bool)] = &[
    ("Android 16", "Chrome 148", 412, true),
    ("iOS 19.4", "Safari 19", 393, true),
    ("Windows 11", "Edge 148", 1920, false),
    ("macOS 16.2", "Firefox 151", 1728, false),
];
