//! `darkroom keys` against the real edge, and what the keys then are to the origin.

use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stack::{Stack, json as answer};

/// Runs `darkroom keys` with the stack's key, or another.
fn keys(stack: &Stack, key: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_darkroom"))
        .arg("keys")
        .args(args)
        .env("DARKROOM_EDGE_URL", &stack.edge)
        .env("DARKROOM_ADMIN_KEY", key)
        .output()
        .expect("started");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The same with `--json`, for what must succeed.
fn keys_json(stack: &Stack, args: &[&str]) -> Value {
    let args = [&["--json"], args].concat();
    let (code, out, error) = keys(stack, &stack.key, &args);
    assert_eq!(code, Some(0), "{error}");
    serde_json::from_str(&out).expect("JSON")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} in {value}"))
}

async fn status(stack: &Stack, path: &str, key: &str) -> StatusCode {
    let url = format!("{}{path}", stack.edge);
    let response = stack.http.get(url).bearer_auth(key).send().await;
    response.expect("an answer").status()
}

#[tokio::test]
async fn keys_are_made_listed_rotated_and_revoked_from_the_command_line() {
    let stack = Stack::start(&[]);
    let made = keys_json(
        &stack,
        &[
            "create",
            "--name",
            "a laptop",
            "--account",
            "alice",
            "--scopes",
            "generate,read",
            "--expires-in",
            "30d",
            "--daily-images",
            "5",
        ],
    );
    let (id, key) = (text(&made, "id"), text(&made, "key"));
    assert_eq!(made["scopes"], json!(["generate", "read"]));
    assert_eq!(made["daily_images"], 5);
    assert_eq!(status(&stack, "/api/jobs", key).await, 200);

    let (code, table, _) = keys(&stack, &stack.key, &["list"]);
    assert_eq!(code, Some(0));
    assert!(table.starts_with("id "), "{table}");
    for part in [id, "a laptop", "alice", "generate,read"] {
        assert!(table.contains(part), "{part} in {table}");
    }
    assert!(!table.contains("dk_"));
    assert_eq!(keys_json(&stack, &["list"])["items"][0]["id"], id);

    let rotated = keys_json(&stack, &["rotate", id]);
    assert_eq!(rotated["id"], id);
    assert_eq!(status(&stack, "/api/jobs", key).await, 401);
    let fresh = text(&rotated, "key");
    assert_eq!(status(&stack, "/api/jobs", fresh).await, 200);

    let (code, told, _) = keys(&stack, &stack.key, &["revoke", id]);
    assert_eq!(code, Some(0));
    assert!(told.contains(id), "{told}");
    assert_eq!(status(&stack, "/api/jobs", fresh).await, 401);

    // What is refused says what to do.
    let reader = keys_json(&stack, &["create", "--scopes", "read"]);
    let stranger = format!("dk_{}", "z".repeat(43));
    let wrong: [(&str, &[&str], &str); 5] = [
        (&stack.key, &["revoke", id], "`darkroom keys list`"),
        (
            &stack.key,
            &["create", "--account", "a b"],
            "--account must be",
        ),
        (&stack.key, &["rotate", "../x"], "no key's id"),
        (text(&reader, "key"), &["list"], "the scope `admin`"),
        (&stranger, &["list"], "DARKROOM_ADMIN_KEY"),
    ];
    for (key, args, part) in wrong {
        let (code, out, error) = keys(&stack, key, args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{error}");
        assert!(error.contains(part), "{part} in {error}");
        assert!(!error.contains(key), "{error}");
    }
}

#[tokio::test]
async fn what_one_account_made_is_not_there_for_another() {
    let stack = Stack::start(&[]);
    let new = |account: &str| keys_json(&stack, &["create", "--account", account]);
    let [alice, again, bob] = ["alice", "alice", "bob"].map(new);
    let made = stack
        .http
        .post(format!("{}/api/media/generate-image", stack.edge))
        .bearer_auth(text(&alice, "key"))
        .json(&json!({ "prompt": "a red circle on a blue background", "steps": 2 }))
        .send()
        .await;
    let made = answer(made).await;
    let job = format!("/api/jobs/{}", text(&made["job"], "id"));
    let paths = [
        job.clone(),
        format!("{job}/events"),
        format!("/api/images/{}", text(&made["images"][0], "id")),
    ];
    for path in &paths {
        assert_eq!(
            status(&stack, path, text(&alice, "key")).await,
            200,
            "{path}"
        );
        assert_eq!(
            status(&stack, path, text(&again, "key")).await,
            200,
            "{path}"
        );
        assert_eq!(status(&stack, path, text(&bob, "key")).await, 404, "{path}");
        // Not even the first admin's.
        assert_eq!(status(&stack, path, &stack.key).await, 404, "{path}");
    }
    let canceled = stack
        .http
        .delete(format!("{}{job}", stack.edge))
        .bearer_auth(text(&bob, "key"))
        .send()
        .await;
    assert_eq!(canceled.expect("an answer").status(), 404);
    let jobs = stack
        .http
        .get(format!("{}/api/jobs", stack.edge))
        .bearer_auth(text(&bob, "key"))
        .send()
        .await;
    assert_eq!(answer(jobs).await["items"], json!([]));
}
