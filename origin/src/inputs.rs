//! Pictures that a request brings along, on their way to the engine: decoded, turned upright and
//! brought to the size of the job's own pictures.
//!
//! All of it before the job is accepted: what is broken is then said at once, and the engine
//! waits for no decoder.

use std::io::Cursor;

use darkroom_shared::input::{File, Header, Kind, Source};
use darkroom_shared::problem::FieldError;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::{GenerateRequest, MaskChannel};
use image::imageops::{FilterType, resize};
use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, ImageReader};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

use crate::engine::{Picture, Start};
use crate::per_account::PerAccount;

/// Requests whose pictures are decoded at once: each may take 200 MB on the way.
static DECODING: Semaphore = Semaphore::const_new(2);
/// Those of one account: another's need not wait behind them all.
static OF_ACCOUNT: PerAccount = PerAccount::new(1);

/// What a run of `recipe` begins with, out of the files of the request that it was completed from.
///
/// # Errors
/// The field whose file cannot be decoded, within; a panic of a decoder, without.
pub async fn start(
    account: &str,
    request: &GenerateRequest,
    recipe: &Recipe,
) -> Result<Result<Option<Start>, FieldError>, JoinError> {
    let file = |source: &Option<Source>| source.as_ref().and_then(Source::file).cloned();
    let Some(image) = file(&request.init_image) else {
        return Ok(Ok(None));
    };
    let mask = file(&request.mask);
    let channel = recipe.mask_channel;
    let (width, height) = (recipe.width, recipe.height);
    // Never closed, so that there is always a permit to come.
    let own = OF_ACCOUNT.of(account);
    let own = own.acquire_owned().await.ok();
    let permit = DECODING.acquire().await.ok();
    spawn_blocking(move || {
        // Held as long as it is decoded, whoever hangs up.
        let _permits = (own, permit);
        let image = picture(&image, width, height).map_err(wrong("init_image"))?;
        let mask = mask.map(|mask| values(&mask, channel, width, height));
        let mask = mask.transpose().map_err(wrong("mask"))?;
        Ok(Some(Start { image, mask }))
    })
    .await
}

fn wrong(field: &str) -> impl Fn(String) -> FieldError {
    move |message| FieldError {
        field: field.to_owned(),
        message,
    }
}

/// Colours as they are, whatever a transparency says of them; diffusers takes them so too.
fn picture(file: &File, width: u32, height: u32) -> Result<Picture, String> {
    let image = decoded(file)?.into_rgb8();
    let rgb = if image.dimensions() == (width, height) {
        image.into_raw()
    } else {
        resize(&image, width, height, FilterType::Lanczos3).into_raw()
    };
    Ok(Picture { width, height, rgb })
}

/// A byte a pixel; what is 128 and above is made anew.
fn values(file: &File, channel: MaskChannel, width: u32, height: u32) -> Result<Vec<u8>, String> {
    let image = decoded(file)?;
    if channel == MaskChannel::Alpha && !image.color().has_alpha() {
        return Err("has no transparency, so that nothing would be made anew".to_owned());
    }
    let mut mask = match channel {
        MaskChannel::Luminance => image.into_luma8(),
        MaskChannel::Alpha => {
            let mut alpha = image::GrayImage::new(image.width(), image.height());
            for (value, pixel) in alpha.pixels_mut().zip(image.into_rgba8().pixels()) {
                value.0 = [255 - pixel.0[3]];
            }
            alpha
        }
    };
    if mask.dimensions() != (width, height) {
        mask = resize(&mask, width, height, FilterType::Lanczos3);
    }
    Ok(mask.into_raw())
}

fn decoded(file: &File) -> Result<DynamicImage, String> {
    let Header {
        kind, orientation, ..
    } = file.header();
    let format = match kind {
        Kind::Png => ImageFormat::Png,
        Kind::Jpeg => ImageFormat::Jpeg,
        Kind::Webp => ImageFormat::WebP,
    };
    let mut image = ImageReader::with_format(Cursor::new(file.bytes()), format)
        .decode()
        .map_err(|error| format!("cannot be decoded: {error}"))?;
    if let Some(orientation) = Orientation::from_exif(orientation) {
        image.apply_orientation(orientation);
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use image::ImageEncoder as _;
    use image::codecs::jpeg::JpegEncoder;
    use image::codecs::png::PngEncoder;
    use image::{ExtendedColorType, RgbImage, RgbaImage};

    use super::*;

    /// Orientation 6: what the camera saw on the left belongs on top.
    const EXIF: &[u8] = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";

    #[test]
    fn a_photograph_is_turned_upright() {
        let seen = RgbImage::from_fn(32, 16, |x, _| {
            image::Rgb(if x < 16 { [255, 0, 0] } else { [0, 0, 255] })
        });
        let mut file = Vec::new();
        let mut encoder = JpegEncoder::new(&mut file);
        encoder.set_exif_metadata(EXIF.to_vec()).expect("taken");
        encoder.encode_image(&seen).expect("written");
        let file = File::new(file).expect("a picture");
        assert_eq!(file.header().size(), (16, 32));
        let picture = picture(&file, 16, 32).expect("decoded");
        let [top, bottom] = [0, 31].map(|y| picture.rgb[3 * (16 * y + 8)]);
        assert!(top > 200 && bottom < 50, "{top} {bottom}");
    }

    #[test]
    fn a_mask_covers_what_is_light_or_what_is_transparent() {
        let mask = RgbaImage::from_fn(16, 8, |x, _| {
            image::Rgba(if x < 8 { [255, 255, 255, 255] } else { [0; 4] })
        });
        let mut file = Vec::new();
        PngEncoder::new(&mut file)
            .write_image(&mask, 16, 8, ExtendedColorType::Rgba8)
            .expect("written");
        let file = File::new(file).expect("a picture");
        let covered = |channel, width, height| {
            let values = values(&file, channel, width, height).expect("decoded");
            assert_eq!(values.len() as u32, width * height);
            (values[0] >= 128, values[width as usize - 1] >= 128)
        };
        for (width, height) in [(16, 8), (64, 64)] {
            let luminance = covered(MaskChannel::Luminance, width, height);
            assert_eq!(luminance, (true, false));
            let alpha = covered(MaskChannel::Alpha, width, height);
            assert_eq!(alpha, (false, true));
        }
    }
}
