//! Where everything of a model is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::config::Configuration;
use super::part::PartFiles;
use super::published::Published;
use crate::LoadError;
use crate::text::{ClipTextConfig, Tokenizer};
use crate::unet::UNetConfig;
use crate::vae::VaeConfig;
use crate::weights::{SingleFile, read_json};

/// What a checkpoint does unless told.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Defaults {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Denoising steps.
    pub steps: u32,
    /// Classifier-free guidance.
    pub guidance_scale: f64,
    /// One of [`Pipeline::SCHEDULERS`](crate::Pipeline::SCHEDULERS).
    pub scheduler: String,
}

/// `darkroom.json`, which a checkpoint may have beside `model_index.json`.
#[derive(Deserialize)]
struct Manifest {
    defaults: Defaults,
}

/// `model_index.json`, as far as it matters here.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ModelIndex {
    /// Whether no negative prompt means zeros, and not the empty text.
    #[serde(default = "yes")]
    pub force_zeros_for_empty_prompt: bool,
    /// Whether the UNet is told an aesthetic score instead of a target size: a refiner's.
    #[serde(default)]
    pub requires_aesthetics_score: bool,
    #[serde(default)]
    text_encoder: Option<ClassName>,
    #[serde(default)]
    text_encoder_2: Option<ClassName>,
}

/// Library and class of a part; two nulls where a model does without it.
type ClassName = [Option<String>; 2];

const fn yes() -> bool {
    true
}

/// A text encoder with its tokenizer.
#[derive(Debug)]
pub(crate) struct TextFiles {
    pub encoder: PartFiles<ClipTextConfig>,
    pub tokenizer: Tokenizer,
}

/// Everything of a model: configurations read, weights not yet.
#[derive(Debug)]
pub(crate) struct ModelFiles {
    pub index: ModelIndex,
    /// The first text encoder, where there is one, and the second.
    pub text: Vec<TextFiles>,
    pub unet: PartFiles<UNetConfig>,
    pub vae: PartFiles<VaeConfig>,
    /// `scheduler_config.json`.
    pub scheduler: Map<String, Value>,
    pub defaults: Option<Defaults>,
}

impl ModelFiles {
    /// A folder in diffusers' layout, or a single-file checkpoint. Configurations and tokenizers
    /// of the latter are those of SDXL as published, or those of a folder.
    ///
    /// # Errors
    /// What is wrong with the first file that cannot be used.
    pub fn open(path: &Path, config: Option<&Path>) -> Result<Self, LoadError> {
        if path.is_dir() {
            return Self::folder(path);
        }
        single_file(path, config)
    }

    fn folder(folder: &Path) -> Result<Self, LoadError> {
        let index: ModelIndex = read_json(&folder.join("model_index.json"))?;
        let mut text = Vec::new();
        for (class, encoder, tokenizer) in [
            (&index.text_encoder, "text_encoder", "tokenizer"),
            (&index.text_encoder_2, "text_encoder_2", "tokenizer_2"),
        ] {
            if class.as_ref().is_none_or(|[library, _]| library.is_some()) {
                text.push(TextFiles::folders(
                    &folder.join(encoder),
                    &folder.join(tokenizer),
                )?);
            }
        }
        let manifest = folder.join("darkroom.json");
        Ok(Self {
            index,
            text,
            unet: PartFiles::folder(&folder.join("unet"))?,
            vae: PartFiles::folder(&folder.join("vae"))?,
            scheduler: read_json(&folder.join("scheduler").join("scheduler_config.json"))?,
            defaults: if manifest.is_file() {
                Some(read_json::<Manifest>(&manifest)?.defaults)
            } else {
                None
            },
        })
    }

    /// Another UNet, of a folder or of a file with diffusers' names: a distilled one for the same
    /// encoders and VAE.
    ///
    /// # Errors
    /// What is wrong with its configuration.
    pub fn replace_unet(&mut self, path: &Path) -> Result<(), LoadError> {
        self.unet = if path.is_dir() {
            PartFiles::folder(path)?
        } else {
            PartFiles::at(path, self.unet.config.clone())
        };
        Ok(())
    }

