//! A private picture, through the real edge: to its owner, and to who was given its URL.

use reqwest::StatusCode;
use serde_json::json;

use crate::stack::{Stack, json as answer};

#[tokio::test]
async fn a_private_picture_is_fetched_with_its_signed_url_and_in_no_other_way() {
    let stack = Stack::start(&[]);
    let body = json!({ "prompt": "a blue star", "visibility": "private", "steps": 1 });
    let made = answer(stack.generate(&body).send().await).await;
    let image = &made["images"][0];
    assert_eq!(made["image_url"], image["url"]);
    let url = image["url"].as_str().expect("an address");
    let (plain, query) = url.split_once('?').expect("a signature");
    assert!(plain.starts_with(&format!("{}/private/generated/", stack.edge)));

    let picture = stack.http.get(url).send().await.expect("the picture");
    assert_eq!(picture.status(), StatusCode::OK);
    let kept = picture.headers()["cache-control"].to_str().expect("text");
    assert_eq!(kept, "private, max-age=31536000, immutable");
    assert_eq!(image["bytes"], picture.bytes().await.expect("bytes").len());

    let unsigned = stack.http.get(plain).bearer_auth(&stack.key).send().await;
    let unsigned = unsigned.expect("an answer");
    assert_eq!(unsigned.status(), StatusCode::FORBIDDEN);
    assert_eq!(answer(Ok(unsigned)).await["code"], "signature_refused");
    let public = format!("{}?{query}", plain.replace("/private/", "/"));
    let public = stack.http.get(public).send().await.expect("an answer");
    assert_eq!(public.status(), StatusCode::NOT_FOUND);

    // The events say the same as the job, and one picture's URL stays the same for a while.
    let job = made["job"]["id"].as_str().expect("an id");
    let events = stack.get(&format!("/api/jobs/{job}/events"));
    let events = events.send().await.expect("events").text().await;
    let events = events.expect("text");
    assert!(events.contains(&format!("{plain}?Expires=")), "{events}");

    let path = format!(
        "/api/images/{}/signed-url",
        image["id"].as_str().expect("an id")
    );
    let asked = |body| {
        let request = stack.http.post(format!("{}{path}", stack.edge));
        request.bearer_auth(&stack.key).json(&body)
    };
    for (body, status) in [
        (json!({}), StatusCode::OK),
        (json!({ "ip": "127.0.0.1" }), StatusCode::OK),
        (json!({ "ip": "192.0.2.1" }), StatusCode::FORBIDDEN),
        (
            json!({ "starts_at": "2020-01-01T00:00:00Z" }),
            StatusCode::OK,
        ),
    ] {
        let fresh = answer(asked(body.clone()).send().await).await;
        assert!(fresh["expires_at"].is_string(), "{fresh}");
        let url = fresh["url"].as_str().expect("an address");
        let picture = stack.http.get(url).send().await.expect("an answer");
        assert_eq!(picture.status(), status, "{body}");
    }
}
