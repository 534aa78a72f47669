//! Making, changing, deleting and restoring posts: each in one transaction, so that of two changes
//! to the same version one wins and the other is told.

use darkroom_shared::posts::write::{CreatePost, PatchPost};
use darkroom_shared::posts::{Post, PostStatus, slug};
use darkroom_shared::timestamp::UnixMillis;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::super::connection::{Connection, Transaction};
use super::PostError;
use super::image::chosen;
use super::rows::{PostRow, SELECT, fill_in_tags};
use crate::addresses::Addresses;
use crate::database::{Database, DatabaseError};

/// Slugs with a number that are tried before one with something unlikely in it.
const NUMBERED: u32 = 9;

/// A post that an account means to change.
#[derive(Clone, Copy, Debug)]
pub struct OwnPost<'a> {
    database: &'a Database,
    account: &'a str,
    slug: &'a str,
    /// The `ETag`s of which it must have one, where that was said; `*` is any.
    required: Option<&'a [String]>,
}

impl Database {
    /// Makes a post. A slug that is made of its title gets something behind it where it is taken.
    ///
    /// # Errors
    /// [`PostError::SlugTaken`], [`PostError::NoImage`], [`PostError::Database`]; nothing was made
    /// then.
    pub async fn create_post(
        &self,
        account: &str,
        id: Uuid,
        post: &CreatePost,
        addresses: &Addresses,
        now: UnixMillis,
    ) -> Result<Post, PostError> {
        let mut transaction = self.write().await?;
        let image = match &post.image {
            Some(choice) => Some(chosen(&mut transaction, account, choice, addresses).await?),
            None => None,
        };
        let published_at = (post.status == PostStatus::Published).then_some(now);
        let mut is_made = false;
        for slug in slugs(post, id) {
            let inserted = sqlx::query(
                "INSERT INTO posts (id, account, slug, title, content, status, author_id,
                                    category_id, image_id, created_at, updated_at, published_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)
                 ON CONFLICT (slug) DO NOTHING",
            )
            .bind(id.to_string())
            .bind(account)
            .bind(slug)
            .bind(&post.title)
            .bind(&post.content)
            .bind(post.status.as_str())
            .bind(&post.author_id)
            .bind(&post.category_id)
            .bind(&image)
            .bind(now)
            .bind(published_at)
            .execute(&mut *transaction)
            .await?;
            is_made = inserted.rows_affected() == 1;
            if is_made {
                break;
            }
        }
        if !is_made {
            return Err(PostError::SlugTaken);
        }
        put_tags(&mut transaction, &id.to_string(), &post.tags).await?;
        finish(transaction, &id.to_string(), addresses).await
    }

    /// One of an account's posts, to be changed where it is as `required`.
    #[must_use]
    pub fn own_post<'a>(
        &'a self,
        account: &'a str,
        slug: &'a str,
        required: Option<&'a [String]>,
    ) -> OwnPost<'a> {
        OwnPost {
            database: self,
            account,
            slug,
            required,
        }
    }
}

