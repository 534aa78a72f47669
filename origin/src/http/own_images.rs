//! Pictures that a request names by the ids of images: fetched from the store.

use darkroom_shared::input::{File, Source};
use darkroom_shared::problem::FieldError;
use darkroom_shared::request::GenerateRequest;
use futures_util::TryStreamExt as _;

use super::{ApiError, App};
use crate::storage::{StorageError, Stored};

/// Puts files in the places of ids. Another account's image is as little there as none.
pub(super) async fn look_up(
    app: &App,
    account: &str,
    request: &mut GenerateRequest,
) -> Result<(), ApiError> {
    for (field, source) in [
        ("init_image", &mut request.init_image),
        ("mask", &mut request.mask),
    ] {
        let Some(Source::Image(id)) = source else {
            continue;
        };
        let file = fetch(app, account, id).await?;
        let file = file.unwrap_or_else(|| Err("is none of your images".to_owned()));
        *source = Some(Source::File(file.map_err(|message| {
            let field = field.to_owned();
            vec![FieldError { field, message }]
        })?));
    }
    Ok(())
}

/// An image's file, or why it is of no use; `None` where there is no such image.
async fn fetch(
    app: &App,
    account: &str,
    id: &str,
) -> Result<Option<Result<File, String>>, ApiError> {
    let Some(image) = app.queue.image(account, id).await? else {
        return Ok(None);
    };
    let Some(stored) = app.storage.get(&image.key).await? else {
        return Ok(None);
    };
    let Stored { body, .. } = stored;
    let bytes = body.try_fold(Vec::new(), async |mut bytes, piece| {
        bytes.extend_from_slice(&piece);
        Ok(bytes)
    });
    let bytes = bytes.await.map_err(|source| StorageError::Unavailable {
        what: "read",
        key: image.key,
        source: source.into(),
    })?;
    Ok(Some(File::new(bytes)))
}
