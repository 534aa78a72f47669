//! What accounts have to do with another's job that they joined.

use serde_json::json;
use worker::Env;

use super::message::Boarding;
use crate::auth::Caller;
use crate::failure::Failure;
use crate::origin::{self, Ask};
use crate::routes::not_found;
use crate::sending::unreachable_origin;
use crate::{log, settings};

/// Makes the account that boards a reader of the job, under its own label.
///
/// # Errors
/// Not found for a job that the origin does not know, or not yet.
pub(super) async fn add_reader(env: &Env, job: &str, boarding: &Boarding) -> Result<(), Failure> {
    let body = json!({ "task_id": boarding.task_id }).to_string();
    let origin = settings::origin(env)?;
    let caller = boarding.caller(boarding.account.clone());
    let ask = Ask {
        method: "POST",
        path: &format!("/api/jobs/{job}/readers"),
        // A job that is awaited by somebody urgent is urgent.
        query: &caller.query_with_priority(String::new()),
        caller: &caller,
        request_id: &boarding.request_id,
        headers: vec![("content-type", "application/json".to_owned())],
        body: body.as_bytes(),
        limit: origin.timeout,
        may_repeat: true,
        trace: boarding.trace(),
        observed: None,
    };
    match origin::ask(&origin, ask).await?.status {
        204 => Ok(()),
        404 => Err(not_found()),
        status => {
            log::error(
                &boarding.request_id,
                format_args!("a job cannot be shared: {status}"),
            );
            Err(unreachable_origin())
        }
    }
}

/// Whether the job is one that the account which boards may still see. Where that cannot be told,
/// it is none.
pub(super) async fn is_readable(env: &Env, job: &str, boarding: &Boarding) -> bool {
    let Ok(origin) = settings::origin(env) else {
        return false;
    };
    let ask = Ask {
        method: "GET",
        path: &format!("/api/jobs/{job}"),
        query: "",
        caller: &Caller::account(boarding.account.clone()),
        request_id: &boarding.request_id,
        headers: Vec::new(),
        body: &[],
        limit: origin.timeout,
        may_repeat: true,
        trace: boarding.trace(),
        observed: None,
    };
    // What went wrong is in the log by then.
    let answer = origin::ask(&origin, ask).await;
    answer.is_ok_and(|answer| answer.status == 200)
}
