//! A rough picture of latents, without the VAE: three sums of products a latent.
//!
//! The factors are fitted to the checkpoint's own VAE. It is shown patches of plain colours once;
//! the factors are those that, in the least squares' sense, lead from the latents it makes of them
//! back to the colours.

use burn::tensor::{Device, Tensor, TensorData};

use super::first;
use super::picture::{Picture, read};
use crate::RunError;
use crate::elimination::solve;
use crate::noise::normal;
use crate::vae::AutoencoderKL;

/// Patches a side.
const SIDE: usize = 12;
/// Latents a patch's side: those at its edges see the neighbours.
const PATCH: usize = 4;

/// Factors of each latent channel for red, green and blue, and what is added.
#[derive(Clone, Debug)]
pub(super) struct PreviewFactors {
    /// `channels + 1` rows; the last is added.
    rows: Vec<[f64; 3]>,
}

impl PreviewFactors {
    /// Fits them to a VAE whose latents the denoiser has times `scaling_factor`.
    pub fn fit(vae: &AutoencoderKL, device: &Device) -> Result<Self, RunError> {
        let colours = colours();
        let scale = vae.config().scale();
        let side = SIDE * PATCH * scale;
        let mut rgb = vec![0_u8; 3 * side * side];
        for (i, pixel) in rgb.chunks_exact_mut(3).enumerate() {
            let (x, y) = (i % side / (PATCH * scale), i / side / (PATCH * scale));
            let colour = colours[y * SIDE + x];
            for (byte, value) in pixel.iter_mut().zip(colour) {
                *byte = (value * 255.0).round() as u8;
            }
        }
        let picture = Picture {
            width: side as u32,
            height: side as u32,
            rgb,
        };
        let image = picture.to_tensor(device).cast(vae.dtype());
        let latents = vae
            .encode(image)
            .mean
            .mul_scalar(vae.config().scaling_factor);
        let [_, channels, _, width] = latents.dims();
        let values = read(latents)?;
        // The middle of each patch.
        let at = |patch: usize, channel: usize| {
            let (x, y) = (
                patch % SIDE * PATCH + PATCH / 2,
                patch / SIDE * PATCH + PATCH / 2,
            );
            f64::from(values[(channel * width + y) * width + x])
        };
        let row = |patch| (0..channels).map(|c| at(patch, c)).chain([1.0]).collect();
        let inputs: Vec<Vec<f64>> = (0..colours.len()).map(row).collect();
        Ok(Self {
            rows: least_squares(&inputs, &colours),
        })
    }

    /// The first of clean latents `[batch, channels, height, width]`, a pixel each.
    pub fn picture(&self, latents: Tensor<4>) -> Result<Picture, RunError> {
        let device = latents.device();
        let latents = latents.narrow(0, 0, 1);
        let [_, channels, height, width] = latents.dims();
        let (factors, added) = self.rows.split_at(channels.min(self.rows.len() - 1));
        let factors: Vec<f32> = factors.iter().flatten().map(|f| *f as f32).collect();
        let factors = Tensor::<2>::from_data(TensorData::new(factors, [channels, 3]), &device);
        let added: Vec<f32> = added.iter().flatten().map(|f| *f as f32).collect();
        let added = Tensor::<1>::from_data(TensorData::new(added, [3]), &device);
        let rows = latents.reshape([channels, height * width]).transpose();
        let pixels = rows.matmul(factors) + added.unsqueeze();
        let pixels = pixels.transpose().reshape([1, 3, height, width]);
        first(Picture::from_unit(pixels)?)
    }
}

/// Colours all over, always the same.
fn colours() -> Vec<[f64; 3]> {
    normal(0, 0, 3 * SIDE * SIDE)
        .chunks_exact(3)
        .map(|c| [c[0], c[1], c[2]].map(|x| (f64::from(x) * 0.3 + 0.5).clamp(0.0, 1.0)))
        .collect()
}

/// The rows that times the inputs come nearest to the outputs, by the normal equations.
fn least_squares(inputs: &[Vec<f64>], outputs: &[[f64; 3]]) -> Vec<[f64; 3]> {
    let n = inputs.first().map_or(0, Vec::len);
    let equations = (0..n)
        .map(|i| {
            let products = (0..n).map(|j| inputs.iter().map(|row| row[i] * row[j]).sum());
            let targets = (0..3).map(|c| {
                let pairs = inputs.iter().zip(outputs);
                pairs.map(|(row, colour)| row[i] * colour[c]).sum()
            });
            products.chain(targets).collect()
        })
        .collect();
    let rows = solve(equations).into_iter();
    rows.filter_map(|row| row.try_into().ok()).collect()
}
