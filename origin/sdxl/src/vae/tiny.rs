//! `AutoencoderTiny` of diffusers: TAESD, a small network that was taught what an autoencoder
//! does (Ollin Boer Bohan, madebyollin/taesd).

use burn::tensor::{DType, Tensor, activation};
use serde::Deserialize;

use crate::LoadError;
use crate::model::{Configuration, Network, first_wrong};
use crate::nn::{Conv2d, ConvShape};
use crate::unet::resize_nearest;
use crate::weights::Weights;

/// What `config.json` says, with diffusers' names.
#[derive(Clone, Debug, Deserialize)]
pub struct TinyConfig {
    /// Channels of a picture: 3.
    pub in_channels: usize,
    /// Channels of a picture: 3.
    pub out_channels: usize,
    /// Channels of the latents: 4.
    pub latent_channels: usize,
    /// Of each level, from the finest to the coarsest.
    pub encoder_block_out_channels: Vec<usize>,
    /// Of each level, from the coarsest to the finest.
    pub decoder_block_out_channels: Vec<usize>,
    /// Residual blocks of each level of the encoder.
    pub num_encoder_blocks: Vec<usize>,
    /// Residual blocks of each level of the decoder.
    pub num_decoder_blocks: Vec<usize>,
    /// The denoiser's latents are the encoder's times this.
    #[serde(default = "one")]
    pub scaling_factor: f64,
    #[serde(default = "two")]
    upsampling_scaling_factor: usize,
    #[serde(default = "relu")]
    act_fn: String,
    #[serde(default = "nearest")]
    upsample_fn: String,
    #[serde(default)]
    shift_factor: f64,
}

const fn one() -> f64 {
    1.0
}
const fn two() -> usize {
    2
}
fn relu() -> String {
    "relu".to_owned()
}
fn nearest() -> String {
    "nearest".to_owned()
}

impl TinyConfig {
    /// Pixels a side for one latent: 8 with four levels.
    #[must_use]
    pub fn scale(&self) -> usize {
        1 << (self.num_decoder_blocks.len() - 1)
    }
}

impl Configuration for TinyConfig {
    fn unsupported(&self) -> Option<String> {
        let (down, up) = (
            &self.encoder_block_out_channels,
            &self.decoder_block_out_channels,
        );
        let same = |channels: &[usize]| channels.windows(2).all(|pair| pair[0] == pair[1]);
        first_wrong([
            (
                (self.in_channels, self.out_channels) == (3, 3),
                "an in_channels or out_channels other than 3".to_owned(),
            ),
            (
                self.scaling_factor.is_normal(),
                format!("scaling_factor {}", self.scaling_factor),
            ),
            (self.act_fn == "relu", format!("act_fn {}", self.act_fn)),
            (
                self.upsample_fn == "nearest" && self.upsampling_scaling_factor == 2,
                "upsampling that does not double to the nearest".to_owned(),
            ),
            (
                self.shift_factor == 0.0,
                format!("shift_factor {}", self.shift_factor),
            ),
            (
                (1..=8).contains(&down.len())
                    && down.len() == self.num_encoder_blocks.len()
                    && up.len() == down.len()
                    && up.len() == self.num_decoder_blocks.len(),
                "lists of levels that differ in length".to_owned(),
            ),
            (
                same(down) && same(up),
                "levels that differ in channels".to_owned(),
            ),
        ])
    }
}

/// Encoder and decoder.
#[derive(Debug)]
pub struct AutoencoderTiny {
    config: TinyConfig,
    dtype: DType,
    encoder: Vec<Layer>,
    decoder: Vec<Layer>,
}

/// What `torch.nn.Sequential` numbers.
#[derive(Debug)]
enum Layer {
    Conv(Box<Conv2d>),
    Relu,
    /// `AutoencoderTinyBlock`: three convolutions beside a shortcut.
    Block(Box<[Conv2d; 3]>),
    Double,
}

impl Network for AutoencoderTiny {
    type Config = TinyConfig;

    fn build(weights: &Weights<'_>, config: &TinyConfig) -> Result<Self, LoadError> {
        Ok(Self {
            dtype: weights.dtype(),
            encoder: encoder(weights, config)?,
            decoder: decoder(weights, config)?,
            config: config.clone(),
        })
    }
}

/// Takes layers one after the other, with their numbers.
struct Sequential<'a> {
    weights: Weights<'a>,
    layers: Vec<Layer>,
}

