use super::*;

#[tokio::test]
async fn flush_orders_or_waits() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    for (path, status) in [
        ("/streams/clicks/flush", 202),
        ("/streams/clicks/flush?wait=2.5", 200),
        ("/streams/clicks/flush?wait=0", 504),
        ("/streams/nobody/flush", 404),
        ("/streams/broken/flush", 500),
    ] {
        let reply = wire.request("POST", path, &[], b"").await;
        assert_eq!(reply.status, status, "{path}");
        assert!(!reply.text().contains("secret"));
    }
    for wait in ["-1", "x", "NaN", "3601", ""] {
        let reply = wire.request("POST", &format!("/streams/clicks/flush?wait={wait}"), &[], b"").await;
        let (status, _, message, field) = reply.problem();
        assert_eq!((status, field.as_deref()), (400, Some("wait")), "{message}");
    }
}

#[tokio::test]
async fn pause_and_resume_reach_the_stream() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    assert_eq!(wire.request("POST", "/streams/clicks/pause", &[], b"").await.status, 202);
    assert_eq!(wire.request("POST", "/streams/clicks/resume", &[], b"").await.status, 202);
    assert_eq!(*world.table.paused.lock(), [(NAME.to_owned(), true), (NAME.to_owned(), false)]);
    assert_eq!(wire.request("POST", "/streams/nobody/pause", &[], b"").await.problem().0, 404);
    assert_eq!(wire.request("POST", "/streams/clicks/pause?wait=1", &[], b"").await.problem().0, 400);
}

#[tokio::test]
async fn status_shows_what_streams_do() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let expected = json!({
        "name": "clicks", "id": "0a", "status": "ACTIVE", "version": 3, "paused": false,
        "logBytes": 1, "diskBudgetBytes": 2, "quarantinedBytes": 0,
        "cursors": [{
            "cursor": "main", "destination": "S3", "waitingRecords": 7, "waitingBytes": 70,
            "oldestAgeSeconds": 1.5, "lastError": { "code": "S3.NoSuchBucket", "message": "no", "at": 9 },
            "nextRetrySeconds": null, "parked": 0, "deliveredRecords": 1, "deliveredBytes": 2, "deliveredObjects": 3,
        }],
    });
    assert_eq!(wire.get("/streams").await.json(), json!({ "streams": [expected] }));
    let mut detail = expected;
    detail["schema"] = json!({ "id": "0b", "columns": [{ "name": "page", "type": "string" }] });
    assert_eq!(wire.get("/streams/clicks").await.json(), detail);
    assert_eq!(wire.get("/streams/nobody").await.problem().0, 404);
}

#[tokio::test]
async fn health_is_the_process_and_readiness_is_the_service() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    assert_eq!(wire.get("/ready").await.json(), json!({ "ready": true }));
    world.table.not_ready.lock().push("recovery is running".into());
    let reply = wire.get("/ready").await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.json(), json!({ "ready": false, "reasons": ["recovery is running"] }));
    assert_eq!(wire.get("/health").await.status, 200);
    for (path, status) in [("/health", 200), ("/ready", 503)] {
        let reply = wire.request("HEAD", path, &[], b"").await;
        assert_eq!((reply.status, reply.body.len()), (status, 0), "{path}");
    }
    assert_eq!(wire.get("/health").await.status, 200, "nothing of a body followed HEAD");
}

#[tokio::test]
async fn nothing_is_said_of_streams_that_are_still_being_recovered() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    world.table.recovering.store(true, Ordering::Relaxed);
    for operation in ["PutRecord", "CreateDeliveryStream"] {
        let target = format!("Firehose_20150804.{operation}");
        let reply = wire.request("POST", "/", &[("x-amz-target", &target)], b"{}").await;
        assert_eq!((reply.status, reply.json()["__type"].as_str()), (503, Some("ServiceUnavailableException")));
    }
    for (method, path) in
        [("POST", "/streams/clicks/records"), ("POST", "/streams/clicks/flush"), ("GET", "/streams/clicks")]
    {
        let reply = wire.request(method, path, &[], b"").await;
        assert_eq!((reply.status, reply.problem().1.as_str()), (503, "recovering"), "{path}");
        assert!(reply.header("retry-after").is_some(), "{path}");
    }
    assert_eq!(wire.get("/health").await.status, 200);
    world.table.recovering.store(false, Ordering::Relaxed);
    assert_eq!(wire.get("/streams/clicks").await.status, 200);
}

#[tokio::test]
async fn a_known_path_with_a_wrong_method_names_the_right_ones() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    for (method, path, allow) in [
        ("GET", "/", "POST"),
        ("PUT", "/streams/clicks/records", "POST"),
        ("GET", "/streams/clicks/flush", "POST"),
        ("DELETE", "/streams/clicks", "GET, HEAD"),
        ("POST", "/metrics", "GET, HEAD"),
    ] {
        let reply = wire.request(method, path, &[], b"").await;
        assert_eq!((reply.problem().1.as_str(), reply.header("allow")), ("method_not_allowed", Some(allow)), "{path}");
    }
    for path in
        ["/nothing", "/streams/", "/streams/a/b", "/streams/a/records/", "//", "/health/", "/streams/a/records/b"]
    {
        let (status, kind, message, _) = wire.get(path).await.problem();
        assert_eq!((status, kind.as_str()), (404, "not_found"), "{message}");
    }
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    wire.get("/health").await;
    wire.get("/nothing").await;
    let reply = wire.get("/metrics").await;
    assert!(reply.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for line in [
        "hydrant_requests_total{operation=\"Health\",status=\"200\"} 1",
        "hydrant_requests_total{operation=\"Unknown\",status=\"404\"} 1",
        "hydrant_request_seconds_count{operation=\"Health\"} 1",
    ] {
        assert!(reply.text().lines().any(|shown| shown == line), "{line}");
    }
}
