//! Processes end; jobs do not.

use serde_json::json;

use crate::support::engine::StubEngine;
use crate::support::{Origin, Setup, until};

#[tokio::test]
async fn a_job_that_a_dead_process_left_running_is_finished_by_the_next() {
    let folder = tempfile::tempdir().expect("folder");
    let (engine, gate) = StubEngine::gated();
    let setup = Setup {
        engine,
        ..Setup::default()
    };
    let dead = Origin::start_in(folder.path(), setup).await;
    let running = dead.submit(&json!({ "prompt": "a fox", "seed": 1 })).await;
    let queued = dead.submit(&json!({ "prompt": "an owl", "seed": 2 })).await;
    gate.allow(2);
    dead.events(&running).await.until_step(2).await;
    // No drain: the database says `running`, as after a power failure.
    drop(dead);

    let next = Origin::start_in(folder.path(), Setup::default()).await;
    let job = next.finished(&running).await;
    assert_eq!(job["status"], "succeeded");
    assert_eq!(job["images"].as_array().map(Vec::len), Some(1));
    assert_eq!(next.finished(&queued).await["status"], "succeeded");
    let names: Vec<_> = next.events(&running).await.rest().await;
    let queued_events = names.iter().filter(|event| event.name == "queued").count();
    assert_eq!(queued_events, 2);
    gate.open();
    next.stop().await;
}

#[tokio::test]
async fn what_nobody_waits_for_is_swept_out_of_the_spool() {
    let folder = tempfile::tempdir().expect("folder");
    let spool = folder.path().join("spool");
    std::fs::create_dir(&spool).expect("folder");
    for name in ["01234567-89ab-cdef-0123-456789abcdef", ".x.part"] {
        std::fs::write(spool.join(name), b"left").expect("written");
    }
    let origin = Origin::start_in(folder.path(), Setup::default()).await;
    assert_eq!(std::fs::read_dir(&spool).expect("spool").count(), 0);
    origin.stop().await;
}

#[tokio::test]
async fn a_job_that_takes_the_process_down_each_time_is_given_up() {
    is_given_up("at its first step", 1, 1).await;
}

/// Its last step says nothing of a picture: that may be what takes the process down.
#[tokio::test]
async fn a_job_that_takes_the_process_down_after_its_steps_is_given_up() {
    is_given_up("decoded at the gate", 4, 3).await;
}

async fn is_given_up(prompt: &str, steps: u32, told: u32) {
    let folder = tempfile::tempdir().expect("folder");
    let mut gates = Vec::new();
    let mut id = String::new();
    for round in 0..3 {
        let (engine, gate) = StubEngine::gated();
        let setup = Setup {
            engine,
            ..Setup::default()
        };
        let origin = Origin::start_in(folder.path(), setup).await;
        if round == 0 {
            id = origin.submit(&json!({ "prompt": prompt })).await;
        }
        gate.allow(steps);
        // Not by its events: those of the rounds before are there, too.
        until(async || gate.done() == steps).await;
        until(async || origin.job(&id).await["progress"]["step"] == told).await;
        gates.push(gate);
    }
    let last = Origin::start_in(folder.path(), Setup::default()).await;
    let job = last.finished(&id).await;
    assert_eq!(job["status"], "failed");
    assert_eq!(job["error"]["code"], "generation_failed");
    for gate in gates {
        gate.open();
    }
    last.stop().await;
}
