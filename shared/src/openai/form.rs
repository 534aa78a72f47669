//! A form's fields as the JSON that they stand for. OpenAI's clients write `image[]` for a list's
//! items and `darkroom[seed]` for an object's fields; all values are texts.

use serde_json::{Map, Value};

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
pub(super) fn to_json(fields: Vec<(String, String)>) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, text) in fields {
        if let Some(list) = name.strip_suffix("[]") {
            let list = map.entry(list).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(items) = list {
                items.push(text.into());
            }
        } else if let Some((outer, inner)) = nested(&name) {
            let outer = map
                .entry(outer)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(fields) = outer {
                fields.insert(inner.to_owned(), value(inner, text));
            }
        } else if name == "darkroom" {
            let object = serde_json::from_str(&text);
            map.insert(name, object.unwrap_or(Value::String(text)));
        } else {
            let value = value(&name, text);
            map.insert(name, value);
        }
    }
    map
}

fn nested(name: &str) -> Option<(&str, &str)> {
    name.strip_suffix(']')?.split_once('[')
}

fn value(name: &str, text: String) -> Value {
    let scalar = SCALARS.contains(&name).then(|| serde_json::from_str(&text));
    match scalar {
        Some(Ok(value @ (Value::Number(_) | Value::Bool(_)))) => value,
        _ => Value::String(text),
    }
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
        ]);
        let expected = json!({
            "prompt": "7", "n": 2, "stream": true, "steps": "many", "image": ["a", "b"],
            "darkroom": { "seed": 7, "task_id": "7" },
        });
        assert_eq!(json, expected);
        assert_eq!(
            read(&[("darkroom", r#"{"seed":7}"#)]),
            json!({ "darkroom": { "seed": 7 } })
        );
        assert_eq!(read(&[("darkroom", "x")]), json!({ "darkroom": "x" }));
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
