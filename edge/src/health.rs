//! `/healthz`: this Worker runs. `/readyz`: the origin behind it is ready too.

use std::time::Duration;

use darkroom_shared::problem::{self, Code, Problem};
use serde_json::{Value, json};
use worker::{RequestInit, ResponseBuilder};

use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::origin::{self, Patience};
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
    let url = format!("{}/readyz", settings::origin_url(&call.env)?);
    let patience = Patience::Whole(LIMIT);
    let origin = match origin::send(&url, RequestInit::new(), patience, &call.request_id).await {
        Ok(response) if response.status_code() == 200 => "ready",
        Ok(_) => "not ready",
        Err(Failure::Problem(_)) => "unreachable",
        Err(defect) => return Err(defect),
    };
    if origin == "ready" {
        let body = json!({ "status": "ready", "edge": "ready", "origin": origin });
        return respond::json(200, &body);
    }
    not_ready(call, origin)
}

/// The usual problem, with a member for each side.
fn not_ready(call: &Call, origin: &str) -> Answer {
    let mut problem = Problem::new(
        Code::Unavailable,
        format!("the edge is ready; the origin is {origin}"),
    );
    problem.request_id = Some(call.request_id.clone());
    let retry_after = problem.retry_after().unwrap_or_default();
    let mut body: Value = serde_json::from_str(&problem.to_json()).unwrap_or_default();
    if let Some(members) = body.as_object_mut() {
        members.insert("edge".to_owned(), "ready".into());
        members.insert("origin".to_owned(), origin.into());
    }
    Ok(ResponseBuilder::new()
        .with_status(problem.status)
        .with_header("content-type", problem::CONTENT_TYPE)?
        .with_header("cache-control", "no-store")?
        .with_header("retry-after", &retry_after.to_string())?
        .fixed(body.to_string().into_bytes()))
}
