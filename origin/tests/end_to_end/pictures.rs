//! Pictures come back, from either store, and show what the prompt says.

use serde_json::{Value, json};

use crate::picture::Picture;
use crate::stack::{Stack, json as answer};

pub const RED: [f64; 3] = [220.0, 40.0, 40.0];
pub const BLUE: [f64; 3] = [40.0, 80.0, 210.0];

pub fn is_near(colour: [f64; 3], wanted: [f64; 3]) -> bool {
    colour.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 45.0)
}

/// Asks for a red circle on blue and checks all that came back. The job's first image.
async fn red_circle_comes_back(stack: &Stack) -> Value {
    let request = json!({
        "prompt": "a red circle on a blue background",
        "seed": 7,
        "task_id": "end-to-end",
    });
    let response = stack.generate(&request).send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    let body = answer(Ok(response)).await;
    assert_eq!(body["job"]["status"], "succeeded");
    assert_eq!(body["job"]["task_id"], "end-to-end");
    assert_eq!(body["recipe"]["seed"], 7);
    assert_eq!(body["cached"], false);
    let url = body["image_url"].as_str().expect("an address");
    assert!(
        url.starts_with(&format!("{}/generated/", stack.edge)),
        "{url}"
    );

    let picture = stack.http.get(url).send().await.expect("the picture");
    assert_eq!(picture.status(), 200);
    let header = |name: &str| picture.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-type"), "image/png");
    assert_eq!(
        header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    let bytes = picture.bytes().await.expect("bytes");
    let image = body["images"][0].clone();
    assert_eq!(image["bytes"], bytes.len());
    let decoded = Picture::decode(&bytes);
    assert_eq!((decoded.width, decoded.height), (128, 128));
    assert!(is_near(decoded.colour_at(64, 64), RED), "the middle");
    for (x, y) in [(6, 6), (121, 6), (6, 121), (121, 121)] {
        assert!(is_near(decoded.colour_at(x, y), BLUE), "corner {x} {y}");
    }
    image
}

#[tokio::test]
async fn a_prompt_becomes_a_picture_in_local_files() {
    let stack = Stack::start(&[]);
    let image = red_circle_comes_back(&stack).await;
    // The very object lies in the store under its key.
    let key = image["key"].as_str().expect("a key");
    let data = stack.state().join("data");
    let found = walk(&data).into_iter().any(|path| path.ends_with(key));
    assert!(found, "{key} under {}", data.display());
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            files.extend(walk(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_becomes_a_picture_in_s3() {
    let root = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(root.path().join("pictures")).expect("a bucket");
    let server = crate::stack::s3(root.path(), "test-key", "test-secret").await;
    let stack = Stack::start(&[
        ("AWS_S3_BUCKET", "pictures"),
        ("AWS_S3_REGION", "us-east-1"),
        ("AWS_S3_ENDPOINT", &server),
        ("AWS_ACCESS_KEY_ID", "test-key"),
        ("AWS_SECRET_ACCESS_KEY", "test-secret"),
    ]);
    let image = red_circle_comes_back(&stack).await;
    let key = image["key"].as_str().expect("a key");
    let object = root.path().join("pictures").join(key);
    let stored = std::fs::metadata(&object).expect("the object in the bucket");
    assert_eq!(image["bytes"], stored.len());
}

#[tokio::test]
async fn an_asynchronous_job_reports_its_progress_and_can_be_canceled() {
    let stack = Stack::start(&[]);
    let request = json!({ "prompt": "a green star", "steps": 150, "n": 10 });
    let response = stack
        .generate(&request)
        .header("prefer", "respond-async")
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), 202);
    let location = response.headers()["location"]
        .to_str()
        .expect("text")
        .to_owned();
    let body = answer(Ok(response)).await;
    let id = body["job"]["id"].as_str().expect("an id").to_owned();
    assert!(location.ends_with(&format!("/api/jobs/{id}")), "{location}");

    let running = stack
        .job_until(&id, |job| job["progress"]["step"].as_u64() > Some(0))
        .await;
    assert_eq!(running["status"], "running");
    assert_eq!(running["progress"]["steps"], 1500);
    let canceled = stack.delete(&format!("/api/jobs/{id}")).send().await;
    assert_eq!(canceled.expect("an answer").status(), 200);
    let job = stack
        .job_until(&id, |job| job["status"] == "canceled")
        .await;
    assert!(job["progress"]["step"].as_u64() < Some(1500));

    // The engine is free again, and the events of the canceled job tell its story.
    let events = stack.get(&format!("/api/jobs/{id}/events")).send().await;
    let text = events.expect("an answer").text().await.expect("events");
    let names: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("event:"))
        .collect();
    assert_eq!(
        names.first().map(|name| name.trim()),
        Some("queued"),
        "{text}"
    );
    assert_eq!(
        names.last().map(|name| name.trim()),
        Some("canceled"),
        "{text}"
    );
    red_circle_comes_back(&stack).await;
}
