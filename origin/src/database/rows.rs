//! Rows as they are stored, and how they become what the API shows.

use darkroom_shared::job::{Image, Job, JobError, Progress, Status, Variant};
use darkroom_shared::problem::Code;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::Visibility;
use darkroom_shared::trace::TraceParent;

use super::{DatabaseError, Place, StoredJob, variants};
use crate::addresses::Addresses;

#[derive(sqlx::FromRow)]
pub(super) struct JobRow {
    sequence: i64,
    turn: i64,
    pixels: i64,
    pub(super) id: String,
    task_id: Option<String>,
    /// Whoever shares the job and asks for it, and that one's own label.
    #[sqlx(default)]
    reader: Option<String>,
    #[sqlx(default)]
    reader_task_id: Option<String>,
    status: String,
    recipe: String,
    #[sqlx(try_from = "i64")]
    step: u32,
    #[sqlx(try_from = "i64")]
    steps: u32,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    error_code: Option<String>,
    error_message: Option<String>,
    /// Not there in a database that an operator looks at before a service has migrated it.
    #[sqlx(default)]
    traceparent: Option<String>,
}

#[derive(sqlx::FromRow)]
pub(super) struct ImageRow {
    pub(super) job_id: String,
    pub(super) id: String,
    object_key: String,
    seed: i64,
    visibility: String,
    #[sqlx(try_from = "i64")]
    width: u32,
    #[sqlx(try_from = "i64")]
    height: u32,
    content_type: String,
    bytes: i64,
    sha256: String,
    variants: Option<String>,
    previous_id: Option<String>,
    deleted_at: Option<i64>,
}

pub(super) const fn unreadable(what: &'static str) -> DatabaseError {
    DatabaseError::Row { what, source: None }
}

/// Places for so many values: `$1, $2, …`.
pub(super) fn places(count: usize) -> String {
    let places: Vec<_> = (1..=count).map(|place| format!("${place}")).collect();
    places.join(", ")
}

/// Cuts a page to its length, where one row more was read to find out whether others follow; if
/// they do, the page's last row.
pub(super) fn cut<Row>(rows: &mut Vec<Row>, limit: u32) -> Option<&Row> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    rows.last().filter(|_| more)
}

impl JobRow {
    /// The job without its images, place and estimate.
    pub(super) fn into_stored(self) -> Result<StoredJob, DatabaseError> {
        Ok(StoredJob {
            place: Place {
                turn: self.turn,
                sequence: self.sequence,
            },
            pixels: self.pixels as u64,
            trace: self.traceparent.as_deref().and_then(TraceParent::parse),
            job: self.into_job()?,
        })
    }

    fn into_job(self) -> Result<Job, DatabaseError> {
        let recipe: Recipe =
            serde_json::from_str(&self.recipe).map_err(|source| DatabaseError::Row {
                what: "recipe",
                source: Some(source),
            })?;
        let error = self.error_code.map(|name| {
            let code = Code::ALL.iter().find(|code| code.as_str() == name);
            JobError {
                // A later version may have failed it for a reason that is new here.
                code: code.copied().unwrap_or(Code::Internal),
                message: self.error_message.unwrap_or_default(),
            }
        });
        Ok(Job {
            id: self.id,
            status: Status::parse(&self.status).ok_or_else(|| unreadable("status"))?,
            task_id: match self.reader {
                Some(_) => self.reader_task_id,
                None => self.task_id,
            },
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            progress: Progress {
                step: self.step,
                steps: self.steps,
            },
            queue_position: None,
            eta_seconds: None,
            images: Vec::new(),
            error,
            recipe,
        })
    }
}

impl ImageRow {
    pub(super) fn into_image(self, addresses: &Addresses) -> Result<Image, DatabaseError> {
        let visibility = Visibility::parse(&self.visibility);
        let visibility = visibility.ok_or_else(|| unreadable("visibility"))?;
        let variants = variants::parse(self.variants.as_deref())?.into_iter();
        let variants: Vec<Variant> = variants
            .map(|variant| Variant {
                url: addresses.of(&variant.key),
                key: variant.key,
                width: variant.width,
                height: variant.height,
                content_type: variant.content_type,
            })
            .collect();
        let mut image = Image {
            srcset: None,
            variants,
            url: addresses.of(&self.object_key),
            id: self.id,
            key: self.object_key,
            width: self.width,
            height: self.height,
            content_type: self.content_type,
            bytes: self.bytes as u64,
            sha256: self.sha256,
            seed: self.seed as u64,
            visibility,
            previous_id: self.previous_id,
            deleted_at: self.deleted_at,
            expires_at: None,
        };
        // A private picture's addresses are the edge's to sign, and to put together then.
        if visibility == Visibility::Public {
            image.srcset = image.srcset_of_variants();
        }
        Ok(image)
    }
}
