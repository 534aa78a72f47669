//! Images that are made anew, listed, deleted and restored.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use darkroom_origin::clock;
use darkroom_origin::database::Database;
use darkroom_origin::housekeeping::{KeeperOptions, Purge, Reconciler, Report, Scope};
use darkroom_origin::storage::{Folder, Storage};
use darkroom_shared::key::aside_key;
use serde_json::{Value, json};

use crate::support::bucket::{Mood, TestBucket};
use crate::support::call::Call;
use crate::support::{Origin, Setup, database, databases};

const DAY: Duration = Duration::from_hours(24);

fn setup(restore_days: u32, storage: Option<Storage>) -> Setup {
    Setup {
        keeping: KeeperOptions {
            restore_days,
            ..KeeperOptions::default()
        },
        storage,
        ..Setup::default()
    }
}

fn text<'a>(image: &'a Value, name: &str) -> &'a str {
    image[name].as_str().expect(name)
}

async fn made(origin: &Origin, body: &Value) -> Value {
    let id = origin.submit(body).await;
    origin.finished(&id).await["images"][0].clone()
}

fn at(id: &str, rest: &str) -> String {
    format!("/api/images/{id}{rest}")
}

fn post(id: &str, rest: &str) -> Call {
    Call::new(Method::POST, &at(id, rest))
}

async fn listed(origin: &Origin, call: Call) -> (Vec<String>, Option<String>) {
    let answer = origin.call(call).await;
    assert_eq!(answer.status, StatusCode::OK);
    let page = answer.json().await;
    let items = page["items"].as_array().expect("a list").iter();
    let ids = items.map(|item| text(item, "id").to_owned()).collect();
    (ids, page["next_cursor"].as_str().map(str::to_owned))
}

async fn status(origin: &Origin, call: Call) -> StatusCode {
    origin.call(call).await.status
}

async fn purge(folder: &Path, storage: Storage) -> Purge {
    let address = databases::address(folder).await;
    Purge {
        database: Database::open(&address).await.expect("opened"),
        storage: Arc::new(storage),
        restorable_for: 7 * DAY,
    }
}

fn folder_storage(folder: &Path) -> Storage {
    Storage::Folder(Folder::new(folder.join("objects")))
}

