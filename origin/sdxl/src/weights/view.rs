//! What a layer sees of a checkpoint.

use std::cell::RefCell;
use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::checkpoint::{Checkpoint, Stored};
use super::convert::{Converted, convert};
use super::store::Store;
use crate::LoadError;
use crate::lora::{Adapters, LowRank};

/// Where tensors go, and as what.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub device: &'a Device,
    pub dtype: DType,
    /// Is told of every tensor how many bytes it had in its file.
    pub on_bytes: &'a dyn Fn(u64),
}

impl<'a> Target<'a> {
    /// Of a load whose progress nobody is told.
    pub fn quiet(device: &'a Device, dtype: DType) -> Self {
        Self {
            device,
            dtype,
            on_bytes: &|_| {},
        }
    }
}

/// A part that is being loaded.
pub(crate) struct Loading<'a> {
    checkpoint: Checkpoint,
    target: Target<'a>,
    /// What was asked for so far, each tensor as one row.
    taken: RefCell<BTreeMap<String, Tensor<1>>>,
}

impl<'a> Loading<'a> {
    pub fn new(checkpoint: Checkpoint, target: Target<'a>) -> Self {
        Self {
            checkpoint,
            target,
            taken: RefCell::default(),
        }
    }

    pub fn weights(&self) -> Weights<'_> {
        Weights {
            source: Source::File(self),
            prefix: String::new(),
        }
    }

    fn tensor<const D: usize>(
        &self,
        name: String,
        shape: [usize; D],
    ) -> Result<Tensor<D>, LoadError> {
        let stored = self
            .checkpoint
            .find(&name)
            .ok_or_else(|| LoadError::MissingTensor {
                path: self.checkpoint.path().to_owned(),
                name: name.clone(),
                expected: shape.to_vec(),
            })?;
        let bytes = stored.region.len() as u64;
        let tensor = upload(stored, shape, self.target)?;
        (self.target.on_bytes)(bytes);
        // Row by row also where the file has columns: another layout rounds otherwise.
        let row = tensor.reshape([-1]);
        self.taken.borrow_mut().insert(name, row.clone());
        Ok(row.reshape(shape))
    }

    /// Ends the load.
    ///
    /// # Errors
    /// [`LoadError::ExtraTensors`] for tensors that no layer asked for.
    pub fn finish(self) -> Result<Store, LoadError> {
        let taken = self.taken.into_inner();
        self.checkpoint.none_left(&taken)?;
        Ok(Store::new(
            self.target.device.clone(),
            self.target.dtype,
            taken,
        ))
    }
}

/// The part of a checkpoint under a prefix.
#[derive(Clone)]
pub struct Weights<'a> {
    source: Source<'a>,
    prefix: String,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    /// For the first time.
    File(&'a Loading<'a>),
    /// Once more, with adapters on its layers.
    Store(&'a Store, &'a Adapters),
}

impl<'a> Weights<'a> {
    /// Tensors that a model was built from before, and adapters for its layers.
    pub(crate) fn again(store: &'a Store, adapters: &'a Adapters) -> Self {
        Self {
            source: Source::Store(store, adapters),
            prefix: String::new(),
        }
    }

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
        match self.source {
            Source::File(loading) => loading.target.device,
            Source::Store(store, _) => store.device(),
        }
    }

    /// What they are there.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match self.source {
            Source::File(loading) => loading.target.dtype,
            Source::Store(store, _) => store.dtype(),
        }
    }

    /// The adapters of the layer under this prefix.
    pub(crate) fn adapters(&self) -> Vec<LowRank> {
        match self.source {
            Source::File(_) => Vec::new(),
            Source::Store(_, adapters) => adapters.of(self.prefix.trim_end_matches('.')),
        }
    }

    /// Whether there is a tensor of that name here.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let name = format!("{}{name}", self.prefix);
        match self.source {
            Source::File(loading) => loading.checkpoint.has(&name),
            Source::Store(store, _) => store.has(&name),
        }
    }

    /// One tensor, on the device and in its type there.
    ///
    /// # Errors
    /// [`LoadError::MissingTensor`], [`LoadError::Shape`], [`LoadError::Type`],
    /// [`LoadError::NotFinite`].
    pub fn tensor<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Tensor<D>, LoadError> {
        let name = format!("{}{name}", self.prefix);
        match self.source {
            Source::Store(store, _) => store.tensor(&name, shape),
            Source::File(loading) => loading.tensor(name, shape),
        }
    }
}

/// One tensor's way from the file to the device: a view of the mapped file, or one copy where
/// its type changes.
fn upload<const D: usize>(
    stored: Stored,
    shape: [usize; D],
    target: Target<'_>,
) -> Result<Tensor<D>, LoadError> {
    // Single-file checkpoints store some linear layers as convolutions of 1×1.
    let squeezed = stored.shape.len() > D && stored.shape[D..].iter().all(|side| *side == 1);
    let found = if squeezed {
        &stored.shape[..D]
    } else {
        &stored.shape[..]
    };
    if found != shape {
        return Err(LoadError::Shape {
            path: stored.path,
            name: stored.name,
            expected: shape.to_vec(),
            found: stored.shape,
        });
    }
    let converted = convert(&stored.region, stored.dtype, target.dtype);
    let Some(Converted { bytes, is_finite }) = converted.map_err(|source| LoadError::Read {
        path: stored.path.clone(),
        source,
    })?
    else {
        return Err(LoadError::Type {
            path: stored.path,
            name: stored.name,
            found: format!("{:?}", stored.dtype),
        });
    };
    if !is_finite {
        return Err(LoadError::NotFinite {
            path: stored.path,
            name: stored.name,
            dtype: format!("{:?}", target.dtype),
        });
    }
    let options = (target.device, target.dtype);
    if stored.is_transposed {
        let mut file_shape = shape;
        file_shape.reverse();
        let data = TensorData::from_bytes(bytes, file_shape, target.dtype);
        return Ok(Tensor::<D>::from_data(data, options).transpose());
    }
    let data = TensorData::from_bytes(bytes, shape, target.dtype);
    Ok(Tensor::from_data(data, options))
}
