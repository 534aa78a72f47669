//! What is stored beside a picture: the same in a bucket and in a folder.

use std::fmt::Write as _;

use darkroom_shared::key::{CACHE_CONTROL_PRIVATE, CACHE_CONTROL_PUBLIC, visibility};
use darkroom_shared::request::Visibility;
use darkroom_shared::timestamp::UnixMillis;
use darkroom_shared::timestamp::to_rfc3339;
use serde::{Deserialize, Serialize};

/// S3 takes 2 KB of metadata in all; the other entries need less than half of that.
const MAX_TASK_ID: usize = 1000;

/// A picture to be stored.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its name.
    pub key: String,
    /// Its media type.
    pub content_type: String,
    /// What is stored beside it.
    pub metadata: Metadata,
    /// Whether it is signed: one that was made anew has another signature, and is the same object.
    pub is_signed: bool,
}

/// What a store has under an object's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The file's size.
    pub bytes: u64,
    /// SHA-256 of the file, hex.
    pub sha256: String,
}

impl Object {
    /// How long browsers and the CDN may keep it.
    #[must_use]
    pub fn cache_control(&self) -> &'static str {
        match visibility(&self.key) {
            Visibility::Private => CACHE_CONTROL_PRIVATE,
            Visibility::Public => CACHE_CONTROL_PUBLIC,
        }
    }

    /// Whether a stored file is this object, by what is stored beside it.
    pub(super) fn is(&self, sha256: &str, recipe_sha256: Option<&str>) -> bool {
        let ours = &self.metadata;
        sha256 == ours.sha256 || self.is_signed && recipe_sha256 == Some(&ours.recipe_sha256)
    }
}

/// The metadata of a picture, named as S3's `x-amz-meta-…` headers are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Metadata {
    /// The caller's label, percent-encoded, cut where it would not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// When it was made, RFC 3339.
    pub generated_at: String,
    /// The hash of its recipe.
    pub recipe_sha256: String,
    /// The model's name, percent-encoded.
    pub model: String,
    /// Its seed.
    pub seed: String,
    /// SHA-256 of the whole file, hex.
    pub sha256: String,
}

/// What [`Metadata`] is made of.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The caller's label, as sent.
    pub task_id: Option<&'a str>,
    /// When the picture was made.
    pub made_at: UnixMillis,
    /// The hash of its recipe.
    pub recipe_sha256: &'a str,
    /// The model's name.
    pub model: &'a str,
    /// Its seed.
    pub seed: u64,
    /// SHA-256 of the whole file, hex.
    pub sha256: &'a str,
}

impl Metadata {
    /// Metadata in a form that headers can carry.
    #[must_use]
    pub fn new(about: &About<'_>) -> Self {
        Self {
            task_id: about.task_id.map(header_safe),
            generated_at: to_rfc3339(about.made_at),
            recipe_sha256: about.recipe_sha256.to_owned(),
            model: header_safe(about.model),
            seed: about.seed.to_string(),
            sha256: about.sha256.to_owned(),
        }
    }

    /// Names and values, as a store keeps them.
    #[must_use]
    pub fn entries(&self) -> Vec<(&'static str, &str)> {
        let task_id = self.task_id.as_deref().map(|id| ("task-id", id));
        let others = [
            ("generated-at", self.generated_at.as_str()),
            ("recipe-sha256", &self.recipe_sha256),
            ("model", &self.model),
            ("seed", &self.seed),
            ("sha256", &self.sha256),
        ];
        task_id.into_iter().chain(others).collect()
    }
}

/// Percent-encodes all but plain ASCII, whole characters only, up to [`MAX_TASK_ID`] bytes.
fn header_safe(text: &str) -> String {
    let mut safe = String::new();
    for character in text.chars() {
        let before = safe.len();
        if character.is_ascii_graphic() && character != '%' {
            safe.push(character);
        } else {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                write!(safe, "%{byte:02X}").expect("a String takes any text");
            }
        }
        if safe.len() > MAX_TASK_ID {
            safe.truncate(before);
            break;
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> About<'static> {
        About {
            task_id: Some("Bild für 100 %\n"),
            made_at: 0,
            recipe_sha256: "r",
            model: "demo",
            seed: 7,
            sha256: "s",
        }
    }

    #[test]
    fn labels_in_any_script_fit_into_headers() {
        let metadata = Metadata::new(&about());
        assert_eq!(
            metadata.task_id.as_deref(),
            Some("Bild%20f%C3%BCr%20100%20%25%0A")
        );
        let long = "🦊".repeat(200);
        let cut = Metadata::new(&About {
            task_id: Some(&long),
            ..about()
        });
        let cut = cut.task_id.expect("label");
        assert_eq!(cut.len() % 12, 0, "whole characters");
        assert!(cut.len() <= MAX_TASK_ID);
    }

    #[test]
    fn entries_are_what_a_folder_writes() {
        let metadata = Metadata::new(&about());
        let json = serde_json::to_value(&metadata).expect("JSON");
        let entries = metadata.entries();
        assert_eq!(json.as_object().expect("object").len(), entries.len());
        for (name, value) in entries {
            assert_eq!(json[name], value);
        }
    }
}