impl OwnPost<'_> {
    /// Changes the post; the post as it is then. Where nothing is to be changed, nothing is.
    ///
    /// # Errors
    /// [`PostError`]; nothing was changed then.
    pub async fn change(
        self,
        patch: &PatchPost,
        addresses: &Addresses,
        now: UnixMillis,
    ) -> Result<Post, PostError> {
        let (mut transaction, before, kept_image) = self.find(addresses).await?;
        if before.deleted_at.is_some() {
            return Err(PostError::NotFound);
        }
        if *patch == PatchPost::default() {
            return finish(transaction, &before.id, addresses).await;
        }
        let image = match &patch.image {
            Some(Some(choice)) => {
                Some(chosen(&mut transaction, self.account, choice, addresses).await?)
            }
            Some(None) => None,
            None => kept_image,
        };
        let status = patch.status.unwrap_or(before.status);
        let published_at = match status {
            PostStatus::Published => before.published_at.or(Some(now)),
            _ => before.published_at,
        };
        sqlx::query(
            "UPDATE posts SET slug = $1, title = $2, content = $3, status = $4, author_id = $5,
                category_id = $6, image_id = $7, published_at = $8, updated_at = $9,
                version = version + 1
             WHERE id = $10",
        )
        .bind(patch.slug.as_ref().unwrap_or(&before.slug))
        .bind(patch.title.as_ref().unwrap_or(&before.title))
        .bind(patch.content.as_ref().unwrap_or(&before.content))
        .bind(status.as_str())
        .bind(patch.author_id.as_ref().unwrap_or(&before.author_id))
        .bind(patch.category_id.as_ref().unwrap_or(&before.category_id))
        .bind(image)
        .bind(published_at)
        .bind(now)
        .bind(&before.id)
        .execute(&mut *transaction)
        .await?;
        if let Some(tags) = &patch.tags {
            sqlx::query("DELETE FROM post_tags WHERE post_id = $1")
                .bind(&before.id)
                .execute(&mut *transaction)
                .await?;
            put_tags(&mut transaction, &before.id, tags).await?;
        }
        finish(transaction, &before.id, addresses).await
    }

    /// Deletes the post: only its account finds it then, to restore it. It keeps its slug.
    ///
    /// # Errors
    /// [`PostError`]; it is as it was then.
    pub async fn delete(self, addresses: &Addresses, now: UnixMillis) -> Result<(), PostError> {
        let (transaction, before, _) = self.find(addresses).await?;
        if before.deleted_at.is_some() {
            return Err(PostError::NotFound);
        }
        mark(transaction, &before.id, Some(now), addresses, now).await?;
        Ok(())
    }

    /// Takes a deletion back.
    ///
    /// # Errors
    /// [`PostError`]; it is as it was then.
    pub async fn restore(self, addresses: &Addresses, now: UnixMillis) -> Result<Post, PostError> {
        let (transaction, before, _) = self.find(addresses).await?;
        if before.deleted_at.is_none() {
            return finish(transaction, &before.id, addresses).await;
        }
        mark(transaction, &before.id, None, addresses, now).await
    }

    /// The post, deleted or not, and its image's id, in a transaction in which nobody else can
    /// change it.
    async fn find(
        self,
        addresses: &Addresses,
    ) -> Result<(Transaction, Post, Option<String>), PostError> {
        let mut transaction = self.database.write().await?;
        // Nothing is changed but that who comes next has to wait.
        let id: Option<String> = sqlx::query_scalar(
            "UPDATE posts SET version = version WHERE slug = $1 AND account = $2 RETURNING id",
        )
        .bind(self.slug)
        .bind(self.account)
        .fetch_optional(&mut *transaction)
        .await?;
        let id = id.ok_or(PostError::NotFound)?;
        let row = read(&mut transaction, &id).await?;
        let kept_image = row.kept_image_id.clone();
        let post = row.into_post(addresses)?;
        let etag = post.etag();
        let fits = |required: &[String]| required.iter().any(|one| *one == etag || one == "*");
        // Of one that is deleted nobody has an `ETag` but by the list of them.
        if self.required.is_some_and(|required| !fits(required)) {
            return Err(PostError::Changed);
        }
        Ok((transaction, post, kept_image))
    }
}

async fn mark(
    mut transaction: Transaction,
    id: &str,
    deleted_at: Option<UnixMillis>,
    addresses: &Addresses,
    now: UnixMillis,
) -> Result<Post, PostError> {
    sqlx::query(
        "UPDATE posts SET deleted_at = $1, updated_at = $2, version = version + 1 WHERE id = $3",
    )
    .bind(deleted_at)
    .bind(now)
    .bind(id)
    .execute(&mut *transaction)
    .await?;
    finish(transaction, id, addresses).await
}

/// Commits; the post as it was committed.
async fn finish(
    mut transaction: Transaction,
    id: &str,
    addresses: &Addresses,
) -> Result<Post, PostError> {
    let mut post = [read(&mut transaction, id).await?.into_post(addresses)?];
    fill_in_tags(&mut transaction, &mut post).await?;
    transaction.commit().await?;
    let [post] = post;
    Ok(post)
}

async fn read(connection: &mut Connection, id: &str) -> Result<PostRow, DatabaseError> {
    let statement = format!("{SELECT} WHERE posts.id = $1");
    let row = sqlx::query_as(AssertSqlSafe(statement)).bind(id);
    Ok(row.fetch_one(connection).await?)
}

async fn put_tags(
    connection: &mut Connection,
    post: &str,
    tags: &[String],
) -> Result<(), DatabaseError> {
    for (position, tag) in (0_i64..).zip(tags) {
        sqlx::query("INSERT INTO post_tags (post_id, position, tag) VALUES ($1, $2, $3)")
            .bind(post)
            .bind(position)
            .bind(tag)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// What a post's slug may be, best first: what was asked for, and nothing else where that was said.
fn slugs(post: &CreatePost, id: Uuid) -> impl Iterator<Item = String> {
    let wanted = post.wanted_slug();
    let (numbered, unlikely) = match post.slug {
        Some(_) => (2..2, None),
        None => (
            2..2 + NUMBERED,
            // The end of a UUID of version 7 is chance.
            id.simple().to_string().get(20..).map(str::to_owned),
        ),
    };
    let suffixes = numbered.map(|number| number.to_string()).chain(unlikely);
    let suffixed = suffixes.map({
        let wanted = wanted.clone();
        move |suffix| slug::with_suffix(&wanted, &suffix)
    });
    std::iter::once(wanted).chain(suffixed)
}
