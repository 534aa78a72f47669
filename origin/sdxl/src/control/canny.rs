//! Edges, as `ControlNet`s for them were trained on: `OpenCV`'s `Canny` with an aperture of 3 and
//! sums of absolute derivatives, pixel for pixel (Canny 1986).

use crate::{Picture, RunError};

/// tan(22.5°) in 1/32768.
const TAN_22: u32 = 13_573;

/// A pixel's steepest channel, of which each derivative is at most 4 × 255.
#[derive(Clone, Copy, Default)]
struct Slope {
    across: i16,
    down: i16,
}

impl Slope {
    fn size(self) -> u32 {
        u32::from(self.across.unsigned_abs() + self.down.unsigned_abs())
    }
}

/// What is known of a pixel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    None,
    /// An edge if it touches one.
    Weak,
    Edge,
}

impl Picture {
    /// Its edges, white on black. Where a slope is steeper than `high` there is an edge, and where
    /// it is steeper than `low` if it goes on from one; 100 and 200 are customary.
    ///
    /// # Errors
    /// [`RunError::Invalid`] for a picture that has not the bytes its size says.
    pub fn canny(&self, low: u32, high: u32) -> Result<Self, RunError> {
        if !self.is_whole() {
            let (width, height, bytes) = (self.width, self.height, self.rgb.len());
            return Err(RunError::Invalid {
                field: "control_image",
                message: format!("must have 3 bytes for each of {width}×{height}, not {bytes}"),
            });
        }
        let (low, high) = (low.min(high), low.max(high));
        let slopes = Slopes::of(self);
        let mut marks = vec![Mark::None; slopes.rows.len()];
        let mut edges = Vec::new();
        for (at, slope) in slopes.rows.iter().enumerate() {
            let (x, y) = (at as i64 % slopes.width, at as i64 / slopes.width);
            if slope.size() <= low || !slopes.is_crest(x, y) {
                continue;
            }
            if slope.size() > high {
                marks[at] = Mark::Edge;
                edges.push((x, y));
            } else {
                marks[at] = Mark::Weak;
            }
        }
        while let Some((x, y)) = edges.pop() {
            for (x, y) in neighbours(x, y) {
                let Some(at) = slopes.index(x, y) else {
                    continue;
                };
                if marks[at] == Mark::Weak {
                    marks[at] = Mark::Edge;
                    edges.push((x, y));
                }
            }
        }
        let white = |mark: &Mark| if *mark == Mark::Edge { 255 } else { 0 };
        Ok(Self {
            width: self.width,
            height: self.height,
            rgb: marks.iter().flat_map(|mark| [white(mark); 3]).collect(),
        })
    }
}

fn neighbours(x: i64, y: i64) -> impl Iterator<Item = (i64, i64)> {
    let around = (-1..=1).flat_map(|down| (-1..=1).map(move |across| (across, down)));
    around.map(move |(across, down)| (x + across, y + down))
}

struct Slopes {
    width: i64,
    height: i64,
    rows: Vec<Slope>,
}

impl Slopes {
    /// Sobel's derivatives; beyond the border the outermost pixels go on.
    fn of(picture: &Picture) -> Self {
        let (width, height) = (i64::from(picture.width), i64::from(picture.height));
        let value = |x: i64, y: i64, channel: i64| {
            let (x, y) = (x.clamp(0, width - 1), y.clamp(0, height - 1));
            let at = (3 * (y * width + x) + channel) as usize;
            i16::from(picture.rgb[at])
        };
        let slope = |x: i64, y: i64, channel: i64| {
            let column =
                |x| value(x, y - 1, channel) + 2 * value(x, y, channel) + value(x, y + 1, channel);
            let row =
                |y| value(x - 1, y, channel) + 2 * value(x, y, channel) + value(x + 1, y, channel);
            Slope {
                across: column(x + 1) - column(x - 1),
                down: row(y + 1) - row(y - 1),
            }
        };
        let steepest = |x, y| {
            (1..3).fold(slope(x, y, 0), |steepest, channel| {
                let other = slope(x, y, channel);
                if other.size() > steepest.size() {
                    other
                } else {
                    steepest
                }
            })
        };
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Self {
            width,
            height,
            rows: places.map(|(x, y)| steepest(x, y)).collect(),
        }
    }

