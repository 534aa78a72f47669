//! XMP and the recipe in PNG: international text (iTXt) before the pixels.

use std::io::Cursor;

use super::ProvenanceError;

/// The keyword of XMP (XMP specification part 3, 1.1.5).
pub(crate) const XMP_KEYWORD: &str = "XML:com.adobe.xmp";
/// The keyword of the recipe, as plain JSON: what tools for PNG show.
pub(crate) const RECIPE_KEYWORD: &str = "recipe";

/// The packet and the recipe's JSON, where they are.
pub(super) fn find(file: &[u8]) -> Result<(Option<String>, Option<String>), ProvenanceError> {
    let reader = png::Decoder::new(Cursor::new(file)).read_info()?;
    let mut found = (None, None);
    for text in &reader.info().utf8_text {
        match &*text.keyword {
            XMP_KEYWORD => found.0 = Some(text.get_text()?),
            RECIPE_KEYWORD => found.1 = Some(text.get_text()?),
            _ => {}
        }
    }
    Ok(found)
}
