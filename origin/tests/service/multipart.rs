//! Large files, encryption and tags: what a bucket is told with an upload.

use axum::http::Method;
use bytes::Bytes;
use darkroom_origin::config::Encryption;
use darkroom_origin::storage::{About, Metadata, Object, StorageError};
use futures_util::TryStreamExt as _;

use crate::support::bucket::{Mood, Seen, TestBucket};

const PART: usize = 8 * 1024 * 1024;
const KEY: &str = "generated/1-01234567-89ab-cdef-0123-456789abcdef.png";

fn object(sha256: &str) -> Object {
    Object {
        key: KEY.into(),
        content_type: "image/png".into(),
        metadata: Metadata::new(&About {
            task_id: None,
            made_at: 0,
            recipe_sha256: "r",
            model: "m",
            seed: 1,
            sha256,
        }),
        is_signed: false,
    }
}

fn large() -> Bytes {
    let bytes = (0..2 * PART + 5).map(|i| (i / 1000 % 251) as u8);
    bytes.collect::<Vec<_>>().into()
}

fn parts(bucket: &TestBucket) -> Vec<Seen> {
    let mut seen = bucket.seen();
    seen.retain(|request| request.method == Method::PUT && request.asks("partNumber"));
    seen
}

#[tokio::test]
async fn a_large_file_goes_in_parts_and_is_stored_like_any_other() {
    let bucket = TestBucket::start().await;
    let storage = bucket.storage();
    storage.put(&object("s"), large()).await.expect("stored");
    let parts = parts(&bucket);
    assert_eq!(parts.len(), 3);
    for part in &parts {
        assert!(!part.header("x-amz-checksum-sha256").is_empty());
    }
    let seen = bucket.seen();
    let completion = seen
        .iter()
        .find(|request| request.method == Method::POST && request.asks("uploadId"))
        .expect("completed");
    assert_eq!(completion.header("if-none-match"), "*");
    assert!(bucket.fragments().is_empty(), "{:?}", bucket.fragments());

    let head = bucket.client().head_object();
    let head = head.bucket(TestBucket::name()).key(KEY).send().await;
    let head = head.expect("stored");
    assert_eq!(head.content_type(), Some("image/png"));
    assert_eq!(
        head.cache_control(),
        Some("public, max-age=31536000, immutable")
    );
    assert_eq!(head.metadata().expect("metadata")["sha256"], "s");
    let stored = storage.get(KEY).await.expect("asked").expect("there");
    let pieces: Vec<Bytes> = stored.body.try_collect().await.expect("read");
    assert!(pieces.concat() == large(), "the bytes are the same");
}

#[tokio::test]
async fn a_large_file_that_cannot_be_stored_whole_leaves_nothing() {
    let bucket = TestBucket::start().await;
    let storage = bucket.storage();
    bucket.set(Mood::LosesParts);
    let put = storage.put(&object("s"), large()).await;
    assert!(matches!(put, Err(StorageError::Unavailable { .. })));
    assert!(storage.get(KEY).await.expect("asked").is_none());
    assert!(bucket.fragments().is_empty(), "{:?}", bucket.fragments());
    bucket.set(Mood::Well);
    storage.put(&object("s"), large()).await.expect("stored");
}

#[tokio::test]
async fn a_large_file_is_never_replaced_and_a_lost_answer_does_no_harm() {
    let bucket = TestBucket::start().await;
    let storage = bucket.storage();
    storage.put(&object("s"), large()).await.expect("stored");
    storage.put(&object("s"), large()).await.expect("ours");
    let other = storage.put(&object("t"), large()).await;
    assert!(matches!(other, Err(StorageError::Taken { .. })));
    assert!(bucket.fragments().is_empty(), "{:?}", bucket.fragments());

    storage.delete(KEY).await.expect("deleted");
    bucket.set(Mood::LosesACompletion);
    storage.put(&object("s"), large()).await.expect("stored");
    assert!(storage.get(KEY).await.expect("asked").is_some());
}

#[tokio::test]
async fn a_bucket_is_told_how_to_encrypt_and_how_long_to_keep() {
    let bucket = TestBucket::start().await;
    let uploads = async |encryption: Encryption, days| {
        let storage = bucket.storage_with(|bucket| {
            bucket.encryption = encryption;
            bucket.retention_days = days;
        });
        let before = bucket.seen().len();
        for bytes in [Bytes::from_static(b"small"), large()] {
            storage.put(&object("s"), bytes).await.expect("stored");
            storage.delete(KEY).await.expect("deleted");
        }
        let mut seen = bucket.seen().split_off(before);
        seen.retain(|request| {
            let is_small = request.method == Method::PUT && !request.asks("partNumber");
            is_small || request.asks("uploads")
        });
        assert_eq!(seen.len(), 2);
        seen
    };
    let sse = "x-amz-server-side-encryption";
    let key = "x-amz-server-side-encryption-aws-kms-key-id";
    for request in uploads(Encryption::BucketDefault, None).await {
        assert_eq!(request.header(sse), "");
        assert_eq!(request.header("x-amz-tagging"), "");
    }
    for request in uploads(Encryption::S3, Some(30)).await {
        assert_eq!(request.header(sse), "AES256");
        assert_eq!(request.header(key), "");
        assert_eq!(
            request.header("x-amz-tagging"),
            "darkroom-retention=30d&darkroom-visibility=public"
        );
    }
    for request in uploads(Encryption::Kms(Some("k".into())), None).await {
        assert_eq!(request.header(sse), "aws:kms");
        assert_eq!(request.header(key), "k");
    }
}
