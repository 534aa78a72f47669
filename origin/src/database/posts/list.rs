//! Finding posts. An account sees its own, and what is published of others.

use darkroom_shared::job::Page;
use darkroom_shared::posts::Post;
use darkroom_shared::posts::list::{Cursor, ListPosts};
use futures_util::TryStreamExt as _;
use sqlx::AssertSqlSafe;

use super::rows::{PostRow, SELECT, fill_in_tags};
use crate::addresses::Addresses;
use crate::database::{Database, DatabaseError};

/// Bytes of content after which a page ends: an edge holds the whole page.
const PAGE_BYTES: usize = 2 * 1024 * 1024;

/// Where a post stands in the list.
const AT: &str = "COALESCE(posts.published_at, posts.created_at)";

impl Database {
    /// One post that an account may see.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn post(
        &self,
        account: &str,
        slug: &str,
        addresses: &Addresses,
    ) -> Result<Option<Post>, DatabaseError> {
        let statement = format!(
            "{SELECT} WHERE posts.slug = $1 AND posts.deleted_at IS NULL
                AND (posts.status = 'published' OR posts.account = $2)"
        );
        let mut connection = self.readers.acquire().await?;
        let row: Option<PostRow> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(slug)
            .bind(account)
            .fetch_optional(&mut connection)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let mut post = [row.into_post(addresses)?];
        fill_in_tags(&mut connection, &mut post).await?;
        let [post] = post;
        Ok(Some(post))
    }

    /// A page of what an account may see, newest first: by when it was published, or made where it
    /// was not. It ends early where the posts are long.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn posts(
        &self,
        account: &str,
        list: &ListPosts,
        addresses: &Addresses,
    ) -> Result<Page<Post>, DatabaseError> {
        let conditions = self.conditions(account, list);
        let statement = format!(
            "{SELECT} WHERE {} ORDER BY {AT} DESC, posts.sequence DESC LIMIT {}",
            conditions.sql,
            // One more than asked for tells whether there is a next page.
            i64::from(list.limit) + 1
        );
        let mut query = sqlx::query_as::<_, PostRow>(AssertSqlSafe(statement));
        for value in conditions.values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            };
        }
        let mut connection = self.readers.acquire().await?;
        let (mut items, mut bytes, mut last, mut more) = (Vec::new(), 0, None, false);
        let mut rows = query.fetch(&mut connection);
        while let Some(row) = rows.try_next().await? {
            if items.len() == list.limit as usize || bytes > PAGE_BYTES {
                more = true;
                break;
            }
            let sequence = row.sequence;
            let post = row.into_post(addresses)?;
            let at = post.published_at.unwrap_or(post.created_at);
            last = Some(Cursor { at, sequence });
            bytes += post.content.len();
            items.push(post);
        }
        drop(rows);
        fill_in_tags(&mut connection, &mut items).await?;
        Ok(Page {
            items,
            next_cursor: last.filter(|_| more).map(Cursor::encode),
        })
    }

    fn conditions(&self, account: &str, list: &ListPosts) -> Conditions {
        let mut all = Conditions::default();
        let account = || Value::Text(account.to_owned());
        if list.deleted {
            all.add(account(), |place| {
                format!("posts.deleted_at IS NOT NULL AND posts.account = {place}")
            });
        } else {
            all.add(account(), |place| {
                format!(
                    "posts.deleted_at IS NULL
                     AND (posts.status = 'published' OR posts.account = {place})"
                )
            });
        }
        let equal = [
            (
                "status",
                list.status.map(|status| status.as_str().to_owned()),
            ),
            ("author_id", list.author_id.clone()),
            ("category_id", list.category_id.clone()),
        ];
        for (column, value) in equal {
            if let Some(value) = value {
                all.add(Value::Text(value), |place| {
                    format!("posts.{column} = {place}")
                });
            }
        }
        for tag in &list.tags {
            all.add(Value::Text(tag.clone()), |place| {
                format!(
                    "EXISTS (SELECT 1 FROM post_tags WHERE post_id = posts.id AND tag = {place})"
                )
            });
        }
        if !list.words.is_empty() {
            let quoted = list.words.iter().map(|word| format!("\"{word}\""));
            let quoted = quoted.collect::<Vec<_>>().join(" ");
            all.add(Value::Text(quoted), |place| self.dialect.holds_words(place));
        }
        if let Some(moment) = list.updated_since {
            all.add(Value::Number(moment), |place| {
                format!("posts.updated_at >= {place}")
            });
        }
        if let Some(Cursor { at, sequence }) = list.cursor {
            let at = all.place(Value::Number(at));
            all.add(Value::Number(sequence), |place| {
                format!("({AT}, posts.sequence) < ({at}, {place})")
            });
        }
        all
    }
}

enum Value {
    Text(String),
    Number(i64),
}

/// What must be true of every post of a list. What callers say is bound, never written.
#[derive(Default)]
struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    /// Binds a value; where it stands in the statement.
    fn place(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn add(&mut self, value: Value, condition: impl FnOnce(&str) -> String) {
        let place = self.place(value);
        if !self.sql.is_empty() {
            self.sql.push_str(" AND ");
        }
        self.sql.push_str(&condition(&place));
    }
}
