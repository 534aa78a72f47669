//! Loading a checkpoint.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use burn::tensor::DType;

use super::Pipeline;
use crate::model::{ModelFiles, Part, PartFiles, TextFiles};
use crate::precision::Precision;
use crate::scheduler::{Steps, by_name, name_of};
use crate::text::{PromptEncoder, TextPart};
use crate::unet::UNetConfig;
use crate::vae::{TinyConfig, VaeConfig};
use crate::weights::Target;
use crate::{DeviceKind, LoadError};

/// How to load a checkpoint.
#[derive(Clone, Copy, Default)]
pub struct LoadOptions<'a> {
    /// Where to compute.
    pub device: DeviceKind,
    /// Type of the UNet's and the text encoders' numbers.
    pub precision: Precision,
    /// Type of the VAE's numbers. SDXL's own goes beyond f16.
    pub vae_precision: Precision,
    /// Folder with the configurations and tokenizers of a single-file checkpoint, in diffusers'
    /// layout; those of SDXL as published unless told.
    pub config: Option<&'a Path>,
    /// Another UNet: a folder, or a file with diffusers' names.
    pub unet: Option<&'a Path>,
    /// Another VAE: a folder, or a file with diffusers' or SGM's names.
    pub vae: Option<&'a Path>,
    /// TAESD for previews in the picture's own size: a folder, or a file beside its
    /// `config.json`. Without it they are an eighth of that size, and cost next to nothing.
    pub taesd: Option<&'a Path>,
    /// Latents a side of the tiles that the VAE works in where a picture is larger, each blended
    /// into its neighbours: less memory, and nearly the same picture. diffusers takes 128. Taken
    /// down to a multiple of 4, since a quarter is what is shared.
    pub vae_tile: Option<u32>,
    /// Whether text encoders and VAE are brought to the device for each use alone: slower, and
    /// the UNet has the memory to itself.
    pub offload: bool,
    /// Is told how far the load is.
    pub progress: Option<&'a dyn Fn(LoadProgress)>,
}

/// How far a load is, in bytes of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadProgress {
    /// Loaded.
    pub done: u64,
    /// In all.
    pub total: u64,
}

impl Pipeline {
    /// Loads a folder in diffusers' layout, or a single-file checkpoint with SGM's names.
    ///
    /// # Errors
    /// What is wrong with the first part that cannot be loaded.
    pub fn load(path: &Path, options: LoadOptions<'_>) -> Result<Self, LoadError> {
        let mut files = ModelFiles::open(path, options.config)?;
        if let Some(unet) = options.unet {
            files.replace_unet(unet)?;
        }
        if let Some(vae) = options.vae {
            files.replace_vae(vae)?;
        }
        files.vae.config.tile = options.vae_tile.map(|side| (side / 4 * 4).max(4) as usize);
        Self::from_files(path, files, options)
    }

    /// Loads what `files` says; `path` is what errors about the whole of it name.
    pub(crate) fn from_files(
        path: &Path,
        files: ModelFiles,
        options: LoadOptions<'_>,
    ) -> Result<Self, LoadError> {
        let ModelFiles {
            index,
            text,
            unet,
            vae,
            scheduler,
            defaults,
        } = files;
        let device = options.device.select()?;
        let dtype = options.precision.on(&device)?;
        let vae_dtype = options.vae_precision.on(&device)?;
        let default_scheduler = name_of(&scheduler).ok_or_else(|| {
            let class = scheduler.get("_class_name").cloned().unwrap_or_default();
            unsupported(path, format!("the scheduler {class}"))
        })?;
        let scheduler_works = by_name(default_scheduler, &scheduler).and_then(|(class, config)| {
            let once = Steps::Count(1);
            config.schedule(class, &once)
        });
        scheduler_works.map_err(|error| unsupported(path, format!("the scheduler: {error}")))?;
        check_sizes(
            path,
            &text,
            &unet,
            vae.config.latent_channels,
            index.requires_aesthetics_score,
        )?;

        let taesd = options.taesd.map(|path| taesd_for(path, &vae.config));
        let taesd = taesd.transpose()?;
        let mut total = unet.open(dtype)?.bytes() + vae.open(vae_dtype)?.bytes();
        for part in &text {
            total += part.encoder.open(dtype)?.bytes();
        }
        if let Some(files) = &taesd {
            total += files.open(dtype)?.bytes();
        }
        let done = Cell::new(0);
        let on_bytes = |bytes: u64| {
            done.set(done.get() + bytes);
            if let Some(progress) = options.progress {
                progress(LoadProgress {
                    done: done.get(),
                    total,
                });
            }
        };
        let target = |dtype: DType| Target {
            device: &device,
            dtype,
            on_bytes: &on_bytes,
        };
        let parts = text
            .into_iter()
            .map(|files| {
                Ok(TextPart {
                    tokenizer: files.tokenizer,
                    encoder: Part::load(files.encoder, target(dtype), !options.offload)?,
                })
            })
            .collect::<Result<_, LoadError>>()?;
        Ok(Self {
            prompts: PromptEncoder::new(parts, index.force_zeros_for_empty_prompt),
            unet: Part::load(unet, target(dtype), true)?,
            vae: Part::load(vae, target(vae_dtype), !options.offload)?,
            taesd: taesd
                .map(|files| Part::load(files, target(dtype), true))
                .transpose()?,
            index,
            scheduler,
            default_scheduler,
            defaults,
            preview: OnceLock::new(),
        })
    }
}