    /// Where a pixel is among the rows; nowhere outside of the picture.
    fn index(&self, x: i64, y: i64) -> Option<usize> {
        let is_inside = (0..self.width).contains(&x) && (0..self.height).contains(&y);
        is_inside.then_some((y * self.width + x) as usize)
    }

    /// Flat outside of the picture.
    fn at(&self, x: i64, y: i64) -> Slope {
        let index = self.index(x, y);
        index.map_or(Slope::default(), |at| self.rows[at])
    }

    /// Whether a pixel is steeper than its two neighbours uphill and downhill, whose direction is
    /// one of four. Of two that are equally steep one is: `OpenCV`'s choice.
    fn is_crest(&self, x: i64, y: i64) -> bool {
        let slope = self.at(x, y);
        let size = slope.size();
        let other = |x, y| self.at(x, y).size();
        let flat = u32::from(slope.across.unsigned_abs());
        let steep = u32::from(slope.down.unsigned_abs()) << 15;
        let at_22 = flat * TAN_22;
        let at_67 = at_22 + (flat << 16);
        if steep < at_22 {
            size > other(x - 1, y) && size >= other(x + 1, y)
        } else if steep > at_67 {
            size > other(x, y - 1) && size >= other(x, y + 1)
        } else {
            let side = if (slope.across < 0) == (slope.down < 0) {
                1
            } else {
                -1
            };
            size > other(x - side, y - 1) && size > other(x + side, y + 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, value: impl Fn(u32, u32) -> u8) -> Picture {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Picture {
            width,
            height,
            rgb: places.flat_map(|(x, y)| [value(x, y); 3]).collect(),
        }
    }

    /// Where a picture's edges are, by the customary limits.
    fn edges(picture: &Picture) -> Vec<(u32, u32)> {
        let edges = picture.canny(100, 200).expect("edges");
        let is_white = |i: &usize| edges.rgb[3 * i] == 255;
        let pixels = (0..edges.rgb.len() / 3).filter(is_white);
        let width = picture.width as usize;
        pixels
            .map(|i| ((i % width) as u32, (i / width) as u32))
            .collect()
    }

    #[test]
    fn a_step_is_one_line() {
        let step = picture(8, 4, |x, _| if x < 4 { 0 } else { 255 });
        let expected: Vec<_> = (0..4).map(|y| (3, y)).collect();
        assert_eq!(edges(&step), expected);
        assert_eq!(edges(&picture(8, 4, |_, _| 90)), []);
    }

    #[test]
    fn a_faint_edge_counts_where_it_goes_on_from_a_strong_one() {
        // Strong in the left half, faint in the right.
        let line = |left: u8| {
            picture(40, 8, move |x, y| match (x < 20, y < 4) {
                (_, true) => 0,
                (true, false) => left,
                (false, false) => 40,
            })
        };
        let is_edge = |left: u8| edges(&line(left)).contains(&(35, 3));
        assert!(is_edge(200));
        assert!(!is_edge(40));
    }

    #[test]
    fn pictures_without_pixels_have_no_edges() {
        assert_eq!(edges(&picture(0, 4, |_, _| 0)), []);
    }

    #[test]
    fn a_picture_that_has_not_the_bytes_its_size_says_is_refused() {
        for (width, height) in [(2, 3), (u32::MAX, u32::MAX)] {
            let picture = Picture {
                width,
                height,
                rgb: vec![0; 17],
            };
            let refused = picture.canny(100, 200).expect_err("refused").to_string();
            assert!(refused.contains("control_image"), "{refused}");
            assert!(refused.contains("not 17"), "{refused}");
        }
    }
}
