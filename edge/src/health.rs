//! `/healthz`: this Worker runs. `/readyz`: the origin behind it is ready too.

use std::time::Duration;

use darkroom_shared::problem::{self, Code, Problem};
use serde_json::{Value, json};
use worker::{RequestInit, ResponseBuilder};

use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::sending::Sending;
use crate::{respond, settings};

/// A probe that waits longer than this is of no use to who probes.
const LIMIT: Duration = Duration::from_secs(5);

/// Says that the edge runs.
pub fn healthz() -> Answer {
    let version = env!("CARGO_PKG_VERSION");
    respond::json(200, &json!({ "status": "ok", "version": version }))
}

/// Asks the origin whether it is ready, and tells the two apart.
pub async fn readyz(call: &Call) -> Answer {
    let key = settings::admin_key_digest(&call.env);
    let (Ok(_), Ok(settings)) = (key, settings::origin(&call.env)) else {
        return not_ready(call, "not configured", "not asked");
    };
    let probe = Sending {
        url: format!("{}/readyz", settings.url),
        init: RequestInit::new(),
        limit: LIMIT,
        request_id: &call.request_id,
    };
    match probe.whole().await {
        Ok(answer) if answer.status == 200 => {
            let body = json!({ "status": "ready", "edge": "ready", "origin": "ready" });
            respond::json(200, &body)
        }
        Ok(_) => not_ready(call, "ready", "not ready"),
        Err(Failure::Problem(_)) => not_ready(call, "ready", "unreachable"),
        Err(defect) => Err(defect),
    }
}

/// The usual problem, with a member for each side.
fn not_ready(call: &Call, edge: &str, origin: &str) -> Answer {
    let mut problem = Problem::new(
        Code::Unavailable,
        format!("the edge is {edge}; the origin is {origin}"),
    );
    problem.request_id = Some(call.request_id.clone());
    let retry_after = problem.retry_after_seconds().unwrap_or_default();
    let mut body: Value = serde_json::from_str(&problem.to_json()).unwrap_or_default();
    if let Some(members) = body.as_object_mut() {
        members.insert("edge".to_owned(), edge.into());
        members.insert("origin".to_owned(), origin.into());
    }
    Ok(ResponseBuilder::new()
        .with_status(problem.status)
        .with_header("content-type", problem::CONTENT_TYPE)?
        .with_header("cache-control", "no-store")?
        .with_header("retry-after", &retry_after.to_string())?
        .fixed(body.to_string().into_bytes()))
}
