//! `GET /api/keys`: which page of the list.

use crate::problem::{Code, FieldError, Problem};

const DEFAULT_LIMIT: u64 = 20;
const MAX_LIMIT: u64 = 100;

/// A page, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListKeys {
    /// Keys at most.
    pub limit: u64,
    /// The store's own word for where the page before ended.
    pub cursor: Option<String>,
}

impl ListKeys {
    /// Reads a query. Parameters that are not known are left alone.
    ///
    /// # Errors
    /// [`Code::Invalid`] with every offending parameter.
    pub fn from_query(query: &str) -> Result<Self, Problem> {
        let mut read = Self {
            limit: DEFAULT_LIMIT,
            cursor: None,
        };
        let mut errors = Vec::new();
        let mut error = |field: &str, message: String| {
            errors.push(FieldError {
                field: field.to_owned(),
                message,
            });
        };
        for parameter in query.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "limit" => match value.parse() {
                    Ok(limit @ 1..=MAX_LIMIT) => read.limit = limit,
                    _ => error(
                        name,
                        format!("must be a whole number from 1 to {MAX_LIMIT}"),
                    ),
                },
                "cursor" => match hex::decode(value).map(String::from_utf8) {
                    Ok(Ok(cursor)) if !cursor.is_empty() => read.cursor = Some(cursor),
                    _ => error(name, "must be a `next_cursor` of this list".to_owned()),
                },
                _ => {}
            }
        }
        if errors.is_empty() {
            Ok(read)
        } else {
            Err(Problem::fields(Code::Invalid, errors))
        }
    }

    /// The store's cursor as it is given away: nothing in it needs escaping in a query.
    #[must_use]
    pub fn next_cursor(cursor: &str) -> String {
        hex::encode(cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_from_the_query() {
        let query = format!("limit=5&x=1&cursor={}", ListKeys::next_cursor("a+/="));
        let read = ListKeys::from_query(&query).expect("valid");
        assert_eq!((read.limit, read.cursor.as_deref()), (5, Some("a+/=")));
        assert_eq!(
            ListKeys::from_query("").expect("valid").limit,
            DEFAULT_LIMIT
        );
        for query in [
            "limit=0",
            "limit=101",
            "limit",
            "cursor=",
            "cursor=xy",
            "cursor=ff",
        ] {
            assert!(ListKeys::from_query(query).is_err(), "{query}");
        }
    }
}
