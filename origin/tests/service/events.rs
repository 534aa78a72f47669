//! `GET /api/jobs/{id}/events`

use axum::http::{Method, StatusCode};
use base64::Engine as _;
use futures_util::future::join_all;
use serde_json::json;

use crate::metrics::{number, scrape};
use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::sse::Event;
use crate::support::{Origin, until};

#[tokio::test]
async fn a_job_is_told_from_queued_to_succeeded() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let id = origin.submit(&json!({ "prompt": "p", "steps": 3 })).await;
    let mut stream = origin.events(&id).await;
    let mut events = vec![stream.next().await.expect("queued")];
    // One step at a time, so that none is skipped over.
    events.push(stream.until_step(0).await);
    for step in 1..=3 {
        gate.allow(1);
        if step < 3 {
            events.push(stream.until_step(step).await);
        }
    }
    events.extend(stream.rest().await);

    let first = &events[0];
    assert_eq!(first.name, "queued");
    assert_eq!(first.data["status"], "queued");
    let numbers: Vec<_> = events.iter().map(|event| event.id).collect();
    assert!(
        numbers.windows(2).all(|pair| pair[0] < pair[1]),
        "{numbers:?}"
    );
    let steps: Vec<_> = events
        .iter()
        .filter(|event| event.name == "progress")
        .map(|event| event.data["progress"]["step"].as_u64().expect("step"))
        .collect();
    assert!(steps.starts_with(&[0, 1, 2]), "{steps:?}");
    let last = events.last().expect("events");
    assert_eq!(last.name, "succeeded");
    assert_eq!(last.data["progress"], json!({ "step": 3, "steps": 3 }));
    let job = origin.job(&id).await;
    assert_eq!(last.data["images"], job["images"]);
    assert_eq!(last.data["finished_at"], job["finished_at"]);
    let begun: Vec<_> = events
        .iter()
        .filter(|event| event.name == "progress")
        .map(|event| &event.data["started_at"])
        .collect();
    assert!(job["started_at"].is_string());
    assert!(
        begun.iter().all(|at| **at == job["started_at"]),
        "{begun:?}"
    );
    origin.stop().await;
}

/// What the metrics say of those who watch.
async fn watching(origin: &Origin, series: &str) -> f64 {
    number(&scrape(origin.service.admin_router()).await, series)
}

#[tokio::test]
async fn those_who_watch_one_job_hear_all_of_it_and_share_the_reading() {
    const WATCHERS: usize = 40;
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let id = origin.submit(&json!({ "prompt": "p", "steps": 12 })).await;
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS {
        let mut events = origin.events(&id).await;
        events.until_step(0).await;
        watchers.push(events);
    }
    assert!((watching(&origin, "darkroom_watched_jobs").await - 1.0).abs() < 0.1);
    let watchers: Vec<_> = watchers
        .into_iter()
        .map(|events| tokio::spawn(events.rest()))
        .collect();
    let mut first = origin.events(&id).await;
    for step in 1..12 {
        gate.allow(1);
        first.until_step(step).await;
    }
    gate.open();
    let heard = join_all(watchers).await;
    let all = origin.events(&id).await.rest().await;
    let numbers: Vec<_> = all.iter().map(|event| event.id).collect();
    for events in heard {
        let events: Vec<_> = events
            .expect("heard")
            .iter()
            .map(|event| event.id)
            .collect();
        // The first two were heard before.
        assert_eq!(events, numbers[2..]);
    }
    let reads = watching(&origin, "darkroom_event_reads_total").await;
    let each_for_itself = WATCHERS * numbers.len();
    assert!(reads < (each_for_itself / 2) as f64, "{reads} reads");
    until(async || watching(&origin, "darkroom_watched_jobs").await < 0.1).await;
    origin.stop().await;
}

#[tokio::test]
async fn who_is_too_slow_to_hear_reads_what_it_missed() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let id = origin.submit(&json!({ "prompt": "p", "steps": 40 })).await;
    let mut slow = origin.events(&id).await;
    slow.until_step(0).await;
    let mut quick = origin.events(&id).await;
    for step in 1..40 {
        gate.allow(1);
        quick.until_step(step).await;
    }
    gate.open();
    let all = origin.events(&id).await.rest().await;
    let heard = slow.rest().await;
    let numbers = |events: &[Event]| events.iter().map(|event| event.id).collect::<Vec<_>>();
    assert_eq!(numbers(&heard), numbers(&all)[2..]);
    origin.stop().await;
}

#[tokio::test]
async fn when_the_last_who_watches_is_gone_nothing_is_left_and_others_may_come() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let id = origin.submit(&json!({ "prompt": "p", "steps": 3 })).await;
    for step in 0..3 {
        let mut events = origin.events(&id).await;
        events.until_step(step).await;
        drop(events);
        until(async || watching(&origin, "darkroom_watched_jobs").await < 0.1).await;
        gate.allow(1);
    }
    assert_eq!(origin.finished(&id).await["status"], "succeeded");
    origin.stop().await;
}

