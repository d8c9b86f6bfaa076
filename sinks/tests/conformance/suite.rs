//! What every sink promises.

use bytes::Bytes;
use hydrant_model::{Compression, Outcome, Recovery, Sink};

use crate::parcel::{PART, TestBody, TestNotes, data, fresh_name, intent, settle};
use crate::places::{Headers, Place, places};

const KEY: &str = "2026/11/21/03/stream-1-2026-11-21-03-00-00-5f1c";

async fn bucket(place: &dyn Place) -> String {
    let bucket = fresh_name("suite");
    place.make_bucket(&bucket).await;
    bucket
}

/// Checks that the only thing in the bucket is `KEY` with these bytes.
async fn assert_delivered(place: &dyn Place, sink: &dyn Sink, bucket: &str, bytes: &Bytes) {
    let stored = place.stored(bucket, KEY).await.unwrap_or_else(|| panic!("{sink}: nothing there"));
    assert!(stored.bytes == *bytes, "{sink}: {} bytes of {}", stored.bytes.len(), bytes.len());
    assert_eq!(place.keys(bucket).await, [KEY], "{sink}");
    assert_eq!(place.leftovers(bucket, KEY).await, [""; 0], "{sink}");
}

async fn assert_nothing_there(place: &dyn Place, sink: &dyn Sink, bucket: &str) {
    assert_eq!(place.keys(bucket).await, [""; 0], "{sink}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_any_size_arrives_as_it_is() {
    for place in places().await {
        for len in [0, 1, 1000, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 12_345, 5 * PART + 3] {
            let bucket = bucket(place.as_ref()).await;
            let sink = place.sink(&bucket);
            let (intent, bytes) = (intent(&bucket, KEY), data(len));
            let outcome = sink.deliver(&intent, &mut TestBody::new(&bytes), &mut TestNotes::default()).await;
            assert!(matches!(&outcome, Outcome::Delivered(r) if r.bytes == len as u64), "{sink} {len}: {outcome:?}");
            assert_delivered(place.as_ref(), sink.as_ref(), &bucket, &bytes).await;
        }
    }
}

#[tokio::test]
async fn an_object_says_how_it_is_packed() {
    for place in places().await {
        for (compression, len) in
            [(Compression::Uncompressed, 10), (Compression::Gzip, 10), (Compression::Snappy, PART + 1)]
        {
            let bucket = bucket(place.as_ref()).await;
            let sink = place.sink(&bucket);
            let body = TestBody::new(&data(len)).packed(compression);
            settle(sink.as_ref(), &intent(&bucket, KEY), body, &mut TestNotes::default()).await;
            let stored = place.stored(&bucket, KEY).await.expect("an object");
            let Some(Headers { content_type, content_encoding }) = stored.headers else { continue };
            assert_eq!(content_type.as_deref(), Some("application/octet-stream"), "{sink}");
            assert_eq!(content_encoding.as_deref(), compression.content_encoding(), "{sink}");
        }
    }
}

#[tokio::test]
async fn delivering_an_intent_again_leaves_one_object() {
    for place in places().await {
        for len in [10, PART + 10] {
            let bucket = bucket(place.as_ref()).await;
            let sink = place.sink(&bucket);
            let (intent, bytes, mut notes) = (intent(&bucket, KEY), data(len), TestNotes::default());
            for _ in 0..2 {
                let receipt = settle(sink.as_ref(), &intent, TestBody::new(&bytes), &mut notes).await;
                assert_eq!(receipt.bytes, len as u64, "{sink}");
            }
            assert_delivered(place.as_ref(), sink.as_ref(), &bucket, &bytes).await;
        }
    }
}

#[tokio::test]
async fn recover_tells_what_is_there() {
    for place in places().await {
        let bucket = bucket(place.as_ref()).await;
        let sink = place.sink(&bucket);
        let (intent, mut notes) = (intent(&bucket, KEY), TestNotes::default());
        let before = sink.recover(&intent, &mut notes).await;
        assert!(matches!(before, Recovery::Absent), "{sink}: {before:?}");
        settle(sink.as_ref(), &intent, TestBody::new(&data(123)), &mut notes).await;
        let after = sink.recover(&intent, &mut notes).await;
        assert!(matches!(after, Recovery::Delivered(receipt) if receipt.bytes == 123), "{sink}: {after:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    for place in places().await {
        for at in [0, 1000, PART, 3 * PART] {
            let bucket = bucket(place.as_ref()).await;
            let sink = place.sink(&bucket);
            let (intent, mut notes) = (intent(&bucket, KEY), TestNotes::default());
            let mut body = TestBody::new(&data(4 * PART)).failing_at(at);
            let outcome = sink.deliver(&intent, &mut body, &mut notes).await;
            assert!(matches!(&outcome, Outcome::Retry { error, .. } if error.code == "InternalError"), "{outcome:?}");
            assert_nothing_there(place.as_ref(), sink.as_ref(), &bucket).await;
            assert_eq!(place.leftovers(&bucket, KEY).await, [""; 0], "{sink} {at}");
        }
    }
}

#[tokio::test]
async fn a_cancelled_delivery_leaves_nothing_and_the_next_attempt_delivers() {
    for place in places().await {
        let bucket = bucket(place.as_ref()).await;
        let sink = place.sink(&bucket);
        let (intent, bytes, mut notes) = (intent(&bucket, KEY), data(4 * PART + 5), TestNotes::default());
        let (mut body, stopped) = TestBody::new(&bytes).stopping_at(3 * PART);
        tokio::select! {
            outcome = sink.deliver(&intent, &mut body, &mut notes) => panic!("{sink}: {outcome:?}"),
            () = stopped.notified() => {}
        }
        notes.next_attempt();
        assert_nothing_there(place.as_ref(), sink.as_ref(), &bucket).await;
        settle(sink.as_ref(), &intent, TestBody::new(&bytes), &mut notes).await;
        let stored = place.stored(&bucket, KEY).await;
        assert!(stored.is_some_and(|stored| stored.bytes == bytes), "{sink}");
        assert_eq!(place.keys(&bucket).await, [KEY], "{sink}");
    }
}

/// Parts that are on their way at the cancellation may land after the abort; here all have landed.
#[tokio::test]
async fn what_a_cancelled_delivery_left_is_cleaned_up() {
    for by_recovering in [true, false] {
        for place in places().await {
            let bucket = bucket(place.as_ref()).await;
            let sink = place.sink(&bucket);
            let (intent, bytes, mut notes) = (intent(&bucket, KEY), data(4 * PART), TestNotes::default());
            let (mut body, stopped) = TestBody::new(&bytes).stopping_at(3 * PART);
            let landed = async {
                stopped.notified().await;
                place.until_parts(&bucket, KEY, 3).await;
            };
            tokio::select! {
                outcome = sink.deliver(&intent, &mut body, &mut notes) => panic!("{sink}: {outcome:?}"),
                () = landed => {}
            }
            notes.next_attempt();
            if by_recovering {
                let recovery = sink.recover(&intent, &mut notes).await;
                assert!(matches!(recovery, Recovery::Absent), "{sink}: {recovery:?}");
            } else {
                settle(sink.as_ref(), &intent, TestBody::new(&bytes), &mut notes).await;
            }
            assert_eq!(place.leftovers(&bucket, KEY).await, [""; 0], "{sink}");
        }
    }
}

#[tokio::test]
async fn a_missing_bucket_is_waited_for_or_made() {
    for place in places().await {
        for len in [10, PART + 10] {
            let bucket = fresh_name("missing");
            let Some(making) = place.sink_that_makes_its_bucket(&bucket) else { continue };
            let (intent, bytes, mut notes) = (intent(&bucket, KEY), data(len), TestNotes::default());
            let sink = place.sink(&bucket);
            let outcome = sink.deliver(&intent, &mut TestBody::new(&bytes), &mut notes).await;
            assert!(
                matches!(&outcome, Outcome::Retry { error, .. } if error.code == "S3.NoSuchBucket"),
                "{sink}: {outcome:?}"
            );
            notes.next_attempt();
            let recovery = sink.recover(&intent, &mut notes).await;
            assert!(matches!(recovery, Recovery::Absent), "{sink}: {recovery:?}");
            settle(making.as_ref(), &intent, TestBody::new(&bytes), &mut notes).await;
            assert_delivered(place.as_ref(), making.as_ref(), &bucket, &bytes).await;
        }
    }
}

#[tokio::test]
async fn wrong_credentials_wait_for_better_ones() {
    for place in places().await {
        for len in [10, PART + 10] {
            let bucket = bucket(place.as_ref()).await;
            let Some(sink) = place.sink_with_wrong_secret(&bucket) else { continue };
            let (intent, bytes) = (intent(&bucket, KEY), data(len));
            let outcome = sink.deliver(&intent, &mut TestBody::new(&bytes), &mut TestNotes::default()).await;
            assert!(
                matches!(&outcome, Outcome::Retry { error, .. } if error.code == "S3.SignatureDoesNotMatch"),
                "{sink}: {outcome:?}"
            );
            assert_nothing_there(place.as_ref(), sink.as_ref(), &bucket).await;
        }
    }
}

#[tokio::test]
async fn keys_may_hold_what_prefixes_may_hold() {
    for place in places().await {
        let bucket = bucket(place.as_ref()).await;
        let sink = place.sink(&bucket);
        for key in ["day=2026-11-21/a b+c%20d", "übung/☃/x", "q=1&r=2;s/!'()*", "plain"] {
            let (intent, bytes) = (intent(&bucket, key), data(10));
            settle(sink.as_ref(), &intent, TestBody::new(&bytes), &mut TestNotes::default()).await;
            let stored = place.stored(&bucket, key).await;
            assert!(stored.is_some_and(|stored| stored.bytes == bytes), "{sink} {key}");
            let recovery = sink.recover(&intent, &mut TestNotes::default()).await;
            assert!(matches!(recovery, Recovery::Delivered(_)), "{sink} {key}: {recovery:?}");
        }
    }
}
