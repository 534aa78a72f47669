//! Smaller copies of pictures.

use axum::http::{Method, StatusCode};
use darkroom_origin::database::Database;
use darkroom_origin::housekeeping::{COPY_FORMATS, KeeperOptions, Reconciler, Report, Scope};
use darkroom_origin::storage::{Folder, Storage};
use darkroom_shared::key::{aside_key, variant_key};
use darkroom_shared::request::Format;
use image::GenericImageView as _;
use serde_json::{Value, json};

use crate::support::bucket::{Mood, TestBucket};
use crate::support::call::Call;
use crate::support::{Origin, Setup, databases, until};

fn setup(storage: Option<Storage>) -> Setup {
    Setup {
        storage,
        keeping: KeeperOptions {
            // The stub's pictures are 64 wide.
            variant_widths: vec![32, 16, 64, 100],
            variant_formats: COPY_FORMATS.to_vec(),
            ..KeeperOptions::default()
        },
        ..Setup::default()
    }
}

/// The copies that each picture has then.
fn expected() -> impl Iterator<Item = (u32, Format)> {
    let formats = |width| COPY_FORMATS.iter().map(move |format| (width, *format));
    [16, 32].into_iter().flat_map(formats)
}

async fn made(origin: &Origin, visibility: &str) -> Value {
    let body = json!({ "prompt": "p", "visibility": visibility });
    let id = origin.submit(&body).await;
    origin.finished(&id).await["images"][0].clone()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect("text")
}

/// The image once it has its copies.
async fn with_copies(origin: &Origin, image: &Value) -> Value {
    let path = format!("/api/images/{}", text(image, "id"));
    let mut found = Value::Null;
    until(async || {
        found = origin.call(Call::get(&path)).await.json().await;
        found.get("srcset").is_some()
    })
    .await;
    found
}

#[tokio::test]
async fn a_picture_has_smaller_copies_which_go_with_it() {
    let origin = Origin::start(setup(None)).await;
    let image = with_copies(&origin, &made(&origin, "public").await).await;
    let variants = image["variants"].as_array().expect("variants");
    let told: Vec<_> = variants
        .iter()
        .map(|copy| json!([copy["width"], copy["content_type"]]))
        .collect();
    let all: Vec<_> = expected()
        .map(|(width, format)| json!([width, format.content_type()]))
        .collect();
    assert_eq!(told, all);
    // An element does not choose by media type: its list is of one.
    let is_webp = |copy: &&Value| copy["content_type"] == "image/webp";
    let srcset: Vec<String> = variants
        .iter()
        .filter(is_webp)
        .chain([&image])
        .map(|copy| format!("{} {}w", text(copy, "url"), copy["width"]))
        .collect();
    assert_eq!(image["srcset"], srcset.join(", "));
    let fetch = async |copy: &Value| {
        let path = format!("/{}", text(copy, "key"));
        origin.call(Call::get(&path)).await
    };
    for copy in variants {
        let answer = fetch(copy).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), text(copy, "content_type"));
        let file = answer.bytes().await;
        if is_webp(&copy) {
            let file = image::load_from_memory(&file).expect("WebP");
            assert_eq!(copy["width"], file.dimensions().0);
            assert_eq!(copy["height"], file.dimensions().1);
        } else {
            assert!(file[4..].starts_with(b"ftypavif"));
        }
    }
    let path = format!("/api/images/{}", text(&image, "id"));
    let deleted = origin.call(Call::delete(&path)).await.json().await;
    let keys: Vec<_> = variants.iter().map(|copy| copy["key"].clone()).collect();
    assert_eq!(deleted["variants"], Value::from(keys));
    for copy in variants {
        assert_eq!(fetch(copy).await.status, StatusCode::NOT_FOUND);
    }
    origin.stop().await;
}

#[tokio::test]
async fn copies_that_the_store_did_not_take_hold_nobody_up_and_are_made_later() {
    let bucket = TestBucket::start().await;
    bucket.set(Mood::RefusesCopies);
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), setup(Some(bucket.storage()))).await;
    // The picture is there all the same.
    let image = made(&origin, "public").await;
    until(async || {
        bucket
            .seen()
            .iter()
            .any(|seen| seen.uri.path().contains("-w16."))
    })
    .await;
    let shown = origin.call(Call::get(&format!("/api/images/{}", text(&image, "id"))));
    assert!(shown.await.json().await.get("srcset").is_none());
    origin.stop().await;

    bucket.set(Mood::Well);
    // As if the time of who was making them were over.
    let mut rows = crate::support::database(folder.path()).await;
    sqlx::query("UPDATE images SET variants_after = 0")
        .execute(&mut rows)
        .await
        .expect("over");
    let next = Origin::start_in(folder.path(), setup(Some(bucket.storage()))).await;
    let image = with_copies(&next, &image).await;
    let copies = image["variants"].as_array().map(Vec::len);
    assert_eq!(copies, Some(expected().count()));
    next.stop().await;
}

