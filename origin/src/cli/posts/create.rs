//! The flags of `darkroom posts create`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use darkroom_shared::posts::PostStatus;
use serde_json::{Map, Value, json};

use super::{Failure, status};

/// What `darkroom posts create` takes. The flags have the names of the post's fields.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The title
    #[arg(long, value_name = "TEXT")]
    title: String,
    /// The name in the address; made of the title unless told
    #[arg(long, value_name = "SLUG")]
    slug: Option<String>,
    /// The text
    #[arg(long, value_name = "TEXT")]
    content: Option<String>,
    /// A file with the text
    #[arg(long, value_name = "FILE", conflicts_with = "content")]
    content_file: Option<PathBuf>,
    /// draft, published or archived; draft unless told
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<PostStatus>,
    /// Who wrote it
    #[arg(long, value_name = "ID")]
    author_id: Option<String>,
    /// What it belongs to
    #[arg(long, value_name = "ID")]
    category_id: Option<String>,
    /// Several parted by commas
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    tags: Vec<String>,
    /// An image of yours, or a job, by its id
    #[arg(long, value_name = "ID")]
    featured_image: Option<String>,
    /// The label of a job of yours whose image it shall have
    #[arg(long, value_name = "LABEL", conflicts_with = "featured_image")]
    task_id: Option<String>,
}

impl CreateArgs {
    /// The request's body.
    pub fn body(&self) -> Result<Value, Failure> {
        let content = match &self.content_file {
            Some(path) => Some(std::fs::read_to_string(path).with_context(|| {
                format!("`{}` cannot be read: is it a file of text?", path.display())
            })?),
            None => self.content.clone(),
        };
        let text = |value: &Option<String>| value.clone().map(Value::from);
        let fields = [
            ("title", Some(json!(self.title))),
            ("slug", text(&self.slug)),
            ("content", content.map(Value::from)),
            ("status", self.status.map(|status| json!(status))),
            ("author_id", text(&self.author_id)),
            ("category_id", text(&self.category_id)),
            ("tags", (!self.tags.is_empty()).then(|| json!(self.tags))),
            ("featured_image", text(&self.featured_image)),
            ("task_id", text(&self.task_id)),
        ];
        let body: Map<String, Value> = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        Ok(body.into())
    }
}
