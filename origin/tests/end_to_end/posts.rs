//! A post with a picture, from the command line to whoever reads it.

use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stack::{Stack, json as answer};

/// Runs `darkroom posts`, which must succeed.
fn posts(stack: &Stack, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_darkroom"))
        .arg("posts")
        .args(args)
        .env("DARKROOM_EDGE_URL", &stack.edge)
        .env("DARKROOM_API_KEY", &stack.key)
        .output()
        .expect("started");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    String::from_utf8(output.stdout).expect("text")
}

fn posts_json(stack: &Stack, args: &[&str]) -> Value {
    let args = [&["--json"], args].concat();
    serde_json::from_str(&posts(stack, &args)).expect("JSON")
}

#[tokio::test]
async fn a_post_is_written_published_read_deleted_and_restored() {
    let stack = Stack::start(&[]);
    let body = json!({ "prompt": "a red circle", "steps": 1, "task_id": "cover" });
    let made = answer(stack.generate(&body).send().await).await;
    let args = [
        "create",
        "--title",
        "A First Post",
        "--tags",
        "a,b",
        "--task-id",
        "cover",
    ];
    let post = posts_json(&stack, &args);
    assert_eq!(post["slug"], "a-first-post");
    assert_eq!(post["featured_image_url"], made["image_url"]);

    let url = format!("{}/api/posts/a-first-post", stack.edge);
    let read = async || stack.http.get(&url).send().await.expect("an answer");
    assert_eq!(read().await.status(), StatusCode::NOT_FOUND);
    posts(&stack, &["publish", "a-first-post"]);
    let response = read().await;
    assert_eq!(response.status(), StatusCode::OK);
    let etag = response.headers()["etag"].clone();
    let again = stack.http.get(&url).header("if-none-match", &etag);
    let again = again.send().await.expect("an answer");
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let picture = made["image_url"].as_str().expect("an address");
    let picture = stack.http.get(picture).send().await.expect("an answer");
    assert_eq!(picture.status(), StatusCode::OK);

    let listed = posts(&stack, &["list", "--search", "first"]);
    assert!(listed.contains("a-first-post"), "{listed}");
    posts(&stack, &["delete", "a-first-post"]);
    assert_eq!(read().await.status(), StatusCode::NOT_FOUND);
    let deleted = posts_json(&stack, &["list", "--deleted"]);
    assert_eq!(deleted["items"][0]["slug"], "a-first-post");
    let shown = posts(&stack, &["restore", "a-first-post"]);
    assert!(shown.contains("A First Post"), "{shown}");
    assert_eq!(read().await.status(), StatusCode::OK);
}
