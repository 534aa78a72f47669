//! `/healthz`: this Worker runs. `/readyz`: an origin behind it is ready too.

use std::time::Duration;

use darkroom_shared::problem::{self, Code, Problem};
use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};
use wasm_bindgen::JsValue;

use crate::border::{Lines, Outgoing};
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::reply::Reply;
use crate::sending::Sending;
use crate::{allowance, auth, json, respond, settings};

/// A probe that waits longer than this is of no use to who probes.
const LIMIT: Duration = Duration::from_secs(5);

/// Says that the edge runs.
pub fn healthz() -> Reply {
    let version = env!("CARGO_PKG_VERSION");
    respond::json(200, &json!({ "status": "ok", "version": version }))
}

/// What an origin says of itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Unreachable,
    NotReady,
    Ready,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady => "not ready",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Asks all origins whether they are ready, and tells them and the edge apart. One that is ready
/// is enough. Where there are several each is told, in the order of the setting, and none by its
/// address.
pub async fn readyz(call: &Call) -> Answer {
    allowance::check_burst(call, &auth::from(call)).await?;
    let Ok(origin) = settings::admin_key_digest(&call.env)
        .and_then(|_| settings::allowed_origins(&call.env))
        .and_then(|_| settings::origin(&call.env))
    else {
        return Ok(answer(call, "not configured", "not asked", &[]));
    };
    let probes = origin.urls.iter().map(|url| probe(call, url));
    let states = try_join_all(probes).await?;
    let best = states
        .iter()
        .max()
        .map_or("not asked", |state| state.as_str());
    Ok(answer(call, "ready", best, &states))
}

async fn probe(call: &Call, url: &str) -> Result<State, Failure> {
    let probe = Sending {
        url: format!("{url}/readyz"),
        request: Outgoing {
            method: "GET",
            headers: Lines::default(),
            body: JsValue::UNDEFINED,
            limit: LIMIT,
        },
        request_id: &call.request_id,
    };
    match probe.whole().await {
        Ok(answer) if answer.status == 200 => Ok(State::Ready),
        Ok(_) => Ok(State::NotReady),
        Err(Failure::Problem(_)) => Ok(State::Unreachable),
        Err(defect) => Err(defect),
    }
}

/// A member for each side, in a problem document where one is not ready.
fn answer(call: &Call, edge: &str, origin: &str, states: &[State]) -> Reply {
    let mut members = Map::new();
    members.insert("edge".to_owned(), edge.into());
    members.insert("origin".to_owned(), origin.into());
    if states.len() > 1 {
        let states: Vec<_> = states.iter().map(|state| state.as_str()).collect();
        members.insert("origins".to_owned(), states.into());
    }
    if edge == "ready" && origin == "ready" {
        members.insert("status".to_owned(), "ready".into());
        return respond::json(200, &members.into());
    }
    let mut problem = Problem::new(
        Code::Unavailable,
        format!("the edge is {edge}; the origin is {origin}"),
    );
    problem.request_id = Some(call.request_id.clone());
    let retry_after = problem.retry_after_seconds().unwrap_or_default();
    let mut body: Map<_, _> = json::read(problem.to_json()).unwrap_or_default();
    body.extend(members);
    Reply::new(problem.status)
        .with("content-type", problem::CONTENT_TYPE)
        .with("cache-control", "no-store")
        .with("retry-after", retry_after.to_string())
        .bytes(Value::from(body).to_string().into_bytes())
}
