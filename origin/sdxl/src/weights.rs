//! Checkpoints: safetensors files mapped into memory, read one tensor at a time.
//!
//! A model asks for each of its tensors by name and shape. A missing or mis-shaped tensor is
//! an error on the spot, and [`Checkpoint::finish`] reports tensors that nobody asked for:
//! a checkpoint is either loaded whole or not at all.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;

use crate::LoadError;

/// Reads a JSON configuration. As JSON5, since Python writes `-Infinity` and `NaN` into some.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, LoadError> {
    let text = std::fs::read_to_string(path).map_err(|source| LoadError::Read {
        path: path.to_owned(),
        source,
    })?;
    json5::from_str(&text).map_err(|source| LoadError::Config {
        path: path.to_owned(),
        source,
    })
}

/// An open safetensors file. Nothing is read before it is asked for.
pub struct Checkpoint {
    path: PathBuf,
    map: Mmap,
    taken: RefCell<BTreeSet<String>>,
}

impl Checkpoint {
    /// Opens the weights in a part's folder (`unet/`, `vae/`, …), as diffusers or transformers
    /// name them; the f16 variant where there is no other.
    ///
    /// # Errors
    /// [`LoadError::NoWeights`], [`LoadError::Read`], [`LoadError::Safetensors`].
    pub fn open_folder(folder: &Path) -> Result<Self, LoadError> {
        const NAMES: [&str; 4] = [
            "diffusion_pytorch_model.safetensors",
            "model.safetensors",
            "diffusion_pytorch_model.fp16.safetensors",
            "model.fp16.safetensors",
        ];
        let found = NAMES
            .iter()
            .map(|name| folder.join(name))
            .find(|path| path.is_file());
        match found {
            Some(path) => Self::open(&path),
            None => Err(LoadError::NoWeights {
                folder: folder.to_owned(),
                looked_for: NAMES.join(", "),
            }),
        }
    }

    /// Opens one file.
    ///
    /// # Errors
    /// [`LoadError::Read`], [`LoadError::Safetensors`].
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let read = |source| LoadError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(read)?;
        #[expect(
            unsafe_code,
            reason = "a checkpoint is not changed while it is being loaded"
        )]
        // SAFETY: undefined only if another process truncates the file during the load.
        let map = unsafe { Mmap::map(&file) }.map_err(read)?;
        let checkpoint = Self {
            path: path.to_owned(),
            map,
            taken: RefCell::default(),
        };
        checkpoint.header()?;
        Ok(checkpoint)
    }

    fn header(&self) -> Result<SafeTensors<'_>, LoadError> {
        SafeTensors::deserialize(&self.map).map_err(|source| LoadError::Safetensors {
            path: self.path.clone(),
            source,
        })
    }

    /// A view for a model's loader, which converts to f32 on `device`.
    ///
    /// # Errors
    /// [`LoadError::Safetensors`].
    pub fn weights<'a>(&'a self, device: &'a Device) -> Result<Weights<'a>, LoadError> {
        Ok(Weights {
            checkpoint: self,
            header: std::rc::Rc::new(self.header()?),
            device,
            prefix: String::new(),
        })
    }

    /// Ends the load.
    ///
    /// # Errors
    /// [`LoadError::ExtraTensors`] for tensors that no layer asked for.
    pub fn finish(&self) -> Result<(), LoadError> {
        let taken = self.taken.borrow();
        let names: Vec<String> = self
            .header()?
            .names()
            .into_iter()
            // A buffer that older transformers saved: 0, 1, 2, …
            .filter(|name| !name.ends_with("embeddings.position_ids"))
            .filter(|name| !taken.contains(*name))
            .map(ToOwned::to_owned)
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(LoadError::ExtraTensors {
            path: self.path.clone(),
            names,
        })
    }
}

/// The part of a checkpoint under a prefix.
#[derive(Clone)]
pub struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    header: std::rc::Rc<SafeTensors<'a>>,
    device: &'a Device,
    prefix: String,
}

impl Weights<'_> {
    /// The part under `name`, a dotted path with no dot at its end.
    #[must_use]
    pub fn child(&self, name: impl std::fmt::Display) -> Self {
        Self {
            prefix: format!("{}{name}.", self.prefix),
            ..self.clone()
        }
    }

    /// Where tensors go.
    #[must_use]
    pub fn device(&self) -> &Device {
        self.device
    }

    /// Whether there is a tensor of that name here.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.header
            .tensor(&format!("{}{name}", self.prefix))
            .is_ok()
    }

    /// Reads one tensor and converts it to f32.
    ///
    /// # Errors
    /// [`LoadError::MissingTensor`], [`LoadError::Shape`], [`LoadError::Type`].
    pub fn tensor<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Tensor<D>, LoadError> {
        let name = format!("{}{name}", self.prefix);
        let path = || self.checkpoint.path.clone();
        let Ok(view) = self.header.tensor(&name) else {
            return Err(LoadError::MissingTensor {
                path: path(),
                name,
                expected: shape.to_vec(),
            });
        };
        if view.shape() != shape {
            return Err(LoadError::Shape {
                path: path(),
                name,
                expected: shape.to_vec(),
                found: view.shape().to_vec(),
            });
        }
        let Some(values) = to_f32(view.dtype(), view.data()) else {
            return Err(LoadError::Type {
                path: path(),
                name,
                found: format!("{:?}", view.dtype()),
            });
        };
        self.checkpoint.taken.borrow_mut().insert(name);
        Ok(Tensor::from_data(
            TensorData::new(values, shape),
            (self.device, DType::F32),
        ))
    }
}

/// Little-endian bytes as f32, or `None` for a type that is not read.
pub(crate) fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let (chunks, _) = bytes.as_chunks::<N>();
        chunks.iter().map(|chunk| convert(*chunk)).collect()
    }
    match dtype {
        Dtype::F32 => Some(each(bytes, f32::from_le_bytes)),
        Dtype::F16 => Some(each(bytes, |b| f16::from_le_bytes(b).to_f32())),
        Dtype::BF16 => Some(each(bytes, |b| bf16::from_le_bytes(b).to_f32())),
        _ => None,
    }
}
