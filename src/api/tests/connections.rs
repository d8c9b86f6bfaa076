use std::time::Instant;

use super::*;
use wire::{aws, request};

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let requests: Vec<Vec<u8>> = (0..20)
        .map(|number| {
            let body = if number % 3 == 0 { b"{".to_vec() } else { record(format!("{number}").as_bytes()) };
            aws("PutRecord", &body)
        })
        .collect();
    wire.send(requests.concat()).await;
    for number in 0..20 {
        let expected = if number % 3 == 0 { 400 } else { 200 };
        assert_eq!(wire.reply().await.status, expected, "{number}");
    }
    let taken: Vec<_> = world.taken().concat();
    let expected: Vec<_> = (0..20).filter(|number| number % 3 != 0).map(|n| n.to_string().into_bytes()).collect();
    assert_eq!(taken, expected);
}

#[tokio::test]
async fn a_shutdown_finishes_the_request_in_hand_and_closes_idle_connections() {
    let world = World::new().await;
    world.set(Mood::Gated);
    let mut idle = world.connect().await;
    assert_eq!(idle.get("/health").await.status, 200);
    let mut busy = world.connect().await;
    busy.send(aws("PutRecord", &record(b"in hand"))).await;
    world.target(NAME).begun.notified().await;
    world.shutdown.cancel();
    assert!(idle.is_closed().await);
    assert!(!world.server.is_finished());
    world.target(NAME).gate.add_permits(1);
    let reply = busy.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert!(busy.is_closed().await);
    world.server.await.unwrap();
    assert!(tokio::net::TcpStream::connect(world.address).await.is_err());
}

#[tokio::test]
async fn a_shutdown_waits_for_nobody_who_was_answered() {
    let world = World::with(ApiSettings { max_discarded_bytes: 0, ..ApiSettings::default() }).await;
    let mut wire = world.connect().await;
    wire.send("POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n").await;
    assert_eq!(wire.reply().await.status, 404);
    assert!(wire.is_closed().await);
    let asked = Instant::now();
    world.shutdown.cancel();
    world.server.await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_server_that_is_dropped_cuts_its_connections() {
    let world = World::new().await;
    world.set(Mood::Gated);
    let mut busy = world.connect().await;
    busy.send(aws("PutRecord", &record(b"cut off"))).await;
    world.target(NAME).begun.notified().await;
    world.server.abort();
    assert!(busy.is_closed().await);
}

#[tokio::test]
async fn a_client_that_closed_its_side_still_gets_its_answer() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    wire.send(aws("PutRecord", &record(b"as netcat does"))).await;
    wire.half_close().await;
    assert_eq!(wire.reply().await.status, 200);
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn an_idle_connection_and_half_a_head_are_closed() {
    let world = World::with(ApiSettings { head_timeout: Duration::from_millis(40), ..ApiSettings::default() }).await;
    let mut idle = world.connect().await;
    assert_eq!(idle.get("/health").await.status, 200);
    let mut half = world.connect().await;
    half.send("POST / HTTP/1.1\r\nHost:").await;
    assert!(idle.is_closed().await);
    assert!(half.is_closed().await);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place_and_get_that_of_an_idle_one() {
    let world = World::with(ApiSettings { max_connections: 1, ..ApiSettings::default() }).await;
    world.set(Mood::Gated);
    let mut first = world.connect().await;
    first.send(aws("PutRecord", &record(b"in hand"))).await;
    world.target(NAME).begun.notified().await;
    let mut second = world.connect().await;
    second.send("GET /health HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(!second.hears_within(Duration::from_millis(50)).await);
    world.target(NAME).gate.add_permits(1);
    assert_eq!(first.reply().await.status, 200);
    // The first is idle now, and stays open on its side.
    assert_eq!(second.reply().await.status, 200);
    assert!(first.is_closed().await);
}

#[tokio::test]
async fn an_answer_does_not_wait_for_what_follows_the_body() {
    let world = World::new().await;
    for after in ["\r\n", "\n", "POST / HTTP/1.1\r\nHo"] {
        let mut wire = world.connect().await;
        let whole = request("POST", RECORDS, &[("Content-Type", "application/x-ndjson")], b"{}");
        wire.send([&whole, after.as_bytes()].concat()).await;
        assert_eq!(wire.reply().await.status, 200, "{after:?}");
    }
    let mut wire = world.connect().await;
    let next = aws("PutRecord", &record(b"next"));
    wire.send([&aws("PutRecord", &record(b"first"))[..], &next[..20]].concat()).await;
    assert_eq!(wire.reply().await.status, 200);
    wire.send(&next[20..]).await;
    assert_eq!(wire.reply().await.status, 200);
    assert_eq!(world.taken().len(), 5);
}

#[tokio::test]
async fn what_is_no_request_is_told_so() {
    let world = World::new().await;
    let post = format!("POST {RECORDS} HTTP/1.1\r\nHost: h\r\n");
    let heads = [
        ("no request\r\n\r\n".to_owned(), 400),
        (format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "u".repeat(66_000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "h".repeat(70_000)), 431),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(101)), 431),
        (format!("{post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"), 400),
        (format!("{post}Content-Length: -2\r\n\r\n{{}}"), 400),
    ];
    for (head, status) in heads {
        let mut wire = world.connect().await;
        wire.send(&head).await;
        assert_eq!(wire.reply().await.status, status, "{}", &head[..40.min(head.len())]);
        assert!(wire.is_closed().await);
    }
    let mut wire = world.connect().await;
    wire.send(format!("{post}Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n")).await;
    let reply = wire.reply().await;
    assert_eq!((reply.problem().1.as_str(), reply.header("connection")), ("bad_body", Some("close")));
    assert!(wire.is_closed().await);
    assert!(world.taken().is_empty());
}

const RECORDS: &str = "/streams/clicks/records";
