//! Pictures as AVIF, by rav1e.

use image::RgbImage;
use ravif::{BitDepth, Encoder, Error, Img, RGB8};

/// About as near to the picture as a WebP of quality 80, though on another scale.
const QUALITY: f32 = 80.0;
/// The quickest (of 1 to 10) at which files are smaller than WebP's.
const SPEED: u8 = 8;

/// A picture as a file, on the calling thread; the same bytes each time.
pub(super) fn avif(picture: &RgbImage) -> Result<Vec<u8>, Error> {
    let (width, height) = picture.dimensions();
    let pixels: Vec<RGB8> = picture.pixels().map(|pixel| pixel.0.into()).collect();
    let encoder = Encoder::new()
        // Of another number of threads it makes other tiles, and so other bytes.
        .with_num_threads(Some(1))
        .with_bit_depth(BitDepth::Eight)
        .with_quality(QUALITY)
        .with_speed(SPEED);
    let encoded = encoder.encode_rgb(Img::new(&pixels, width as usize, height as usize))?;
    Ok(encoded.avif_file)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn file(width: u32, height: u32) -> Vec<u8> {
        let pixel = |x, y| Rgb([x as u8, y as u8, (x * y) as u8]);
        avif(&RgbImage::from_fn(width, height, pixel)).expect("encoded")
    }

    /// The size that a file tells.
    fn size(file: &[u8]) -> (u32, u32) {
        let property = file.windows(4).position(|name| name == b"ispe");
        // Behind the name: version and flags.
        let sides = property.expect("a size") + 8;
        let side = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().expect("four"));
        (side(sides), side(sides + 4))
    }

    #[test]
    fn pictures_of_every_shape_are_avif_of_their_size() {
        for (width, height) in [(1, 1), (7, 3), (16, 1), (1, 64), (65, 129)] {
            let file = file(width, height);
            assert_eq!(file.get(4..12), Some(b"ftypavif".as_slice()));
            assert_eq!(size(&file), (width, height));
        }
    }

    #[test]
    fn a_picture_is_the_same_file_each_time() {
        assert_eq!(file(130, 130), file(130, 130));
    }
}
