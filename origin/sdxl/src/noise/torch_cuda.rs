//! `torch.randn` on CUDA devices: Philox4x32-10, a counter for every number.

use super::philox::philox;

/// 2⁻³² and 2π · 2⁻³², as CUDA's library rounds them.
const TO_UNIT: f32 = 2.328_306_4e-10;
const TO_TURN: f32 = 2.328_306_4e-10 * 6.283_185_5;

/// A generator in the state of `torch.Generator("cuda").manual_seed(seed)`.
///
/// PyTorch gives every number a thread of its own, as long as the device has as many: 221,184 on
/// an A100, enough for the latents of 1792×1792. Beyond that its numbers depend on the device, and
/// these go on as if it were larger.
#[derive(Clone, Debug)]
pub struct TorchCudaGenerator {
    seed: u64,
    offset: u32,
}

impl TorchCudaGenerator {
    /// A fresh generator.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, offset: 0 }
    }

    /// The next `count` normal numbers of one call of `torch.randn`.
    pub fn randn(&mut self, count: usize) -> Vec<f32> {
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        let offset = self.offset;
        self.offset += 1;
        (0..count as u64)
            .map(|i| {
                let [first, second, ..] = philox([offset, 0, i as u32, (i >> 32) as u32], key);
                let unit = first as f32 * TO_UNIT + TO_UNIT / 2.0;
                let turn = second as f32 * TO_TURN + TO_TURN / 2.0;
                libm::sqrtf(-2.0 * libm::logf(unit)) * libm::sinf(turn)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `torch.randn((3, 4), device="cuda")` says after `torch.manual_seed(0)`, as A1111's
    /// web UI documents it (`modules/rng_philox.py`).
    #[test]
    fn seed_0_gives_what_cuda_gives() {
        let expected = [
            -0.924_662_6,
            -0.425_344_15,
            -2.643_845_7,
            0.145_183_88,
            -0.120_866_47,
            -0.579_725_64,
            -0.622_851_2,
            -0.328_387_1,
            -1.074_542_3,
            -0.363_144_07,
            -1.671_050_7,
            2.265_505,
        ];
        let ours = TorchCudaGenerator::new(0).randn(12);
        for (ours, theirs) in ours.iter().zip(expected) {
            assert!((ours - theirs as f32).abs() < 1e-6, "{ours} {theirs}");
        }
    }
}
