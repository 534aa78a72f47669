//! Lists of images: an account's own, and the line that an image belongs to.

use darkroom_shared::changes::Original;
use darkroom_shared::job::{ListedImage, Page};
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::Visibility;
use darkroom_shared::timestamp::UnixMillis;
use sqlx::AssertSqlSafe;

use super::rows::{ImageRow, cut, unreadable};
use super::{Database, DatabaseError};
use crate::addresses::Addresses;

/// Which images.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// The account's own.
    Own,
    /// The account's own that are deleted, and can still be restored at this moment.
    Restorable(UnixMillis),
    /// All that were made of this one, and of what this one was made of, as far as the account may
    /// see them.
    Line(&'a str),
}

/// A page of them.
#[derive(Clone, Copy, Debug)]
pub struct ListImages<'a> {
    /// Which ones.
    pub which: Which<'a>,
    /// The last one of the page before.
    pub after: Option<&'a str>,
    /// How many.
    pub limit: u32,
}

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(flatten)]
    image: ImageRow,
    created_at: UnixMillis,
    recipe: String,
}

#[derive(sqlx::FromRow)]
struct OriginalRow {
    recipe: String,
    visibility: String,
    task_id: Option<String>,
}

/// Of images whose account, or a reader's, is `$1`.
const VISIBLE: &str = "(jobs.account = $1 OR EXISTS
    (SELECT 1 FROM job_readers
     WHERE job_readers.job_id = jobs.id AND job_readers.account = $1))";

impl Database {
    /// A page of images, newest first. An `after` that is none of them gives an empty page.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn images(
        &self,
        account: &str,
        list: ListImages<'_>,
        addresses: &Addresses,
    ) -> Result<Page<ListedImage>, DatabaseError> {
        // Each names `$4`, so that one set of values fits all.
        let (wanted, value) = match list.which {
            Which::Own => (
                "jobs.account = $1 AND deleted_at IS NULL AND $4 = ''",
                String::new(),
            ),
            Which::Restorable(now) => (
                "jobs.account = $1 AND deleted_at IS NOT NULL AND purged_at IS NULL
                 AND restorable_until > CAST($4 AS BIGINT)",
                now.to_string(),
            ),
            Which::Line(id) => (
                "(images.id = (SELECT COALESCE(lineage, id) FROM images AS one WHERE one.id = $4)
                  OR images.lineage =
                      (SELECT COALESCE(lineage, id) FROM images AS one WHERE one.id = $4))
                 AND deleted_at IS NULL",
                id.to_owned(),
            ),
        };
        let statement = format!(
            "SELECT images.*, jobs.created_at, jobs.recipe
             FROM images JOIN jobs ON jobs.id = images.job_id
             WHERE {wanted} AND {VISIBLE} AND stored_at IS NOT NULL
               AND ($2 IS NULL OR (jobs.sequence, images.position) <
                    (SELECT last_jobs.sequence, last_images.position
                     FROM images AS last_images JOIN jobs AS last_jobs
                       ON last_jobs.id = last_images.job_id
                     WHERE last_images.id = $2))
             ORDER BY jobs.sequence DESC, images.position DESC LIMIT $3"
        );
        let mut rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(account)
            .bind(list.after)
            // One more than asked for tells whether there is a next page.
            .bind(i64::from(list.limit) + 1)
            .bind(value)
            .fetch_all(&self.readers)
            .await?;
        let next_cursor = cut(&mut rows, list.limit).map(|row| row.image.id.clone());
        let items: Result<_, DatabaseError> =
            rows.into_iter().map(|row| row.listed(addresses)).collect();
        Ok(Page {
            items: items?,
            next_cursor,
        })
    }

    /// What an image was made by that an account may see.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn original(
        &self,
        account: &str,
        id: &str,
    ) -> Result<Option<Original>, DatabaseError> {
        let statement = format!(
            "SELECT recipe, visibility,
                CASE WHEN jobs.account = $1 THEN jobs.task_id ELSE
                    (SELECT job_readers.task_id FROM job_readers
                     WHERE job_readers.job_id = jobs.id AND job_readers.account = $1)
                END AS task_id
             FROM images JOIN jobs ON jobs.id = images.job_id
             WHERE images.id = $2 AND stored_at IS NOT NULL AND deleted_at IS NULL AND {VISIBLE}"
        );
        let row: Option<OriginalRow> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(account)
            .bind(id)
            .fetch_optional(&self.readers)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let visibility = Visibility::parse(&row.visibility);
        Ok(Some(Original {
            recipe: recipe(&row.recipe)?,
            visibility: visibility.ok_or_else(|| unreadable("visibility"))?,
            task_id: row.task_id,
        }))
    }
}

impl Row {
    fn listed(self, addresses: &Addresses) -> Result<ListedImage, DatabaseError> {
        let job_id = self.image.job_id.clone();
        let image = self.image.into_image(addresses)?;
        Ok(ListedImage {
            recipe: Recipe {
                seed: image.seed,
                ..recipe(&self.recipe)?
            },
            image,
            job_id,
            created_at: self.created_at,
        })
    }
}

fn recipe(json: &str) -> Result<Recipe, DatabaseError> {
    serde_json::from_str(json).map_err(|source| DatabaseError::Row {
        what: "recipe",
        source: Some(source),
    })
}
