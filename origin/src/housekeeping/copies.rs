//! A picture's smaller copies as files.

use std::io::Cursor;

use darkroom_shared::key::variant_key;
use darkroom_shared::request::Format;
use image::imageops::{FilterType, resize};
use image::{ImageReader, RgbImage};

use super::avif::avif;
use crate::cause::chain;
use crate::database::StoredVariant;

/// Where the eye sees no loss in a copy (0 to 100).
const WEBP_QUALITY: f32 = 80.0;
/// The formats that copies may have, in the order in which they are made and told. A `srcset` lists
/// those of the first that is made.
pub const COPY_FORMATS: &[Format] = &[Format::Webp, Format::Avif];

/// A copy that is to be stored.
pub(super) struct Copy {
    pub stored: StoredVariant,
    pub file: Vec<u8>,
}

/// A picture of which there can be no copies.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("the picture cannot be read")]
    Read(#[from] std::io::Error),
    #[error("the picture cannot be decoded")]
    Decode(#[from] image::ImageError),
    #[error("WebP does not take a copy {width} wide: {error:?}")]
    Webp {
        width: u32,
        error: webp::WebPEncodingError,
    },
    #[error("AVIF does not take a copy {width} wide")]
    Avif { width: u32, source: ravif::Error },
    #[error("no copies are made as {}", .0.as_str())]
    Format(Format),
    #[error("`{key}` is no picture's name")]
    Key { key: String },
}

/// A picture's copies, in the order of their widths and then of the formats, but for those that
/// cannot be made.
pub(super) fn copies(
    key: &str,
    file: &[u8],
    widths: &[u32],
    formats: &[Format],
) -> Result<Vec<Copy>, CopyError> {
    let reader = ImageReader::new(Cursor::new(file)).with_guessed_format()?;
    let picture = reader.decode()?.into_rgb8();
    let mut copies = Vec::new();
    for width in widths {
        let smaller = shrink(&picture, *width);
        for format in formats {
            match copy(key, &smaller, *format) {
                Ok(copy) => copies.push(copy),
                Err(error) => {
                    tracing::error!(key, error = chain(&error), "a smaller copy is not made");
                }
            }
        }
    }
    Ok(copies)
}

fn shrink(picture: &RgbImage, width: u32) -> RgbImage {
    let height = u64::from(width) * u64::from(picture.height()) / u64::from(picture.width().max(1));
    resize(picture, width, (height as u32).max(1), FilterType::Lanczos3)
}

fn copy(key: &str, picture: &RgbImage, format: Format) -> Result<Copy, CopyError> {
    let (width, height) = picture.dimensions();
    let file = match format {
        Format::Webp => webp(picture)?,
        Format::Avif => avif(picture).map_err(|source| CopyError::Avif { width, source })?,
        format => return Err(CopyError::Format(format)),
    };
    let name = variant_key(key, width, format);
    Ok(Copy {
        stored: StoredVariant {
            key: name.ok_or_else(|| CopyError::Key {
                key: key.to_owned(),
            })?,
            width,
            height,
            content_type: format.content_type().to_owned(),
        },
        file,
    })
}

fn webp(picture: &RgbImage) -> Result<Vec<u8>, CopyError> {
    let (width, height) = picture.dimensions();
    let encoder = webp::Encoder::from_rgb(picture, width, height);
    let file = encoder.encode_simple(false, WEBP_QUALITY);
    let file = file.map_err(|error| CopyError::Webp { width, error })?;
    Ok(file.to_vec())
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    const KEY: &str = "generated/1-01234567-89ab-cdef-0123-456789abcdef.png";

    fn picture(width: u32, height: u32) -> Vec<u8> {
        let picture =
            RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, (x * y) as u8]));
        let mut file = Cursor::new(Vec::new());
        let written = picture.write_to(&mut file, image::ImageFormat::Png);
        written.expect("PNG");
        file.into_inner()
    }

    #[test]
    fn every_width_is_made_in_every_format() {
        let made = copies(KEY, &picture(96, 64), &[16, 33], COPY_FORMATS).expect("made");
        let mut made = made.iter();
        for (width, height) in [(16, 10), (33, 22)] {
            for format in COPY_FORMATS {
                let Copy { stored, file } = made.next().expect("one more");
                assert_eq!((stored.width, stored.height), (width, height));
                assert_eq!(stored.content_type, format.content_type());
                assert_eq!(Some(&stored.key), variant_key(KEY, width, *format).as_ref());
                if *format == Format::Webp {
                    let read = image::load_from_memory(file).expect("WebP");
                    assert_eq!((read.width(), read.height()), (width, height));
                }
            }
        }
        assert!(made.next().is_none());
    }

    #[test]
    fn flat_and_narrow_pictures_have_copies_too() {
        for (width, height) in [(300, 1), (300, 17), (17, 300)] {
            let made = copies(KEY, &picture(width, height), &[16], COPY_FORMATS).expect("made");
            assert_eq!(made.len(), COPY_FORMATS.len(), "{width} by {height}");
        }
    }

    #[test]
    fn what_cannot_be_copied_keeps_no_other_copy_from_being_made() {
        let png = picture(32, 32);
        let cut = copies(KEY, &png[..40], &[16], &[Format::Webp]).err();
        assert!(matches!(cut, Some(CopyError::Decode(_))), "{cut:?}");
        let made = copies(KEY, &png, &[16], &[Format::Jpeg, Format::Webp]).expect("made");
        let made: Vec<_> = made.iter().map(|copy| &*copy.stored.content_type).collect();
        assert_eq!(made, ["image/webp"], "no copies are made as JPEG");
        assert!(copies("x", &png, &[16], &[Format::Webp]).is_ok_and(|made| made.is_empty()));
    }
}
