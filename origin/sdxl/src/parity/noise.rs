//! PyTorch's generators.

use super::compare::{Comparison, Measure};
use super::fixtures::{Case, Fixtures};
use super::{CaseError, Outcome};
use crate::noise::TorchCpuGenerator;

/// The same numbers but for the last bits, in which logarithms and cosines differ.
const TOLERANCE: Measure = Measure::Relative(1e-5);

pub(super) fn check(fixtures: &Fixtures, case: &Case) -> Result<Outcome, CaseError> {
    let (reference, _) = fixtures.values(case, "randn")?;
    let ours = TorchCpuGenerator::new(case.argument("seed")?).randn(reference.len());
    let comparison = Comparison::new("randn", &ours, &reference, TOLERANCE);
    Ok(Outcome::Compared(vec![comparison]))
}
