use proptest::prelude::*;

use super::*;

/// Pattern, then what JDK 25 prints for it at each `zone@milliseconds` of the first line, or `ERROR`.
const JAVA: &str = include_str!("java.tsv");

/// Zone, its short name in January 2026, in July 2026.
const JAVA_ZONES: &str = include_str!("java_zones.tsv");

/// Java knows these; they are refused on purpose.
const REFUSED: [&str; 4] = ["zzzz", "v", "vvvv", "hh 'o''clock' a, zzzz"];

fn moments() -> Vec<(TimeZone, u64)> {
    let header = JAVA.lines().next().expect("the fixture has a first line");
    let moment = |column: &str| {
        let (zone, ms) = column.split_once('@').expect("zone@milliseconds");
        (TimeZone::named(zone).expect("a zone that Java knows"), ms.parse().expect("milliseconds"))
    };
    header.split('\t').skip(1).map(moment).collect()
}

#[test]
fn every_pattern_prints_what_java_prints() {
    let moments = moments();
    let mut compared = 0;
    for row in JAVA.lines().skip(1) {
        let (pattern, printed) = row.split_once('\t').expect("pattern, tab, output");
        let parsed = TimePattern::parse(pattern);
        // The letters that Java pads with or has other names for, and the service refuses.
        let refused = REFUSED.contains(&pattern) || pattern.chars().all(|c| "pV".contains(c)) && !pattern.is_empty();
        if printed == "ERROR" || refused {
            assert!(parsed.is_err(), "{pattern:?} is refused");
            compared += 1;
            continue;
        }
        let parsed = parsed.unwrap_or_else(|error| panic!("{pattern:?}: {error}"));
        let columns: Vec<&str> = printed.split('\t').collect();
        assert_eq!(columns.len(), moments.len(), "{pattern:?}");
        for ((zone, ms), expected) in moments.iter().zip(columns) {
            // Java knows no names of the past.
            if zone.name() == "Africa/Monrovia" && pattern.contains('z') {
                continue;
            }
            assert_eq!(parsed.format(*ms, zone), expected, "{pattern:?} at {ms} in {zone:?}");
            compared += 1;
        }
    }
    assert!(compared > 10_000, "{compared} outputs were compared");
}

#[test]
fn every_zone_has_javas_short_name() {
    let pattern = TimePattern::parse("z").expect("a pattern");
    for row in JAVA_ZONES.lines() {
        let [name, january, july] = row.split('\t').collect::<Vec<_>>().try_into().expect("three columns");
        let zone = TimeZone::named(name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(pattern.format(1_768_435_200_000, &zone), january, "{name}");
        assert_eq!(pattern.format(1_784_073_600_000, &zone), july, "{name}");
    }
}

#[test]
fn every_letter_without_a_meaning_is_refused_outside_quotes_only() {
    for letter in "CIJPRTUVbfijloprt".chars() {
        for count in 1..4 {
            let pattern = letter.to_string().repeat(count);
            assert_eq!(TimePattern::parse(&pattern), Err(TimePatternError::Letter(letter)));
        }
        let quoted = TimePattern::parse(&format!("'{letter}'")).expect("quoted text");
        assert_eq!(quoted.format(0, &TimeZone::utc()), letter.to_string());
    }
}

#[test]
fn each_fault_of_a_pattern_has_its_own_error() {
    let fault = |pattern| TimePattern::parse(pattern).expect_err("a fault");
    assert_eq!(fault("yyyyMMMMMM"), TimePatternError::Count { letter: 'M', count: 6 });
    assert_eq!(fault("zzzz"), TimePatternError::Count { letter: 'z', count: 4 });
    assert_eq!(fault("v"), TimePatternError::Letter('v'));
    assert_eq!(fault("yyyy{"), TimePatternError::Reserved('{'));
    assert_eq!(fault("yyyy'T"), TimePatternError::OpenQuote);
    assert_eq!(fault("[yyyy]]"), TimePatternError::NoSection);
}

#[test]
fn an_instant_past_all_calendars_prints_as_the_last_one() {
    let pattern = TimePattern::parse("yyyy-MM-dd").expect("a pattern");
    assert_eq!(pattern.format(u64::MAX, &TimeZone::utc()), "9999-12-30");
}

#[test]
fn a_zone_is_known_by_its_exact_name() {
    assert_eq!(TimeZone::named(""), Ok(TimeZone::utc()));
    assert_eq!(TimeZone::named("UTC").map(|zone| zone.name().to_owned()), Ok("UTC".to_owned()));
    for name in ["America/New_York", "Asia/Tokyo", "America/Argentina/Buenos_Aires", "US/Eastern", "Etc/UTC"] {
        assert_eq!(TimeZone::named(name).expect("a zone").name(), name);
    }
    assert_ne!(TimeZone::named("Asia/Tokyo"), TimeZone::named("Japan"));
    for name in ["Mars/Olympus", "america/new_york", "utc", "Etc/Unknown", "/", "_", "America/"] {
        assert_eq!(TimeZone::named(name), Err(TimeZoneError::Unknown(name.to_owned())));
    }
    for name in ["Etc/GMT+1", "America/Port-au-Prince", " UTC", "UTC\n", "Zürich"] {
        assert_eq!(TimeZone::named(name), Err(TimeZoneError::Malformed(name.to_owned())));
    }
    assert_eq!(TimeZone::named(&"a".repeat(50)), Err(TimeZoneError::Unknown("a".repeat(50))));
    assert_eq!(TimeZone::named(&"a".repeat(51)), Err(TimeZoneError::TooLong(51)));
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(pattern in "\\PC{0,40}", letters in "[yMdHms'\\[\\]/a-zA-Z]{0,20}", ms in any::<u64>()) {
        for text in [pattern, letters] {
            if let Ok(parsed) = TimePattern::parse(&text) {
                parsed.format(ms, &TimeZone::utc());
            }
        }
    }

    #[test]
    fn quoted_text_is_printed_as_it_is(text in "[^']{1,30}") {
        let pattern = TimePattern::parse(&format!("'{text}'")).expect("quoted text");
        prop_assert_eq!(pattern.format(0, &TimeZone::utc()), text);
    }
}
