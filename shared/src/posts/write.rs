//! `POST /api/posts` and `PATCH /api/posts/{slug}`: what a post shall be.

use serde_json::Value;

use super::PostStatus;
use super::slug::{self, is_slug};
use crate::fields::Fields;
use crate::limits::Range;
use crate::problem::Problem;
use crate::request::is_printable;

/// Characters.
pub(crate) const TITLE: Range<u64> = Range { min: 1, max: 200 };
/// Characters.
pub(crate) const MAX_CONTENT: usize = 100_000;
/// Characters, of ids and of tags.
pub(crate) const NAME: Range<usize> = Range { min: 1, max: 100 };
/// How many.
pub(crate) const MAX_TAGS: usize = 20;
/// Bytes of a reference to an image; the longest is a URL.
const REFERENCE: Range<u64> = Range { min: 1, max: 2000 };

/// Which image a post shall have: in each case one of the account's, public and stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageChoice {
    /// The image of this id, or the first one of the job of this id.
    Id(String),
    /// The first one of the newest job of this label that has one.
    Task(String),
    /// The one that is fetched there.
    Url(String),
}

impl ImageChoice {
    /// The field that said so.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Id(_) => "featured_image",
            Self::Task(_) => "task_id",
            Self::Url(_) => "featured_image_url",
        }
    }
}

/// A new post, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatePost {
    /// Its title.
    pub title: String,
    /// Its slug; one is made of the title where there is none.
    pub slug: Option<String>,
    /// Its text.
    pub content: String,
    /// Who may see it.
    pub status: PostStatus,
    /// The caller's own name for who wrote it.
    pub author_id: Option<String>,
    /// The caller's own name for what it belongs to.
    pub category_id: Option<String>,
    /// Each once.
    pub tags: Vec<String>,
    /// Its picture.
    pub image: Option<ImageChoice>,
}

/// What shall be changed of a post, checked. What is `None` stays as it is; what is `Some(None)`
/// is taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchPost {
    /// Its title. The slug stays: addresses that were given away go on working.
    pub title: Option<String>,
    /// Its slug.
    pub slug: Option<String>,
    /// Its text.
    pub content: Option<String>,
    /// Who may see it.
    pub status: Option<PostStatus>,
    /// The caller's own name for who wrote it.
    pub author_id: Option<Option<String>>,
    /// The caller's own name for what it belongs to.
    pub category_id: Option<Option<String>>,
    /// All of them anew.
    pub tags: Option<Vec<String>>,
    /// Its picture.
    pub image: Option<Option<ImageChoice>>,
}

impl CreatePost {
    /// Reads and checks a request's body.
    ///
    /// # Errors
    /// [`Code::Malformed`](crate::problem::Code::Malformed) for a body that is no JSON object,
    /// [`Code::Invalid`](crate::problem::Code::Invalid) with every offending field for one whose
    /// values are not allowed.
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        let mut fields = Fields::from_json(body)?;
        let title = title(&mut fields);
        if title.is_none() && !fields.has_error("title") {
            fields.error("title", "is required");
        }
        let post = Self {
            title: title.unwrap_or_default(),
            slug: fields.read("slug", checked_slug),
            content: fields.read("content", content).unwrap_or_default(),
            status: fields.choice("status", PostStatus::ALL, PostStatus::as_str),
            author_id: fields.read("author_id", name),
            category_id: fields.read("category_id", name),
            tags: tags(&mut fields).unwrap_or_default(),
            image: image(&mut fields),
        };
        fields.finish(&[])?;
        Ok(post)
    }

    /// What its slug shall be, where nobody has it yet.
    #[must_use]
    pub fn wanted_slug(&self) -> String {
        let given = self.slug.clone();
        given.unwrap_or_else(|| slug::from_title(&self.title))
    }
}

