//! Pictures as files. Equal pictures of equal recipes are equal files, on every machine:
//! nothing about the time, the job or the caller goes in. What goes in beside the pixels is decided by
//! the recipe too, by the end of its `engine` ([`FILES`]): so a job that is made twice, by machines of
//! other versions or settings, is the same file.

use darkroom_shared::input::data_url;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::Format;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::imageops::{FilterType, resize};
use image::{ExtendedColorType, RgbImage};

use crate::engine::Picture;
use crate::provenance::{self, ProvenanceError, RECIPE_KEYWORD, XMP_KEYWORD};

/// The formats that [`encode`] writes.
pub const FORMATS: &[Format] = &[Format::Png, Format::Webp, Format::Jpeg];
/// Where the eye sees no loss and the file is a tenth of a PNG.
const JPEG_QUALITY: u8 = 92;
/// The longest side of a preview.
const PREVIEW_SIDE: u32 = 256;
/// What an engine's name ends with where files say that a model made them, and by which recipe. One
/// that ends otherwise is of a version whose files had the recipe alone, in PNG.
pub const FILES: &str = "+files/2";
/// The same without the recipe.
pub const FILES_WITHOUT_RECIPE: &str = "+files/2-bare";
/// What either ends with where files are signed (C2PA) once they are encoded.
pub const SIGNED: &str = "-c2pa";

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
    /// What it says of itself cannot be put into the file.
    #[error("the file cannot be marked")]
    Provenance(#[from] ProvenanceError),
    /// The recipe cannot be written into the picture.
    #[error("the recipe cannot be written as JSON")]
    Recipe(#[from] serde_json::Error),
}

/// A picture as a file of its recipe's format, not signed yet.
///
/// # Errors
/// [`EncodeError`].
pub fn encode(picture: &Picture, recipe: &Recipe) -> Result<Vec<u8>, EncodeError> {
    let quality = recipe.jpeg_quality.map_or(JPEG_QUALITY, |q| q as u8);
    let files = unsigned(&recipe.engine);
    let text = (!files.ends_with(FILES_WITHOUT_RECIPE)).then_some(recipe);
    let is_marked = text.is_none() || files.ends_with(FILES);
    let xmp = is_marked.then(|| provenance::packet_for(recipe.format, text));
    let xmp = xmp.transpose()?;
    let texts = Texts {
        recipe: text,
        xmp: xmp.as_deref(),
    };
    let file = write(picture, recipe.format, quality, &texts)?;
    match texts.xmp {
        Some(packet) => Ok(provenance::insert(file, recipe.format, packet)?),
        None => Ok(file),
    }
}

/// An engine's name without the word that its files are signed.
#[must_use]
pub fn unsigned(engine: &str) -> &str {
    engine.strip_suffix(SIGNED).unwrap_or(engine)
}

/// Whether an engine's files are signed. Those of one recipe are equal in their pixels then, and each
/// has another signature.
#[must_use]
pub fn is_signed(engine: &str) -> bool {
    engine.ends_with(SIGNED)
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
    let file = write(small, format, JPEG_QUALITY, &Texts::default())?;
    Ok(data_url(format.content_type(), &file))
}

fn write(
    picture: &Picture,
    format: Format,
    jpeg_quality: u8,
    texts: &Texts<'_>,
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
        Format::Png => png(picture, texts, &mut file)?,
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

/// What a PNG is written with.
#[derive(Default)]
struct Texts<'a> {
    recipe: Option<&'a Recipe>,
    xmp: Option<&'a str>,
}

fn png(picture: &Picture, texts: &Texts<'_>, file: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut encoder = png::Encoder::new(file, picture.width, picture.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    if let Some(xmp) = texts.xmp {
        encoder.add_itxt_chunk(XMP_KEYWORD.to_owned(), xmp.to_owned())?;
    }
    if let Some(recipe) = texts.recipe {
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
            engine: format!("e{FILES}"),
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
        let mut texts = reader.info().utf8_text.iter();
        let text = texts.find(|text| text.keyword == RECIPE_KEYWORD);
        let text = text.expect("a recipe");
        let read: Recipe = serde_json::from_str(&text.get_text().expect("text")).expect("recipe");
        assert_eq!(read, recipe(Format::Png));
    }

    #[test]
    fn a_jpeg_is_as_good_as_is_asked_for() {
        let size = |jpeg_quality| {
            let recipe = Recipe {
                jpeg_quality,
                // The quality that is told would count.
                engine: format!("e{FILES_WITHOUT_RECIPE}"),
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

    /// Those of a kind whose recipe is of this engine.
    fn read_back(format: Format, engine: &str, prompt: &str) -> (Recipe, provenance::Provenance) {
        let recipe = Recipe {
            engine: engine.to_owned(),
            prompt: prompt.to_owned(),
            ..recipe(format)
        };
        let file = encode(&picture(), &recipe).expect("encoded");
        // Others read it, too.
        let read = image::load_from_memory(&file).expect("a picture");
        assert_eq!((read.width(), read.height()), (16, 8));
        let found = provenance::read(&file).expect("read");
        assert_eq!(found.format, format);
        (recipe, found)
    }

    #[test]
    fn every_format_says_what_made_it_unless_told() {
        let prompt = "\"a\" < 'b' & &quot; \n 🦊";
        for format in FORMATS {
            let (recipe, found) = read_back(*format, "e+files/2", prompt);
            assert!(found.is_marked, "{format:?}");
            assert_eq!(found.recipe, Some(recipe));
            for engine in ["e+files/2-bare", "e+files/2-bare-c2pa"] {
                let (_, bare) = read_back(*format, engine, prompt);
                assert!(bare.is_marked && bare.recipe.is_none(), "{bare:?}");
            }
            let (recipe, signed) = read_back(*format, "e+files/2-c2pa", prompt);
            assert!(signed.is_marked && signed.recipe == Some(recipe));
        }
    }

    #[test]
    fn jobs_of_an_earlier_version_are_made_as_they_were() {
        let (recipe, png) = read_back(Format::Png, "e", "p");
        assert_eq!((png.is_marked, png.recipe), (false, Some(recipe)));
        let (_, webp) = read_back(Format::Webp, "e", "p");
        assert_eq!((webp.is_marked, webp.recipe), (false, None));
    }

    #[test]
    fn a_recipe_that_does_not_fit_into_a_jpeg_stays_out_of_it() {
        let prompt = "&".repeat(20_000);
        let (_, jpeg) = read_back(Format::Jpeg, "e+files/2", &prompt);
        assert!(jpeg.is_marked && jpeg.recipe.is_none());
        let (_, webp) = read_back(Format::Webp, "e+files/2", &prompt);
        assert_eq!(webp.recipe.expect("a recipe").prompt, prompt);
    }

    proptest::proptest! {
        #[test]
        fn no_file_makes_the_reader_panic(format in 0..3_usize, cut in 0..2000_usize, at in 0..2000_usize, byte: u8) {
            let mut file = encode(&picture(), &recipe(FORMATS[format])).expect("encoded");
            file.truncate(cut);
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
            drop(provenance::read(&file));
        }
    }
}
