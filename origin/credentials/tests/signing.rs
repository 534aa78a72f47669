//! Signed, read back, and found out: with the certificates that `scripts/fixtures/make_certificates`
//! made.

use std::io::Cursor;

use darkroom_credentials::{Anchors, Claim, Signer, SignerError, Standing, read};
use image::{ImageFormat, RgbImage};
use secrecy::SecretString;

const FORMATS: [(ImageFormat, &str); 3] = [
    (ImageFormat::Png, "image/png"),
    (ImageFormat::Jpeg, "image/jpeg"),
    (ImageFormat::WebP, "image/webp"),
];
const ES256: (&str, &str) = (
    include_str!("../certificates/es256.pem"),
    include_str!("../certificates/es256.key"),
);
const ED25519: (&str, &str) = (
    include_str!("../certificates/ed25519.pem"),
    include_str!("../certificates/ed25519.key"),
);
const PS256: (&str, &str) = (
    include_str!("../certificates/ps256.pem"),
    include_str!("../certificates/ps256.key"),
);
const ANCHOR: &str = include_str!("../certificates/anchor.pem");

fn signer((certificate, key): (&str, &str)) -> Result<Signer, SignerError> {
    Signer::from_pem(certificate, &SecretString::from(key))
}

fn anchors(pem: &str) -> Anchors {
    Anchors::from_pem(pem.to_owned()).expect("certificates")
}

fn file(format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).expect("encoded");
    file.into_inner()
}

fn signed(format: ImageFormat, media_type: &str) -> Vec<u8> {
    let claim = Claim {
        title: Some("a red circle"),
        ..Claim::default()
    };
    let signer = signer(ES256).expect("a signer");
    let signed = signer.sign(&file(format), media_type, &claim);
    signed.expect("signed")
}

#[test]
fn every_kind_of_key_signs_every_format() {
    for (pair, name) in [(ES256, "es256"), (ED25519, "ed25519"), (PS256, "ps256")] {
        let signer = signer(pair).expect("a signer");
        for (format, media_type) in FORMATS {
            let signed = signer.sign(&file(format), media_type, &Claim::default());
            let signed = signed.expect("signed");
            let report = |anchors: Option<Anchors>| {
                let report = read(&signed, media_type, anchors.as_ref());
                report.expect("read").expect("one")
            };
            let trusted = report(Some(anchors(ANCHOR)));
            assert_eq!(trusted.standing, Standing::Trusted, "{trusted:?}");
            assert!(trusted.is_by_model, "{trusted:?}");
            assert!(trusted.signer.is_some_and(|signer| signer.contains(name)));
            let generator = concat!("Darkroom ", env!("CARGO_PKG_VERSION"));
            assert_eq!(trusted.generator.as_deref(), Some(generator));
            // A certificate that is no anchor's vouches for nobody.
            for anchors in [None, Some(anchors(pair.0))] {
                let report = report(anchors);
                assert_eq!(report.standing, Standing::Valid, "{report:?}");
                assert!(report.failures.is_empty());
            }
        }
    }
}

#[test]
fn a_signature_leaves_the_pixels_as_they_are() {
    for (format, media_type) in FORMATS {
        let pixels = |file: &[u8]| image::load_from_memory(file).expect("a picture").to_rgb8();
        assert_eq!(pixels(&signed(format, media_type)), pixels(&file(format)));
    }
}

#[test]
fn a_picture_that_was_changed_is_found_out() {
    for (format, media_type) in FORMATS {
        let plain = file(format);
        let mut signed = signed(format, media_type);
        // The bytes of the pixels are where they were, counted from the end or from the begin.
        let middle = &plain[plain.len() / 2..plain.len() / 2 + 16];
        let at = signed.windows(16).position(|bytes| bytes == middle);
        signed[at.expect("the pixels")] ^= 1;
        let report = read(&signed, media_type, Some(&anchors(ANCHOR)));
        let report = report.expect("read").expect("one");
        assert_eq!(report.standing, Standing::Broken);
        let mut checks = report.failures.iter().map(|failure| failure.check.as_str());
        assert!(checks.any(|check| check == "assertion.dataHash.mismatch"));
    }
}

#[test]
fn a_manifest_that_was_changed_is_found_out() {
    let mut signed = signed(ImageFormat::Png, "image/png");
    let title = b"a red circle";
    let at = signed.windows(title.len()).position(|bytes| bytes == title);
    signed[at.expect("the title")] ^= 1;
    let report = read(&signed, "image/png", None)
        .expect("read")
        .expect("one");
    assert_eq!(report.standing, Standing::Broken, "{report:?}");
    assert!(!report.failures.is_empty());
}

#[test]
fn a_picture_without_a_manifest_has_none() {
    for (format, media_type) in FORMATS {
        let read = read(&file(format), media_type, None);
        assert_eq!(read.expect("read"), None);
    }
}

#[test]
fn a_picture_that_began_with_another_says_so() {
    let claim = Claim {
        begins_with_picture: true,
        ..Claim::default()
    };
    let signer = signer(ES256).expect("a signer");
    let signed = signer.sign(&file(ImageFormat::Png), "image/png", &claim);
    let signed = signed.expect("signed");
    let says = |text: &str| signed.windows(text.len()).any(|b| b == text.as_bytes());
    assert!(says(
        "digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    ));
    let report = read(&signed, "image/png", Some(&anchors(ANCHOR)));
    let report = report.expect("read").expect("one");
    assert!(
        report.is_by_model && report.standing == Standing::Trusted,
        "{report:?}"
    );
}

#[test]
fn what_cannot_sign_is_refused_with_its_reason() {
    let refused = |pair| signer(pair).expect_err("refused");
    let other = include_str!("../certificates/other.key");
    assert!(matches!(refused((ES256.0, "hush")), SignerError::Key));
    assert!(matches!(refused((ES256.0, other)), SignerError::Mismatch));
    assert!(matches!(
        refused((ES256.0, ED25519.1)),
        SignerError::Mismatch
    ));
    assert!(matches!(refused(("", ES256.1)), SignerError::NoCertificate));
    let expired = include_str!("../certificates/expired.pem");
    assert!(matches!(refused((expired, ES256.1)), SignerError::Expired));
    let unfit = include_str!("../certificates/unfit.pem");
    assert!(matches!(refused((unfit, ES256.1)), SignerError::Unfit(_)));
    let key_twice = (ES256.1, ES256.1);
    assert!(matches!(refused(key_twice), SignerError::Unfit(_)));
    assert!(Anchors::from_pem("no certificate".to_owned()).is_err());
}

#[test]
fn a_signer_shows_no_key() {
    let shown = format!("{:?}", signer(ES256).expect("a signer"));
    assert_eq!(shown, "Signer(es256)");
}
