//! Edges, as `ControlNet`s for them were trained on: `OpenCV`'s `Canny` with an aperture of 3 and
//! sums of absolute derivatives, pixel for pixel (Canny 1986).

use crate::Picture;

/// tan(22.5°) in 1/32768.
const TAN_22: i64 = 13_573;

/// A pixel's steepest channel.
#[derive(Clone, Copy, Default)]
struct Slope {
    across: i64,
    down: i64,
    /// |across| + |down|
    size: i64,
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
    /// A picture with fewer bytes than its size says is black where they are missing.
    #[must_use]
    pub fn canny(&self, low: u32, high: u32) -> Self {
        let (low, high) = (low.min(high).into(), low.max(high).into());
        let slopes = Slopes::of(self);
        let mut marks = vec![Mark::None; slopes.rows.len()];
        let mut edges = Vec::new();
        for (at, slope) in slopes.rows.iter().enumerate() {
            let (x, y) = (at as i64 % slopes.width, at as i64 / slopes.width);
            if slope.size <= low || !slopes.is_crest(x, y) {
                continue;
            }
            if slope.size > high {
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
        Self {
            width: self.width,
            height: self.height,
            rgb: marks.iter().flat_map(|mark| [white(mark); 3]).collect(),
        }
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
            i64::from(picture.rgb.get(at).copied().unwrap_or(0))
        };
        let slope = |x: i64, y: i64, channel: i64| {
            let column =
                |x| value(x, y - 1, channel) + 2 * value(x, y, channel) + value(x, y + 1, channel);
            let row =
                |y| value(x - 1, y, channel) + 2 * value(x, y, channel) + value(x + 1, y, channel);
            let (across, down) = (column(x + 1) - column(x - 1), row(y + 1) - row(y - 1));
            Slope {
                across,
                down,
                size: across.abs() + down.abs(),
            }
        };
        let steepest = |x, y| {
            (1..3).fold(slope(x, y, 0), |steepest, channel| {
                let other = slope(x, y, channel);
                if other.size > steepest.size {
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
        let slope = self.index(x, y).and_then(|at| self.rows.get(at));
        slope.copied().unwrap_or_default()
    }

    /// Whether a pixel is steeper than its two neighbours uphill and downhill, whose direction is
    /// one of four. Of two that are equally steep one is: `OpenCV`'s choice.
    fn is_crest(&self, x: i64, y: i64) -> bool {
        let Slope { across, down, size } = self.at(x, y);
        let (flat, steep) = (across.abs(), down.abs() << 15);
        let at_22 = flat * TAN_22;
        let at_67 = at_22 + (flat << 16);
        if steep < at_22 {
            size > self.at(x - 1, y).size && size >= self.at(x + 1, y).size
        } else if steep > at_67 {
            size > self.at(x, y - 1).size && size >= self.at(x, y + 1).size
        } else {
            let side = if (across < 0) == (down < 0) { 1 } else { -1 };
            size > self.at(x - side, y - 1).size && size > self.at(x + side, y + 1).size
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

    fn white(picture: &Picture) -> Vec<(u32, u32)> {
        let is_white = |i: &usize| picture.rgb[3 * i] == 255;
        let pixels = (0..picture.rgb.len() / 3).filter(is_white);
        let width = picture.width as usize;
        pixels
            .map(|i| ((i % width) as u32, (i / width) as u32))
            .collect()
    }

    #[test]
    fn a_step_is_one_line() {
        let step = picture(8, 4, |x, _| if x < 4 { 0 } else { 255 });
        let expected: Vec<_> = (0..4).map(|y| (3, y)).collect();
        assert_eq!(white(&step.canny(100, 200)), expected);
        assert_eq!(white(&picture(8, 4, |_, _| 90).canny(100, 200)), []);
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
        let is_edge = |left: u8| white(&line(left).canny(100, 200)).contains(&(35, 3));
        assert!(is_edge(200));
        assert!(!is_edge(40));
    }

    #[test]
    fn pictures_without_pixels_have_no_edges() {
        assert!(picture(0, 4, |_, _| 0).canny(100, 200).rgb.is_empty());
    }
}
