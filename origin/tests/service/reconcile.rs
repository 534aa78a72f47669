//! Store and database compared, and brought to agree.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use darkroom_origin::database::Database;
use darkroom_origin::housekeeping::{Purge, Reconciler, Report, Scope};
use darkroom_origin::storage::{About, Folder, Metadata, Object, Storage};
use serde_json::{Value, json};

use crate::support::bucket::{Mood, TestBucket};
use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::{Origin, Setup, database, databases};

const STRANGER: &str = "generated/1-01234567-89ab-cdef-0123-456789abcdef.png";
/// Everything there is was stored before.
const LATER: i64 = i64::MAX;

async fn put(storage: &Storage, key: &str) {
    let object = Object {
        key: key.into(),
        content_type: "image/png".into(),
        metadata: Metadata::new(&About {
            task_id: None,
            made_at: 0,
            recipe_sha256: "r",
            model: "m",
            seed: 1,
            sha256: "s",
        }),
        is_signed: false,
    };
    let file = Bytes::from_static(b"left over");
    storage.put(&object, file).await.expect("stored");
}

async fn made(origin: &Origin, visibility: &str) -> (String, String) {
    let body = json!({ "prompt": "p", "visibility": visibility });
    let id = origin.submit(&body).await;
    let image = origin.finished(&id).await["images"][0].clone();
    let text = |name: &str| image[name].as_str().expect(name).to_owned();
    (text("id"), text("key"))
}

async fn reconciler(folder: &Path, storage: Storage) -> Reconciler {
    let address = databases::address(folder).await;
    Reconciler {
        database: Database::open(&address).await.expect("opened"),
        storage: Arc::new(storage),
    }
}

async fn report(reconciler: &Reconciler, scope: Scope, before: i64) -> Report {
    let mut report = Report::default();
    let objects = reconciler.objects(scope, before, &mut report);
    objects.await.expect("objects");
    let images = reconciler.images(String::new(), u64::MAX, &mut report);
    images.await.expect("images");
    report
}

async fn orphans_are_found_on_either_side(storage: impl Fn(&Path) -> Storage) {
    let folder = tempfile::tempdir().expect("folder");
    let (engine, gate) = StubEngine::gated();
    gate.allow(12);
    let setup = Setup {
        engine,
        storage: Some(storage(folder.path())),
        ..Setup::default()
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    let (_, kept) = made(&origin, "private").await;
    let (lost, lost_key) = made(&origin, "public").await;
    let (deleted, deleted_key) = made(&origin, "public").await;
    let path = format!("/api/images/{deleted}");
    origin.call(Call::delete(&path)).await;
    // The engine does not get to it: its picture is taken for one that is just being stored.
    origin.submit(&json!({ "prompt": "p" })).await;
    let mut rows = database(folder.path()).await;
    let awaited: String =
        sqlx::query_scalar("SELECT object_key FROM images WHERE stored_at IS NULL")
            .fetch_one(&mut rows)
            .await
            .expect("awaited");

    let reconciler = reconciler(folder.path(), storage(folder.path())).await;
    let store = &reconciler.storage;
    store.delete(&lost_key).await.expect("deleted");
    for key in [STRANGER, &deleted_key, &awaited] {
        put(store, key).await;
    }
    let young = report(&reconciler, Scope::All, 0).await;
    assert_eq!((young.objects, young.removed), (4, 0));
    assert!(young.orphans.is_empty());

    let look = report(&reconciler, Scope::Look, LATER).await;
    assert_eq!((look.unwanted, look.unknown, look.removed), (1, 1, 0));
    assert_eq!((look.images, look.missing), (2, 1));
    assert_eq!(look.missing_images, [lost]);

    let known = report(&reconciler, Scope::Known, LATER).await;
    assert_eq!((known.unwanted, known.unknown, known.removed), (1, 1, 1));
    assert!(store.holds(STRANGER).await.expect("asked"));
    let all = report(&reconciler, Scope::All, LATER).await;
    assert_eq!((all.unwanted, all.unknown, all.removed), (0, 1, 1));
    let again = report(&reconciler, Scope::All, LATER).await;
    assert_eq!((again.objects, again.unwanted, again.unknown), (2, 0, 0));
    for key in [&kept, &awaited] {
        assert!(store.holds(key).await.expect("asked"), "{key}");
    }
    reconciler.database.close().await;
    gate.open();
    origin.stop().await;
}

#[tokio::test]
async fn orphans_are_found_in_a_folder() {
    orphans_are_found_on_either_side(|folder| Storage::Folder(Folder::new(folder.join("objects"))))
        .await;
}

#[tokio::test]
async fn orphans_are_found_in_a_bucket() {
    let bucket = TestBucket::start().await;
    orphans_are_found_on_either_side(|_| bucket.storage()).await;
}

#[tokio::test]
async fn a_store_is_listed_page_by_page() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("objects/generated");
    std::fs::create_dir_all(&path).expect("folder");
    let bucket = TestBucket::start().await;
    bucket.fill(1001);
    for number in 0..1001 {
        let name = format!("{number}-01234567-89ab-cdef-0123-456789abcdef.png");
        std::fs::write(path.join(name), b"x").expect("written");
    }
    // What is not named as ours is neither counted as ours nor touched.
    std::fs::write(path.join("notes.txt"), b"x").expect("written");
    let stores = [
        Storage::Folder(Folder::new(folder.path().join("objects"))),
        bucket.storage(),
    ];
    for storage in stores {
        let reconciler = reconciler(folder.path(), storage).await;
        let found = report(&reconciler, Scope::All, LATER).await;
        assert_eq!((found.unknown, found.removed), (1001, 1001));
        assert_eq!(found.orphans.len(), 100);
        let again = report(&reconciler, Scope::All, LATER).await;
        assert_eq!(again.objects, 0);
        reconciler.database.close().await;
    }
    assert!(path.join("notes.txt").exists());
}

