//! Posts: texts with a title, an address of their own ([`slug`]) and, where wanted, a picture.
//!
//! What may be written is in [`write`](mod@write), which page of the list is meant in [`list`]. Who may see a
//! post is said by its status: published ones everybody, others their account alone.

pub mod list;
pub mod slug;
pub mod write;

use serde::{Deserialize, Serialize};

use crate::timestamp::{UnixMillis, rfc3339};

/// Bytes of a body that writes a post: all of its fields at their longest, with every character
/// escaped, come near.
pub const MAX_BODY: usize = 2 * 1024 * 1024;

/// Who may see a post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PostStatus {
    /// Its account: it is being written.
    #[default]
    Draft,
    /// Everybody.
    Published,
    /// Its account: it was taken back.
    Archived,
}

impl PostStatus {
    /// Every status there is.
    pub const ALL: &[Self] = &[Self::Draft, Self::Published, Self::Archived];

    /// The name that goes over the wire and into the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Archived => "archived",
        }
    }

    /// Reads [`PostStatus::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|status| status.as_str() == text)
    }
}

/// A post as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Post {
    /// A UUID.
    pub id: String,
    /// Names it in its address; no two posts have the same.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// Its text, as it was written.
    pub content: String,
    /// Who may see it.
    pub status: PostStatus,
    /// The caller's own name for who wrote it.
    pub author_id: Option<String>,
    /// The caller's own name for what it belongs to.
    pub category_id: Option<String>,
    /// In the order they were given.
    pub tags: Vec<String>,
    /// Its picture: an image of the account's.
    pub featured_image_id: Option<String>,
    /// Where that can be fetched.
    pub featured_image_url: Option<String>,
    /// When it was made.
    #[serde(with = "rfc3339")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: UnixMillis,
    /// When it, or its picture, was last changed.
    #[serde(with = "rfc3339")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub updated_at: UnixMillis,
    /// When it was first published.
    #[serde(with = "rfc3339::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub published_at: Option<UnixMillis>,
    /// When it was deleted; only its account sees it then, in the list of what can be restored.
    #[serde(
        default,
        with = "rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub deleted_at: Option<UnixMillis>,
    /// Counts its changes: a part of its `ETag`.
    #[serde(skip)]
    pub version: i64,
}

impl Post {
    /// Names the post as it is now (a strong validator, RFC 9110, 8.8.3). The id is in it because a
    /// slug can pass from one post to another.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{}-{}\"", self.id, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_one_name() {
        for status in PostStatus::ALL {
            let json = serde_json::to_value(status).expect("JSON");
            assert_eq!(json, status.as_str());
            assert_eq!(PostStatus::parse(status.as_str()), Some(*status));
        }
        assert_eq!(PostStatus::parse("Draft"), None);
    }
}