#[tokio::test]
async fn an_image_made_anew_is_another_and_names_the_one_before() {
    let origin = Origin::start(Setup::default()).await;
    let body = json!({ "prompt": "a fox", "seed": 7, "steps": 3, "task_id": "cover",
        "visibility": "private" });
    let first = made(&origin, &body).await;

    let answer = origin.call(post(text(&first, "id"), "/regenerate")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let again = answer.json().await;
    assert_eq!(again["job"]["task_id"], "cover");
    for (field, value) in [("prompt", json!("a fox")), ("steps", json!(3))] {
        assert_eq!(again["recipe"][field], value);
    }
    assert_ne!(again["recipe"]["seed"], 7);
    let second = &again["images"][0];
    assert_eq!(second["visibility"], "private");
    assert_eq!(second["previous_id"], first["id"]);

    let changes = json!({ "prompt": "a cat", "seed": 7, "n": 2 });
    let answer = origin
        .call(post(text(second, "id"), "/regenerate").json(&changes))
        .await;
    let third = answer.json().await;
    assert_eq!(third["recipe"]["prompt"], "a cat");
    assert_eq!(third["recipe"]["seed"], 7);
    assert_eq!(third["images"].as_array().expect("two").len(), 2);
    for image in third["images"].as_array().expect("two") {
        assert_eq!(image["previous_id"], second["id"]);
    }
    let other = made(&origin, &body).await;
    assert_eq!(other["previous_id"], Value::Null);

    // From whichever of them it is asked, a line is the same.
    let mut line = vec![
        text(&third["images"][1], "id"),
        text(&third["images"][0], "id"),
    ];
    line.extend([text(second, "id"), text(&first, "id")]);
    for id in &line {
        let whole = listed(&origin, Call::get(&at(id, "/versions"))).await;
        assert_eq!(whole.0, line);
        assert_eq!(whole.1, None);
    }
    let page = listed(&origin, Call::get(&at(line[0], "/versions?limit=3"))).await;
    assert_eq!(page.0, line[..3]);
    let next = at(
        line[0],
        &format!("/versions?limit=3&cursor={}", page.1.expect("more")),
    );
    assert_eq!(
        listed(&origin, Call::get(&next)).await,
        (vec![line[3].to_owned()], None)
    );

    let whole = origin
        .call(Call::get(&at(line[0], "/versions")))
        .await
        .json()
        .await;
    let item = &whole["items"][0];
    assert_eq!(item["recipe"]["prompt"], "a cat");
    assert_eq!(item["recipe"]["seed"], 8);
    assert_eq!(item["job_id"], third["job"]["id"]);
    origin.stop().await;
}

#[tokio::test]
async fn what_cannot_be_made_anew_is_said_and_nothing_is_accepted() {
    let origin = Origin::start(Setup::default()).await;
    let image = made(&origin, &json!({ "prompt": "p" })).await;
    let id = text(&image, "id");
    let begun = json!({ "prompt": "p", "init_image": id });
    let begun = made(&origin, &begun).await;
    for (id, body, field) in [
        (id, json!({ "steps": 0 }), "steps"),
        (id, json!({ "prompt": null }), "prompt"),
        (id, json!({ "colour": "red" }), "colour"),
        (text(&begun, "id"), json!({}), "init_image"),
    ] {
        let answer = origin.call(post(id, "/regenerate").json(&body)).await;
        let problem = answer.problem("invalid_request").await;
        assert_eq!(problem["errors"][0]["field"], field);
    }
    let again = json!({ "init_image": id });
    let answer = origin
        .call(post(text(&begun, "id"), "/regenerate").json(&again))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    for call in [
        post("none", "/regenerate"),
        post(id, "/regenerate").by("bob"),
        Call::get(&at(id, "/versions")).by("bob"),
        post(id, "/restore").by("bob"),
    ] {
        origin.call(call).await.problem("not_found").await;
    }
    let (images, _) = listed(&origin, Call::get("/api/images")).await;
    assert_eq!(images.len(), 3);
    origin.stop().await;
}

#[tokio::test]
async fn a_job_that_is_handed_in_twice_is_one_whatever_became_of_the_image() {
    let origin = Origin::start(Setup::default()).await;
    let image = made(&origin, &json!({ "prompt": "p" })).await;
    let id = text(&image, "id");
    let job = "0193c7a2-0000-7000-8000-000000000001";
    let call = || post(id, &format!("/regenerate?job={job}"));
    let first = origin.call(call()).await.json().await;
    origin.call(Call::delete(&at(id, ""))).await;
    let second = origin.call(call()).await.json().await;
    assert_eq!(first["job"]["id"], job);
    assert_eq!(first["images"], second["images"]);
    let anew = post(id, "/regenerate");
    origin.call(anew).await.problem("not_found").await;
    origin.stop().await;
}

async fn a_deleted_image_comes_back(storage: impl Fn(&Path) -> Storage) {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), setup(7, Some(storage(folder.path())))).await;
    let store = storage(folder.path());
    let address = databases::address(folder.path()).await;
    let reconciler = Reconciler {
        database: Database::open(&address).await.expect("opened"),
        storage: Arc::new(storage(folder.path())),
    };
    for visibility in ["public", "private"] {
        let body = json!({ "prompt": "p", "visibility": visibility });
        let image = made(&origin, &body).await;
        let (id, key) = (text(&image, "id"), text(&image, "key"));
        let picture = format!("/{key}");
        let bytes = origin.call(Call::get(&picture)).await.bytes().await;

        let told = origin.call(Call::delete(&at(id, ""))).await.json().await;
        assert_eq!(told["again"], false);
        let told = origin.call(Call::delete(&at(id, ""))).await.json().await;
        assert_eq!(told["again"], true);
        for call in [Call::get(&at(id, "")), Call::get(&picture)] {
            origin.call(call).await.problem("not_found").await;
        }
        let aside = aside_key(key);
        assert!(!store.holds(key).await.expect("asked"));
        assert!(store.holds(&aside).await.expect("asked"));
        let hidden = format!("/{aside}");
        assert_eq!(
            status(&origin, Call::get(&hidden)).await,
            StatusCode::NOT_FOUND
        );
        let deleted = listed(&origin, Call::get("/api/images?deleted=true")).await;
        assert_eq!(deleted.0, [id]);
        let others = Call::get("/api/images?deleted=true").by("bob");
        assert_eq!(listed(&origin, others).await.0, [""; 0]);
        // What waits for being restored is nobody's orphan.
        let mut report = Report::default();
        let objects = reconciler.objects(Scope::All, i64::MAX, &mut report);
        objects.await.expect("looked through");
        assert_eq!(report.removed, 0);

        for _ in 0..2 {
            let restored = origin.call(post(id, "/restore")).await;
            assert_eq!(restored.status, StatusCode::OK);
            assert_eq!(restored.json().await, image);
        }
        let again = origin.call(Call::get(&picture)).await;
        assert_eq!(again.status, StatusCode::OK);
        assert_eq!(again.bytes().await, bytes);
        assert!(!store.holds(&aside).await.expect("asked"));
        let deleted = listed(&origin, Call::get("/api/images?deleted=true")).await;
        assert_eq!(deleted.0, [""; 0]);
    }
    reconciler.database.close().await;
    origin.stop().await;
}

