//! CLIP's text encoder: `CLIPTextModel` and `CLIPTextModelWithProjection` of transformers.

use burn::tensor::module::embedding;
use burn::tensor::{Int, Tensor, activation};
use serde::Deserialize;

use crate::LoadError;
use crate::model::{Configuration, Network};
use crate::nn::{Heads, LayerNorm, Linear};
use crate::weights::Weights;

/// `config.json` of a text encoder.
#[derive(Clone, Debug, Deserialize)]
pub struct ClipTextConfig {
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside each MLP.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Longest sequence.
    #[serde(default = "default_positions")]
    pub max_position_embeddings: usize,
    /// The MLPs' activation.
    #[serde(default)]
    pub hidden_act: Activation,
    /// Epsilon of the layer norms.
    #[serde(default = "default_eps")]
    pub layer_norm_eps: f64,
    /// Width of the pooled embedding of a model with projection.
    #[serde(default = "default_projection")]
    pub projection_dim: usize,
    /// The token whose state is pooled; 2 stands for "the largest id" in old configurations.
    #[serde(default = "default_eos")]
    pub eos_token_id: i64,
}

const fn default_positions() -> usize {
    77
}
const fn default_eps() -> f64 {
    1e-5
}
const fn default_projection() -> usize {
    512
}
const fn default_eos() -> i64 {
    49407
}

/// An MLP's activation.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x · sigmoid(1.702 x)`
    #[default]
    QuickGelu,
    /// By the error function.
    Gelu,
}

impl Activation {
    fn apply(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::QuickGelu => x.clone() * activation::sigmoid(x.mul_scalar(1.702)),
            Self::Gelu => activation::gelu(x),
        }
    }
}

/// The encoder.
#[derive(Debug)]
pub struct ClipTextModel {
    /// `[vocabulary, hidden]`
    token_embedding: Tensor<2>,
    /// `[positions, hidden]`
    position_embedding: Tensor<2>,
    layers: Vec<EncoderLayer>,
    final_layer_norm: LayerNorm,
    text_projection: Option<Linear>,
    eos_token_id: i64,
}

/// What an encoder says of a batch of prompts.
#[derive(Debug)]
pub struct HiddenStates {
    /// `hidden_states` of transformers: the embeddings, then the residual stream after each
    /// layer, before the final norm. Each `[batch, tokens, hidden]`.
    pub layers: Vec<Tensor<3>>,
    /// The last of them, normalised. `[batch, tokens, hidden]`
    pub last: Tensor<3>,
    /// The state at the end of the text, projected: `[batch, projection]`. Only of a model with
    /// projection.
    pub text_embeds: Option<Tensor<2>>,
}

impl Configuration for ClipTextConfig {
    fn unsupported(&self) -> Option<String> {
        let heads = self.num_attention_heads;
        if heads == 0 || !self.hidden_size.is_multiple_of(heads) {
            return Some("num_attention_heads that does not divide hidden_size".to_owned());
        }
        None
    }
}

impl Network for ClipTextModel {
    type Config = ClipTextConfig;

    /// With or without the `text_model.` prefix on its tensors' names.
    fn build(weights: &Weights<'_>, config: &ClipTextConfig) -> Result<Self, LoadError> {
        let prefixed = weights.child("text_model");
        let model = if prefixed.has("embeddings.token_embedding.weight") {
            prefixed
        } else {
            weights.clone()
        };
        let width = config.hidden_size;
        let embeddings = model.child("embeddings");
        let text_projection = weights
            .has("text_projection.weight")
            .then(|| {
                let projection = weights.child("text_projection");
                Linear::load_without_bias(&projection, width, config.projection_dim)
            })
            .transpose()?;
        Ok(Self {
            token_embedding: embeddings
                .tensor("token_embedding.weight", [config.vocab_size, width])?,
            position_embedding: embeddings.tensor(
                "position_embedding.weight",
                [config.max_position_embeddings, width],
            )?,
            layers: (0..config.num_hidden_layers)
                .map(|i| EncoderLayer::load(&model.child(format!("encoder.layers.{i}")), config))
                .collect::<Result<_, _>>()?,
            final_layer_norm: LayerNorm::load(
                &model.child("final_layer_norm"),
                width,
                config.layer_norm_eps,
            )?,
            text_projection,
            eos_token_id: config.eos_token_id,
        })
    }
}

impl ClipTextModel {
    /// Encodes token ids, each row as long as every other.
    #[must_use]
    pub fn forward(&self, ids: &[Vec<u32>]) -> HiddenStates {
        let device = self.token_embedding.device();
        let (batch, tokens) = (ids.len(), ids.first().map_or(0, Vec::len));
        let flat: Vec<i32> = ids.iter().flatten().map(|&id| id as i32).collect();
        let ids_tensor =
            Tensor::<1, Int>::from_data(flat.as_slice(), &device).reshape([batch, tokens]);
        let positions = self.position_embedding.clone().narrow(0, 0, tokens);
        let mut x = embedding(self.token_embedding.clone(), ids_tensor) + positions.unsqueeze();
        let mut layers = vec![x.clone()];
        for layer in &self.layers {
            x = layer.forward(x);
            layers.push(x.clone());
        }
        let last = self.final_layer_norm.forward(x);
        let text_embeds = self.text_projection.as_ref().map(|projection| {
            let rows = ids.iter().enumerate().map(|(row, ids)| {
                let end = self.end_of_text(ids);
                last.clone().narrow(0, row, 1).narrow(1, end, 1)
            });
            let pooled = Tensor::cat(rows.collect(), 0);
            let [batch, _, width] = pooled.dims();
            projection.forward(pooled.reshape([batch, width]))
        });
        HiddenStates {
            layers,
            last,
            text_embeds,
        }
    }

    /// Where the text ends: at the first end token; with an old configuration, whose id for it
    /// is wrong, at the first of the largest ids (as transformers does).
    fn end_of_text(&self, ids: &[u32]) -> usize {
        let wanted = if self.eos_token_id == 2 {
            ids.iter().copied().max().map_or(0, i64::from)
        } else {
            self.eos_token_id
        };
        ids.iter()
            .position(|&id| i64::from(id) == wanted)
            .unwrap_or(0)
    }
}

#[derive(Debug)]
struct EncoderLayer {
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: Heads,
    activation: Activation,
}

impl EncoderLayer {
    fn load(weights: &Weights<'_>, config: &ClipTextConfig) -> Result<Self, LoadError> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let norm = |name| LayerNorm::load(&weights.child(name), width, config.layer_norm_eps);
        let linear = |name, from, to| Linear::load(&weights.child(name), from, to);
        Ok(Self {
            layer_norm1: norm("layer_norm1")?,
            q_proj: linear("self_attn.q_proj", width, width)?,
            k_proj: linear("self_attn.k_proj", width, width)?,
            v_proj: linear("self_attn.v_proj", width, width)?,
            out_proj: linear("self_attn.out_proj", width, width)?,
            layer_norm2: norm("layer_norm2")?,
            fc1: linear("mlp.fc1", width, inner)?,
            fc2: linear("mlp.fc2", inner, width)?,
            heads: Heads::new(weights, config.num_attention_heads),
            activation: config.hidden_act,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let normed = self.layer_norm1.forward(x.clone());
        let projections = [&self.q_proj, &self.k_proj, &self.v_proj];
        let qkv = projections.map(|projection| projection.forward(normed.clone()));
        let x = x + self.out_proj.forward(self.heads.attend(qkv, true));
        let inner = self.fc1.forward(self.layer_norm2.forward(x.clone()));
        x + self.fc2.forward(self.activation.apply(inner))
    }
}
