//! Equal requests: one job for all who want it now, and none for who comes later.

use axum::http::StatusCode;
use darkroom_origin::database::{Acceptance, GivenUp, NewJob};
use darkroom_shared::job::Status;
use darkroom_shared::priority::Priority;
use darkroom_shared::request::Visibility;
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::leases::{Shared, claim, job};
use crate::support::call::{Answer, Call};
use crate::support::engine::StubEngine;
use crate::support::receiver::Receiver;
use crate::support::{Origin, Setup, until};

/// The same pictures, asked for by another.
fn equal(to: &NewJob, account: &str) -> NewJob {
    let mut other = NewJob {
        id: Uuid::new_v4(),
        account: account.into(),
        ..to.clone()
    };
    for image in &mut other.images {
        image.id = Uuid::new_v4();
        image.key = image.id.to_string();
    }
    other
}

/// The job that one came to.
fn came_to(acceptance: &Acceptance, own: &NewJob) -> String {
    match acceptance {
        Acceptance::Accepted => own.id.to_string(),
        Acceptance::Joined(joined) => joined.job.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn equal_jobs_of_one_moment_at_two_origins_are_one() {
    let shared = Shared::open().await;
    for visibility in [Visibility::Public, Visibility::Private] {
        for _ in 0..10 {
            let first = NewJob {
                visibility,
                ..job(2)
            };
            let accounts = match visibility {
                Visibility::Public => ["alice", "bob", "carol", "bob"],
                Visibility::Private => ["alice"; 4],
            };
            let all = accounts.map(|account| equal(&first, account));
            let accepted = all.iter().enumerate().map(async |(n, job)| {
                let database = [&shared.a, &shared.b][n % 2];
                database.accept(job, 100).await.expect("accepted")
            });
            let accepted = join_all(accepted).await;
            let begun = accepted.iter().filter(|one| **one == Acceptance::Accepted);
            assert_eq!(begun.count(), 1, "{accepted:?}");
            let id = came_to(&accepted[0], &all[0]);
            for (acceptance, own) in accepted.iter().zip(&all) {
                assert_eq!(came_to(acceptance, own), id);
                let status = shared.a.status(&own.account, &id).await.expect("read");
                assert_eq!(status, Some(Status::Queued), "{}", own.account);
            }
        }
    }
    shared.close().await;
}

#[tokio::test]
async fn only_what_makes_the_same_for_the_same_people_is_joined() {
    let shared = Shared::open().await;
    let first = job(2);
    shared.a.accept(&first, 100).await.expect("accepted");
    let base = equal(&first, "alice");
    let others = [
        NewJob {
            images: equal(&first, "").images[..1].to_vec(),
            ..base.clone()
        },
        NewJob {
            visibility: Visibility::Private,
            ..equal(&first, "alice")
        },
        NewJob {
            previews: 1,
            ..equal(&first, "alice")
        },
        // Of the private one above.
        NewJob {
            visibility: Visibility::Private,
            ..equal(&first, "bob")
        },
    ];
    for mut other in others {
        other.id = Uuid::new_v4();
        let accepted = shared.a.accept(&other, 100).await.expect("accepted");
        assert_eq!(accepted, Acceptance::Accepted, "{other:?}");
    }
    let accepted = shared.a.accept(&base, 100).await.expect("accepted");
    assert_eq!(came_to(&accepted, &base), first.id.to_string());
    shared.close().await;
}

#[tokio::test]
async fn a_full_queue_has_room_for_who_joins() {
    let shared = Shared::open().await;
    let first = job(1);
    shared.a.accept(&first, 1).await.expect("accepted");
    let full = shared.a.accept(&job(1), 1).await.expect("asked");
    assert_eq!(full, Acceptance::QueueFull);
    let joining = equal(&first, "bob");
    let accepted = shared.a.accept(&joining, 1).await.expect("accepted");
    assert_eq!(came_to(&accepted, &joining), first.id.to_string());
    shared.close().await;
}

#[tokio::test]
async fn a_joined_job_has_until_the_last_of_its_deadlines() {
    let shared = Shared::open().await;
    for (deadlines, last) in [
        ([Some(10), Some(20)], Some(20)),
        ([Some(20), Some(10)], Some(20)),
        ([None, Some(10)], None),
        ([Some(10), None], None),
    ] {
        let first = NewJob {
            deadline: deadlines[0],
            ..job(1)
        };
        let second = NewJob {
            deadline: deadlines[1],
            ..equal(&first, "bob")
        };
        for job in [&first, &second] {
            shared.a.accept(job, 100).await.expect("accepted");
        }
        let overdue = async |now| shared.b.end_overdue(now).await.expect("looked");
        assert!(overdue(last.map_or(1000, |last| last - 1)).await.is_empty());
        if let Some(last) = last {
            assert_eq!(overdue(last).await, [first.id.to_string()]);
        }
    }
    shared.close().await;
}

/// Five jobs of alice's, one after the other; the last of them.
async fn burst(shared: &Shared) -> NewJob {
    for _ in 0..4 {
        shared.a.accept(&job(1), 100).await.expect("accepted");
    }
    let last = job(1);
    shared.a.accept(&last, 100).await.expect("accepted");
    last
}

/// The owners of the jobs that are taken up next.
async fn order(shared: &Shared, jobs: &[(&str, &NewJob)]) -> Vec<String> {
    let mut order = Vec::new();
    while let Some(claimed) = claim(&shared.a, "m", 1).await {
        let known = jobs
            .iter()
            .find(|(_, job)| job.id.to_string() == claimed.lease.job);
        order.push(known.map_or("other", |(name, _)| name).to_owned());
    }
    order
}

#[tokio::test]
async fn who_joins_waits_no_longer_than_alone_and_pays_for_that() {
    let shared = Shared::open().await;
    // At the end of a burst of alice's, and wanted by bob, who has nothing else.
    let last = burst(&shared).await;
    let joining = equal(&last, "bob");
    shared.a.accept(&joining, 100).await.expect("joined");
    let of = |account: &str| NewJob {
        account: account.into(),
        ..job(1)
    };
    let (bobs, carols) = (of("bob"), of("carol"));
    for job in [&bobs, &carols] {
        shared.a.accept(job, 100).await.expect("accepted");
    }
    let jobs = [("joined", &last), ("bob", &bobs), ("carol", &carols)];
    let order = order(&shared, &jobs).await;
    let expected = ["other", "joined", "carol", "other", "bob", "other", "other"];
    assert_eq!(order, expected);
    shared.close().await;
}

#[tokio::test]
async fn a_caller_of_higher_priority_takes_its_own_job_along() {
    let shared = Shared::open().await;
    let last = burst(&shared).await;
    let again = NewJob {
        priority: Priority::High,
        ..equal(&last, "alice")
    };
    shared.a.accept(&again, 100).await.expect("joined");
    let order = order(&shared, &[("joined", &last)]).await;
    assert_eq!(order, ["other", "joined", "other", "other", "other"]);
    shared.close().await;
}

#[tokio::test]
async fn what_ends_before_it_is_taken_up_costs_who_joined_it_no_turn() {
    let shared = Shared::open().await;
    let deadline = Some(10);
    for _ in 0..3 {
        let burst = NewJob { deadline, ..job(1) };
        let joining = equal(&burst, "bob");
        let joining = NewJob {
            deadline,
            ..joining
        };
        for job in [&burst, &joining] {
            shared.a.accept(job, 100).await.expect("accepted");
        }
    }
    assert_eq!(shared.a.end_overdue(10).await.expect("looked").len(), 3);
    let turn = shared.a.next_turn("bob", Priority::Normal).await;
    assert_eq!(turn.expect("read"), 0);
    shared.close().await;
}

#[tokio::test]
async fn who_is_left_with_anothers_job_does_not_pay_for_the_others_burst() {
    let shared = Shared::open().await;
    let last = burst(&shared).await;
    let joining = equal(&last, "bob");
    shared.a.accept(&joining, 100).await.expect("joined");
    let given_up = shared.a.give_up(&last.id.to_string(), "alice", 1).await;
    assert_eq!(given_up.expect("given up"), GivenUp::ByOne);
    let bobs = NewJob {
        account: "bob".into(),
        ..job(1)
    };
    shared.a.accept(&bobs, 100).await.expect("accepted");
    let order = order(&shared, &[("left", &last), ("bob", &bobs)]).await;
    assert_eq!(order, ["other", "left", "other", "bob", "other", "other"]);
    shared.close().await;
}

/// A recipe that nobody has asked for.
fn fresh() -> Value {
    json!({ "prompt": "p", "seed": Uuid::new_v4().as_u128() as u32 })
}

fn async_call(body: &Value, account: &str) -> Call {
    let call = Call::generate(body).by(account);
    call.header("prefer", "respond-async")
}

async fn id_of(answer: Answer) -> String {
    let body = answer.json().await;
    body["job"]["id"].as_str().expect("id").to_owned()
}

#[tokio::test]
async fn two_accounts_share_what_is_being_made_each_under_its_own_label() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let mut body = fresh();
    body["task_id"] = "alices".into();
    let id = origin.submit(&body).await;
    body["task_id"] = "bobs".into();
    let own = Uuid::new_v4();
    let mut call = async_call(&body, "bob");
    call.query = format!("job={own}");
    // Sent twice, it comes to the same.
    for _ in 0..2 {
        let answer = origin.call(call.clone()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        assert_eq!(answer.header("darkroom-joined"), "1");
        assert_eq!(answer.header("location"), format!("/api/jobs/{id}"));
        let answer = answer.json().await;
        assert_eq!(answer["job"]["id"], id);
        assert_eq!(answer["job"]["task_id"], "bobs");
    }
    // So the edge asks after what it handed in, and so others join it there.
    let asked = Call::get(&format!("/api/jobs/{own}"));
    let found = origin.call(asked.clone().by("bob")).await.json().await;
    assert_eq!(
        (&found["id"], &found["task_id"]),
        (&json!(id), &json!("bobs"))
    );
    let readers = Call::new(
        axum::http::Method::POST,
        &format!("/api/jobs/{own}/readers"),
    );
    let label = json!({ "task_id": "carols" });
    let answer = origin.call(readers.json(&label).by("carol")).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let found = origin.call(asked.by("carol")).await.json().await;
    assert_eq!(found["task_id"], "carols");

    gate.open();
    let made = origin.call(Call::generate(&body).by("bob")).await;
    assert_eq!(made.status, StatusCode::OK);
    assert_eq!(id_of(made).await, id);
    assert_eq!(gate.done(), 4);
    assert_eq!(origin.job(&id).await["task_id"], "alices");
    origin.stop().await;
}

#[tokio::test]
async fn what_was_made_is_answered_until_it_is_deleted() {
    let (engine, gate) = StubEngine::gated();
    gate.open();
    let origin = Origin::with(engine).await;
    let body = fresh();
    let made = origin.call(Call::generate(&body)).await.json().await;
    assert_eq!(made["cached"], false);
    for account in ["alice", "bob"] {
        let answer = origin.call(Call::generate(&body).by(account)).await;
        assert_eq!(answer.header("darkroom-joined"), "1");
        let again = answer.json().await;
        assert_eq!(again["cached"], true);
        assert_eq!(again["images"], made["images"]);
    }
    assert_eq!(gate.done(), 4);
    let image = made["images"][0]["id"].as_str().expect("id");
    let deleted = origin
        .call(Call::delete(&format!("/api/images/{image}")))
        .await;
    assert_eq!(deleted.status, StatusCode::OK);
    let anew = origin.call(Call::generate(&body).by("bob")).await;
    assert_eq!(anew.header("darkroom-joined"), "");
    let anew = anew.json().await;
    assert_eq!(anew["cached"], false);
    assert_ne!(anew["job"]["id"], made["job"]["id"]);
    assert_eq!(gate.done(), 8);
    origin.stop().await;
}

#[tokio::test]
async fn a_private_picture_is_shared_by_its_account_alone() {
    let origin = Origin::start(Setup::default()).await;
    let mut body = fresh();
    body["visibility"] = "private".into();
    let mut ids = Vec::new();
    for account in ["alice", "bob", "alice"] {
        let answer = origin.call(Call::generate(&body).by(account)).await;
        ids.push(id_of(answer).await);
    }
    assert_eq!(ids[0], ids[2]);
    assert_ne!(ids[0], ids[1]);
    origin.stop().await;
}

#[tokio::test]
async fn what_failed_is_tried_anew() {
    let origin = Origin::start(Setup::default()).await;
    let mut body = fresh();
    body["prompt"] = "invalid".into();
    let first = origin.submit(&body).await;
    assert_eq!(origin.finished(&first).await["status"], "failed");
    let second = origin.submit(&body).await;
    assert_ne!(first, second);
    assert_eq!(origin.finished(&second).await["status"], "failed");
    origin.stop().await;
}

#[tokio::test]
async fn one_caller_who_gives_up_ends_nothing_for_the_other() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let body = fresh();
    let id = origin.submit(&body).await;
    assert_eq!(id_of(origin.call(async_call(&body, "bob")).await).await, id);
    let path = format!("/api/jobs/{id}");
    origin.call(Call::delete(&path)).await;
    gate.open();
    let answer = origin.call(Call::generate(&body).by("bob")).await;
    assert_eq!(answer.json().await["job"]["id"], id);
    let gone = origin.call(Call::get(&path)).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    origin.stop().await;
}

#[tokio::test]
async fn who_joins_with_a_deadline_hears_by_then_how_the_job_stands() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let body = fresh();
    let id = origin.submit(&body).await;
    let hurried = Call::generate(&body)
        .by("bob")
        .header("darkroom-deadline", "1");
    let answer = origin.call(hurried).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(id_of(answer).await, id);
    gate.open();
    assert_eq!(origin.finished(&id).await["status"], "succeeded");
    origin.stop().await;
}

