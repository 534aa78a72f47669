//! What the first bytes of a picture's file say: its kind, its size, and which way up it is.
//!
//! Edge and origin both need the size, before anything is decoded and for one recipe: so it is
//! read here, once, and the orientation with it, which swaps width and height. Cameras write one
//! into JPEGs, and nobody else does.

/// What can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
}

/// What a file says of its picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// How it is written.
    pub kind: Kind,
    /// How it is to be turned, 1 (not at all) to 8, as EXIF numbers it.
    pub orientation: u8,
    width: u32,
    height: u32,
}

impl Header {
    /// Reads a file's header; `None` where it is of another kind, or broken.
    #[must_use]
    pub fn read(file: &[u8]) -> Option<Self> {
        if file.starts_with(b"\x89PNG\r\n\x1a\n") {
            png(file)
        } else if file.starts_with(b"\xff\xd8") {
            jpeg(file.get(2..)?)
        } else if file.starts_with(b"RIFF") && file.get(8..12)? == b"WEBP" {
            webp(file)
        } else {
            None
        }
    }

    /// Width and height of what is shown, turned as the file says.
    #[must_use]
    pub const fn size(&self) -> (u32, u32) {
        if self.orientation >= 5 {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        }
    }

    const fn upright(kind: Kind, width: u32, height: u32) -> Self {
        Self {
            kind,
            orientation: 1,
            width,
            height,
        }
    }
}

/// The PNG specification, 11.2.1: IHDR comes first.
fn png(file: &[u8]) -> Option<Header> {
    let header = file.get(12..)?.strip_prefix(b"IHDR")?;
    let width = u32::from_be_bytes(at(header, 0)?);
    let height = u32::from_be_bytes(at(header, 4)?);
    Some(Header::upright(Kind::Png, width, height))
}

/// RFC 9649: the size is in the first chunk, of whichever kind it is.
fn webp(file: &[u8]) -> Option<Header> {
    let chunk = file.get(20..)?;
    let (width, height) = match file.get(12..16)? {
        b"VP8 " => {
            let frame = chunk.get(3..)?.strip_prefix(b"\x9d\x01\x2a")?;
            // The two bits above are for scaling.
            let side = |from| Some(u32::from(u16::from_le_bytes(at(frame, from)?)) & 0x3fff);
            (side(0)?, side(2)?)
        }
        b"VP8L" => {
            let bits = u32::from_le_bytes(at(chunk.strip_prefix(b"\x2f")?, 0)?);
            ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1)
        }
        b"VP8X" => {
            let side = |from| {
                let [a, b, c] = at(chunk, from)?;
                Some(u32::from_le_bytes([a, b, c, 0]) + 1)
            };
            (side(4)?, side(7)?)
        }
        _ => return None,
    };
    Some(Header::upright(Kind::Webp, width, height))
}

/// ITU-T T.81, annex B: segments up to the one that begins the frame.
fn jpeg(mut rest: &[u8]) -> Option<Header> {
    let mut orientation = 1;
    loop {
        // Any number of fill bytes may stand before a marker.
        let marker = rest.iter().position(|byte| *byte != 0xff)?;
        let begins_with_marker = marker > 0;
        let code = *rest.get(marker)?;
        rest = rest.get(marker + 1..)?;
        if !begins_with_marker {
            return None;
        }
        let length = usize::from(u16::from_be_bytes(at(rest, 0)?));
        let segment = rest.get(2..length)?;
        match code {
            // All frames but what lies among their codes: tables and arithmetic conditioning.
            0xc0..=0xcf if !matches!(code, 0xc4 | 0xc8 | 0xcc) => {
                let side = |from| Some(u32::from(u16::from_be_bytes(at(segment, from)?)));
                return Some(Header {
                    kind: Kind::Jpeg,
                    orientation,
                    height: side(1)?,
                    width: side(3)?,
                });
            }
            0xe1 => orientation = exif_orientation(segment).unwrap_or(orientation),
            // Tables, applications' own, comments.
            0xc4 | 0xcc | 0xdb..=0xdf | 0xe0..=0xef | 0xfe => {}
            // The scan, without a frame before it. Or what has no length or no meaning: decoders go on
            // from there in another way, and may come to another frame.
            _ => return None,
        }
        rest = rest.get(length..)?;
    }
}