    /// Another VAE, of a folder or of a file with diffusers' or SGM's names: one that can do
    /// with f16, for example.
    ///
    /// # Errors
    /// What is wrong with its configuration.
    pub fn replace_vae(&mut self, path: &Path) -> Result<(), LoadError> {
        self.vae = if path.is_dir() {
            PartFiles::folder(path)?
        } else {
            let (config, path) = (self.vae.config.clone(), path.to_owned());
            let (levels, layers) = (config.block_out_channels.len(), config.layers_per_block);
            PartFiles::new(config, move |_| {
                SingleFile::vae_alone(&path, levels, layers)
            })
        };
        Ok(())
    }
}

impl TextFiles {
    /// Two folders, as diffusers lays them out.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn folders(encoder: &Path, tokenizer: &Path) -> Result<Self, LoadError> {
        Ok(Self {
            encoder: PartFiles::folder(encoder)?,
            tokenizer: Tokenizer::load(tokenizer)?,
        })
    }
}

/// Where the configurations of a single file are.
enum Source {
    Published(Published),
    Folder(PathBuf),
}

impl Source {
    fn config<C: Configuration>(&self, part: &str) -> Result<C, LoadError> {
        match self {
            Self::Published(published) => published.config(part),
            Self::Folder(folder) => C::read(&folder.join(part).join("config.json")),
        }
    }

    fn index(&self) -> Result<ModelIndex, LoadError> {
        match self {
            Self::Published(published) => published.index(),
            Self::Folder(folder) => read_json(&folder.join("model_index.json")),
        }
    }

    fn scheduler(&self) -> Result<Map<String, Value>, LoadError> {
        match self {
            Self::Published(published) => Ok(published.part("scheduler")),
            Self::Folder(folder) => read_json(&folder.join("scheduler/scheduler_config.json")),
        }
    }

    fn tokenizer(&self, part: &str) -> Result<Tokenizer, LoadError> {
        match self {
            // SDXL's second tokenizer pads with "!".
            Self::Published(_) if part == "tokenizer_2" => Tokenizer::clip("!"),
            Self::Published(_) => Tokenizer::clip("<|endoftext|>"),
            Self::Folder(folder) => Tokenizer::load(&folder.join(part)),
        }
    }
}

fn single_file(path: &Path, config: Option<&Path>) -> Result<ModelFiles, LoadError> {
    let file = Arc::new(SingleFile::open(path)?);
    let source = match config {
        Some(folder) => Source::Folder(folder.to_owned()),
        None if file.is_refiner() => Source::Published(Published::Refiner),
        None => Source::Published(Published::Base),
    };
    let mut scheduler = source.scheduler()?;
    if file.predicts_velocity() {
        scheduler.insert("prediction_type".to_owned(), "v_prediction".into());
    }
    if file.has_zero_terminal_snr() {
        scheduler.insert("rescale_betas_zero_snr".to_owned(), true.into());
        scheduler.insert("timestep_spacing".to_owned(), "trailing".into());
    }
    let mut text = Vec::new();
    if !file.is_refiner() {
        let file = Arc::clone(&file);
        text.push(TextFiles {
            encoder: PartFiles::new(source.config("text_encoder")?, move |_| {
                Ok(file.text_encoder())
            }),
            tokenizer: source.tokenizer("tokenizer")?,
        });
    }
    let encoder = Arc::clone(&file);
    text.push(TextFiles {
        encoder: PartFiles::new(source.config("text_encoder_2")?, move |_| {
            Ok(encoder.text_encoder_2())
        }),
        tokenizer: source.tokenizer("tokenizer_2")?,
    });
    let mut unet: UNetConfig = source.config("unet")?;
    if let Some(channels) = file.in_channels() {
        unet.encoder.in_channels = channels;
    }
    let layers = unet.encoder.layers();
    let vae: VaeConfig = source.config("vae")?;
    let (levels, vae_layers) = (vae.block_out_channels.len(), vae.layers_per_block);
    let vae_file = Arc::clone(&file);
    Ok(ModelFiles {
        index: source.index()?,
        text,
        unet: PartFiles::new(unet, move |_| Ok(file.unet(&layers))),
        vae: PartFiles::new(vae, move |_| Ok(vae_file.vae(levels, vae_layers))),
        scheduler,
        defaults: None,
    })
}
