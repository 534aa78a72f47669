//! Pictures as files. Equal pictures of equal recipes are equal files, on every machine:
//! nothing about the time, the job or the caller goes in.

use darkroom_shared::input::data_url;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::Format;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::imageops::{FilterType, resize};
use image::{ExtendedColorType, RgbImage};

use crate::engine::Picture;

/// The formats that [`encode`] writes.
pub const FORMATS: &[Format] = &[Format::Png, Format::Webp, Format::Jpeg];
/// Where the eye sees no loss and the file is a tenth of a PNG.
const JPEG_QUALITY: u8 = 92;
/// The longest side of a preview.
const PREVIEW_SIDE: u32 = 256;
/// Keyword of the PNG text chunk that holds the recipe.
const RECIPE_KEYWORD: &str = "recipe";

/// Why a picture cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// No encoder for it is built in.
    #[error("the format {} is not offered", .0.as_str())]
    Format(Format),
    /// The engine's picture is not of the size it says.
    #[error("a picture of {width} by {height} has {bytes} bytes")]
    Size {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// Bytes in hand.
        bytes: usize,
    },
    /// The PNG encoder failed.
    #[error("the PNG cannot be written")]
    Png(#[from] png::EncodingError),
    /// The JPEG or WebP encoder failed.
    #[error("the picture cannot be written")]
    Image(#[from] image::ImageError),
    /// The recipe cannot be written into the picture.
    #[error("the recipe cannot be written as JSON")]
    Recipe(#[from] serde_json::Error),
}

/// A picture as a file of its recipe's format.
///
/// # Errors
/// [`EncodeError`].
pub fn encode(picture: &Picture, recipe: &Recipe) -> Result<Vec<u8>, EncodeError> {
    let quality = recipe.jpeg_quality.map_or(JPEG_QUALITY, |q| q as u8);
    write(picture, recipe.format, quality, Some(recipe))
}

/// A preview as a `data:` URL of the format that the picture itself will have; small enough to be
/// one of many events.
///
/// # Errors
/// [`EncodeError`].
pub fn preview(picture: &Picture, format: Format) -> Result<String, EncodeError> {
    let long = picture.width.max(picture.height);
    let small = match RgbImage::from_raw(picture.width, picture.height, picture.rgb.clone()) {
        Some(image) if long > PREVIEW_SIDE => {
            let side = |side: u32| (side * PREVIEW_SIDE / long).max(1);
            let (width, height) = (side(picture.width), side(picture.height));
            let rgb = resize(&image, width, height, FilterType::Triangle).into_raw();
            &Picture { width, height, rgb }
        }
        _ => picture,
    };
    let file = write(small, format, JPEG_QUALITY, None)?;
    Ok(data_url(format.content_type(), &file))
}

fn write(
    picture: &Picture,
    format: Format,
    jpeg_quality: u8,
    recipe: Option<&Recipe>,
) -> Result<Vec<u8>, EncodeError> {
    let Picture { width, height, rgb } = picture;
    if rgb.len() as u64 != 3 * u64::from(*width) * u64::from(*height) {
        return Err(EncodeError::Size {
            width: *width,
            height: *height,
            bytes: rgb.len(),
        });
    }
    let mut file = Vec::new();
    match format {
        Format::Png => png(picture, recipe, &mut file)?,
        Format::Jpeg => JpegEncoder::new_with_quality(&mut file, jpeg_quality).encode(
            rgb,
            *width,
            *height,
            ExtendedColorType::Rgb8,
        )?,
        Format::Webp => WebPEncoder::new_lossless(&mut file).encode(
            rgb,
            *width,
            *height,
            ExtendedColorType::Rgb8,
        )?,
        Format::Avif => return Err(EncodeError::Format(Format::Avif)),
    }
    Ok(file)
}

fn png(picture: &Picture, recipe: Option<&Recipe>, file: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut encoder = png::Encoder::new(file, picture.width, picture.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    if let Some(recipe) = recipe {
        // International text: a prompt may be in any script.
        let json = serde_json_canonicalizer::to_string(recipe)?;
        encoder.add_itxt_chunk(RECIPE_KEYWORD.to_owned(), json)?;
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&picture.rgb)?;
    writer.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use darkroom_shared::request::MaskChannel;

    use super::*;

    fn picture() -> Picture {
        Picture {
            width: 16,
            height: 8,
            rgb: (0..16 * 8 * 3).map(|i| (i * 7 % 256) as u8).collect(),
        }
    }

    fn recipe(format: Format) -> Recipe {
        Recipe {
            prompt: "ein Füchslein 🦊".into(),
            negative_prompt: None,
            width: 16,
            height: 8,
            steps: 1,
            guidance_scale: 1.0,
            scheduler: "euler".into(),
            seed: 1,
            model: "demo".into(),
            revision: "r".into(),
            engine: "e".into(),
            format,
            jpeg_quality: None,
            init_image: None,
            mask: None,
            mask_channel: MaskChannel::default(),
            strength: None,
        }
    }

    #[test]
    fn every_offered_format_is_written_the_same_each_time() {
        for format in FORMATS {
            let first = encode(&picture(), &recipe(*format)).expect("encoded");
            let again = encode(&picture(), &recipe(*format)).expect("encoded");
            assert_eq!(first, again);
        }
    }

    #[test]
    fn a_png_keeps_pixels_and_recipe() {
        let file = encode(&picture(), &recipe(Format::Png)).expect("encoded");
        let decoder = png::Decoder::new(std::io::Cursor::new(file));
        let mut reader = decoder.read_info().expect("PNG");
        let mut rgb = vec![0; reader.output_buffer_size().expect("size")];
        reader.next_frame(&mut rgb).expect("frame");
        assert_eq!(rgb, picture().rgb);
        let text = &reader.info().utf8_text[0];
        assert_eq!(text.keyword, RECIPE_KEYWORD);
        let read: Recipe = serde_json::from_str(&text.get_text().expect("text")).expect("recipe");
        assert_eq!(read, recipe(Format::Png));
    }

    #[test]
    fn a_jpeg_is_as_good_as_is_asked_for() {
        let size = |jpeg_quality| {
            let recipe = Recipe {
                jpeg_quality,
                ..recipe(Format::Jpeg)
            };
            encode(&picture(), &recipe).expect("encoded").len()
        };
        assert!(size(Some(1)) < size(Some(80)) && size(Some(80)) < size(Some(100)));
        assert_eq!(size(None), size(Some(92)));
    }

    #[test]
    fn webp_is_lossless() {
        let file = encode(&picture(), &recipe(Format::Webp)).expect("encoded");
        let read = image::load_from_memory(&file).expect("WebP");
        assert_eq!(read.to_rgb8().into_raw(), picture().rgb);
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let avif = encode(&picture(), &recipe(Format::Avif));
        assert!(matches!(avif, Err(EncodeError::Format(_))));
        let short = Picture {
            rgb: vec![0; 5],
            ..picture()
        };
        let short = encode(&short, &recipe(Format::Png));
        assert!(matches!(short, Err(EncodeError::Size { .. })));
    }
}
