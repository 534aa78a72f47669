//! Private images' addresses, in what the origin answers.

use darkroom_shared::job::{Candidate, Image, srcset};
use darkroom_shared::request::Visibility;
use serde_json::{Map, Value};
use worker::Env;

use super::signer::Signer;
use crate::call::Call;
use crate::failure::Failure;
use crate::{json, log};

/// How the origin says that an image is private.
const PRIVATE: &[u8] = b"\"private\"";

/// For whom addresses are signed.
pub(super) struct Place {
    env: Env,
    /// As the caller knows the edge.
    site: String,
    pub request_id: String,
}

impl Place {
    pub fn of(call: &Call) -> Self {
        Self {
            env: call.env.clone(),
            site: call.site.clone(),
            request_id: call.request_id.clone(),
        }
    }
}

/// The same body, in which every private image has a signed URL and its end. Only who may see an
/// image is answered with it, so that whoever it is may fetch it too.
pub async fn with_addresses(call: &Call, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let signed = sign_images(&Place::of(call), &body).await?;
    Ok(signed.map_or(body, String::into_bytes))
}

/// A JSON text with its private images' addresses signed; none where it has no such image.
pub(super) async fn sign_images(place: &Place, json: &[u8]) -> Result<Option<String>, Failure> {
    // Most texts have none, and are passed on as they are.
    if !json.windows(PRIVATE.len()).any(|part| part == PRIVATE) {
        return Ok(None);
    }
    let Ok(mut answer) = json::read(json) else {
        return Ok(None);
    };
    let mut images = Vec::new();
    find_private(&mut answer, &mut images);
    if images.is_empty() {
        return Ok(None);
    }
    let signer = match Signer::open(&place.env) {
        Ok(signer) => signer,
        Err(failure) => {
            // What is known of a job is worth telling without its pictures' addresses, too.
            log::error(
                &place.request_id,
                format_args!("no address is signed: {failure}"),
            );
            return Ok(None);
        }
    };
    let base = signer.mode.base(&place.site);
    let mut renamed = Vec::new();
    for image in images {
        renamed.push(address(image, &signer, &base).await?);
    }
    rename(&mut answer, &renamed);
    Ok(Some(answer.to_string()))
}

/// The same of images that are still to be told.
pub async fn address_images(call: &Call, images: &mut [Image]) -> Result<(), Failure> {
    let is_private = |image: &Image| image.visibility == Visibility::Private;
    if !images.iter().any(is_private) {
        return Ok(());
    }
    let signer = Signer::open(&call.env)?;
    let base = signer.mode.base(&call.site);
    for image in images.iter_mut().filter(|image| is_private(image)) {
        let policy = signer.policy(&base, &image.key);
        image.url = signer.url(&policy).await?;
        image.expires_at = Some(policy.expires.saturating_mul(1000));
        for variant in &mut image.variants {
            let policy = signer.policy(&base, &variant.key);
            variant.url = signer.url(&policy).await?;
        }
        image.srcset = image.srcset_of_variants();
    }
    Ok(())
}

fn find_private<'a>(value: &'a mut Value, found: &mut Vec<&'a mut Map<String, Value>>) {
    match value {
        Value::Object(map) => {
            if is_private_image(map) {
                found.push(map);
            } else {
                map.values_mut()
                    .for_each(|value| find_private(value, found));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| find_private(item, found)),
        _ => {}
    }
}

fn is_private_image(map: &Map<String, Value>) -> bool {
    let text = |name| map.get(name).and_then(Value::as_str);
    text("visibility") == Some("private") && text("key").is_some()
}

/// An image's address before and after.
type Renamed = (Option<Value>, String);

async fn address(
    image: &mut Map<String, Value>,
    signer: &Signer,
    base: &str,
) -> Result<Renamed, Failure> {
    let key = image.get("key").and_then(Value::as_str).unwrap_or_default();
    let policy = signer.policy(base, key);
    let url = signer.url(&policy).await?;
    let before = image.insert("url".to_owned(), url.as_str().into());
    image.insert("expires_at".to_owned(), policy.expires_at().into());
    if let Some(Value::Array(variants)) = image.get_mut("variants") {
        for variant in variants.iter_mut().filter_map(Value::as_object_mut) {
            let key = variant.get("key").and_then(Value::as_str);
            let policy = signer.policy(base, key.unwrap_or_default());
            let url = signer.url(&policy).await?;
            variant.insert("url".to_owned(), url.into());
        }
        let srcset = srcset_of(image);
        image.extend(srcset.map(|srcset| ("srcset".to_owned(), srcset.into())));
    }
    Ok((before, url))
}

/// The choice between an image and its copies; none where there are no copies, or other ones than
/// are known here.
fn srcset_of(image: &Map<String, Value>) -> Option<String> {
    let variants = image.get("variants")?.as_array()?.iter();
    let copies: Option<Vec<_>> = variants.map(|copy| candidate(copy.as_object()?)).collect();
    srcset(&copies?, candidate(image)?)
}

fn candidate(map: &Map<String, Value>) -> Option<Candidate<'_>> {
    Some(Candidate {
        url: map.get("url")?.as_str()?,
        width: map.get("width")?.as_u64()?,
        content_type: map.get("content_type")?.as_str()?,
    })
}

/// Puts the new addresses wherever the old ones stand beside the images.
fn rename(value: &mut Value, renamed: &[Renamed]) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let is_old = |(old, _): &&Renamed| old.as_ref() == Some(value);
                let new = renamed.iter().find(is_old).map(|(_, new)| new);
                match new.filter(|_| matches!(name.as_str(), "url" | "image_url")) {
                    Some(new) => *value = new.as_str().into(),
                    None => rename(value, renamed),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, renamed)),
        _ => {}
    }
}
