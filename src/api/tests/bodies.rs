use super::*;
use wire::{aws, aws_with, request};

const PATH: &str = "/streams/clicks/records";
const TARGET: (&str, &str) = ("X-Amz-Target", "Firehose_20150804.PutRecord");

fn xs(count: usize) -> Vec<u8> {
    vec![b'x'; count]
}

fn impatient() -> ApiSettings {
    ApiSettings { body_pause: Duration::from_millis(40), ..ApiSettings::default() }
}

#[tokio::test]
async fn a_refused_body_is_read_to_its_end_and_the_connection_goes_on() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let long = vec![b' '; 20 << 20];
    let (status, error_type, message) = wire.aws("PutRecordBatch", &long).await.aws_error();
    assert_eq!((status, error_type.as_str()), (413, "RequestEntityTooLargeException"));
    assert!(message.contains("at most 16777216 bytes"), "{message}");
    assert_eq!(wire.post(PATH, "text/plain", &long).await.problem().0, 413);
    assert_eq!(wire.post(PATH, "image/png", &long).await.problem().0, 415);
    assert_eq!(wire.post("/streams/nobody/records", "text/plain", &long).await.problem().0, 404);
    assert_eq!(wire.post("/nowhere", "text/plain", &long).await.problem().0, 404);
    assert_eq!(wire.post("/health", "text/plain", &long).await.problem().0, 405);
    assert_eq!(wire.post("/streams/clicks/flush", "text/plain", &long).await.status, 202);
    let refused = wire.aws("ListDeliveryStreams", &long[..2 << 20]).await.aws_error();
    assert_eq!((refused.0, refused.2.as_str()), (413, "the body must have at most 1048576 bytes"));
    assert_eq!(wire.aws("PutRecord", &record(b"still here")).await.status, 200);
}

#[tokio::test]
async fn who_sends_all_before_it_looks_for_an_answer_gets_one() {
    let world = World::with(ApiSettings { max_discarded_bytes: 100_000, ..ApiSettings::default() }).await;
    let long = vec![b' '; 30 << 20];
    for (path, status) in [(PATH, 415), ("/", 400), ("/nowhere", 404)] {
        let mut wire = world.connect().await;
        wire.send(request("POST", path, &[], &long)).await;
        let reply = wire.reply().await;
        assert_eq!((reply.status, reply.header("connection")), (status, Some("close")));
        assert!(wire.is_closed().await);
    }
    let mut wire = world.connect().await;
    wire.send(format!("no request\r\n\r\n{}", " ".repeat(30 << 20))).await;
    assert_eq!(wire.reply().await.status, 400);
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn a_refused_body_without_end_is_not_read_for_ever() {
    let world = World::with(ApiSettings { max_discarded_bytes: 100_000, ..ApiSettings::default() }).await;
    let mut wire = world.connect().await;
    wire.send(format!("POST {PATH} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")).await;
    wire.send([b"1E848\r\n".to_vec(), xs(125_000)].concat()).await;
    let reply = wire.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (415, Some("close")));
    let mut wire = world.connect().await;
    wire.send(format!("POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Length: 100001\r\n\r\n")).await;
    let reply = wire.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (415, Some("close")));
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn chunked_bodies_are_read_and_capped() {
    let world = World::with(ApiSettings { max_request_bytes: 300_000, ..ApiSettings::default() }).await;
    let mut wire = world.connect().await;
    let chunked = |body: &[u8], size: usize| {
        let head =
            format!("POST / HTTP/1.1\r\nHost: h\r\n{}: {}\r\nTransfer-Encoding: chunked\r\n\r\n", TARGET.0, TARGET.1);
        let mut all = head.into_bytes();
        for chunk in body.chunks(size) {
            all.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            all.extend_from_slice(chunk);
            all.extend_from_slice(b"\r\n");
        }
        all.extend_from_slice(b"0\r\nX-Trailer: y\r\n\r\n");
        all
    };
    let long = vec![b'z'; 200_000];
    for (body, size) in [(record(b"short"), 7), (record(&long), 1000), (record(&long), 300_000)] {
        wire.send(chunked(&body, size)).await;
        assert_eq!(wire.reply().await.status, 200);
    }
    assert_eq!(world.taken(), [[b"short".to_vec()], [long.clone()], [long.clone()]]);
    wire.send(chunked(&record(&vec![b'z'; 300_000]), 10_000)).await;
    assert_eq!(wire.reply().await.aws_error().0, 413);
    wire.send(chunked(b"", 1)).await;
    assert_eq!(wire.reply().await.aws_error().1, "SerializationException");
    assert_eq!(wire.aws("PutRecord", &record(b"on")).await.status, 200);
}

