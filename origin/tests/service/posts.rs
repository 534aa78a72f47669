//! The catalog of posts.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::call::{Answer, Call};
use crate::support::{Origin, Setup};

fn with_body(method: Method, uri: &str, body: &Value) -> Call {
    let mut call = Call::new(method, uri).header("content-type", "application/json");
    call.body = body.to_string().into_bytes();
    call
}

fn post(body: &Value) -> Call {
    with_body(Method::POST, "/api/posts", body)
}

fn patch(slug: &str, body: &Value) -> Call {
    with_body(Method::PATCH, &format!("/api/posts/{slug}"), body)
}

fn restore(slug: &str) -> Call {
    Call::new(Method::POST, &format!("/api/posts/{slug}/restore"))
}

fn get(slug: &str) -> Call {
    Call::get(&format!("/api/posts/{slug}"))
}

async fn origin() -> Origin {
    Origin::start(Setup::default()).await
}

impl Origin {
    async fn made(&self, body: &Value) -> Value {
        let answer = self.call(post(body)).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        answer.json().await
    }

    async fn ok(&self, call: Call) -> Value {
        let answer = self.call(call).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.json().await
    }

    /// The slugs of a list, and where the next page begins.
    async fn listed(&self, call: Call) -> (Vec<String>, Option<String>) {
        let page = self.ok(call).await;
        let slugs = page["items"].as_array().expect("items").iter();
        let slugs = slugs.map(|item| item["slug"].as_str().expect("slug").to_owned());
        let next = page["next_cursor"].as_str().map(str::to_owned);
        (slugs.collect(), next)
    }

    async fn found(&self, query: &str) -> Vec<String> {
        let call = Call::get(&format!("/api/posts?{query}"));
        let (mut slugs, next) = self.listed(call).await;
        assert_eq!(next, None);
        slugs.sort_unstable();
        slugs
    }

    /// Makes images, and answers their job.
    async fn pictured(&self, body: &Value) -> Value {
        let id = self.submit(body).await;
        let job = self.finished(&id).await;
        assert_eq!(job["status"], "succeeded");
        job
    }
}

async fn refused(answer: Answer, field: &str) {
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = answer.problem("invalid_request").await;
    assert_eq!(problem["errors"][0]["field"], field, "{problem}");
}

#[tokio::test]
async fn a_post_is_made_changed_and_found_again() {
    let origin = origin().await;
    let answer = origin
        .call(post(&json!({
            "title": "A First Post", "content": "words\r\n", "tags": ["b", "a"], "author_id": "ann"
        })))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("location"), "/api/posts/a-first-post");
    let etag = answer.header("etag").to_owned();
    let made = answer.json().await;
    assert_eq!(
        (&made["status"], &made["published_at"]),
        (&json!("draft"), &Value::Null)
    );
    assert_eq!(made["tags"], json!(["b", "a"]));
    assert_eq!(made["featured_image_url"], Value::Null);

    let answer = origin.call(get("a-first-post")).await;
    assert_eq!(answer.header("etag"), etag);
    assert_eq!(answer.json().await, made);

    let body = json!({ "status": "published", "tags": ["c"], "author_id": null, "slug": "other" });
    let changed = origin.ok(patch("a-first-post", &body)).await;
    assert_eq!(changed["slug"], "other");
    assert_eq!(changed["title"], made["title"]);
    assert_eq!(changed["content"], "words\r\n");
    assert_eq!(
        (&changed["tags"], &changed["author_id"]),
        (&json!(["c"]), &Value::Null)
    );
    assert!(changed["published_at"].is_string());
    let gone = origin.call(get("a-first-post")).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    // Taken back and published again, it keeps its place.
    origin
        .ok(patch("other", &json!({ "status": "archived" })))
        .await;
    let again = origin
        .ok(patch("other", &json!({ "status": "published" })))
        .await;
    assert_eq!(again["published_at"], changed["published_at"]);
    origin.stop().await;
}

#[tokio::test]
async fn what_is_not_published_is_its_accounts_alone() {
    let origin = origin().await;
    origin.made(&json!({ "title": "draft" })).await;
    origin
        .made(&json!({ "title": "archived", "status": "archived" }))
        .await;
    origin
        .made(&json!({ "title": "published", "status": "published" }))
        .await;
    for slug in ["draft", "archived"] {
        let answer = origin.call(get(slug).by("anonymous")).await;
        answer.problem("not_found").await;
    }
    origin.ok(get("published").by("anonymous")).await;
    let others = Call::get("/api/posts?status=draft").by("bob");
    assert!(origin.listed(others).await.0.is_empty());
    let others = origin.listed(Call::get("/api/posts").by("bob")).await.0;
    assert_eq!(others, ["published"]);
    assert_eq!(origin.found("").await, ["archived", "draft", "published"]);
    // Another's is not there to be changed, whether it can be seen or not.
    for slug in ["draft", "published"] {
        for call in [
            patch(slug, &json!({ "title": "x" })),
            Call::delete(&format!("/api/posts/{slug}")),
            restore(slug),
        ] {
            origin.call(call.by("bob")).await.problem("not_found").await;
        }
    }
    origin.stop().await;
}

