//! The fields of a JSON object, read one by one, with a message for each that is wrong.

use serde_json::{Map, Value};

use crate::limits::{Range, Side};
use crate::problem::{Code, FieldError, Problem};

/// Errors that are told; a body has room for a million, and nobody reads them.
const MAX_ERRORS: usize = 20;

/// Values of an object, and brackets around them. None here comes near; but values of two bytes
/// each would take ten times as much memory as their text, which is more than a Worker has.
const MAX_VALUES: usize = 10_000;

/// The fields that are still to be read, and what was wrong with those that were.
pub(crate) struct Fields {
    map: Map<String, Value>,
    errors: Vec<FieldError>,
    /// Errors beyond [`MAX_ERRORS`].
    untold: usize,
}

impl Fields {
    /// The fields of an object.
    pub(crate) fn new(map: Map<String, Value>) -> Self {
        Self {
            map,
            errors: Vec::new(),
            untold: 0,
        }
    }

    /// The fields of a body that must be a JSON object.
    pub(crate) fn from_json(body: &[u8]) -> Result<Self, Problem> {
        read_object(body)
            .map(Self::new)
            .map_err(|message| Problem::new(Code::Malformed, format!("the body {message}")))
    }

    pub(crate) fn error(&mut self, field: &str, message: impl Into<String>) {
        if self.errors.len() == MAX_ERRORS {
            self.untold += 1;
            return;
        }
        self.errors.push(FieldError {
            field: field.to_owned(),
            message: message.into(),
        });
    }

    pub(crate) fn has_error(&self, field: &str) -> bool {
        self.errors.iter().any(|error| error.field == field)
    }

    /// Refuses what nobody has read, and says what was wrong in all.
    pub(crate) fn finish(mut self, not_offered: &[&str]) -> Result<(), Problem> {
        for field in std::mem::take(&mut self.map).keys() {
            let message = if not_offered.contains(&field.as_str()) {
                "is not offered by this version; leave it out"
            } else {
                "is not a field of this request"
            };
            self.error(&field.chars().take(100).collect::<String>(), message);
        }
        if self.errors.is_empty() {
            return Ok(());
        }
        let mut problem = Problem::fields(Code::Invalid, self.errors);
        if self.untold > 0 {
            problem.detail = format!("{}; and {} more", problem.detail, self.untold);
        }
        Err(problem)
    }

    /// Takes a field out; an explicit null is as good as leaving it out.
    pub(crate) fn take(&mut self, field: &str) -> Option<Value> {
        self.map.remove(field).filter(|value| !value.is_null())
    }

    /// Whether a field is there and null, for requests in which that says something; the field
    /// counts as read then.
    pub(crate) fn take_null(&mut self, field: &str) -> bool {
        let is_null = self.map.get(field).is_some_and(Value::is_null);
        if is_null {
            self.map.remove(field);
        }
        is_null
    }

    /// A text that `read` makes something of, or says what is wrong with it.
    pub(crate) fn read<T>(
        &mut self,
        field: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.take(field)?;
        let text = value.as_str().ok_or_else(|| "must be a string".to_owned());
        text.and_then(read)
            .map_err(|message| self.error(field, message))
            .ok()
    }

    pub(crate) fn text(&mut self, field: &str, characters: Range<u64>) -> Option<String> {
        let Value::String(text) = self.take(field)? else {
            self.error(field, "must be a string");
            return None;
        };
        let Range { min, max } = characters;
        let length = text.chars().count() as u64;
        if length < min || length > max {
            self.error(
                field,
                format!("must have {min} to {max} characters, has {length}"),
            );
            return None;
        }
        if text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\t' | '\n'))
        {
            self.error(
                field,
                "must not hold control characters but tab and newline",
            );
            return None;
        }
        Some(text)
    }

    pub(crate) fn whole(&mut self, field: &str, range: Range<u64>) -> Option<u64> {
        let value = self.take(field)?;
        let Range { min, max } = range;
        match value.as_u64() {
            Some(number) if (min..=max).contains(&number) => Some(number),
            _ => {
                let found = brief(&value);
                self.error(
                    field,
                    format!("must be a whole number from {min} to {max}, not {found}"),
                );
                None
            }
        }
    }

    pub(crate) fn side(&mut self, field: &str, limits: Side) -> Option<u32> {
        let Side {
            min,
            max,
            multiple_of,
        } = limits;
        let side = self.whole(field, Range { min, max })?;
        if side % multiple_of != 0 {
            self.error(
                field,
                format!("must be a multiple of {multiple_of}, not {side}"),
            );
            return None;
        }
        Some(side as u32)
    }

