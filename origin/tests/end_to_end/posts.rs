//! A post with a picture, through the real edge: for everybody, for as long as there is the picture.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::stack::{Stack, json as answer};

fn call(stack: &Stack, method: Method, path: &str) -> RequestBuilder {
    let request = stack.http.request(method, format!("{}{path}", stack.edge));
    request.bearer_auth(&stack.key)
}

/// As somebody without a key sees a post: the post, and its tag.
async fn seen(stack: &Stack, slug: &str) -> (Value, String) {
    let request = stack.http.get(format!("{}/api/posts/{slug}", stack.edge));
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let etag = response.headers()["etag"]
        .to_str()
        .expect("text")
        .to_owned();
    (answer(Ok(response)).await, etag)
}

async fn fetched(stack: &Stack, url: &str) -> Response {
    stack.http.get(url).send().await.expect("an answer")
}

#[tokio::test]
async fn a_post_shows_its_picture_for_as_long_as_there_is_one() {
    let stack = Stack::start(&[]);
    let body = json!({ "prompt": "a red star", "steps": 1, "task_id": "cover" });
    let made = answer(stack.generate(&body).send().await).await;
    let (url, id) = (
        &made["image_url"],
        made["images"][0]["id"].as_str().expect("an id"),
    );
    let address = url.as_str().expect("an address");

    let body = json!({ "title": "A First Post", "content": "Words.", "task_id": "cover" });
    let post = call(&stack, Method::POST, "/api/posts")
        .json(&body)
        .send()
        .await;
    let post = post.expect("an answer");
    assert_eq!(post.status(), StatusCode::CREATED);
    let slug = answer(Ok(post)).await["slug"]
        .as_str()
        .expect("a slug")
        .to_owned();
    let path = format!("/api/posts/{slug}");
    // A draft is nobody else's.
    let draft = fetched(&stack, &format!("{}{path}", stack.edge)).await;
    assert_eq!(draft.status(), StatusCode::NOT_FOUND);
    let publish = json!({ "status": "published" });
    let published = call(&stack, Method::PATCH, &path)
        .json(&publish)
        .send()
        .await;
    assert_eq!(published.expect("an answer").status(), StatusCode::OK);

    let (post, with_picture) = seen(&stack, &slug).await;
    assert_eq!(&post["featured_image_url"], url);
    let picture = fetched(&stack, address).await.bytes().await.expect("bytes");
    assert_eq!(made["images"][0]["bytes"], picture.len());

    let image = format!("/api/images/{id}");
    let deleted = call(&stack, Method::DELETE, &image).send().await;
    assert_eq!(deleted.expect("an answer").status(), StatusCode::NO_CONTENT);
    let (post, without) = seen(&stack, &slug).await;
    assert_eq!(post["featured_image_url"], Value::Null);
    assert_ne!(without, with_picture);
    assert_eq!(
        fetched(&stack, address).await.status(),
        StatusCode::NOT_FOUND
    );

    let restore = format!("{image}/restore");
    let restored = call(&stack, Method::POST, &restore).send().await;
    assert_eq!(answer(restored).await["id"], id);
    let (post, restored) = seen(&stack, &slug).await;
    assert_eq!(&post["featured_image_url"], url);
    assert!(restored != without && restored != with_picture);
    let again = fetched(&stack, address).await;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(again.bytes().await.expect("bytes"), picture);

    // Made anew, it is the newest picture of its label, and the post keeps its own until told.
    let anew = format!("{image}/regenerate");
    let anew = call(&stack, Method::POST, &anew).json(&json!({ "prompt": "a blue star" }));
    let anew = answer(anew.send().await).await;
    assert_eq!(anew["images"][0]["previous_id"], id);
    let choose = json!({ "task_id": "cover" });
    let chosen = call(&stack, Method::PATCH, &path)
        .json(&choose)
        .send()
        .await;
    assert_eq!(
        answer(chosen).await["featured_image_url"],
        anew["image_url"]
    );
}