#[tokio::test]
async fn a_private_pictures_copies_are_private_and_theirs_to_choose_whose_addresses_are_signed() {
    let bucket = TestBucket::start().await;
    let origin = Origin::start(setup(Some(bucket.storage()))).await;
    let image = made(&origin, "private").await;
    let path = format!("/api/images/{}", text(&image, "id"));
    let mut shown = Value::Null;
    until(async || {
        shown = origin.call(Call::get(&path)).await.json().await;
        shown.get("variants").is_some()
    })
    .await;
    assert!(shown.get("srcset").is_none());
    let copies = shown["variants"].as_array().expect("variants");
    assert_eq!(copies.len(), expected().count());
    for ((width, format), copy) in expected().zip(copies) {
        let key = variant_key(text(&image, "key"), width, format).expect("a picture's");
        assert_eq!(copy["key"], key);
        let answer = origin.call(Call::get(&format!("/{key}"))).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.header("cache-control").starts_with("private"));
    }
    origin.stop().await;
}

#[tokio::test]
async fn a_picture_that_is_small_already_is_not_even_read() {
    let bucket = TestBucket::start().await;
    let keeping = KeeperOptions {
        variant_widths: vec![64, 128],
        ..KeeperOptions::default()
    };
    let folder = tempfile::tempdir().expect("folder");
    let setup = Setup {
        keeping,
        ..setup(Some(bucket.storage()))
    };
    let origin = Origin::start_in(folder.path(), setup).await;
    let image = made(&origin, "public").await;
    let mut rows = crate::support::database(folder.path()).await;
    until(async || {
        let looked = sqlx::query_scalar("SELECT COUNT(*) FROM images WHERE variants = '[]'");
        let looked: i64 = looked.fetch_one(&mut rows).await.expect("counted");
        looked == 1
    })
    .await;
    let path = format!("/{}/{}", TestBucket::name(), text(&image, "key"));
    let seen = bucket.seen();
    let of_it = seen.iter().filter(|seen| seen.uri.path() == path);
    let methods: Vec<_> = of_it.map(|seen| seen.method.as_str()).collect();
    assert!(!methods.contains(&"GET"), "{methods:?}");
    origin.stop().await;
}

#[tokio::test]
async fn smaller_copies_come_back_with_their_picture() {
    let folder = tempfile::tempdir().expect("folder");
    let store = || Storage::Folder(Folder::new(folder.path().join("objects")));
    let mut setup = setup(Some(store()));
    setup.keeping.restore_days = 7;
    let origin = Origin::start_in(folder.path(), setup).await;
    let image = with_copies(&origin, &made(&origin, "public").await).await;
    let copies = image["variants"].as_array().expect("variants");
    let path = format!("/api/images/{}", text(&image, "id"));
    let all_are = async |status: StatusCode| {
        for copy in copies {
            let path = format!("/{}", text(copy, "key"));
            assert_eq!(origin.call(Call::get(&path)).await.status, status);
        }
    };
    let restore = || Call::new(Method::POST, &format!("{path}/restore"));

    origin.call(Call::delete(&path)).await;
    all_are(StatusCode::NOT_FOUND).await;
    assert_eq!(origin.call(restore()).await.json().await, image);
    all_are(StatusCode::OK).await;

    // One that was lost meanwhile is made anew.
    origin.call(Call::delete(&path)).await;
    let lost = aside_key(text(&copies[1], "key"));
    store().delete(&lost).await.expect("deleted");
    let restored = origin.call(restore()).await;
    assert_eq!(restored.status, StatusCode::OK);
    assert_eq!(with_copies(&origin, &image).await, image);
    all_are(StatusCode::OK).await;
    origin.stop().await;
}

#[tokio::test]
async fn copies_are_orphans_only_without_their_picture() {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), setup(None)).await;
    let image = with_copies(&origin, &made(&origin, "public").await).await;
    let address = databases::address(folder.path()).await;
    let reconciler = Reconciler {
        database: Database::open(&address).await.expect("opened"),
        storage: Storage::Folder(Folder::new(folder.path().join("objects"))).into(),
    };
    let look = async |scope| {
        let mut report = Report::default();
        let objects = reconciler.objects(scope, i64::MAX, &mut report);
        objects.await.expect("looked through");
        report
    };
    let copies = expected().count() as u64;
    let found = look(Scope::Known).await;
    assert_eq!((found.objects, found.removed), (1 + copies, 0));

    // As if it had been deleted by one that did not get to the store.
    let mut rows = crate::support::database(folder.path()).await;
    sqlx::query("UPDATE images SET deleted_at = 1, purged_at = 1 WHERE id = $1")
        .bind(text(&image, "id"))
        .execute(&mut rows)
        .await
        .expect("deleted");
    let found = look(Scope::Known).await;
    assert_eq!((found.objects, found.removed), (1 + copies, 1 + copies));
    assert_eq!(look(Scope::Known).await.objects, 0);
    reconciler.database.close().await;
    origin.stop().await;
}
