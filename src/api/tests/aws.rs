use std::collections::HashSet;

use super::*;
use crate::api::put;
use wire::{aws_with, request};

#[tokio::test]
async fn a_record_is_put_and_gets_an_id_of_its_place() {
    let world = World::new().await;
    let reply = world.connect().await.aws("PutRecord", &record(b"hello\n")).await;
    reply.assert_aws();
    assert_eq!(reply.status, 200);
    let body = reply.json();
    assert_eq!(body["Encrypted"], false);
    let id = put::decode(body["RecordId"].as_str().unwrap()).unwrap();
    assert_eq!(id.stream, StreamTag::of(StreamId([7; 16])));
    assert_eq!((id.identity.birth, id.identity.offset), (Birth([1; 16]), Offset(1000)));
    assert_eq!(world.taken(), [[b"hello\n".to_vec()]]);
}

#[tokio::test]
async fn a_batch_is_answered_record_by_record_in_order() {
    let world = World::new().await;
    let reply = world.connect().await.aws("PutRecordBatch", &batch(&[b"a", b"", b"ccc"])).await;
    reply.assert_aws();
    let text = reply.text();
    assert!(
        text.starts_with("{\"Encrypted\":false,\"FailedPutCount\":0,\"RequestResponses\":[{\"RecordId\":"),
        "{text}"
    );
    let body = reply.json();
    let ids = body["RequestResponses"].as_array().unwrap().iter();
    let offsets: Vec<u64> =
        ids.map(|entry| put::decode(entry["RecordId"].as_str().unwrap()).unwrap().identity.offset.0).collect();
    assert_eq!(offsets, [1000, 1001, 1002]);
    assert_eq!(world.taken(), [[b"a".to_vec(), b"".to_vec(), b"ccc".to_vec()]]);
    let metrics = world.connect().await.get("/metrics").await;
    assert!(metrics.text().contains("hydrant_records_in_total{stream=\"clicks\"} 3"));
    assert!(metrics.text().contains("hydrant_bytes_in_total{stream=\"clicks\"} 4"));
    assert!(metrics.text().contains("hydrant_requests_total{operation=\"PutRecordBatch\",status=\"200\"} 1"));
}

