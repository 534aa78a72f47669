//! What the configurations of a UNet and of a `ControlNet` have in common.

use serde::{Deserialize, Deserializer};

use crate::model::first_wrong;

/// The way down, as `config.json` says it with diffusers' names.
#[derive(Clone, Debug, Deserialize)]
pub struct EncoderConfig {
    /// Channels of the latents, and of what is beside them: 4, or 9 for inpainting.
    pub in_channels: usize,
    /// From the finest to the coarsest.
    pub down_block_types: Vec<String>,
    /// Channels of each level.
    pub block_out_channels: Vec<usize>,
    /// Resnets of each level on the way down.
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
    #[serde(default)]
    class_embed_type: Option<String>,
    #[serde(default)]
    encoder_hid_dim_type: Option<String>,
    #[serde(default = "default_shift")]
    resnet_time_scale_shift: String,
    #[serde(default = "one")]
    mid_block_scale_factor: f64,
    #[serde(default = "one")]
    downsample_padding: f64,
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
    Some(MID_WITH_ATTENTION.to_owned())
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

impl EncoderConfig {
    /// How many levels there are.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.block_out_channels.len()
    }

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
        (0..self.levels())
            .map(|level| self.layers_per_block.at(level))
            .collect()
    }

    /// Whether a level's resnets have transformers after them.
    #[must_use]
    pub fn has_attention(&self, level: usize) -> bool {
        self.down_block_types[level].starts_with("CrossAttn")
    }

    /// Whether the middle has a transformer. A small `ControlNet`'s has none.
    #[must_use]
    pub fn has_mid_attention(&self) -> bool {
        self.mid_block_type.as_deref() == Some(MID_WITH_ATTENTION)
    }

    /// Width of the text conditioning wherever there is a transformer: at each such level, and in
    /// the middle.
    pub(crate) fn contexts(&self) -> Vec<usize> {
        let levels = (0..self.levels()).filter(|level| self.has_attention(*level));
        let middle = self.has_mid_attention().then(|| self.levels() - 1);
        levels
            .chain(middle)
            .map(|level| self.cross_attention_dim.at(level))
            .collect()
    }

    /// What it asks for that is not done here, if anything.
    pub(crate) fn unsupported(&self) -> Option<String> {
        let levels = self.levels();
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
                [self.mid_block_scale_factor, self.downsample_padding]
                    .iter()
                    .all(|factor| (factor - 1.0).abs() < f64::EPSILON),
                "a mid_block_scale_factor or downsample_padding other than 1".to_owned(),
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
                self.has_mid_attention()
                    || self.mid_block_type.as_deref() == Some("UNetMidBlock2D"),
                format!("mid_block_type {:?}", self.mid_block_type),
            ),
            (
                (1..=8).contains(&levels) && self.down_block_types.len() == levels,
                "a block_out_channels of other than 1 to 8 levels, or a down_block_types that \
                 differs from it in length"
                    .to_owned(),
            ),
            (
                are_blocks(&self.down_block_types, "DownBlock2D"),
                format!("down_block_types {:?}", self.down_block_types),
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
        first_wrong(checks)
    }
}

const MID_WITH_ATTENTION: &str = "UNetMidBlock2DCrossAttn";

/// Whether all of them are blocks of that kind, with or without attention.
pub(super) fn are_blocks(kinds: &[String], plain: &str) -> bool {
    kinds
        .iter()
        .all(|kind| kind.strip_prefix("CrossAttn").unwrap_or(kind) == plain)
}