/// Tag 0x0112 of the first directory (Exif 2.32, 4.6.2 and 4.6.4).
fn exif_orientation(segment: &[u8]) -> Option<u8> {
    let tiff = segment.strip_prefix(b"Exif\0\0")?;
    let is_little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |from| {
        let bytes = at(tiff, from)?;
        Some(if is_little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let offset = at(tiff, 4)?;
    let directory = if is_little {
        u32::from_le_bytes(offset)
    } else {
        u32::from_be_bytes(offset)
    } as usize;
    for entry in 0..usize::from(short(directory)?) {
        let entry = directory + 2 + 12 * entry;
        if short(entry)? == 0x0112 {
            let value = u8::try_from(short(entry + 8)?).ok()?;
            return (1..=8).contains(&value).then_some(value);
        }
    }
    None
}

fn at<const N: usize>(bytes: &[u8], from: usize) -> Option<[u8; N]> {
    bytes.get(from..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size(file: &[u8]) -> Option<(Kind, (u32, u32))> {
        Header::read(file).map(|header| (header.kind, header.size()))
    }

    fn webp(chunk: &[u8]) -> Vec<u8> {
        [b"RIFF\0\0\0\0WEBP", chunk].concat()
    }

    /// A JPEG of 300 by 200 whose EXIF, in either byte order, says how to turn it.
    fn jpeg(is_little: bool, orientation: u8) -> Vec<u8> {
        let number = |value: u32, size: usize| {
            let bytes = value.to_be_bytes();
            let mut bytes = bytes.get(4 - size..).expect("a size").to_vec();
            if is_little {
                bytes.reverse();
            }
            bytes
        };
        let entries = [(0x0100, 300), (0x0112, u32::from(orientation))];
        let mut exif = b"Exif\0\0".to_vec();
        exif.extend(if is_little { b"II*\0" } else { b"MM\0*" });
        exif.extend(number(8, 4));
        exif.extend(number(entries.len() as u32, 2));
        for (tag, value) in entries {
            exif.extend([number(tag, 2), number(3, 2), number(1, 4)].concat());
            exif.extend([number(value, 2), vec![0, 0]].concat());
        }
        let length = (exif.len() as u16 + 2).to_be_bytes();
        [
            b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xff\xe1",
            &length[..],
            &exif,
            b"\xff\xc4\0\x02\xff\xc2\0\x0b\x08\0\xc8\x01\x2c\x01\x01\x11\0",
        ]
        .concat()
    }

    #[test]
    fn every_kind_says_its_size() {
        let lossy = webp(b"VP8 \0\0\0\0abc\x9d\x01\x2a\x2c\x41\xc8\0");
        assert_eq!(size(&lossy), Some((Kind::Webp, (300, 200))));
        let lossless = webp(b"VP8L\0\0\0\0\x2f\x2b\xc1\x31\0");
        assert_eq!(size(&lossless), Some((Kind::Webp, (300, 200))));
        let extended = webp(b"VP8X\0\0\0\0\0\0\0\0\x2b\x01\0\xc7\0\0");
        assert_eq!(size(&extended), Some((Kind::Webp, (300, 200))));
        let plain = b"\xff\xd8\xff\xc0\0\x0b\x08\0\xc8\x01\x2c\x01\x01\x11\0";
        assert_eq!(size(plain), Some((Kind::Jpeg, (300, 200))));
    }

    #[test]
    fn a_camera_held_upright_swaps_the_sides() {
        for is_little in [true, false] {
            for orientation in 1..=8 {
                let header = Header::read(&jpeg(is_little, orientation)).expect("a JPEG");
                assert_eq!(header.orientation, orientation);
                let expected = if orientation < 5 {
                    (300, 200)
                } else {
                    (200, 300)
                };
                assert_eq!(header.size(), expected);
            }
            let header = Header::read(&jpeg(is_little, 9)).expect("a JPEG");
            assert_eq!(header.orientation, 1);
        }
    }

    #[test]
    fn other_files_say_nothing() {
        for file in [
            &b""[..],
            b"GIF89a",
            b"\xff\xd8",
            b"\xff\xd8\xff\xda\0\x02",
            // Behind a marker without a length, which is followed by what looks like one.
            b"\xff\xd8\xff\x01\0\x04ab\xff\xc0\0\x0b\x08\0\xc8\x01\x2c\x01\x01\x11\0",
            b"\xff\xd8\xff\xd8\0\x04ab\xff\xc0\0\x0b\x08\0\xc8\x01\x2c\x01\x01\x11\0",
            b"\xff\xd8ab",
            b"RIFF\0\0\0\0WAVE",
        ] {
            assert_eq!(size(file), None, "{file:?}");
        }
    }

    proptest! {
        #[test]
        fn a_broken_file_makes_nothing_panic(
            cut in 0_usize..120,
            at in 0_usize..120,
            byte: u8,
            is_little: bool,
        ) {
            let mut file = jpeg(is_little, 6);
            if let Some(found) = file.get_mut(at) {
                *found = byte;
            }
            file.truncate(cut);
            let _ = Header::read(&file);
        }
    }
}