    pub(crate) fn number(&mut self, field: &str, range: Range<f64>) -> Option<f64> {
        let value = self.take(field)?;
        let Range { min, max } = range;
        match value.as_f64() {
            Some(number) if (min..=max).contains(&number) => Some(number),
            _ => {
                let found = brief(&value);
                self.error(
                    field,
                    format!("must be a number from {min} to {max}, not {found}"),
                );
                None
            }
        }
    }

    /// A truth value; false where there is none.
    pub(crate) fn flag(&mut self, field: &str) -> bool {
        match self.take(field) {
            None => false,
            Some(Value::Bool(flag)) => flag,
            Some(value) => {
                let found = brief(&value);
                self.error(field, format!("must be true or false, not {found}"));
                false
            }
        }
    }

    pub(crate) fn choice<T: Copy + Default>(
        &mut self,
        field: &str,
        choices: &[T],
        name: fn(T) -> &'static str,
    ) -> T {
        let Some(value) = self.take(field) else {
            return T::default();
        };
        let chosen = choices
            .iter()
            .find(|choice| value.as_str() == Some(name(**choice)));
        chosen.copied().unwrap_or_else(|| {
            let names = choices.iter().map(|choice| name(*choice));
            // One that has no name is the one that is left out.
            let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
            self.error(field, format!("must be one of: {}", names.join(", ")));
            T::default()
        })
    }

    /// A list of names out of `choices`, none of them twice; one at least.
    pub(crate) fn choices<T: Copy + PartialEq>(
        &mut self,
        field: &str,
        choices: &[T],
        name: fn(T) -> &'static str,
    ) -> Option<Vec<T>> {
        let value = self.take(field)?;
        let named = |value: &Value| {
            let chosen = choices
                .iter()
                .find(|choice| value.as_str() == Some(name(**choice)));
            chosen.copied()
        };
        // Not more than there are: a body has room for a million names.
        let chosen: Option<Vec<T>> = match &value {
            Value::Array(items) if (1..=choices.len()).contains(&items.len()) => {
                items.iter().map(named).collect()
            }
            _ => None,
        };
        let is_once = |chosen: &Vec<T>| {
            let twice = |(i, one): (usize, &T)| chosen.iter().skip(i + 1).any(|other| other == one);
            !chosen.iter().enumerate().any(twice)
        };
        let chosen = chosen.filter(is_once);
        if chosen.is_none() {
            let names: Vec<_> = choices.iter().map(|choice| name(*choice)).collect();
            let names = names.join(", ");
            self.error(
                field,
                format!("must be a list of some of these, each once: {names}"),
            );
        }
        chosen
    }
}

/// The fields of a text that must be a JSON object, or what is wrong with it.
pub(crate) fn read_object(json: &[u8]) -> Result<Map<String, Value>, String> {
    if has_more_values_than(MAX_VALUES, json) {
        return Err(format!("may hold at most {MAX_VALUES} values"));
    }
    match serde_json::from_slice(json) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("must be a JSON object".to_owned()),
        Err(error) => Err(format!("is no JSON: {error}")),
    }
}

/// Whether a JSON text has more values than that, told by what parts them, without reading it.
fn has_more_values_than(most: usize, json: &[u8]) -> bool {
    let (mut is_text, mut is_escaped) = (false, false);
    let parts = json.iter().filter(|byte| match byte {
        _ if is_escaped => {
            is_escaped = false;
            false
        }
        b'\\' => {
            is_escaped = is_text;
            false
        }
        b'"' => {
            is_text = !is_text;
            false
        }
        b',' | b'[' | b'{' => !is_text,
        _ => false,
    });
    parts.take(most + 1).count() > most
}

/// A value for a message: whole where it is short, its kind where it is not.
fn brief(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::String(_) => "a string".into(),
        Value::Array(_) => "an array".into(),
        Value::Object(_) => "an object".into(),
        Value::Null => "null".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_nothing_but_values_is_refused_unread() {
        for values in ["0,", "[],", r#"{"a":0},"#, r#""\"","#] {
            let list = |count| format!(r#"{{"a":[{}0]}}"#, values.repeat(count));
            let few = Fields::from_json(list(1000).as_bytes());
            assert!(few.is_ok(), "{values}");
            let many = Fields::from_json(list(10_000).as_bytes())
                .err()
                .expect(values);
            assert_eq!(many.code, Code::Malformed);
            assert!(many.detail.contains("10000 values"), "{}", many.detail);
        }
        // What stands in a text parts nothing.
        let text = r#"[,{\",\\"#.repeat(10_000);
        assert!(Fields::from_json(format!(r#"{{"a":"{text}"}}"#).as_bytes()).is_ok());
    }
}