#[tokio::test]
async fn uploads_that_broke_off_are_given_up_once_they_are_old() {
    let bucket = TestBucket::start().await;
    let begin = async || {
        let begun = bucket.client().create_multipart_upload();
        let begun = begun.bucket(TestBucket::name()).key(STRANGER).send().await;
        begun.expect("begun").upload_id.expect("id")
    };
    let (old, young) = (begin().await, begin().await);
    bucket.lists(&[
        (STRANGER, &old, "2020-01-01T00:00:00.000Z"),
        (STRANGER, &young, "2100-01-01T00:00:00.000Z"),
    ]);
    let now = darkroom_origin::clock::now();
    let aborted = bucket.storage().abort_uploads(now).await;
    assert_eq!(aborted.expect("given up"), 1);
    let left = bucket.fragments();
    assert!(left.iter().all(|name| name.contains(&young)), "{left:?}");
    assert!(!left.is_empty());

    let folder = tempfile::tempdir().expect("folder");
    std::fs::create_dir(folder.path().join("generated")).expect("folder");
    let part = folder.path().join("generated/.1-x.png.part");
    std::fs::write(&part, b"half").expect("written");
    let storage = Storage::Folder(Folder::new(folder.path().to_owned()));
    assert_eq!(storage.abort_uploads(0).await.expect("looked"), 0);
    assert_eq!(storage.abort_uploads(LATER).await.expect("removed"), 1);
    assert!(!part.exists());
}

#[tokio::test]
async fn what_a_deletion_did_not_manage_is_done_later() {
    let folder = tempfile::tempdir().expect("folder");
    let bucket = TestBucket::start().await;
    let setup = Setup {
        storage: Some(bucket.storage()),
        ..Setup::default()
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    let (id, key) = made(&origin, "public").await;
    bucket.set(Mood::Away);
    let path = format!("/api/images/{id}");
    let answer = origin.call(Call::delete(&path)).await;
    answer.problem("storage_unavailable").await;

    let reconciler = reconciler(folder.path(), bucket.storage()).await;
    let purge = Purge {
        database: reconciler.database.clone(),
        storage: Arc::clone(&reconciler.storage),
        restorable_for: Duration::ZERO,
    };
    let now = darkroom_origin::clock::now();
    assert!(purge.all(now).await.is_err());
    bucket.set(Mood::Well);
    assert_eq!(purge.all(now).await.expect("purged"), 1);
    assert_eq!(purge.all(LATER).await.expect("nothing left"), 0);
    assert!(!reconciler.storage.holds(&key).await.expect("asked"));
    let again: Value = origin.call(Call::delete(&path)).await.json().await;
    assert_eq!(again["again"], true);
    reconciler.database.close().await;
    origin.stop().await;
}