impl PatchPost {
    /// Reads and checks a request's body. Null takes away what a post need not have.
    ///
    /// # Errors
    /// As [`CreatePost::from_json`].
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        let mut fields = Fields::from_json(body)?;
        for field in ["title", "slug", "status"] {
            if fields.take_null(field) {
                fields.error(field, "cannot be taken away");
            }
        }
        // Both are asked, so that both count as read.
        let no_image = [
            fields.take_null("featured_image"),
            fields.take_null("featured_image_url"),
        ];
        let no_image = no_image.contains(&true).then_some(None);
        let no_content = fields.take_null("content").then(String::new);
        let no_tags = fields.take_null("tags").then(Vec::new);
        let patch = Self {
            title: title(&mut fields),
            slug: fields.read("slug", checked_slug),
            content: fields.read("content", content).or(no_content),
            status: fields.read("status", status),
            author_id: optional(&mut fields, "author_id"),
            category_id: optional(&mut fields, "category_id"),
            tags: tags(&mut fields).or(no_tags),
            image: image(&mut fields).map(Some).or(no_image),
        };
        fields.finish(&[])?;
        Ok(patch)
    }
}

fn title(fields: &mut Fields) -> Option<String> {
    let title = fields.text("title", TITLE)?;
    if title.trim().is_empty() {
        fields.error("title", "must not be blank");
    } else if !title.chars().all(is_printable) {
        fields.error("title", "must be printable");
    }
    Some(title)
}

fn content(text: &str) -> Result<String, String> {
    let length = text.chars().count();
    if length > MAX_CONTENT {
        return Err(format!(
            "must have at most {MAX_CONTENT} characters, has {length}"
        ));
    }
    let is_text = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    if text.chars().all(is_text) {
        Ok(text.to_owned())
    } else {
        Err("must not hold control characters but tabs and ends of lines".to_owned())
    }
}

fn checked_slug(text: &str) -> Result<String, String> {
    if is_slug(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "must be small letters and digits in words parted by `-`, at most {} characters",
            slug::MAX
        ))
    }
}

fn status(text: &str) -> Result<PostStatus, String> {
    PostStatus::parse(text).ok_or_else(|| {
        let names: Vec<_> = PostStatus::ALL.iter().map(|one| one.as_str()).collect();
        format!("must be one of: {}", names.join(", "))
    })
}

fn name(text: &str) -> Result<String, String> {
    let Range { min, max } = NAME;
    let is_well = (min..=max).contains(&text.chars().count())
        && text.chars().all(is_printable)
        && text.trim() == text;
    if is_well {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "must have {min} to {max} printable characters, and no space around them"
        ))
    }
}

/// A name, or that there shall be none.
#[expect(
    clippy::option_option,
    reason = "to stay, to go, to be set: as PatchPost has it"
)]
fn optional(fields: &mut Fields, field: &str) -> Option<Option<String>> {
    if fields.take_null(field) {
        return Some(None);
    }
    fields.read(field, name).map(Some)
}

fn tags(fields: &mut Fields) -> Option<Vec<String>> {
    let value = fields.take("tags")?;
    let Value::Array(items) = value else {
        fields.error("tags", "must be a list of strings");
        return None;
    };
    if items.len() > MAX_TAGS {
        fields.error("tags", format!("may be at most {MAX_TAGS}"));
        return None;
    }
    let mut tags = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let tag = item.as_str().ok_or_else(|| "must be a string".to_owned());
        match tag.and_then(name) {
            Ok(tag) if tags.contains(&tag) => {
                fields.error(&format!("tags[{index}]"), "is there twice");
            }
            Ok(tag) => tags.push(tag),
            Err(message) => fields.error(&format!("tags[{index}]"), message),
        }
    }
    Some(tags)
}