#[tokio::test]
async fn a_deleted_image_comes_back_in_a_folder() {
    a_deleted_image_comes_back(folder_storage).await;
}

#[tokio::test]
async fn a_deleted_image_comes_back_in_a_bucket() {
    let bucket = TestBucket::start().await;
    a_deleted_image_comes_back(|_| bucket.storage()).await;
}

#[tokio::test]
async fn when_its_time_is_over_a_deleted_image_is_gone_for_good() {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), setup(7, None)).await;
    let image = made(&origin, &json!({ "prompt": "p" })).await;
    let (id, key) = (text(&image, "id"), text(&image, "key"));
    origin.call(Call::delete(&at(id, ""))).await;

    let purge = purge(folder.path(), folder_storage(folder.path())).await;
    let in_days = |days: u32| clock::now() + (DAY * days).as_millis() as i64;
    assert_eq!(purge.all(in_days(6)).await.expect("nothing due"), 0);
    assert_eq!(purge.all(in_days(8)).await.expect("purged"), 1);
    assert_eq!(purge.all(in_days(9)).await.expect("nothing left"), 0);
    for key in [key, &aside_key(key)] {
        assert!(!purge.storage.holds(key).await.expect("asked"));
    }
    origin
        .call(post(id, "/restore"))
        .await
        .problem("not_found")
        .await;
    let told = origin.call(Call::delete(&at(id, ""))).await.json().await;
    assert_eq!(told["again"], true);
    purge.database.close().await;
    origin.stop().await;
}

#[tokio::test]
async fn where_nothing_is_kept_nothing_comes_back() {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), setup(0, None)).await;
    let image = made(&origin, &json!({ "prompt": "p" })).await;
    let (id, key) = (text(&image, "id"), text(&image, "key"));
    origin.call(Call::delete(&at(id, ""))).await;
    let store = folder_storage(folder.path());
    for key in [key, &aside_key(key)] {
        assert!(!store.holds(key).await.expect("asked"));
    }
    origin
        .call(post(id, "/restore"))
        .await
        .problem("not_found")
        .await;
    origin.stop().await;
}

#[tokio::test]
async fn an_object_is_moved_by_one_at_a_time() {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), setup(7, None)).await;
    let image = made(&origin, &json!({ "prompt": "p" })).await;
    let id = text(&image, "id");
    origin.call(Call::delete(&at(id, ""))).await;

    // Another origin has begun to bring it back.
    let purge = purge(folder.path(), folder_storage(folder.path())).await;
    let (now, claim) = (clock::now(), clock::now() + 60_000);
    let claimed = purge.database.claim_restoring("alice", id, now, claim);
    claimed.await.expect("asked").expect("claimed");
    for call in [post(id, "/restore"), Call::delete(&at(id, ""))] {
        let answer = origin.call(call).await;
        assert_eq!(answer.header("retry-after"), "5");
        answer.problem("unavailable").await;
    }
    let in_time = now + (8 * DAY).as_millis() as i64;
    // It died of it, and its claim is over.
    assert_eq!(purge.all(claim - 1).await.expect("nothing due"), 0);
    assert_eq!(purge.all(claim).await.expect("set aside again"), 1);
    assert_eq!(status(&origin, post(id, "/restore")).await, StatusCode::OK);
    assert_eq!(purge.all(in_time).await.expect("nothing due"), 0);
    purge.database.close().await;
    origin.stop().await;
}