#[tokio::test]
async fn wrong_values_are_named_and_nothing_is_stored() {
    let origin = origin().await;
    let answer = origin
        .call(post(&json!({ "title": "", "status": "x", "colour": 1 })))
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = answer.problem("invalid_request").await;
    assert_eq!(problem["errors"].as_array().expect("errors").len(), 3);
    refused(origin.call(Call::get("/api/posts?limit=0")).await, "limit").await;
    refused(origin.call(Call::get("/api/posts?q=%25")).await, "q").await;
    let mut text = Call::new(Method::POST, "/api/posts").header("content-type", "text/plain");
    text.body = b"{}".to_vec();
    let answer = origin.call(text).await;
    answer.problem("unsupported_media_type").await;
    assert!(origin.found("").await.is_empty());
    origin.stop().await;
}

#[tokio::test]
async fn slugs_are_unique_whoever_makes_them() {
    let origin = origin().await;
    let mut slugs = Vec::new();
    for caller in ["alice", "bob"].repeat(6) {
        let answer = origin
            .call(post(&json!({ "title": "Same" })).by(caller))
            .await;
        assert_eq!(answer.status, StatusCode::CREATED);
        slugs.push(
            answer.json().await["slug"]
                .as_str()
                .expect("slug")
                .to_owned(),
        );
    }
    assert_eq!(slugs[..3], ["same", "same-2", "same-3"]);
    slugs.sort_unstable();
    slugs.dedup();
    assert_eq!(slugs.len(), 12);
    let taken = json!({ "title": "x", "slug": "same" });
    refused(origin.call(post(&taken)).await, "slug").await;
    origin.made(&json!({ "title": "Mine" })).await;
    let taken = patch("mine", &json!({ "slug": "same" }));
    refused(origin.call(taken).await, "slug").await;
    // A deleted post keeps its own.
    origin.call(Call::delete("/api/posts/mine")).await;
    let taken = json!({ "title": "x", "slug": "mine" });
    refused(origin.call(post(&taken)).await, "slug").await;
    origin.stop().await;
}

#[tokio::test]
async fn pages_are_whole_while_posts_come_and_go() {
    let origin = origin().await;
    for n in 0..7 {
        origin
            .made(&json!({ "title": format!("p{n}"), "status": "published" }))
            .await;
    }
    let (first, next) = origin.listed(Call::get("/api/posts?limit=3")).await;
    assert_eq!(first, ["p6", "p5", "p4"]);
    origin
        .made(&json!({ "title": "newer", "status": "published" }))
        .await;
    // The very post that the cursor was made of.
    origin.call(Call::delete("/api/posts/p4")).await;
    let next = next.expect("a next page");
    let uri = format!("/api/posts?limit=3&cursor={next}");
    let (second, next) = origin.listed(Call::get(&uri)).await;
    assert_eq!(second, ["p3", "p2", "p1"]);
    let uri = format!("/api/posts?limit=3&cursor={}", next.expect("a next page"));
    assert_eq!(
        origin.listed(Call::get(&uri)).await,
        (vec!["p0".to_owned()], None)
    );
    origin.stop().await;
}

#[tokio::test]
async fn a_page_of_long_posts_ends_early_and_leaves_none_out() {
    let origin = origin().await;
    for n in 0..8 {
        let content = "\u{5317}".repeat(99_999);
        let body = json!({ "title": format!("p{n}"), "content": content });
        origin.made(&body).await;
    }
    let (first, next) = origin.listed(Call::get("/api/posts")).await;
    assert_eq!(first.len(), 7);
    let uri = format!("/api/posts?cursor={}", next.expect("a next page"));
    assert_eq!(
        origin.listed(Call::get(&uri)).await,
        (vec!["p0".to_owned()], None)
    );
    origin.stop().await;
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let origin = origin().await;
    let body =
        json!({ "title": "one", "author_id": "ann", "category_id": "c", "tags": ["a", "b"] });
    origin.made(&body).await;
    let two = origin
        .made(&json!({ "title": "two", "tags": ["a"], "status": "published" }))
        .await;
    for (query, expected) in [
        ("status=published", vec!["two"]),
        ("author_id=ann", vec!["one"]),
        ("category_id=c&author_id=bob", vec![]),
        ("tag=a", vec!["one", "two"]),
        ("tag=a&tag=b", vec!["one"]),
        ("author_id=%27%20OR%201%3D1--", vec![]),
        ("tag=%25", vec![]),
        ("updated_since=2999-01-01T00:00:00Z", vec![]),
        ("updated_since=2020-01-01T00:00:00Z", vec!["one", "two"]),
        ("unknown=1", vec!["one", "two"]),
    ] {
        assert_eq!(origin.found(query).await, expected, "{query}");
    }
    let moment = two["updated_at"].as_str().expect("a moment");
    let since = origin.found(&format!("updated_since={moment}")).await;
    assert!(since.contains(&"two".to_owned()));
    origin.stop().await;
}

