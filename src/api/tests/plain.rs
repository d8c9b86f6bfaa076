use super::*;
use crate::api::put;

const PATH: &str = "/streams/clicks/records";
const NDJSON: &str = "application/x-ndjson";

/// Content type, query, body, records.
type Case = (&'static str, &'static str, &'static [u8], &'static [&'static [u8]]);

#[tokio::test]
async fn each_content_type_has_its_records() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let cases: [Case; 7] = [
        (NDJSON, "", b"{\"a\":1}\n\n{\"a\":2}", &[b"{\"a\":1}\n", b"{\"a\":2}\n"]),
        ("application/jsonl", "", b"1\n2\n", &[b"1\n", b"2\n"]),
        ("Text/Plain; charset=utf-8", "", b"one\ntwo", &[b"one\n", b"two\n"]),
        ("text/plain", "?newline=false", b"one\ntwo", &[b"one", b"two"]),
        ("application/json", "?newline=true", b"[{\"a\": 1}, 2]", &[b"{\"a\": 1}\n", b"2\n"]),
        ("application/json", "", b" {\"a\":[1]} ", &[b"{\"a\":[1]}\n"]),
        ("application/octet-stream", "", b"\x00\xff\n\n", &[b"\x00\xff\n\n"]),
    ];
    for (content_type, query, body, records) in cases {
        let reply = wire.post(&format!("{PATH}{query}"), content_type, body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(world.taken().pop().unwrap(), records, "{content_type}{query}");
        assert_eq!(reply.json()["accepted"], records.len());
    }
}

#[tokio::test]
async fn the_answer_names_the_first_and_the_last_record() {
    let world = World::new().await;
    let reply = world.connect().await.post(PATH, NDJSON, b"1\n2\n3\n").await;
    let body = reply.json();
    let offset = |member: &str| put::decode(body[member].as_str().unwrap()).unwrap().identity.offset.0;
    assert_eq!((offset("firstRecordId"), offset("lastRecordId")), (1000, 1002));
    assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
}

/// Interface, section 6, in the column of plain HTTP; on one connection.
#[tokio::test]
async fn every_refusal_says_why_and_when_to_come_back() {
    let world =
        World::with(ApiSettings { max_record_bytes: 100, max_body_bytes: 1000, ..ApiSettings::default() }).await;
    let mut wire = world.connect().await;
    let cases = [
        (Mood::Full, 503, "slow_down", Some("1")),
        (Mood::RateLimited, 429, "rate_limited", Some("1")),
        (Mood::Deleting, 404, "not_found", None),
        (Mood::DeletedMeanwhile, 404, "not_found", None),
        (Mood::Sourced, 409, "not_direct_put", None),
        (Mood::Broken, 500, "internal", None),
    ];
    for (mood, status, kind, retry_after) in cases {
        world.set(mood);
        let reply = wire.post(PATH, NDJSON, b"1\n").await;
        let (given, given_kind, message, _) = reply.problem();
        assert_eq!((given, given_kind.as_str()), (status, kind), "{message}");
        assert_eq!(reply.header("retry-after"), retry_after);
        assert!(!message.contains("secret"), "{message}");
    }
    world.set(Mood::Good);
    assert_eq!(wire.post("/streams/nobody/records", NDJSON, b"1\n").await.problem().0, 404);
    let cases: [(&[u8], u16, &str, &str); 5] = [
        (b"1\n{\n", 400, "bad_body", "line 2"),
        (b"", 400, "bad_body", "no record"),
        (b"\n\n", 400, "bad_body", "no record"),
        (&[b'1'; 101], 413, "record_too_large", "line 1: the record has 102 bytes, more than 100"),
        (&[b'\n'; 1001], 413, "too_large", "at most 1000 bytes"),
    ];
    for (body, status, kind, words) in cases {
        let (given, given_kind, message, _) = wire.post(PATH, NDJSON, body).await.problem();
        assert_eq!((given, given_kind.as_str()), (status, kind), "{message}");
        assert!(message.contains(words), "{message}");
    }
    assert!(world.taken().is_empty(), "all or nothing");
}

#[tokio::test]
async fn a_content_type_that_is_not_taken_is_answered_with_those_that_are() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let (status, kind, message, field) =
        wire.post(PATH, "application/x-www-form-urlencoded", b"{\"a\":1}").await.problem();
    assert_eq!((status, kind.as_str(), field.as_deref()), (415, "unsupported_media_type", Some("Content-Type")));
    for words in [
        "application/x-ndjson",
        "application/jsonl",
        "text/plain",
        "application/json ",
        "application/octet-stream",
        "--data-binary",
        "-H 'Content-Type: ",
    ] {
        assert!(message.contains(words), "{words} is missing: {message}");
    }
    let (status, _, message, _) = wire.request("POST", PATH, &[], b"1").await.problem();
    assert_eq!(status, 415);
    assert!(message.contains("missing"), "{message}");
}

#[tokio::test]
async fn a_parameter_that_is_wrong_or_unknown_is_named() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let (status, _, message, field) = wire.post(&format!("{PATH}?newline=no"), NDJSON, b"1\n").await.problem();
    assert_eq!((status, field.as_deref()), (400, Some("newline")), "{message}");
    let (status, _, message, _) = wire.post(&format!("{PATH}?newlines=false"), NDJSON, b"1\n").await.problem();
    assert_eq!(status, 400);
    assert!(message.contains("\"newlines\"") && message.contains("known: newline"), "{message}");
    assert!(world.taken().is_empty());
}

