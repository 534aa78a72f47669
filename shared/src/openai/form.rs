//! A form's fields as the JSON that they stand for. OpenAI's clients write `image[]` for a list's
//! items and `darkroom[seed]` for an object's fields; all values are texts.

use serde_json::{Map, Value};

use crate::fields::read_object;

/// Fields whose texts are numbers or truth values.
const SCALARS: [&str; 8] = [
    "guidance_scale",
    "n",
    "output_compression",
    "partial_images",
    "seed",
    "steps",
    "stream",
    "strength",
];

/// The object that a form's fields stand for. What does not read as it should stays a text, for the
/// checks to refuse it by name.
///
/// Whoever writes a form makes every line break CR LF (WHATWG's HTML standard, 4.10.21.8): here they
/// are what they were.
pub(super) fn to_json(fields: Vec<(String, String)>) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, text) in fields {
        let text = if text.contains('\r') {
            text.replace("\r\n", "\n")
        } else {
            text
        };
        if let Some(list) = name.strip_suffix("[]") {
            let list = map.entry(list).or_insert_with(|| Value::Array(Vec::new()));
            add(list, text.into());
        } else if let Some((outer, inner)) = nested(&name) {
            let value = value(inner, text);
            let outer = map
                .entry(outer)
                .or_insert_with(|| Value::Object(Map::new()));
            match outer {
                Value::Object(fields) => insert(fields, inner, value),
                other => add(other, value),
            }
        } else if name == "darkroom" {
            let object = read_object(text.as_bytes());
            insert(
                &mut map,
                &name,
                object.map_or(Value::String(text), Value::Object),
            );
        } else {
            let value = value(&name, text);
            insert(&mut map, &name, value);
        }
    }
    map
}

/// A field that comes twice is a list, which none of those may be that come without `[]`: which of
/// the two was meant nobody can tell.
fn insert(map: &mut Map<String, Value>, name: &str, value: Value) {
    match map.get_mut(name) {
        Some(first) => add(first, value),
        None => drop(map.insert(name.to_owned(), value)),
    }
}

/// Makes a list of what there is, and adds to it.
fn add(list: &mut Value, value: Value) {
    if let Value::Array(items) = list {
        items.push(value);
    } else {
        *list = Value::Array(vec![list.take(), value]);
    }
}

/// The longest boundary there may be (RFC 2046, 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// A body as it is told from others: without a form's boundaries, which are other ones each time
/// that a client sends the same. There may be millions.
pub fn pieces<'a>(media_type: &str, body: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let boundary = boundary(media_type).unwrap_or_default().as_bytes();
    let mut rest = Some(body);
    std::iter::from_fn(move || {
        let body = rest.take()?;
        let is_it = |window: &[u8]| window == boundary;
        let at = match boundary {
            [] => None,
            _ => body.windows(boundary.len()).position(is_it),
        };
        let Some(at) = at else {
            return Some(body);
        };
        rest = body.get(at + boundary.len()..);
        body.get(..at)
    })
}

/// The boundary that a form's media type names.
fn boundary(media_type: &str) -> Option<&str> {
    let mut parameters = media_type.split(';').map(str::trim);
    let is_form = parameters
        .next()?
        .eq_ignore_ascii_case("multipart/form-data");
    let mut named = parameters.filter_map(|parameter| parameter.split_once('='));
    let (_, boundary) = named.find(|(name, _)| name.eq_ignore_ascii_case("boundary"))?;
    let boundary = boundary.trim_matches('"');
    (is_form && boundary.len() <= MAX_BOUNDARY).then_some(boundary)
}

fn nested(name: &str) -> Option<(&str, &str)> {
    name.strip_suffix(']')?.split_once('[')
}

fn value(name: &str, text: String) -> Value {
    if !SCALARS.contains(&name) {
        return Value::String(text);
    }
    let number = text.parse().map(Value::Number).ok();
    let scalar = number.or_else(|| text.parse().map(Value::Bool).ok());
    scalar.unwrap_or(Value::String(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(fields: &[(&str, &str)]) -> Value {
        let owned = fields.iter();
        let owned = owned.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Value::Object(to_json(owned.collect()))
    }

    #[test]
    fn texts_become_what_they_stand_for() {
        let json = read(&[
            ("prompt", "7"),
            ("n", "2"),
            ("stream", "true"),
            ("steps", "many"),
            ("image[]", "a"),
            ("image[]", "b"),
            ("darkroom[seed]", "7"),
            ("darkroom[task_id]", "7"),
            ("user", "two\r\nlines\r"),
        ]);
        let expected = json!({
            "prompt": "7", "n": 2, "stream": true, "steps": "many", "image": ["a", "b"],
            "darkroom": { "seed": 7, "task_id": "7" }, "user": "two\nlines\r",
        });
        assert_eq!(json, expected);
        assert_eq!(
            read(&[("darkroom", r#"{"seed":7}"#)]),
            json!({ "darkroom": { "seed": 7 } })
        );
        assert_eq!(
            read(&[
                ("n", "1"),
                ("n", "2"),
                ("image", "a"),
                ("image[]", "b"),
                ("image[]", "c")
            ]),
            json!({ "n": [1, 2], "image": ["a", "b", "c"] })
        );
        assert_eq!(
            read(&[
                ("darkroom[seed]", "7"),
                ("darkroom[seed]", "8"),
                ("darkroom", "{}")
            ]),
            json!({ "darkroom": [{ "seed": [7, 8] }, {}] })
        );
        assert_eq!(
            read(&[("prompt", "p"), ("prompt[x]", "q")]),
            json!({ "prompt": ["p", "q"] })
        );
        let lists = format!(r#"{{"seed":[{}0]}}"#, "0,".repeat(10_000));
        for text in ["x", "[7]", &lists] {
            assert_eq!(read(&[("darkroom", text)]), json!({ "darkroom": text }));
            assert_eq!(read(&[("n", text)]), json!({ "n": text }));
        }
    }

    #[test]
    fn forms_that_differ_in_their_boundary_are_told_to_be_the_same() {
        let of = |media_type, body: &'static str| -> Vec<_> {
            pieces(media_type, body.as_bytes()).collect()
        };
        let one = of("multipart/form-data; boundary=ab", "--ab\r\nx\r\n--ab--");
        let same = of(
            "Multipart/Form-Data; charset=x; Boundary=\"c\"",
            "--c\r\nx\r\n--c--",
        );
        assert_eq!(one, [&b"--"[..], b"\r\nx\r\n--", b"--"]);
        assert_eq!(one, same);
        let other = of("multipart/form-data; boundary=c", "--c\r\ny\r\n--c--");
        assert_ne!(one, other);
        for media_type in [
            "",
            "application/json; boundary=ab",
            "multipart/form-data",
            "multipart/form-data; boundary=",
        ] {
            assert_eq!(of(media_type, "--ab"), [b"--ab"], "{media_type}");
        }
        let long = format!("multipart/form-data; boundary={}", "-".repeat(71));
        assert_eq!(of(&long, "--"), [b"--"]);
    }

    proptest! {
        #[test]
        fn no_names_make_it_panic(fields in proptest::collection::vec(
            ("[a\\[\\]]{0,5}|darkroom|darkroom\\[a", ".{0,4}"), 0..6,
        )) {
            let _ = to_json(fields);
        }
    }
}
