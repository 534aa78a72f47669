//! What a file says of its own origin: made by a model (IPTC's digital source type, in XMP), and by
//! which recipe, unless that is switched off.
//!
//! `packet` writes and reads the XMP; `jpeg`, `png` and `webp` know where each format has it. Nothing
//! here knows of jobs, times and callers, so that equal recipes are equal files; what `credentials`
//! signs is equal but for its signature.

mod credentials;
mod jpeg;
mod packet;
mod png;
mod webp;

use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::Format;

pub use credentials::{CredentialsError, sign, signer_of};
pub use packet::DIGITAL_SOURCE_TYPE;
pub(crate) use packet::packet;
pub(crate) use png::{RECIPE_KEYWORD, XMP_KEYWORD};

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Provenance {
    /// By its first bytes.
    pub format: Format,
    /// Whether it says that a model made it.
    pub is_marked: bool,
    /// By which recipe; `None` where that was switched off, or did not fit.
    pub recipe: Option<Recipe>,
}

/// Why a file's provenance cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ProvenanceError {
    /// Neither PNG nor JPEG nor WebP.
    #[error("the file is no PNG, JPEG or WebP")]
    Format,
    /// It ends early, or is not what it says.
    #[error("the file is broken: {0}")]
    Broken(&'static str),
    /// The PNG reader says so.
    #[error("the PNG cannot be read")]
    Png(#[from] ::png::DecodingError),
    /// The recipe in it is none of ours.
    #[error("the recipe in the file cannot be read")]
    Recipe(#[from] serde_json::Error),
}

/// What a file of the format says of a recipe, or without one: the recipe stays out of a JPEG where
/// it does not fit, since a segment has 64 KB and a prompt may be longer.
///
/// # Errors
/// [`ProvenanceError::Recipe`].
pub(crate) fn packet_for(
    format: Format,
    recipe: Option<&Recipe>,
) -> Result<String, ProvenanceError> {
    let whole = packet(recipe)?;
    if format == Format::Jpeg && whole.len() > jpeg::MOST {
        return Ok(packet(None)?);
    }
    Ok(whole)
}

/// Puts a packet into a JPEG or WebP file that has none; a PNG is written with it.
///
/// # Errors
/// [`ProvenanceError`]: the file is not of the format.
pub(crate) fn insert(
    file: Vec<u8>,
    format: Format,
    packet: &str,
) -> Result<Vec<u8>, ProvenanceError> {
    match format {
        Format::Jpeg => jpeg::insert(&file, packet),
        Format::Webp => webp::insert(&file, packet),
        Format::Png | Format::Avif => Ok(file),
    }
}

/// Reads what a file says of itself.
///
/// # Errors
/// [`ProvenanceError`].
pub fn read(file: &[u8]) -> Result<Provenance, ProvenanceError> {
    let (format, xmp, text) = if file.starts_with(b"\x89PNG") {
        let (xmp, recipe) = png::find(file)?;
        (Format::Png, xmp, recipe)
    } else if file.starts_with(&[0xff, 0xd8]) {
        (Format::Jpeg, jpeg::find(file)?, None)
    } else if file.starts_with(b"RIFF") {
        (Format::Webp, webp::find(file)?, None)
    } else {
        return Err(ProvenanceError::Format);
    };
    let xmp = xmp.unwrap_or_default();
    let json = text.or_else(|| packet::recipe(&xmp));
    Ok(Provenance {
        format,
        is_marked: xmp.contains(DIGITAL_SOURCE_TYPE),
        recipe: json.map(|json| serde_json::from_str(&json)).transpose()?,
    })
}