#[tokio::test]
async fn a_half_sent_body_times_out_and_its_connection_with_it() {
    let world = World::with(impatient()).await;
    let whole = aws("PutRecord", &record(b"never finished"));
    for sent in [whole.len() - 5, whole.len() - record(b"never finished").len()] {
        let mut wire = world.connect().await;
        wire.send(&whole[..sent]).await;
        let reply = wire.reply().await;
        assert_eq!(reply.aws_error().0, 408);
        assert_eq!(reply.aws_error().1, "RequestTimeoutException");
        assert_eq!(reply.header("connection"), Some("close"));
        assert!(wire.is_closed().await);
    }
    let mut wire = world.connect().await;
    let whole = request("POST", PATH, &[("Content-Type", "text/plain")], b"one\ntwo\n");
    wire.send(&whole[..whole.len() - 1]).await;
    assert_eq!(wire.reply().await.problem().1, "too_slow");
    assert!(wire.is_closed().await);
    let mut wire = world.connect().await;
    let refused = request("POST", PATH, &[("Content-Type", "image/png")], b"one\ntwo\n");
    wire.send(&refused[..refused.len() - 1]).await;
    let reply = wire.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (415, Some("close")));
    assert!(world.taken().is_empty());
}

#[tokio::test]
async fn a_body_that_trickles_times_out_although_it_never_pauses() {
    let settings = ApiSettings { body_pause: Duration::from_millis(200), ..ApiSettings::default() };
    let world = World::with(settings).await;
    let mut wire = world.connect().await;
    let body = record(&xs(10_000));
    let whole = aws("PutRecord", &body);
    let head = whole.len() - body.len();
    wire.send(&whole[..head]).await;
    for sent in head..whole.len() {
        if wire.hears_within(Duration::from_millis(10)).await {
            break;
        }
        wire.send(&whole[sent..=sent]).await;
    }
    let reply = wire.reply().await;
    assert_eq!(reply.aws_error().1, "RequestTimeoutException");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_put() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let whole = aws("PutRecord", &record(b"cut off"));
    wire.send(&whole[..whole.len() - 1]).await;
    wire.half_close().await;
    assert_eq!(wire.reply().await.aws_error().1, "RequestAbortedException");
    assert!(wire.is_closed().await);
    assert!(world.taken().is_empty());
}

#[tokio::test]
async fn who_waits_to_be_asked_is_refused_before_sending_and_asked_otherwise() {
    let world = World::new().await;
    let expect = ("Expect", "100-continue");
    let mut wire = world.connect().await;
    let body = record(b"asked for");
    let whole = aws_with("PutRecord", &[expect], &body);
    wire.send(&whole[..whole.len() - body.len()]).await;
    assert_eq!(wire.reply().await.status, 100);
    wire.send(&body).await;
    assert_eq!(wire.reply().await.status, 200);
    wire.send(format!(
        "POST / HTTP/1.1\r\nHost: h\r\n{}: {}\r\nExpect: 100-continue\r\nContent-Length: 17000000\r\n\r\n",
        TARGET.0, TARGET.1
    ))
    .await;
    let reply = wire.reply().await;
    assert_eq!((reply.aws_error().0, reply.header("connection")), (413, Some("close")));
    assert!(wire.is_closed().await);
    let mut wire = world.connect().await;
    wire.send(format!("POST {PATH} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")).await;
    assert_eq!(wire.reply().await.status, 415);
    assert!(wire.is_closed().await);
}

/// Bodies share a mebibyte, and are waited for as if all were quick.
fn one_mebibyte_for_bodies() -> ApiSettings {
    ApiSettings {
        body_memory: 1 << 20,
        body_memory_wait: Duration::from_millis(20),
        body_quick: Duration::from_mins(1),
        ..ApiSettings::default()
    }
}

#[tokio::test]
async fn bodies_beyond_the_budget_are_refused_and_let_in_when_others_are_done() {
    let world = World::with(one_mebibyte_for_bodies()).await;
    let (mut first, mut second) = (world.connect().await, world.connect().await);
    let large = record(&xs(380_000));
    let whole = aws("PutRecord", &large);
    // It is booked once its first bytes are read.
    first.send(&whole[..whole.len() - 1]).await;
    while second.aws("PutRecord", &large).await.status == 200 {}
    let refused = second.aws("PutRecord", &large).await.aws_error();
    assert_eq!(refused, (503, "ServiceUnavailableException".into(), "Slow down.".into()));
    let refused = second.aws("PutRecordBatch", &batch(&[&xs(380_000)])).await.aws_error();
    assert_eq!(refused.0, 503);
    let reply = second.post(PATH, "text/plain", &xs(500_000)).await;
    assert_eq!((reply.problem().1.as_str(), reply.header("retry-after")), ("slow_down", Some("1")));
    assert_eq!(second.aws("PutRecord", &record(b"small ones fit")).await.status, 200);
    first.send(&whole[whole.len() - 1..]).await;
    assert_eq!(first.reply().await.status, 200);
    assert_eq!(second.aws("PutRecord", &large).await.status, 200);
    // One that is larger than all there is takes all there is.
    assert_eq!(second.aws("PutRecordBatch", &batch(&[&xs(900_000), &xs(900_000)])).await.status, 200);
}

