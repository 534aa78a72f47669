//! XMP in WebP: a chunk of its own, which the extended form (VP8X) announces.

use super::ProvenanceError;

const XMP: &[u8] = b"XMP ";
/// The bit of VP8X that announces XMP.
const HAS_XMP: u8 = 0b100;
/// `RIFF`, the size, `WEBP`.
const HEAD: usize = 12;

const CUT_OFF: ProvenanceError = ProvenanceError::Broken("the WebP is cut off");

/// A file of the simple lossless form as one of the extended form with the packet.
pub(super) fn insert(file: &[u8], packet: &str) -> Result<Vec<u8>, ProvenanceError> {
    let picture = file.get(HEAD..).ok_or(CUT_OFF)?;
    // `VP8L`, the size, a signature; then 14 bits of width - 1, and 14 of height - 1.
    let Some(b"VP8L") = picture.get(..4) else {
        return Err(ProvenanceError::Broken(
            "the WebP is not of the simple form",
        ));
    };
    let Some(&[a, b, c, d]) = picture.get(9..13) else {
        return Err(CUT_OFF);
    };
    let bits = u32::from_le_bytes([a, b, c, d]);
    let (width, height) = (bits & 0x3fff, (bits >> 14) & 0x3fff);

    let mut extended = vec![HAS_XMP, 0, 0, 0];
    extended.extend_from_slice(&width.to_le_bytes()[..3]);
    extended.extend_from_slice(&height.to_le_bytes()[..3]);
    let mut chunks = chunk(b"VP8X", &extended)?;
    chunks.extend_from_slice(picture);
    chunks.extend(chunk(XMP, packet.as_bytes())?);

    let mut content = b"WEBP".to_vec();
    content.append(&mut chunks);
    chunk(b"RIFF", &content)
}

/// Name, size, content, and a byte where that makes it even.
fn chunk(name: &[u8], content: &[u8]) -> Result<Vec<u8>, ProvenanceError> {
    let size = u32::try_from(content.len())
        .map_err(|_| ProvenanceError::Broken("the WebP is too large"))?;
    let mut chunk = name.to_vec();
    chunk.extend_from_slice(&size.to_le_bytes());
    chunk.extend_from_slice(content);
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    Ok(chunk)
}

/// The packet, where there is one.
pub(super) fn find(file: &[u8]) -> Result<Option<String>, ProvenanceError> {
    let mut rest = file.get(HEAD..).ok_or(CUT_OFF)?;
    while let Some((head, content)) = rest.split_at_checked(8) {
        let (name, size) = head.split_at(4);
        let size: [u8; 4] = size.try_into().map_err(|_| CUT_OFF)?;
        let size = u32::from_le_bytes(size) as usize;
        let packet = content.get(..size).ok_or(CUT_OFF)?;
        if name == XMP {
            return Ok(Some(String::from_utf8_lossy(packet).into_owned()));
        }
        rest = content.get(size.next_multiple_of(2)..).unwrap_or_default();
    }
    Ok(None)
}
