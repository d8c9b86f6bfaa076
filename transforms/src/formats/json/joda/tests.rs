use super::*;

fn read(pattern: &str, text: &str) -> Option<String> {
    let format = TimestampFormat::parse(pattern).expect("a pattern");
    let nanoseconds = format.read(text.as_bytes()).ok()?;
    Some(jiff::Timestamp::from_nanosecond(nanoseconds.into()).expect("in range").to_string())
}

#[test]
fn patterns_read_what_joda_reads() {
    for (pattern, text, instant) in [
        ("yyyy-MM-dd'T'HH:mm:ss", "2024-02-29T13:14:15", "2024-02-29T13:14:15Z"),
        ("yyyy-MM-dd'T'HH:mm:ss", "2024-2-9t3:4:5", "2024-02-09T03:04:05Z"),
        ("yyyyMMddHHmmssSSS", "20240229131415678", "2024-02-29T13:14:15.678Z"),
        ("yyyy/MM/dd", "2024/02/29", "2024-02-29T00:00:00Z"),
        ("y", "2024", "2024-01-01T00:00:00Z"),
        ("HH:mm", "13:14", "1970-01-01T13:14:00Z"),
        ("MMM d, yyyy h:mm:ss a", "Feb 9, 2024 1:02:03 PM", "2024-02-09T13:02:03Z"),
        ("MMMM d, yyyy h:mm:ss a", "february 9, 2024 12:02:03 am", "2024-02-09T00:02:03Z"),
        ("MMM d yyyy", "February 9 2024", "2024-02-09T00:00:00Z"),
        ("EEE, dd MMM yyyy HH:mm:ss Z", "Fri, 09 Feb 2024 13:02:03 +0530", "2024-02-09T07:32:03Z"),
        ("EEEE dd MMM yyyy", "Friday 09 May 2024", "2024-05-09T00:00:00Z"),
        ("yyyy-MM-dd kk:mm", "2024-02-09 24:05", "2024-02-09T00:05:00Z"),
        ("yyyy-MM-dd KK:mm a", "2024-02-09 00:05 PM", "2024-02-09T12:05:00Z"),
        ("yyyy-MM-dd HH:mm:ss.SSSSSSSSS", "2024-02-09 01:02:03.123456789", "2024-02-09T01:02:03.123456789Z"),
        ("yyyy-MM-dd HH:mm:ss.SSSSSS", "2024-02-09 01:02:03.1", "2024-02-09T01:02:03.1Z"),
        ("yyyy-MM-dd'T'HH:mm:ssZZ", "2024-02-09T01:02:03-08:00", "2024-02-09T09:02:03Z"),
        ("yyyy-MM-dd'T'HH:mm:ssZ", "2024-02-09T01:02:03Z", "2024-02-09T01:02:03Z"),
        ("yy-MM-dd", "69-02-09", "2069-02-09T00:00:00Z"),
        ("yy-MM-dd", "70-02-09", "1970-02-09T00:00:00Z"),
        ("yy-MM-dd", "1999-02-09", "1999-02-09T00:00:00Z"),
        ("'at '''HH''", "at '07'", "1970-01-01T07:00:00Z"),
        ("H 'o''clock'", "7 o'clock", "1970-01-01T07:00:00Z"),
        ("yyyy年MM月", "2024年02月", "2024-02-01T00:00:00Z"),
        ("millis", "1700000000123", "2023-11-14T22:13:20.123Z"),
        ("Millis", "-1.5", "1969-12-31T23:59:59.9985Z"),
    ] {
        assert_eq!(read(pattern, text).as_deref(), Some(instant), "{pattern} of {text}");
    }
}

#[test]
fn texts_that_do_not_fit_their_pattern_are_refused() {
    for (pattern, text) in [
        ("yyyy-MM-dd", "2024-02-30"),
        ("yyyy-MM-dd", "2024-02-09 "),
        ("yyyy-MM-dd", "2024-02"),
        ("yyyy-MM-dd", "2024-x-09"),
        ("yyyy-MM-dd HH", "2024-02-09 25"),
        ("hh a", "13 PM"),
        ("SSS", "1234"),
        ("MMM", "Foo"),
        ("Z", "0100"),
        ("yyyy年", "2024x"),
        ("millis", "x"),
        ("millis", ""),
    ] {
        assert_eq!(read(pattern, text), None, "{pattern} of {text}");
    }
}

#[test]
fn patterns_that_mean_nothing_here_are_refused_by_letter() {
    for (pattern, message) in [
        (
            "yyyy-MM-dd z",
            "timestamp format \"yyyy-MM-dd z\": letter 'z' is not supported; quote it to mean the letter itself",
        ),
        ("ZZZ", "timestamp format \"ZZZ\": letter 'Z' is not supported; quote it to mean the letter itself"),
        ("yyyyTHH", "timestamp format \"yyyyTHH\": letter 'T' is not supported; quote it to mean the letter itself"),
        ("HHH", "timestamp format \"HHH\": letter 'H' cannot stand 3 times"),
        ("SSSSSSSSSS", "timestamp format \"SSSSSSSSSS\": letter 'S' cannot stand 10 times"),
        ("yyyy'x", "timestamp format \"yyyy'x\" ends within a quoted text"),
        ("", "timestamp format \"\" has no letters that stand for a part of a time"),
        ("'x'-", "timestamp format \"'x'-\" has no letters that stand for a part of a time"),
    ] {
        assert_eq!(TimestampFormat::parse(pattern).map_err(|error| error.to_string()), Err(message.to_owned()));
    }
}