/// Interface, section 6, row by row, in the two columns of the AWS API. On one connection: no refusal costs it.
#[tokio::test]
async fn every_refusal_has_the_status_type_and_message_that_clients_know() {
    let world = World::new().await;
    world.table.add("other", Mood::Good);
    let mut wire = world.connect().await;
    let slow_down = (503, "ServiceUnavailableException".to_owned(), "Slow down.".to_owned());
    let missing = "Firehose clicks under account 000000000000 not found.";
    let missing = (400, "ResourceNotFoundException".to_owned(), missing.to_owned());
    for mood in [Mood::Full, Mood::RateLimited] {
        world.set(mood);
        assert_eq!(wire.aws("PutRecord", &record(b"a")).await.aws_error(), slow_down);
        let reply = wire.aws("PutRecordBatch", &batch(&[b"a", b"b"])).await;
        reply.assert_aws();
        let entry = r#"{"ErrorCode":"ServiceUnavailableException","ErrorMessage":"Slow down."}"#;
        let all = format!(r#"{{"Encrypted":false,"FailedPutCount":2,"RequestResponses":[{entry},{entry}]}}"#);
        assert_eq!((reply.status, reply.text()), (200, all.as_str()));
    }
    for mood in [Mood::Deleting, Mood::DeletedMeanwhile] {
        world.set(mood);
        assert_eq!(wire.aws("PutRecord", &record(b"a")).await.aws_error(), missing);
        assert_eq!(wire.aws("PutRecordBatch", &batch(&[b"a"])).await.aws_error(), missing);
    }
    world.set(Mood::Sourced);
    for (operation, body) in [("PutRecord", record(b"a")), ("PutRecordBatch", batch(&[b"a"]))] {
        let (status, error_type, message) = wire.aws(operation, &body).await.aws_error();
        assert_eq!((status, error_type.as_str()), (400, "InvalidArgumentException"));
        assert!(message.contains("not DirectPut"), "{message}");
    }
    world.set(Mood::Good);
    world.table.streams.lock().remove(NAME);
    assert_eq!(wire.aws("PutRecord", &record(b"a")).await.aws_error(), missing);
    assert_eq!(wire.aws("PutRecordBatch", &batch(&[b"a"])).await.aws_error(), missing);
}

#[tokio::test]
async fn what_breaks_the_model_is_refused_whole_and_costs_no_connection() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let long = vec![b'x'; 1_024_001];
    let (status, error_type, message) = wire.aws("PutRecord", &record(&long)).await.aws_error();
    assert_eq!((status, error_type.as_str()), (400, "ValidationException"));
    assert!(message.starts_with("1 validation error detected: Value "), "{message}");
    assert!(
        message.ends_with(
            "at 'record.data' failed to satisfy constraint: Member must have length less than or equal to 1024000"
        ),
        "{message}"
    );
    let (_, error_type, message) = wire.aws("PutRecordBatch", &batch(&[b"ok", &long])).await.aws_error();
    assert_eq!(error_type, "ValidationException");
    assert!(message.contains("'records.2.member.data'"), "{message}");
    let many = vec![b"x".as_slice(); 501];
    for count in [0, 501] {
        let (status, error_type, _) = wire.aws("PutRecordBatch", &batch(&many[..count])).await.aws_error();
        assert_eq!((status, error_type.as_str()), (400, "ValidationException"), "{count} records");
    }
    let mebibyte = vec![b'x'; 1_000_000];
    let five = [mebibyte.as_slice(); 5];
    let refused = wire.aws("PutRecordBatch", &batch(&five)).await.aws_error();
    assert_eq!(refused, (400, "InvalidArgumentException".into(), "Records size exceeds 4 MB limit".into()));
    for body in [r#"{"DeliveryStreamName":"clicks","Record":{"Data":"%%%%"}}"#, "{", "[1]", ""] {
        let (status, error_type, _) = wire.aws("PutRecord", body.as_bytes()).await.aws_error();
        assert_eq!((status, error_type.as_str()), (400, "SerializationException"), "{body}");
    }
    assert!(world.taken().is_empty());
    let (rest, longest) = (vec![b'x'; 4 * 1024 * 1024 - 4 * 1_024_000], vec![b'y'; 1_024_000]);
    let full = [rest.as_slice(), &longest, &longest, &longest, &longest];
    assert_eq!(wire.aws("PutRecordBatch", &batch(&full)).await.status, 200);
    assert_eq!(wire.aws("PutRecordBatch", &batch(&many[..500])).await.status, 200);
}

