//! Noise levels spaced otherwise than by timesteps, from the highest to the least.

use statrs::distribution::{Beta, ContinuousCDF as _};

use super::config::SchedulerConfig;
use super::spacing::linspace;

/// The levels that a configuration's spacing makes of a range, or `None` where it has none.
pub(super) fn spaced(
    config: &SchedulerConfig,
    least: f64,
    highest: f64,
    count: usize,
) -> Option<Vec<f64>> {
    let least = config.sigma_min.unwrap_or(least);
    let highest = config.sigma_max.unwrap_or(highest);
    if config.use_karras_sigmas {
        Some(karras(least, highest, count))
    } else if config.use_exponential_sigmas || config.use_lu_lambdas {
        // Evenly by λ, which is −ln σ, is the same.
        Some(exponential(least, highest, count))
    } else if config.use_beta_sigmas {
        Some(beta(least, highest, count))
    } else {
        None
    }
}

/// Evenly in σ^(1/7) (Karras et al. 2022, equation 5).
fn karras(least: f64, highest: f64, count: usize) -> Vec<f64> {
    const RHO: f64 = 7.0;
    linspace(highest.powf(1.0 / RHO), least.powf(1.0 / RHO), count)
        .into_iter()
        .map(|root| root.powf(RHO))
        .collect()
}

/// Evenly in ln σ.
fn exponential(least: f64, highest: f64, count: usize) -> Vec<f64> {
    let logs = linspace(highest.ln(), least.ln(), count);
    logs.into_iter().map(f64::exp).collect()
}

/// By the quantiles of a beta distribution of 0.6 and 0.6 (Lee et al. 2024).
fn beta(least: f64, highest: f64, count: usize) -> Vec<f64> {
    let quantile = |share: f64| {
        // Its ends, where a root finder would come near and no nearer.
        if share <= 0.0 || share >= 1.0 {
            return share;
        }
        Beta::new(0.6, 0.6).map_or(share, |beta| beta.inverse_cdf(share))
    };
    linspace(1.0, 0.0, count)
        .into_iter()
        .map(|share| least + quantile(share) * (highest - least))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spacing_has_the_ends_that_it_was_given() {
        for spacing in [karras, exponential, beta] {
            let levels = spacing(0.03, 14.6, 9);
            assert!((levels[0] - 14.6).abs() < 1e-9, "{levels:?}");
            assert!((levels[8] - 0.03).abs() < 1e-9, "{levels:?}");
            assert!(
                levels.windows(2).all(|pair| pair[0] > pair[1]),
                "{levels:?}"
            );
        }
    }

    /// `scipy.stats.beta.ppf`
    #[test]
    fn quantiles_of_the_beta_distribution_are_scipys() {
        let levels = beta(0.0, 1.0, 5);
        for (ours, scipys) in levels.iter().zip([1.0, 0.824_319_6, 0.5, 0.175_680_4, 0.0]) {
            assert!((ours - scipys).abs() < 1e-6, "{ours} {scipys}");
        }
    }
}
