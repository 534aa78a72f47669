//! Large files, in parts: each with its own checksum, and visible only when all are there.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{Kept, Object, PART, S3, StorageError, status, unavailable};
use crate::cause::chain;

/// Stores a file in parts. Where that fails nothing of it is left, unless the process ends or the
/// store goes away meanwhile: then [`super::S3::abort_uploads`] finds it.
pub(super) async fn put(s3: &S3, object: &Object, bytes: &Bytes) -> Result<Kept, StorageError> {
    let upload = begin(s3, object).await?;
    let completed = match send(s3, object, &upload, bytes).await {
        Ok(parts) => complete(s3, object, &upload, parts).await,
        Err(error) => Err(error),
    };
    let Err(failure) = completed else {
        return s3.require_ours(object, bytes.len()).await;
    };
    if let Err(error) = abort(s3, &object.key, &upload).await {
        let key = &object.key;
        tracing::warn!(key, error = chain(&error), "parts stay in the store");
    }
    // What counts is what is there: of several tries to complete it the first may have gone
    // through, and its answer got lost.
    match s3.require_ours(object, bytes.len()).await {
        Err(StorageError::Unavailable { .. }) => Err(failure),
        looked => looked,
    }
}

/// Gives an upload up, with the parts that it has. One that is over is none to give up.
pub(super) async fn abort(s3: &S3, key: &str, upload: &str) -> Result<(), StorageError> {
    let request = s3.client().await.abort_multipart_upload();
    let request = request.bucket(&s3.bucket.name).key(key).upload_id(upload);
    match request.send().await {
        Err(error) if status(&error) != Some(404) => {
            Err(unavailable("give up the upload of", key, error))
        }
        _ => Ok(()),
    }
}

async fn begin(s3: &S3, object: &Object) -> Result<String, StorageError> {
    let mut request = s3
        .client()
        .await
        .create_multipart_upload()
        .bucket(&s3.bucket.name)
        .key(&object.key)
        .content_type(&object.content_type)
        .cache_control(object.cache_control())
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .set_server_side_encryption(s3.encryption())
        .set_ssekms_key_id(s3.kms_key())
        .set_bucket_key_enabled(s3.bucket_key())
        .set_tagging(s3.tags(&object.key));
    for (name, value) in object.metadata.entries() {
        request = request.metadata(name, value);
    }
    let answer = request.send().await;
    let upload = answer.map_err(|error| unavailable("store", &object.key, error))?;
    upload
        .upload_id
        .ok_or_else(|| unavailable("store", &object.key, NoUploadId))
}

async fn send(
    s3: &S3,
    object: &Object,
    upload: &str,
    bytes: &Bytes,
) -> Result<Vec<CompletedPart>, StorageError> {
    let mut parts = Vec::new();
    let mut rest = bytes.clone();
    for number in 1.. {
        let part = rest.split_to(rest.len().min(PART));
        if part.is_empty() {
            break;
        }
        let checksum = BASE64.encode(Sha256::digest(&part));
        let sent = s3
            .client()
            .await
            .upload_part()
            .bucket(&s3.bucket.name)
            .key(&object.key)
            .upload_id(upload)
            .part_number(number)
            .checksum_sha256(&checksum)
            .body(ByteStream::from(part))
            .send()
            .await
            .map_err(|error| unavailable("store a part of", &object.key, error))?;
        let part = CompletedPart::builder()
            .part_number(number)
            .checksum_sha256(checksum)
            .set_e_tag(sent.e_tag);
        parts.push(part.build());
    }
    Ok(parts)
}

async fn complete(
    s3: &S3,
    object: &Object,
    upload: &str,
    parts: Vec<CompletedPart>,
) -> Result<(), StorageError> {
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
    s3.client()
        .await
        .complete_multipart_upload()
        .bucket(&s3.bucket.name)
        .key(&object.key)
        .upload_id(upload)
        .multipart_upload(parts.build())
        // Nothing under our key is ever replaced.
        .if_none_match("*")
        .send()
        .await
        .map_err(|error| unavailable("store", &object.key, error))?;
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("the answer names no upload")]
struct NoUploadId;
