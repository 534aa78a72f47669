//! The API is described where it is served.

use serde_json::Value;

use crate::stack::{Stack, json};

#[tokio::test]
async fn the_edge_serves_its_own_description() {
    let stack = Stack::start(&[]);
    let get = async |path: &str| {
        let answer = stack.http.get(format!("{}{path}", stack.edge)).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer
    };
    let document = json(Ok(get("/openapi.json").await)).await;
    let file = include_str!("../../../edge/ui/openapi.json");
    let file: Value = serde_json::from_str(file).expect("JSON");
    assert_eq!(document, file);

    let page = get("/docs").await;
    let header = |name: &str| page.headers()[name].to_str().expect("text").to_owned();
    assert!(header("content-type").starts_with("text/html"));
    assert_eq!(header("x-content-type-options"), "nosniff");
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
    assert!(!policy.contains("unsafe"), "{policy}");
    let text = page.text().await.expect("a page");
    assert!(
        !text.contains("://") && !text.contains("<script>"),
        "{text}"
    );
    for part in ["/docs.js", "/docs.css"] {
        assert!(text.contains(part), "{text}");
        get(part).await;
    }
    // All else is still the Worker's.
    assert!(get("/healthz").await.headers().contains_key("x-request-id"));
}
