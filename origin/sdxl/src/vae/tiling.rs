//! A large picture in tiles, as diffusers' `AutoencoderKL` takes it: the memory of one tile, and
//! nearly the same picture. Each tile sees its own pixels only; neighbours share a quarter, over
//! which one is blended into the other.

use burn::tensor::{DType, Tensor, TensorData};

/// Sides of a tile before and after the network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles {
    pub input: usize,
    pub output: usize,
}

impl Tiles {
    /// Whether `x` is larger than a tile.
    pub fn are_needed(self, x: &Tensor<4>) -> bool {
        let [_, _, height, width] = x.dims();
        height > self.input || width > self.input
    }

    /// Applies a network tile by tile to `[batch, channels, height, width]`.
    pub fn apply(self, x: &Tensor<4>, network: impl Fn(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let stride = (self.input * 3 / 4).max(1);
        let blend = self.output / 4;
        let kept = self.output - blend;
        let mut above: Vec<Tensor<4>> = Vec::new();
        let mut rows = Vec::new();
        for top in (0..height).step_by(stride) {
            let mut row: Vec<Tensor<4>> = Vec::new();
            for (column, left) in (0..width).step_by(stride).enumerate() {
                let (tall, wide) = (self.input.min(height - top), self.input.min(width - left));
                let tile = x.clone().narrow(2, top, tall).narrow(3, left, wide);
                let mut tile = network(tile);
                if let Some(above) = above.get(column) {
                    tile = blended(above, tile, 2, blend);
                }
                if let Some(before) = row.last() {
                    tile = blended(before, tile, 3, blend);
                }
                row.push(tile);
            }
            let cut = |tile: &Tensor<4>| {
                let [_, _, tall, wide] = tile.dims();
                tile.clone()
                    .narrow(2, 0, kept.min(tall))
                    .narrow(3, 0, kept.min(wide))
            };
            rows.push(Tensor::cat(row.iter().map(cut).collect(), 3));
            above = row;
        }
        Tensor::cat(rows, 2)
    }
}

/// `next` with its first rows (dimension 2) or columns (3) blended into out of `before`'s last.
fn blended(before: &Tensor<4>, next: Tensor<4>, dimension: usize, most: usize) -> Tensor<4> {
    let (there, here) = (before.dims()[dimension], next.dims()[dimension]);
    let count = most.min(there).min(here);
    if count == 0 {
        return next;
    }
    let ramp: Vec<f32> = (0..count).map(|i| i as f32 / count as f32).collect();
    let mut shape = [1; 4];
    shape[dimension] = count;
    let options = (&next.device(), DType::F32);
    let ramp = Tensor::<4>::from_data(TensorData::new(ramp, shape), options).cast(next.dtype());
    let end = before.clone().narrow(dimension, there - count, count);
    let begin = next.clone().narrow(dimension, 0, count);
    let seam = end * ramp.clone().neg().add_scalar(1.0) + begin * ramp;
    let rest = next.narrow(dimension, count, here - count);
    Tensor::cat(vec![seam, rest], dimension)
}