fn image(fields: &mut Fields) -> Option<ImageChoice> {
    let choices = [
        fields
            .text("featured_image", REFERENCE)
            .map(ImageChoice::Id),
        fields.text("task_id", REFERENCE).map(ImageChoice::Task),
        fields
            .text("featured_image_url", REFERENCE)
            .map(ImageChoice::Url),
    ];
    let mut choices = choices.into_iter().flatten();
    let first = choices.next()?;
    for other in choices {
        let message = format!("says the same as {}: give one of them", first.field());
        fields.error(other.field(), message);
    }
    Some(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::problem::Code;

    fn create(body: &Value) -> CreatePost {
        CreatePost::from_json(body.to_string().as_bytes()).expect("valid")
    }

    fn patch(body: &Value) -> PatchPost {
        PatchPost::from_json(body.to_string().as_bytes()).expect("valid")
    }

    fn wrong(result: Result<(), Problem>) -> Vec<String> {
        let problem = result.expect_err("refused");
        assert_eq!(problem.code, Code::Invalid);
        let mut fields: Vec<_> = problem.errors.into_iter().map(|e| e.field).collect();
        fields.sort_unstable();
        fields
    }

    fn wrong_of_new(body: &Value) -> Vec<String> {
        wrong(CreatePost::from_json(body.to_string().as_bytes()).map(drop))
    }

    fn wrong_of_patch(body: &Value) -> Vec<String> {
        wrong(PatchPost::from_json(body.to_string().as_bytes()).map(drop))
    }

    #[test]
    fn a_title_is_enough() {
        let post = create(&json!({ "title": "A Title" }));
        assert_eq!(post.wanted_slug(), "a-title");
        assert_eq!(post.status, PostStatus::Draft);
        assert!(post.content.is_empty() && post.tags.is_empty() && post.image.is_none());
        let named = create(&json!({ "title": "A Title", "slug": "another" }));
        assert_eq!(named.wanted_slug(), "another");
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let body = json!({
            "title": " ", "slug": "A b", "content": "\u{0}", "status": "hidden",
            "author_id": "", "category_id": 5, "tags": ["a", "a", 1], "colour": "red",
            "featured_image": "a", "task_id": "b"
        });
        let expected = [
            "author_id",
            "category_id",
            "colour",
            "content",
            "slug",
            "status",
            "tags[1]",
            "tags[2]",
            "task_id",
            "title",
        ];
        assert_eq!(wrong_of_new(&body), expected);
        assert_eq!(wrong_of_new(&json!({})), ["title"]);
        assert_eq!(wrong_of_new(&json!({ "title": "a\u{202e}b" })), ["title"]);
        let long = json!({ "title": "a", "content": "é".repeat(MAX_CONTENT + 1) });
        assert_eq!(wrong_of_new(&long), ["content"]);
        let many = json!({ "title": "a", "tags": vec!["t"; MAX_TAGS + 1] });
        assert_eq!(wrong_of_new(&many), ["tags"]);
    }

    #[test]
    fn lines_may_end_as_on_any_system() {
        let text = "one\r\n\ttwo\n";
        let post = create(&json!({ "title": "a", "content": text }));
        assert_eq!(post.content, text);
    }

    #[test]
    fn a_patch_tells_what_stays_from_what_goes() {
        assert_eq!(patch(&json!({})), PatchPost::default());
        let emptied = patch(&json!({
            "content": null, "author_id": null, "category_id": null, "tags": null,
            "featured_image_url": null
        }));
        let expected = PatchPost {
            content: Some(String::new()),
            author_id: Some(None),
            category_id: Some(None),
            tags: Some(Vec::new()),
            image: Some(None),
            ..PatchPost::default()
        };
        assert_eq!(emptied, expected);
        let changed = patch(&json!({ "status": "published", "task_id": "t" }));
        assert_eq!(changed.status, Some(PostStatus::Published));
        assert_eq!(changed.image, Some(Some(ImageChoice::Task("t".into()))));
        let taken = json!({ "title": null, "slug": null, "status": null });
        assert_eq!(wrong_of_patch(&taken), ["slug", "status", "title"]);
        assert_eq!(wrong_of_patch(&json!({ "id": "x" })), ["id"]);
    }

    proptest! {
        #[test]
        fn hostile_bodies_are_refused_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = CreatePost::from_json(&body);
            let _ = PatchPost::from_json(&body);
        }
    }
}
