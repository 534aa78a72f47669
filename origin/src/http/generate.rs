//! `POST /api/media/generate-image` and `POST /api/images/{id}/regenerate`

use std::slice;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use darkroom_shared::changes::Changes;
use darkroom_shared::deadline;
use darkroom_shared::job::{Generated, JOINED_HEADER, Job, Status};
use darkroom_shared::prefer::Prefer;
use darkroom_shared::priority::Priority;
use darkroom_shared::problem::{Code, FieldError, Problem};
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::GenerateRequest;
use uuid::Uuid;

use super::identity::Caller;
use super::segment::Segment;
use super::{ApiError, App, fetched, own_images};
use crate::cause::chain;
use crate::inputs;
use crate::jobs::{Accepted, Order};
use crate::traces::Span;

/// Says which preferences were honoured.
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Accepts a job and waits for its end as long as the caller likes.
pub(super) async fn generate(
    State(app): State<App>,
    Caller(account): Caller,
    RawQuery(query): RawQuery,
    Extension(span): Extension<Span>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    require_json(&headers)?;
    let request = GenerateRequest::within(app.outbound.reach(), &body)?;
    let asked = Asked::new(&account, query.as_deref(), &headers, &span)?;
    asked.make(&app, request, None).await
}

/// The same by what an image was made by, with changes: the image stays, and the new one names it.
pub(super) async fn regenerate(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(image): Segment,
    RawQuery(query): RawQuery,
    Extension(span): Extension<Span>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    if !body.is_empty() {
        require_json(&headers)?;
    }
    let changes = Changes::from_json(&body)?;
    let asked = Asked::new(&account, query.as_deref(), &headers, &span)?;
    let Some(original) = app.database.original(&account, &image).await? else {
        // It may have been deleted since the job was accepted.
        let job = app.queue.job(&account, &asked.id.to_string()).await?;
        let job = job.ok_or_else(|| ApiError::not_found("image"))?;
        return Ok(follow(&app, &account, job.into(), asked.handed_in(None)).await);
    };
    let request = changes.request(&original, app.outbound.reach())?;
    asked.make(&app, request, Some(&image)).await
}

/// What is asked beside the request itself.
struct Asked<'a> {
    account: &'a str,
    id: Uuid,
    prefer: Prefer,
    deadline: Option<u32>,
    priority: Priority,
    span: &'a Span,
}

impl<'a> Asked<'a> {
    fn new(
        account: &'a str,
        query: Option<&str>,
        headers: &HeaderMap,
        span: &'a Span,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            account,
            id: job_id(query)?,
            prefer: preference(headers),
            deadline: deadline_of(headers)?,
            priority: priority(query)?,
            span,
        })
    }

    /// Has a request's pictures made.
    async fn make(
        self,
        app: &App,
        mut request: GenerateRequest,
        previous: Option<&str>,
    ) -> Result<Response, ApiError> {
        let handed_in = self.handed_in(request.task_id.clone());
        let Self {
            account,
            id,
            deadline,
            priority,
            span,
            ..
        } = self;
        let model = app.model()?;
        let (models, seed) = (slice::from_ref(&*model), random_seed()?);
        let mut recipe = Recipe::complete(&request, models, seed)?;
        if request.names_images() {
            // What was there when the job was accepted may be gone, or another picture.
            if let Some(job) = app.queue.job(account, &id.to_string()).await? {
                return Ok(follow(app, account, job.into(), handed_in).await);
            }
            fetched::fetch(&app.outbound, account, &mut request).await?;
            own_images::look_up(app, account, &mut request).await?;
            recipe = Recipe::complete(&request, models, seed)?;
        }
        let start = inputs::start(account, &request, &recipe).await;
        let start = start.map_err(ApiError::internal)?;
        let start = start.map_err(|error| vec![error])?;
        let order = Order {
            id,
            account,
            request: &request,
            recipe,
            start,
            previous,
            deadline,
            priority,
            trace: span.place(),
            now: app.database.now().await?,
        };
        let accepting = span.child("accept");
        accepting.set("darkroom.job.id", id.to_string());
        let accepted = app.queue.accept(order).await?;
        drop(accepting);
        Ok(follow(app, account, accepted, handed_in).await)
    }

    fn handed_in(&self, task_id: Option<String>) -> HandedIn {
        HandedIn {
            id: self.id,
            prefer: self.prefer,
            deadline: self.deadline,
            task_id,
        }
    }
}

/// How a call handed its job in.
struct HandedIn {
    id: Uuid,
    prefer: Prefer,
    deadline: Option<u32>,
    task_id: Option<String>,
}

