//! XMP in JPEG: an APP1 segment (XMP specification part 3, 1.1.3).

use super::ProvenanceError;

const HEAD: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const APP1: u8 = 0xe1;
/// Where the segments end and the picture begins.
const START_OF_SCAN: u8 = 0xda;
/// Bytes of a packet: a segment counts its own length in 16 bits.
pub(super) const MOST: usize = 0xffff - 2 - HEAD.len();

/// A segment: its marker, what is in it, and where the next one begins.
struct Segment<'a> {
    marker: u8,
    content: &'a [u8],
    end: usize,
}

fn segment(file: &[u8], start: usize) -> Result<Segment<'_>, ProvenanceError> {
    let broken = ProvenanceError::Broken("a segment of the JPEG is cut off");
    let Some([0xff, marker, high, low]) = file.get(start..start + 4) else {
        return Err(broken);
    };
    let end = start + 2 + usize::from(u16::from_be_bytes([*high, *low]));
    let content = file.get(start + 4..end).ok_or(broken)?;
    Ok(Segment {
        marker: *marker,
        content,
        end,
    })
}

/// The file with the packet behind its first segment (JFIF's, which must be the first).
pub(super) fn insert(file: &[u8], packet: &str) -> Result<Vec<u8>, ProvenanceError> {
    let first = segment(file, 2)?;
    let length = 2 + HEAD.len() + packet.len();
    let length = u16::try_from(length)
        .map_err(|_| ProvenanceError::Broken("the packet is too long for a JPEG"))?;
    let (head, rest) = file.split_at(first.end);
    let mut marked = Vec::with_capacity(file.len() + 2 + usize::from(length));
    marked.extend_from_slice(head);
    marked.extend_from_slice(&[0xff, APP1]);
    marked.extend_from_slice(&length.to_be_bytes());
    marked.extend_from_slice(HEAD);
    marked.extend_from_slice(packet.as_bytes());
    marked.extend_from_slice(rest);
    Ok(marked)
}

/// The packet, where there is one.
pub(super) fn find(file: &[u8]) -> Result<Option<String>, ProvenanceError> {
    let mut start = 2;
    loop {
        let segment = segment(file, start)?;
        if segment.marker == START_OF_SCAN {
            return Ok(None);
        }
        if let (APP1, Some(packet)) = (segment.marker, segment.content.strip_prefix(HEAD)) {
            return Ok(Some(String::from_utf8_lossy(packet).into_owned()));
        }
        start = segment.end;
    }
}
