//! Errors beside their tolerances.

use std::fmt;

use crate::Precision;

/// The largest differences of one part of a case.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    part: String,
    absolute: f64,
    relative: f64,
    /// 1 less the cosine of the angle between the two.
    turned: f64,
    measure: Measure,
}

/// What is compared, and what is still agreement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Measure {
    /// The relative error is at most this.
    Relative(f64),
    /// The cosine is at least this.
    Cosine(f64),
}

/// Tolerance of a single stage.
pub(super) const STAGE: Measure = Measure::Relative(1e-4);
/// Tolerance of a whole run, where it does not amplify.
pub(super) const RUN: f64 = 1e-3;

impl Measure {
    /// The same for what a network computed in that precision: digits that 16 bits do not have
    /// cannot agree, the direction can.
    pub(super) fn of(self, precision: Precision) -> Self {
        match precision {
            Precision::F32 => self,
            Precision::F16 => Self::Cosine(0.999),
            // A third as many digits as f16 has.
            Precision::Bf16 => Self::Cosine(0.98),
        }
    }
}

impl Comparison {
    /// Compares value by value. Another number of values, and anything of ours that is not finite,
    /// is an infinite error. Where the reference has no number (diffusers' UniPC with `bh1` ends
    /// in infinity times nothing) there is nothing to agree with, and any number will do.
    pub(super) fn new(part: &str, ours: &[f32], reference: &[f32], measure: Measure) -> Self {
        let comparable = ours.len() == reference.len() && ours.iter().all(|x| x.is_finite());
        let (ours, reference): (Vec<f32>, Vec<f32>) = ours
            .iter()
            .zip(reference)
            .filter(|(_, reference)| reference.is_finite())
            .unzip();
        let mut absolute = if comparable { 0.0_f64 } else { f64::INFINITY };
        let mut largest = 0.0_f64;
        for (ours, reference) in ours.iter().zip(&reference) {
            absolute = absolute.max(f64::from((ours - reference).abs()));
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
            turned: if absolute.is_finite() {
                turned(&ours, &reference)
            } else {
                f64::INFINITY
            },
            measure,
        }
    }

    pub(super) fn agrees(&self) -> bool {
        match self.measure {
            Measure::Relative(most) => self.relative <= most,
            Measure::Cosine(least) => self.turned <= 1.0 - least,
        }
    }

    /// How much of the tolerance is used.
    fn share(&self) -> f64 {
        let (found, most) = match self.measure {
            Measure::Relative(most) => (self.relative, most),
            Measure::Cosine(least) => (self.turned, 1.0 - least),
        };
        if found == 0.0 { 0.0 } else { found / most }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            absolute,
            relative,
            turned,
            part,
            ..
        } = self;
        match self.measure {
            Measure::Relative(most) => {
                write!(
                    f,
                    "abs {absolute:.2e}  rel {relative:.2e}  tol {most:.2e}  ({part})"
                )
            }
            Measure::Cosine(least) => write!(
                f,
                "abs {absolute:.2e}  rel {relative:.2e}  cos {:.6}  min {least:.6}  ({part})",
                1.0 - turned
            ),
        }
    }
}

/// 1 less the cosine of the angle between two rows of numbers.
pub(super) fn turned(ours: &[f32], reference: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    let lengths = (dot(ours, ours) * dot(reference, reference)).sqrt();
    if lengths == 0.0 {
        // Nothing beside nothing is the same; nothing beside something is not.
        return if ours == reference { 0.0 } else { 1.0 };
    }
    (1.0 - dot(ours, reference) / lengths).max(0.0)
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
        let comparison = Comparison::new("x", &[1.0, -4.0], &[1.1, -4.0], Measure::Relative(0.1));
        assert!((comparison.relative - 0.1 / 4.0).abs() < 1e-6);
        assert!(comparison.agrees());
    }

    #[test]
    fn what_cannot_be_compared_does_not_agree() {
        for ours in [&[f32::NAN, 1.0][..], &[f32::INFINITY, 1.0], &[1.0], &[]] {
            assert!(
                !Comparison::new("x", ours, &[1.0, 1.0], Measure::Relative(1.0)).agrees(),
                "{ours:?}"
            );
            let cosine = Measure::Cosine(0.0);
            assert!(
                !Comparison::new("x", ours, &[1.0, 1.0], cosine).agrees(),
                "{ours:?}"
            );
        }
        let exact = Measure::Relative(0.0);
        assert!(!Comparison::new("x", &[0.1], &[0.0], Measure::Relative(1.0)).agrees());
        assert!(Comparison::new("x", &[0.0], &[0.0], exact).agrees());
    }

    #[test]
    fn where_the_reference_has_no_number_the_others_count() {
        let reference = [f32::NAN, 2.0];
        assert!(Comparison::new("x", &[7.0, 2.0], &reference, STAGE).agrees());
        assert!(!Comparison::new("x", &[7.0, 2.1], &reference, STAGE).agrees());
        assert!(!Comparison::new("x", &[f32::NAN, 2.0], &reference, STAGE).agrees());
    }

    #[test]
    fn in_16_bits_the_direction_must_agree() {
        let cosine = STAGE.of(Precision::F16);
        assert!(Comparison::new("x", &[1.01, 2.0], &[1.0, 2.0], cosine).agrees());
        assert!(!Comparison::new("x", &[1.2, 2.0], &[1.0, 2.0], cosine).agrees());
        assert!(!Comparison::new("x", &[0.0, 0.0], &[1.0, 2.0], cosine).agrees());
    }

    #[test]
    fn the_worst_part_is_the_one_that_uses_most_of_its_tolerance() {
        let loose = Comparison::new("loose", &[1.5], &[1.0], Measure::Relative(1.0));
        let strict = Comparison::new("strict", &[1.01], &[1.0], STAGE);
        assert_eq!(
            worst(&[loose, strict]).map(|c| c.part.as_str()),
            Some("strict")
        );
    }
}
