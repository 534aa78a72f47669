//! In which order jobs are taken up, right at the database; and what callers see of it.

use axum::http::StatusCode;
use darkroom_origin::database::{Acceptance, Claim, Database, NewJob, Place};
use darkroom_shared::priority::Priority;
use serde_json::json;

use crate::leases::{Shared, claim, job};
use crate::support::call::Call;
use crate::support::engine::StubEngine;
use crate::support::{Origin, Setup};

fn of(account: &str, priority: Priority) -> NewJob {
    NewJob {
        account: account.into(),
        priority,
        ..job(1)
    }
}

async fn accept(database: &Database, account: &str, priority: Priority) -> String {
    let job = of(account, priority);
    let accepted = database.accept(&job, 10_000).await.expect("accepted");
    assert_eq!(accepted, Acceptance::Accepted);
    job.id.to_string()
}

async fn owner(database: &Database, id: &str) -> String {
    for account in ["alice", "bob", "carol"] {
        let status = database.status(account, id).await.expect("read");
        if status.is_some() {
            return account.to_owned();
        }
    }
    panic!("nobody's")
}

/// Whose jobs are taken up next.
async fn order(database: &Database, jobs: usize) -> Vec<String> {
    let mut owners = Vec::new();
    for _ in 0..jobs {
        let job = claim(database, "m", 1).await.expect("a job").lease.job;
        owners.push(owner(database, &job).await);
    }
    owners
}

#[tokio::test]
async fn a_burst_of_one_account_keeps_no_other_waiting() {
    let shared = Shared::open().await;
    for _ in 0..20 {
        accept(&shared.a, "alice", Priority::Normal).await;
    }
    assert_eq!(order(&shared.a, 2).await, ["alice", "alice"]);
    for account in ["bob", "carol", "bob", "carol"] {
        accept(&shared.b, account, Priority::Normal).await;
    }
    let next = order(&shared.b, 6).await;
    for account in ["bob", "carol"] {
        let theirs = next.iter().filter(|owner| *owner == account).count();
        assert_eq!(theirs, 2, "{next:?}");
    }
    shared.close().await;
}

#[tokio::test]
async fn who_had_the_machine_alone_does_not_pay_for_it_later() {
    let shared = Shared::open().await;
    for _ in 0..10 {
        accept(&shared.a, "alice", Priority::Normal).await;
    }
    order(&shared.a, 10).await;
    for _ in 0..4 {
        accept(&shared.a, "bob", Priority::Normal).await;
        accept(&shared.a, "alice", Priority::Normal).await;
    }
    let next = order(&shared.a, 4).await;
    let alices = next.iter().filter(|owner| *owner == "alice").count();
    assert!((1..=2).contains(&alices), "{next:?}");
    shared.close().await;
}

#[tokio::test]
async fn what_was_canceled_while_it_waited_costs_no_turn() {
    let shared = Shared::open().await;
    for _ in 0..10 {
        let id = accept(&shared.a, "alice", Priority::Normal).await;
        shared.a.give_up(&id, "alice", 1).await.expect("canceled");
    }
    for _ in 0..2 {
        accept(&shared.a, "bob", Priority::Normal).await;
    }
    accept(&shared.a, "alice", Priority::Normal).await;
    assert_eq!(order(&shared.a, 3).await, ["bob", "alice", "bob"]);
    shared.close().await;
}

#[tokio::test]
async fn a_priority_is_a_weight_and_nothing_waits_for_ever() {
    let shared = Shared::open().await;
    for _ in 0..40 {
        accept(&shared.a, "alice", Priority::High).await;
        accept(&shared.a, "bob", Priority::Normal).await;
        accept(&shared.a, "carol", Priority::Low).await;
    }
    let next = order(&shared.a, 42).await;
    let count = |account: &str| next.iter().filter(|owner| *owner == account).count();
    let counts = ["alice", "bob", "carol"].map(count);
    assert_eq!(counts, [32, 8, 2]);
    shared.close().await;
}

#[tokio::test]
async fn an_account_has_as_many_jobs_at_work_as_it_may_and_others_pass_it() {
    let shared = Shared::open().await;
    for _ in 0..300 {
        accept(&shared.a, "alice", Priority::Normal).await;
    }
    let limited = async |database: &Database| {
        let claimed = database.claim("m", 2, 1).await.expect("asked");
        claimed.map(|claimed| match claimed {
            Claim::Job(job) => job.lease,
            other => panic!("{other:?}"),
        })
    };
    let first = limited(&shared.a).await.expect("a job");
    assert!(limited(&shared.b).await.is_some());
    assert_eq!(limited(&shared.a).await, None);
    // Far behind what must wait, by its turn.
    one_of_bobs_comes_late(&shared).await;
    let passed = limited(&shared.a).await.expect("a job");
    assert_eq!(owner(&shared.a, &passed.job).await, "bob");
    assert!(limited(&shared.b).await.is_some());
    assert_eq!(limited(&shared.a).await, None, "bob has a third one");
    shared
        .a
        .give_up(&passed.job, "bob", 2)
        .await
        .expect("canceled");
    let passed = limited(&shared.a).await.expect("a job");
    assert_eq!(owner(&shared.a, &passed.job).await, "bob");
    shared
        .a
        .give_up(&first.job, "alice", 2)
        .await
        .expect("canceled");
    let next = limited(&shared.b).await.expect("a job");
    assert_eq!(owner(&shared.a, &next.job).await, "alice");
    shared.close().await;
}

