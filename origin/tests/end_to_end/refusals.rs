//! What is refused, and how, through the real edge.

use serde_json::json;

use crate::stack::{Stack, json as answer};

#[tokio::test]
async fn bad_requests_are_refused_with_problems_that_help() {
    let stack = Stack::start(&[]);

    let keyless = stack
        .http
        .post(format!("{}/api/media/generate-image", stack.edge))
        .json(&json!({ "prompt": "p" }))
        .send()
        .await
        .expect("an answer");
    assert_eq!(keyless.status(), 401);
    let wrong_key = stack
        .http
        .get(format!("{}/api/jobs", stack.edge))
        .bearer_auth(format!("dk_{}", "x".repeat(43)))
        .send()
        .await
        .expect("an answer");
    assert_eq!(wrong_key.status(), 401);
    assert_eq!(
        wrong_key.headers()["content-type"],
        "application/problem+json"
    );

    let unsigned = stack
        .http
        .get(format!("{}/api/jobs", stack.origin))
        .send()
        .await
        .expect("an answer");
    assert_eq!(unsigned.status(), 401);

    let body = json!({ "prompt": "", "steps": "many", "colour": "red" });
    let invalid = stack.generate(&body).send().await.expect("an answer");
    assert_eq!(invalid.status(), 422);
    let problem = answer(Ok(invalid)).await;
    let mut fields: Vec<_> = problem["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .filter_map(|error| error["field"].as_str())
        .collect();
    fields.sort_unstable();
    assert_eq!(fields, ["colour", "prompt", "steps"]);
    assert_eq!(problem["code"], "invalid_request");
    assert!(problem["request_id"].is_string());

    // What the origin offers it has told the edge.
    let body = json!({ "prompt": "p", "scheduler": "magic" });
    let invalid = stack.generate(&body).send().await.expect("an answer");
    assert_eq!(invalid.status(), 422);
    assert_eq!(answer(Ok(invalid)).await["errors"][0]["field"], "scheduler");

    let unknown = stack
        .get("/api/jobs/0198c0de-0000-7000-8000-000000000000")
        .send()
        .await;
    let unknown = unknown.expect("an answer");
    assert_eq!(unknown.status(), 404);
    assert_eq!(answer(Ok(unknown)).await["code"], "not_found");
}
