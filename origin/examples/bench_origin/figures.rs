//! Numbers, and the lines that they are printed in.

use std::fmt::Display;
use std::time::Duration;

/// How long each of many things took, in order.
pub struct Times(Vec<Duration>);

impl Times {
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The time that so many in a hundred stay within (nearest rank).
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    pub fn longest(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }
}

/// `1.2, 3.4 ms`: the median and what 99 in 100 stay within.
impl Display for Times {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [half, most] = [50, 99].map(|percent| millis(self.percentile(percent)));
        write!(formatter, "{half:.1}, {most:.1} ms")
    }
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The middle one of several figures; of an even number, the upper one.
pub fn median(figures: &[f64]) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// `1.23 (1.10 to 1.40)`: the median of several ratios, and their range.
pub fn range(ratios: &[f64]) -> String {
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({least:.2} to {most:.2})", median(ratios))
}

/// Prints what a part is about.
pub fn title(text: impl Display) {
    println!("\n{text}");
}

/// Prints a figure under its name.
pub fn line(name: impl Display, figure: impl Display) {
    println!("  {:<58} {figure}", name.to_string());
}

/// Bytes in MiB.
pub fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
