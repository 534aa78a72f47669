//! A `ControlNet` or a T2I-Adapter, loaded for one model.

use std::path::Path;

use burn::tensor::{DType, Device};
use serde::Deserialize;

use super::controlnet::ControlNetModel;
use super::controlnet_config::ControlNetConfig;
use super::t2i_adapter::{T2iAdapter, T2iAdapterConfig};
use crate::LoadError;
use crate::model::{Configuration, Part, PartFiles, config_of};
use crate::unet::UNetConfig;
use crate::weights::{Checkpoint, Target, read_json};

/// What makes of a picture what steers a run: see [`Pipeline::load_control`].
///
/// [`Pipeline::load_control`]: crate::Pipeline::load_control
#[derive(Debug)]
pub struct ControlModel {
    kind: Kind,
}

/// Which of the two.
#[derive(Debug)]
pub(crate) enum Kind {
    ControlNet(Box<Part<ControlNetModel>>),
    T2iAdapter(Box<Part<T2iAdapter>>),
}

/// The model that is to be steered.
#[derive(Clone, Copy)]
pub(crate) struct Steered<'a> {
    pub unet: &'a UNetConfig,
    /// Pixels a side for one latent.
    pub scale: usize,
}

/// The part of a `config.json` that says whose it is.
#[derive(Deserialize)]
struct Class {
    #[serde(rename = "_class_name")]
    name: String,
    /// Of a `ControlNet`: what SDXL is told beside the timestep, and other models are not.
    #[serde(default)]
    addition_embed_type: Option<String>,
}

impl Class {
    /// What a `ControlNet` of another model than SDXL has.
    fn not_sdxl(&self) -> Option<String> {
        let found = self.addition_embed_type.as_deref().unwrap_or("null");
        (found != "text_time").then(|| format!("addition_embed_type {found}, SDXL has text_time"))
    }
}

impl ControlModel {
    /// Loads a folder, or a file beside its `config.json`. A file without one is taken for a
    /// `ControlNet` as large as the UNet.
    pub(crate) fn open(
        path: &Path,
        steered: Steered<'_>,
        target: Target<'_>,
    ) -> Result<Self, LoadError> {
        let config = config_of(path);
        if !path.is_dir() && !config.is_file() {
            let unet = steered.unet;
            let shapes = Checkpoint::open(path)?.shapes().into_iter().collect();
            let config = ControlNetConfig::of_unet(&unet.encoder, unet.out_channels, &shapes);
            return controlnet(path, config.supported(path)?, steered, target);
        }
        let class: Class = read_json(&config)?;
        match class.name.as_str() {
            "ControlNetModel" => {
                // Before the rest is read: other models' configurations lack fields of SDXL's.
                require(&config, class.not_sdxl())?;
                let config = ControlNetConfig::read(&config)?;
                controlnet(path, config, steered, target)
            }
            "T2IAdapter" => {
                let config = T2iAdapterConfig::read(&config)?;
                require(path, adapter_difference(&config, steered))?;
                let part = Part::load(PartFiles::at(path, config), target, true)?;
                Ok(Self {
                    kind: Kind::T2iAdapter(Box::new(part)),
                })
            }
            other => Err(LoadError::Unsupported {
                path: config,
                what: format!("_class_name {other}"),
            }),
        }
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// In which type of number it computes, and where.
    pub(crate) fn place(&self) -> (DType, &Device) {
        match &self.kind {
            Kind::ControlNet(part) => (part.dtype(), part.device()),
            Kind::T2iAdapter(part) => (part.dtype(), part.device()),
        }
    }

    /// What of its configuration differs from a model's where they must agree.
    pub(crate) fn difference(&self, steered: Steered<'_>) -> Option<String> {
        match &self.kind {
            Kind::ControlNet(part) => controlnet_difference(part.config(), steered),
            Kind::T2iAdapter(part) => adapter_difference(part.config(), steered),
        }
    }
}

fn controlnet(
    path: &Path,
    config: ControlNetConfig,
    steered: Steered<'_>,
    target: Target<'_>,
) -> Result<ControlModel, LoadError> {
    require(path, controlnet_difference(&config, steered))?;
    let part = Part::load(PartFiles::at(path, config), target, true)?;
    Ok(ControlModel {
        kind: Kind::ControlNet(Box::new(part)),
    })
}

fn controlnet_difference(config: &ControlNetConfig, steered: Steered<'_>) -> Option<String> {
    let (ours, theirs) = (&config.encoder, &steered.unet.encoder);
    let pixels = 1 << (config.conditioning_embedding_out_channels.len() - 1);
    // The middle's, as everywhere in a UNet that was loaded.
    let width = theirs.cross_attention_dim.at(theirs.levels() - 1);
    let numbers = [
        (
            "in_channels",
            vec![ours.in_channels],
            vec![steered.unet.out_channels],
        ),
        (
            "block_out_channels",
            ours.block_out_channels.clone(),
            theirs.block_out_channels.clone(),
        ),
        ("layers_per_block", ours.layers(), theirs.layers()),
        (
            "cross_attention_dim",
            ours.contexts(),
            vec![width; ours.contexts().len()],
        ),
        (
            "addition_time_embed_dim",
            vec![ours.addition_time_embed_dim],
            vec![theirs.addition_time_embed_dim],
        ),
        (
            "projection_class_embeddings_input_dim",
            vec![ours.projection_class_embeddings_input_dim],
            vec![theirs.projection_class_embeddings_input_dim],
        ),
        ("pixels for a latent", vec![pixels], vec![steered.scale]),
    ];
    let different = numbers.into_iter().find(|(_, ours, theirs)| ours != theirs);
    different.map(|(name, ours, theirs)| format!("{name} {ours:?}, the model has {theirs:?}"))
}

fn adapter_difference(config: &T2iAdapterConfig, steered: Steered<'_>) -> Option<String> {
    let unet = &steered.unet.encoder;
    let mut levels = unet.block_out_channels.clone();
    // The middle.
    levels.extend(levels.last().copied());
    let channels = &config.channels;
    if !levels.starts_with(channels) {
        return Some(format!("channels {channels:?}, the model has {levels:?}"));
    }
    let ours = config.strides();
    let strides = unet.feature_strides().into_iter();
    let theirs: Vec<usize> = strides.map(|stride| stride * steered.scale).collect();
    (!theirs.starts_with(&ours))
        .then(|| format!("levels of {ours:?} pixels a side, the model has {theirs:?}"))
}

fn require(path: &Path, difference: Option<String>) -> Result<(), LoadError> {
    difference.map_or(Ok(()), |what| {
        Err(LoadError::OtherModel {
            path: path.to_owned(),
            what,
        })
    })
}
