//! `GET /generated/{file}` and `GET /private/generated/{file}`

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::support::call::Call;
use crate::support::{Origin, Setup};

#[tokio::test]
async fn a_picture_may_be_kept_for_ever_and_is_not_sent_twice() {
    let origin = Origin::start(Setup::default()).await;
    let body = json!({ "prompt": "p" });
    let json = origin.call(Call::generate(&body)).await.json().await;
    let image = &json["images"][0];
    let path = format!("/{}", image["key"].as_str().expect("key"));

    let answer = origin.call(Call::get(&path)).await;
    assert_eq!(
        answer.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(answer.header("content-length"), image["bytes"].to_string());
    let etag = answer.header("etag").to_owned();
    assert_eq!(
        etag,
        format!("\"{}\"", image["sha256"].as_str().expect("digest"))
    );

    let again = origin
        .call(Call::get(&path).header("if-none-match", &etag))
        .await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    assert!(again.bytes().await.is_empty());

    let head = origin.call(Call::new(Method::HEAD, &path)).await;
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.header("content-type"), "image/png");
    assert!(head.bytes().await.is_empty());
    origin.stop().await;
}

#[tokio::test]
async fn a_private_picture_lies_apart_and_is_its_callers_to_keep() {
    let origin = Origin::start(Setup::default()).await;
    let body = json!({ "prompt": "p", "visibility": "private" });
    let json = origin.call(Call::generate(&body)).await.json().await;
    let image = &json["images"][0];
    assert_eq!(image["visibility"], "private");
    let key = image["key"].as_str().expect("key");
    assert!(key.starts_with("private/generated/"), "{key}");
    assert_eq!(image["url"], format!("http://edge.test/{key}"));
    assert!(image.get("expires_at").is_none());

    let picture = origin.call(Call::get(&format!("/{key}"))).await;
    assert_eq!(picture.status, StatusCode::OK);
    assert_eq!(
        picture.header("cache-control"),
        "private, max-age=31536000, immutable"
    );
    assert_eq!(image["bytes"], picture.bytes().await.len());
    let public = key.trim_start_matches("private");
    let answer = origin.call(Call::get(public)).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);

    // To others neither the image nor its job is there.
    let (id, job) = (&image["id"], &json["job"]["id"]);
    for (path, id) in [("images", id), ("jobs", job)] {
        let path = format!("/api/{path}/{}", id.as_str().expect("id"));
        assert_eq!(origin.call(Call::get(&path)).await.status, StatusCode::OK);
        let answer = origin.call(Call::get(&path).by("mallory")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    origin.stop().await;
}

#[tokio::test]
async fn events_tell_whose_images_are_private() {
    let origin = Origin::start(Setup::default()).await;
    for visibility in ["public", "private"] {
        let body = json!({ "prompt": "p", "visibility": visibility });
        let job = origin.submit(&body).await;
        let path = format!("/api/jobs/{job}/events");
        let answer = origin.call(Call::get(&path)).await;
        assert_eq!(answer.header("darkroom-visibility"), visibility);
        let last = answer.events().rest().await.pop().expect("an event");
        assert_eq!(last.data["images"][0]["visibility"], visibility);
    }
    origin.stop().await;
}

#[tokio::test]
async fn names_that_are_no_pictures_are_not_there() {
    let origin = Origin::start(Setup::default()).await;
    for path in [
        "/generated/1-01234567-89ab-cdef-0123-456789abcdef.png",
        "/generated/..%2F..%2Fdarkroom.db",
        "/generated/1-01234567-89ab-cdef-0123-456789abcdef.png.json",
        "/generated/x.png",
        "/private/generated/1-01234567-89ab-cdef-0123-456789abcdef.png",
        "/private/generated/..%2F..%2Fdarkroom.db",
    ] {
        let answer = origin.call(Call::get(path)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        answer.problem("not_found").await;
    }
    origin.stop().await;
}
