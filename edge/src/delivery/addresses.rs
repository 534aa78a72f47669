//! Private images' addresses, in what the origin answers.

use darkroom_shared::signed_url::Ask;
use serde_json::{Map, Value};
use worker::Env;

use super::signer::Signer;
use crate::call::{Call, now};
use crate::failure::Failure;
use crate::log;

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
    let Ok(mut answer) = serde_json::from_slice(json) else {
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
    for image in images {
        address(image, &signer, &base).await?;
    }
    let first = answer.pointer("/images/0/url").cloned();
    if let (Some(place), Some(url)) = (answer.get_mut("image_url"), first) {
        *place = url;
    }
    Ok(Some(answer.to_string()))
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

async fn address(
    image: &mut Map<String, Value>,
    signer: &Signer,
    base: &str,
) -> Result<(), Failure> {
    let key = image.get("key").and_then(Value::as_str).unwrap_or_default();
    let resource = format!("{base}/{key}");
    let policy = Ask::default().policy(resource, now(), &signer.signing.lifetimes);
    let url = signer.url(&policy).await?;
    image.insert("url".to_owned(), url.into());
    image.insert("expires_at".to_owned(), policy.expires_at().into());
    Ok(())
}
