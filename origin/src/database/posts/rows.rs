//! Posts as they are stored, and how they become what the API shows.

use darkroom_shared::posts::{Post, PostStatus};
use darkroom_shared::timestamp::UnixMillis;
use sqlx::AssertSqlSafe;

use super::super::connection::Connection;
use crate::addresses::Addresses;
use crate::database::DatabaseError;
use crate::database::rows::{places, unreadable};

/// Reads posts, each with its image where that can be fetched. What is asked for follows.
pub(super) const SELECT: &str = "
    SELECT posts.sequence, posts.id, posts.slug, posts.title, posts.content, posts.status,
           posts.author_id, posts.category_id, posts.version, posts.created_at, posts.updated_at,
           posts.published_at, posts.deleted_at, posts.image_id AS kept_image_id,
           images.id AS image_id, images.object_key
    FROM posts LEFT JOIN images ON images.id = posts.image_id
        AND images.stored_at IS NOT NULL AND images.deleted_at IS NULL ";

#[derive(sqlx::FromRow)]
pub(super) struct PostRow {
    pub(super) sequence: i64,
    id: String,
    slug: String,
    title: String,
    content: String,
    status: String,
    author_id: Option<String>,
    category_id: Option<String>,
    version: i64,
    created_at: UnixMillis,
    updated_at: UnixMillis,
    published_at: Option<UnixMillis>,
    deleted_at: Option<UnixMillis>,
    /// Its image, which may be deleted.
    pub(super) kept_image_id: Option<String>,
    image_id: Option<String>,
    object_key: Option<String>,
}

impl PostRow {
    /// The post without its tags.
    pub(super) fn into_post(self, addresses: &Addresses) -> Result<Post, DatabaseError> {
        Ok(Post {
            id: self.id,
            slug: self.slug,
            title: self.title,
            content: self.content,
            status: PostStatus::parse(&self.status).ok_or_else(|| unreadable("post's status"))?,
            author_id: self.author_id,
            category_id: self.category_id,
            tags: Vec::new(),
            featured_image_id: self.image_id,
            featured_image_url: self.object_key.map(|key| addresses.of(&key)),
            created_at: self.created_at,
            updated_at: self.updated_at,
            published_at: self.published_at,
            deleted_at: self.deleted_at,
            version: self.version,
        })
    }
}

/// Fills in the tags of all these posts.
pub(super) async fn fill_in_tags(
    connection: &mut Connection,
    posts: &mut [Post],
) -> Result<(), DatabaseError> {
    if posts.is_empty() {
        return Ok(());
    }
    let statement = format!(
        "SELECT post_id, tag FROM post_tags WHERE post_id IN ({}) ORDER BY position",
        places(posts.len())
    );
    let mut tags = sqlx::query_as(AssertSqlSafe(statement));
    for post in posts.iter() {
        tags = tags.bind(post.id.clone());
    }
    let tags: Vec<(String, String)> = tags.fetch_all(connection).await?;
    for (id, tag) in tags {
        if let Some(post) = posts.iter_mut().find(|post| post.id == id) {
            post.tags.push(tag);
        }
    }
    Ok(())
}