#[tokio::test]
async fn who_joins_is_told_of_the_end_where_it_says_once_an_account() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::with(engine).await;
    let (alice, bob) = (Receiver::start().await, Receiver::start().await);
    let mut body = fresh();
    let id = origin.submit(&body).await;
    let told = async |account: &str, receiver: &Receiver, body: &mut Value| {
        body["webhook_url"] = receiver.url().into();
        body["task_id"] = account.into();
        id_of(origin.call(async_call(body, account)).await).await
    };
    assert_eq!(told("bob", &bob, &mut body).await, id);
    // Alice's has her own label already, and bob's an address: each has another job made.
    let alices = told("alice", &alice, &mut body).await;
    let bobs = told("bob", &bob, &mut body).await;
    assert_ne!(alices, id);
    assert_ne!(bobs, id);
    gate.open();
    let jobs = bob.times(2).await;
    let mut jobs: Vec<Value> = jobs
        .iter()
        .map(|asked| asked.json()["data"].clone())
        .collect();
    jobs.sort_by_key(|job| job["id"] != id);
    assert_eq!((&jobs[0]["id"], &jobs[1]["id"]), (&json!(id), &json!(bobs)));
    assert!(jobs.iter().all(|job| job["task_id"] == "bob"));
    assert_eq!(alice.times(1).await[0].json()["data"]["id"], alices);
    until(async || origin.job(&alices).await["status"] == "succeeded").await;
    origin.stop().await;
}
