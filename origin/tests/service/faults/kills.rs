//! `kill -9`, wherever a job may be.

use serde_json::{Value, json};
use uuid::Uuid;

use super::process::Process;
use super::world::{Start, World};
use crate::support::bucket::Mood;
use crate::support::{database, until};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn killed_while_jobs_are_queued() {
    let world = World::new().await;
    let mut origin = world.start("a").await;
    let ids = world.submit(&origin, 4, json!({ "steps": 50 })).await;
    world
        .until(&origin, &ids[3], |job| job["status"] == "queued")
        .await;
    origin.kill();
    let origin = world.start("a").await;
    let books = world.check("origin killed while jobs are queued", &origin);
    assert_eq!(books.await.pictures, 4);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn killed_in_the_middle_of_a_step() {
    let world = World::new().await;
    let mut origin = world.start("a").await;
    let ids = world.submit(&origin, 2, json!({ "steps": 50 })).await;
    world
        .until(&origin, &ids[0], |job| {
            job["progress"]["step"].as_u64() > Some(1)
        })
        .await;
    origin.kill();
    let origin = world.start("a").await;
    let books = world.check("origin killed mid-step", &origin).await;
    assert_eq!(books.pictures, 2);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn killed_in_the_middle_of_the_second_of_two_pictures() {
    let world = World::new().await;
    let mut origin = world.start("a").await;
    let fields = json!({ "steps": 50, "n": 2 });
    let ids = world.submit(&origin, 2, fields).await;
    world
        .until(&origin, &ids[0], |job| {
            job["progress"]["step"].as_u64() > Some(51)
        })
        .await;
    origin.kill();
    let origin = world.start("a").await;
    let fault = "origin killed mid-step of picture 2 of 2";
    assert_eq!(world.check(fault, &origin).await.pictures, 2);
}

/// The digest of a job's picture.
async fn digest(world: &World, origin: &Process, id: &str) -> Value {
    world
        .until(origin, id, |job| job["status"] == "succeeded")
        .await;
    let job = world.job(origin, id).await.expect("a job");
    job["images"][0]["sha256"].clone()
}

/// A job that was handed in, once the engine is ready for it.
async fn accepted(world: &World, origin: &Process, fields: &Value) -> String {
    let mut id = None;
    until(async || {
        id = world.submit_as(origin, Uuid::new_v4(), fields).await;
        id.is_some()
    })
    .await;
    id.expect("accepted")
}

/// The same recipe alone, where nobody has made it before; and beside others, killed, and gone on
/// with.
async fn goes_on_after_a_kill(fault: &str, is_real: bool, steps: u64) {
    let start = || Start {
        is_real,
        environment: vec![
            ("DARKROOM_CHECKPOINT_SECONDS", "1".to_owned()),
            ("STUB_STEP_MS", "40".to_owned()),
        ],
        ..Start::default()
    };
    let fields = json!({ "steps": steps, "seed": 7 });
    let alone = {
        let world = World::new().await;
        let origin = world.start_with("a", start()).await;
        let id = accepted(&world, &origin, &fields).await;
        digest(&world, &origin, &id).await
    };

    let world = World::new().await;
    let mut origin = world.start_with("a", start()).await;
    let id = accepted(&world, &origin, &fields).await;
    world.submit(&origin, 2, json!({ "steps": steps })).await;
    world
        .until(&origin, &id, |job| {
            job["progress"]["step"].as_u64() > Some(steps * 3 / 4)
        })
        .await;
    origin.kill();
    let origin = world.start_with("a", start()).await;
    assert_eq!(digest(&world, &origin, &id).await, alone);
    assert!(origin.log().contains("goes on from where it was saved"));
    let books = world.check(fault, &origin).await;
    assert_eq!(books.pictures, 3);
    // No step was told twice, nor one after a later one.
    let mut database = database(world.folder()).await;
    let told: Vec<i64> = sqlx::query_scalar(
        "SELECT step FROM job_events WHERE job_id = $1 AND name = 'progress' ORDER BY number",
    )
    .bind(&id)
    .fetch_all(&mut database)
    .await
    .expect("asked");
    // But for the word that it was taken up again.
    let backwards = told.windows(2).filter(|two| two[0] >= two[1]);
    assert!(told.is_sorted() && backwards.count() <= 1, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn killed_in_the_middle_of_a_run_that_was_saved() {
    goes_on_after_a_kill("origin killed mid-run, resumed", false, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn killed_in_the_middle_of_a_run_of_the_small_model() {
    goes_on_after_a_kill("origin killed mid-run, a real model", true, 150).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn killed_while_a_picture_is_encoded() {
    let world = World::new().await;
    let start = Start {
        environment: vec![("DARKROOM_LOG", "info,darkroom_origin=debug".to_owned())],
        ..Start::default()
    };
    let mut origin = world.start_with("a", start).await;
    let fields = json!({ "steps": 1, "width": 2048, "height": 2048 });
    world.submit(&origin, 1, fields).await;
    until(async || origin.log().contains("a picture is being encoded")).await;
    origin.kill();
    let spool = std::fs::read_dir(world.data("a").join("spool")).expect("a spool");
    let names = spool.map(|entry| entry.expect("a file").file_name());
    let whole = names.filter(|name| !name.as_encoded_bytes().starts_with(b"."));
    assert_eq!(whole.count(), 0, "it was encoded before it was killed");
    let origin = world.start("a").await;
    let books = world.check("origin killed mid-encode", &origin).await;
    assert_eq!(books.pictures, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn killed_in_the_middle_of_an_upload() {
    let world = World::new().await;
    world.bucket.set(Mood::HoldsUploads);
    let mut origin = world.start("a").await;
    world.submit(&origin, 1, json!({ "steps": 1 })).await;
    world
        .submit(&origin, 2, json!({ "steps": 1, "n": 2 }))
        .await;
    world.bucket.uploads_after(3).await;
    origin.kill();
    world.bucket.set(Mood::Well);
    let origin = world.start("a").await;
    let books = world.check("origin killed mid-upload", &origin).await;
    assert_eq!(books.pictures, 3);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn killed_between_upload_and_commit() {
    let world = World::new().await;
    world.bucket.set(Mood::HoldsAnswers);
    let mut origin = world.start("a").await;
    world.submit(&origin, 1, json!({ "steps": 1 })).await;
    world
        .submit(&origin, 2, json!({ "steps": 1, "n": 2 }))
        .await;
    until(async || world.bucket.done() == 5).await;
    origin.kill();
    world.bucket.set(Mood::Well);
    let origin = world.start("a").await;
    let books = world.check("origin killed between upload and commit", &origin);
    assert_eq!(books.await.pictures, 3);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn killed_between_upload_and_commit_of_the_second_of_two_pictures() {
    let world = World::new().await;
    let mut origin = world.start("a").await;
    let fields = json!({ "steps": 50, "n": 2 });
    let ids = world.submit(&origin, 2, fields).await;
    until(async || world.bucket.done() == 1).await;
    world.bucket.set(Mood::HoldsAnswers);
    until(async || world.bucket.done() == 2).await;
    let job = world.job(&origin, &ids[0]).await.expect("a job");
    assert_eq!(job["status"], "running");
    origin.kill();
    world.bucket.set(Mood::Well);
    let origin = world.start("a").await;
    let fault = "origin killed after upload of picture 2 of 2";
    assert_eq!(world.check(fault, &origin).await.pictures, 2);
}

/// The same job, handed in again and again: at once, after the origin was killed, and after it
/// was made.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/test faults"]
async fn a_job_is_handed_in_more_than_once() {
    let world = World::new().await;
    let mut origin = world.start("a").await;
    let id = Uuid::new_v4();
    let fields = json!({ "steps": 30 });
    let both = tokio::join!(
        world.submit_as(&origin, id, &fields),
        world.submit_as(&origin, id, &fields)
    );
    assert_eq!(both.0, both.1);
    origin.kill();
    let origin = world.start("a").await;
    assert!(world.submit_as(&origin, id, &fields).await.is_some());
    world
        .until(&origin, &id.to_string(), |job| job["status"] == "succeeded")
        .await;
    assert!(world.submit_as(&origin, id, &fields).await.is_some());
    let books = world
        .check("the same job handed in four times", &origin)
        .await;
    assert_eq!((books.accepted, books.pictures), (1, 1));
}