#[tokio::test]
async fn who_shares_a_job_no_more_is_told_no_more_of_it() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let id = origin.submit(&json!({ "prompt": "p", "steps": 3 })).await;
    let of_job = |end: &str| format!("/api/jobs/{id}{end}");
    let share = Call::new(Method::POST, &of_job("/readers")).json(&json!({}));
    let answer = origin.call(share.by("bob")).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let watch = Call::get(&of_job("/events")).by("bob");
    let mut stream = origin.call(watch).await.events();
    gate.allow(1);
    stream.until_step(1).await;
    let leave = Call::delete(&of_job("")).by("bob");
    assert_eq!(origin.call(leave).await.status, StatusCode::OK);
    gate.allow(1);
    let rest = stream.rest().await;
    assert!(rest.is_empty(), "{rest:?}");
    gate.open();
    assert_eq!(origin.finished(&id).await["status"], "succeeded");
    origin.stop().await;
}

#[tokio::test]
async fn last_event_id_resumes_behind_it() {
    let origin = Origin::with(StubEngine::default()).await;
    let id = origin.submit(&json!({ "prompt": "p" })).await;
    let all = origin.events(&id).await.rest().await;
    let resume = |after: u32| {
        Call::get(&format!("/api/jobs/{id}/events")).header("last-event-id", &after.to_string())
    };
    let rest = origin.call(resume(2)).await.events().rest().await;
    let numbers: Vec<_> = rest.iter().map(|event| event.id).collect();
    let expected: Vec<_> = all
        .iter()
        .map(|event| event.id)
        .filter(|id| *id > 2)
        .collect();
    assert_eq!(numbers, expected);

    let last = all.last().expect("events").id;
    // Nothing more will come: 204 keeps a browser from asking again.
    let nothing = origin.call(resume(last)).await;
    assert_eq!(nothing.status, StatusCode::NO_CONTENT);
    // A number that this job never came to is another database's.
    let story = origin.call(resume(last + 1)).await.events().rest().await;
    assert_eq!(story.len(), all.len());
    origin.stop().await;
}

#[tokio::test]
async fn another_accounts_events_are_not_there() {
    let origin = Origin::with(StubEngine::default()).await;
    let id = origin.submit(&json!({ "prompt": "p" })).await;
    let call = Call::get(&format!("/api/jobs/{id}/events")).by("bob");
    let answer = origin.call(call).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    answer.problem("not_found").await;
    origin.stop().await;
}

#[tokio::test]
async fn a_picture_of_one_step_has_a_preview_too() {
    let origin = Origin::with(StubEngine::default()).await;
    let body = json!({ "prompt": "p", "steps": 1, "previews": 1 });
    let id = origin.submit(&body).await;
    let events = origin.events(&id).await.rest().await;
    let seen = events
        .iter()
        .filter(|event| event.data["preview"].is_string());
    assert_eq!(seen.count(), 1);
    origin.stop().await;
}

#[tokio::test]
async fn previews_come_with_the_steps_and_come_again() {
    let origin = Origin::with(StubEngine::default()).await;
    // Larger than a preview may be.
    let body = json!({
        "prompt": "p", "steps": 8, "n": 2, "previews": 3, "format": "webp",
        "width": 1024, "height": 512,
    });
    let id = origin.submit(&body).await;
    let previews = async || -> Vec<(u64, image::RgbImage)> {
        let events = origin.events(&id).await.rest().await;
        let events = events.iter().filter_map(|event| {
            let url = event.data["preview"].as_str()?;
            let data = url.strip_prefix("data:image/webp;base64,").expect("WebP");
            let file = base64::engine::general_purpose::STANDARD.decode(data);
            let picture = image::load_from_memory(&file.expect("base64")).expect("a picture");
            Some((
                event.data["step"].as_u64().expect("step"),
                picture.into_rgb8(),
            ))
        });
        events.collect()
    };
    let first = previews().await;
    let steps: Vec<_> = first.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [2, 4, 6, 10, 12, 14]);
    for (step, picture) in &first {
        assert_eq!(picture.dimensions(), (256, 128));
        assert_eq!(u64::from(picture.get_pixel(9, 9).0[0]), (step - 1) % 8 + 1);
    }
    assert_eq!(previews().await, first);
    // It is not the picture's.
    assert!(!origin.job(&id).await.to_string().contains("previews"));
    origin.stop().await;
}

#[tokio::test]
async fn a_preview_that_cannot_be_made_costs_nothing() {
    let origin = Origin::with(StubEngine::default()).await;
    let id = origin
        .submit(&json!({ "prompt": "blind", "previews": 1 }))
        .await;
    let events = origin.events(&id).await.rest().await;
    assert!(events.iter().all(|event| event.data["preview"].is_null()));
    assert_eq!(origin.job(&id).await["status"], "succeeded");
    origin.stop().await;
}
