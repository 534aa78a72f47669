//! `GET /api/posts`: which posts, and which page of them.

use super::PostStatus;
use crate::problem::{Code, FieldError, Problem};
use crate::timestamp::{UnixMillis, from_rfc3339};

const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;
/// Words that are searched for at once.
const MAX_WORDS: usize = 16;
/// Tags that are asked for at once: a post has no more.
const MAX_TAGS: usize = 20;

/// A place in the list: behind the post that it was made of, whatever is added before or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When that post was published, or made where it was not.
    pub at: UnixMillis,
    /// Its place among those of the same moment.
    pub sequence: i64,
}

impl Cursor {
    /// The text that callers are given to send back. Nothing in it needs escaping in a query.
    #[must_use]
    pub fn encode(self) -> String {
        let (at, sequence) = (self.at.to_be_bytes(), self.sequence.to_be_bytes());
        hex::encode([at, sequence].concat())
    }

    /// Reads [`Cursor::encode`].
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = hex::decode(text).ok()?;
        let (at, sequence) = bytes.split_at_checked(8)?;
        Some(Self {
            at: i64::from_be_bytes(at.try_into().ok()?),
            sequence: i64::from_be_bytes(sequence.try_into().ok()?),
        })
    }
}

/// A page, checked. All that is asked for must be true of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPosts {
    /// Posts at most.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
    /// Of this status.
    pub status: Option<PostStatus>,
    /// Of this author.
    pub author_id: Option<String>,
    /// Of this category.
    pub category_id: Option<String>,
    /// With each of these tags.
    pub tags: Vec<String>,
    /// With each of these words in title or content.
    pub words: Vec<String>,
    /// Changed at this moment or later.
    pub updated_since: Option<UnixMillis>,
    /// The account's deleted ones, and no others.
    pub deleted: bool,
}

impl ListPosts {
    /// Reads a query's parameters, decoded. Those that are not known are left alone: the edge may
    /// be newer than the origin.
    ///
    /// # Errors
    /// [`Code::Invalid`] with every offending parameter.
    pub fn from_parameters<'a>(
        parameters: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Problem> {
        let mut read = Self {
            limit: DEFAULT_LIMIT,
            cursor: None,
            status: None,
            author_id: None,
            category_id: None,
            tags: Vec::new(),
            words: Vec::new(),
            updated_since: None,
            deleted: false,
        };
        let mut errors = Vec::new();
        for (name, value) in parameters {
            if let Err(message) = read.take(name, value) {
                errors.push(FieldError {
                    field: name.to_owned(),
                    message,
                });
            }
        }
        if errors.is_empty() {
            Ok(read)
        } else {
            Err(Problem::fields(Code::Invalid, errors))
        }
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        // PostgreSQL takes no such text, and no post holds one.
        if value.contains('\0') {
            return Err("must be text".to_owned());
        }
        match name {
            "limit" => {
                let limit = value.parse().ok();
                let limit = limit.filter(|limit| (1..=MAX_LIMIT).contains(limit));
                self.limit =
                    limit.ok_or_else(|| format!("must be a whole number from 1 to {MAX_LIMIT}"))?;
            }
            "cursor" => {
                let cursor = Cursor::decode(value);
                let wrong = "must be a `next_cursor` of this list";
                self.cursor = Some(cursor.ok_or_else(|| wrong.to_owned())?);
            }
            "status" => {
                let names = || PostStatus::ALL.iter().map(|status| status.as_str());
                let wrong =
                    || format!("must be one of: {}", names().collect::<Vec<_>>().join(", "));
                self.status = Some(PostStatus::parse(value).ok_or_else(wrong)?);
            }
            "author_id" => self.author_id = Some(value.to_owned()),
            "category_id" => self.category_id = Some(value.to_owned()),
            "tag" if self.tags.len() == MAX_TAGS => {
                return Err(format!("may be given {MAX_TAGS} times"));
            }
            "tag" => self.tags.push(value.to_owned()),
            "q" => self.words = words(value)?,
            "updated_since" => {
                let moment = from_rfc3339(value).map_err(|error| error.to_string())?;
                self.updated_since = Some(moment);
            }
            "deleted" => {
                self.deleted = match value {
                    "true" => true,
                    "false" => false,
                    _ => return Err("must be true or false".to_owned()),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// What is searched for: letters and digits only, so that nothing in it means anything to a
/// database's own language.
fn words(text: &str) -> Result<Vec<String>, String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    if (1..=MAX_WORDS).contains(&words.len()) {
        Ok(words.into_iter().map(str::to_owned).collect())
    } else {
        Err(format!("must hold 1 to {MAX_WORDS} words"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(parameters: &[(&str, &str)]) -> Result<ListPosts, Problem> {
        ListPosts::from_parameters(parameters.iter().copied())
    }

    #[test]
    fn a_page_is_read_from_the_query() {
        let cursor = Cursor { at: 5, sequence: 7 };
        let list = read(&[
            ("limit", "5"),
            ("cursor", &cursor.encode()),
            ("status", "draft"),
            ("tag", "a"),
            ("tag", "b"),
            ("q", "it's \"100%\" OR_x"),
            ("updated_since", "1970-01-01T00:00:01Z"),
            ("deleted", "true"),
            ("newer", "1"),
        ])
        .expect("valid");
        assert_eq!((list.limit, list.cursor), (5, Some(cursor)));
        assert_eq!(list.status, Some(PostStatus::Draft));
        assert_eq!(list.tags, ["a", "b"]);
        assert_eq!(list.words, ["it", "s", "100", "OR", "x"]);
        assert_eq!((list.updated_since, list.deleted), (Some(1000), true));
        assert_eq!(read(&[]).expect("valid").limit, DEFAULT_LIMIT);
    }

    #[test]
    fn every_wrong_parameter_is_named_at_once() {
        let wrong = [
            ("limit", "0"),
            ("limit", "101"),
            ("cursor", "00"),
            ("cursor", "x"),
            ("status", "x"),
            ("q", " % "),
            ("updated_since", "now"),
            ("deleted", "1"),
            ("author_id", "\0"),
        ];
        let problem = read(&wrong).expect_err("refused");
        let named: Vec<_> = problem.errors.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(named, wrong.map(|(name, _)| name));
        let many = "a ".repeat(MAX_WORDS + 1);
        assert!(read(&[("q", &many)]).is_err());
        assert!(read(&[("tag", "a"); MAX_TAGS + 1]).is_err());
    }

    proptest! {
        #[test]
        fn a_cursor_is_read_back(at: i64, sequence: i64) {
            let cursor = Cursor { at, sequence };
            let text = cursor.encode();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            prop_assert_eq!(Cursor::decode(&text), Some(cursor));
        }

        #[test]
        fn hostile_queries_are_refused_without_a_panic(name in "limit|cursor|q|tag|status", value in ".*") {
            let _ = read(&[(&name, &value)]);
        }
    }
}
