//! Puts signed manifests into files.

use std::fmt;
use std::io::Cursor;

use c2pa::crypto::cose::{
    CertificateProfileError, CertificateTrustPolicy, check_end_entity_certificate_profile,
};
use c2pa::status_tracker::StatusTracker;
use c2pa::{BoxedSigner, Builder, Context, SigningAlg, create_signer};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::{Claim, Standing, read};

/// What a key may be for. Each is read by its own kind alone, so that the first that reads it is it.
const ALGORITHMS: [SigningAlg; 5] = [
    SigningAlg::Es256,
    SigningAlg::Es384,
    SigningAlg::Es512,
    SigningAlg::Ed25519,
    SigningAlg::Ps256,
];

/// A certificate with its key.
pub struct Signer(BoxedSigner);

/// Why nothing can be signed with a certificate and a key.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The key's file.
    #[error(
        "it holds no private key that pictures can be signed with: write one of P-256, Ed25519 or \
         RSA as PKCS #8 (`openssl pkcs8 -topk8 -nocrypt`)"
    )]
    Key,
    /// The certificate's file.
    #[error(
        "it holds no certificate: write the signer's, and those up to the anchor's behind it, as PEM"
    )]
    NoCertificate,
    /// Today is not in the time that it is for.
    #[error("the certificate has expired, or is not valid yet: have another issued")]
    Expired,
    /// What it may be used for, or how it was made.
    #[error(
        "the certificate is not fit for C2PA ({0}): it must be of version 3, issued by another than \
         itself, for digital signatures, with the extended key usage emailProtection, \
         documentSigning or C2PA's own"
    )]
    Unfit(#[source] CertificateProfileError),
    /// It is another key's.
    #[error("the key is not that of the certificate")]
    Mismatch,
    /// Nothing could be signed, for another reason.
    #[error("nothing can be signed with the certificate and its key")]
    Sign(#[from] SignError),
}

impl SignerError {
    /// Whether the key's file is what is wrong, and not the certificate's.
    #[must_use]
    pub fn is_of_key(&self) -> bool {
        matches!(self, Self::Key | Self::Mismatch)
    }
}

/// A file could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("the picture cannot be signed")]
pub struct SignError(#[from] c2pa::Error);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.0.alg())
    }
}

impl Signer {
    /// A signer from PEM: its certificate with those up to the anchor's behind it, and its key
    /// (PKCS #8). The kind of key says how it signs.
    ///
    /// # Errors
    /// [`SignerError`]: whatever would keep [`Self::sign`] from signing today.
    pub fn from_pem(certificates: &str, key: &SecretString) -> Result<Self, SignerError> {
        let (chain, key) = (certificates.as_bytes(), key.expose_secret().as_bytes());
        let signer = |algorithm| create_signer::from_keys(chain, key, algorithm, None).ok();
        let signer = ALGORITHMS.into_iter().find_map(signer);
        let signer = Self(signer.ok_or(SignerError::Key)?);
        signer.check()?;
        // By what it signs: whoever reads that goes by the certificate's key.
        let signed = signer.sign(PIXEL, "image/png", &Claim::default())?;
        let report = read(&signed, "image/png", None);
        match report.ok().flatten().map(|report| report.standing) {
            None | Some(Standing::Broken) => Err(SignerError::Mismatch),
            Some(_) => Ok(signer),
        }
    }

    /// Whether the certificate is good for pictures that are signed now.
    ///
    /// # Errors
    /// [`SignerError::Expired`], and what [`Self::from_pem`] says of certificates.
    pub fn check(&self) -> Result<(), SignerError> {
        let chain = self.0.certs().map_err(|_| SignerError::NoCertificate)?;
        let certificate = chain.first().ok_or(SignerError::NoCertificate)?;
        check_end_entity_certificate_profile(
            certificate,
            &CertificateTrustPolicy::default(),
            &mut StatusTracker::default(),
            None,
        )
        .map_err(|error| match error {
            CertificateProfileError::CertificateNotValidAtTime => SignerError::Expired,
            error => SignerError::Unfit(error),
        })
    }

    /// The file with a signed manifest in it, which covers every other byte. Another one each time:
    /// a manifest has a name of its own.
    ///
    /// # Errors
    /// [`SignError`]: the file is not of the type, or the certificate has expired.
    pub fn sign(
        &self,
        file: &[u8],
        media_type: &str,
        claim: &Claim<'_>,
    ) -> Result<Vec<u8>, SignError> {
        let context = Context::new().with_settings(json!({
            "builder": { "thumbnail": { "enabled": false } },
        }))?;
        let mut builder =
            Builder::from_context(context).with_definition(claim.definition().to_string())?;
        let mut signed = Cursor::new(Vec::with_capacity(file.len() + 32 * 1024));
        builder.sign(&*self.0, media_type, &mut Cursor::new(file), &mut signed)?;
        Ok(signed.into_inner())
    }
}

/// A PNG of one pixel, for the trial.
const PIXEL: &[u8] = include_bytes!("pixel.png");
