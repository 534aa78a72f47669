//! A whole model in one file, with SGM's names.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::checkpoint::{Checkpoint, Cut, Place, whole};
use super::file::SafetensorsFile;
use super::sgm::{self, Renamed};
use crate::LoadError;

const UNET: &str = "model.diffusion_model.";
const VAE: &str = "first_stage_model.";
/// CLIP ViT-L as transformers stores it: the first text encoder of everything but the refiner.
const TRANSFORMERS: &str = "conditioner.embedders.0.transformer.";
/// OpenCLIP bigG, the second text encoder.
const OPEN_CLIP: &str = "conditioner.embedders.1.model.";
/// The same in a refiner, where it is the only one.
const OPEN_CLIP_ALONE: &str = "conditioner.embedders.0.model.";

/// What training leaves behind besides weights.
const LEFT_BEHIND: [&str; 12] = [
    "model_ema.",
    "denoiser.",
    "alphas_cumprod",
    "betas",
    "log_one_minus_alphas_cumprod",
    "posterior_",
    "sqrt_",
    "scale_factor",
    "logvar",
    "first_stage_model.loss.",
    // NoobAI and others say so what their UNet predicts.
    "v_pred",
    "ztsnr",
];

/// An open single-file checkpoint.
#[derive(Debug)]
pub(crate) struct SingleFile {
    /// One file.
    files: Arc<[SafetensorsFile]>,
}

impl SingleFile {
    /// Opens a file and looks for what no part of a model accounts for.
    ///
    /// # Errors
    /// [`LoadError::Unsupported`] for pickled files, [`LoadError::Read`],
    /// [`LoadError::Safetensors`], [`LoadError::ExtraTensors`].
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        if matches!(ending, Some("ckpt" | "pt" | "pth" | "bin" | "pkl")) {
            return Err(LoadError::Unsupported {
                path: path.to_owned(),
                what: "a pickled checkpoint, which can run code when it is read; convert it to \
                       safetensors: it"
                    .to_owned(),
            });
        }
        let file = SafetensorsFile::open(path)?;
        let parts = [UNET, VAE, TRANSFORMERS, OPEN_CLIP, OPEN_CLIP_ALONE];
        let names: Vec<String> = file
            .names()
            .filter(|name| {
                !parts
                    .iter()
                    .chain(&LEFT_BEHIND)
                    .any(|part| name.starts_with(part))
            })
            .map(ToOwned::to_owned)
            .collect();
        if !names.is_empty() {
            return Err(LoadError::ExtraTensors {
                path: path.to_owned(),
                names,
            });
        }
        Ok(Self {
            files: Arc::new([file]),
        })
    }

    /// Whether it is a refiner: OpenCLIP's encoder alone.
    pub fn is_refiner(&self) -> bool {
        self.has_any(OPEN_CLIP_ALONE)
    }

    /// Whether it says that its UNet predicts velocities.
    pub fn predicts_velocity(&self) -> bool {
        self.file().entry("v_pred").is_some()
    }

    /// Whether it says that its training ended in pure noise.
    pub fn has_zero_terminal_snr(&self) -> bool {
        self.file().entry("ztsnr").is_some()
    }

    /// Channels that its UNet takes: 4, or 9 for inpainting.
    pub fn in_channels(&self) -> Option<usize> {
        let entry = self
            .file()
            .entry(&format!("{UNET}input_blocks.0.0.weight"))?;
        entry.shape.get(1).copied()
    }

    /// The UNet, whose levels have that many layers.
    pub fn unet(&self, layers: &[usize]) -> Checkpoint {
        self.renamed(UNET, &sgm::unet(layers))
    }

    /// The VAE.
    pub fn vae(&self, levels: usize, layers: usize) -> Checkpoint {
        self.renamed(VAE, &sgm::vae(levels, layers))
    }

    /// A VAE that comes alone, with diffusers' names or with SGM's.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn vae_alone(path: &Path, levels: usize, layers: usize) -> Result<Checkpoint, LoadError> {
        let file = SafetensorsFile::open(path)?;
        if !file.names().any(|name| name.starts_with("encoder.down.")) {
            return Checkpoint::open(path);
        }
        let alone = Self {
            files: Arc::new([file]),
        };
        Ok(alone.renamed("", &sgm::vae(levels, layers)))
    }

    /// CLIP ViT-L, whose names need no change.
    pub fn text_encoder(&self) -> Checkpoint {
        self.part(TRANSFORMERS, |name| vec![(name.to_owned(), Cut::Whole)])
    }

    /// OpenCLIP bigG.
    pub fn text_encoder_2(&self) -> Checkpoint {
        let prefix = if self.is_refiner() {
            OPEN_CLIP_ALONE
        } else {
            OPEN_CLIP
        };
        self.part(prefix, |name| match name {
            // How sure a comparison of text and picture is: no part of encoding a text.
            "logit_scale" => vec![("embeddings.position_ids".to_owned(), Cut::Whole)],
            name => sgm::open_clip(name),
        })
    }

    fn file(&self) -> &SafetensorsFile {
        &self.files[0]
    }

    fn has_any(&self, prefix: &str) -> bool {
        self.file().names().any(|name| name.starts_with(prefix))
    }

    fn renamed(&self, prefix: &str, names: &[Renamed]) -> Checkpoint {
        let ours: HashMap<&str, &str> = names
            .iter()
            .map(|(diffusers, sgm)| (sgm.as_str(), diffusers.as_str()))
            .collect();
        self.part(prefix, |name| {
            let mut at = name.len();
            while let Some(dot) = name[..at].rfind('.') {
                at = dot;
                if let Some(layer) = ours.get(&name[..dot]) {
                    return vec![(format!("{layer}{}", &name[dot..]), Cut::Whole)];
                }
            }
            Vec::new()
        })
    }

    /// The tensors under a prefix, by the names that `rename` gives them. One without a name
    /// keeps its own, under which no layer will ask for it.
    fn part(&self, prefix: &str, rename: impl Fn(&str) -> Vec<(String, Cut)>) -> Checkpoint {
        let mut places = BTreeMap::new();
        for name in self.file().names() {
            let Some(rest) = name.strip_prefix(prefix) else {
                continue;
            };
            if LEFT_BEHIND.iter().any(|left| name.starts_with(left)) {
                continue;
            }
            let renamed = rename(rest);
            if renamed.is_empty() {
                places.insert(name.to_owned(), whole(0, name));
            }
            for (diffusers, cut) in renamed {
                let place = Place {
                    cut,
                    ..whole(0, name)
                };
                places.insert(diffusers, place);
            }
        }
        Checkpoint::new(
            self.file().path().to_owned(),
            Arc::clone(&self.files),
            places,
        )
    }
}
