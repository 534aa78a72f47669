//! Forms (`multipart/form-data`), read by the runtime's own parser.

use darkroom_shared::input::data_url;
use darkroom_shared::problem::Code;
use darkroom_shared::request::MAX_BODY;
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Array, Uint8Array};
use worker::wasm_bindgen::{JsCast as _, JsValue};
use worker::worker_sys::web_sys;

use crate::body;
use crate::border::Lines;
use crate::call::Call;
use crate::failure::Failure;
use crate::log;
use crate::reply::Reply;

/// Files go on in base64, which is longer by a third, and must then fit into a body.
const MAX_FORM: usize = MAX_BODY / 4 * 3;

/// Whether a call's body is a form.
pub fn is_one(call: &Call) -> bool {
    let media_type = call.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("multipart/form-data")
}

/// The fields of a form in their order, files as `data:` URLs.
pub async fn read(call: &mut Call) -> Result<Vec<(String, String)>, Failure> {
    // The runtime reads without a limit: so it is given what has been read with one.
    let content_type = call.header("content-type").unwrap_or_default();
    let bytes = body::read_any(&call.request, &call.request_id, MAX_FORM).await?;
    let whole = Reply::new(200).with("content-type", content_type);
    let whole = whole.bytes(bytes).leave(&Lines::default())?;
    let form = async { JsFuture::from(whole.form_data()?).await };
    let form = form.await.map_err(|error| {
        log::warn(
            &call.request_id,
            format_args!("the form cannot be read: {error:?}"),
        );
        Failure::new(Code::Malformed, "the body is no whole multipart/form-data")
    })?;
    let mut fields = Vec::new();
    for entry in Array::from(&form) {
        let entry = Array::from(&entry);
        let name = entry.get(0).as_string().unwrap_or_default();
        fields.push((name, text(entry.get(1)).await?));
    }
    Ok(fields)
}

/// A field's text. The media type of a file is not passed on: nobody believes it.
async fn text(value: JsValue) -> worker::Result<String> {
    let Some(file) = value.dyn_ref::<web_sys::Blob>() else {
        return Ok(value.as_string().unwrap_or_default());
    };
    let buffer = JsFuture::from(file.array_buffer()).await?;
    let bytes = Uint8Array::new(&buffer).to_vec();
    Ok(data_url("application/octet-stream", &bytes))
}