/// Has bob hand in three jobs, the last of which have their turn after all of alice's.
async fn one_of_bobs_comes_late(shared: &Shared) {
    let mut later = of("bob", Priority::Low);
    later.recipe.steps = 150;
    for _ in 0..3 {
        shared.a.accept(&later, 10_000).await.expect("accepted");
        later.id = uuid::Uuid::new_v4();
        for image in &mut later.images {
            image.id = uuid::Uuid::new_v4();
            image.key = image.id.to_string();
            image.recipe_sha256 = image.id.to_string();
        }
    }
}

#[tokio::test]
async fn a_place_in_a_long_line_is_the_number_of_those_before_it() {
    let shared = Shared::open().await;
    for _ in 0..30 {
        accept(&shared.a, "alice", Priority::Normal).await;
    }
    let line = shared.a.line().await.expect("read");
    let turn = shared.a.next_turn("alice", Priority::Normal).await;
    for place in [
        Place::LAST,
        Place::behind(turn.expect("read")),
        Place::behind(0),
        Place::behind(-1),
    ] {
        let counted = shared.a.waiting_before(place).await.expect("read");
        assert_eq!(Some(line.before(place)), counted);
    }
    assert_eq!((line.len(), line.before(Place::LAST).jobs), (30, 30));
    for _ in 0..1000 {
        accept(&shared.a, "alice", Priority::Normal).await;
    }
    let counted = shared.a.waiting_before(Place::LAST).await.expect("read");
    assert_eq!(counted, None, "more than is worth counting");
    let line = shared.a.line().await.expect("read");
    assert_eq!(line.before(Place::LAST).jobs, 1030);
    shared.close().await;
}

#[tokio::test]
async fn an_account_that_crowds_a_long_queue_is_known() {
    let shared = Shared::open().await;
    for account in ["alice", "bob", "alice", "carol", "alice", "carol"] {
        accept(&shared.a, account, Priority::Normal).await;
    }
    let crowding = async |jobs| {
        let found = shared.a.crowding(jobs).await.expect("read");
        let mut found: Vec<String> = found.into_iter().collect();
        found.sort();
        found
    };
    assert_eq!(crowding(2).await, ["alice", "carol"]);
    assert_eq!(crowding(3).await, ["alice"]);
    claim(&shared.a, "m", 1).await.expect("a job");
    assert!(crowding(3).await.is_empty());
    shared.close().await;
}

#[tokio::test]
async fn a_burst_of_one_account_leaves_room_for_others() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::start(Setup {
        engine,
        queue_limit: 4,
        account_queue_share: 50,
        ..Setup::default()
    })
    .await;
    let call = |account: &str| {
        let call = Call::generate(&json!({ "prompt": "p" })).by(account);
        call.header("prefer", "respond-async")
    };
    let running = origin.submit(&json!({ "prompt": "p" })).await;
    gate.allow(1);
    origin.events(&running).await.until_step(1).await;
    for account in ["alice", "alice"] {
        let answer = origin.call(call(account)).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
    }
    let refused = origin.call(call("alice")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(
        refused
            .header("retry-after")
            .parse::<u32>()
            .expect("seconds")
            >= 1
    );
    refused.problem("account_queue_full").await;
    for account in ["bob", "carol"] {
        let answer = origin.call(call(account)).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{account}");
    }
    let refused = origin.call(call("dave")).await;
    refused.problem("queue_full").await;
    gate.open();
    origin.stop().await;
}

#[tokio::test]
async fn the_edge_says_a_jobs_priority_in_the_signed_query() {
    let (engine, gate) = StubEngine::gated();
    let origin = Origin::start(Setup {
        engine,
        account_concurrency: 1,
        ..Setup::default()
    })
    .await;
    let with = |query: &str| {
        let mut call = Call::generate(&json!({ "prompt": "p" })).header("prefer", "respond-async");
        query.clone_into(&mut call.query);
        call
    };
    let running = origin.submit(&json!({ "prompt": "p" })).await;
    gate.allow(1);
    origin.events(&running).await.until_step(1).await;
    let mut ids = Vec::new();
    for query in [
        "priority=low",
        "priority=low",
        "priority=high",
        "priority=high",
    ] {
        let job = origin.call(with(query)).await.json().await;
        ids.push(job["job"]["id"].as_str().expect("id").to_owned());
    }
    let mut places = Vec::new();
    for id in &ids {
        places.push(origin.job(id).await["queue_position"].as_u64());
    }
    // The first of each kind stand side by side; then the high ones have shorter turns.
    assert_eq!(places, [Some(1), Some(4), Some(2), Some(3)]);

    let answer = origin.call(with("priority=urgent")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = answer.problem("invalid_request").await;
    assert_eq!(problem["errors"][0]["field"], "priority");
    gate.open();
    for id in &ids {
        assert_eq!(origin.finished(id).await["status"], "succeeded");
    }
    origin.stop().await;
}