impl<'a> Sequential<'a> {
    fn new(weights: Weights<'a>) -> Self {
        Self {
            weights,
            layers: Vec::new(),
        }
    }

    fn next(&self) -> Weights<'a> {
        self.weights.child(self.layers.len())
    }

    fn conv(&mut self, shape: ConvShape) -> Result<(), LoadError> {
        let conv = Conv2d::load(&self.next(), shape)?;
        self.layers.push(Layer::Conv(Box::new(conv)));
        Ok(())
    }

    fn conv_without_bias(&mut self, shape: ConvShape) -> Result<(), LoadError> {
        let conv = Conv2d::load_without_bias(&self.next(), shape)?;
        self.layers.push(Layer::Conv(Box::new(conv)));
        Ok(())
    }

    fn blocks(&mut self, channels: usize, count: usize) -> Result<(), LoadError> {
        for _ in 0..count {
            let weights = self.next();
            let conv = |i: usize| {
                let shape = ConvShape::same(channels, channels);
                Conv2d::load(&weights.child(format!("conv.{i}")), shape)
            };
            // ReLUs lie between.
            let block = Box::new([conv(0)?, conv(2)?, conv(4)?]);
            self.layers.push(Layer::Block(block));
        }
        Ok(())
    }
}

fn encoder(weights: &Weights<'_>, config: &TinyConfig) -> Result<Vec<Layer>, LoadError> {
    let mut all = Sequential::new(weights.child("encoder.layers"));
    let channels = config.encoder_block_out_channels[0];
    for (level, blocks) in config.num_encoder_blocks.iter().enumerate() {
        if level == 0 {
            all.conv(ConvShape::same(config.in_channels, channels))?;
        } else {
            let same = ConvShape::same(channels, channels);
            all.conv_without_bias(ConvShape { stride: 2, ..same })?;
        }
        all.blocks(channels, *blocks)?;
    }
    all.conv(ConvShape::same(channels, config.latent_channels))?;
    Ok(all.layers)
}

fn decoder(weights: &Weights<'_>, config: &TinyConfig) -> Result<Vec<Layer>, LoadError> {
    let mut all = Sequential::new(weights.child("decoder.layers"));
    let channels = config.decoder_block_out_channels[0];
    all.conv(ConvShape::same(config.latent_channels, channels))?;
    all.layers.push(Layer::Relu);
    let last = config.num_decoder_blocks.len() - 1;
    for (level, blocks) in config.num_decoder_blocks.iter().enumerate() {
        all.blocks(channels, *blocks)?;
        if level == last {
            all.conv(ConvShape::same(channels, config.out_channels))?;
        } else {
            all.layers.push(Layer::Double);
            all.conv_without_bias(ConvShape::same(channels, channels))?;
        }
    }
    Ok(all.layers)
}

impl Layer {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv(conv) => conv.forward(x),
            Self::Relu => activation::relu(x),
            Self::Block(block) => {
                let [first, second, third] = &**block;
                let hidden = activation::relu(first.forward(x.clone()));
                let hidden = activation::relu(second.forward(hidden));
                activation::relu(third.forward(hidden) + x)
            }
            Self::Double => {
                let [_, _, height, width] = x.dims();
                resize_nearest(x, [2 * height, 2 * width])
            }
        }
    }
}

impl AutoencoderTiny {
    /// The type it computes in.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The configuration it was made from.
    #[must_use]
    pub fn config(&self) -> &TinyConfig {
        &self.config
    }

    /// Pictures `[batch, 3, height, width]` in −1 … 1 to unscaled latents.
    #[must_use]
    pub fn encode(&self, pictures: Tensor<4>) -> Tensor<4> {
        let unit = pictures.add_scalar(1.0).div_scalar(2.0);
        self.encoder.iter().fold(unit, |x, layer| layer.forward(x))
    }

    /// Unscaled latents `[batch, latent, height, width]` to pictures in about −1 … 1
    /// `[batch, 3, 8 × height, 8 × width]`.
    #[must_use]
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        let bounded = latents.div_scalar(3.0).tanh().mul_scalar(3.0);
        let unit = self
            .decoder
            .iter()
            .fold(bounded, |x, layer| layer.forward(x));
        unit.mul_scalar(2.0).sub_scalar(1.0)
    }
}
