//! `torch.nn.Conv2d`.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Tensor};

use crate::LoadError;
use crate::device::conv_sums;
use crate::lora::LowRank;
use crate::weights::Weights;

/// What a convolution looks like; a 3×3 one of stride 1 that keeps the size unless told.
#[derive(Clone, Copy, Debug)]
pub struct ConvShape {
    /// Channels in.
    pub input: usize,
    /// Channels out.
    pub output: usize,
    /// Side of the square kernel.
    pub kernel: usize,
    /// Stride, both ways.
    pub stride: usize,
    /// Zeros before and after, both ways.
    pub padding: (usize, usize),
}

impl ConvShape {
    /// 3×3, stride 1, size kept.
    #[must_use]
    pub const fn same(input: usize, output: usize) -> Self {
        Self {
            input,
            output,
            kernel: 3,
            stride: 1,
            padding: (1, 1),
        }
    }

    /// 1×1.
    #[must_use]
    pub const fn pointwise(input: usize, output: usize) -> Self {
        Self {
            kernel: 1,
            padding: (0, 0),
            ..Self::same(input, output)
        }
    }
}

/// A two-dimensional convolution.
#[derive(Debug)]
pub struct Conv2d {
    /// `[output, input, kernel, kernel]`
    weight: Tensor<4>,
    /// `[output]`
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    adapters: Vec<LowRank>,
    /// The type it computes in.
    sums: DType,
}

impl Conv2d {
    /// Loads `weight` and `bias`.
    ///
    /// # Errors
    /// What [`Weights::tensor`] says of either.
    pub fn load(weights: &Weights<'_>, shape: ConvShape) -> Result<Self, LoadError> {
        let mut layer = Self::load_without_bias(weights, shape)?;
        layer.bias = Some(weights.tensor("bias", [shape.output])?);
        Ok(layer)
    }

    /// Loads `weight` alone.
    ///
    /// # Errors
    /// What [`Weights::tensor`] says of it.
    pub fn load_without_bias(weights: &Weights<'_>, shape: ConvShape) -> Result<Self, LoadError> {
        let ConvShape {
            input,
            output,
            kernel,
            stride,
            padding,
        } = shape;
        let mut options = ConvOptions::new([stride; 2], [0; 2], [1; 2], 1);
        options.padding = [padding; 2];
        Ok(Self {
            weight: weights.tensor("weight", [output, input, kernel, kernel])?,
            bias: None,
            options,
            adapters: weights.adapters(),
            sums: conv_sums(weights.device(), weights.dtype()),
        })
    }

    /// `[batch, input, height, width]` to `[batch, output, height′, width′]`.
    #[must_use]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let bias = self.bias.clone();
        if self.adapters.is_empty() {
            return self.convolve(x, &self.weight, bias, &self.options);
        }
        let y = self.convolve(x.clone(), &self.weight, bias, &self.options);
        self.adapters.iter().fold(y, |y, adapter| {
            let low = self.convolve(x.clone(), &adapter.down, None, &self.options);
            let pointwise = ConvOptions::new([1; 2], [0; 2], [1; 2], 1);
            y + self
                .convolve(low, &adapter.up, None, &pointwise)
                .mul_scalar(adapter.scale)
        })
    }

    /// `torch.nn.functional.conv2d`, whose sums are in f32 whatever type it is given.
    fn convolve(
        &self,
        x: Tensor<4>,
        weight: &Tensor<4>,
        bias: Option<Tensor<1>>,
        options: &ConvOptions<2>,
    ) -> Tensor<4> {
        let dtype = x.dtype();
        let (x, weight) = (x.cast(self.sums), weight.clone().cast(self.sums));
        let bias = bias.map(|bias| bias.cast(self.sums));
        conv2d(x, weight, bias, options.clone()).cast(dtype)
    }
}
