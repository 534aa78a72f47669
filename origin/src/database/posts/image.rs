//! Which image a post shall have.

use darkroom_shared::posts::write::ImageChoice;
use sqlx::AssertSqlSafe;

use super::super::connection::Connection;
use super::PostError;
use crate::addresses::Addresses;

/// What every image must be: a reader of a post has no key, and its account can delete what it shows.
const OWN: &str = "
    SELECT images.id FROM images JOIN jobs ON jobs.id = images.job_id
    WHERE jobs.account = $1 AND images.visibility = 'public' AND images.stored_at IS NOT NULL
        AND images.deleted_at IS NULL AND ";

/// The id of the image that an account chose.
pub(super) async fn chosen(
    connection: &mut Connection,
    account: &str,
    choice: &ImageChoice,
    addresses: &Addresses,
) -> Result<String, PostError> {
    let (which, named) = match choice {
        ImageChoice::Id(id) => (
            "(images.id = $2 OR jobs.id = $2) ORDER BY images.position",
            Some(id.as_str()),
        ),
        ImageChoice::Task(label) => (
            "jobs.task_id = $2 ORDER BY jobs.sequence DESC, images.position",
            Some(label.as_str()),
        ),
        ImageChoice::Url(url) => ("images.object_key = $2", addresses.key(url)),
    };
    let found: Option<String> = sqlx::query_scalar(AssertSqlSafe(format!("{OWN} {which} LIMIT 1")))
        .bind(account)
        .bind(named)
        .fetch_optional(connection)
        .await?;
    found.ok_or(PostError::NoImage(choice.field()))
}
