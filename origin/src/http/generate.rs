//! `POST /api/media/generate-image`

use std::slice;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use darkroom_shared::job::{Generated, Job, Status};
use darkroom_shared::prefer::Prefer;
use darkroom_shared::problem::{Code, Problem};
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::GenerateRequest;

use super::identity::Caller;
use super::{ApiError, App, own_images};
use crate::cause::chain;
use crate::{clock, inputs};

/// Says which preferences were honoured.
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Accepts a job and waits for its end as long as the caller likes.
pub(super) async fn generate(
    State(app): State<App>,
    Caller(account): Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    require_json(&headers)?;
    let mut request = GenerateRequest::from_json(&body)?;
    let model = app.model()?;
    let (models, seed) = (slice::from_ref(&*model), random_seed()?);
    let mut recipe = Recipe::complete(&request, models, seed)?;
    if request.names_images() {
        own_images::look_up(&app, &account, &mut request).await?;
        recipe = Recipe::complete(&request, models, seed)?;
    }
    let start = inputs::start(&request, &recipe).await;
    let start = start.map_err(ApiError::internal)?;
    let start = start.map_err(|error| vec![error])?;
    let prefer = preference(&headers);
    let limit = Duration::from_secs(prefer.wait_seconds().into());
    let accepted = app
        .queue
        .accept(&account, &request, recipe, start, clock::now())
        .await?;
    let job = match app.queue.wait(&account, &accepted.id, limit).await {
        Ok(job) => job.unwrap_or(accepted),
        Err(error) => {
            // The job is on record, so a caller who was told to try again would get it twice.
            tracing::error!(error = chain(&error), "an accepted job cannot be followed");
            accepted
        }
    };
    let mut response = answer(job);
    if let Some(applied) = prefer.to_header().and_then(|value| value.try_into().ok()) {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    Ok(response)
}

fn preference(headers: &HeaderMap) -> Prefer {
    let values = headers.get_all("prefer").into_iter();
    let texts: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    Prefer::parse(&texts.join(","))
}

/// 200 with the images, 202 where they are still to come, the cause where they never will.
fn answer(job: Job) -> Response {
    match job.status {
        Status::Succeeded => Json(Generated::from(job)).into_response(),
        Status::Queued | Status::Running => {
            let location = HeaderValue::from_str(&format!("/api/jobs/{}", job.id));
            let mut response = (StatusCode::ACCEPTED, Json(Generated::from(job))).into_response();
            if let Ok(location) = location {
                response.headers_mut().insert(header::LOCATION, location);
            }
            response
        }
        Status::Failed | Status::Canceled => ApiError::from(ended(job)).into_response(),
    }
}

/// The problem of a job that ended without its images.
fn ended(job: Job) -> Problem {
    let problem = match &job.error {
        Some(error) => Problem::new(error.code, error.message.clone()),
        None if job.status == Status::Canceled => Problem::new(
            Code::Canceled,
            "the job was canceled while this call waited",
        ),
        None => Problem::new(Code::GenerationFailed, "the job failed"),
    };
    Problem {
        job: Some(Box::new(job)),
        ..problem
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        // The edge has checked it; a bare body is taken for what it must be.
        .map_or("application/json", |value| {
            value.to_str().unwrap_or_default()
        });
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Problem::new(
            Code::UnsupportedMediaType,
            "send the body as application/json",
        )
        .into())
    }
}

/// A seed of 52 random bits, which leaves room for the seeds of ten images.
fn random_seed() -> Result<u64, ApiError> {
    getrandom::u64()
        .map(|bits| bits >> 12)
        .map_err(ApiError::internal)
}