/// Whether text encoders and UNet are of one model.
fn check_sizes(
    path: &Path,
    text: &[TextFiles],
    unet: &PartFiles<UNetConfig>,
    latents: usize,
    scores: bool,
) -> Result<(), LoadError> {
    for part in text {
        let (tokenizer, encoder) = (&part.tokenizer, &part.encoder.config);
        if tokenizer.length() > encoder.max_position_embeddings
            || tokenizer.vocabulary() > encoder.vocab_size
        {
            let what = format!(
                "a tokenizer of {} tokens in rows of {} beside a text encoder of {} and {}",
                tokenizer.vocabulary(),
                tokenizer.length(),
                encoder.vocab_size,
                encoder.max_position_embeddings
            );
            return Err(unsupported(path, what));
        }
    }
    let Some(last) = text.last() else {
        return Err(unsupported(
            path,
            "a model without text encoders".to_owned(),
        ));
    };
    if text
        .iter()
        .any(|part| part.tokenizer.length() != last.tokenizer.length())
    {
        let what = "a model whose tokenizers make rows of different lengths";
        return Err(unsupported(path, what.to_owned()));
    }
    let unet = &unet.config;
    let down = &unet.encoder;
    let (taken, made) = (down.in_channels, unet.out_channels);
    if made != latents || (taken != latents && taken != 2 * latents + 1) {
        let what = format!("a UNet of {taken} channels in and {made} out for {latents} of the VAE");
        return Err(unsupported(path, what));
    }
    let width: usize = text
        .iter()
        .map(|part| part.encoder.config.hidden_size)
        .sum();
    let contexts = unet.contexts();
    if let Some(other) = contexts.into_iter().find(|context| *context != width) {
        let what = format!(
            "a UNet with cross_attention_dim {other} beside text encoders of width {width}"
        );
        return Err(unsupported(path, what));
    }
    let ids = if scores { 5 } else { 6 };
    let added = last.encoder.config.projection_dim + ids * down.addition_time_embed_dim;
    if down.projection_class_embeddings_input_dim != added {
        let what = format!(
            "a UNet with projection_class_embeddings_input_dim {} where text encoder and {ids} \
             time ids make {added}",
            down.projection_class_embeddings_input_dim
        );
        return Err(unsupported(path, what));
    }
    Ok(())
}

/// A TAESD that has the VAE's latents and makes pictures of its size.
fn taesd_for(path: &Path, vae: &VaeConfig) -> Result<PartFiles<TinyConfig>, LoadError> {
    let files = PartFiles::<TinyConfig>::beside(path)?;
    let ours = (files.config.latent_channels, files.config.scale());
    let theirs = (vae.latent_channels, vae.scale());
    if ours == theirs {
        return Ok(files);
    }
    Err(LoadError::OtherModel {
        path: path.to_owned(),
        what: format!(
            "{} channels of latents and {} pixels for one, the model has {} and {}",
            ours.0, ours.1, theirs.0, theirs.1
        ),
    })
}

fn unsupported(path: &Path, what: String) -> LoadError {
    LoadError::Unsupported {
        path: PathBuf::from(path),
        what,
    }
}