/// Waits for the end of a job that is on record, and answers.
async fn follow(app: &App, account: &str, accepted: Accepted, handed_in: HandedIn) -> Response {
    let Accepted {
        job: accepted,
        is_made,
    } = accepted;
    let prefer = handed_in.prefer;
    let has_joined = accepted.id != handed_in.id.to_string();
    let mut limit = patience(prefer, accepted.eta_seconds);
    if let (true, Some(deadline)) = (has_joined, handed_in.deadline) {
        // The job is not bound to it; its caller is told by then how the job stands.
        limit = limit.min(Duration::from_secs(deadline.into()));
    }
    let mut job = match app.queue.wait(account, &accepted.id, limit).await {
        Ok(job) => job.unwrap_or(accepted),
        Err(error) => {
            // The job is on record, so a caller who was told to try again would get it twice.
            tracing::error!(error = chain(&error), "an accepted job cannot be followed");
            accepted
        }
    };
    if has_joined {
        // It is called what its caller calls it.
        job.task_id = handed_in.task_id;
    }
    let mut response = answer(job, is_made);
    if has_joined {
        let yes = HeaderValue::from_static("1");
        response.headers_mut().insert(JOINED_HEADER, yes);
    }
    if let Some(applied) = prefer.to_header().and_then(|value| value.try_into().ok()) {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    response
}

/// How long to wait for a job. A caller who said how long they would is not kept waiting for what
/// is known to take longer.
fn patience(prefer: Prefer, estimate: Option<f64>) -> Duration {
    match (prefer.wait, estimate) {
        (Some(wait), Some(estimate)) if estimate > f64::from(wait) => Duration::ZERO,
        _ => Duration::from_secs(prefer.wait_seconds().into()),
    }
}

/// The id that the job shall have. The edge says it in the query, which its signature covers: a
/// call that is sent twice is still one job.
fn job_id(query: Option<&str>) -> Result<Uuid, ApiError> {
    let Some(id) = parameter(query, "job") else {
        return Ok(Uuid::now_v7());
    };
    Uuid::try_parse(&id).map_err(|_| {
        let (field, message) = ("job".to_owned(), "must be a UUID".to_owned());
        vec![FieldError { field, message }].into()
    })
}

/// How the job stands beside others: said in the signed query, too, so that it is the edge that
/// decides.
pub(super) fn priority(query: Option<&str>) -> Result<Priority, ApiError> {
    let Some(name) = parameter(query, "priority") else {
        return Ok(Priority::default());
    };
    Priority::parse(&name).ok_or_else(|| {
        let names = Priority::ALL.iter().map(|priority| priority.as_str());
        let names = names.collect::<Vec<_>>().join(", ");
        let (field, message) = ("priority".to_owned(), format!("must be one of {names}"));
        vec![FieldError { field, message }].into()
    })
}

fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let query = query.unwrap_or_default().as_bytes();
    let mut named = url::form_urlencoded::parse(query).filter(|(found, _)| found == name);
    named.next().map(|(_, value)| value.into_owned())
}

fn deadline_of(headers: &HeaderMap) -> Result<Option<u32>, Problem> {
    let value = headers.get(deadline::HEADER);
    let text = value.map(|value| value.to_str().unwrap_or_default());
    text.map(deadline::parse).transpose()
}

fn preference(headers: &HeaderMap) -> Prefer {
    let values = headers.get_all("prefer").into_iter();
    let texts: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    Prefer::parse(&texts.join(","))
}

/// 200 with the images, 202 where they are still to come, the cause where they never will.
fn answer(job: Job, is_made: bool) -> Response {
    match job.status {
        Status::Succeeded => {
            let cached = is_made;
            Json(Generated {
                cached,
                ..job.into()
            })
            .into_response()
        }
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
        Some(error) => Problem {
            status: failed_status(error.code),
            ..Problem::new(error.code, error.message.clone())
        },
        None if job.status == Status::Canceled => Problem::new(
            Code::Canceled,
            "the job was canceled while this call waited",
        ),
        None => Problem::new(Code::GenerationFailed, "the job failed"),
    };
    Problem {
        job: serde_json::to_value(job).ok(),
        ..problem
    }
}

/// The status of a job that failed. A deadline is the caller's before a job is accepted (429), and
/// ours once it was.
const fn failed_status(code: Code) -> u16 {
    match code {
        Code::DeadlineMissed => 500,
        code => code.status(),
    }
}

pub(super) fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_kept_waiting_for_what_is_known_to_take_longer() {
        for (header, estimate, seconds) in [
            ("", None, 60),
            ("", Some(200.0), 60),
            ("wait=5", None, 5),
            ("wait=5", Some(4.9), 5),
            ("wait=5", Some(5.1), 0),
            ("respond-async", Some(1.0), 0),
        ] {
            let wait = patience(Prefer::parse(header), estimate);
            assert_eq!(wait.as_secs(), seconds, "{header} {estimate:?}");
        }
    }
}