#[tokio::test]
async fn percent_encoding_says_the_same() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let path = "/streams/%63lick%73/records?newl%69ne=f%61lse";
    assert_eq!(wire.post(path, "text/plain", b"a\n").await.status, 200);
    assert_eq!(world.taken(), [[b"a".to_vec()]]);
    for path in ["/streams/clicks%2Frecords", "/streams/%FF/records", "/streams/clicks%/records"] {
        assert_eq!(wire.post(path, "text/plain", b"a\n").await.status, if path.contains("%2F") { 405 } else { 404 });
    }
    let (status, kind, ..) = wire.post("/streams/clicks/records?newline=%FF", "text/plain", b"a").await.problem();
    assert_eq!((status, kind.as_str()), (400, "bad_parameter"));
}

#[tokio::test]
async fn several_encodings_are_refused_and_not_taken_for_the_first() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    for second in ["gzip", "zstd", "identity"] {
        let headers = [("Content-Type", NDJSON), ("Content-Encoding", "gzip"), ("Content-Encoding", second)];
        let (status, kind, message, _) = wire.request("POST", PATH, &headers, &gzip(b"1\n")).await.problem();
        assert_eq!((status, kind.as_str()), (415, "unsupported_encoding"));
        assert!(message.contains(&format!("gzip, {second}")), "{message}");
    }
    assert!(world.taken().is_empty());
}

#[tokio::test]
async fn compressed_bodies_are_read() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let lines: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
    let lines = lines.join("\n");
    let zstd = zstd::encode_all(lines.as_bytes(), 3).unwrap();
    let two_members = [gzip(b"1\n"), gzip(b"2\n")].concat();
    for (encoding, body, count) in
        [("gzip", gzip(lines.as_bytes()), 100_000), ("zstd", zstd, 100_000), ("GZIP", two_members, 2)]
    {
        let headers = [("Content-Type", NDJSON), ("Content-Encoding", encoding)];
        let reply = wire.request("POST", PATH, &headers, &body).await;
        assert_eq!(reply.json()["accepted"], count, "{}", reply.text());
    }
    let cut = gzip(lines.as_bytes());
    let cut = &cut[..cut.len() / 2];
    let cases: [(&str, &[u8], u16); 4] =
        [("gzip", cut, 400), ("zstd", b"junk", 400), ("deflate", b"x", 415), ("gzip, gzip", b"x", 415)];
    for (encoding, body, status) in cases {
        let headers = [("Content-Type", NDJSON), ("Content-Encoding", encoding)];
        let (given, _, message, field) = wire.request("POST", PATH, &headers, body).await.problem();
        assert_eq!((given, field.as_deref()), (status, Some("Content-Encoding")), "{message}");
    }
}

#[tokio::test]
async fn a_bomb_stops_at_the_cap_and_a_body_at_the_cap_passes() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let at_cap: Vec<u8> = b"123456789012345\n".repeat(1 << 20);
    let bomb = vec![b'\n'; 64 << 20];
    let (bomb_gzip, bomb_zstd) = (gzip(&bomb), zstd::encode_all(bomb.as_slice(), 1).unwrap());
    drop(bomb);
    for (encoding, body) in [("gzip", bomb_gzip), ("zstd", bomb_zstd)] {
        let headers = [("Content-Type", NDJSON), ("Content-Encoding", encoding)];
        let (status, kind, message, _) = wire.request("POST", PATH, &headers, &body).await.problem();
        assert_eq!((status, kind.as_str()), (413, "too_large"), "{message}");
        assert!(message.contains("16777216 bytes after decompression"), "{message}");
    }
    let headers = [("Content-Type", NDJSON), ("Content-Encoding", "gzip")];
    let reply = wire.request("POST", PATH, &headers, &gzip(&at_cap)).await;
    assert_eq!(reply.json()["accepted"], 1 << 20);
    let one_more = [at_cap.as_slice(), b"\n"].concat();
    assert_eq!(wire.request("POST", PATH, &headers, &gzip(&one_more)).await.problem().0, 413);
    assert_eq!(wire.post(PATH, NDJSON, &one_more).await.problem().0, 413);
    assert_eq!(wire.post(PATH, NDJSON, &at_cap).await.status, 200);
}
