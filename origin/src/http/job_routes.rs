//! `GET /api/jobs`, `GET` and `DELETE /api/jobs/{id}`, `POST /api/jobs/{id}/readers`

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use darkroom_shared::job::{Job, Page};
use darkroom_shared::problem::FieldError;
use serde::Deserialize;

use super::generate::priority;
use super::identity::Caller;
use super::segment::Segment;
use super::{ApiError, App};
use crate::database::Reader;

const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// The caller's jobs, newest first.
pub(super) async fn list(
    State(app): State<App>,
    Caller(account): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Job>>, ApiError> {
    let query = ListQuery::read(query.as_deref().unwrap_or_default())?;
    let page = app
        .queue
        .jobs(&account, query.cursor.as_deref(), query.limit)
        .await?;
    Ok(Json(page))
}

/// One job.
pub(super) async fn show(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(id): Segment,
) -> Result<Json<Job>, ApiError> {
    let job = app.queue.job(&account, &id).await?;
    job.map(Json).ok_or_else(|| ApiError::not_found("job"))
}

/// Cancels a job, and answers it as it is then.
pub(super) async fn cancel(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(id): Segment,
) -> Result<Json<Job>, ApiError> {
    let now = app.database.now().await?;
    let job = app.queue.cancel(&account, &id, now).await?;
    job.map(Json).ok_or_else(|| ApiError::not_found("job"))
}

/// Lets the caller share another's job: the edge says who joined it.
pub(super) async fn share(
    State(app): State<App>,
    Caller(account): Caller,
    Segment(id): Segment,
    RawQuery(query): RawQuery,
    Json(label): Json<Label>,
) -> Result<StatusCode, ApiError> {
    let (task_id, webhook_url) = (label.task_id.as_deref(), label.webhook_url.as_deref());
    if let Some(Err(message)) = webhook_url.map(|url| app.outbound.reach().check(url)) {
        let field = "webhook_url".to_owned();
        return Err(vec![FieldError { field, message }].into());
    }
    let reader = Reader {
        account: &account,
        task_id,
        webhook_url,
        priority: priority(query.as_deref())?,
    };
    if app.queue.share(&id, &reader).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found("job"))
    }
}

/// What a job is called by whoever shares it, and where that one is told of its end.
#[derive(Deserialize)]
pub(super) struct Label {
    task_id: Option<String>,
    webhook_url: Option<String>,
}

/// Which page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListQuery {
    pub(super) cursor: Option<String>,
    pub(super) limit: u32,
}

impl ListQuery {
    pub(super) fn read(query: &str) -> Result<Self, ApiError> {
        let mut read = Self {
            cursor: None,
            limit: DEFAULT_LIMIT,
        };
        let mut errors = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                // PostgreSQL takes no such text, and no cursor is one.
                "cursor" if value.contains('\0') => errors.push(FieldError {
                    field: "cursor".into(),
                    message: "must be a `next_cursor` of this list".into(),
                }),
                "cursor" => read.cursor = Some(value.into_owned()),
                "limit" => match value.parse() {
                    Ok(limit @ 1..=MAX_LIMIT) => read.limit = limit,
                    _ => errors.push(FieldError {
                        field: "limit".into(),
                        message: format!("must be a whole number from 1 to {MAX_LIMIT}"),
                    }),
                },
                // The edge may be newer than the origin and say more.
                _ => {}
            }
        }
        if errors.is_empty() {
            Ok(read)
        } else {
            Err(errors.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_from_the_query() {
        let read = ListQuery::read("cursor=a%2Db&limit=5&new=1").expect("valid");
        assert_eq!(read.cursor.as_deref(), Some("a-b"));
        assert_eq!(read.limit, 5);
        assert_eq!(ListQuery::read("").expect("valid").limit, DEFAULT_LIMIT);
        for query in ["limit=0", "limit=101", "limit=x", "limit="] {
            assert!(ListQuery::read(query).is_err(), "{query}");
        }
    }
}
