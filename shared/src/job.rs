//! Jobs and images as the API shows them.

use serde::{Deserialize, Serialize};

use crate::problem::Code;
use crate::recipe::Recipe;
use crate::request::Visibility;
use crate::timestamp::{UnixMillis, rfc3339};

/// Tells with a stream of events whose images are private: their addresses are the edge's to sign.
pub const VISIBILITY_HEADER: &str = "darkroom-visibility";

/// Tells with an answer that another request's job makes the pictures: nothing was made for this one.
pub const JOINED_HEADER: &str = "darkroom-joined";

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Accepted, waiting for the engine.
    Queued,
    /// On the engine, or on its way to the store.
    Running,
    /// All its images are stored.
    Succeeded,
    /// It ended without its images; `error` says why.
    Failed,
    /// Its owner stopped it.
    Canceled,
}

impl Status {
    /// The name that goes over the wire, into the database and names the event.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Reads [`Status::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Queued,
            Self::Running,
            Self::Succeeded,
            Self::Failed,
            Self::Canceled,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
}

/// How far a job is: steps over all its images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Progress {
    /// Steps done.
    pub step: u32,
    /// Steps in all.
    pub steps: u32,
}

/// Why a job ended without its images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobError {
    /// The stable name.
    pub code: Code,
    /// For people.
    pub message: String,
}

/// One request's life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    /// A UUID.
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// The caller's own label.
    pub task_id: Option<String>,
    /// When it was accepted.
    #[serde(with = "rfc3339")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: UnixMillis,
    /// When the engine took it up.
    #[serde(with = "rfc3339::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub started_at: Option<UnixMillis>,
    /// When it ended.
    #[serde(with = "rfc3339::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub finished_at: Option<UnixMillis>,
    /// How far it is.
    pub progress: Progress,
    /// Jobs ahead of it, while it is queued.
    pub queue_position: Option<u32>,
    /// An estimate of the seconds until it is done, where there is one.
    pub eta_seconds: Option<f64>,
    /// What it made so far.
    pub images: Vec<Image>,
    /// Why it failed.
    pub error: Option<JobError>,
    /// What it makes; image `i` has the seed that far on.
    pub recipe: Recipe,
}

/// One stored picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Image {
    /// A UUID.
    pub id: String,
    /// Where it can be fetched; absolute once the edge has answered.
    pub url: String,
    /// Its object name in the store.
    pub key: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Its media type.
    pub content_type: String,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// The seed that makes it alone.
    pub seed: u64,
    /// Who may fetch it.
    pub visibility: Visibility,
    /// The image that it was made anew of, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_id: Option<String>,
    /// When it was deleted: of one that can be restored.
    #[serde(
        default,
        with = "rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub deleted_at: Option<UnixMillis>,
    /// When its signed URL ends.
    #[serde(
        default,
        with = "rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub expires_at: Option<UnixMillis>,
    /// Smaller copies, the smallest first, and of each size in every format that is made; none until
    /// they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
    /// Those of one media type (WebP where it is made), and behind them the picture itself, as HTML
    /// has it. A `source` of another media type lists the `variants` of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub srcset: Option<String>,
}

/// An image in a list, with what made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListedImage {
    /// The image.
    #[serde(flatten)]
    pub image: Image,
    /// The job that made it.
    pub job_id: String,
    /// When that was accepted.
    #[serde(with = "rfc3339")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: UnixMillis,
    /// What makes it alone.
    pub recipe: Recipe,
}

/// A smaller copy of a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Variant {
    /// Where it can be fetched.
    pub url: String,
    /// Its object name in the store.
    pub key: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Its media type.
    pub content_type: String,
}

/// A picture or a smaller copy, as the choice between them goes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Where it can be fetched.
    pub url: &'a str,
    /// Pixels.
    pub width: u64,
    /// Its media type.
    pub content_type: &'a str,
}

/// A picture's copies and behind them the picture itself, as the `srcset` of an HTML element. An
/// element has no say in media types: of copies of several, those like the first count. `None` where
/// there are no copies.
#[must_use]
pub fn srcset(copies: &[Candidate<'_>], picture: Candidate<'_>) -> Option<String> {
    let first = copies.first()?;
    let counts = |copy: &&Candidate<'_>| {
        copy.content_type == first.content_type && copy.width < picture.width
    };
    let chosen = copies.iter().filter(counts).chain([&picture]);
    let entries: Vec<String> = chosen
        .map(|one| format!("{} {}w", one.url, one.width))
        .collect();
    Some(entries.join(", "))
}

impl Image {
    /// What [`Self::srcset`] is to be by the addresses that image and copies have.
    #[must_use]
    pub fn srcset_of_variants(&self) -> Option<String> {
        let copies = self.variants.iter().map(|variant| Candidate {
            url: &variant.url,
            width: variant.width.into(),
            content_type: &variant.content_type,
        });
        let picture = Candidate {
            url: &self.url,
            width: self.width.into(),
            content_type: &self.content_type,
        };
        srcset(&copies.collect::<Vec<_>>(), picture)
    }
}

/// What the origin tells the edge of an image that it has deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedImage {
    /// The object that is gone.
    pub key: String,
    /// Hash of the recipe of its job's first image.
    pub recipe_sha256: String,
    /// Its smaller copies' objects, which are gone too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<String>,
    /// How many images its job makes.
    pub n: u32,
    /// Whether it was gone before.
    #[serde(default)]
    pub again: bool,
}

/// What a generate call answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Generated {
    /// The job.
    pub job: Job,
    /// Its images.
    pub images: Vec<Image>,
    /// The first image's address.
    pub image_url: Option<String>,
    /// Whether no generation ran.
    pub cached: bool,
    /// What was made.
    pub recipe: Recipe,
}

impl From<Job> for Generated {
    fn from(job: Job) -> Self {
        Self {
            images: job.images.clone(),
            image_url: job.images.first().map(|image| image.url.clone()),
            cached: false,
            recipe: job.recipe.clone(),
            job,
        }
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The page.
    pub items: Vec<T>,
    /// What to pass as `cursor` for the next page; absent on the last.
    pub next_cursor: Option<String>,
}
