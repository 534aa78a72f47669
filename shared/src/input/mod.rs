//! Pictures that a request brings along: where they come from, and what can be told of them
//! without decoding them.

mod header;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub use header::{Header, Kind};

use crate::limits::LIMITS;
use crate::outside::Reach;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A picture as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Sent along.
    File(File),
    /// One of the caller's own images, by its id: what it is only the origin knows.
    Image(String),
    /// At an address that the origin asks: what is there only it knows.
    Address(String),
}

/// A picture's file whose header reads well; whether the rest does shows when it is decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    bytes: Vec<u8>,
    header: Header,
    sha256: String,
}

impl Source {
    /// Reads an image's id, a `data:` URL, or an address within `reach`.
    ///
    /// # Errors
    /// What is wrong, for the caller.
    pub(crate) fn parse(text: &str, reach: &Reach) -> Result<Self, String> {
        if let Some(url) = text.strip_prefix("data:") {
            let bytes = decode(url)?;
            let size = bytes.len() as u64;
            let most = LIMITS.input_bytes.max;
            if size > most {
                return Err(format!("may have at most {most} bytes, has {size}"));
            }
            return File::new(bytes).map(Self::File);
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            reach.check(text)?;
            return Ok(Self::Address(text.to_owned()));
        }
        let is_id = |id: Uuid| id.hyphenated().to_string() == text;
        if Uuid::try_parse(text).is_ok_and(is_id) {
            return Ok(Self::Image(text.to_owned()));
        }
        Err("must be a `data:` URL, an https URL or the id of an image of yours".to_owned())
    }

    /// What stands for it in a recipe: a file's digest, or as long as there is none, its id or
    /// address in a form that is no digest.
    pub(crate) fn mark(&self) -> String {
        match self {
            Self::File(file) => file.sha256.clone(),
            Self::Image(id) => format!("image:{id}"),
            Self::Address(url) => format!("address:{url}"),
        }
    }

    /// The file, where it is here.
    #[must_use]
    pub const fn file(&self) -> Option<&File> {
        match self {
            Self::File(file) => Some(file),
            Self::Image(_) | Self::Address(_) => None,
        }
    }
}

impl File {
    /// Looks at a picture's file.
    ///
    /// # Errors
    /// What is wrong with it, for the caller.
    pub fn new(bytes: Vec<u8>) -> Result<Self, String> {
        let header = Header::read(&bytes).ok_or("must be a PNG, JPEG or WebP picture")?;
        let (width, height) = header.size();
        let pixels = u64::from(width) * u64::from(height);
        let most = LIMITS.input_pixels.max;
        if pixels == 0 || pixels > most {
            return Err(format!(
                "may have at most {most} pixels, and one at least; is {width}x{height}"
            ));
        }
        Ok(Self {
            sha256: hex::encode(Sha256::digest(&bytes)),
            bytes,
            header,
        })
    }

    /// The file as it came.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What its header says.
    #[must_use]
    pub const fn header(&self) -> Header {
        self.header
    }
}

/// The bytes of a `data:` URL (RFC 2397) behind its scheme. The media type is not believed: what
/// a picture is, its own bytes say.
fn decode(url: &str) -> Result<Vec<u8>, String> {
    let data = url
        .split_once(',')
        .and_then(|(media_type, data)| media_type.ends_with(";base64").then_some(data));
    let data = data.ok_or("must begin with `data:image/png;base64,` or the like")?;
    BASE64
        .decode(data)
        .map_err(|error| format!("is no base64: {error}"))
}

/// Appends bytes in base64 to a text.
pub fn push_base64(bytes: &[u8], text: &mut String) {
    // Growing into its size, a large text would take half as much memory again on the way.
    text.reserve_exact(bytes.len().div_ceil(3).saturating_mul(4));
    BASE64.encode_string(bytes, text);
}

/// A picture's file as a `data:` URL.
#[must_use]
pub fn data_url(media_type: &str, bytes: &[u8]) -> String {
    let mut url = format!("data:{media_type};base64,");
    push_base64(bytes, &mut url);
    url
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As much of a PNG of 20 by 10 as its header is.
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x14\0\0\0\x0a\x08\x02\0\0\0";

    fn parse(text: &str) -> Result<Source, String> {
        Source::parse(text, &Reach::default())
    }

    fn refusal(text: &str) -> String {
        parse(text).expect_err("refused")
    }

    #[test]
    fn a_data_url_is_decoded_and_looked_at() {
        for url in [
            data_url("image/png", PNG),
            // Not padded, and of another media type than it says.
            data_url("image/jpeg;x=y", PNG)
                .trim_end_matches('=')
                .to_owned(),
        ] {
            let source = parse(&url).expect("a picture");
            let file = source.file().expect("a file");
            assert_eq!(file.bytes(), PNG);
            assert_eq!(file.header().size(), (20, 10));
            assert_eq!(source.mark(), hex::encode(Sha256::digest(PNG)));
        }
    }

    #[test]
    fn an_id_is_kept_and_marked_as_no_digest_is() {
        let id = "01234567-89ab-cdef-0123-456789abcdef";
        let source = parse(id).expect("an id");
        assert_eq!(source, Source::Image(id.to_owned()));
        assert_eq!(source.mark(), format!("image:{id}"));
    }

    #[test]
    fn a_public_address_is_kept() {
        let url = "https://example.com/a.png";
        let source = parse(url).expect("an address");
        assert_eq!(source, Source::Address(url.to_owned()));
        assert_eq!(source.mark(), format!("address:{url}"));
    }

    #[test]
    fn what_is_no_picture_is_refused_with_a_reason() {
        assert_eq!(
            refusal("https://10.0.0.1/a.png"),
            "must be a public address"
        );
        assert_eq!(
            refusal("http://example.com/a.png"),
            "must begin with https://"
        );
        for text in [
            "",
            "fox",
            "file:///etc/passwd",
            "0123456789abcdef0123456789abcdef",
            "01234567-89AB-cdef-0123-456789abcdef",
        ] {
            assert!(refusal(text).starts_with("must be a `data:` URL"), "{text}");
        }
        for text in ["data:", "data:image/png,abc", "data:image/png;base64"] {
            assert!(refusal(text).starts_with("must begin with"), "{text}");
        }
        assert!(refusal("data:image/png;base64,*").starts_with("is no base64"));
        let svg = data_url("image/svg+xml", b"<svg/>");
        assert!(refusal(&svg).contains("PNG, JPEG or WebP"));
    }

    #[test]
    fn size_is_bounded_in_bytes_and_in_pixels() {
        let most = LIMITS.input_bytes.max as usize;
        let mut file = PNG.to_vec();
        file.resize(most, 0);
        assert!(parse(&data_url("image/png", &file)).is_ok());
        file.push(0);
        assert!(refusal(&data_url("image/png", &file)).contains("at most 10485760 bytes"));

        let sized = |width: u32, height: u32| {
            let mut file = PNG.to_vec();
            file[16..20].copy_from_slice(&width.to_be_bytes());
            file[20..24].copy_from_slice(&height.to_be_bytes());
            File::new(file)
        };
        assert!(sized(4096, 4096).is_ok());
        for (width, height) in [(4096, 4097), (u32::MAX, u32::MAX), (0, 5)] {
            let why = sized(width, height).expect_err("refused");
            assert!(why.contains("pixels"), "{why}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(data:[a-z/;]{0,20}(;base64)?,)?.{0,60}") {
            let _ = parse(&text).is_ok();
        }
    }
}
