//! `config.json` of a UNet.

use serde::{Deserialize, Deserializer};

use crate::model::Configuration;

/// What `config.json` says, with diffusers' names.
#[derive(Clone, Debug, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the file's own fields")]
pub struct UNetConfig {
    /// Side of the latents the model was made for.
    #[serde(default)]
    pub sample_size: Option<usize>,
    /// 4, or 9 for inpainting.
    pub in_channels: usize,
    /// 4.
    pub out_channels: usize,
    /// From the finest to the coarsest.
    pub down_block_types: Vec<String>,
    /// From the coarsest to the finest.
    pub up_block_types: Vec<String>,
    /// Channels of each level.
    pub block_out_channels: Vec<usize>,
    /// Resnets of each level on the way down; one more on the way up.
    pub layers_per_block: OneOrMany,
    /// Width of the text conditioning.
    pub cross_attention_dim: OneOrMany,
    /// Transformer blocks of each level.
    #[serde(default = "OneOrMany::one")]
    pub transformer_layers_per_block: OneOrMany,
    /// Attention **heads** of each level, in spite of its name.
    pub attention_head_dim: OneOrMany,
    /// The same, where a configuration uses the right name.
    #[serde(default)]
    pub num_attention_heads: Option<OneOrMany>,
    /// Groups of the group norms.
    #[serde(default = "default_groups")]
    pub norm_num_groups: usize,
    /// Epsilon of the resnets' norms.
    #[serde(default = "default_eps")]
    pub norm_eps: f64,
    /// Width of each time id's embedding.
    pub addition_time_embed_dim: usize,
    /// Width of pooled text and all time ids together.
    pub projection_class_embeddings_input_dim: usize,
    /// Whether the time embedding begins with its cosines.
    #[serde(default = "yes")]
    pub flip_sin_to_cos: bool,
    /// Shift of the time embedding's frequencies.
    #[serde(default)]
    pub freq_shift: f32,
    #[serde(default)]
    addition_embed_type: Option<String>,
    #[serde(default)]
    use_linear_projection: bool,
    #[serde(default = "default_act")]
    act_fn: String,
    /// Width of the guidance scale's embedding, in a UNet that is told it.
    #[serde(default)]
    pub time_cond_proj_dim: Option<usize>,
    #[serde(default)]
    class_embed_type: Option<String>,
    #[serde(default)]
    encoder_hid_dim_type: Option<String>,
    #[serde(default = "default_shift")]
    resnet_time_scale_shift: String,
    #[serde(default = "one")]
    resnet_out_scale_factor: f64,
    #[serde(default = "one")]
    mid_block_scale_factor: f64,
    #[serde(default = "one")]
    downsample_padding: f64,
    #[serde(default)]
    center_input_sample: bool,
    #[serde(default)]
    dual_cross_attention: bool,
    #[serde(default = "default_mid")]
    mid_block_type: Option<String>,
}

const fn default_groups() -> usize {
    32
}
const fn default_eps() -> f64 {
    1e-5
}
const fn yes() -> bool {
    true
}
const fn one() -> f64 {
    1.0
}
fn default_shift() -> String {
    "default".to_owned()
}
fn default_act() -> String {
    "silu".to_owned()
}
#[expect(clippy::unnecessary_wraps, reason = "the default of an optional field")]
fn default_mid() -> Option<String> {
    Some("UNetMidBlock2DCrossAttn".to_owned())
}

/// A number for all levels, or one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMany(Vec<usize>);

impl OneOrMany {
    fn one() -> Self {
        Self(vec![1])
    }

    /// The number for a level.
    #[must_use]
    pub fn at(&self, level: usize) -> usize {
        self.0.get(level).or(self.0.last()).copied().unwrap_or(0)
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            One(usize),
            Many(Vec<usize>),
        }
        match Form::deserialize(from)? {
            Form::One(one) => Ok(Self(vec![one])),
            Form::Many(many) if !many.is_empty() => Ok(Self(many)),
            Form::Many(_) => Err(serde::de::Error::custom("an empty list")),
        }
    }
}

impl UNetConfig {
    /// Attention heads of a level.
    #[must_use]
    pub fn heads(&self, level: usize) -> usize {
        self.num_attention_heads
            .as_ref()
            .unwrap_or(&self.attention_head_dim)
            .at(level)
    }

    /// Layers of each level on the way down.
    #[must_use]
    pub fn layers(&self) -> Vec<usize> {
        let levels = self.block_out_channels.len();
        (0..levels)
            .map(|level| self.layers_per_block.at(level))
            .collect()
    }
}

impl Configuration for UNetConfig {
    fn unsupported(&self) -> Option<String> {
        let levels = self.block_out_channels.len();
        let known =
            |kind: &String, plain: &str| kind == plain || *kind == format!("CrossAttn{plain}");
        let checks = [
            (
                self.addition_embed_type.as_deref() == Some("text_time"),
                format!("addition_embed_type {:?}", self.addition_embed_type),
            ),
            (
                self.use_linear_projection,
                "use_linear_projection false".to_owned(),
            ),
            (
                self.layers().iter().all(|layers| (1..=64).contains(layers)),
                "layers_per_block outside of 1 to 64".to_owned(),
            ),
            (self.act_fn == "silu", format!("act_fn {}", self.act_fn)),
            (
                self.resnet_time_scale_shift == "default",
                format!("resnet_time_scale_shift {}", self.resnet_time_scale_shift),
            ),
            (
                [
                    self.resnet_out_scale_factor,
                    self.mid_block_scale_factor,
                    self.downsample_padding,
                ]
                .iter()
                .all(|factor| (factor - 1.0).abs() < f64::EPSILON),
                "a scale factor or downsample_padding other than 1".to_owned(),
            ),
            (
                !self.center_input_sample && !self.dual_cross_attention,
                "center_input_sample or dual_cross_attention".to_owned(),
            ),
            (
                self.class_embed_type.is_none(),
                "class_embed_type".to_owned(),
            ),
            (
                self.encoder_hid_dim_type.is_none(),
                "encoder_hid_dim_type".to_owned(),
            ),
            (
                self.mid_block_type.as_deref() == Some("UNetMidBlock2DCrossAttn"),
                format!("mid_block_type {:?}", self.mid_block_type),
            ),
            (
                levels > 0
                    && self.down_block_types.len() == levels
                    && self.up_block_types.len() == levels,
                "a list of blocks that differs in length from block_out_channels".to_owned(),
            ),
            (
                self.down_block_types
                    .iter()
                    .all(|kind| known(kind, "DownBlock2D")),
                format!("down_block_types {:?}", self.down_block_types),
            ),
            (
                self.up_block_types
                    .iter()
                    .all(|kind| known(kind, "UpBlock2D")),
                format!("up_block_types {:?}", self.up_block_types),
            ),
            (
                self.norm_num_groups > 0
                    && self
                        .block_out_channels
                        .iter()
                        .all(|c| c % self.norm_num_groups == 0),
                "block_out_channels that norm_num_groups does not divide".to_owned(),
            ),
            (
                (0..levels).all(|level| {
                    let heads = self.heads(level);
                    heads > 0 && self.block_out_channels[level].is_multiple_of(heads)
                }),
                "attention_head_dim that does not divide block_out_channels".to_owned(),
            ),
        ];
        checks
            .into_iter()
            .find(|(fine, _)| !fine)
            .map(|(_, what)| what)
    }
}