#[tokio::test]
async fn who_waits_to_be_asked_is_refused_unread_where_there_is_no_room() {
    let world = World::with(one_mebibyte_for_bodies()).await;
    world.set(Mood::Gated);
    let mut first = world.connect().await;
    first.send(aws("PutRecord", &record(&xs(380_000)))).await;
    world.target(NAME).begun.notified().await;
    let mut second = world.connect().await;
    let length = "Content-Length: 900000";
    second
        .send(format!(
            "POST / HTTP/1.1\r\nHost: h\r\n{}: {}\r\nExpect: 100-continue\r\n{length}\r\n\r\n",
            TARGET.0, TARGET.1
        ))
        .await;
    assert_eq!(second.reply().await.aws_error().0, 503);
    world.target(NAME).gate.add_permits(1);
    assert_eq!(first.reply().await.status, 200);
}

#[tokio::test]
async fn clients_that_stall_hold_up_nobody() {
    let settings = ApiSettings {
        max_body_bytes: 1 << 20,
        max_request_bytes: 1 << 20,
        body_memory: 4 << 20,
        body_quick: Duration::from_millis(100),
        ..ApiSettings::default()
    };
    let world = World::with(settings).await;
    let text = [("Content-Type", "text/plain")];
    let whole = request("POST", PATH, &text, &xs(1_000_000));
    let mut stalled = Vec::new();
    // Some have sent a little, some nearly all: together more than there is.
    for sent in [1000, 1000, 1000, whole.len() - 1, whole.len() - 1, whole.len() - 1, whole.len() - 1] {
        let mut wire = world.connect().await;
        wire.send(&whole[..sent]).await;
        stalled.push(wire);
    }
    let mut quick = world.connect().await;
    for _ in 0..20 {
        assert_eq!(quick.post(PATH, "text/plain", &xs(900_000)).await.status, 200);
    }
    let mut goes_on = 0;
    for wire in stalled.iter_mut().skip(3) {
        wire.send(&whole[whole.len() - 1..]).await;
        goes_on += usize::from(wire.reply().await.status == 200);
    }
    // Half of the memory is theirs.
    assert!((1..=2).contains(&goes_on), "{goes_on}");
    assert_eq!(world.taken().len(), 20 + goes_on);
}

#[tokio::test]
async fn a_slow_body_arrives_whole() {
    let settings = ApiSettings { body_quick: Duration::from_millis(1), ..ApiSettings::default() };
    let world = World::with(settings).await;
    let text: Vec<u8> = (0..60_000_u32).flat_map(|line| format!("{line:09}\n").into_bytes()).collect();
    let zipped = gzip(&text);
    let plain = request("POST", PATH, &[("Content-Type", "text/plain")], &text);
    let coded = request("POST", PATH, &[("Content-Type", "text/plain"), ("Content-Encoding", "gzip")], &zipped);
    let head =
        format!("POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunks: Vec<u8> =
        text.chunks(70_000).flat_map(|c| [format!("{:x}\r\n", c.len()).as_bytes(), c, b"\r\n"].concat()).collect();
    let chunked = [head.as_bytes(), &chunks, b"0\r\n\r\n"].concat();
    for whole in [plain, coded, chunked] {
        let mut wire = world.connect().await;
        for part in whole.chunks(100_000) {
            wire.send(part).await;
            assert!(!wire.hears_within(Duration::from_millis(5)).await || part.len() < 100_000);
        }
        assert_eq!(wire.reply().await.status, 200);
        assert_eq!(world.taken().last().unwrap().concat(), text);
    }
}

#[tokio::test]
async fn a_body_that_never_pauses_has_a_deadline() {
    let settings =
        ApiSettings { body_deadline: Duration::from_millis(200), min_bytes_per_second: 1, ..ApiSettings::default() };
    let world = World::with(settings).await;
    let mut wire = world.connect().await;
    let body = record(&xs(100_000));
    let whole = aws("PutRecord", &body);
    let head = whole.len() - body.len();
    wire.send(&whole[..head + 10_000]).await;
    for sent in head + 10_000..whole.len() {
        if wire.hears_within(Duration::from_millis(10)).await {
            break;
        }
        wire.send(&whole[sent..=sent]).await;
    }
    assert_eq!(wire.reply().await.aws_error().1, "RequestTimeoutException");
}

#[tokio::test]
async fn memory_stays_booked_while_the_log_holds_the_records() {
    let settings =
        ApiSettings { body_memory: 3 << 19, body_memory_wait: Duration::from_millis(20), ..ApiSettings::default() };
    let world = World::with(settings).await;
    world.set(Mood::Gated);
    let mut wires = Vec::new();
    for _ in 0..2 {
        let mut wire = world.connect().await;
        wire.send(aws("PutRecord", &record(&xs(370_000)))).await;
        world.target(NAME).begun.notified().await;
        wires.push(wire);
    }
    let mut third = world.connect().await;
    assert_eq!(third.aws("PutRecord", &record(&xs(370_000))).await.aws_error().0, 503);
    world.target(NAME).gate.add_permits(2);
    for wire in &mut wires {
        assert_eq!(wire.reply().await.status, 200);
    }
    world.set(Mood::Good);
    assert_eq!(third.aws("PutRecord", &record(&xs(370_000))).await.status, 200);
}
