//! What the S3 sink says on the wire.

use hydrant_sinks::s3::{Endpoint, Target};

use crate::parcel::{PART, TestBody, TestNotes, data, intent, settle};
use crate::places::settings;
use crate::server::{ACCESS_KEY, SECRET, Seen, Server};

fn header<'a>(seen: &'a Seen, name: &str) -> Option<&'a str> {
    seen.headers.get(name).map(|value| value.to_str().expect("text"))
}

async fn deliver(target: Target, len: usize) -> Server {
    let server = Server::start();
    server.make_bucket("bucket");
    let sink = Endpoint::connect(settings(&server.url, ACCESS_KEY, SECRET)).expect("settings").sink(target);
    settle(&sink, &intent("bucket", "k/1"), TestBody::new(&data(len)), &mut TestNotes::default()).await;
    server
}

#[tokio::test]
async fn bodies_are_unsigned_with_a_checksum_in_a_header_and_no_trailer() {
    for (len, operation, count) in [(10, "PutObject", 1), (0, "PutObject", 1), (2 * PART + 1, "UploadPart", 3)] {
        let server = deliver(Target::new("bucket"), len).await;
        let seen = server.seen_of(operation);
        assert_eq!(seen.len(), count);
        for seen in &seen {
            assert_eq!(seen.path, "/bucket/k/1", "path style");
            assert_eq!(header(seen, "x-amz-content-sha256"), Some("UNSIGNED-PAYLOAD"));
            assert!(header(seen, "x-amz-checksum-crc32").is_some(), "{seen:?}");
            assert!(header(seen, "content-length").is_some(), "{seen:?}");
            for absent in ["x-amz-trailer", "content-encoding", "transfer-encoding", "x-amz-decoded-content-length"] {
                assert_eq!(header(seen, absent), None, "{absent}");
            }
        }
    }
}

#[tokio::test]
async fn only_what_makes_the_object_visible_is_conditional() {
    let server = deliver(Target::new("bucket"), 10).await;
    assert_eq!(header(&server.seen_of("PutObject")[0], "if-none-match"), Some("*"));
    let server = deliver(Target::new("bucket"), PART + 1).await;
    assert_eq!(header(&server.seen_of("CompleteMultipartUpload")[0], "if-none-match"), Some("*"));
    assert_eq!(header(&server.seen_of("CreateMultipartUpload")[0], "x-amz-checksum-algorithm"), Some("CRC32"));
    assert!(server.seen_of("UploadPart").iter().all(|seen| header(seen, "if-none-match").is_none()));
}

#[tokio::test]
async fn encryption_and_ownership_are_asked_for_where_the_object_is_made() {
    let key = "arn:aws:kms:us-east-1:000000000000:key/1";
    for (len, operation) in [(10, "PutObject"), (PART + 1, "CreateMultipartUpload")] {
        let target = Target { kms_key_arn: Some(key.into()), owner_full_control: true, ..Target::new("bucket") };
        let server = deliver(target, len).await;
        let seen = server.seen_of(operation);
        assert_eq!(header(&seen[0], "x-amz-server-side-encryption"), Some("aws:kms"));
        assert_eq!(header(&seen[0], "x-amz-server-side-encryption-aws-kms-key-id"), Some(key));
        assert_eq!(header(&seen[0], "x-amz-acl"), Some("bucket-owner-full-control"));
        let server = deliver(Target::new("bucket"), len).await;
        assert_eq!(header(&server.seen_of(operation)[0], "x-amz-acl"), None);
        assert_eq!(header(&server.seen_of(operation)[0], "x-amz-server-side-encryption"), None);
    }
}
