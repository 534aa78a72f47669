//! A PNG's pixels.

pub struct Picture {
    pub width: u32,
    pub height: u32,
    rgb: Vec<u8>,
}

impl Picture {
    pub fn decode(png: &[u8]) -> Self {
        let decoder = png::Decoder::new(std::io::Cursor::new(png));
        let mut reader = decoder.read_info().expect("a PNG");
        let size = reader.output_buffer_size().expect("a size");
        let mut rgb = vec![0; size];
        let frame = reader.next_frame(&mut rgb).expect("a whole PNG");
        assert_eq!(frame.color_type, png::ColorType::Rgb);
        Self {
            width: frame.width,
            height: frame.height,
            rgb,
        }
    }

    /// Mean colour of the 9 × 9 pixels around a point.
    pub fn colour_at(&self, x: u32, y: u32) -> [f64; 3] {
        let mut sum = [0.0; 3];
        for y in y - 4..=y + 4 {
            for x in x - 4..=x + 4 {
                let at = 3 * (y * self.width + x) as usize;
                for (sum, byte) in sum.iter_mut().zip(&self.rgb[at..at + 3]) {
                    *sum += f64::from(*byte) / 81.0;
                }
            }
        }
        sum
    }
}