#[tokio::test]
async fn a_store_that_is_away_keeps_nobody_from_trying_again() {
    let folder = tempfile::tempdir().expect("folder");
    let bucket = TestBucket::start().await;
    let origin = Origin::start_in(folder.path(), setup(7, Some(bucket.storage()))).await;
    let image = made(&origin, &json!({ "prompt": "p" })).await;
    let (id, picture) = (text(&image, "id"), format!("/{}", text(&image, "key")));
    for (call, shown) in [
        (Call::delete(&at(id, "")), StatusCode::NOT_FOUND),
        (post(id, "/restore"), StatusCode::OK),
    ] {
        bucket.set(Mood::Away);
        let answer = origin.call(call.clone()).await;
        answer.problem("storage_unavailable").await;
        bucket.set(Mood::Well);
        let answer = origin.call(call).await;
        assert_eq!(answer.status, StatusCode::OK);
        let answer = origin.call(Call::get(&picture)).await;
        assert_eq!(answer.status, shown);
    }
    origin.stop().await;
}

#[tokio::test]
async fn whoever_shares_a_job_sees_its_image_again_and_cannot_restore_it() {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), setup(7, None)).await;
    let job = origin.submit(&json!({ "prompt": "p" })).await;
    let share = Call::new(Method::POST, &format!("/api/jobs/{job}/readers"));
    let share = share.by("bob").json(&json!({ "task_id": "bobs" }));
    assert_eq!(status(&origin, share).await, StatusCode::NO_CONTENT);
    let image = origin.finished(&job).await["images"][0].clone();
    let id = text(&image, "id");

    let anew = origin
        .call(post(id, "/regenerate").by("bob"))
        .await
        .json()
        .await;
    assert_eq!(anew["job"]["task_id"], "bobs");
    let new = text(&anew["images"][0], "id").to_owned();
    let line = listed(&origin, Call::get(&at(&new, "/versions")).by("bob")).await;
    assert_eq!(line.0, [new.as_str(), id]);
    // What another made of one's own image is theirs.
    let line = listed(&origin, Call::get(&at(id, "/versions"))).await;
    assert_eq!(line.0, [id]);

    origin.call(Call::delete(&at(id, ""))).await;
    let line = listed(&origin, Call::get(&at(&new, "/versions")).by("bob")).await;
    assert_eq!(line.0, [new]);
    let show = || Call::get(&at(id, "")).by("bob");
    assert_eq!(status(&origin, show()).await, StatusCode::NOT_FOUND);
    let restore = post(id, "/restore").by("bob");
    assert_eq!(status(&origin, restore).await, StatusCode::NOT_FOUND);
    assert_eq!(status(&origin, post(id, "/restore")).await, StatusCode::OK);
    assert_eq!(status(&origin, show()).await, StatusCode::OK);
    origin.stop().await;
}

#[tokio::test]
async fn what_was_deleted_by_an_earlier_version_is_removed() {
    let folder = tempfile::tempdir().expect("folder");
    let origin = Origin::start_in(folder.path(), setup(7, None)).await;
    let image = made(&origin, &json!({ "prompt": "p" })).await;
    let (id, key) = (text(&image, "id"), text(&image, "key"));
    let mut rows = database(folder.path()).await;
    let deleted = sqlx::query("UPDATE images SET deleted_at = 1 WHERE id = $1").bind(id);
    deleted.execute(&mut rows).await.expect("deleted");
    let purge = purge(folder.path(), folder_storage(folder.path())).await;
    // The origin's own housekeeping may have been first.
    purge.all(clock::now()).await.expect("purged");
    crate::support::until(async || !purge.storage.holds(key).await.expect("asked")).await;
    origin
        .call(post(id, "/restore"))
        .await
        .problem("not_found")
        .await;
    purge.database.close().await;
    origin.stop().await;
}
