//! The store once more, on an S3 that others have written. What moto does not do: it verifies neither
//! signatures nor checksums.

use aws_sdk_s3::types::ServerSideEncryption;
use axum::http::StatusCode;
use bytes::Bytes;
use darkroom_origin::storage::{About, Metadata, Object, Storage, StorageError};
use futures_util::TryStreamExt as _;
use serde_json::json;

use crate::support::call::Call;
use crate::support::moto::{BUCKET, Moto};
use crate::support::{Origin, Setup};

const KEY: &str = "generated/1-01234567-89ab-cdef-0123-456789abcdef.png";
const OTHER: &str = "private/generated/1-11234567-89ab-cdef-0123-456789abcdef.png";

fn object(key: &str, sha256: &str) -> Object {
    Object {
        key: key.into(),
        content_type: "image/png".into(),
        metadata: Metadata::new(&About {
            task_id: Some("Bild 1 ü"),
            made_at: 0,
            recipe_sha256: "r",
            model: "m",
            seed: 1,
            sha256,
        }),
        is_signed: false,
    }
}

/// A file that goes in three parts.
fn large() -> Bytes {
    let bytes = (0..2 * 8 * 1024 * 1024 + 5).map(|i| (i / 1000 % 251) as u8);
    bytes.collect::<Vec<_>>().into()
}

async fn read(storage: &Storage, key: &str) -> Option<Bytes> {
    let stored = storage.get(key).await.expect("asked")?;
    let pieces: Vec<Bytes> = stored.body.try_collect().await.expect("read");
    Some(pieces.concat().into())
}

async fn listed(storage: &Storage) -> Vec<String> {
    let pages: Vec<_> = storage.list().try_collect().await.expect("listed");
    pages.into_iter().flatten().map(|one| one.key).collect()
}

#[tokio::test]
#[ignore = "scripts/test store"]
async fn what_is_stored_is_as_it_was_put_and_is_never_replaced() {
    let moto = Moto::start().await;
    let storage = moto.storage();
    for (key, file) in [(KEY, Bytes::from_static(b"ours")), (OTHER, large())] {
        assert_eq!(read(&storage, key).await, None);
        assert!(!storage.holds(key).await.expect("asked"));
        // Twice: the second is told that something is there (412), and finds that it is ours.
        for _ in 0..2 {
            let put = storage.put(&object(key, "ours"), file.clone()).await;
            put.expect("stored");
        }
        let put = storage.put(&object(key, "theirs"), file.clone()).await;
        assert!(matches!(put, Err(StorageError::Taken { .. })), "{put:?}");
        assert_eq!(read(&storage, key).await, Some(file));

        let head = moto.client().head_object().bucket(BUCKET).key(key).send();
        let head = head.await.expect("stored");
        assert_eq!(head.content_type(), Some("image/png"));
        let who = if key == OTHER { "private" } else { "public" };
        let kept = format!("{who}, max-age=31536000, immutable");
        assert_eq!(head.cache_control(), Some(kept.as_str()));
        assert_eq!(
            head.server_side_encryption()
                .map(ServerSideEncryption::as_str),
            Some("AES256")
        );
        let metadata = head.metadata().expect("metadata");
        assert_eq!(metadata["task-id"], "Bild%201%20%C3%BC");
        assert_eq!(metadata["sha256"], "ours");
        let tags = moto.client().get_object_tagging().bucket(BUCKET).key(key);
        let tags = tags.send().await.expect("tags");
        assert!(tags.tag_set().iter().any(|tag| tag.value() == "30d"));
    }
    let mut keys = listed(&storage).await;
    keys.sort();
    assert_eq!(keys, [KEY, OTHER]);
    for key in [KEY, OTHER, KEY] {
        storage.delete(key).await.expect("deleted");
    }
    assert!(listed(&storage).await.is_empty());
    assert_eq!(read(&storage, KEY).await, None);
}

#[tokio::test]
#[ignore = "scripts/test store"]
async fn uploads_that_broke_off_are_found_and_given_up() {
    let moto = Moto::start().await;
    let begun = moto.client().create_multipart_upload();
    let begun = begun.bucket(BUCKET).key(KEY).send().await;
    begun.expect("begun");
    let storage = moto.storage();
    assert_eq!(storage.abort_uploads(0).await.expect("looked"), 0);
    assert_eq!(storage.abort_uploads(i64::MAX).await.expect("given up"), 1);
    assert_eq!(storage.abort_uploads(i64::MAX).await.expect("looked"), 0);
}

#[tokio::test]
#[ignore = "scripts/test store"]
async fn a_picture_is_made_stored_fetched_and_deleted() {
    let moto = Moto::start().await;
    let setup = Setup {
        storage: Some(moto.storage()),
        ..Setup::default()
    };
    let origin = Origin::start(setup).await;
    let id = origin.submit(&json!({ "prompt": "a fox" })).await;
    let image = origin.finished(&id).await["images"][0].clone();
    let text = |name: &str| image[name].as_str().expect("text").to_owned();
    let picture = format!("/{}", text("key"));
    let answer = origin.call(Call::get(&picture)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(image["bytes"], answer.bytes().await.len());
    let path = format!("/api/images/{}", text("id"));
    assert_eq!(
        origin.call(Call::delete(&path)).await.status,
        StatusCode::OK
    );
    let gone = origin.call(Call::get(&picture)).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    assert!(listed(&moto.storage()).await.is_empty());
    origin.stop().await;
}
