//! Errors beside their tolerances.

use std::fmt;

/// The largest differences of one part of a case.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    part: String,
    absolute: f64,
    relative: f64,
    tolerance: f64,
}

/// Tolerance of a single stage.
pub(super) const STAGE: f64 = 1e-4;
/// Tolerance of a whole run, where it does not amplify.
pub(super) const RUN: f64 = 1e-3;

impl Comparison {
    /// Compares value by value. Another number of values, and anything that is not finite,
    /// is an infinite error.
    pub(super) fn new(part: &str, ours: &[f32], reference: &[f32], tolerance: f64) -> Self {
        let mut absolute = if ours.len() == reference.len() {
            0.0_f64
        } else {
            f64::INFINITY
        };
        let mut largest = 0.0_f64;
        for (ours, reference) in ours.iter().zip(reference) {
            let difference = f64::from((ours - reference).abs());
            // `max` would pass over a NaN.
            if difference.is_nan() {
                absolute = f64::INFINITY;
            }
            absolute = absolute.max(difference);
            largest = largest.max(f64::from(reference.abs()));
        }
        let relative = if absolute == 0.0 {
            0.0
        } else {
            absolute / largest
        };
        Self {
            part: part.to_owned(),
            absolute,
            relative,
            tolerance,
        }
    }

    pub(super) fn agrees(&self) -> bool {
        self.relative <= self.tolerance
    }

    /// How much of the tolerance is used.
    fn share(&self) -> f64 {
        if self.relative == 0.0 {
            0.0
        } else {
            self.relative / self.tolerance
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "abs {:.2e}  rel {:.2e}  tol {:.2e}  ({})",
            self.absolute, self.relative, self.tolerance, self.part
        )
    }
}

/// The part that comes nearest to its tolerance, or goes furthest beyond it.
pub(super) fn worst(parts: &[Comparison]) -> Option<&Comparison> {
    parts.iter().max_by(|a, b| a.share().total_cmp(&b.share()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_relative_to_the_references_largest_value() {
        let comparison = Comparison::new("x", &[1.0, -4.0], &[1.1, -4.0], 1e-1);
        assert!((comparison.relative - 0.1 / 4.0).abs() < 1e-6);
        assert!(comparison.agrees());
    }

    #[test]
    fn what_cannot_be_compared_does_not_agree() {
        for ours in [&[f32::NAN, 1.0][..], &[f32::INFINITY, 1.0], &[1.0], &[]] {
            assert!(
                !Comparison::new("x", ours, &[1.0, 1.0], 1.0).agrees(),
                "{ours:?}"
            );
        }
        assert!(!Comparison::new("x", &[0.1], &[0.0], 1.0).agrees());
        assert!(Comparison::new("x", &[0.0], &[0.0], 0.0).agrees());
    }

    #[test]
    fn the_worst_part_is_the_one_that_uses_most_of_its_tolerance() {
        let loose = Comparison::new("loose", &[1.5], &[1.0], 1.0);
        let strict = Comparison::new("strict", &[1.01], &[1.0], 1e-4);
        assert_eq!(
            worst(&[loose, strict]).map(|c| c.part.as_str()),
            Some("strict")
        );
    }
}
