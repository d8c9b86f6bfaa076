//! The real client: what it makes of the answers.

use aws_sdk_firehose::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_firehose::error::ProvideErrorMetadata;
use aws_sdk_firehose::operation::RequestId;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::Record;

use super::*;

fn client(world: &World) -> aws_sdk_firehose::Client {
    let config = aws_sdk_firehose::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .endpoint_url(format!("http://{}", world.address))
        .build();
    aws_sdk_firehose::Client::from_conf(config)
}

fn record_of(bytes: &[u8]) -> Record {
    Record::builder().data(Blob::new(bytes)).build().unwrap()
}

#[tokio::test]
async fn the_client_puts_and_reads_the_answers() {
    let world = World::new().await;
    let client = client(&world);
    let put = client.put_record().delivery_stream_name(NAME).record(record_of(b"one")).send().await.unwrap();
    assert_eq!(put.record_id().len(), put_id_length());
    assert_eq!(put.encrypted(), Some(false));
    assert!(put.request_id().is_some());
    let batch = client.put_record_batch().delivery_stream_name(NAME).records(record_of(b"two")).records(record_of(b""));
    let put = batch.clone().send().await.unwrap();
    assert_eq!((put.failed_put_count(), put.request_responses().len()), (0, 2));
    world.set(Mood::Full);
    let put = batch.send().await.unwrap();
    assert_eq!(put.failed_put_count(), 2);
    assert_eq!(put.request_responses()[1].error_code(), Some("ServiceUnavailableException"));
    let refused = client.put_record().delivery_stream_name(NAME).record(record_of(b"x")).send().await.unwrap_err();
    assert!(refused.into_service_error().is_service_unavailable_exception());
}

#[tokio::test]
async fn the_client_knows_the_errors() {
    let world = World::new().await;
    let client = client(&world);
    let put = client.put_record().delivery_stream_name("nobody").record(record_of(b"x")).send().await;
    assert!(put.unwrap_err().into_service_error().is_resource_not_found_exception());
    let long = vec![b'x'; 1_024_001];
    let put = client.put_record().delivery_stream_name(NAME).record(record_of(&long)).send().await;
    assert_eq!(put.unwrap_err().code(), Some("ValidationException"));
    let long = vec![b'x'; 7_000_000];
    let put = client.put_record().delivery_stream_name(NAME).record(record_of(&long)).send().await.unwrap_err();
    assert_eq!((put.raw_response().unwrap().status().as_u16(), put.code()), (400, Some("ValidationException")));
    assert!(put.message().unwrap().contains("'record.data' failed to satisfy constraint"), "{put:?}");
    let records = (0..7).map(|_| record_of(&long[..1_024_000])).collect();
    let put = client.put_record_batch().delivery_stream_name(NAME).set_records(Some(records)).send().await;
    let put = put.unwrap_err();
    assert_eq!((put.raw_response().unwrap().status().as_u16(), put.code()), (400, Some("InvalidArgumentException")));
    assert_eq!(put.message(), Some("Records size exceeds 4 MB limit"));
    assert!(world.taken().is_empty());
    let names = client.list_delivery_streams().send().await.unwrap();
    assert_eq!(names.delivery_stream_names(), [NAME]);
    let error = client.start_delivery_stream_encryption().delivery_stream_name(NAME).send().await.unwrap_err();
    let error = error.into_service_error();
    assert!(error.is_invalid_kms_resource_exception());
    assert_eq!(error.message(), Some("no key"));
}

fn put_id_length() -> usize {
    crate::api::put::RecordIds::TEXT_LENGTH
}
