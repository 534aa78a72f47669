//! What became of the manifest in a file.

use std::io::Cursor;

use c2pa::validation_results::validation_codes::{
    SIGNING_CREDENTIAL_EXPIRED as EXPIRED, SIGNING_CREDENTIAL_UNTRUSTED as UNTRUSTED,
};
use c2pa::validation_status::ValidationStatus;
use c2pa::{Context, Error, Manifest, Reader, ValidationState};
use serde::Serialize;
use serde_json::{Value, json};

use super::claim::is_by_model;

/// The certificates that signers' are to lead to.
#[derive(Clone, Debug)]
pub struct Anchors(String);

/// What should be certificates is none.
#[derive(Debug, thiserror::Error)]
#[error("it holds no certificates: write the anchors' as PEM")]
pub struct AnchorsError(#[source] Option<Error>);

/// What a file's manifest is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// All is as it was signed, and the signer's certificate leads to one of the anchors.
    Trusted,
    /// All is as it was signed, by somebody whom no anchor vouches for.
    Valid,
    /// All is as it was signed, with a certificate whose time is over: nobody certified when.
    Expired,
    /// File or manifest were changed since, or never were right.
    Broken,
}

/// A check that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The C2PA specification's name for it, such as `assertion.dataHash.mismatch`.
    pub check: String,
    /// In words.
    pub explanation: Option<String>,
}

/// What a file's manifest says, and what it is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What it is worth.
    pub standing: Standing,
    /// Whose certificate it was signed with, by the certificate.
    pub signer: Option<String>,
    /// The program that wrote it.
    pub generator: Option<String>,
    /// Whether it says that a model made the picture, or a part of it.
    pub is_by_model: bool,
    /// What is wrong with it; empty where it is trusted or valid.
    pub failures: Vec<Failure>,
}

impl Anchors {
    /// Certificates as PEM.
    ///
    /// # Errors
    /// [`AnchorsError`].
    pub fn from_pem(pem: String) -> Result<Self, AnchorsError> {
        // A key, say, is PEM too.
        if !pem.contains("-----BEGIN CERTIFICATE-----") {
            return Err(AnchorsError(None));
        }
        let anchors = Self(pem);
        context(Some(&anchors)).map_err(|error| AnchorsError(Some(error)))?;
        Ok(anchors)
    }
}

/// The file's format holds no manifests.
#[derive(Debug, thiserror::Error)]
#[error("files of this format hold no content credentials")]
pub struct ReadError(#[from] Error);

/// What the manifest in a file says and is worth; `None` where there is none in it.
///
/// # Errors
/// [`ReadError`].
pub fn read(
    file: &[u8],
    media_type: &str,
    anchors: Option<&Anchors>,
) -> Result<Option<Report>, ReadError> {
    let reader = Reader::from_context(context(anchors)?);
    match reader.with_stream(media_type, Cursor::new(file)) {
        Ok(reader) => Ok(Some(report(&reader))),
        // One that is kept elsewhere is not fetched.
        Err(Error::JumbfNotFound | Error::RemoteManifestUrl(_)) => Ok(None),
        Err(error @ Error::UnsupportedType) => Err(error.into()),
        Err(error) => Ok(Some(Report {
            standing: Standing::Broken,
            signer: None,
            generator: None,
            is_by_model: false,
            failures: vec![Failure {
                check: "general.error".to_owned(),
                explanation: Some(error.to_string()),
            }],
        })),
    }
}

fn context(anchors: Option<&Anchors>) -> Result<Context, Error> {
    let pem = anchors.map(|Anchors(pem)| pem);
    Context::new().with_settings(json!({
        "trust": { "trust_anchors": pem },
        "verify": { "remote_manifest_fetch": false, "ocsp_fetch": false },
    }))
}

fn report(reader: &Reader) -> Report {
    let statuses = reader.validation_status().unwrap_or_default();
    let standing = match reader.validation_state() {
        ValidationState::Trusted => Standing::Trusted,
        ValidationState::Valid => Standing::Valid,
        ValidationState::Invalid if is_late(statuses.iter().map(ValidationStatus::code)) => {
            Standing::Expired
        }
        ValidationState::Invalid => Standing::Broken,
    };
    let manifest = reader.active_manifest();
    let signature = manifest.and_then(Manifest::signature_info);
    let names = signature.map(|signature| [&signature.common_name, &signature.issuer]);
    let names: Vec<_> = names.into_iter().flatten().flatten().cloned().collect();
    let is_wrong = matches!(standing, Standing::Expired | Standing::Broken);
    let failures = statuses.iter().filter(|_| is_wrong).map(|status| Failure {
        check: status.code().to_owned(),
        explanation: status.explanation().map(ToOwned::to_owned),
    });
    Report {
        standing,
        signer: Some(names.join(", ")).filter(|names| !names.is_empty()),
        generator: manifest.and_then(generator),
        is_by_model: manifest.is_some_and(says_model),
        failures: failures.collect(),
    }
}

/// Whether nothing else failed than that the certificate's time is over (and that nobody vouches for
/// it, which is no fault of the file's).
fn is_late<'a>(mut failed: impl Iterator<Item = &'a str> + Clone) -> bool {
    failed.clone().any(|check| check == EXPIRED)
        && failed.all(|check| [EXPIRED, UNTRUSTED].contains(&check))
}

fn generator(manifest: &Manifest) -> Option<String> {
    let program = manifest.claim_generator_info.as_ref()?.first()?;
    Some(match &program.version {
        Some(version) => format!("{} {version}", program.name),
        None => program.name.clone(),
    })
}

fn says_model(manifest: &Manifest) -> bool {
    let actions = manifest.assertions().iter();
    let actions = actions.filter(|assertion| assertion.label().starts_with("c2pa.actions"));
    let mut actions = actions.filter_map(|assertion| assertion.value().ok()?.get("actions"));
    actions.any(|actions| {
        let mut actions = actions.as_array().into_iter().flatten();
        actions.any(|action| {
            let source = action.get("digitalSourceType").and_then(Value::as_str);
            source.is_some_and(is_by_model)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_over_breaks_nothing() {
        let is_late = |failed: &[&str]| is_late(failed.iter().copied());
        assert!(is_late(&[EXPIRED]));
        assert!(is_late(&[UNTRUSTED, EXPIRED]));
        assert!(!is_late(&[UNTRUSTED]));
        assert!(!is_late(&[EXPIRED, "assertion.dataHash.mismatch"]));
    }
}
