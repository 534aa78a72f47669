//! What a manifest says of a picture.

use serde_json::{Value, json};

const MADE: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";
const MADE_FROM: &str =
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";

/// What a manifest says of a picture: a model made it, whose is said, and nothing of when and for
/// whom.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim<'a> {
    /// What the picture is called.
    pub title: Option<&'a str>,
    /// Whether it began with another picture. That one is named nowhere: who made it is not known.
    pub begins_with_picture: bool,
}

impl Claim<'_> {
    /// The claim as `c2pa` takes it.
    pub(crate) fn definition(&self) -> Value {
        let darkroom = json!({ "name": "Darkroom", "version": env!("CARGO_PKG_VERSION") });
        let source = if self.begins_with_picture {
            MADE_FROM
        } else {
            MADE
        };
        json!({
            "claim_generator_info": [darkroom],
            "title": self.title,
            "assertions": [{
                "label": "c2pa.actions.v2",
                "created": true,
                "data": { "actions": [{
                    "action": "c2pa.created",
                    "digitalSourceType": source,
                    "softwareAgent": darkroom,
                }] },
            }],
        })
    }
}

/// Whether an action's source type says that a model had a part in the picture.
pub(crate) fn is_by_model(source: &str) -> bool {
    [MADE, MADE_FROM].contains(&source)
}