#[tokio::test]
async fn a_fault_of_the_service_is_500_and_keeps_its_cause_to_itself() {
    let world = World::new().await;
    world.set(Mood::Broken);
    let mut wire = world.connect().await;
    for (operation, body) in
        [("PutRecord", record(b"a")), ("PutRecordBatch", batch(&[b"a"])), ("DeleteDeliveryStream", b"{}".to_vec())]
    {
        let (status, error_type, message) = wire.aws(operation, &body).await.aws_error();
        assert_eq!((status, error_type.as_str()), (500, "InternalFailure"), "{operation}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[tokio::test]
async fn the_target_decides_and_the_content_type_does_not() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    for content_type in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
        let headers = [("x-amz-target", "Firehose_20150804.PutRecord"), ("content-type", content_type)];
        assert_eq!(wire.request("POST", "/", &headers, &record(b"a")).await.status, 200, "{content_type}");
    }
    for target in ["Firehose_20150804.Nonsense", "Kinesis_20131202.PutRecord", "PutRecord", "Firehose_20150804."] {
        let reply = wire.request("POST", "/", &[("X-Amz-Target", target)], b"{}").await;
        let (status, error_type, _) = reply.aws_error();
        assert_eq!((status, error_type.as_str()), (400, "UnknownOperationException"), "{target}");
    }
    let (_, error_type, message) = wire.aws("StopDeliveryStreamEncryption", b"{}").await.aws_error();
    assert_eq!(error_type, "UnknownOperationException");
    assert_eq!(message, "Operation StopDeliveryStreamEncryption is not supported by this version of hydrant");
    let (status, error_type, message) = wire.request("POST", "/", &[], b"{}").await.aws_error();
    assert_eq!((status, error_type.as_str()), (400, "UnknownOperationException"));
    assert!(message.contains("X-Amz-Target"), "{message}");
    let metrics = wire.get("/metrics").await;
    assert!(metrics.text().contains("hydrant_requests_total{operation=\"Unknown\",status=\"400\"} 5"));
    assert!(!metrics.text().contains("Nonsense"));
}

#[tokio::test]
async fn the_control_plane_is_json_in_and_json_out() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let reply = wire.aws("ListDeliveryStreams", br#"{"Limit":3}"#).await;
    reply.assert_aws();
    assert_eq!(reply.text(), r#"{"DeliveryStreamNames":["clicks"],"HasMoreDeliveryStreams":false}"#);
    assert_eq!(wire.aws("ListDeliveryStreams", b"").await.status, 200);
    assert_eq!(
        *world.table.controlled.lock(),
        [("ListDeliveryStreams".into(), json!({"Limit": 3})), ("ListDeliveryStreams".into(), json!({}))]
    );
    let (status, error_type, _) = wire.aws("ListDeliveryStreams", b"{\"Limit\":").await.aws_error();
    assert_eq!((status, error_type.as_str()), (400, "SerializationException"));
    let (status, error_type, message) =
        wire.aws("DescribeDeliveryStream", br#"{"DeliveryStreamName":"x"}"#).await.aws_error();
    assert_eq!((status, error_type.as_str()), (400, "ResourceNotFoundException"));
    assert_eq!(message, "Firehose x under account 000000000000 not found.");
    let reply = wire.aws("StartDeliveryStreamEncryption", b"{}").await;
    assert_eq!(reply.json()["code"], "KMSDisabledException");
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let mut ids = HashSet::new();
    for _ in 0..50 {
        let reply = wire.aws("PutRecord", &record(b"a")).await;
        assert!(ids.insert(reply.header("x-amzn-requestid").unwrap().to_owned()));
        assert!(ids.insert(reply.header("x-amz-id-2").unwrap().to_owned()));
    }
    let uuid = ids.iter().find(|id| id.len() == 36).unwrap();
    assert_eq!(uuid.matches('-').count(), 4);
    assert_eq!(uuid.as_bytes()[14], b'4', "{uuid}");
}

#[tokio::test]
async fn a_compressed_put_is_read_and_its_growth_is_capped() {
    let world = World::new().await;
    let mut wire = world.connect().await;
    let send = |body: Vec<u8>| aws_with("PutRecordBatch", &[("Content-Encoding", "gzip")], &body);
    wire.send(send(gzip(&batch(&[b"a", b"b"])))).await;
    assert_eq!(wire.reply().await.status, 200);
    assert_eq!(world.taken(), [[b"a".to_vec(), b"b".to_vec()]]);
    wire.send(send(gzip(&vec![b' '; 17 << 20]))).await;
    let (status, error_type, message) = wire.reply().await.aws_error();
    assert_eq!((status, error_type.as_str()), (413, "RequestEntityTooLargeException"));
    assert!(message.contains("after decompression"), "{message}");
    wire.send(send(b"this is not gzip".to_vec())).await;
    let (status, error_type, _) = wire.reply().await.aws_error();
    assert_eq!((status, error_type.as_str()), (400, "MalformedHttpRequestException"));
    wire.send(aws_with("PutRecord", &[("Content-Encoding", "br")], b"x")).await;
    assert_eq!(wire.reply().await.aws_error().1, "MalformedHttpRequestException");
    let target = ("X-Amz-Target", "Firehose_20150804.PutRecord");
    wire.send(request("POST", "/", &[target, ("Content-Encoding", "identity")], &record(b"c"))).await;
    assert_eq!(wire.reply().await.status, 200);
}