#[tokio::test]
async fn words_are_found_in_titles_and_contents() {
    let origin = origin().await;
    let body = json!({
        "title": "Harbour", "content": "A Boat-house, see docs.example.com/it's_100% \"sure\" NEAR"
    });
    origin.made(&body).await;
    origin.made(&json!({ "title": "boat" })).await;
    for (query, expected) in [
        ("q=boat", vec!["boat", "harbour"]),
        ("q=BOAT+harbour", vec!["harbour"]),
        ("q=house", vec!["harbour"]),
        ("q=example", vec!["harbour"]),
        ("q=100", vec!["harbour"]),
        ("q=it%27s", vec!["harbour"]),
        ("q=near", vec!["harbour"]),
        ("q=boa", vec![]),
        // Nothing of either database's own language.
        ("q=boat+OR+harbour", vec![]),
        ("q=boat+NOT+harbour", vec![]),
        ("q=title%3Aboat", vec![]),
        ("q=boa%2A", vec![]),
        ("q=boat%22+%26+%21harbour", vec!["harbour"]),
        ("q=%27%3B+DROP+TABLE+posts%3B--", vec![]),
    ] {
        assert_eq!(origin.found(query).await, expected, "{query}");
    }
    origin
        .ok(patch(
            "boat",
            &json!({ "title": "ship", "content": "sails" }),
        ))
        .await;
    assert_eq!(origin.found("q=boat").await, ["harbour"]);
    assert_eq!(origin.found("q=ship+sails").await, ["boat"]);
    origin.stop().await;
}

#[tokio::test]
async fn what_the_caller_has_is_not_sent_again() {
    let origin = origin().await;
    origin.made(&json!({ "title": "one" })).await;
    for uri in ["/api/posts/one", "/api/posts?tag=x", "/api/posts"] {
        let etag = origin.call(Call::get(uri)).await.header("etag").to_owned();
        assert!(etag.starts_with('"'), "{etag}");
        for known in [etag.clone(), format!("\"x\", W/{etag}"), "*".to_owned()] {
            let answer = origin
                .call(Call::get(uri).header("if-none-match", &known))
                .await;
            assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
            assert_eq!(answer.header("etag"), etag);
            assert!(answer.bytes().await.is_empty());
        }
        if uri != "/api/posts?tag=x" {
            origin.ok(patch("one", &json!({ "content": uri }))).await;
            origin
                .ok(Call::get(uri).header("if-none-match", &etag))
                .await;
        }
    }
    origin.stop().await;
}

#[tokio::test]
async fn of_two_changes_to_one_version_one_wins() {
    let origin = origin().await;
    origin.made(&json!({ "title": "one" })).await;
    for _ in 0..5 {
        let etag = origin.call(get("one")).await.header("etag").to_owned();
        let change = |content: &str| patch("one", &json!({ "content": content }));
        let (a, b, c) = tokio::join!(
            origin.call(change("a").header("if-match", &etag)),
            origin.call(change("b").header("if-match", &etag)),
            origin.call(change("c").header("if-match", &etag)),
        );
        let (won, lost): (Vec<_>, Vec<_>) = [a, b, c]
            .into_iter()
            .partition(|answer| answer.status == StatusCode::OK);
        assert_eq!((won.len(), lost.len()), (1, 2));
        for answer in won {
            let now = answer.json().await;
            assert_eq!(origin.ok(get("one")).await, now);
        }
        for answer in lost {
            assert_eq!(answer.status, StatusCode::PRECONDITION_FAILED);
            answer.problem("precondition_failed").await;
        }
    }
    let stale = Call::delete("/api/posts/one").header("if-match", "\"stale\"");
    origin
        .call(stale)
        .await
        .problem("precondition_failed")
        .await;
    let etag = origin.call(get("one")).await.header("etag").to_owned();
    let fresh = Call::delete("/api/posts/one").header("if-match", &format!("\"x\", W/{etag}"));
    assert_eq!(origin.call(fresh).await.status, StatusCode::NO_CONTENT);
    origin.stop().await;
}

