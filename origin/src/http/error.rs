//! From what went wrong to what the caller is told: the one place that decides both the
//! answer and the log.

use std::error::Error;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use darkroom_shared::deadline;
use darkroom_shared::problem::{CONTENT_TYPE, Code, FieldError, Problem};

use crate::cause::chain;
use crate::database::{DatabaseError, PostError};
use crate::housekeeping::HousekeepingError;
use crate::jobs::AcceptError;
use crate::storage::StorageError;

/// An error on its way to the caller: the problem for them, the cause for the log.
#[derive(Debug)]
pub struct ApiError {
    problem: Box<Problem>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl ApiError {
    fn caused(code: Code, detail: &str, cause: impl Error + Send + Sync + 'static) -> Self {
        Self {
            problem: Box::new(Problem::new(code, detail)),
            cause: Some(Arc::new(cause)),
        }
    }

    /// The answer to what is not there, or another caller's.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Problem::new(Code::NotFound, format!("there is no such {what}")).into()
    }

    /// An unexpected failure of ours.
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        Self::caused(Code::Internal, "the request could not be handled", cause)
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
            cause: None,
        }
    }
}

impl From<Vec<FieldError>> for ApiError {
    fn from(errors: Vec<FieldError>) -> Self {
        Problem::fields(Code::Invalid, errors).into()
    }
}

impl From<DatabaseError> for ApiError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Row { .. } => Self::caused(
                Code::Internal,
                "what was stored of this cannot be read",
                error,
            ),
            error => Self::caused(Code::Unavailable, "the database cannot be reached", error),
        }
    }
}

impl From<PostError> for ApiError {
    fn from(error: PostError) -> Self {
        let wrong = |field: &str, message: &str| {
            let (field, message) = (field.to_owned(), message.to_owned());
            vec![FieldError { field, message }].into()
        };
        match error {
            PostError::NotFound => Self::not_found("post"),
            PostError::Changed => Problem::new(
                Code::PreconditionFailed,
                "the post has changed since it was read; read it again",
            )
            .into(),
            PostError::SlugTaken => wrong("slug", "is another post's; choose another one"),
            PostError::NoImage(field) => wrong(
                field,
                "names no stored, public image of yours; make one first, with `visibility` public",
            ),
            PostError::Database(error) => error.into(),
        }
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        Self::caused(
            Code::StorageUnavailable,
            "the picture cannot be fetched now",
            error,
        )
    }
}

impl From<HousekeepingError> for ApiError {
    fn from(error: HousekeepingError) -> Self {
        match error {
            HousekeepingError::Storage(error) => error.into(),
            HousekeepingError::Database(error) => error.into(),
        }
    }
}

impl From<AcceptError> for ApiError {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::QueueFull { seconds } => {
                full(Code::QueueFull, "too many jobs are waiting", seconds)
            }
            AcceptError::AccountFull { seconds } => full(
                Code::AccountQueueFull,
                "too many of your jobs are waiting",
                seconds,
            ),
            AcceptError::DeadlineMissed {
                deadline,
                estimate,
                alone,
            } => deadline::missed(deadline, estimate, alone).into(),
            AcceptError::Anothers => Self::not_found("job"),
            AcceptError::Draining => {
                Problem::new(Code::Unavailable, "this machine is about to stop").into()
            }
            AcceptError::Database(error) => error.into(),
        }
    }
}

/// The answer where there may be room in so many seconds.
fn full(code: Code, what: &str, seconds: Option<f64>) -> ApiError {
    Problem {
        retry_after: seconds.map(|seconds| (seconds.ceil() as u32).max(1)),
        ..Problem::new(code, format!("{what}; try again"))
    }
    .into()
}

impl IntoResponse for ApiError {
    /// The answer without its body, which the envelope writes: it knows the request's id.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status);
        let mut response = status
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// The code of an answer that is a problem.
pub(super) fn code(response: &Response) -> Option<Code> {
    let error = response.extensions().get::<Arc<ApiError>>()?;
    Some(error.problem.code)
}

/// Writes the problem document of an answer that carries an [`ApiError`], and logs its cause.
pub(super) fn finish(response: Response, request_id: &str) -> Response {
    let Some(error) = response.extensions().get::<Arc<ApiError>>().cloned() else {
        return response;
    };
    let problem = Problem {
        request_id: Some(request_id.to_owned()),
        ..(*error.problem).clone()
    };
    if let Some(cause) = &error.cause {
        tracing::error!(
            code = problem.code.as_str(),
            error = chain(&**cause),
            "a request failed"
        );
    }
    let (mut parts, _) = response.into_parts();
    let headers = &mut parts.headers;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.retry_after_seconds() {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, problem.to_json().into())
}

/// The answer where no route fits.
pub(super) async fn no_route() -> ApiError {
    ApiError::not_found("route")
}

/// The answer where the route fits and the method does not.
pub(super) async fn no_method() -> ApiError {
    Problem::new(
        Code::MethodNotAllowed,
        "the route does not offer this method",
    )
    .into()
}
