//! Low-rank additions by layer.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

/// What is added to a layer's answer: `scale` · up(down(x)).
#[derive(Clone, Debug)]
pub(crate) struct LowRank {
    /// `[rank, input, kernel, kernel]`; a linear layer's kernel is 1.
    pub down: Tensor<4>,
    /// `[output, rank, 1, 1]`
    pub up: Tensor<4>,
    /// alpha ÷ rank, times the weight that the run gives the LoRA.
    pub scale: f64,
}

/// The additions to one network.
#[derive(Clone, Debug, Default)]
pub(crate) struct Adapters {
    /// By diffusers' names of the layers; in the order they are given.
    layers: BTreeMap<String, Vec<LowRank>>,
}

impl Adapters {
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The additions to a layer.
    pub fn of(&self, layer: &str) -> Vec<LowRank> {
        self.layers.get(layer).cloned().unwrap_or_default()
    }

    /// Adds those of a LoRA, with a weight.
    pub fn add(&mut self, layers: &BTreeMap<String, LowRank>, weight: f64) {
        // Weight 0 is none: not even a rounding is different.
        if weight == 0.0 {
            return;
        }
        for (layer, addition) in layers {
            let addition = LowRank {
                scale: addition.scale * weight,
                ..addition.clone()
            };
            self.layers.entry(layer.clone()).or_default().push(addition);
        }
    }
}