#[tokio::test]
async fn a_deleted_post_is_gone_until_its_account_restores_it() {
    let origin = origin().await;
    let body = json!({ "title": "one", "content": "word", "status": "published", "tags": ["t"] });
    let made = origin.made(&body).await;
    let delete = || Call::delete("/api/posts/one");
    assert_eq!(origin.call(delete()).await.status, StatusCode::NO_CONTENT);
    origin.call(delete()).await.problem("not_found").await;
    origin.call(get("one")).await.problem("not_found").await;
    origin
        .call(patch("one", &json!({})))
        .await
        .problem("not_found")
        .await;
    for query in ["", "q=word", "tag=t"] {
        assert!(origin.found(query).await.is_empty());
    }
    let page = origin.ok(Call::get("/api/posts?deleted=true")).await;
    assert_eq!(page["items"][0]["slug"], "one");
    assert!(page["items"][0]["deleted_at"].is_string());
    let others = Call::get("/api/posts?deleted=true").by("bob");
    assert!(origin.listed(others).await.0.is_empty());
    origin
        .call(restore("one").by("bob"))
        .await
        .problem("not_found")
        .await;

    let restored = origin.ok(restore("one")).await;
    for field in ["id", "content", "tags", "published_at"] {
        assert_eq!(restored[field], made[field], "{field}");
    }
    assert!(restored.get("deleted_at").is_none());
    assert_eq!(origin.ok(restore("one")).await, restored);
    assert_eq!(origin.ok(get("one").by("anonymous")).await, restored);
    origin.stop().await;
}

#[tokio::test]
async fn a_post_shows_an_image_of_its_accounts_while_there_is_one() {
    let origin = origin().await;
    let old = origin
        .pictured(&json!({ "prompt": "p", "task_id": "cover" }))
        .await;
    let job = origin
        .pictured(&json!({ "prompt": "p", "task_id": "cover", "n": 2 }))
        .await;
    let (image, other) = (&job["images"][0], &job["images"][1]);
    let body = json!({ "title": "one", "status": "published", "task_id": "cover" });
    let made = origin.made(&body).await;
    assert_eq!(made["featured_image_id"], image["id"]);
    assert_eq!(made["featured_image_url"], image["url"]);
    for (body, shown) in [
        (json!({ "featured_image": other["id"] }), other),
        (json!({ "featured_image": old["id"] }), &old["images"][0]),
        (json!({ "featured_image_url": image["url"] }), image),
        (json!({ "title": "another" }), image),
    ] {
        let changed = origin.ok(patch("one", &body)).await;
        assert_eq!(changed["featured_image_id"], shown["id"], "{body}");
    }
    let etag = origin.call(get("one")).await.header("etag").to_owned();
    let uri = format!("/api/images/{}", image["id"].as_str().expect("id"));
    origin.ok(Call::delete(&uri)).await;
    let answer = origin.call(get("one").header("if-none-match", &etag)).await;
    assert_eq!(answer.status, StatusCode::OK);
    let post = answer.json().await;
    assert_eq!(post["featured_image_url"], Value::Null);
    assert_eq!(post["featured_image_id"], Value::Null);
    let gone = patch("one", &json!({ "featured_image": image["id"] }));
    refused(origin.call(gone).await, "featured_image").await;

    origin
        .ok(patch("one", &json!({ "featured_image": other["id"] })))
        .await;
    let without = origin
        .ok(patch("one", &json!({ "featured_image": null })))
        .await;
    assert_eq!(without["featured_image_url"], Value::Null);
    origin.stop().await;
}

#[tokio::test]
async fn images_that_are_not_an_accounts_to_show_are_refused() {
    let origin = origin().await;
    origin.made(&json!({ "title": "one" })).await;
    let private = json!({ "prompt": "p", "visibility": "private", "task_id": "private" });
    let private = origin.pictured(&private).await;
    let public = origin
        .pictured(&json!({ "prompt": "p", "task_id": "public" }))
        .await;
    for (field, value) in [
        ("featured_image", private["id"].clone()),
        ("featured_image", private["images"][0]["id"].clone()),
        ("featured_image", json!("none")),
        ("task_id", json!("private")),
        ("task_id", json!("none")),
        ("featured_image_url", json!("https://example.com/a.png")),
        ("featured_image_url", private["images"][0]["url"].clone()),
    ] {
        let body = json!({ field: value });
        refused(origin.call(patch("one", &body)).await, field).await;
    }
    for (field, value) in [
        ("featured_image", &public["id"]),
        ("task_id", &json!("public")),
        ("featured_image_url", &public["images"][0]["url"]),
    ] {
        let body = json!({ "title": "x", field: value });
        refused(origin.call(post(&body).by("bob")).await, field).await;
    }
    let unchanged = origin.ok(get("one")).await;
    assert_eq!(unchanged["featured_image_url"], Value::Null);
    assert!(
        origin
            .listed(Call::get("/api/posts").by("bob"))
            .await
            .0
            .is_empty()
    );
    origin.stop().await;
}
